"""A stored search as people see it: its summary, and trials and oracles as Keras Tuner's users know them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import WEIGHTS
from choritsu.running import RunningTrial
from choritsu.space import Space
from choritsu.stores import Identity, Store
from choritsu.trials import History, Objective, Report, Status, Trial

if TYPE_CHECKING:
    from choritsu.report import Summary


def summarize(store: Store, directory: str) -> Summary:
    """Read all that a store knows into one value.

    Args:
        store: where the search is kept.
        directory: its place, for people.
    """
    from choritsu.report import Summary

    identity = store.identity() or Identity()
    weights = list(_sizes(Path(directory)))
    return Summary(
        title=Path(directory).resolve().name,
        directory=directory,
        history=store.history(),
        reports=store.reports(),
        settings=identity.settings,
        created=identity.created,
        models=len(weights),
        model_bytes=sum(weights),
    )


def _sizes(directory: Path) -> Iterator[int]:
    for file in directory.glob(f"trials/*/{WEIGHTS}"):
        # A running search may delete it meanwhile.
        with suppress(OSError):
            yield file.stat().st_size


class Observed(NamedTuple):
    """A metric at one epoch.

    Args:
        value: of each execution that reported it.
        step: the epoch, from 0.
    """

    value: list[float]
    step: int

    def mean(self) -> float:
        """Give the mean over executions."""
        return fmean(self.value)


class Metrics(dict[str, float]):
    """The metrics of a trial: at its best epoch as a mapping, and of all epochs by Keras Tuner's methods.

    Example:
        >>> import tempfile
        >>> from choritsu import RandomSearch
        >>> def train(hp, trial):
        ...     for epoch in range(3):
        ...         trial.report(val_loss=hp.Fixed("top", 1.0) / (epoch + 1))
        >>> tuner = RandomSearch(train, "val_loss", max_trials=1, directory=tempfile.mkdtemp())
        >>> tuner.search(verbose=0)
        >>> metrics = tuner.oracle.get_best_trials()[0].metrics
        >>> metrics["val_loss"] == metrics.get_best_value("val_loss") == 1 / 3
        True
        >>> [one.mean() for one in metrics.get_history("val_loss")][:2]
        [1.0, 0.5]
    """

    def __init__(self, trial: Trial, objective: Objective, reports: tuple[Report, ...]) -> None:
        super().__init__({} if trial.result is None else trial.result.metrics)
        self._trial = trial
        self._objective = objective
        self._reports = reports

    def exists(self, name: str) -> bool:
        """Tell whether a metric was ever reported."""
        return name in self or any(name in report.metrics for report in self._reports)

    def get_history(self, name: str) -> list[Observed]:
        """Give a metric at each epoch, in their order.

        Raises:
            KeyError: when it was never reported.
        """
        steps: dict[int, list[float]] = {}
        for report in self._reports:
            if name in report.metrics:
                steps.setdefault(report.epoch, []).append(report.metrics[name])
        if name in self and (not steps or self._is_of_one):
            # What a function returned after its epochs belongs to the best of them, and only the result has it.
            steps[self._trial.best_step or 0] = [self[name]]
        if not steps:
            known = sorted({known for report in self._reports for known in report.metrics})
            raise KeyError(f"no metric {name!r} was reported; there are: {', '.join(known) or 'none'}")
        return [Observed(steps[step], step) for step in sorted(steps)]

    def get_best_value(self, name: str) -> float | None:
        """Give the score, if it is the objective that is asked for, otherwise a metric's best mean over executions.

        Raises:
            KeyError: when it was never reported.
            ObjectiveError: when its name does not tell whether it should be small or large.
        """
        return self._trial.score if name == self._objective.name else self._leading(name).mean()

    def get_best_step(self, name: str) -> int | None:
        """Give the epoch, from 0, of what `get_best_value` gives."""
        return self._trial.best_step if name == self._objective.name else self._leading(name).step

    def get_last_value(self, name: str) -> float:
        """Give a metric's mean over executions at the last epoch that reported it."""
        return self.get_history(name)[-1].mean()

    @property
    def _is_of_one(self) -> bool:
        return self._trial.result is not None and self._trial.result.executions == 1

    def _leading(self, name: str) -> Observed:
        badness = Objective(name).badness
        return min(self.get_history(name), key=lambda one: badness(one.mean()))


@dataclass(frozen=True)
class TrialView:
    """A trial with its hyperparameters at hand, as Keras Tuner's `Trial`."""

    trial: Trial
    space: Space
    objective: Objective
    reports: tuple[Report, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.trial}>"

    @property
    def trial_id(self) -> str:
        return self.trial.trial_id

    @property
    def status(self) -> str:
        return self.trial.status.value

    @property
    def score(self) -> float | None:
        return self.trial.score

    @property
    def best_step(self) -> int | None:
        return self.trial.best_step

    @property
    def message(self) -> str:
        return self.trial.message

    @property
    def metrics(self) -> Metrics:
        """Every metric at the best epoch, averaged over executions; with Keras Tuner's methods."""
        return Metrics(self.trial, self.objective, self.reports)

    @property
    def hyperparameters(self) -> HyperParameters:
        """The trial's values; give it to your function to build the same model."""
        return HyperParameters.of(self.trial.values, self.space)

    def get_state(self) -> dict[str, Any]:
        """Give all that is known of the trial, as plain values."""
        return {
            "trial_id": self.trial_id,
            "hyperparameters": self.hyperparameters.get_config(),
            "metrics": {name: self.metrics.get_history(name) for name in self.metrics},
            "score": self.score,
            "best_step": self.best_step,
            "status": self.status,
            "message": self.message,
        }

    def summary(self) -> None:
        """Print the trial."""
        print(f"Trial {self.trial_id} summary")
        print("Hyperparameters:")
        for name, value in self.trial.values.items():
            print(f"{name}: {value}")
        print(f"Score: {self.score}" if self.score is not None else f"{self.status}: {self.message}")


class OracleView:
    """What Keras Tuner's users reach for under ``tuner.oracle``: the trials and the limits.

    Args:
        store: where the search is kept.
        objective: what is optimised.
        max_trials: the limit.
        running: gives the trials that run in this process, by number.
    """

    def __init__(
        self,
        store: Store,
        objective: Objective,
        max_trials: int | None,
        running: Callable[[], Mapping[int, RunningTrial]],
    ) -> None:
        self.objective = objective
        self.max_trials = max_trials
        self._store = store
        self._running = running

    def _view(self, trial: Trial, history: History) -> TrialView:
        reports = self._store.reports(trial.number).get(trial.number, ())
        return TrialView(trial, history.space, history.objective, reports)

    @property
    def trials(self) -> dict[str, TrialView]:
        """All trials by their ids."""
        history = self._store.history()
        return {trial.trial_id: self._view(trial, history) for trial in history}

    def get_trial(self, trial_id: str) -> TrialView:
        """Give one trial.

        Raises:
            KeyError: when there is none of that id.
        """
        history = self._store.history()
        for trial in history:
            if trial.trial_id == trial_id:
                return self._view(trial, history)
        raise KeyError(f"no trial {trial_id!r}; there are {len(history)}, numbered from 0000")

    def get_best_trials(self, num_trials: int = 1) -> list[TrialView]:
        """Give the best completed trials, best first."""
        history = self._store.history()
        return [self._view(trial, history) for trial in history.completed[:num_trials]]

    def pareto_front(self) -> list[TrialView]:
        """Give the completed trials that no other one beats in one objective without losing in another."""
        history = self._store.history()
        return [self._view(trial, history) for trial in history.front]

    def get_space(self) -> HyperParameters:
        """Give the space known so far, with its defaults."""
        hp = HyperParameters()
        hp.merge(self._store.history().space.parameters)
        return hp

    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> str:
        """Report an epoch of a running trial, as an overridden ``run_trial`` of Keras Tuner does.

        Args:
            trial_id: a trial that runs in this process.
            metrics: by name.
            step: which epoch; an epoch that was told already counts as the next.

        Returns:
            The trial's status.
        """
        trial = self._running().get(int(trial_id))
        if trial is None:
            raise KeyError(f"trial {trial_id!r} does not run in this process")
        trial.report(metrics, epoch=max(step, trial.next_epoch))
        return Status.RUNNING.value

    def remaining_trials(self) -> int | None:
        """Give how many trials are left to make; None without a limit."""
        if self.max_trials is None:
            return None
        history = self._store.history()
        ended = history.having(Status.COMPLETED, Status.FAILED)
        return max(0, self.max_trials - len(ended))
