"""The command line."""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

from benchmarks.searching.players import PLAYERS, invited  # noqa: E402  # before NumPy is loaded
from benchmarks.searching.playing import Match, interpreters, play  # noqa: E402
from benchmarks.searching.problems import problems  # noqa: E402
from benchmarks.searching.results import read, sort  # noqa: E402

#: What has been played is kept with the code: a peer's hundred trials, on all problems and seeds, take hours.
PLAYED = Path(__file__).parent / "played"
PLAYED_IN_PART = Path(__file__).parent / "played-in-part.jsonl"


def matches(given: argparse.Namespace) -> Iterator[Match]:
    pythons = interpreters(given.python)
    done = {} if given.again else read(given.results)
    for entry in map(invited, given.players):
        python = pythons.get(entry.package, pythons["choritsu"])
        for problem in given.problems or problems():
            seeds = [seed for seed in range(given.seeds) if (entry.name, problem, seed) not in done]
            if seeds:
                yield Match(entry, python, problem, seeds, given.trials, given.patience, given.results)


def run(given: argparse.Namespace) -> None:
    context = multiprocessing.get_context("spawn")
    reasons = set()
    with ProcessPoolExecutor(given.jobs, context) as pool:
        for done in as_completed([pool.submit(play, match) for match in matches(given)]):
            played = done.result()
            # A peer that is not installed says so once, and not for every problem.
            reason = played.match.entry.name, played.error
            if not played.error or reason not in reasons:
                print(played, flush=True)
            reasons.add(reason)
    sort(given.results, [entry.name for entry in map(invited, given.players)])


def report(given: argparse.Namespace) -> None:
    from benchmarks.searching.players import NAMES, OURS
    from benchmarks.searching.report import Comparison, drawn

    comparison = Comparison.of(read(given.results).values(), given.players, given.problems, given.seeds)
    if given.tables:
        print(comparison.tables(given.at, given.against or OURS, NAMES))
    else:
        print(comparison.text(given.at, given.against))
    if given.curves:
        drawn(comparison, given.curves)


def budgets(given: argparse.Namespace) -> None:
    from benchmarks.searching.budgets import compare

    compare(given.methods, interpreters(given.python), given.seeds, given.results)


def listed(given: argparse.Namespace) -> None:
    for problem in problems().values():
        print(f"{problem.name:20} {len(problem.space):2} parameters  {problem.about}")


def references(given: argparse.Namespace) -> None:
    from benchmarks.searching.references import write

    known = problems()
    write(known[name] for name in given.problems or known)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searching", description="Compare suggestions.")
    commands = parser.add_subparsers(required=True)

    def command(name: str, call, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(call=call)
        return made

    made = command("run", run, "Play, and append what comes out to the results.")
    made.add_argument("--players", nargs="+", default=list(PLAYERS), metavar="NAME", help="or label=module:oracle")
    made.add_argument("--trials", type=int, default=100)
    made.add_argument("--seeds", type=int, default=10, help="how many, from 0")
    made.add_argument("--jobs", type=int, default=1, help="how many play at once")
    made.add_argument("--patience", type=float, default=2.0, help="seconds a suggestion may take after 50 trials")
    made.add_argument("--again", action="store_true", help="also what has been run; the later run counts")
    made.add_argument("--python", action="append", default=[], metavar="PACKAGE=PATH", help="a peer's interpreter")
    made = command("report", report, "Tell what came out.")
    made.add_argument("--players", nargs="+", metavar="NAME", help="only these")
    made.add_argument("--seeds", type=int, help="only this many, from 0")
    made.add_argument("--at", nargs="+", type=int, default=[25, 50, 100], help="after how many trials")
    made.add_argument("--against", metavar="NAME", help="with whom the others are compared")
    made.add_argument("--tables", action="store_true", help="the tables of docs/better-trials.md")
    made.add_argument("--curves", type=Path, help="an SVG to draw")
    for name in ("run", "report"):
        commands.choices[name].add_argument("--problems", nargs="+", metavar="NAME", help="only these")
        commands.choices[name].add_argument("--results", type=Path, default=PLAYED)
    command("problems", listed, "List the problems.")
    made = command("references", references, "Find the best and the typical losses anew.")
    made.add_argument("problems", nargs="*")
    made = command("budgets", budgets, "Compare methods that train in part, on learning curves.")
    made.add_argument("--methods", nargs="+", metavar="NAME", help="only these")
    made.add_argument("--seeds", type=int, default=20)
    made.add_argument("--python", action="append", default=[], metavar="PACKAGE=PATH")
    made.add_argument("--results", type=Path, default=PLAYED_IN_PART)
    return parser.parse_args()


if __name__ == "__main__":
    given = parsed()
    given.call(given)
