"""What a worker is given to run one attempt of a trial, and what lies in the trial's directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from choritsu.decisions import Fill
from choritsu.space import Space
from choritsu.trials import Objective

#: The best epoch's state of a function that trains by itself, in a trial's directory.
BEST = "best.safetensors"
#: The best epoch's weights of a Keras model there, and what is needed to build it.
WEIGHTS, BUILD = "checkpoint.weights.h5", "build_config.json"


@dataclass(frozen=True)
class Job:
    """All that a worker needs to run one attempt of a trial; plain values only.

    Args:
        number: the trial's number.
        attempt: the attempt's number, from 0.
        given: the values suggested or enqueued.
        fill: where values come from for parameters that only this trial discovers.
        seed: the search's seed.
        directory: the trial's own directory; made when first used.
        objective: what is optimised.
        known: the parameters known when the trial was claimed.
        override: definitions that replace the function's own.
        tune_new_entries: see `HyperParameters`.
        allow_new_entries: see `HyperParameters`.
        retries_left: how many further attempts an error is worth.
        failures: how many attempts ended with an error before.
        until: after how many epochs, counted from the trial's beginning, it pauses; None for never.
        horizon: how many epochs its schedules are made for; None where the training itself says it.
        executions: how often the trial is to have been trained in all; None for as often as all.
        seconds: how long the attempt may take before it fails; None for as long as it likes.
        apart: whether it runs in a process of its own, of which any thread may tell events.
        by_name: whether what others try is the same, however many of this one's parameters they know.
    """

    number: int
    attempt: int
    given: Mapping[str, Any]
    fill: Fill
    seed: int
    directory: Path
    objective: Objective
    known: Space = field(default_factory=Space)
    override: Space = field(default_factory=Space)
    tune_new_entries: bool = True
    allow_new_entries: bool = True
    retries_left: int = 0
    failures: int = 0
    until: int | None = None
    horizon: int | None = None
    executions: int | None = None
    seconds: float | None = None
    apart: bool = False
    by_name: bool = False
