"""What is seen while a search runs: one calm live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from choritsu.decisions import Done
from choritsu.report.wording import count, cut, duration, goal, number, show
from choritsu.search import Clock
from choritsu.trials import (
    Claimed,
    Event,
    Failed,
    Finished,
    History,
    Interrupted,
    Lost,
    Objective,
    Refused,
    Report,
    Reported,
    Status,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table


@dataclass(frozen=True)
class Facts:
    """What a display knows of its search beforehand.

    Args:
        project: where the search lies.
        objective: what is optimised.
        max_trials: the limit, if there is one.
        executions: how often each trial is trained.
        notes: further things to say at the start.
        epochs: how many epochs a training takes, where that is known.
        scope: how much is searched, in words; by default said by `max_trials`.
    """

    project: str
    objective: Objective
    max_trials: int | None = None
    executions: int = 1
    notes: Sequence[str] = ()
    epochs: int | None = None
    scope: str = ""


class Display(Protocol):
    """Shows a search while it runs."""

    def begin(self, history: History) -> None: ...
    def show(self, event: Event, history: History) -> None: ...
    def wait(self, history: History) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self, done: Done, history: History) -> None: ...
    def close(self) -> None: ...


def make_display(
    verbose: Any,
    *,
    project: str,
    objective: Objective,
    max_trials: int | None,
    executions: int,
    notes: Sequence[str],
    epochs: Any,
    scope: str = "",
) -> Display:
    """Choose a display.

    Args:
        verbose: 0 for none; None or "auto" for a live one in a terminal and plain lines elsewhere; any other
            value for plain lines, between which Keras may print its own.
        project: see `Facts`, as all others.
        objective: likewise.
        max_trials: likewise.
        executions: likewise.
        notes: likewise.
        epochs: likewise; ignored unless it is a number.
        scope: likewise.
    """
    if verbose in (0, False):
        return Silence()
    known = epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else None
    facts = Facts(project, objective, max_trials, executions, notes, known, scope)
    from rich.console import Console

    console = Console(highlight=False)
    if verbose in (None, "auto") and console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(facts, console, Clock().now)
    return Lines(facts, console)


class Silence:
    """Shows nothing."""

    def begin(self, history: History) -> None: ...
    def show(self, event: Event, history: History) -> None: ...
    def wait(self, history: History) -> None: ...
    def say(self, text: str) -> None: ...
    def end(self, done: Done, history: History) -> None: ...
    def close(self) -> None: ...


def heading(facts: Facts, history: History) -> list[str]:
    """Say what begins, or what continues."""
    objective = "{} ({})".format(*goal(facts.objective))
    trials = "all combinations" if facts.max_trials is None else count(facts.max_trials, "trial")
    lines = [" · ".join([f"Search in {facts.project}", facts.scope or trials, objective, *facts.notes])]
    ended = len(history.having(Status.COMPLETED, Status.FAILED))
    if len(history):
        again, others = history.having(Status.INTERRUPTED), history.having(Status.RUNNING)
        text = f"Continuing: {count(ended, 'trial')} made earlier"
        if history.best is not None:
            text += f", best {number(history.best.score or 0.0)} (trial {history.best.number})"
        if again:
            text += f"; interrupted: trial {', '.join(str(trial.number) for trial in again)}"
        if others:
            text += f"; running, or lost with its process: trial {', '.join(str(trial.number) for trial in others)}"
        lines.append(text)
    return lines


def ending(facts: Facts, done: Done, history: History) -> list[str]:
    """Say why it ended, and with what."""
    lines = [f"Done: {done.reason}."]
    best = history.best
    if best is not None:
        values = f": {_values(best.values)}" if best.values else ""
        if facts.objective.pareto:
            lines.append(f"Pareto front: {len(history.front)} of {count(len(history.completed), 'trial')}")
        lines.append(f"Best {facts.objective.name} {number(best.score or 0.0)} (trial {best.number}){values}")
    elif history:
        last = history.having(Status.FAILED)[-1:]
        why = f"; why: choritsu show {facts.project} --trial {last[0].number}" if last else ""
        lines.append(f"No trial has completed{why}")
    return lines


def waiting(history: History) -> str:
    """Say whom a search waits for that has nothing left to start."""
    others = [str(trial.number) for trial in history.having(Status.RUNNING)]
    return f"Waiting for trial {', '.join(others)}, which another process is training."


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={show(value)}" for name, value in values.items())


def beginning(claim: Claimed, history: History) -> str:
    """Say in one line what begins, or goes on."""
    trial = history[claim.number]
    if claim.executions is not None:
        return f"Trial {claim.number} once more, with another seed (execution {claim.executions})"
    if trial.rungs:
        return f"Trial {claim.number} goes on, from epoch {trial.rungs[-1].until} to {claim.until}"
    again = f" (attempt {claim.attempt + 1})" if claim.attempt else ""
    values = _values(claim.values)
    return f"Trial {claim.number}{again}{': ' + values if values else ''}"


def outcome(event: Event, history: History, objective: Objective) -> str | None:
    """Say in one line how a trial ended; None for events that end none."""
    match event:
        case Finished():
            trial = history[event.number]
            parts = [f"{objective.name} {number(event.result.score)}"]
            if event.result.spread is not None:
                parts[0] += f" ± {number(event.result.spread, 2)}"
            of = "" if trial.until is None else f" of {trial.until} so far"
            if event.result.epochs > event.result.executions or of:
                parts.append(f"best at epoch {event.result.best_epoch + 1}{of}")
            parts.append(duration(trial.seconds or 0.0))
            if history.best is not None and history.best.number == event.number:
                parts.append("the best so far")
            elif history.best is not None:
                parts.append(f"best so far {number(history.best.score or 0.0)} (trial {history.best.number})")
            return f"Trial {event.number}: " + " · ".join(parts)
        case Failed(message=why) | Refused(message=why) if history[event.number].status is Status.COMPLETED:
            return f"Trial {event.number}: failed, {why}; what it had reached before counts"
        case Failed(final=True):
            return f"Trial {event.number}: failed, {event.message}"
        case Failed():
            return f"Trial {event.number}: failed, {event.message}; it will be tried again"
        case Refused():
            return f"Trial {event.number}: refused, {event.message}; another is drawn"
        case Interrupted():
            return f"Trial {event.number}: interrupted; run again to take it up"
        case Lost():
            how = f" ({event.message})" if event.message else ""
            return f"Trial {event.number}: its process is gone{how}; it will be taken up again"
    return None


class Lines:
    """Prints a line when a trial starts and one when it ends; for files, pipes and Keras' own output."""

    def __init__(self, facts: Facts, console: Console) -> None:
        self._facts = facts
        self._console = console
        self._claimed: dict[int, Mapping[str, Any]] = {}

    def _print(self, line: str) -> None:
        # A terminal or file that knows fewer letters shall not end a search.
        line = line.encode(self._console.encoding, "replace").decode(self._console.encoding)
        self._console.print(line, markup=False, soft_wrap=True)

    def begin(self, history: History) -> None:
        for line in heading(self._facts, history):
            self._print(line)

    def show(self, event: Event, history: History) -> None:
        if isinstance(event, Claimed):
            self._claimed[event.number] = event.values
            self._print(beginning(event, history))
        line = outcome(event, history, self._facts.objective)
        if line is not None:
            self._print(line)
            used = event.values if isinstance(event, Finished | Failed) else {}
            if used and dict(used) != dict(self._claimed.pop(event.number, {})):
                # What only this trial discovered, or turned out not to need, is known by now.
                self._print(f"         with {_values(used)}")
        sys.stdout.flush()

    def wait(self, history: History) -> None:
        self._print(waiting(history))

    def say(self, text: str) -> None:
        self._print(text)
        sys.stdout.flush()

    def end(self, done: Done, history: History) -> None:
        for line in ending(self._facts, done, history):
            self._print(line)

    def close(self) -> None: ...


@dataclass
class _Running:
    """What is known of a trial while it runs."""

    claim: Claimed
    begun: float
    latest: Report | None = None
    reported: int = 0


class LiveDisplay:
    """Keeps a few lines up to date at the bottom of a terminal, and leaves a line for each ended trial."""

    def __init__(self, facts: Facts, console: Console, now: Callable[[], float]) -> None:
        self._facts = facts
        self._console = console
        self._now = now
        self._live: Live | None = None
        self._history = History()
        self._running: dict[int, _Running] = {}

    def begin(self, history: History) -> None:
        from rich.live import Live

        for line in heading(self._facts, history):
            self._console.print(line, markup=False)
        self._history = history
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=True,
            redirect_stderr=True,
        )
        self._live.start()

    def show(self, event: Event, history: History) -> None:
        self._history = history
        match event:
            case Claimed():
                # A trial that goes on has its earlier epochs behind it.
                behind = history[event.number].result
                reported = behind.epochs if behind is not None else 0
                self._running[event.number] = _Running(event, self._now(), reported=reported)
            case Reported() if event.number in self._running:
                running = self._running[event.number]
                running.latest = event.report
                running.reported += 1
            case _:
                line = outcome(event, history, self._facts.objective)
                if line is not None:
                    self._running.pop(event.number, None)
                    values = _values(history[event.number].values) if isinstance(event, Finished | Failed) else ""
                    self._console.print(cut(line, 400), markup=False)
                    if values:
                        self._console.print(f"         {values}", markup=False, style="dim")

    def wait(self, history: History) -> None:
        self._console.print(waiting(history), markup=False)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def end(self, done: Done, history: History) -> None:
        self.close()
        for line in ending(self._facts, done, history):
            self._console.print(line, markup=False)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich__(self) -> RenderableType:
        """Give the lines as they should look now; called a few times a second."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not self._running:
            return Text("")
        if len(self._running) > 1:
            return Group(Text(""), self._side_by_side(), Text(" · ".join(self._overall()), style="dim"))
        (running,) = self._running.values()
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
        table.add_column(f"trial {running.claim.number}")
        table.add_column("value")
        table.add_column("best so far")
        best = self._history.best
        values = dict(running.claim.values)
        for name in list(dict.fromkeys([*values, *(best.values if best else {})]))[:12]:
            mine = show(values[name]) if name in values else "·"
            table.add_row(
                Text(cut(name, 30)), Text(mine), Text(show(best.values[name]) if best and name in best.values else "·")
            )
        table.add_row(
            Text(self._facts.objective.name, style="bold"),
            Text(self._score(running), style="bold"),
            Text(number(best.score) if best is not None and best.score is not None else "·", style="bold"),
        )
        parts = [self._epochs(running), duration(self._now() - running.begun), *self._overall()]
        return Group(Text(""), table, Text(" · ".join(filter(None, parts)), style="dim"))

    def _side_by_side(self) -> Table:
        """Give one line a trial."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
        for name in ("trial", "epoch", self._facts.objective.name, "time", "values"):
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for trial, running in sorted(self._running.items()):
            table.add_row(
                str(trial),
                self._epochs(running).removeprefix("epoch ") or "·",
                Text(self._score(running), style="bold"),
                duration(self._now() - running.begun),
                Text(_values(running.claim.values), style="dim"),
            )
        return table

    def _score(self, running: _Running) -> str:
        score = running.latest.metrics.get(self._facts.objective.name) if running.latest else None
        return "·" if score is None else number(score)

    def _epochs(self, running: _Running) -> str:
        epochs = running.claim.until or self._facts.epochs
        total = epochs * (running.claim.executions or self._facts.executions) if epochs else None
        if not running.reported:
            return ""
        return f"epoch {running.reported} of {total}" if total else f"epoch {running.reported}"

    def _overall(self) -> list[str]:
        ended = [trial.seconds for trial in self._history.having(Status.COMPLETED, Status.FAILED) if trial.seconds]
        done = len(self._history.having(Status.COMPLETED, Status.FAILED))
        if self._facts.max_trials is None:
            return [f"{count(done, 'trial')} ended"] if len(self._running) > 1 else []
        parts = [f"trial {done + 1} of {self._facts.max_trials}"]
        if ended:
            elapsed = sum(self._now() - running.begun for running in self._running.values())
            left = (sum(ended) / len(ended) * (self._facts.max_trials - done) - elapsed) / len(self._running)
            parts.append(f"about {duration(max(left, 0.0))} left")
        return parts
