"""How the checker writes numbers."""

from __future__ import annotations

import re


def number(value: float) -> str:
    """Write a number briefly.

    Example:
        >>> number(1e-3 * 1e-3), number(0.1)
        ('1e-6', '0.1')
    """
    text = f"{value:.4g}"
    if 0 < abs(value) < 0.01:
        text = f"{value:.3e}"
        text = re.sub(r"\.?0+e", "e", text)
    return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].strip('+')}{found[2]}", text)
