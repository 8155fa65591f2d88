"""Names of fields and methods."""

import pytest
from multidict import CIMultiDict, istr

from antiphon.core import hdrs

FIELDS = {name: value for name, value in vars(hdrs).items() if isinstance(value, istr)}
METHODS = {
    name: value
    for name, value in vars(hdrs).items()
    if name.startswith("METH_") and name != "METH_ALL"
}


def test_fields_are_named_as_they_are_spelt() -> None:
    assert len(FIELDS) > 120
    for name, value in FIELDS.items():
        assert name.replace("_", "").lower() == value.replace("-", "").lower()


@pytest.mark.parametrize(
    "name", ["CONTENT_TYPE", "SET_COOKIE", "SEC_WEBSOCKET_KEY", "X_FORWARDED_FOR"]
)
def test_fields_are_found_whatever_their_case(name: str) -> None:
    assert CIMultiDict({FIELDS[name].lower(): "x"})[FIELDS[name]] == "x"


def test_methods_are_plain_text() -> None:
    assert {type(value) for value in METHODS.values()} == {str}
    assert set(METHODS.values()) - {"*"} == hdrs.METH_ALL
    assert hdrs.METH_ANY == "*"


def test_host_in_the_spellings_of_peers() -> None:
    assert {"Host", "host", "HOST"} == hdrs.HOST_ALL
