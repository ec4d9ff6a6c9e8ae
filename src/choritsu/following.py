"""What the trials of a search have reported, those of other processes included."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from choritsu.stores import Store
from choritsu.trials import History, Report, Reported, Status, reached_in

#: How often trials that others run are read, in seconds: reports come often.
OFTEN = 1.0


class Following:
    """Follows the reports of all trials: its own search tells it, and of others it reads.

    Args:
        store: where they are kept.
        history: every trial, as it was before now.
    """

    def __init__(self, store: Store, history: History) -> None:
        self._store = store
        self._told = {number: list(reports) for number, reports in store.reports().items()}
        #: How many epochs each has trained in each execution.
        self._reached = {number: reached_in(reports) for number, reports in self._told.items()}
        #: How a trial stood when it was last read.
        self._read: dict[int, tuple[int, Status]] = {
            trial.number: (trial.attempt, trial.status) for trial in history if trial.status is not Status.RUNNING
        }
        self._looked = -OFTEN
        self.epochs = sum(sum(reached.values()) for reached in self._reached.values())

    @property
    def told(self) -> Mapping[int, list[Report]]:
        """By number, what each trial has reported, by execution and epoch."""
        return MappingProxyType(self._told)

    def add(self, event: Reported) -> None:
        """Take in an epoch; an attempt that goes on tells once more what had not been saved."""
        report, curve = event.report, self._told.setdefault(event.number, [])
        place = (report.execution, report.epoch)
        if curve and place <= (curve[-1].execution, curve[-1].epoch):
            curve[:] = [known for known in curve if (known.execution, known.epoch) != place]
            curve.append(report)
            # In order, whatever the order in which epochs are told.
            curve.sort(key=lambda known: (known.execution, known.epoch))
        else:
            curve.append(report)
        reached = self._reached.setdefault(event.number, {})
        more = max(report.epoch + 1 - reached.get(report.execution, 0), 0)
        reached[report.execution] = reached.get(report.execution, 0) + more
        self.epochs += more

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to look at what others have told."""
        return now - self._looked >= OFTEN

    def catch_up(self, history: History, held: Collection[int], now: float) -> None:
        """Read what other processes have told since.

        Args:
            history: every trial, as it is now.
            held: the numbers of those that this search runs.
            now: in seconds, from any beginning.
        """
        self._looked = now
        for trial in history:
            stands = trial.attempt, trial.status
            if trial.number not in held and self._read.get(trial.number) != stands:
                self.read(trial.number)
                if trial.status is not Status.RUNNING:
                    self._read[trial.number] = stands

    def read(self, number: int) -> None:
        """Read what counts of a trial's reports."""
        before = sum(self._reached.get(number, {}).values())
        self._told[number] = list(self._store.reports(number).get(number, ()))
        self._reached[number] = reached_in(self._told[number])
        self.epochs += sum(self._reached[number].values()) - before
