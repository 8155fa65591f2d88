"""Check that every internal link of the built documentation leads somewhere.

python docs/_tools/links.py docs/_build/html

A link's file has to be there, and what it has behind ``#`` has to be an id in it.
"""

import argparse
import html.parser
import pathlib
import sys
import urllib.parse
from collections.abc import Iterator, Sequence


class Page(html.parser.HTMLParser):
    """What one page links to, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note ids and links."""
        for name, value in attrs:
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.targets.add(value)
            elif value and name in {"href", "src"}:
                self.links.append(value)


def problems(folder: pathlib.Path) -> Iterator[str]:
    """Return the links in *folder* that lead nowhere."""
    pages = {path.resolve(): Page(path.read_text()) for path in folder.rglob("*.html")}
    for path, page in sorted(pages.items()):
        here = path.relative_to(folder.resolve())
        for link in dict.fromkeys(page.links):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            file = (
                (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            )
            if not file.exists():
                yield f"{here}: {link}: there is no such file"
            elif parts.fragment and file in pages:
                wanted = urllib.parse.unquote(parts.fragment)
                if wanted not in pages[file].targets:
                    yield f"{here}: {link}: nothing is called so there"


def main(argv: Sequence[str] | None = None) -> int:
    """Check. Return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args(argv).folder
    found = list(problems(folder))
    for problem in found:
        print(problem)
    if not found:
        print(
            f"{sum(1 for _ in folder.rglob('*.html'))} pages; every internal link leads somewhere"
        )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
