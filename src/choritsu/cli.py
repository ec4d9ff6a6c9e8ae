"""The command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from choritsu import __version__
from choritsu.errors import ChoritsuError

if TYPE_CHECKING:
    from choritsu.report import Summary
    from choritsu.schedules import Schedule

app = typer.Typer(
    name="choritsu",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hyperparameter tuning for Keras 3, PyTorch, scikit-learn and any Python function.\n\n"
    "A search lies in a directory: the one given to a tuner, joined with its project name. "
    "show, best, report and export only read it, also while the search runs.",
)

lr = typer.Typer(no_args_is_help=True, help="Look at learning-rate schedules.")
app.add_typer(lr, name="lr")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a search; it holds search.db.")]


class Format(StrEnum):
    """The formats that export writes."""

    csv = "csv"
    json = "json"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"choritsu {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


class ReportFormat(StrEnum):
    """The formats that check-lr writes."""

    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


@contextmanager
def _opened(directory: Path) -> Iterator[Summary]:
    from choritsu.stores import read_store
    from choritsu.views import summarize

    directory = _of_search(directory)
    store = read_store(directory)
    try:
        yield summarize(store, str(directory))
    finally:
        store.close()


def _of_search(directory: Path) -> Path:
    """Give the directory of a search where its database was given; name those below where it has none itself."""
    if directory.name == "search.db":
        return directory.parent
    if directory.is_dir() and not (directory / "search.db").exists():
        below = [str(path.parent) for path in sorted(directory.glob("*/search.db"))]
        if below:
            others = f" and {len(below) - 10} more" if len(below) > 10 else ""
            raise ChoritsuError(f"no search lies in {directory} itself, but in {', '.join(below[:10])}{others}")
    return directory


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="An .npz file of images with x_train, y_train, x_test, y_test; else scikit-learn's digits."),
    ] = None,
    samples: Annotated[int | None, typer.Option(min=10, help="Train on this many images of --data only.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many combinations to try.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="How many epochs to train each.")] = 10,
    directory: Annotated[Path, typer.Option(help="Where to keep the search.")] = Path("tuning"),
    seed: Annotated[int, typer.Option(help="The seed of suggestions and trainings.")] = 0,
) -> None:
    """Tune a small convolutional network on real images; run it twice to see a search continue.

    Takes a minute on the digits. Needs Keras with JAX, PyTorch or TensorFlow.
    """
    try:
        from choritsu.demo import digits, images_from, run
    except ImportError as error:
        raise ChoritsuError(
            f"the demo needs Keras ({error}); install it: pip install 'choritsu[keras,sklearn]'"
        ) from error
    if samples is not None and data is None:
        raise ChoritsuError("--samples cuts --data; the digits are few")
    images = digits() if data is None else images_from(data, samples)
    report = run(images, directory, trials=trials, epochs=epochs, seed=seed)
    typer.echo(f"The report: {report}")
    typer.echo(f"Again, for {trials} trials more: the same command. The numbers: choritsu show {report.parent}")


@app.command()
def show(
    directory: Directory,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many of the best trials to list.")] = 10,
    trial: Annotated[int | None, typer.Option(min=0, help="Show this trial alone, its traceback included.")] = None,
) -> None:
    """Print the search space and the results of a search."""
    from choritsu.report import print_results, print_space
    from choritsu.report.wording import reason

    with _opened(directory) as summary:
        if trial is None:
            print_space(summary.space)
            print_results(summary, num_trials=number)
            return
        if trial >= len(summary.history):
            raise ChoritsuError(f"there is no trial {trial}; the search has {len(summary.history)}, numbered from 0")
        row = summary.history[trial]
        typer.echo(f"Trial {row.trial_id}: {row.status}{f', score {row.score}' if row.score is not None else ''}")
        for name, value in row.values.items():
            typer.echo(f"  {name} = {value!r}")
        for report in summary.reports.get(trial, ()):
            metrics = "  ".join(f"{name}={value:.6g}" for name, value in report.metrics.items())
            typer.echo(f"  execution {report.execution + 1}  epoch {report.epoch + 1}  {metrics}")
        if row.has_failed_later:
            typer.echo(f"  {reason(row)}")
        if row.message:
            typer.echo(row.traceback or row.message)


@app.command()
def best(
    directory: Directory,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a Python dict.")] = False,
) -> None:
    """Print the best values, ready to paste; those of each trial of the front, where a search has one."""
    from choritsu.report.wording import literal_lines
    from choritsu.space import encode

    with _opened(directory) as summary:
        winner = summary.best
        if winner is None:
            raise ChoritsuError(f"no trial of the search in {directory} has completed yet")
        if summary.objective.pareto:
            _print_front(summary, as_json)
            return
        if as_json:
            values = {name: encode(value) for name, value in winner.values.items()}
            typer.echo(json.dumps({"trial": winner.number, "score": winner.score, "values": values}, indent=2))
        else:
            typer.echo(f"# {summary.objective.name} {winner.score!r}, trial {winner.number}")
            typer.echo(literal_lines(winner.values))


def _print_front(summary: Summary, as_json: bool) -> None:
    from choritsu.report.wording import literal_lines
    from choritsu.space import encode

    told = [
        (trial, {part.name: trial.result.metrics[part.name] for part in summary.objective.parts})
        for trial in summary.front
        if trial.result is not None
    ]
    if as_json:
        rows = [
            {
                "trial": trial.number,
                "metrics": metrics,
                "values": {name: encode(value) for name, value in trial.values.items()},
            }
            for trial, metrics in told
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for trial, metrics in told:
        typer.echo(f"# {', '.join(f'{name} {value!r}' for name, value in metrics.items())}, trial {trial.number}")
        typer.echo(literal_lines(trial.values))


@app.command()
def report(
    directory: Directory,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The page; by default DIR/report.html.")] = None,
) -> None:
    """Write one HTML page with tables and charts of a search; it needs no network."""
    from choritsu.report import write_html

    with _opened(directory) as summary:
        path = output or _of_search(directory) / "report.html"
        write_html(summary, path)
        typer.echo(str(path))


@app.command()
def export(
    directory: Directory,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - for the terminal.")],
    kind: Annotated[
        Format | None, typer.Option("--format", "-f", help="csv (a row a trial) or json (epochs too); else by ending.")
    ] = None,
) -> None:
    """Write all trials as CSV or JSON."""
    from choritsu.report import write_csv, write_json

    chosen = kind.value if kind else output.suffix.lstrip(".").lower()
    writers = {"csv": write_csv, "json": write_json}
    if chosen not in writers:
        raise ChoritsuError(f"cannot tell the format of {output}; add --format csv or --format json")
    with _opened(directory) as summary:
        if output == Path("-"):
            with TemporaryDirectory() as place:
                typer.echo(writers[chosen](summary, Path(place, "trials")).read_text(encoding="utf-8"), nl=False)
            return
        writers[chosen](summary, output)
        typer.echo(f"{len(summary.history)} trials in {output}")


@app.command("check-lr")
def check_lr(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Scripts, notebooks, or directories of them.")],
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also list what is fine, and what cannot be told.")
    ] = False,
    kind: Annotated[
        ReportFormat, typer.Option("--format", "-f", help="text, json, sarif (2.1.0), or github (annotations).")
    ] = ReportFormat.text,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file, not to the terminal.")
    ] = None,
    select: Annotated[str, typer.Option(help="Only these rules, with commas between: LR001,LR003.")] = "",
    ignore: Annotated[str, typer.Option(help="All rules but these.")] = "",
) -> None:
    """Find learning-rate mistakes in Python source and notebooks, without running them.

    LR001 a rate given where PyTorch wants a factor; LR002 a factor given where Keras wants a rate; LR003 a decay that
    is applied again every epoch; LR004 a second parameter that Keras fills with the rate; LR005 scheduler.step()
    before optimizer.step(); LR006 a Rate or Factor where an optimizer wants a number. A comment "# choritsu: ok" on the
    call, or on the function it names, silences it.

    Ends with 0 if nothing is wrong, 1 if there are mistakes, 2 if there are none but a file could not be read that was
    named, or that mentions a scheduler or choritsu; other files in directories are not looked into.
    """
    from choritsu.lint import FORMATS, check_paths

    try:
        report = check_paths(paths, select.replace(",", " ").split(), ignore.replace(",", " ").split())
    except ChoritsuError as error:
        typer.echo(f"choritsu: {error}", err=True)
        raise typer.Exit(2) from error
    text = FORMATS[kind.value](report, everything)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
    elif text:
        typer.echo(text)
    raise typer.Exit(report.exit_code)


@lr.command("plot")
def lr_plot(
    schedules: Annotated[
        list[str],
        typer.Argument(
            metavar="SCHEDULE...",
            help="Such as '0.1 * cosine(steps=90).warmup(10)'; or a JSON file that schedule.to_json() gave; or - for "
            "standard input.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a picture: a .png, .svg or .pdf file.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How many steps to show; by default all of them.")] = None,
    steps_per_epoch: Annotated[float | None, typer.Option(help="For schedules that count epochs.")] = None,
    horizon: Annotated[float | None, typer.Option(help="How many steps in all; for those that count shares.")] = None,
    log: Annotated[bool, typer.Option("--log", help="A logarithmic scale of the rates.")] = False,
) -> None:
    """Draw schedules in the terminal, or into a file.

    They are read, not run: numbers, the functions of choritsu.schedules by name, and methods such as .warmup(10).
    """
    from rich.console import Console

    from choritsu.schedules.drawing.pictures import write_picture
    from choritsu.schedules.drawing.terminal import told

    read = [_bound(_schedule(text), steps_per_epoch, horizon) for text in schedules]
    if output is not None:
        write_picture(read, output, steps, log=log)
        typer.echo(str(output))
        return
    console = Console()
    for schedule in read:
        console.print(told(schedule, steps, log=log, width=console.width))


def _schedule(text: str) -> Schedule:
    from choritsu.schedules import read_schedule

    if text == "-":
        return read_schedule(sys.stdin.read())
    path = Path(text)
    return read_schedule(path.read_text(encoding="utf-8") if path.suffix == ".json" else text)


def _bound(schedule: Schedule, steps_per_epoch: float | None, horizon: float | None) -> Schedule:
    if steps_per_epoch is None and horizon is None:
        return schedule
    return schedule.bind(steps_per_epoch=steps_per_epoch, horizon=horizon)


def main() -> None:
    """Run the command line; what choritsu refuses is told in a sentence, not in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows fewer letters gets a question mark, not an error.
            stream.reconfigure(errors="replace")
    try:
        app()
    except (ChoritsuError, OSError) as error:
        typer.echo(f"choritsu: {error}", err=True)
        sys.exit(1)
