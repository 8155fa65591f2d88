"""``python -m antiphon.web module:app``: serve an application from the command line."""

from .cli import main

__all__ = ("main",)

if __name__ == "__main__":
    main()
