"""Both test listings of the FAQ pass as they are printed, without configuration or warning."""

from pathlib import Path

import pytest

import antiphon.testing.client  # so that the runs find it imported

HERE = Path(__file__).parent


@pytest.mark.parametrize(("listing", "count"), [("listing_first.py", 1), ("listing_full.py", 2)])
def test_listing_passes(pytester: pytest.Pytester, listing: str, count: int) -> None:
    pytester.syspathinsert()
    for source, target in [
        ("main.py", "main.py"),
        ("service_conftest.py", "conftest.py"),
        (listing, "test_listing.py"),
    ]:
        # As printed: neither formatted nor checked.
        (pytester.path / target).write_text((HERE / source).read_text())
    result = pytester.runpytest_inprocess(
        *("-p", "no:asyncio", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"), "-W", "error"
    )
    result.assert_outcomes(passed=count, warnings=0)
