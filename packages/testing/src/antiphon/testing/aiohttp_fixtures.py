"""The fixtures of pytest-aiohttp under their own names; opt in with one line of ``conftest.py``::

pytest_plugins = ["antiphon.testing.aiohttp_fixtures"]
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

__all__ = (
    "aiohttp_client",
    "aiohttp_client_cls",
    "aiohttp_raw_server",
    "aiohttp_server",
    "aiohttp_unused_port",
)


@pytest.fixture
def aiohttp_client_cls(antiphon_client_cls: type[Any]) -> type[Any]:
    """The same as ``antiphon_client_cls``."""
    return antiphon_client_cls


@pytest.fixture
def aiohttp_client(test_client: Any, aiohttp_client_cls: type[Any]) -> Any:
    """The same as ``test_client``, made of ``aiohttp_client_cls``."""
    return partial(test_client, client_class=aiohttp_client_cls)


@pytest.fixture
def aiohttp_server(test_server: Any) -> Any:
    """The same as ``test_server``."""
    return test_server


@pytest.fixture
def aiohttp_raw_server(raw_test_server: Any) -> Any:
    """The same as ``raw_test_server``."""
    return raw_test_server


@pytest.fixture
def aiohttp_unused_port(unused_port: Callable[[], int]) -> Callable[[], int]:
    """The same as ``unused_port``."""
    return unused_port
