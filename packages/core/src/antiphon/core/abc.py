"""The abstract classes that belong to no other package than this one.

What aiohttp publishes beside them in ``aiohttp.abc`` lives where it is used:
routers, match infos, views and access loggers in `antiphon.web`, resolvers and
cookie jars in `antiphon.client`.
"""

from .aio.writer import AbstractStreamWriter

__all__ = ("AbstractStreamWriter",)
