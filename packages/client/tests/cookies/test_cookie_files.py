"""Cookies in files: JSON only, for their owner only, and read as strictly as what servers send."""

import json
import os
import pickle
import stat
from pathlib import Path

import pytest
from yarl import URL

from antiphon.client.cookiejar import CookieJar


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def filled() -> CookieJar:
    jar = CookieJar()
    jar.update_from_headers(
        [
            'a="x y"',
            "b=2; Domain=example.com; Path=/x; Secure; HttpOnly; SameSite=Lax; Partitioned",
        ],
        URL("https://www.example.com/"),
    )
    jar.update_cookies({"everywhere": "é"})
    return jar


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    jar = filled()
    jar.save(tmp_path / "jar")
    other = CookieJar()
    other.load(str(tmp_path / "jar"))
    for url in ("https://www.example.com/x", "http://www.example.com/", "https://q.example.com/x"):
        assert other.header_for(URL(url)) == jar.header_for(URL(url))
    assert [str(morsel) for morsel in other] == [str(morsel) for morsel in jar]


def test_host_only_stays_host_only(tmp_path: Path) -> None:
    """CVE-2026-54279"""
    jar = CookieJar()
    jar.update_from_headers(["a=1"], URL("http://example.com/"))
    jar.save(tmp_path / "jar")
    other = CookieJar()
    other.load(tmp_path / "jar")
    assert other.header_for(URL("http://www.example.com/")) == ""
    assert other.header_for(URL("http://example.com/")) == "a=1"
    assert other.host_only_cookies == jar.host_only_cookies


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "jar"
    path.write_text("old")
    path.chmod(0o644)
    filled().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["jar"]


def test_what_ends_goes_on_to_end(tmp_path: Path) -> None:
    clock = Clock()
    jar = CookieJar(clock=clock)
    jar.update_from_headers(["a=1; Max-Age=60", "b=2; Max-Age=3600"], URL("http://h.com/"))
    jar.save(tmp_path / "jar")
    clock.now += 100
    other = CookieJar(clock=clock)
    other.load(tmp_path / "jar")
    assert other.header_for(URL("http://h.com/")) == "b=2"
    clock.now += 3600
    assert len(other) == 0


def test_loading_replaces(tmp_path: Path) -> None:
    filled().save(tmp_path / "jar")
    jar = CookieJar()
    jar.update_cookies({"old": "1"})
    jar.load(tmp_path / "jar")
    assert "old" not in {morsel.key for morsel in jar}


class Boom:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("pickle-was-run",))


def test_pickles_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-34993"""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "jar"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Boom(), protocol))
        with pytest.raises(ValueError):
            CookieJar().load(path)
    assert os.listdir(tmp_path) == ["jar"]


GOOD = {"name": "a", "value": "b", "domain": "h.com", "path": "/", "host_only": True}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b'{"a": 1}', id="another file"),
        pytest.param(b"\xff\xfe", id="not text"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        *(
            pytest.param(json.dumps({"cookies": [GOOD, {**GOOD, **bad}]}).encode(), id=f"{bad}")
            for bad in (
                {"name": "a;b"},
                {"name": "a\r\nb"},
                {"value": "x;y"},
                {"value": "x\ny"},
                {"value": 5},
                {"value": "x" * 5000},
                {"domain": None},
                {"domain": ""},
                {"expires": "tomorrow"},
            )
        ),
    ],
)
def test_a_malformed_file_changes_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jar"
    path.write_bytes(content)
    jar = CookieJar()
    jar.update_cookies({"old": "1"})
    with pytest.raises(ValueError):
        jar.load(path)
    assert len(jar) == 1


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param({"domain": "com", "host_only": False}, id="one label"),
        pytest.param({"domain": "127.0.0.1"}, id="an address"),
        pytest.param({"name": "__Host-a"}, id="__Host- that is not secure"),
        pytest.param({"expires": 0}, id="ended"),
    ],
)
def test_rules_hold_for_files_too(tmp_path: Path, refused: dict[str, object]) -> None:
    path = tmp_path / "jar"
    path.write_text(json.dumps({"cookies": [{**GOOD, **refused}]}))
    jar = CookieJar()
    jar.load(path)
    assert len(jar) == 0


def test_limits_hold_for_files_too(tmp_path: Path) -> None:
    path = tmp_path / "jar"
    path.write_text(json.dumps({"cookies": [{**GOOD, "name": f"c{n}"} for n in range(1000)]}))
    jar = CookieJar()
    jar.load(path)
    assert len(jar) <= 180


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CookieJar().load(tmp_path / "jar")


def test_files_of_aiohttp_3_14_are_read(tmp_path: Path) -> None:
    path = tmp_path / "jar"
    path.write_text(
        json.dumps({
            "example.com|/x": {
                "a": {
                    "key": "a",
                    "value": "b c",
                    "coded_value": '"b c"',
                    "path": "/x",
                    "domain": "example.com",
                    "secure": True,
                }
            },
            "h.com|": {
                "h": {
                    "key": "h",
                    "value": "1",
                    "coded_value": "1",
                    "path": "/",
                    "domain": "h.com",
                    "host_only": True,
                    "max-age": "60",
                },
                "gone": {
                    "key": "gone",
                    "value": "1",
                    "coded_value": "1",
                    "path": "/",
                    "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
                },
            },
            "|": {"all": {"key": "all", "value": "v", "coded_value": "v", "path": "/"}},
        })
    )
    jar = CookieJar()
    jar.load(path)
    assert jar.header_for(URL("https://www.example.com/x/y")) == 'a="b c"; all=v'
    assert jar.header_for(URL("http://h.com/")) == "h=1; all=v"
    assert jar.header_for(URL("http://x.h.com/")) == "all=v"
