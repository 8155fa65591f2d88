"""HTTP and WebSocket client for asyncio: sessions and connection pools."""

__version__ = "0.1.0"
