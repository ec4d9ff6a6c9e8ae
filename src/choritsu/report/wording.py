"""How numbers, durations and values are written for people; shared by the terminal and the page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from choritsu.noise import Noise
from choritsu.trials import Objective, Status, Trial

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def number(value: float, digits: int = 5) -> str:
    """Write a number with at most `digits` significant digits.

    Example:
        >>> number(0.60940001), number(1e-5), number(123456.7)
        ('0.6094', '1e-5', '123457')
    """
    if math.isfinite(value) and 10**digits <= abs(value) < 1e9:
        return f"{value:.0f}"
    return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:.{digits}g}")


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units.

    Example:
        >>> duration(4.21), duration(7_380), duration(93_600)
        ('4.2 s', '2 h 3 min', '1 d 2 h')
    """
    seconds = max(seconds, 0.0)
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def size(amount: int) -> str:
    """Write an amount of bytes.

    Example:
        >>> size(512), size(2_100_000)
        ('512 B', '2.1 MB')
    """
    value, unit = float(amount), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"


def count(amount: int, noun: str) -> str:
    """Write an amount of things.

    Example:
        >>> count(1, "trial"), count(1200, "trial")
        ('1 trial', '1,200 trials')
    """
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def clean(text: str) -> str:
    """Take out what steers a terminal and is no text, such as the colours in Keras' error messages.

    Example:
        >>> clean(chr(27) + "[1mshape" + chr(27) + "[0m: wrong")
        'shape: wrong'
    """
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else " " for letter in _ANSI.sub("", text.expandtabs(4))
    )


def cut(text: str, length: int) -> str:
    """Shorten a text to one line of at most `length` letters.

    Example:
        >>> cut("a rather long name", 10)
        'a rathe...'
    """
    line = " ".join(clean(text).split())
    return line if len(line) <= length else f"{line[: max(length - 3, 0)]}..."


def show(value: Any, length: int = 40) -> str:
    """Write a hyperparameter's value briefly: strings bare, floats rounded, but told from integers.

    Example:
        >>> show(0.00123456789), show(1.0), show("adam"), show((0.9, 0.999))
        ('0.00123457', '1.0', 'adam', '(0.9, 0.999)')
    """
    match value:
        case str():
            return cut(value, length) or "''"
        case float():
            text = number(value, 6)
            return f"{text}.0" if text.lstrip("-").isdigit() else text
        case _:
            return cut(repr(value), length)


def literal(value: Any) -> str:
    """Write a value as a Python expression that gives it back.

    Example:
        >>> literal({"lr": 0.001, "clip": float("inf")})
        "{'lr': 0.001, 'clip': float('inf')}"
    """
    match value:
        case float() if not math.isfinite(value):
            return f"float({str(value)!r})"
        case tuple():
            return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
        case _:
            return repr(value)


def literal_lines(values: Mapping[str, Any]) -> str:
    """Write a trial's values as a Python dict, one to a line.

    Example:
        >>> print(literal_lines({"units": 50}))
        {
            'units': 50,
        }
    """
    if not values:
        return "{}"
    return "\n".join(["{", *(f"    {name!r}: {literal(value)}," for name, value in values.items()), "}"])


def goal(objective: Objective) -> tuple[str, str]:
    """Say what is optimised, and which way.

    Example:
        >>> goal(Objective("val_loss"))
        ('val_loss', 'smaller is better')
    """
    if objective.pareto:
        parts = (f"{part.name} ({'large' if part.direction == 'max' else 'small'})" for part in objective.parts)
        return ", ".join(parts), "Pareto front"
    what = f"{objective.name} = {objective.formula}" if objective.parts else objective.name
    return what, "larger is better" if objective.direction == "max" else "smaller is better"


def repeats(noise: Noise | None) -> str:
    """Say what repeats have shown; empty where there were none.

    Example:
        >>> repeats(Noise(0.0123, degrees=9, trials=4, middle=0.5, pull=0.1))
        'the same values score differently, by 0.012 (standard deviation, from 9 repeats of 4 trials)'
    """
    if noise is None:
        return ""
    made = f"{count(noise.degrees, 'repeat')} of {count(noise.trials, 'trial')}"
    if noise.deviation == 0.0:
        return f"none: {made} scored the same"
    return f"the same values score differently, by {number(noise.deviation, 2)} (standard deviation, from {made})"


def reason(trial: Trial) -> str:
    """Say in one line why a trial did not complete, go on or train once more; empty for one that did or still runs."""
    if trial.missed is not None:
        return f"on the way to epoch {trial.missed}: {_cause(trial)}"
    if trial.has_failed_again:
        return f"when trained once more: {_cause(trial)}"
    return "" if trial.status in (Status.COMPLETED, Status.RUNNING) else _cause(trial)


def _cause(trial: Trial) -> str:
    for text, line in ((trial.message, 0), (trial.traceback, -1)):
        lines = [found for found in clean(text).splitlines() if found.strip()]
        if lines:
            return lines[line].strip()
    if trial.status is Status.INTERRUPTED:
        return "broken off; it will be taken up again"
    return "no reason was given"
