"""pytest plugin, test server and test client for antiphon."""

__version__ = "0.1.0"
