"""Ways back: from a lecture to the reference, and from a slide to the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ledger.registry import IDS

from . import ROOT, api, labels

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LECTURES = sorted((ROOT / "lectures").glob("[0-9][0-9]*_*.ipynb"))
SLIDE = re.compile(r"^\*\*(\d+)\. ", re.MULTILINE)
SLIDES = {int(id[1:3]) for id in IDS if id[0] == "S"}


def anchored(slides: str) -> str:
    """The slides in our words, each with an anchor, and its number a link to its statements."""

    def led(found: re.Match[str]) -> str:
        number = int(found[1])
        shown = f"[{number}](#{labels.slide(number, 'ledger')})" if number in SLIDES else number
        return f"({labels.slide(number)})=\n**{shown}. "

    return SLIDE.sub(led, slides)


def with_reference(notebook: str, names: Iterable[str]) -> str:
    """The lecture with a last cell that names what of the library it uses."""
    links = ", ".join(f"[`{name}`](../api/{name}.rst)" for name in sorted(names))
    content = json.loads(notebook)
    cell = {"cell_type": "markdown", "id": "reference", "metadata": {}}
    content["cells"].append(cell | {"source": f"## In the reference\n\n{links}."})
    return json.dumps(content, ensure_ascii=False)


def _lead_back(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == "lectures/SLIDES":
        source[0] = anchored(source[0])
    here = ROOT / f"{docname}.ipynb"
    if here in LECTURES:
        names = [name for name, places in api.used_in([here]).items() if places]
        source[0] = with_reference(source[0], names) if names else source[0]


def setup(app: Sphinx) -> None:
    app.connect("source-read", _lead_back)
