"""Both test listings of the FAQ pass as they are printed, without configuration or warning."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize(("listing", "count"), [("listing_first.py", 1), ("listing_full.py", 2)])
def test_listing_passes(pytester: pytest.Pytester, listing: str, count: int) -> None:
    for source, target in [
        ("main.py", "main.py"),
        ("service_conftest.py", "conftest.py"),
        (listing, "test_listing.py"),
    ]:
        (pytester.path / target).write_text((HERE / source).read_text())
    result = pytester.runpytest_subprocess(
        "-p", "no:asyncio", "-p", "no:cacheprovider", "-W", "error", timeout=60
    )
    result.assert_outcomes(passed=count, warnings=0)
