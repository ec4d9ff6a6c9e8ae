"""Optuna's samplers as oracles: from history to suggestion, with nothing kept in between."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from choritsu.chance import derive
from choritsu.decisions import Decision, Fill
from choritsu.errors import ObjectiveError
from choritsu.oracles.random import first_untried
from choritsu.space import Parameter, Space, canonical, drawn
from choritsu.space.axes import LogIntegers
from choritsu.trials import History, Status, Trial

if TYPE_CHECKING:
    import optuna

    Distribution: TypeAlias = optuna.distributions.BaseDistribution

#: How often the sampler is asked before chance takes over, when what it answers repeats an earlier trial.
ASKED = 4


@dataclass(frozen=True)
class OptunaOracle:
    """Asks a sampler of Optuna's what to try next, never for the same combination twice.

    A sampler draws from a generator that lives on, which no restart could give back. So a new one is made for each
    suggestion, with a seed drawn from (seed, trial number), and learns from a study that is made of the history: what
    is completed with its score (the smaller the better), what runs as running, and what failed as failed. With
    ``pareto=True`` the study has a value for each objective, and not for their sum. Conditions are followed in order.
    What is believed (`prior`) is tried by the first trial that has the parameter, and the sampler hears of it by what
    came out. Samplers that learn from notes which they leave with each trial (CMA-ES, NSGA, QMC) are led through all
    trials once more for that, which takes time in proportion to their number.

    The sampler sees each parameter as its place on its axis: the unit interval where it is continuous, else the number
    of its value. Logarithms and steps are taken care of by that, and any value can be chosen.

    Args:
        sampler: makes a sampler when called with ``seed=...``: its class, or
            ``functools.partial(optuna.samplers.TPESampler, multivariate=True)``.
        seed: any integer.

    Raises:
        TypeError: for a sampler itself in place of what makes one, and for samplers that name their values beforehand
            (grid, partial-fixed).

    Example:
        >>> import optuna
        >>> from choritsu.space import Float, Space
        >>> oracle = OptunaOracle(optuna.samplers.TPESampler, seed=5)
        >>> history = History(Space((Float("x", 0, 1),)))
        >>> oracle.suggest(history, 0) == oracle.suggest(history, 0)
        True
    """

    sampler: Callable[..., optuna.samplers.BaseSampler]
    seed: int = 0
    fill: ClassVar[Fill] = "believe"

    def __post_init__(self) -> None:
        if not callable(self.sampler):
            name = type(self.sampler).__name__
            raise TypeError(
                f"the sampler {name} has a random generator that a restart could not give back; give what makes it: "
                f"OptunaOracle({name}), or OptunaOracle(functools.partial({name}, ...)) with its arguments"
            )
        _check(self._made(0, 0))

    def suggest(self, history: History, number: int) -> Decision:
        """Ask for a combination that was not tried yet; `Done` when none is left.

        Raises:
            ObjectiveError: with ``pareto=True``, for a sampler that knows a single objective only.
        """
        studied = cache(lambda: self._studied(history))
        leading = _untried_beliefs(history)

        def draw(attempt: int) -> dict[str, Any]:
            if attempt >= ASKED:
                return history.space.assign(lambda parameter: drawn(self.seed, number, parameter, attempt))
            with quiet(), self._suited(history):
                study = studied()
                study.sampler = self._made(number, attempt)
                asked = study.ask()
                return history.space.assign(
                    lambda parameter: (
                        parameter.believed if parameter in leading and not attempt else _suggested(asked, parameter)
                    )
                )

        return first_untried(history, draw, self.seed, number)

    def _studied(self, history: History) -> optuna.Study:
        """Make a study in memory that has seen what the history has."""
        import optuna

        storage = optuna.storages.InMemoryStorage()
        directions = ["minimize"] * (len(history.objective.parts) if history.objective.pareto else 1)
        study = optuna.create_study(storage=storage, directions=directions, sampler=self._made(0, 0))
        takes_notes = isinstance(
            study.sampler, optuna.samplers.CmaEsSampler | optuna.samplers.BaseGASampler | optuna.samplers.QMCSampler
        )
        places = {parameter.key: _distribution(parameter) for parameter in history.space}
        for trial in history:
            told = _told(trial, history, places)
            if takes_notes:
                study.sampler = self._made(trial.number, 0)
                _relive(study, storage, told)
            else:
                study.add_trial(told)
        return study

    @contextmanager
    def _suited(self, history: History) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            # A sampler does not say what it can until it is asked.
            if not history.objective.pareto or "multi-objective" not in str(error):
                raise
            raise ObjectiveError(
                f"{type(self._made(0, 0)).__name__} knows a single objective, and pareto=True gives it "
                f"{len(history.objective.parts)}; take NSGAIISampler, TPESampler or GPSampler, or leave pareto=True "
                "out, which makes their sum small"
            ) from error

    def _made(self, number: int, attempt: int) -> optuna.samplers.BaseSampler:
        with quiet():
            return self.sampler(seed=derive(self.seed, "optuna", number, attempt))


def _untried_beliefs(history: History) -> frozenset[Parameter]:
    """Give the parameters whose believed value no trial has had."""
    return frozenset(
        parameter
        for parameter in history.space
        if parameter.has_prior
        and not any(
            parameter.name in trial.values and canonical(trial.values[parameter.name]) == canonical(parameter.believed)
            for trial in history
        )
    )


def _check(sampler: Any) -> None:
    from optuna import samplers

    if not isinstance(sampler, samplers.BaseSampler):
        raise TypeError(f"OptunaOracle needs what makes a sampler of Optuna's, and this made {sampler!r}")
    if isinstance(sampler, samplers.GridSampler | samplers.PartialFixedSampler):
        raise TypeError(
            f"{type(sampler).__name__} names its values beforehand, and is shown only their places; "
            "take ct.GridSearch, or hp.Fixed for what is not to be searched"
        )


# -- a history as a study --------------------------------------------------------------------------


def _relive(study: optuna.Study, storage: Any, told: optuna.trial.FrozenTrial) -> None:
    """Have the study's sampler suggest a trial anew, for the notes that it leaves, and give it the true values."""
    asked = study.ask()
    # Asking for these is what makes the sampler take its notes.
    _ = asked.relative_params
    for key, distribution in told.distributions.items():
        place = distribution.to_internal_repr(told.params[key])
        storage.set_trial_param(asked._trial_id, key, place, distribution)
    if told.state.is_finished():
        study.tell(asked, told.values, told.state)


def _told(trial: Trial, history: History, places: Mapping[str, Distribution | None]) -> optuna.trial.FrozenTrial:
    import optuna

    metrics = {} if trial.result is None else trial.result.metrics
    point = history.objective.point(metrics) if history.objective.pareto else (history.objective.badness(trial.score),)
    state, values = optuna.trial.TrialState.FAIL, None
    if trial.status in (Status.RUNNING, Status.INTERRUPTED):
        state = optuna.trial.TrialState.RUNNING
    elif trial.status is Status.COMPLETED and all(map(math.isfinite, point)):
        state, values = optuna.trial.TrialState.COMPLETE, point
    known = dict(_placed(trial.values, history.space))
    distributions = {key: place for key in known if (place := places[key]) is not None}
    return optuna.trial.create_trial(
        state=state, values=values, params={key: known[key] for key in distributions}, distributions=distributions
    )


def _placed(values: Mapping[str, Any], space: Space) -> Iterator[tuple[str, float]]:
    """Yield the place of each value that the space has one for, under its parameter's key."""
    seen: set[str] = set()
    for parameter in space.active(values):
        if parameter.name in values and parameter.name not in seen:
            seen.add(parameter.name)
            if parameter.contains(values[parameter.name]):
                yield parameter.key, _place(parameter, values[parameter.name])


# -- a parameter as a distribution -----------------------------------------------------------------


def _is_numbered(parameter: Parameter) -> bool:
    """Tell whether values lie evenly, each as good as its number; integers by their logarithm do not."""
    return parameter.size is not None and not isinstance(parameter.axis, LogIntegers)


def _distribution(parameter: Parameter) -> Distribution | None:
    """Give the places that a parameter's values can have; None where there is one only."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    size = parameter.size
    if size == 1:
        return None
    if size is None or not _is_numbered(parameter):
        return FloatDistribution(0.0, 1.0)
    if not parameter.is_ordered:
        return CategoricalDistribution(range(size))
    return IntDistribution(0, size - 1)


def _place(parameter: Parameter, value: Any) -> float:
    u = parameter.to_unit(value)
    size = parameter.size
    return min(int(u * size), size - 1) if size is not None and _is_numbered(parameter) else u


def _suggested(asked: optuna.Trial, parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    match _distribution(parameter):
        case None:
            return parameter.from_unit(0.5)
        case CategoricalDistribution(choices=choices):
            return parameter.axis.value_at(asked.suggest_categorical(parameter.key, choices))
        case IntDistribution(high=high):
            return parameter.axis.value_at(asked.suggest_int(parameter.key, 0, high))
        case _:
            return parameter.from_unit(asked.suggest_float(parameter.key, 0.0, 1.0))


# -- quiet -----------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from telling of each study and each experimental sampler, once for every suggestion."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
