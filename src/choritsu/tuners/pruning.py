"""Which files of trials stay on disk: those of the best, and of what may still go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from choritsu.jobs import BEST, BUILD, WEIGHTS
from choritsu.racing import RACED
from choritsu.trials import History, Status

#: Of so many best trials it is kept that their trainings have ended, for those that are trained once more.
STATES = 100


def prune(
    project: Path,
    history_now: Callable[[], History],
    keep: int,
    *,
    repeats: bool,
    promotable: Callable[[History], Collection[int]],
) -> None:
    """Delete the weights of trials that are neither among the best nor running, and states that nobody goes on from.

    Args:
        project: the directory of the search.
        history_now: reads its history.
        keep: the weights of so many best trials stay.
        repeats: whether trials are trained once more where that may change who is best.
        promotable: gives the numbers of completed trials that may go on.
    """
    # Only what is on disk is looked at: a search may have thousands of trials and few models.
    directories = list(project.glob("trials/[0-9]*"))
    if not directories:
        return
    # States are only kept where trials are repeated; elsewhere they go as a whole.
    left = list(project.glob("trials/[0-9]*/state/*writing-*")) if repeats else []
    # Read after the disk: another process may just have begun a trial.
    history = history_now()
    # What is repeated does not begin anew; that a training has ended takes a small file.
    ended = {trial.trial_id for trial in history.completed[:STATES]} if repeats else set()
    kept = {trial.trial_id for trial in history.completed[: max(keep, RACED) if repeats else keep]}
    unfinished = {trial.trial_id for trial in history.having(Status.RUNNING, Status.INTERRUPTED)}
    going_on = {f"{number:04d}" for number in promotable(history)}
    for torn in left:
        if torn.parts[-3] not in unfinished:
            torn.unlink(missing_ok=True)
    for directory in directories:
        if directory.name not in unfinished | going_on | ended:
            shutil.rmtree(directory / "state", ignore_errors=True)
        if directory.name in unfinished:
            continue
        # What a process that was killed left half written.
        for torn in directory.glob("*writing-*"):
            torn.unlink(missing_ok=True)
        if directory.name in kept:
            continue
        for name in (WEIGHTS, BUILD, BEST):
            (directory / name).unlink(missing_ok=True)
        with suppress(OSError):  # It holds something else, or another process was quicker.
            directory.rmdir()
