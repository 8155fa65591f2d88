"""What the environment says about proxies and passwords; only with ``trust_env=True``."""

import asyncio
import ipaddress
import logging
import netrc
import os
import pathlib
import sys
import urllib.request
from typing import Final, NamedTuple, final

from yarl import URL

from ._target import Target

__all__ = ("NetrcFile", "bypasses_proxy", "proxy_from_environment")

_logger: Final = logging.getLogger("antiphon.client")

_PROXY_SCHEME: Final = {"ws": "http", "wss": "https"}


def proxy_from_environment(target: Target) -> URL | None:
    """Return the proxy that the environment names for *target*, ``None`` if it names none.

    ``http_proxy``, ``https_proxy``, ``ws_proxy``, ``wss_proxy`` and ``all_proxy`` count, in
    either case, and what macOS and Windows have in their settings; ``no_proxy`` as
    `bypasses_proxy` says. Under CGI ``HTTP_PROXY`` does not count: there it is a header
    field of whoever made the request.
    """
    proxies = urllib.request.getproxies()
    if not proxies or bypasses_proxy(proxies.get("no", ""), target):
        return None
    fallback = _PROXY_SCHEME.get(target.scheme, target.scheme)
    value = proxies.get(target.scheme) or proxies.get(fallback) or proxies.get("all")
    if not value:
        return None
    # "host:port" alone is common, and means an HTTP proxy.
    return URL(value if "://" in value else f"http://{value}")


def bypasses_proxy(no_proxy: str, target: Target) -> bool:
    """Whether *target* is among what *no_proxy* lists, separated by commas.

    ========================= ====================================================
    ``*``                     everything
    ``example.com``           the host and everything below it
    ``.example.com``          the same
    ``example.com:8080``      likewise, on this port only
    ``192.0.2.1``, ``::1``    the address
    ``192.0.2.0/24``          the network
    ========================= ====================================================
    """
    host = target.host.lower().rstrip(".")
    address = _address(host)
    for entry in no_proxy.lower().split(","):
        entry = entry.strip()
        if not entry:
            continue
        if entry == "*":
            return True
        if address is not None and "/" in entry:
            if _in_network(address, entry):
                return True
            continue
        name, port = _split_port(entry)
        if port is not None and port != target.port:
            continue
        if address is not None:
            if _address(name.strip("[]")) == address:
                return True
            continue
        name = name.removeprefix("*").strip(".")
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _in_network(address: _Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _split_port(entry: str) -> tuple[str, int | None]:
    name, colon, port = entry.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return name, int(port)
    return entry, None


class Login(NamedTuple):
    """A user and a password."""

    login: str
    password: str


class _Stamp(NamedTuple):
    path: str
    modified: int
    size: int


@final
class NetrcFile:
    """The user's ``.netrc``, read again when it has changed; never on the event loop."""

    __slots__ = ("_entries", "_stamp")

    def __init__(self) -> None:
        self._stamp: _Stamp | None = None
        self._entries: netrc.netrc | None = None

    async def login_for(self, host: str, *, redirected: bool = False) -> Login | None:
        """Return the entry for exactly *host*, or the ``default`` entry.

        Args:
            host: The host of the URL, and nothing else of it (CVE-2024-47081).
            redirected: A server chose the host: then ``default`` is not for it.
        """
        await self._refresh()
        entries = self._entries
        if entries is None:
            return None
        found = entries.hosts.get(host)
        if found is None and not redirected:
            found = entries.hosts.get("default")
        if found is None:
            return None
        login, account, password = found
        return Login(login or account or "", password or "")

    async def _refresh(self) -> None:
        stamp = _stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._entries = None if stamp is None else await asyncio.to_thread(_read, stamp.path)


def _stamp() -> _Stamp | None:
    named = os.environ.get("NETRC")
    try:
        if named:
            path = pathlib.Path(named).expanduser()
        else:
            home = pathlib.Path.home()
            path = home / ("_netrc" if sys.platform == "win32" else ".netrc")
        facts = path.stat()
    except (OSError, RuntimeError) as exc:
        # RuntimeError: there is no home directory.
        if named:
            _logger.warning("Could not read the .netrc file NETRC points to: %s", exc)
        return None
    return _Stamp(str(path), facts.st_mtime_ns, facts.st_size)


def _read(path: str) -> netrc.netrc | None:
    try:
        return netrc.netrc(path)
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as exc:
        _logger.warning("Could not read .netrc file: %s", exc)
        return None
