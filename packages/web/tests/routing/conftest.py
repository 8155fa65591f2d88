"""What the router asks of a request, and nothing else."""

from typing import Any

import pytest
from yarl import URL


class AskedRequest:
    """A request as far as routing looks at it."""

    def __init__(self, method: str, target: str, host: str = "localhost") -> None:
        self.method = method
        self.rel_url = URL.build(
            path=target.partition("?")[0], query_string=target.partition("?")[2], encoded=True
        )
        self.host = host
        self.headers: dict[str, str] = {}
        self._match_info: Any = None

    @property
    def match_info(self) -> Any:
        return self._match_info

    @property
    def app(self) -> Any:
        return self._match_info.current_app

    def clone(self, *, rel_url: str) -> "AskedRequest":
        return AskedRequest(self.method, rel_url, self.host)


@pytest.fixture
def make_request() -> type[AskedRequest]:
    return AskedRequest
