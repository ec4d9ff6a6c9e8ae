"""What the checker has to say: rules, outcomes and findings, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How sure the checker is about a place in the code."""

    mistake = "mistake"
    fine = "fine"
    unclear = "cannot tell"
    unreadable = "unreadable"


@dataclass(frozen=True)
class Rule:
    """One kind of mistake.

    Args:
        code: what `--select` and `--ignore` name.
        name: the same for people.
        why: one line on what goes wrong.
    """

    code: str
    name: str
    why: str


UNREADABLE = Rule("LR000", "unreadable", "The file could not be read as Python, so nothing is known about it.")
RATE_FOR_FACTOR = Rule(
    "LR001",
    "rate-for-factor",
    "PyTorch multiplies the optimizer's rate by what the function returns; a function that returns a rate squares it.",
)
FACTOR_FOR_RATE = Rule(
    "LR002",
    "factor-for-rate",
    "Keras sets the rate to what the function returns; a function that returns a factor sets a rate near 1.",
)
COMPOUNDING = Rule(
    "LR003",
    "compounding",
    "The function is given, or scales, the current rate; a decay counted from the start is then applied again and "
    "again.",
)
SECOND_PARAMETER = Rule(
    "LR004",
    "rate-in-second-parameter",
    "Keras passes the current rate to the function's second parameter, whatever it is called and defaults to.",
)
STEP_ORDER = Rule(
    "LR005",
    "scheduler-first",
    "scheduler.step() before the first optimizer.step() skips the first rate of the schedule.",
)
SCHEDULE_FOR_NUMBER = Rule(
    "LR006",
    "schedule-for-number",
    "An optimizer takes a number, or its own framework's schedule; a Rate or Factor is turned into one first.",
)

RULES: tuple[Rule, ...] = (
    UNREADABLE,
    RATE_FOR_FACTOR,
    FACTOR_FOR_RATE,
    COMPOUNDING,
    SECOND_PARAMETER,
    STEP_ORDER,
    SCHEDULE_FOR_NUMBER,
)


@dataclass(frozen=True, order=True)
class Finding:
    """One place in the code, and what is to be said about it.

    Args:
        path: the file, as it was given or found.
        line: counted from 1; in a notebook within the cell.
        column: counted from 1.
        rule: the code of the rule.
        outcome: mistake, fine, cannot tell or unreadable.
        message: what came and what was wanted.
        fix: what to write instead; empty where there is nothing to mend.
        cell: the notebook's code cell, counted from 1; 0 in a script.
        end_line: the last line of the expression.

    Example:
        >>> print(Finding("train.py", 4, 1, "LR001", Outcome.mistake, "a rate came", "give a factor"))
        train.py:4:1: LR001 a rate came. Write: give a factor.
    """

    path: str
    line: int
    column: int
    rule: str
    outcome: Outcome
    message: str
    fix: str = ""
    cell: int = 0
    end_line: int = 0

    @property
    def place(self) -> str:
        """Where it is, as editors understand it."""
        cell = f"cell {self.cell}:" if self.cell else ""
        return f"{self.path}:{cell}{self.line}:{self.column}"

    def __str__(self) -> str:
        kind = "" if self.outcome is Outcome.mistake else f"({self.outcome}) "
        return f"{self.place}: {self.rule} {kind}{self.message}." + (f" Write: {self.fix}." if self.fix else "")
