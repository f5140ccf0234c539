"""Sphinx: how `make site` builds the site from the repository; `pages` writes what is generated."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests"), str(ROOT / "scripts")]

from pages import alt, back, ids, math, names, sources  # noqa: E402

import ddrm_edu  # noqa: E402

project = "ddrm_edu"
author = "the authors of ddrm_edu"
copyright = "MIT licence"
version = release = ddrm_edu.__version__
html_title = "ddrm_edu"
root_doc = "index"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]

# The lectures are shown with their stored outputs and not run.  Of a widget the picture is shown.
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_merge_streams = True

myst_enable_extensions = [
    "amsmath",
    "attrs_block",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
]
myst_dmath_double_inline = True  # "Read: $$...$$", as in Jupyter
myst_dmath_allow_labels = False
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_param = napoleon_use_rtype = False
napoleon_use_ivar = True

# A reference that leads nowhere fails the build; those to other libraries need the web.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!ddrm_edu\b).*"),
    (r"py:.*", r".*\._\w+"),  # private: a base class that is shown
    (r"py:.*", r"ddrm_edu\.course\b.*"),  # of the lectures, no library
    (r"py:class", r"ddrm_edu\..*\.[A-Z]"),  # a type variable
]

mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "global"}}

html_theme = "furo"
html_static_path = ["_static", str(ROOT / "build" / "site" / "static")]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": False}
smartquotes = False  # "pytest --H" is no dash
copybutton_selector = "div.highlight:not(.no-copy) pre"


def setup(app):
    """Hooks, each in the module of its subject."""
    for subject in (alt, back, ids, math, names, sources):
        subject.setup(app)
