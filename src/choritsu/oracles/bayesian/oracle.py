"""Bayesian optimization: each trial where a model of the scores expects the most of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from choritsu.chance import derive, unit
from choritsu.decisions import Decision, Fill, Start
from choritsu.oracles.precedents import Precedents
from choritsu.oracles.quasirandom import QuasiRandom
from choritsu.oracles.random import Random, looks_around
from choritsu.space import UNSAID, Parameter, Space, untried
from choritsu.trials import History, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from choritsu.oracles.bayesian.encoding import Encoding
    from choritsu.oracles.bayesian.observations import Observation

#: Up to so many combinations, all those that are left are weighed against each other.
FEW = 1000


@dataclass(frozen=True)
class BayesianOptimization:
    """Learns from all trials how the score depends on the values, and tries what promises the greatest improvement.

    The model is a Gaussian process over numbers, choices, conditions and, where trials have paused at rungs, epochs.
    Failed and refused trials count as bad as the worst score; trials that still run make the model surer where they
    are, so that several workers look in different places. With a Pareto objective, each trial aims at another mixture
    of the objectives. Nothing is tried twice.

    Args:
        num_initial_points: how many trials are spread evenly before the model is asked; by default one more than
            there are parameters, at least 4 and at most 8. After earlier searches there are none.
        seed: any integer.
        precedents: what earlier searches have tried, as far as this one's space can express it. How much they teach
            is learned from this search's own scores.

    Raises:
        ValueError: when `num_initial_points` is not at least 1.
        TypeError: when `precedents` holds something else.

    Source:
        Jones, Schonlau, Welch, "Efficient global optimization of expensive black-box functions" (1998); what was
        chosen for the rest, and by which measurements, is told in ``docs/better-trials.md``.

    Example:
        >>> from choritsu.space import Float, Space
        >>> history = History(Space((Float("x", 0.0, 1.0),)))
        >>> BayesianOptimization(seed=1).suggest(history, 0) == BayesianOptimization(seed=1).suggest(history, 0)
        True
    """

    num_initial_points: int | None = None
    seed: int = 0
    precedents: tuple[Precedents, ...] = ()
    fill: ClassVar[Fill] = "believe"

    def __post_init__(self) -> None:
        first = self.num_initial_points
        if first is not None and (isinstance(first, bool) or not isinstance(first, int) or first < 1):
            raise ValueError(f"num_initial_points must be an integer of at least 1, or None, got {first!r}")
        given = self.precedents
        if not isinstance(given, tuple) or not all(isinstance(each, Precedents) for each in given):
            raise TypeError(f"precedents must be what precedents_of(...) gives, got {given!r}")

    def suggest(self, history: History, number: int) -> Decision:
        """Give the combination that promises the greatest improvement; `Done` when none is left."""
        # Only here, since they bring NumPy and SciPy.
        from choritsu.oracles.bayesian.observations import observations, weighed

        objective = history.objective
        seen = (
            weighed(history, self._weights(number, len(objective.parts))) if objective.pareto else observations(history)
        )
        encoding, earlier = self._encoding(history), self._earlier(history)
        if looks_around(history) or not self._is_taught(history, encoding, seen, earlier):
            return self._spread(history, number)
        return self._promising(history, number, encoding, seen, earlier)

    def forecast(self, history: History) -> Mapping[int, float]:
        """Foretell the scores of whole trainings, on the model's scale; empty before the model is asked.

        With a Pareto objective nothing is foretold.
        """
        from threadpoolctl import threadpool_limits

        from choritsu.oracles.bayesian.observations import observations
        from choritsu.oracles.bayesian.surrogate import Surrogate

        # Those that are going on included: they hold their places before others.
        begun = [trial for trial in history if trial.rungs]
        if history.objective.pareto or not begun:
            return {}
        seen, encoding, earlier = observations(history), self._encoding(history), self._earlier(history)
        if not self._is_taught(history, encoding, seen, earlier):
            return {}
        with threadpool_limits(1, "blas"):
            surrogate = Surrogate.learned(encoding, seen, earlier=earlier)
            means = surrogate.expected(encoding.points(trial.values for trial in begun))
        return dict(zip((trial.number for trial in begun), means.tolist(), strict=True))

    def _encoding(self, history: History) -> Encoding:
        from choritsu.oracles.bayesian.conditions import inferred
        from choritsu.oracles.bayesian.encoding import Encoding

        return Encoding(inferred(history.space, [trial.values for trial in history.having(Status.COMPLETED)]))

    def _earlier(self, history: History) -> list[list[Observation]]:
        from choritsu.oracles.bayesian.observations import precedents

        return [known for each in self.precedents if (known := precedents(each, history.space))]

    def _is_taught(
        self,
        history: History,
        encoding: Encoding,
        seen: Sequence[Observation],
        earlier: Sequence[Sequence[Observation]],
    ) -> bool:
        """Tell whether there is enough to learn from, and something to tell about."""
        first = 0 if earlier else self._first(len(encoding.varied))
        known = any(one.is_finite for one in seen) or bool(earlier)
        return known and bool(encoding.varied) and len(history) >= first

    def _weights(self, number: int, objectives: int) -> NDArray[np.float64]:
        """Draw how much each objective counts for this trial, all mixtures being equally likely."""
        import numpy as np

        shares = np.array([-math.log(1.0 - unit(self.seed, number, "objective", each)) for each in range(objectives)])
        return np.asarray(shares / shares.sum())

    def _first(self, parameters: int) -> int:
        return min(max(parameters + 1, 4), 8) if self.num_initial_points is None else self.num_initial_points

    def _spread(self, history: History, number: int) -> Decision:
        """Give a point of an even spread; where something is believed, first that itself, then what lies near."""
        decision = QuasiRandom(self.seed).suggest(history, number)
        keys = {parameter.key for parameter in history.space if parameter.has_prior}
        if not keys or not isinstance(decision, Start):
            return decision
        from choritsu.oracles.bayesian.beliefs import near

        # By definition, since a belief may lead to another one of the same name.
        drawn: dict[str, Any] = {}
        history.space.assign(lambda parameter: drawn.setdefault(parameter.key, decision.values[parameter.name]))

        def assigned(believe: Callable[[Parameter], Any]) -> dict[str, Any]:
            def choose(parameter: Parameter) -> Any:
                return believe(parameter) if parameter.key in keys else drawn.get(parameter.key, parameter.start)

            return history.space.assign(choose)

        values = assigned(lambda parameter: parameter.believed)
        named = {parameter.name for parameter in history.space.active(values) if parameter.key in keys}
        if any(all(trial.values.get(name, UNSAID) == values[name] for name in named) for trial in history):
            values = assigned(lambda parameter: near(parameter, unit(self.seed, number, parameter.name)))
        return decision if history.tried.covers(values) else Start(values)

    def _promising(
        self,
        history: History,
        number: int,
        encoding: Encoding,
        seen: Sequence[Observation],
        earlier: Sequence[Sequence[Observation]],
    ) -> Decision:
        import numpy as np
        from threadpoolctl import threadpool_limits

        from choritsu.oracles.bayesian.beliefs import credit
        from choritsu.oracles.bayesian.observations import pending
        from choritsu.oracles.bayesian.proposing import best_points, fresh_first
        from choritsu.oracles.bayesian.surrogate import Surrogate

        chance = np.random.Generator(np.random.PCG64(derive(self.seed, number, "bayesian")))
        # Several threads are slower with such small matrices, and round otherwise than one does.
        with threadpool_limits(1, "blas"):
            surrogate = Surrogate.learned(encoding, seen, pending(history), earlier)

            def score(points: NDArray[np.float64]) -> NDArray[np.float64]:
                return surrogate.promise(points) + credit(encoding, points, len(history.completed))

            if history.space.size is not None and history.space.size <= FEW:
                left = list(untried(history.space, history.tried))
                if left:
                    return Start(left[int(np.argmax(score(encoding.points(left))))])
            points = best_points(encoding, score, surrogate.known, chance)
        for point in fresh_first(encoding, points, surrogate.tried):
            values = _completed(encoding.values(point), history.space)
            if not history.tried.covers(values):
                return Start(values)
        return Random(self.seed).suggest(history, number)


def _completed(values: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Give values with those that the function is not expected to ask for, and that its space cannot do without."""
    return space.assign(lambda parameter: values.get(parameter.name, parameter.start))
