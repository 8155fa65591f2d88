"""Write the texts of docs/deprecations.toml where the code can import them."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGISTRY = ROOT / "docs" / "deprecations.toml"
TABLE = ROOT / "packages/core/src/antiphon/core/_deprecation_table.py"


def table_text() -> str:
    """Return the source of the generated module."""
    lines = [
        '"""Generated from docs/deprecations.toml; do not edit."""',
        "",
        "from typing import Final",
        "",
        "MESSAGES: Final[dict[str, str]] = {",
    ]
    for entry in tomllib.loads(REGISTRY.read_text())["entry"]:
        verb = (
            "are"
            if entry["object"].split(" ")[0].endswith("s") or "arguments" in entry["object"]
            else "is"
        )
        text = (
            f"{entry['object']} {verb} deprecated since {entry['package']} {entry['since']}"
            f" and goes not before {entry['remove_not_before']}; instead: {entry['replacement']}"
        )
        lines.append(
            f"    {entry['id']!r}: {text!r},".replace("'ANT", '"ANT').replace("': ", '": ', 1)
        )
    lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table_text())
