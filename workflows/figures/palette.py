"""Colours and symbols that mean the same in every drawing.

They are those of Wong, Nat. Methods 8, 441 (2011), which colour-blind readers tell apart, that have
a contrast of 3 : 1 or so on white and on a dark page.
"""

from __future__ import annotations

from dataclasses import dataclass

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE)
STABLE = GREEN
GREYS = ("#9A9FA6", "#80858C")
"""Of intervals beside the stable one, in turn, on a page of either shade."""
PRINTED_GREYS = ("#DCDFE3", "#C3C8CE")
"""The same on paper."""


@dataclass(frozen=True)
class IonMark:
    """How the candidates of one mobile ion are drawn.

    Args:
        marker: matplotlib's name.
        symbol: plotly's name of the same.
    """

    colour: str
    marker: str
    symbol: str


ION_MARKS = {
    "K": IonMark(BLUE, "o", "circle"),
    "Na": IonMark(VERMILION, "s", "square"),
    "Li": IonMark(GREEN, "D", "diamond"),
}
OTHER_ION = IonMark(PURPLE, "X", "x")


def ion_mark(mobile_ion: str) -> IonMark:
    """Of that element."""
    return ION_MARKS.get(mobile_ion, OTHER_ION)
