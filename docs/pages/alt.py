"""Pictures that a lecture drew keep the description that it gave them."""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def descriptions(notebook: Path) -> list[str | None]:
    """Of each picture among the stored outputs, in their order."""
    found = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                found.append(output.get("metadata", {}).get("image/png", {}).get("alt"))
    return found


def _describe(app: Sphinx, doctree: nodes.document) -> None:
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    outputs = [
        image
        for container in doctree.findall(nodes.container)
        if "cell_output" in container["classes"]
        for image in container.findall(nodes.image)
    ]
    texts = descriptions(path)
    if len(texts) != len(outputs) or not all(texts):
        raise ExtensionError(f"{path}: {len(outputs)} pictures, {len(texts)} descriptions: {texts}")
    for image, text in zip(outputs, texts, strict=True):
        image["alt"] = text


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", _describe)
