"""The samples in the READMEs work, each as it stands there."""

import asyncio
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]

pytestmark = pytest.mark.subprocess

SERVER, CLIENT, TEST = "create_app():", "ClientSession()", "def test_"


def sample(readme: str, sign: str) -> str:
    """Return the block of Python in *readme* that has *sign* in it."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / readme).read_text(), re.M | re.S)
    (found,) = [block for block in blocks if sign in block]
    return found


@pytest.mark.parametrize("readme", ["README.md", "packages/client/README.md"])
async def test_the_client_of_a_readme_prints_what_it_got(test_server, example, readme: str):
    server = await test_server(example("start/hello.py").create_app)
    source = sample(readme, CLIENT)
    assert "http://127.0.0.1:8080/" in source
    source = source.replace("http://127.0.0.1:8080/", str(server.make_url("/")))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", source, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.decode().strip() == "200 Hello, world!"


@pytest.mark.parametrize("server", ["README.md", "packages/web/README.md"])
@pytest.mark.parametrize("test", ["README.md", "packages/testing/README.md"])
def test_the_test_of_a_readme_passes_with_its_server(
    tmp_path: pathlib.Path, server: str, test: str
):
    (tmp_path / "hello.py").write_text(sample(server, SERVER))
    (tmp_path / "test_hello.py").write_text(sample(test, TEST))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path,
         "-c", os.devnull, "-p", "no:asyncio", "-p", "no:anyio", "-W", "error", tmp_path],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
