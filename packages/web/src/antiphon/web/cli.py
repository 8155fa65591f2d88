"""The command line: ``python -m antiphon.web module:app``, or ``antiphon-web``."""

import argparse
import asyncio
import importlib
import inspect
import logging
import os
import ssl
import sys
from collections.abc import Awaitable, Sequence
from typing import Any, Final, NoReturn

from .access_log import AbstractAccessLogger, AccessLogger, JSONAccessLogger, access_logger
from .app import Application
from .options import server_logger
from .routing._compose import is_new_style
from .routing.abc import AbstractView
from .run import run_app
from .sites import cannot_listen

__all__ = ("main",)

_LOGGERS: Final[dict[str, type[AbstractAccessLogger]]] = {
    "plain": AccessLogger,
    "json": JSONAccessLogger,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="antiphon-web",
        description="Serve an antiphon.web application.",
        epilog="Anything after the known options is given to a factory as a list of arguments.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "entry",
        metavar="module:name",
        help="an Application, or a function (async too) that gives one; it is called with the "
        "list of remaining arguments if there are any or it needs one",
    )
    parser.add_argument(
        "-H", "--host", "--hostname", action="append", metavar="HOST", dest="hosts",
        help="name or address to listen on; may be repeated (default: all interfaces)",
    )  # fmt: skip
    parser.add_argument(
        "-P", "--port", type=_port, metavar="PORT", help="TCP port (default: 8080, with TLS 8443)"
    )
    parser.add_argument(
        "-U", "--path", action="append", metavar="PATH", dest="paths",
        help="Unix domain socket to listen on; may be repeated",
    )  # fmt: skip
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain in PEM")
    parser.add_argument(
        "--tls-key", metavar="FILE", help="its private key, if not in the same file"
    )
    parser.add_argument(
        "--loop", choices=("auto", "asyncio", "uvloop"), default="auto",
        help="event loop; auto is uvloop where it is installed (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--access-log", choices=("plain", "json", "off"), default="plain",
        help="format of the access log on standard output (default: plain)",
    )  # fmt: skip
    parser.add_argument(
        "--access-log-format", metavar="FORMAT",
        help="for plain, such as '%%a %%t \"%%r\" %%s %%b %%Tf'; for json, further request fields",
    )  # fmt: skip
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info",
        help="level of everything but the access log (default: info)",
    )  # fmt: skip
    parser.add_argument(
        "--shutdown-timeout", type=_seconds, default=60.0, metavar="SECONDS",
        help="how long requests under way have at a stop (default: 60)",
    )  # fmt: skip
    parser.add_argument(
        "--keepalive-timeout", type=_seconds, default=75.0, metavar="SECONDS",
        help="how long idle connections are kept (default: 75)",
    )  # fmt: skip
    parser.add_argument(
        "--reuse-port", action="store_true", help="let several processes listen on the port"
    )
    parser.add_argument(
        "--debug", action="store_true", help="asyncio's debug mode, and tracebacks as answers"
    )
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535 is")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line *argv*, by default that of the process; ends it.

    Exit status 2 for wrong arguments.
    """
    parser = _parser()
    arguments, extra = parser.parse_known_args(argv)
    for argument in extra:
        if argument.startswith("-") and argument != "--":
            # argparse would hand a mistyped option to the factory.
            parser.error(f"unrecognized arguments: {argument}")
    entry = _load(parser, arguments.entry)
    ssl_context = _tls(parser, arguments)
    loop = _new_loop(parser, arguments.loop)
    loop.set_debug(arguments.debug)
    _configure_logging(arguments.log_level)
    options: dict[str, Any] = {"access_log": None}
    if arguments.access_log != "off":
        options = {
            "access_log": access_logger,
            "access_log_class": _LOGGERS[arguments.access_log],
            "access_log_format": arguments.access_log_format
            or ("" if arguments.access_log == "json" else None),
        }
        try:
            _LOGGERS[arguments.access_log](
                access_logger, options["access_log_format"] or AccessLogger.LOG_FORMAT
            )
        except ValueError as exc:
            parser.error(str(exc))
    app = _application(parser, entry, arguments.entry, [text for text in extra if text != "--"])
    try:
        run_app(
            app,
            host=arguments.hosts,
            port=arguments.port,
            path=arguments.paths,
            ssl_context=ssl_context,
            shutdown_timeout=arguments.shutdown_timeout,
            keepalive_timeout=arguments.keepalive_timeout,
            reuse_port=arguments.reuse_port or None,
            debug=arguments.debug,
            loop=loop,
            **options,
        )
    except OSError as exc:
        if not cannot_listen(exc):
            raise  # the application's own trouble, told with its traceback
        parser.exit(1, f"{parser.prog}: {exc.strerror or exc}\n")
    except _WrongFactoryError as exc:
        parser.error(str(exc))
    sys.exit(0)


class _WrongFactoryError(Exception):
    """An asynchronous factory gave something that is no application."""


def _load(parser: argparse.ArgumentParser, entry: str) -> Any:
    module_name, colon, name = entry.partition(":")
    if not (colon and module_name and name):
        parser.error(f"{entry!r} is not of the form module:name, such as service.main:app")
    if module_name.startswith("."):
        parser.error(f"{module_name!r}: relative module names are not supported")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        # One that the module itself lacks is the module's trouble, told with its traceback.
        if exc.name is None or not (module_name + ".").startswith(exc.name + "."):
            raise
        parser.error(f"there is no module {exc.name!r} here or among the installed ones")
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            parser.error(f"module {module_name!r} has no attribute {name!r}")
    return found


def _application(
    parser: argparse.ArgumentParser, entry: Any, spelled: str, extra: list[str]
) -> Application | Awaitable[Application]:
    if isinstance(entry, Application):
        if extra:
            parser.error(f"unrecognized arguments: {' '.join(extra)}")
        return entry
    if not callable(entry):
        parser.error(f"{spelled} is neither an Application nor a function that gives one")
    if _looks_like_a_handler(entry):
        parser.error(
            f"{spelled} takes a request: it is a handler, and what is served is the Application "
            "that it was added to"
        )
    takes_list, takes_nothing = _binds(entry, []), _binds(entry)
    if not (takes_list or takes_nothing):
        parser.error(f"{spelled} needs other arguments than one list")
    if extra and not takes_list:
        parser.error(f"unrecognized arguments: {' '.join(extra)}")
    made = entry() if takes_nothing and not extra else entry(extra)
    if inspect.isawaitable(made):
        return _checked(made, spelled)
    if not isinstance(made, Application):
        parser.error(f"{spelled} gave {type(made).__name__}, not an Application")
    return made


def _binds(factory: Any, *arguments: Any) -> bool:
    """Whether *factory* can be called with *arguments*."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return not arguments  # built in; nobody knows
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _looks_like_a_handler(entry: Any) -> bool:
    if isinstance(entry, type):
        return issubclass(entry, AbstractView)
    return is_new_style(entry)


async def _checked(made: Awaitable[Any], spelled: str) -> Application:
    app = await made
    if not isinstance(app, Application):
        # Not told here: inside the loop, ending the process has a traceback for a message.
        raise _WrongFactoryError(f"{spelled} gave {type(app).__name__}, not an Application")
    return app


def _tls(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.tls_cert is None:
        if arguments.tls_key is not None:
            parser.error("--tls-key needs --tls-cert")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    except (OSError, ssl.SSLError) as exc:
        parser.error(f"cannot use certificate {arguments.tls_cert!r}: {exc}")
    return context


def _new_loop(parser: argparse.ArgumentParser, name: str) -> asyncio.AbstractEventLoop:
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                parser.error("uvloop is not installed: pip install 'antiphon-web[uvloop]'")
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()


def _configure_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    server_logger.setLevel(level.upper())
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    access_logger.addHandler(handler)
    access_logger.setLevel(logging.INFO)
    access_logger.propagate = False
