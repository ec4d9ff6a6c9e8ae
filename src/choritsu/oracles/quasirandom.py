"""Quasi-random search: scrambled Sobol points, which fill the space more evenly than chance does."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

from choritsu.chance import derive
from choritsu.decisions import Decision, Fill
from choritsu.oracles.random import first_untried
from choritsu.space import drawn
from choritsu.trials import History

#: Points are made with this many coordinates at least, so that a space that grows keeps its points.
COORDINATES = 16


@dataclass(frozen=True)
class QuasiRandom:
    """Takes trial number n from point n of a scrambled Sobol sequence, never the same combination twice.

    Each parameter owns one coordinate, in the order in which the function asks. The first 2**m trials
    place one value of every parameter in each of 2**m equal parts of its axis.

    Args:
        seed: any integer; it scrambles the sequence.

    Source:
        Owen, "Scrambling Sobol' and Niederreiter-Xing points", J. Complexity 14 (1998).

    Example:
        >>> from choritsu.space import Float, Space
        >>> history = History(Space((Float("x", 0, 1),)))
        >>> points = [QuasiRandom(seed=1).suggest(history, number).values["x"] for number in range(4)]
        >>> sorted(int(4 * x) for x in points)
        [0, 1, 2, 3]
    """

    seed: int = 0
    fill: ClassVar[Fill] = "draw"

    def suggest(self, history: History, number: int) -> Decision:
        """Give the next point whose combination was not tried yet; `Done` when none is left."""

        def draw(attempt: int) -> dict[str, Any]:
            # Beyond its own point a trial turns to chance: the points that follow belong to other trials.
            if attempt:
                return history.space.assign(lambda parameter: drawn(self.seed, number, parameter, attempt))
            point = dict(
                zip((item.key for item in history.space), self._point(number, len(history.space)), strict=False)
            )
            return history.space.assign(lambda parameter: parameter.from_unit(point[parameter.key]))

        return first_untried(history, draw, self.seed, number)

    def _point(self, number: int, coordinates: int) -> list[float]:
        from scipy.stats import qmc

        needed = max(COORDINATES, 1 << (coordinates - 1).bit_length() if coordinates else 1)
        with warnings.catch_warnings():
            # scipy warns of sample sizes that are no power of two; trials come one by one.
            warnings.simplefilter("ignore", UserWarning)
            sobol = qmc.Sobol(needed, scramble=True, seed=derive(self.seed, "sobol"))
            if number:
                sobol.fast_forward(number)
            return [float(x) for x in sobol.random(1)[0]]
