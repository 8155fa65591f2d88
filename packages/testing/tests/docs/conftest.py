"""What the tests of the documentation share: its files, as modules."""

import importlib.util
import pathlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

DOCS = pathlib.Path(__file__).resolve().parents[4] / "docs"


@pytest.fixture
def docs() -> pathlib.Path:
    """The folder of the documentation."""
    return DOCS


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Function that imports a file below ``docs/examples``, its neighbours importable."""
    before = set(sys.modules)

    def load(path: str) -> ModuleType:
        file = DOCS / "examples" / path
        monkeypatch.syspath_prepend(str(file.parent))
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        spec.loader.exec_module(module)
        return module

    yield load
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and DOCS in pathlib.Path(file).parents:
            del sys.modules[name]
