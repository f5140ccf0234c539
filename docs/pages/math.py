r"""Displayed formulas as they stand, between \[ and \]: Sphinx would break a \tag by a split."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def _display(self, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    self.body.append(rf"\[{self.encode(node.astext())}\]</div>")
    raise nodes.SkipNode


def _instead_of_sphinx(app: Sphinx) -> None:
    app.registry.html_block_math_renderers["mathjax"] = (_display, None)


def setup(app: Sphinx) -> None:
    app.set_html_assets_policy("always")  # the sidebar of every page has a title with a formula
    app.connect("builder-inited", _instead_of_sphinx, priority=900)
