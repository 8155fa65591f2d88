"""Listening sockets."""

import abc
import asyncio
import contextlib
import os
import socket
import stat
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from antiphon.core.deprecations import warn_deprecated

if TYPE_CHECKING:
    from .runner import BaseRunner

_MARK: Final = "_antiphon_site"

__all__ = ("BaseSite", "NamedPipeSite", "SockSite", "TCPSite", "UnixSite")


class BaseSite(abc.ABC):
    """One listening socket (or a few with one name) of a runner.

    Args:
        runner: Who serves what comes in; set up already.
        shutdown_timeout: Obsolete (ANT-0025) and not used: it is the runner's.
        ssl_context: Speak TLS.
        backlog: Connections the system keeps waiting.

    Raises:
        RuntimeError: The runner is not set up.
    """

    def __init__(
        self,
        runner: "BaseRunner",
        *,
        shutdown_timeout: float | None = None,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        if runner.server is None:
            raise RuntimeError("Call runner.setup() before making a site")
        if shutdown_timeout is not None:
            warn_deprecated("ANT-0025")
        self._runner = runner
        self._ssl_context = ssl_context
        self._backlog = backlog
        self._server: asyncio.AbstractServer | None = None

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Where it can be reached, for people to read."""

    @property
    def _place(self) -> str:
        """Where it would listen, for error messages."""
        return self.name

    @abc.abstractmethod
    async def _listen(self) -> asyncio.AbstractServer:
        """Open the sockets."""

    async def start(self) -> None:
        """Listen.

        Raises:
            RuntimeError: The site was started already.
            OSError: The address cannot be had; the text names it.
        """
        self._runner._register(self)
        try:
            self._server = await self._listen()
        except OSError as exc:
            self._runner._unregister(self)
            raise _cannot_listen(self._place, exc) from exc
        except BaseException:
            self._runner._unregister(self)
            raise

    async def stop(self) -> None:
        """Stop listening; connections live on."""
        self._runner._check(self)
        if self._server is not None:
            # Not wait_closed(): from Python 3.12 on that waits for the connections, too.
            self._server.close()
            self._server = None
        self._runner._unregister(self)

    @property
    def sockets(self) -> "tuple[Any, ...]":
        """The listening sockets, none before `start`."""
        return tuple(getattr(self._server, "sockets", None) or ())

    def _factory(self) -> Any:
        server = self._runner.server
        if server is None:
            raise RuntimeError("The runner was cleaned up")
        return server

    def _tls(self) -> dict[str, Any]:
        """What a listening socket is to know about TLS."""
        if self._ssl_context is None:
            return {}
        timeout = self._factory().tls_handshake_timeout
        return {"ssl": self._ssl_context, "ssl_handshake_timeout": timeout}


def cannot_listen(exc: BaseException) -> bool:
    """Whether *exc* is about an address that a site could not have."""
    return hasattr(exc, _MARK)


def _cannot_listen(name: str, exc: OSError) -> OSError:
    """An error of the same kind whose text can be shown to people: loops say little, and less about
    where."""
    number = exc.errno
    if isinstance(exc, socket.gaierror):
        error: OSError = socket.gaierror(number, f"cannot listen on {name}: {exc.strerror}")
    elif number is None:
        error = OSError(f"cannot listen on {name}: {exc}")
    else:
        # By its number OSError becomes PermissionError and so on.
        error = OSError(number, f"cannot listen on {name}: {os.strerror(number)}")
    setattr(error, _MARK, name)
    return error


class TCPSite(BaseSite):
    """Listens on TCP.

    Args:
        host: A name or address; all interfaces, IPv4 and IPv6, if ``None``.
        port: 8443 with *ssl_context* and else 8080 if ``None``; 0 for any that is free.
        reuse_address: As `asyncio.loop.create_server` says.
        reuse_port: Let several processes listen on one port.
    """

    def __init__(
        self,
        runner: "BaseRunner",
        host: str | None = None,
        port: int | None = None,
        *,
        shutdown_timeout: float | None = None,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._host = host
        self._port = (8443 if ssl_context is not None else 8080) if port is None else port
        self._reuse_address = reuse_address
        self._reuse_port = reuse_port

    @property
    def name(self) -> str:
        """Such as ``http://0.0.0.0:8080``."""
        scheme = "http" if self._ssl_context is None else "https"
        return str(URL.build(scheme=scheme, host=self._host or "0.0.0.0", port=self.port))

    @property
    def _place(self) -> str:
        # Not the name: a host that cannot be had may be none at all.
        return f"{self._host or 'all interfaces'}, port {self._port}"

    @property
    def port(self) -> int:
        """The port; the real one once `start` found one that is free."""
        for sock in self.sockets:
            return int(sock.getsockname()[1])
        return self._port

    async def _listen(self) -> asyncio.AbstractServer:
        return await asyncio.get_running_loop().create_server(
            self._factory(),
            self._host,
            self._port,
            backlog=self._backlog,
            reuse_address=self._reuse_address,
            reuse_port=self._reuse_port,
            **self._tls(),
        )


class UnixSite(BaseSite):
    """Listens on a Unix domain socket, and removes its file afterwards.

    Args:
        path: The file; ``"\\0name"`` for Linux's abstract ones. A socket left over there
            is replaced.
    """

    def __init__(
        self,
        runner: "BaseRunner",
        path: "str | os.PathLike[str]",
        *,
        shutdown_timeout: float | None = None,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._path = os.fspath(path)
        self._inode: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Such as ``http://unix:/run/service.sock:``."""
        scheme = "http" if self._ssl_context is None else "https"
        return f"{scheme}://unix:{self._path}:"

    @property
    def _place(self) -> str:
        return f"the Unix socket {self._path}"

    async def _listen(self) -> asyncio.AbstractServer:
        server = await asyncio.get_running_loop().create_unix_server(
            self._factory(), self._path, backlog=self._backlog, **self._tls()
        )
        self._inode = _socket_inode(self._path)
        return server

    async def stop(self) -> None:
        """Stop listening; connections live on."""
        await super().stop()
        # Only our own file: somebody may be listening on a newer one of the same name.
        if self._inode is not None and _socket_inode(self._path) == self._inode:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
        self._inode = None


def _socket_inode(path: str) -> tuple[int, int] | None:
    if path.startswith("\0"):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISSOCK(status.st_mode) else None


class NamedPipeSite(BaseSite):
    """Listens on a named pipe of Windows.

    Args:
        path: Such as ``\\\\.\\pipe\\service``.

    Raises:
        RuntimeError: The running loop is not Windows' proactor loop.
    """

    def __init__(
        self, runner: "BaseRunner", path: str, *, shutdown_timeout: float | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        if not hasattr(loop, "start_serving_pipe"):
            raise RuntimeError("Named Pipes only available in proactor loop under windows")
        super().__init__(runner, shutdown_timeout=shutdown_timeout)
        self._path = path

    @property
    def name(self) -> str:
        """The path of the pipe."""
        return self._path

    async def _listen(self) -> asyncio.AbstractServer:
        loop: Any = asyncio.get_running_loop()  # typeshed knows the method on Windows only
        servers = await loop.start_serving_pipe(self._factory(), self._path)
        server: asyncio.AbstractServer = servers[0]
        return server


class SockSite(BaseSite):
    """Listens on a socket made elsewhere, bound already.

    Args:
        sock: Taken over: closed when the site stops.
    """

    def __init__(
        self,
        runner: "BaseRunner",
        sock: socket.socket,
        *,
        shutdown_timeout: float | None = None,
        ssl_context: SSLContext | None = None,
        backlog: int = 128,
    ) -> None:
        super().__init__(
            runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog
        )
        self._sock = sock
        scheme = "http" if ssl_context is None else "https"
        address = sock.getsockname()
        if hasattr(socket, "AF_UNIX") and sock.family == socket.AF_UNIX:
            self._name = f"{scheme}://unix:{address}:"
        else:
            self._name = str(URL.build(scheme=scheme, host=address[0], port=address[1]))

    @property
    def name(self) -> str:
        """Such as ``http://127.0.0.1:8080``."""
        return self._name

    async def _listen(self) -> asyncio.AbstractServer:
        return await asyncio.get_running_loop().create_server(
            self._factory(), sock=self._sock, backlog=self._backlog, **self._tls()
        )
