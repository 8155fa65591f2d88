"""Every snippet of every page runs, and every public name is described."""

import ast
import asyncio
import builtins
import importlib
import inspect
import pathlib
import re
import types
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import attrs
import pytest

from antiphon import web
from antiphon.client import ClientSession, ClientTimeout

DOCS = pathlib.Path(__file__).resolve().parents[4] / "docs"
ROOT = DOCS.parent
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
READMES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("packages/*/README.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^[ ]*(`{3,}|:{3,})[ ]*(\S*).*?^[ ]*\1[ ]*$", re.MULTILINE | re.DOTALL)
EXCUSE = re.compile(r"<!-- (?:not run: \S.*|run by (\S+)) -->\n\Z")


def snippets() -> Iterator[Any]:
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text()), 1):
            yield pytest.param(match[1], id=f"{page.relative_to(DOCS)}-{number}")


@pytest.fixture
async def service(test_server) -> str:
    """A server that takes what the snippets send; returns its address."""

    async def echo(request: web.Request) -> web.Response:
        return web.json_response({"sent": len(await request.read())})

    async def sockets(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for msg in ws:
            await ws.send_str(msg.data)
        return ws

    app = web.Application()
    app.router.add_get("/ws", sockets)
    app.router.add_route("*", "/{path:.*}", echo)
    server = await test_server(app)
    return str(server.make_url("/"))


@pytest.mark.parametrize("source", list(snippets()))
async def test_a_snippet_runs(source: str, service: str):
    code = compile(source, "<snippet>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with ClientSession() as session:
        names: dict[str, Any] = {"url": service, "session": session, "__name__": "snippet"}
        if "ws_connect" in source:
            names["url"] = service.rstrip("/")
        running = types.FunctionType(code, names)()
        if inspect.iscoroutine(running):
            async with asyncio.timeout(10):
                await running


def unaccounted(text: str, *, run_here: bool) -> Iterator[str]:
    """Return the first lines of the blocks that nothing runs and nobody excuses.

    Args:
        text: A page.
        run_here: Its blocks of Python are run above.
    """
    for block in FENCE.finditer(text):
        language = block[2]
        if language.startswith("{") or language == "text" or (language == "python" and run_here):
            continue  # diagrams are text, and what tools print
        excuse = EXCUSE.search(text, 0, block.start())
        if excuse is None or (excuse[1] is not None and not names_a_test(excuse[1])):
            yield f"{language}: {block[0].splitlines()[1]}"


def names_a_test(text: str) -> bool:
    """Tell whether *text*, such as ``folder/test_file.py::test_name``, is a test there is."""
    path, _, name = text.partition("::")
    file = ROOT / path
    if not file.is_file():
        return False
    if file.suffix != ".py":
        return name == ""
    tests = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(
        isinstance(node, tests) and node.name == name
        for node in ast.walk(ast.parse(file.read_text()))
    )


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in [*PAGES, *READMES]]
)
def test_every_block_of_code_is_run_or_says_why_not(page: pathlib.Path):
    assert list(unaccounted(page.read_text(), run_here=page in PAGES)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("```python\nx\n```\n", [], id="Python is run"),
        pytest.param("```sh\nls\n```\n", ["sh: ls"], id="nobody runs it"),
        pytest.param("<!-- not run: it would -->\n```sh\nls\n```\n", [], id="a reason"),
        pytest.param("<!-- not run: -->\n```sh\nls\n```\n", ["sh: ls"], id="no reason"),
        pytest.param("<!-- run by .ci/run -->\n```sh\nls\n```\n", [], id="run by a program"),
        pytest.param("<!-- run by x.py::no -->\n```sh\nls\n```\n", ["sh: ls"], id="run by nothing"),
        pytest.param("```\nplain\n```\n", [": plain"], id="no language"),
    ],
)
def test_the_check_of_blocks_sees_what_is_not_run(text: str, expected: list[str]):
    assert list(unaccounted(text, run_here=True)) == expected


def test_every_example_is_run_by_a_test():
    tests = [
        path.read_text()
        for folder in ("packages/testing/tests", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ""} and path.is_file()
    ]
    everything = "\n".join([*tests, (ROOT / "noxfile.py").read_text()])
    examples = DOCS / "examples"
    for path in sorted(examples.rglob("*.py")):
        if path.name.startswith("test_"):
            continue  # run with the folder that it is in
        if path.parent.name == "filestore":
            continue  # the demonstration, which continuous integration runs as the README says
        named = path.relative_to(examples).as_posix()
        beside = any(path.stem in test.read_text() for test in path.parent.glob("test_*.py"))
        ways = (named, f'"{path.name}"', f'"{path.stem}:create_app"')  # imported, copied, served
        assert beside or any(way in everything for way in ways), named


def test_shown_files_exist():
    for page in DOCS.rglob("*.md"):
        for path in re.findall(r"\{literalinclude\} (\S+)", page.read_text()):
            assert (page.parent / path).is_file(), f"{page.name} shows {path}"


def test_every_page_is_reachable():
    trees = re.compile(r"\{toctree\}\n(.*?)```", re.DOTALL)
    listed = set()
    for page in DOCS.rglob("*.md"):
        for tree in trees.findall(page.read_text()):
            for line in tree.split():
                if not line.startswith(":"):
                    listed.add((page.parent / f"{line}.md").resolve())
    pages = {page for page in DOCS.rglob("*.md") if "_build" not in page.parts}
    assert pages - listed == {DOCS / "index.md"}


# -- the reference


def described() -> dict[str, set[int]]:
    """Return the names on the pages of the reference, with what each of them names."""
    block = re.compile(r"\.\. public:: (\S+)\n\n((?:   .*\n|\n)*)")
    found: dict[str, set[int]] = {}
    for page in (DOCS / "reference").glob("*.md"):
        for module_name, names in block.findall(page.read_text()):
            module = importlib.import_module(module_name)
            for name in names.split():
                found.setdefault(name, set()).add(id(getattr(module, name)))
    return found


IN_WORDS = {
    "hdrs": "a module of constants, described in a sentence",
    "access_logger": "a logger, described in a sentence",
}


def public(package: str) -> Iterator[tuple[str, Any]]:
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if package == "antiphon.web" and name.startswith("HTTP"):
            continue  # a table, made of the classes themselves
        yield name, value


@pytest.mark.parametrize(
    "package", ["antiphon.core", "antiphon.web", "antiphon.client", "antiphon.testing"]
)
def test_the_reference_describes_every_public_name(package: str):
    known = described()
    missing = [
        name
        for name, value in public(package)
        if name not in IN_WORDS and id(value) not in known.get(name, ())
    ]
    assert not missing


def builtin_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base.__module__ == "builtins"]


def undocumented(name: str, value: Any) -> Iterator[str]:
    if inspect.isfunction(value) and not value.__doc__:
        yield name
    if not isinstance(value, type) or not value.__module__.startswith("antiphon"):
        return
    text = vars(value).get("__doc__") or ""
    if not text or text.startswith((f"{value.__name__}(", "Method generated by attrs")):
        yield name
    for member, made in vars(value).items():
        if member.startswith("_") or any(hasattr(base, member) for base in builtin_bases(value)):
            continue  # what Python has under this name is described there
        function = made.fget if isinstance(made, property) else made
        function = getattr(function, "__func__", function)
        if inspect.isfunction(function) and not inspect.getdoc(getattr(value, member)):
            yield f"{name}.{member}"


@pytest.mark.parametrize(
    "package", ["antiphon.core", "antiphon.web", "antiphon.client", "antiphon.testing"]
)
def test_every_public_name_has_a_docstring(package: str):
    missing = [text for name, value in public(package) for text in undocumented(name, value)]
    assert not missing


def test_names_in_words_are_in_the_reference():
    text = "".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    for name in IN_WORDS:
        assert f"{name}`" in text


def test_the_check_of_docstrings_sees_what_is_missing():
    class Bare(ModuleType):
        def method(self) -> None: ...

    Bare.__module__ = "antiphon.example"
    assert list(undocumented("Bare", Bare)) == ["Bare", "Bare.method"]


def test_each_threat_names_one_test_that_exists():
    page = (DOCS / "guide/security.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        *_, cell, _ = row.split("|")
        assert names_a_test(cell.strip().strip("`")), row


# -- what is generated


@pytest.fixture
def extension(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Function that imports one of the documentation's own extensions of Sphinx."""
    pytest.importorskip("sphinx", reason="builds the documentation; nox -s docs installs it")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    return importlib.import_module


def test_every_name_of_aiohttp_has_its_place(extension: Callable[[str], ModuleType]):
    names = extension("names")
    listed = names.listed()
    assert sum(map(len, listed.values())) > 400
    missing = [
        f"{module}.{name}"
        for module in listed
        for name in listed[module]
        if names.place_of(module, name) is None
    ]
    assert missing == []
    assert names.place_of("aiohttp", "NoSuchName") is None


def test_every_default_in_a_sentence_is_one(extension: Callable[[str], ModuleType]):
    public = extension("public")
    found = [
        text for page in PAGES for text in re.findall(r"\{default\}`([^`]+)`", page.read_text())
    ]
    assert len(found) > 10
    for text in found:
        assert public.default_of(text)
    with pytest.raises(KeyError):
        public.default_of("antiphon.web.run_app(no_such_argument)")


def test_pictures_name_files_that_exist_and_defaults_that_hold(
    extension: Callable[[str], ModuleType],
):
    pictures = extension("pictures")
    for _, place, _ in (*pictures.SERVER, *pictures.CLIENT):
        package = place.partition("/")[0]
        assert (ROOT / "packages" / package / "src/antiphon" / place).exists(), place
    drawn = pictures.timeouts()
    assert drawn.count("300 s") == 1
    fields = {field.name for field in attrs.fields(ClientTimeout)} - {"ceil_threshold"}
    assert fields == {name for name, _, _ in pictures.SPANS}


def test_ratios_of_the_benchmarks_are_of_medians(extension: Callable[[str], ModuleType]):
    table = extension("benchmarks").table
    rounds = {
        "plain": {
            "antiphon asyncio": [{"us": 9}, {"us": 10}, {"us": 90}],
            "other asyncio": [{"us": 30}],
        },
        "idle connection": {"antiphon asyncio": [{"us": 3000}]},
    }
    assert list(table(rounds)) == [
        ("plain", "antiphon asyncio", 10, 1.0, 3),
        ("plain", "other asyncio", 30, 3.0, 1),
    ]


def resolved(name: str) -> Any:
    """Return what Python calls *name*: a builtin, or something in a module."""
    parts = name.split(".")
    for size in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        break
    else:
        found, size = builtins, 0
    for part in parts[size:]:
        found = (
            asyncio.AbstractEventLoop
            if (found, part) == (asyncio, "loop")
            else getattr(found, part)
        )
    return found


def test_links_to_names_of_others_are_to_names_that_exist(extension: Callable[[str], ModuleType]):
    projects = extension("inventories").listed()
    assert set(projects) == {"python", "yarl", "multidict", "pytest"}
    for address, rows in projects.values():
        assert address.startswith("https://")
        for role, name, _ in rows:
            value = resolved(name)
            if role == "exception":
                assert issubclass(value, BaseException), name
            elif role == "function":
                assert callable(value), name


def test_an_inventory_is_what_sphinx_reads(extension: Callable[[str], ModuleType]):
    made = extension("inventories").inventory("python", [("class", "asyncio.Task", "a.html")])
    from sphinx.util.inventory import InventoryFile

    read = InventoryFile.loads(made, uri="https://x")
    assert read["py:class", "asyncio.Task"].uri == "https://x/a.html#asyncio.Task"
