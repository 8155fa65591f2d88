"""HTTP and WebSocket server for asyncio: applications, routing, middlewares."""

__version__ = "0.1.0"
