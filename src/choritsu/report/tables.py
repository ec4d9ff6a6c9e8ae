"""What a terminal says about a search: its space, and what came out. Readable without colour, at any width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from choritsu.report.data import Summary
from choritsu.report.importance import Importance, Importances
from choritsu.report.wording import clean, count, cut, duration, goal, number, reason, repeats, show, size
from choritsu.space import Choice, Float, Int, Parameter, Space, describe_size
from choritsu.trials import Trial

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

#: So many hyperparameters and pairs are named by how much they matter, if they have this share.
WEIGHTY, WEIGHT = 5, 0.01
#: So many trials that failed are named with their reason; the others are only counted.
FAILURES_TOLD = 5
#: So many letters of a reason: a framework's may go on for pages.
REASON_TOLD = 500

_BOUNDLESS = 10_000


def space_table(space: Space) -> RenderableType:
    """List the hyperparameters with kind, default, belief, values, sampling and condition, and how many there are.

    Args:
        space: the parameters known so far.

    Returns:
        What a rich console prints.
    """
    from rich.console import Group

    if not len(space):
        return _text("No hyperparameters are known yet: they are found when the function is called.")
    columns = {
        "hyperparameter": [cut(parameter.name, 60) for parameter in space],
        "kind": [parameter.kind for parameter in space],
        "default": [show(parameter.start, 24) for parameter in space],
        "prior": [show(parameter.prior, 24) if parameter.has_prior else "" for parameter in space],
        "values": [describe_values(parameter) for parameter in space],
        "sampling": [getattr(parameter, "sampling", "") for parameter in space],
        "only if": [describe_conditions(parameter) for parameter in space],
    }
    table = _table()
    for title, cells in columns.items():
        if any(cells):
            table.add_column(title, overflow="fold", no_wrap=title in ("kind", "sampling"))
    for row in zip(*(cells for cells in columns.values() if any(cells)), strict=True):
        table.add_row(*map(_text, row))
    return Group(_text(f"Search space: {count(len(space), 'hyperparameter')}, {describe_size(space)}"), table)


def describe_values(parameter: Parameter) -> str:
    """Say which values a parameter can take.

    Example:
        >>> from choritsu.space import Boolean
        >>> describe_values(Int("filters", 10, 40, step=10)), describe_values(Boolean("bias"))
        ('10 to 40, step 10', 'False, True')
        >>> describe_values(Float("rate", 1e-4, 1e-1, step=10, sampling="log"))
        '0.0001 to 0.1, times 10'
    """
    if isinstance(parameter, Int | Float):
        bounds = f"{show(parameter.min_value)} to {show(parameter.max_value)}"
        if parameter.step is None:
            return bounds
        return f"{bounds}, {'step' if parameter.sampling == 'linear' else 'times'} {number(parameter.step, 6)}"
    values = parameter.listed()
    shown = ", ".join(show(value, 24) for value in values[:12])
    more = f", ... ({len(values)} in all)" if len(values) > 12 else ""
    return f"{shown}{more}{' (ordered)' if isinstance(parameter, Choice) and _says_order(parameter) else ''}"


def _says_order(parameter: Choice) -> bool:
    return bool(parameter.ordered) and not all(isinstance(value, int | float) for value in parameter.values)


def describe_conditions(parameter: Parameter) -> str:
    """Say when a parameter exists; empty when it always does.

    Example:
        >>> from choritsu.space import Boolean, Condition
        >>> describe_conditions(Boolean("nesterov", conditions=(Condition("optimizer", ("sgd",)),)))
        'optimizer = sgd'
    """
    return " and ".join(
        f"{cut(condition.name, 40)} {'=' if len(condition.values) == 1 else 'in'} "
        f"{', '.join(show(value, 24) for value in condition.values)}"
        for condition in parameter.conditions
    )


def results_table(summary: Summary, num_trials: int = 10) -> RenderableType:
    """Tell what came out: where it lies, how many trials ran, the best one, and a table of the best few.

    Epochs are counted from 1 here, as Keras prints them.

    Args:
        summary: what came out.
        num_trials: how many of the best trials to show.

    Returns:
        What a rich console prints: a row a trial, or a paragraph a trial where rows would not fit.
    """
    return _Results(summary, num_trials)


def print_space(space: Space, console: Console | None = None) -> None:
    """Print `space_table`, by default to the standard output."""
    _console(console).print(space_table(space))


def print_results(summary: Summary, num_trials: int = 10, console: Console | None = None) -> None:
    """Print `results_table`, by default to the standard output."""
    _console(console).print(results_table(summary, num_trials))


def notebook_html(summary: Summary) -> str:
    """Give `results_table` as HTML for a notebook's cell."""
    import io

    from rich.console import Console

    console = Console(record=True, width=120, file=io.StringIO(), highlight=False)
    console.print(results_table(summary))
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def _console(console: Console | None) -> Console:
    from rich.console import Console

    return console or Console(highlight=False)


def _text(words: str, style: str = "") -> Text:
    from rich.text import Text

    # Never as a plain string, in which rich would read [this] as markup.
    return Text(clean(words), style=style)


def _table() -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")


def describe_counts(summary: Summary) -> str:
    """Say how many trials there are and where they stand.

    Example:
        >>> from choritsu.trials import Claimed, History
        >>> describe_counts(Summary(History().after(Claimed(0, 0, {}))))
        '1: 1 running'
    """
    states = describe_states(summary)
    return f"{len(summary.history):,}: {states}" if states else "none yet"


def describe_states(summary: Summary) -> str:
    """Say where the trials stand, and how many completed ones failed when they were to do more; empty for none."""
    states = [f"{amount:,} {str(status).lower()}" for status, amount in summary.counts.items()]
    failed = {
        "promotion": sum(trial.missed is not None for trial in summary.history),
        "repeat": sum(trial.has_failed_again for trial in summary.history),
    }
    return ", ".join([*states, *(f"{count(amount, what)} failed" for what, amount in failed.items() if amount)])


def _values(trial: Trial, separator: str = ", ") -> str:
    return separator.join(f"{cut(name, 40)}={show(value)}" for name, value in trial.values.items()) or "none"


@dataclass(frozen=True)
class _Results:
    summary: Summary
    num_trials: int
    plus_minus: str = "±"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if options.ascii_only:
            return replace(self, plus_minus="+/-")._parts(console, options)
        return self._parts(console, options)

    def _parts(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        summary = self.summary
        told = summary.front if summary.objective.pareto else summary.ranked
        shown = told[: max(self.num_trials, 0)]
        yield _text(f"Results of {cut(summary.title, 60)}", style="bold")
        yield self._facts()
        if shown:
            yield _text("")
            yield _text(self._headline(len(shown), len(told)), style="bold")
            table = self._rows(shown)
            if console.measure(table, options=options.update_width(_BOUNDLESS)).maximum > options.max_width:
                table = self._paragraphs(shown)
            yield table
        yield from self._failures()

    def _headline(self, shown: int, told: int) -> str:
        if self.summary.objective.pareto:
            of = f", {shown} of them" if shown < told else ""
            return f"The Pareto front: {told} of {count(len(self.summary.ranked), 'completed trial')}{of}"
        of = f"The best {shown} of {told}" if shown < told else "All"
        return f"{of} completed trials" if shown > 1 else "The best trial"

    def _facts(self) -> Table:
        from rich.table import Table

        summary, best = self.summary, self.summary.best
        ran = f"{summary.executions:,} over {count(summary.epochs, 'epoch')}"
        full = summary.epochs_in_full
        if full is not None and full > summary.epochs:
            ran += f" (trained to the end: {full:,}; {1 - summary.epochs / full:.0%} saved)"
        facts = {
            "results in": summary.directory,
            "trials": describe_counts(summary),
            "executions": f"{ran}, {duration(summary.seconds)} in all" if summary.seconds else ran,
            "objective": ", ".join(goal(summary.objective)),
            "noise": repeats(summary.noise) + ("; ordered by the expected score" if summary.expects else ""),
            "best sum" if summary.objective.pareto else "best": "none yet",
        }
        if best is not None:
            facts["best sum" if summary.objective.pareto else "best"] = (
                f"{self._score(best)}{self._expected(best)} in trial {best.trial_id}, epoch {self._epoch(best)}"
            )
            facts["its values" if summary.objective.pareto else "best values"] = _values(best)
            facts["what matters"] = "\n".join(self._weights())
        if summary.models:
            bound = summary.settings.get("keep_best_models")
            kept = f"{count(summary.models, 'model')} on disk, {size(summary.model_bytes)}"
            facts["weights"] = f"{kept}; those of the best {bound} trials are kept" if bound else kept
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, fact in facts.items():
            if fact:
                grid.add_row(_text(f"  {name}"), _text(fact))
        return grid

    def _weights(self) -> Iterator[str]:
        for objective, told in self.summary.told_importances if self.summary.names else ():
            yield f"{f'{objective.name}: ' if self.summary.objective.pareto else ''}{self._weight_of_all(told)}"

    def _weight_of_all(self, told: Importances) -> str:
        if told.reason:
            return f"nothing can be said yet: {told.reason}"
        weighty = sorted((*told.items, *told.pairs), key=lambda item: -item.share)[:WEIGHTY]
        named = ", ".join(self._weight(item) for item in weighty if item.share >= WEIGHT)
        after = f" after epoch {told.until}" if told.until else ""
        return f"{named} of the variance ({count(told.trials, 'trial')}{after}, {told.explained:.0%} explained)"

    def _weight(self, item: Importance) -> str:
        name = " with ".join(cut(name, 40) for name in item.names)
        return f"{name} {item.share:.0%} {self.plus_minus} {100 * item.spread:.0f}"

    def _score(self, trial: Trial) -> str:
        if trial.score is None:
            return "-"
        spread = trial.result.spread if trial.result else None
        return number(trial.score) if spread is None else f"{number(trial.score)} {self.plus_minus} {number(spread, 2)}"

    def _expected(self, trial: Trial) -> str:
        expected = self.summary.history.expected(trial)
        if not self.summary.expects or expected is None:
            return ""
        return f" ({count(self.summary.executions_of(trial), 'execution')}, {number(expected)} expected)"

    def _measures(self, trial: Trial) -> dict[str, str]:
        """Give what a trial is judged by, by name: the score, unless it only orders the front, and its parts."""
        objective, metrics = self.summary.objective, trial.result.metrics if trial.result else {}
        parts = {part.name: number(metrics[part.name]) if part.name in metrics else "-" for part in objective.parts}
        if objective.pareto:
            return parts
        told = {objective.name: self._score(trial)}
        if self.summary.expects:
            expected = self.summary.history.expected(trial)
            told |= {
                "executions": str(self.summary.executions_of(trial)),
                "expected": "-" if expected is None else number(expected),
            }
        return {**told, **parts}

    def _epoch(self, trial: Trial) -> str:
        return "-" if trial.best_step is None else f"{trial.best_step + 1}/{self.summary.length_of(trial)}"

    def _time(self, trial: Trial) -> str:
        return "-" if trial.seconds is None else duration(trial.seconds)

    def _rows(self, trials: tuple[Trial, ...]) -> Table:
        table = _table()
        names = [name for name in self.summary.names if any(name in trial.values for trial in trials)]
        table.add_column("" if self.summary.objective.pareto else "rank", justify="right", no_wrap=True)
        table.add_column("trial", no_wrap=True)
        for name in self._measures(trials[0]):
            table.add_column(_text(cut(name, 24)), no_wrap=True)
        table.add_column("epoch", no_wrap=True)
        table.add_column("time", no_wrap=True)
        for name in names:
            table.add_column(_text(cut(name, 24)), no_wrap=True)
        for rank, trial in enumerate(trials, start=1):
            values = [show(trial.values[name], 24) if name in trial.values else "-" for name in names]
            measures = self._measures(trial).values()
            cells = (str(rank), trial.trial_id, *measures, self._epoch(trial), self._time(trial), *values)
            table.add_row(*map(_text, cells))
        return table

    def _paragraphs(self, trials: tuple[Trial, ...]) -> Table:
        from rich.table import Table

        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(overflow="fold")
        scores, epochs = [self._told(trial) for trial in trials], [self._epoch(trial) for trial in trials]
        wide, deep = max(map(len, scores)), max(map(len, epochs))
        for rank, (trial, score, epoch) in enumerate(zip(trials, scores, epochs, strict=True), start=1):
            head = f"trial {trial.trial_id}  {score:{wide}}  epoch {epoch:{deep}}  {self._time(trial)}"
            grid.add_row(_text(f"{rank}."), _text(head, style="bold"))
            grid.add_row("", _text(_values(trial)))
        return grid

    def _told(self, trial: Trial) -> str:
        if not self.summary.objective.parts and not self.summary.expects:
            return self._score(trial)
        return "  ".join(f"{cut(name, 24)} {text}" for name, text in self._measures(trial).items())

    def _failures(self) -> Iterator[RenderableType]:
        from rich.table import Table

        failed = self.summary.failed
        if not failed:
            return
        yield _text("")
        yield _text("Failed", style="bold")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for trial in failed[-FAILURES_TOLD:]:
            grid.add_row(_text(f"  trial {trial.trial_id}:"), _text(cut(reason(trial), REASON_TOLD)))
        yield grid
        if len(failed) > FAILURES_TOLD:
            yield _text(f"  and {len(failed) - FAILURES_TOLD} earlier")
