"""Directives for the reference.

``public`` describes names of a package, each by the autodoc directive of its kind::

    .. public:: antiphon.web

       Application AppKey

``defaults`` writes a table of an attrs class: names, defaults, and what stands below each field.
``statuses`` writes one of the responses that can be raised, ``fixtures`` one of a pytest plugin.
The role ``default`` sets one default into a sentence: ``{default}`antiphon.web.run_app(port)```,
or ``{default}`antiphon.client.ClientWSTimeout(ws_close)```.
"""

import enum
import importlib
import inspect
import types
import typing
from typing import Any

import attrs
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective, SphinxRole


def kind_of(value: object) -> str:
    """Return autodoc's word for what *value* is."""
    if isinstance(value, type) and not isinstance(value, types.GenericAlias):
        return "exception" if issubclass(value, BaseException) else "class"
    if isinstance(value, types.ModuleType):
        return "module"
    if callable(value) and not typing.get_origin(value) and inspect.isroutine(value):
        return "function"
    return "data"


class Public(SphinxDirective):
    """Describes the names in its content."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return what the autodoc directives make."""
        package = self.arguments[0]
        module = importlib.import_module(package)
        lines: list[str] = []
        for name in " ".join(self.content).split():
            kind = kind_of(getattr(module, name))
            lines.append(f".. auto{kind}:: {package}.{name}")
            if kind in {"class", "exception"}:
                lines.append("   :members:")
                if getattr(module, name).__bases__ != (object,):
                    lines.append("   :show-inheritance:")
                if issubclass(getattr(module, name), enum.Enum):
                    lines.append("   :undoc-members:")
            if kind == "data":
                lines.append("   :no-value:")
            lines.append("")
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="public"), self.content_offset, node)
        return node.children


def field_texts(cls: type) -> dict[str, str]:
    """Return the docstring below each field of *cls*."""
    analyzer = ModuleAnalyzer.for_module(cls.__module__)
    docs = analyzer.find_attr_docs()
    return {
        name: " ".join(" ".join(lines).split())
        for (owner, name), lines in docs.items()
        if owner == cls.__name__
    }


def shown(value: Any) -> str:
    """Return a default as the table shows it."""
    if value is None:
        return "``None``"
    if isinstance(value, bool):
        return f"``{value}``"
    if isinstance(value, int) and value >= 1024 and value % 1024 == 0:
        step, unit = (1024**2, "MiB") if value % 1024**2 == 0 else (1024, "KiB")
        return f"{value // step} {unit}"
    if isinstance(value, (int, float)):
        return f"{value:,g}" if value >= 10_000 else f"{value:g}"
    if isinstance(value, type):
        return f"`{value.__name__}`"
    return f"``{value!r}``"


class Defaults(SphinxDirective):
    """A table of the fields of an attrs class, from the class itself."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        module_name, _, class_name = self.arguments[0].rpartition(".")
        cls = getattr(importlib.import_module(module_name), class_name)
        texts = field_texts(cls)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 22 14 64", ""]
        lines += ["   * - name", "     - default", "     - meaning"]
        for field in attrs.fields(cls):
            default = shown(field.default) if field.default is not attrs.NOTHING else ""
            if " Logger " in default or default.startswith("``<Logger"):
                default = f"logger ``{field.default.name}``"
            lines += [f"   * - ``{field.name}``", f"     - {default}"]
            lines += [f"     - {texts.get(field.name, '')}"]
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="defaults"), self.content_offset, node)
        return node.children


class Statuses(SphinxDirective):
    """A table of the responses that can be raised: names, statuses, reasons."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from antiphon import web

        found = [getattr(web, name) for name in web.__all__ if name.startswith("HTTP")]
        rows = sorted((cls for cls in found if cls.status_code > 0), key=lambda c: c.status_code)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 12 48 40", ""]
        lines += ["   * - status", "     - class", "     - base"]
        for cls in rows:
            lines += [f"   * - {cls.status_code}", f"     - ``{cls.__name__}``"]
            lines += [f"     - ``{cls.__mro__[1].__name__}``"]
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="statuses"), self.content_offset, node)
        return node.children


class Fixtures(SphinxDirective):
    """A table of the fixtures of a pytest plugin, from their docstrings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        module = importlib.import_module(self.arguments[0])
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 30 70", ""]
        lines += ["   * - fixture", "     - gives"]
        for name, text in fixture_texts(module).items():
            if not text.startswith("The same as"):
                lines += [f"   * - ``{name}``", f"     - {text}"]
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="fixtures"), self.content_offset, node)
        return node.children


def fixture_texts(module: types.ModuleType) -> dict[str, str]:
    """Return names and docstrings of the public fixtures in *module*."""
    import pytest

    found = {}
    for name, value in vars(module).items():
        if (
            isinstance(value, pytest.FixtureDef)
            or type(value).__name__ == "FixtureFunctionDefinition"
        ) and not name.startswith("_"):
            function = inspect.unwrap(getattr(value, "_get_wrapped_function", lambda v=value: v)())
            found[name] = " ".join((inspect.getdoc(function) or "").split())
    return found


def default_of(text: str) -> str:
    """Return the default of the argument that *text* names: ``module.callable(argument)``.

    Without an argument it is the value of a constant: ``module.NAME``.

    Raises:
        LookupError: There is no such argument, or it has no default.
    """
    head, _, argument = text.rstrip(")").partition("(")
    module, _, name = head.rpartition(".")
    if not argument:
        return shown(getattr(importlib.import_module(module), name))
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError:  # a method
        module, _, owner = module.rpartition(".")
        found = getattr(importlib.import_module(module), owner)
    value = inspect.signature(getattr(found, name)).parameters[argument].default
    if value is inspect.Parameter.empty:
        raise LookupError(f"{text} has no default")
    return shown(value).replace("``", "")


class Default(SphinxRole):
    """One default, from the code."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return it as text."""
        return [nodes.inline("", default_of(self.text))], []


def home_of(app: Sphinx, module_name: str, attribute: str | None) -> str | None:
    """Return *module_name* for what is made of builtins, ``None`` for all else (``viewcode``).

    The index of sources would otherwise list a page for ``builtins``, which nobody writes.
    """
    found: Any = importlib.import_module(module_name)
    for part in (attribute or "").split("."):
        found = getattr(found, part, None)
    return module_name if getattr(found, "__module__", None) == "builtins" else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("public", Public)
    app.add_directive("defaults", Defaults)
    app.add_directive("fixtures", Fixtures)
    app.add_directive("statuses", Statuses)
    app.add_role("default", Default())
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("viewcode-follow-imported", home_of)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
