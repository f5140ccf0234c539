"""The colours, lines and cases of all figures."""

from __future__ import annotations

from typing import Any

from matplotlib.colors import to_hex, to_rgb

from ddrm_edu.pictures import INK as INK
from ddrm_edu.pictures import MUTED as MUTED

Look = dict[str, Any]  # keywords of a line, a marker or a text

# Okabe and Ito's colours, which colour-blind readers can tell apart; their greys differ too.
ACCENT, CONTRAST, THIRD = "#0072b2", "#e69f00", "#009e73"
FAINT = "#d5d5d5"  # lines that only guide the eye
PALE, DARK = "#9db9cc", "#9a6500"  # dots on a tinted area; text in the colour of an orange line

#: The three cases of slide 11, in every figure: colour, line style, marker and hatch say the same.
CASES: dict[int, Look] = {
    1: {"color": ACCENT, "ls": "-", "marker": "o", "hatch": ""},
    2: {"color": CONTRAST, "ls": "--", "marker": "s", "hatch": "////"},
    3: {"color": THIRD, "ls": ":", "marker": "^", "hatch": "...."},
}


def tint(color: str, white: float = 0.8) -> str:
    """The colour mixed with a share of white: for areas behind lines of that colour."""
    red, green, blue = (white + (1 - white) * part for part in to_rgb(color))
    return to_hex((red, green, blue))


def looks(*lines: tuple[str, Any, str]) -> list[Look]:
    """Colour, line style and marker of several lines, as keywords for ``ax.plot``."""
    return [dict(zip(("color", "ls", "marker"), line, strict=True)) for line in lines]


#: The looks of curves that are no cases, and the same without markers.
LINES = looks(
    (ACCENT, "-", "o"),
    (CONTRAST, "--", "s"),
    (THIRD, ":", "^"),
    (INK, "-.", "D"),
    (MUTED, (0, (5, 1, 1, 1, 1, 1)), "v"),
)
PLAIN = [{**line, "marker": ""} for line in LINES]
