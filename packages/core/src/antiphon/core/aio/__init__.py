"""asyncio glue: the only place below web and client that knows transports and tasks."""
