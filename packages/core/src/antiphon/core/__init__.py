"""Streams, the HTTP parser and the WebSocket protocol of antiphon."""

__version__ = "0.1.0"
