"""What the tests of every part of core may use."""

import time
from collections.abc import Callable

import pytest

_ROUNDS = 3
_PATIENCE = 12


def _seconds(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started


def _assert_linear(work: Callable[[int], object], size: int, times: int = 8) -> None:
    best_of_small = best_of_large = float("inf")
    for attempt in range(1, _PATIENCE + 1):
        best_of_small = min(best_of_small, _seconds(work, size))
        best_of_large = min(best_of_large, _seconds(work, times * size))
        if attempt >= _ROUNDS and best_of_large < max(best_of_small, 1e-4) * times * 3:
            return
    raise AssertionError(
        f"{times} times as much takes {best_of_large / best_of_small:.1f} times as long: "
        f"{best_of_small * 1e3:.2f} and {best_of_large * 1e3:.2f} ms"
    )


@pytest.fixture(scope="session")
def assert_linear() -> Callable[..., None]:
    """Assert that *work*, called with a size, takes time in proportion to it.

    Processor time of this process, for *size* and *times* as much in turns. The best of several
    rounds counts, and another round is made as long as the answer is no: a busy machine can make
    a round slow, but not all of them. Eight times as much may take 24 times as long; work that is
    quadratic takes 64 times as long.
    """
    return _assert_linear
