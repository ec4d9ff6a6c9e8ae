"""What a rule thinks of a place in the code, before it is known which line that is."""

from __future__ import annotations

from dataclasses import dataclass

from choritsu.lint.finding import Outcome, Rule


@dataclass(frozen=True)
class Verdict:
    """What a rule thinks.

    Args:
        rule: the rule.
        outcome: mistake, fine or cannot tell.
        message: what came and what was wanted.
        fix: what to write.
    """

    rule: Rule
    outcome: Outcome
    message: str
    fix: str = ""
