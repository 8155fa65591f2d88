"""What every fuzz target does when it is run as a program, with Atheris.

A target is a file ``fuzz_NAME.py`` with a function `fuzz_one`, which takes bytes and raises
`AssertionError` if a property does not hold. ``seeds/NAME/`` has what it starts from, and every
input that once showed a mistake; `test_fuzz_seeds.py` tries them in each run of the tests.
"""

import sys
from collections.abc import Callable
from types import FunctionType, ModuleType

import atheris  # type: ignore[import-untyped]  # it has no types


def fuzz(fuzz_one: Callable[[bytes], None], *watched: ModuleType | type) -> None:
    """Run until told to stop, led by the branches that are taken in *watched*.

    Only these: to watch all that is imported would take a minute before anything begins.
    """
    for owner in watched:
        for name, member in list(vars(owner).items()):
            if isinstance(member, FunctionType) and not (
                name.startswith("__") and name != "__str__"
            ):
                atheris.instrument_func(member)
            elif isinstance(member, type) and member.__module__ == getattr(owner, "__name__", None):
                for method in vars(member).values():
                    if isinstance(method, FunctionType) and not method.__name__.startswith("__"):
                        atheris.instrument_func(method)
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
