"""This library's oracles, driven purely: a history is folded, nothing is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from choritsu.decisions import Start
from choritsu.oracles import Oracle
from choritsu.space import Space
from choritsu.trials import Claimed, Failed, Finished, History, Objective, Result

VERSION = version("choritsu")


class Folded:
    """Asks an oracle with the history so far."""

    def __init__(self, oracle: Oracle, space: Space) -> None:
        self._oracle = oracle
        self._history = History(space, Objective("loss", "min"))

    def ask(self) -> dict[str, Any] | None:
        decision = self._oracle.suggest(self._history, len(self._history))
        if not isinstance(decision, Start):
            return None
        self._history = self._history.after(Claimed(len(self._history), 0, decision.values))
        return dict(decision.values)

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        number = len(self._history) - 1
        if math.isnan(loss):
            self._history = self._history.after(Failed(number, 0, values, "the training diverged"))
        else:
            result = Result(loss, None, {"loss": loss}, 0, 0, 1, 1)
            self._history = self._history.after(Finished(number, 0, values, result))


def playing(make: Callable[..., Oracle]) -> Callable[[Space, int, int], Folded]:
    """Give the player that asks the oracle which `make(seed=...)` gives."""
    return lambda space, seed, trials: Folded(make(seed=seed), space)
