"""Numbers as a page writes them."""

from __future__ import annotations

import math

NOTHING = "–"


def whole(value: float) -> str:
    """12,345; a dash for what is no number."""
    return f"{value:,.0f}" if math.isfinite(value) else NOTHING


def percent(share: float, digits: int = 2) -> str:
    """0.0614 → 6.14 %."""
    return f"{100.0 * share:.{digits}f} %" if math.isfinite(share) else NOTHING


def area(value: float) -> str:
    """Under a curve, to four places."""
    return f"{value:.4f}" if math.isfinite(value) else NOTHING


def plain(value: float | None, digits: int = 6) -> str:
    """Six significant digits."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def small(share: float) -> str:
    """A share that may be tiny: in percent with two significant digits, 0.00079 → 0.079 %."""
    if not math.isfinite(share):
        return NOTHING
    if share == 0.0:
        return "0 %"
    return f"{100.0 * share:.2g} %" if share >= 1e-7 else f"{share:.1e}"


def seconds(value: float) -> str:
    """0.213 s, 12.1 s, 3 min 20 s."""
    if not math.isfinite(value):
        return NOTHING
    if value >= 60.0:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest} s"
    return f"{value:.3g} s"
