"""Numbers with fewer digits, without saying more than is known."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context, Decimal


def rounded_up(value: float, digits: int) -> float:
    """So many significant digits, and never less than the value: for upper bounds.

    What arithmetic leaves behind the twelfth digit does not count: 1.0000000000000005e-7 is 1e-7.
    """
    if not math.isfinite(value):
        return value
    return float(Context(prec=digits, rounding=ROUND_CEILING).plus(Decimal(f"{value:.12g}")))
