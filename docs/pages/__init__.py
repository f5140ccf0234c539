"""What the site is made of: pages that are generated, and hooks of Sphinx, a subject a module."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Of the package, what is no library: the command, and what only the lectures use.
NOT_SHOWN = ("cli", "course", "__main__")
