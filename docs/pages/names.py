"""References to Python names: an object has one page, under whatever name it is cited."""

from __future__ import annotations

import importlib
import re

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

#: Link to the page of a module, the module, and the anchor.
ENTRY = re.compile(r"(/api/modules/([\w.]+)\.html#)(ddrm_edu\.[\w.]+)")


def _found(target: str, module: str | None) -> object | None:
    """The object that ``target`` means in a docstring of ``module``."""
    for full in filter(None, (module and f"{module}.{target}", target)):
        home, rest = full.split("."), []
        while home:
            try:
                value: object = importlib.import_module(".".join(home))
            except ImportError:
                rest.insert(0, home.pop())
                continue
            try:
                for name in rest:
                    value = getattr(value, name)
            except (AttributeError, ImportError):
                break
            return value
    return None


def _names(value: object, target: str) -> list[str]:
    """The names under which the object may be documented, the public one first."""
    last = getattr(value, "__qualname__", target.rpartition(".")[2])
    module = getattr(value, "__module__", None)
    return [f"ddrm_edu.{last}", *([f"{module}.{last}"] if module else [])]


class OneName(SphinxPostTransform):
    """References get the name under which the object has its entry, before Sphinx guesses one."""

    default_priority = 5

    def run(self, **kwargs: object) -> None:
        objects = self.env.get_domain("py").objects
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("refdomain") != "py":
                continue
            target, module = node["reftarget"], node.get("py:module")
            value = _found(target, module)
            if value is None and (owner := node.get("py:class")):
                value = _found(f"{owner}.{target}", module)
            names = _names(value, target) if value is not None else []
            known = [name for name in names if name in objects]
            if known:
                node["reftarget"] = known[0]
                node["refspecific"] = False
            elif node.get("refspecific") and target not in objects:  # a word in a list of types
                node.replace_self(node.children)


def _as_rest(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """``*shape`` and ``|z|`` mean themselves in our docstrings, not emphasis or a substitution."""
    for k, line in enumerate(lines):
        line = re.sub(r"(?<![\w*`\\])\*(?=[a-z_]+\b(?!\*))", r"\\*", line)
        lines[k] = re.sub(r"(?<![\w`|\\])\|(\w+)\|(?!\w)", r"\\|\1\\|", line)


def _back_to_the_entry(
    app: Sphinx, page: str, template: str, context: dict, doctree: object
) -> None:
    """From a source to its entry: Sphinx takes all names of a module for public ones if one is."""
    if page.startswith("_modules/"):
        context["body"] = ENTRY.sub(_in_its_module, context["body"])


def _in_its_module(match: re.Match[str]) -> str:
    link, module, name = match.groups()
    return f"{link}{name if name.startswith(f'{module}.') else f'{module}.{name[9:]}'}"


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", _back_to_the_entry)
    app.connect("autodoc-process-docstring", _as_rest, priority=100)
    app.add_post_transform(OneName)
