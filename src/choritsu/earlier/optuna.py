"""A study of Optuna's, recognised by what it has: Optuna itself need not be installed."""

from __future__ import annotations

import math
from typing import Any

from choritsu.oracles import Precedent, Precedents
from choritsu.trials import Direction


def is_study(thing: Any) -> bool:
    """Tell whether `thing` looks like a study."""
    # Not its trials: a study copies all of them for whoever asks.
    return hasattr(thing, "directions") and hasattr(thing, "study_name")


def precedents(study: Any) -> Precedents:
    """Take a study's completed trials; what was pruned has no final score.

    Raises:
        ValueError: when it has several objectives.
    """
    directions = list(study.directions)
    if len(directions) != 1:
        raise ValueError(
            f"the study {study.study_name!r} has {len(directions)} objectives, and a search begins from one; "
            "make a Precedents of the trials and of the score that counts"
        )
    direction: Direction = "max" if directions[0].name == "MAXIMIZE" else "min"
    return Precedents(
        f"the study {study.study_name!r}",
        direction,
        tuple(
            Precedent(dict(trial.params), float(trial.value))
            for trial in study.trials
            if trial.state.name == "COMPLETE" and math.isfinite(trial.value)
        ),
    )
