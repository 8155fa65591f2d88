"""A directory as a page."""

import os
from html import escape
from typing import Final

from .routing._filename import quote_name

__all__ = ("directory_page",)

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<ul>
{items}
</ul>
</body>
</html>
"""


def directory_page(directory: str, shown: str, base: str) -> str:
    """Return a page in HTML that lists a directory. Waits for the disk.

    Names are escaped as text and percent-encoded as links, each for where it stands
    (CVE-2024-27306).

    Args:
        directory: The directory.
        shown: What the page calls it.
        base: Its path on the server, percent-encoded, with a slash at the end.

    Raises:
        OSError: It cannot be read.
    """
    with os.scandir(directory) as found:
        entries = sorted((not entry.is_dir(), entry.name) for entry in found)
    items = []
    for is_file, name in entries:
        slash = "" if is_file else "/"
        link = escape(f"{base}{quote_name(name)}{slash}", quote=True)
        items.append(f'<li><a href="{link}">{escape(_printable(name))}{slash}</a></li>')
    title = escape(f"Index of {_printable(shown)}")
    return _PAGE.format(title=title, items="\n".join(items))


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")
