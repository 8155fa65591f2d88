"""Content-Disposition: what aiohttp's users know, by RFC 6266, 7578, 8187 and 2231."""

import warnings
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.disposition import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition_filename,
    content_disposition_header,
    parse_content_disposition,
    parse_disposition,
)

HEADER, PARAM = BadContentDispositionHeader, BadContentDispositionParam


@pytest.mark.parametrize(
    ("text", "type_", "parameters", "filename"),
    [
        pytest.param("attachment", "attachment", {}, None, id="type only"),
        pytest.param(" Attachment ", "attachment", {}, None, id="case and blanks"),
        pytest.param(
            'inline; filename="a.txt"', "inline", {"filename": "a.txt"}, "a.txt", id="quoted"
        ),
        pytest.param(
            "inline; filename=a.txt", "inline", {"filename": "a.txt"}, "a.txt", id="token"
        ),
        pytest.param('x;FileName="a"', "x", {"filename": "a"}, "a", id="no blank, case"),
        pytest.param('x ; filename = "a" ', "x", {"filename": "a"}, "a", id="blanks everywhere"),
        pytest.param(
            'form-data; name="x";filename="a;b;c"',
            "form-data",
            {"name": "x", "filename": "a;b;c"},
            "a;b;c",
            id="semicolons in quotes",
        ),
        pytest.param(r'x; filename="a\"b\\c"', "x", {"filename": 'a"b\\c'}, 'a"b\\c', id="escapes"),
        pytest.param('x; filename=""', "x", {"filename": ""}, "", id="empty"),
        pytest.param('x; filename="%41"', "x", {"filename": "%41"}, "%41", id="percent signs stay"),
        pytest.param(
            'x; filename="\u20ac"',
            "x",
            {"filename": "\u20ac"},
            "\u20ac",
            id="UTF-8 as sent by browsers",
        ),
        pytest.param(
            "x; filename*=UTF-8''%e2%82%ac%20rates",
            "x",
            {"filename*": "\u20ac rates"},
            "\u20ac rates",
            id="RFC 8187",
        ),
        pytest.param(
            "x; filename*=iso-8859-1'en'%A3; filename=a",
            "x",
            {"filename*": "\u00a3", "filename": "a"},
            "\u00a3",
            id="the extended one counts",
        ),
        pytest.param(
            "x; filename*=no-such''%41", "x", {"filename*": "A"}, "A", id="unknown charset"
        ),
        pytest.param(
            "x; filename*=UTF-8''%ff", "x", {"filename*": "\ufffd"}, "\ufffd", id="not UTF-8"
        ),
        pytest.param(
            'x; filename*0="foo."; filename*1="html"',
            "x",
            {"filename*0": "foo.", "filename*1": "html"},
            "foo.html",
            id="continuation, RFC 2231",
        ),
        pytest.param(
            "x; filename*1*=%c3%a4; filename*0*=UTF-8''foo-; filename*2=\".%41\"",
            "x",
            {"filename*1*": "%c3%a4", "filename*0*": "UTF-8''foo-", "filename*2": ".%41"},
            "foo-\u00e4.%41",
            id="extended continuation in any order",
        ),
        pytest.param(
            "x; filename*0*=UTF-8''%c3; filename*1*=%a4",
            "x",
            {"filename*0*": "UTF-8''%c3", "filename*1*": "%a4"},
            "\u00e4",
            id="a character over two pieces",
        ),
        pytest.param(
            "x; filename*0=a; filename*2=b",
            "x",
            {"filename*0": "a", "filename*2": "b"},
            "a",
            id="missing piece",
        ),
        pytest.param("x; filename*1=b", "x", {"filename*1": "b"}, None, id="missing first piece"),
        pytest.param("x; filename*00=b", "x", {"filename*00": "b"}, None, id="leading zero"),
        pytest.param(
            "x; filename*0=a; filename=b",
            "x",
            {"filename*0": "a", "filename": "b"},
            "b",
            id="whole name",
        ),
    ],
)
def test_well_formed(
    text: str, type_: str, parameters: dict[str, str], filename: str | None
) -> None:
    found = parse_content_disposition(text)
    assert found == (type_, parameters)
    assert content_disposition_filename(found[1]) == filename
    assert parse_disposition(text).faults == ()


@pytest.mark.parametrize(
    ("text", "expected", "category"),
    [
        pytest.param("bad value; x=y", (None, {}), HEADER, id="type of two words"),
        pytest.param('"x"; a=b', (None, {}), HEADER, id="quoted type"),
        pytest.param("; filename=a", (None, {}), HEADER, id="no type"),
        pytest.param("filename=a", (None, {}), HEADER, id="parameter for a type"),
        pytest.param("x; a=1; A=2", (None, {}), HEADER, id="one name twice"),
        pytest.param("x; filename", (None, {}), HEADER, id="no value"),
        pytest.param("x; filename=a b", (None, {}), HEADER, id="blank in a bare value"),
        pytest.param('x; filename="a', (None, {}), HEADER, id="quote that does not end"),
        pytest.param('x; filename="a"b', (None, {}), HEADER, id="text after a quote"),
        pytest.param("x; a=b, c", (None, {}), HEADER, id="comma"),
        pytest.param("x; a=b;", ("x", {"a": "b"}), HEADER, id="semicolon at the end"),
        pytest.param("x;; a=b", ("x", {"a": "b"}), HEADER, id="two semicolons"),
        pytest.param("x; =b; c=d", ("x", {"c": "d"}), HEADER, id="no name"),
        pytest.param("x; a*=\"UTF-8''b\"; c=d", ("x", {"c": "d"}), PARAM, id="extended in quotes"),
        pytest.param("x; a*=b; c=d", ("x", {"c": "d"}), PARAM, id="extended without charset"),
        pytest.param("x; a*=UTF-8'b; c=d", ("x", {"c": "d"}), PARAM, id="extended with one quote"),
    ],
)
def test_malformed(
    text: str, expected: tuple[str | None, Mapping[str, str]], category: type[Warning]
) -> None:
    with pytest.warns(category):
        assert parse_content_disposition(text) == expected


@pytest.mark.parametrize("text", [None, ""])
def test_nothing_says_nothing(text: str | None) -> None:
    assert parse_content_disposition(text) == (None, {})


def test_peers_cannot_fill_the_log_cve_2025_47287_cve_2024_53981() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for number in range(50):
            parse_content_disposition(f"x{number}; =;=;=;; a{number}*=x; b*=y; ;")
    assert len(caught) <= 3


@pytest.mark.parametrize(
    "end", ["&", "a=1; a=2"], ids=["then not a parameter", "then a parameter twice"]
)
def test_a_fault_that_is_repeated_is_told_once(end: str) -> None:
    disposition = parse_disposition("x" + ";;=`" * 500 + ";" + end)
    assert disposition.type is None
    assert len(disposition.faults) == len(set(disposition.faults)) <= 3


@pytest.mark.parametrize(
    ("text", "filename"),
    [
        pytest.param("x; filename*=utf-8''%41\udccd", "A\ufffd", id="extended"),
        pytest.param("x; filename*0*=utf-8''%41\udccd; filename*1=\udccd", "A\ufffd?", id="pieces"),
        pytest.param("x; filename*=latin-1''\udcc3\udca4%e4", "\u00c3\u00a4\u00e4", id="Latin-1"),
        pytest.param("x; filename=\udccd", "\udccd", id="plain"),
    ],
)
def test_bytes_outside_utf_8_are_no_error_of_ours(text: str, filename: str) -> None:
    assert content_disposition_filename(parse_disposition(text).parameters) == filename


def test_another_parameter_may_hold_the_name() -> None:
    _, parameters = parse_content_disposition("form-data; name*0=a; name*1=b")
    assert content_disposition_filename(parameters, "name") == "ab"
    assert content_disposition_filename(parameters) is None


@pytest.mark.parametrize(
    ("type_", "quote_fields", "parameters", "expected"),
    [
        ("attachment", True, {}, "attachment"),
        ("attachment", True, {"filename": "a.txt"}, 'attachment; filename="a.txt"'),
        ("attachment", True, {"filename": 'a "b"\\c'}, r'attachment; filename="a \"b\"\\c"'),
        (
            "attachment",
            True,
            {"filename": "\u20ac?.txt"},
            "attachment; filename=\"__.txt\"; filename*=utf-8''%E2%82%AC%3F.txt",
        ),
        (
            "form-data",
            True,
            {"name": "a b", "filename": "\u00e9.txt"},
            'form-data; name="a b"; filename="\u00e9.txt"',
        ),
        ("form-data", True, {"name": 'a"b\\c%22'}, r'form-data; name="a%22b\\c%22"'),
        ("form-data", False, {"name": 'a"b\\c'}, r'form-data; name="a\"b\\c"'),
        ("attachment", False, {"filename": "\u20ac"}, 'attachment; filename="\u20ac"'),
    ],
)
def test_written(type_: str, quote_fields: bool, parameters: dict[str, str], expected: str) -> None:
    assert content_disposition_header(type_, quote_fields, params=parameters) == expected


@pytest.mark.parametrize("quote_fields", [True, False])
@pytest.mark.parametrize("type_", ["form-data", "attachment"])
@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "a\r", "a\0", "\x7f"])
def test_no_control_character_goes_out_cve_2026_50269(
    quote_fields: bool, type_: str, value: str
) -> None:
    with pytest.raises(ValueError, match="control"):
        content_disposition_header(type_, quote_fields, params={"filename": value})


@pytest.mark.parametrize(
    ("type_", "name"),
    [("a b", "c"), ("a\r\n", "c"), ("", "c"), ("a", "b c"), ("a", "b\n"), ("a", "")],
)
def test_type_and_names_are_tokens(type_: str, name: str) -> None:
    with pytest.raises(ValueError, match="not a disposition"):
        content_disposition_header(type_, params={name: "x"})


VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(VALUES)
def test_attachments_round_trip(filename: str) -> None:
    text = content_disposition_header("attachment", params={"filename": filename})
    assert text.isascii()
    assert content_disposition_filename(parse_content_disposition(text)[1]) == filename


@given(VALUES, VALUES)
def test_form_data_round_trip(name: str, filename: str) -> None:
    parameters = {"name": name, "filename": filename}
    text = content_disposition_header("form-data", False, params=parameters)
    assert parse_content_disposition(text) == ("form-data", parameters)
    browsers = content_disposition_header("form-data", params=parameters)
    expected = {key: value.replace('"', "%22") for key, value in parameters.items()}
    assert parse_content_disposition(browsers) == ("form-data", expected)


@given(st.text(max_size=100))
def test_any_text_is_taken(text: str) -> None:
    for wire in (text, "x;" + text, 'x; filename="' + text, "x; filename*=" + text):
        content_disposition_filename(parse_disposition(wire).parameters)
