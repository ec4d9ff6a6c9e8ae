"""What came out: regret with intervals, ranks, times, a table by problem, and curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.searching.problems import Problem, problems
from benchmarks.searching.results import Run

RESAMPLED = 2000


@dataclass(frozen=True)
class Comparison:
    """The runs of some players.

    Args:
        runs: by player, problem and seed.
        players: in the order in which they are shown.
    """

    runs: Mapping[str, Mapping[str, Mapping[int, Run]]]
    players: tuple[str, ...]

    @classmethod
    def of(
        cls, runs: Iterable[Run], players: Sequence[str] | None, chosen: Sequence[str] | None, seeds: int | None
    ) -> Comparison:
        """Sort runs, and keep only those of these players, problems and seeds."""
        held: dict[str, dict[str, dict[int, Run]]] = {}
        known = problems()
        for run in runs:
            if (
                run.problem in known
                and (players is None or run.player in players)
                and (chosen is None or run.problem in chosen)
                and (seeds is None or run.seed < seeds)
            ):
                held.setdefault(run.player, {}).setdefault(run.problem, {})[run.seed] = run
        order = [name for name in players or held if name in held]
        return cls({name: dict(sorted(held[name].items())) for name in order}, tuple(order))

    @cached_property
    def _problems(self) -> Mapping[str, Problem]:
        return problems()

    def regret(self, player: str, problem: str, trials: int) -> dict[int, float]:
        """Give the regret after some trials by seed, of the runs that have come as far."""
        scale = self._problems[problem].regret
        reached = {}
        for seed, run in self.runs[player].get(problem, {}).items():
            if run.trials >= trials or (run.ended == "exhausted" and run.trials):
                reached[seed] = scale(run.reached(trials))
        return reached

    def present(self, trials: int) -> tuple[list[str], list[str]]:
        """Give the players that have come as far, and the problems on which all of these have.

        Who has done so on less than half as many problems as others is left out, lest little remain to compare.
        """
        reached = {
            player: {name for name in self.runs[player] if self.regret(player, name, trials)} for player in self.players
        }
        most = max(map(len, reached.values()))
        players = [player for player in self.players if most and len(reached[player]) >= most / 2]
        return players, [
            name for name in self._problems if players and all(name in reached[player] for player in players)
        ]

    def text(self, marks: Sequence[int], against: str | None) -> str:
        """Write it all."""
        if not self.players:
            return "nothing has been run yet"
        standings = [self._standing(trials, against or self.players[0]) for trials in marks]
        return "\n\n".join([self._versions(), *standings, self._by_problem(max(marks))])

    def _versions(self) -> str:
        lines = []
        for player in self.players:
            runs = [run for held in self.runs[player].values() for run in held.values()]
            told = sorted({run.version for run in runs})
            slow = sum(run.ended == "slow" for run in runs)
            stopped = f", {slow} of them stopped early for being slow" if slow else ""
            lines.append(f"{player}: {', '.join(told)}; {len(runs)} runs on {len(self.runs[player])} problems{stopped}")
        return "\n".join(lines)

    def _standing(self, trials: int, rival: str) -> str:
        players, shared = self.present(trials)
        if not shared:
            return f"after {trials} trials: there is no problem on which the players have come as far"
        reached = {player: [self.regret(player, problem, trials) for problem in shared] for player in players}
        rival = rival if rival in players else players[0]
        ranks = _ranks(reached)
        left_out = [player for player in self.players if player not in players]
        lines = [
            f"after {trials} trials, on {len(shared)} problems"
            + (f"; {', '.join(left_out)} left out, who have not come as far:" if left_out else ":"),
            f"{'':24} {'regret':>8} {'95 %':>16} {'rank':>8} {'ms':>9}   less than {rival} by (95 %), better:worse",
        ]
        for player in sorted(players, key=lambda name: ranks[name]):
            seeds = [list(held.values()) for held in reached[player]]
            mean = statistics.fmean(map(statistics.fmean, seeds))
            low, high = _interval(seeds)
            pace = 1000 * self._pace(player, shared, trials)
            versus = "" if player == rival else _difference(reached[rival], reached[player])
            lines.append(f"{player:24} {mean:8.4f} {low:9.4f}-{high:.4f} {ranks[player]:8.2f} {pace:9.1f}   {versus}")
        return "\n".join(lines)

    def tables(self, marks: Sequence[int], rival: str, names: Mapping[str, str]) -> str:
        """Write two tables in Markdown: what each has reached, and how far it is behind with the same seeds.

        Args:
            marks: after how many trials.
            rival: who the others are compared with.
            names: what the players are called, in the order of the rows; one that is left out, or has not come so far
                on all problems, has no row.
        """
        shown = [player for player in names if player in self.players and self._is_whole(player, min(marks))]
        head = " | ".join(f"{trials} trials" for trials in marks)
        lines = [f"| | seeds | {head} | CPU a suggestion |", "|---|---|" + "---|" * (len(marks) + 1)]
        for player in shown:
            cells = [self._cell(player, trials) for trials in marks]
            last = max((trials for trials in marks if self._is_whole(player, trials)), default=marks[0])
            seeds = {len(runs) for runs in self.runs[player].values()}
            pace = 1000 * self._pace(player, list(self.runs[player]), min(last, 50))
            told = f"{pace:.1f} ms" if pace < 10 else f"{pace:.0f} ms" if pace < 1000 else f"{pace / 1000:.1f} s"
            lines.append(f"| {names[player]} | {min(seeds)} | {' | '.join(cells)} | {told} |")
        lines += ["", f"| behind by | {head} |", "|---|" + "---|" * len(marks)]
        for player in shown:
            if player != rival:
                cells = [self._behind(rival, player, trials) for trials in marks]
                lines.append(f"| {names[player]} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def _is_whole(self, player: str, trials: int) -> bool:
        return all(self.regret(player, problem, trials) for problem in self._problems)

    def _cell(self, player: str, trials: int) -> str:
        if not self._is_whole(player, trials):
            return "not run"
        seeds = [list(self.regret(player, problem, trials).values()) for problem in self._problems]
        low, high = _interval(seeds)
        return f"{statistics.fmean(map(statistics.fmean, seeds)):.3f} ({low:.3f} to {high:.3f})"

    def _behind(self, rival: str, player: str, trials: int) -> str:
        if not self._is_whole(player, trials):
            return "not run"
        pairs = _pairs(
            *([self.regret(name, problem, trials) for problem in self._problems] for name in (rival, player))
        )
        low, high = _interval(pairs)
        means = [statistics.fmean(held) for held in pairs]
        worse = sum(mean > 1e-6 for mean in means)
        return f"{statistics.fmean(means):.3f} ({low:.3f} to {high:.3f}), on {worse} of {len(pairs)}"

    def _pace(self, player: str, shared: Sequence[str], trials: int) -> float:
        """Give the median time of the suggestions up to this trial's."""
        return statistics.median(run.pace(trials) for name in shared for run in self.runs[player][name].values())

    def _by_problem(self, trials: int) -> str:
        widths = [max(len(player), 7) for player in self.players]
        head = " ".join(f"{player:>{width}}" for player, width in zip(self.players, widths, strict=True))
        lines = [f"mean regret after {trials} trials:", f"{'':20} {head}"]
        for problem in self._problems:
            cells = []
            for player, width in zip(self.players, widths, strict=True):
                reached = self.regret(player, problem, trials)
                cells.append(f"{statistics.fmean(reached.values()):{width}.4f}" if reached else f"{'-':>{width}}")
            if any(cell.strip() != "-" for cell in cells):
                lines.append(f"{problem:20} {' '.join(cells)}")
        return "\n".join(lines)


def _ranks(reached: Mapping[str, Sequence[Mapping[int, float]]]) -> dict[str, float]:
    """Rank the players for each problem and seed that all have, and average; ties share their ranks."""
    from scipy.stats import rankdata

    # Regrets that nobody would tell apart share a rank.
    rows = [
        rankdata([round(seeds[seed], 6) for seeds in held])
        for held in zip(*reached.values(), strict=True)
        for seed in set.intersection(*(set(seeds) for seeds in held))
    ]
    means = np.mean(rows, 0) if rows else [math.nan] * len(reached)
    return dict(zip(reached, map(float, means), strict=True))


def _resampled(seeds: Sequence[Sequence[float]]) -> np.ndarray:
    """Resample problems, and seeds within each; give the means."""
    rng = np.random.default_rng(0)
    within = np.stack([rng.choice(held, (RESAMPLED, len(held))).mean(1) for held in seeds], 1)
    drawn = rng.integers(len(seeds), size=(RESAMPLED, len(seeds)))
    return np.take_along_axis(within, drawn, 1).mean(1)


def _interval(seeds: Sequence[Sequence[float]]) -> tuple[float, float]:
    low, high = np.quantile(_resampled(seeds), [0.025, 0.975])
    return float(low), float(high)


def _pairs(player: Sequence[Mapping[int, float]], rival: Sequence[Mapping[int, float]]) -> list[list[float]]:
    """Give by how much more the rival's regret is than the player's, by problem, of the seeds that both have."""
    pairs = [[b[seed] - a[seed] for seed in a if seed in b] for a, b in zip(player, rival, strict=True)]
    return [held for held in pairs if held]


def _difference(rival: Sequence[Mapping[int, float]], player: Sequence[Mapping[int, float]]) -> str:
    """Say by how much a player's regret is less than the rival's, of the same problems and seeds."""
    pairs = _pairs(player, rival)
    if not pairs:
        return "no seed in common"
    low, high = _interval(pairs)
    means = [statistics.fmean(held) for held in pairs]
    better, worse = sum(mean > 1e-6 for mean in means), sum(mean < -1e-6 for mean in means)
    return f"{statistics.fmean(means):+8.4f} ({low:+.4f} to {high:+.4f})  {better}:{worse}"


def drawn(comparison: Comparison, path: Path) -> None:
    """Draw mean regret by trial, over all problems and for each."""
    import matplotlib.pyplot as plt

    names = [name for name in problems() if all(name in comparison.runs[player] for player in comparison.players)]
    columns = 5
    rows = math.ceil((len(names) + 1) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4 * columns, 3 * rows), squeeze=False)
    for axis, name in zip(axes.flat, ["", *names], strict=False):
        for player in comparison.players:
            curves = [_curve(comparison, player, problem) for problem in ([name] if name else names)]
            length = min(map(len, curves))
            axis.plot(range(1, length + 1), np.mean([curve[:length] for curve in curves], 0), label=player)
        axis.set_yscale("log")
        axis.set_title(name or "all problems")
    axes[0, 0].legend(fontsize="x-small")
    for axis in list(axes.flat)[len(names) + 1 :]:
        axis.set_axis_off()
    figure.supxlabel("trials")
    figure.supylabel("normalised regret")
    figure.tight_layout()
    figure.savefig(path)


def _curve(comparison: Comparison, player: str, problem: str) -> np.ndarray:
    """Give the mean regret by trial, as far as all seeds have come; what was exhausted stays where it was."""
    scale = problems()[problem].regret
    runs = comparison.runs[player][problem].values()
    curves = [[scale(run.reached(count)) for count in range(1, run.trials + 1)] for run in runs]
    longest = max(map(len, curves))
    filled = [
        curve + curve[-1:] * (longest - len(curve)) if run.ended == "exhausted" else curve
        for run, curve in zip(runs, curves, strict=True)
    ]
    length = min(map(len, filled))
    return np.mean([curve[:length] for curve in filled], 0)
