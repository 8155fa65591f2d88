"""What `import antiphon.core` gives, and what it costs."""

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import antiphon.core

ROOT = Path(antiphon.core.__file__)

# Users of aiohttp import these from its root or its documented modules.
WANTED = [
    "StreamReader",
    "EMPTY_PAYLOAD",
    "EofStream",
    "DataQueue",
    "FlowControlDataQueue",
    "Payload",
    "BytesPayload",
    "StringPayload",
    "IOBasePayload",
    "BytesIOPayload",
    "BufferedReaderPayload",
    "TextIOPayload",
    "StringIOPayload",
    "JsonPayload",
    "JsonBytesPayload",
    "AsyncIterablePayload",
    "PAYLOAD_REGISTRY",
    "get_payload",
    "payload_type",
    "streamer",
    "MultipartReader",
    "BodyPartReader",
    "MultipartResponseWrapper",
    "MultipartWriter",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "parse_content_disposition",
    "content_disposition_filename",
    "set_zlib_backend",
    "BasicAuth",
    "encode_basic_auth",
    "ETag",
    "hdrs",
    "WSMsgType",
    "WSMessage",
    "WSCloseCode",
    "WebSocketError",
    "WSMessageTypeError",
    "WSHandshakeError",
    "WebSocketReader",
    "WebSocketWriter",
    "WebSocketConnection",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "SERVER_SOFTWARE",
    "LineTooLong",
    "AbstractStreamWriter",
]

# Modules that cost milliseconds, and that only some programs need.
HEAVY = [
    "brotli",
    "brotlicffi",
    "backports.zstd",
    "isal",
    "zlib_ng",
    "bz2",
    "lzma",
    "dataclasses",
    "datetime",
    "email",
    "http.client",
    "http.cookies",
    "mimetypes",
    "pickle",
    "quopri",
    "random",
    "shutil",
    "tempfile",
    "urllib.request",
    "uuid",
]


def modules_added(then: str) -> set[str]:
    """Names of the modules that *then* imports in a process that has asyncio."""
    code = (
        "import asyncio, json, sys; before = set(sys.modules)\n"
        f"{then}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", WANTED)
def test_wanted_name_is_public(name: str) -> None:
    assert name in antiphon.core.__all__
    assert getattr(antiphon.core, name) is not None


def test_checkers_and_programs_see_the_same_names() -> None:
    seen = {}
    for statement in ast.walk(ast.parse(ROOT.read_text())):
        if isinstance(statement, ast.ImportFrom) and statement.level:
            for alias in statement.names:
                seen[alias.name] = f"antiphon.core.{statement.module or ''}".rstrip(".")
    assert set(seen) == {*antiphon.core.__all__, "abc"}
    for name, module in seen.items():
        given = getattr(antiphon.core, name)
        assert given is (
            import_module(f"antiphon.core.{name}")
            if module == "antiphon.core"
            else getattr(import_module(module), name)
        )


def test_names_are_listed_before_they_are_imported() -> None:
    assert set(antiphon.core.__all__) <= set(dir(antiphon.core))


def test_other_names_are_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'StreamWriter'"):
        _ = antiphon.core.StreamWriter  # type: ignore[attr-defined]  # what must not work


@pytest.mark.subprocess
def test_importing_core_imports_next_to_nothing() -> None:
    added = modules_added("import antiphon.core")
    assert {name for name in added if name.startswith("antiphon")} == {"antiphon", "antiphon.core"}
    assert not added & {"attr", "multidict", "yarl"}


@pytest.mark.subprocess
def test_all_of_core_imports_no_heavy_module() -> None:
    added = modules_added("from antiphon.core import *")
    assert "antiphon.core.aio.streams" in added
    assert not added.intersection(HEAVY)
