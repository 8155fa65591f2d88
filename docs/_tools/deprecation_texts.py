"""What is generated from the registry: the texts that the code warns with, and a page for readers."""

from collections.abc import Iterable
from typing import Final

from registry import Entry
from repository import PACKAGES

TABLE: Final = "packages/core/src/antiphon/core/_deprecation_table.py"
PAGE: Final = "docs/deprecated.md"
WIDTH: Final = 100


def sentence(entry: Entry) -> str:
    """Return the text that the code warns with, without its id."""
    subject = entry.object if entry.is_named else entry.object[:1].upper() + entry.object[1:]
    verb, stays = ("are", "stay") if entry.plural else ("is", "stays")
    return (
        f"{subject} {verb} deprecated since {entry.package} {entry.since}"
        f" and {stays} until {entry.remove_not_before} at least. {entry.replacement}."
    )


def table_text(entries: Iterable[Entry]) -> str:
    """Return the source of the module that the code takes its texts from, formatted."""
    lines = [
        '"""Generated from docs/deprecations.toml; do not edit."""',
        "",
        "from typing import Final",
        "",
        "MESSAGES: Final[dict[str, str]] = {",
    ]
    for entry in entries:
        if entry.state == "removed":
            continue
        lines.append(f'    "{entry.id}": (')
        lines += [f"        {literal(piece)}" for piece in pieces(sentence(entry), WIDTH - 12)]
        lines.append("    ),")
    lines.append("}")
    return "\n".join(lines) + "\n"


def pieces(text: str, width: int) -> list[str]:
    """Cut *text* after spaces into pieces of at most *width* characters; they add up to it."""
    done = [""]
    for word in text.split(" "):
        if done[-1] and len(done[-1]) + len(word) + 1 > width:
            done.append("")
        done[-1] += word + " "
    done[-1] = done[-1][:-1]
    return done


def literal(text: str) -> str:
    """Return *text* as the formatter would quote it."""
    quote = "'" if '"' in text and "'" not in text else '"'
    body = text.replace("\\", "\\\\")
    return quote + (body if quote == "'" else body.replace('"', '\\"')) + quote


def page_text(entries: list[Entry]) -> str:
    """Return the page "What is deprecated" as MyST."""
    lines = [
        "<!-- Generated from docs/deprecations.toml by `nox -s deprecations -- --write`; do not edit. -->",
        "",
        "# What is deprecated",
        "",
        "Everything of antiphon that is obsolete, by package. Each of these still works, warns when it is",
        "used with its id in brackets, and stays at least until the day stated, as the",
        "[deprecation policy](deprecation-policy.md) promises.",
        "",
        "To find the places in your own code, run your tests with",
        "`-W error::antiphon.core.AntiphonDeprecationWarning`. `warning.id` is the id.",
        "",
    ]
    for package in PACKAGES:
        own = [entry for entry in entries if entry.short_package == package]
        current = [entry for entry in own if entry.state != "removed"]
        if own:
            lines += [f"## antiphon-{package}", ""]
        for entry in current:
            lines += _section(entry)
        lines += _removed([entry for entry in own if entry.state == "removed"])
    return "\n".join(lines).rstrip() + "\n"


def _section(entry: Entry) -> list[str]:
    subject = f"`{entry.object}`" if entry.is_named else entry.object[:1].upper() + entry.object[1:]
    names = [] if entry.is_named else entry.public_names()
    return [
        f"({entry.id.lower()})=",
        f"### {entry.id}: {subject}",
        "",
        f"{entry.replacement}.",
        "",
        *([f"This is about {_listed(names)}.", ""] if names else []),
        f"Deprecated since {entry.since} ({entry.since_date}); not removed before {entry.remove_not_before}.",
        "",
    ]


def _listed(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _removed(entries: list[Entry]) -> list[str]:
    if not entries:
        return []
    return [
        "### Removed",
        "",
        *(
            f"- {entry.id}: {entry.object}, deprecated since {entry.since}, removed in {entry.removed_in}"
            f" ({entry.removed_date}). {entry.replacement}."
            for entry in entries
        ),
        "",
    ]
