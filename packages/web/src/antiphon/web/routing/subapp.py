"""Sub-applications as resources: below a prefix, or at a domain."""

import abc
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from ._pattern import canonical_path
from .resources import PrefixResource, Resolve
from .routes import AbstractRoute

if TYPE_CHECKING:
    from ..app import Application
    from ..request import Request

__all__ = (
    "AbstractRuleMatching",
    "Domain",
    "MaskDomain",
    "MatchedSubAppResource",
    "PrefixedSubAppResource",
)


class PrefixedSubAppResource(PrefixResource):
    """A sub-application below a prefix: it answers for everything there, errors included."""

    def __init__(self, prefix: str, app: "Application") -> None:
        super().__init__(prefix)
        self._app = app
        if prefix:
            app.router.add_prefix(prefix)

    @property
    def app(self) -> "Application":
        """The sub-application."""
        return self._app

    def accepts(self, path: str, request: "Request") -> bool:
        """Whether a request with this canonical *path* is the sub-application's business."""
        return self.is_below(path)

    def add_prefix(self, prefix: str) -> None:
        super().add_prefix(prefix)
        if self._app.router.prefix != self._prefix:  # it may be here by several domains
            self._app.router.add_prefix(prefix)

    async def resolve(self, request: "Request") -> Resolve:
        if not self.accepts(canonical_path(request.rel_url.raw_path), request):
            return None, set()
        return await self._resolved(request)

    async def _resolved(self, request: "Request") -> Resolve:
        info = await self._app.router.resolve(request)
        info.add_app(self._app)
        allowed: set[str] = getattr(info.http_exception, "allowed_methods", set())
        return info, set(allowed)

    def url_for(self, *args: str, **kwargs: str) -> URL:
        raise RuntimeError(".url_for() is not supported by sub-application root")

    def get_info(self) -> dict[str, Any]:
        return {"app": self._app, "prefix": self._prefix}

    def __len__(self) -> int:
        return len(self._app.router.routes())

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._app.router.routes())

    def __repr__(self) -> str:
        return f"<PrefixedSubAppResource {self._prefix} -> {self._app!r}>"


class AbstractRuleMatching(abc.ABC):
    """Decides by something else than the path whether a request goes to a sub-application."""

    @abc.abstractmethod
    async def match(self, request: "Request") -> bool:
        """Whether *request* fits."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the rule, for people to read."""

    @property
    @abc.abstractmethod
    def canonical(self) -> str:
        """The rule as text."""


# RFC 1123 §2.1 labels, and the underscore that names in use have.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_MASK_LABEL: Final = re.compile(r"[a-z0-9_*-]{1,63}")


class Domain(AbstractRuleMatching):
    """One host name, with a port unless that is 80; letter case does not matter.

    Raises:
        TypeError: *domain* is no text.
        ValueError: *domain* is no domain.
    """

    def __init__(self, domain: str) -> None:
        self._domain = self._checked(domain)

    def _checked(self, domain: str) -> str:
        if not isinstance(domain, str):
            raise TypeError("Domain must be str")
        domain = domain.rstrip(".").lower()
        if not domain:
            raise ValueError("Domain cannot be empty")
        if "://" in domain:
            raise ValueError("Scheme not supported")
        try:
            url = URL(f"http://{domain}")
            host, port = url.raw_host or "", url.explicit_port
        except ValueError:
            raise ValueError("Domain not valid") from None
        if url.raw_path not in {"", "/"} or url.raw_query_string or url.user is not None:
            raise ValueError("Domain not valid")
        if ":" not in host and not all(map(self._label.fullmatch, host.split("."))):
            raise ValueError("Domain not valid")
        if ":" in host:
            host = f"[{host}]"
        return host if port in {None, 80} else f"{host}:{port}"

    _label: "re.Pattern[str]" = _LABEL

    @property
    def canonical(self) -> str:
        return self._domain

    async def match(self, request: "Request") -> bool:
        return self.match_domain(request.host)

    def match_domain(self, host: str) -> bool:
        """Whether the value of a ``Host`` field fits."""
        return _normal_host(host) == self._domain

    def get_info(self) -> dict[str, Any]:
        return {"domain": self._domain}


class MaskDomain(Domain):
    """Host names by a mask: ``*`` stands for any characters, dots included.

    Any port fits, unless the mask names one.
    """

    _label = _MASK_LABEL

    def __init__(self, domain: str) -> None:
        super().__init__(domain)
        host, _, port = self._domain.partition(":")
        self._pieces = host.split("*")
        self._port = port
        self._mask = re.escape(host).replace(r"\*", "[^:]*") + (f":{port}" if port else "(:.*)?")

    @property
    def canonical(self) -> str:
        return self._mask

    def match_domain(self, host: str) -> bool:
        name, _, port = _normal_host(host).partition(":")
        return (not self._port or port == self._port) and _fits(name, self._pieces)


def _normal_host(host: str) -> str:
    return host.lower().removesuffix(":80")


def _fits(text: str, pieces: Sequence[str]) -> bool:
    """Whether *text* is *pieces* with anything between them; in linear time."""
    first, *between, last = pieces
    if not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    if at > end:
        return False
    for piece in between:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


class MatchedSubAppResource(PrefixedSubAppResource):
    """A sub-application for requests that a rule fits; it answers for all of them."""

    def __init__(self, rule: AbstractRuleMatching, app: "Application") -> None:
        super().__init__("", app)
        self._rule = rule

    @property
    def rule(self) -> AbstractRuleMatching:
        """The rule."""
        return self._rule

    @property
    def canonical(self) -> str:
        return self._rule.canonical

    def accepts(self, path: str, request: "Request") -> bool:
        rule = self._rule
        return isinstance(rule, Domain) and rule.match_domain(request.host)

    async def resolve(self, request: "Request") -> Resolve:
        if not await self._rule.match(request):
            return None, set()
        return await self._resolved(request)

    @property
    def index_steps(self) -> tuple[Sequence[str | None], bool]:
        return (), True

    def get_info(self) -> dict[str, Any]:
        return {"app": self._app, "rule": self._rule}

    def __repr__(self) -> str:
        return f"<MatchedSubAppResource -> {self._app!r}>"
