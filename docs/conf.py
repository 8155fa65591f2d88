"""How Sphinx builds the documentation; run it with ``nox -s docs``."""

import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_tools"), str(HERE / "_ext")]

project = "antiphon"
author = "The antiphon authors"
copyright = "2026, the antiphon authors"  # Sphinx's own name for it

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "public",
    "benchmarks",
    "names",
    "pictures",
]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "attrs_inline"]
myst_heading_anchors = 3
# Offline builds must pass: the inventories of others are made here.
intersphinx_mapping = importlib.import_module("inventories").mapping()
exclude_patterns = ["_build", "_generated", "_tools", "examples/**/README.md"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
autoclass_content = "both"
default_role = "any"
nitpicky = False
suppress_warnings = ["ref.any", "ref.python", "docutils"]

html_theme = "furo"
html_title = "antiphon"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
