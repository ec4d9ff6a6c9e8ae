"""Who plays, and what a player is. Nothing here imports a peer before it plays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from choritsu.space import Space


class Player(Protocol):
    """Suggests combinations, one after the other."""

    def ask(self) -> dict[str, Any] | None:
        """Give the next combination, active parameters only; None when there is none left."""
        ...

    def tell(self, values: Mapping[str, Any], loss: float) -> None:
        """Say what came of the latest combination: a loss, or nan where it failed."""
        ...


#: Makes a player of a space, a seed and the number of trials there will be.
Factory: TypeAlias = Callable[[Space, int, int], Player]


@dataclass(frozen=True)
class Entry:
    """A player that can be invited.

    Args:
        name: of the player.
        factory: where its `Factory` is, as "module:name"; or an oracle of ours, which is called with `seed`.
        package: what must be installed, and the name that `--python` knows it by.
    """

    name: str
    factory: str
    package: str = "choritsu"


def _peer(name: str, factory: str, package: str) -> Entry:
    return Entry(name, f"{__name__}.{factory}", package)


PLAYERS: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("choritsu-random", "choritsu.oracles:Random"),
        Entry("choritsu-quasirandom", "choritsu.oracles:QuasiRandom"),
        Entry("choritsu-bayes", "choritsu.oracles:BayesianOptimization"),
        _peer("optuna-tpe", "of_optuna:tpe", "optuna"),
        _peer("optuna-tpe-group", "of_optuna:tpe_group", "optuna"),
        _peer("optuna-tpe-univariate", "of_optuna:tpe_univariate", "optuna"),
        _peer("optuna-gp", "of_optuna:gp", "optuna"),
        _peer("optuna-auto", "of_optuna:auto", "optuna"),
        _peer("hyperopt-tpe", "of_hyperopt:tpe", "hyperopt"),
        _peer("keras-tuner-bayes", "of_keras_tuner:bayes", "keras-tuner"),
        _peer("smac-hpo", "of_smac:hpo", "smac"),
        _peer("smac-blackbox", "of_smac:blackbox", "smac"),
        _peer("hebo", "of_hebo:hebo", "hebo"),
    )
}


OURS = "choritsu-bayes"
#: Who is told of in the documents, and how.
NAMES: Mapping[str, str] = {
    OURS: "**`BayesianOptimization`**",
    "hebo": "HEBO 0.3",
    "optuna-gp": "Optuna 5.0, GP",
    "optuna-tpe": "Optuna 5.0, TPE",
    "hyperopt-tpe": "hyperopt 0.3, TPE",
    "smac-hpo": "SMAC 2.4",
    "keras-tuner-bayes": "Keras Tuner 1.4",
    "choritsu-random": "random search",
}


def invited(name: str) -> Entry:
    """Give the player of this name, or of one that reads `name=module:oracle`.

    Raises:
        ValueError: when there is none.
    """
    if name in PLAYERS:
        return PLAYERS[name]
    label, _, factory = name.rpartition("=")
    if ":" not in factory:
        raise ValueError(f"no player is called {name!r}; there are {', '.join(PLAYERS)}, or write name=module:oracle")
    return Entry(label or factory, factory)
