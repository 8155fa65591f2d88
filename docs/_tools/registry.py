"""The registry of what is obsolete: docs/deprecations.toml, and the rules for it."""

import calendar
import dataclasses
import datetime as dt
import re
import tomllib
from collections.abc import Iterable
from typing import Any, Final

from packaging.version import Version
from repository import Repository, is_breaking

PATH: Final = "docs/deprecations.toml"
MONTHS: Final = 18
"""How long an obsolete object stays at least."""

KINDS: Final = frozenset({
    "argument",
    "attribute",
    "behaviour",
    "class",
    "function",
    "method",
    "module",
})
PACKAGES: Final = frozenset({
    "antiphon-core",
    "antiphon-web",
    "antiphon-client",
    "antiphon-testing",
})
STATES: Final = frozenset({"warning", "removed"})

_ID: Final = re.compile(r"ANT-[0-9]{4}")
_NAME: Final = re.compile(r"(antiphon(?:\.[A-Za-z_]\w*)+)(?:\(((?:[a-z_]+=(?:, )?)+)\))?")


class RegistryError(Exception):
    """The registry cannot be read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One obsolete object.

    Attributes:
        id: ``ANT-`` and four digits, never used twice.
        package: The distribution that has the object and that removes it.
        object: Its public name, ``antiphon.web.Application(loop=)`` for an
            argument; or words, where it has none or several.
        kind: One of `KINDS`.
        since: The release that first warns.
        since_date: The day of that release.
        remove_not_before: The first day on which a release may go without it.
        replacement: What to do instead, as a sentence without its full stop.
        state: ``warning``, or ``removed`` when it is gone.
        names: The public names that it goes by, where *object* is words.
        plural: The words of *object* are about several things.
        removed_in: The release that went without it.
        removed_date: The day of that release.
    """

    id: str
    package: str
    object: str
    kind: str
    since: str
    since_date: dt.date
    remove_not_before: dt.date
    replacement: str
    state: str
    names: tuple[str, ...] = ()
    plural: bool = False
    removed_in: str | None = None
    removed_date: dt.date | None = None

    @property
    def short_package(self) -> str:
        """The name of the package's folder."""
        return self.package.removeprefix("antiphon-")

    @property
    def is_named(self) -> bool:
        """Whether `object` is a public name, rather than words."""
        return _NAME.fullmatch(self.object) is not None

    def public_names(self) -> list[str]:
        """Return each public name that is obsolete, one argument at a time."""
        return [name for text in self.names or (self.object,) for name in expanded(text)]


def expanded(text: str) -> list[str]:
    """Return the public names in *text*: ``f(a=, b=)`` are ``f(a=)`` and ``f(b=)``; words are none."""
    found = _NAME.fullmatch(text)
    if found is None:
        return []
    if found[2] is None:
        return [found[1]]
    return [f"{found[1]}({argument.strip()})" for argument in found[2].split(",")]


def parse(text: str) -> list[Entry]:
    """Return the entries of a registry.

    Raises:
        RegistryError: A field is missing, unknown or of the wrong type.
    """
    return [_entry(table) for table in tomllib.loads(text).get("entry", [])]


def load(repository: Repository) -> list[Entry]:
    """Return the entries of the registry of *repository*."""
    return parse((repository.root / PATH).read_text())


def _entry(table: dict[str, Any]) -> Entry:  # Any: whatever TOML holds
    where = table.get("id", "an entry without id")
    values = dict(table)
    for field in dataclasses.fields(Entry):
        if field.name not in values:
            if field.default is dataclasses.MISSING:
                raise RegistryError(f"{where}: {field.name} is missing")
            continue
        value = values[field.name]
        if field.name == "names":
            values["names"] = value = tuple(value)
        wanted = (
            dt.date if "date" in field.name or "before" in field.name
            else tuple if field.name == "names"
            else bool if field.name == "plural"
            else str
        )  # fmt: skip
        if not isinstance(value, wanted):
            raise RegistryError(f"{where}: {field.name} is {value!r}, not a {wanted.__name__}")
    unknown = values.keys() - {field.name for field in dataclasses.fields(Entry)}
    if unknown:
        raise RegistryError(f"{where}: unknown: {', '.join(sorted(unknown))}")
    return Entry(**values)


def months_after(day: dt.date, months: int) -> dt.date:
    """Return the day *months* calendar months after *day*, the month's last where there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(day.day, last))


def problems(entries: Iterable[Entry]) -> list[str]:
    """Return what is wrong with *entries* by themselves."""
    found: list[str] = []
    for number, entry in enumerate(entries, 1):
        expected = f"ANT-{number:04}"
        if entry.id != expected:
            found.append(
                f"{entry.id}: expected {expected} here; ids count up and entries stay for ever"
            )
        found += [f"{entry.id}: {problem}" for problem in _entry_problems(entry)]
    return found


def _entry_problems(entry: Entry) -> Iterable[str]:
    for field, known in (("kind", KINDS), ("package", PACKAGES), ("state", STATES)):
        if getattr(entry, field) not in known:
            yield f"{field} {getattr(entry, field)!r} is none of {', '.join(sorted(known))}"
    for name in entry.names:
        if not expanded(name):
            yield f"{name!r} is no public name such as antiphon.web.f or antiphon.web.f(argument=)"
    if entry.kind != "behaviour" and not entry.public_names():
        yield f"{entry.object!r} is words: list the public names under names"
    if entry.replacement.endswith(".") or not entry.replacement[:1].isupper():
        yield "the replacement is a sentence with a capital letter and without full stop"
    earliest = months_after(entry.since_date, MONTHS)
    if entry.remove_not_before < earliest:
        yield (
            f"may go on {entry.remove_not_before}, less than {MONTHS} months after {entry.since_date};"
            f" not before {earliest}"
        )
    yield from _removal_problems(entry)


def _removal_problems(entry: Entry) -> Iterable[str]:
    if entry.state != "removed":
        if entry.removed_in is not None or entry.removed_date is not None:
            yield "has a date or version of removal, but is not removed"
        return
    if entry.removed_in is None or entry.removed_date is None:
        yield "is removed, but removed_in and removed_date do not say when"
        return
    if entry.removed_date < entry.remove_not_before:
        yield f"removed on {entry.removed_date}, before {entry.remove_not_before}"
    removed, since = Version(entry.removed_in), Version(entry.since)
    first = removed.minor == removed.micro == 0 if removed.major else removed.micro == 0
    if not is_breaking(since, removed) or not first or removed.is_prerelease:
        yield f"removed in {removed}, which is no major release of {entry.package} after {since}"


def history_problems(repository: Repository, entries: Iterable[Entry]) -> list[str]:
    """Return what is wrong with *entries* beside those that releases have had."""
    now = {entry.id: entry for entry in entries}
    found: list[str] = []
    for package in ("core", "web", "client", "testing"):
        tag = repository.last_tag(package)
        text = None if tag is None else repository.text_at(tag, PATH)
        if tag is None or text is None:
            continue
        then = {entry.id: entry for entry in parse(text)}
        released = repository.releases(package)[-1]
        for id, old in then.items():
            if id not in now:
                found.append(f"{id}: deleted, but {tag} has it; entries stay for ever")
            elif old.short_package == package and Version(old.since) <= released:
                found += [f"{id}: {problem} {tag}" for problem in _changed(old, now[id])]
        for id in now.keys() - then.keys():
            if now[id].short_package == package and Version(now[id].since) <= released:
                found.append(f"{id}: says since {now[id].since}, but {tag} came without it")
    return sorted(set(found))


def _changed(old: Entry, new: Entry) -> Iterable[str]:
    if (new.package, new.object) != (old.package, old.object):
        yield "is about something else than in"
    if new.since_date < old.since_date or new.remove_not_before < old.remove_not_before:
        yield "has earlier dates than in"
    if old.state == "removed" and new.state != "removed":
        yield "is removed no longer, unlike in"


def redated(text: str, package: str, version: Version, today: dt.date) -> str:
    """Return the registry *text* with the entries that *version* of *package* brings dated *today*.

    An entry is written before its release is; the period counts from the
    release. A later first day of removal is kept.
    """
    brought = {
        entry.id: max(entry.remove_not_before, months_after(today, MONTHS))
        for entry in parse(text)
        if entry.short_package == package and Version(entry.since) == version
    }
    head, *blocks = re.split(r"(?m)^(?=\[\[entry\]\]$)", text)
    for index, block in enumerate(blocks):
        id = _ID.search(block)
        if id is None or id[0] not in brought:
            continue
        block = re.sub(r"(?m)^since_date = .*$", f"since_date = {today}", block)
        blocks[index] = re.sub(
            r"(?m)^remove_not_before = .*$", f"remove_not_before = {brought[id[0]]}", block
        )
    return head + "".join(blocks)
