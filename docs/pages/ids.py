"""An ID of the ledger, such as S11.2, leads to its entry wherever it stands in a text."""

from __future__ import annotations

from docutils import nodes
from ledger.registry import IDS
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from .labels import ID, label

KNOWN = frozenset(IDS)
#: Where an ID is not prose.
CLOSED = (
    nodes.literal,
    nodes.literal_block,
    nodes.doctest_block,
    nodes.math,
    nodes.math_block,
    nodes.reference,
    nodes.title,
    nodes.raw,
    nodes.comment,
    addnodes.pending_xref,
    addnodes.download_reference,
    addnodes.desc_signature,
)


class LinkIDs(SphinxTransform):
    """Words become links, before references are resolved."""

    default_priority = 880

    def apply(self, **kwargs: object) -> None:
        if self.env.docname.startswith(("ledger/", "source/")):
            return
        for text in list(self.document.findall(nodes.Text)):
            if any(isinstance(each, CLOSED) for each in _ancestors(text)):
                continue
            parts = ID.split(text.astext())
            if not KNOWN.intersection(parts[1::2]):
                continue
            new: list[nodes.Node] = []
            for k, part in enumerate(parts):
                if k % 2 and part in KNOWN:
                    new.append(_link(part, self.env.docname))
                elif part:
                    new.append(nodes.Text(part))
            text.parent.replace(text, new)


def _ancestors(node: nodes.Node):
    while (node := node.parent) is not None:
        yield node


def _link(id: str, docname: str) -> addnodes.pending_xref:
    link = addnodes.pending_xref(
        "",
        nodes.inline(id, id, classes=["ledger-id"]),
        refdomain="std",
        reftype="ref",
        reftarget=label(id),
        refexplicit=True,
        refwarn=True,
    )
    link["refdoc"] = docname
    return link


def setup(app: Sphinx) -> None:
    app.add_transform(LinkIDs)
