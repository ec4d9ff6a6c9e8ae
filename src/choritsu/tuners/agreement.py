"""Whether a script wants what the search that is stored was begun with, and what to say where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from choritsu.errors import ChangedSearchError, RedefinedError
from choritsu.space import Space
from choritsu.stores import Identity
from choritsu.trials import History, Objective, Status, Trial


def is_to_redefine(
    stored: Identity, history: History, objective: Objective, asked: Space | None, directory: str, *, accept: bool
) -> bool:
    """Tell whether the script's space takes the place of the stored one, as its user accepts it or nothing is lost.

    Args:
        stored: what the search was begun with.
        history: its trials.
        objective: that of the script.
        asked: what the script's function asks for; None if it cannot be told.
        directory: where the search is, for the messages.
        accept: whether changes are accepted.

    Raises:
        ChangedSearchError: when something has changed that was not accepted, or that makes scores incomparable.
    """
    # Where every trial so far has failed, there is nothing that a change could spoil.
    accept = accept or (len(history) > 0 and not history.having(Status.COMPLETED, Status.RUNNING, Status.INTERRUPTED))
    changes = list(_changes(stored, objective, asked))
    if changes and not accept:
        raise ChangedSearchError(_explain(changes, directory))
    # That a single objective was turned round is its user's business.
    alike = stored.objective.name == objective.name and set(stored.objective.parts) == set(objective.parts)
    if history.completed and not alike:
        raise ChangedSearchError(
            f"the trials in {directory} are scored by {stored.objective.formula}, which cannot be compared with "
            f"{objective.formula}; give another project_name, or overwrite=True to begin anew"
        )
    return accept


def redefined(error: RedefinedError, directory: str) -> ChangedSearchError:
    """Give the error of a function that asks for a stored parameter otherwise than before."""
    explained = _explain([f"{error.name}: was {error.known}, is now {error.asked}"], directory)
    return ChangedSearchError(
        f"{explained}\nIf the function is as it was, a range in it depends on another value: ask for a share of it, "
        f'such as hp.Float("{error.name}_share", 0, 1), or under another name for each range.'
    )


def other_executions(stored: Identity, history: History, each: int | str) -> Iterator[str]:
    """Say where the trials of one search are trained differently often."""
    before = stored.settings.get("executions_per_trial", each)
    if before == each or not history.completed:
        return
    if before != "auto":
        # What the settings have said since then may have come to nothing.
        counts = sorted({trial.result.executions for trial in history.completed if trial.result is not None})
        if counts == [each]:
            return
        before = " or ".join(map(str, counts))
    earlier, now = (
        "as many executions as needed" if told == "auto" else f"{told} execution{'' if str(told) == '1' else 's'}"
        for told in (before, each)
    )
    yield f"trials made earlier had {earlier}{'' if before == 'auto' else ' each'}, those to come {now}"


def misnamed(trials: Iterable[Trial], space: Space) -> Iterator[str]:
    """Say which values were enqueued under names that no trial has ever asked for.

    Args:
        trials: those that have completed.
        space: all that was ever asked for, in whatever branch.
    """
    for trial in trials:
        untold = [name for name in trial.suggested if name not in trial.values and not space.named(name)]
        if trial.enqueued and untold:
            yield (
                f"{', '.join(untold)} was enqueued for trial {trial.number}, and its function asked for "
                f"{', '.join(trial.values) or 'nothing'}: what is not enqueued under its name has its default"
            )


def doubts(trial: Trial, earlier: Sequence[Trial]) -> Iterator[str]:
    """Say what of the first trial that has completed hints at a function that has changed.

    Args:
        trial: what has completed.
        earlier: what an earlier run of a script has completed whose function could not be looked at beforehand. Since
            a function asks for other parameters in another branch, it is doubted only where none is left, and where
            there are two trials at least.
    """
    before = {name: None for one in earlier for name in one.values}
    if len(earlier) > 1 and trial.values and not before.keys() & trial.values.keys():
        yield (
            f"trial {trial.number} asked for {', '.join(trial.values)}, and the {len(earlier)} trials made earlier for "
            f"{', '.join(before) or 'nothing'}: if the function has changed, their scores cannot be compared; give "
            "another project_name"
        )


def _changes(stored: Identity, objective: Objective, asked: Space | None) -> Iterator[str]:
    if stored.objective != objective:
        yield f"objective: was {stored.objective}, is now {objective}"
    if stored.asked is None or asked is None:
        return
    for parameter in stored.asked:
        now = asked.find(parameter)
        if now is None:
            yield f"{parameter.name}: was {parameter.definition}, is no longer asked for"
        elif not now.agrees(parameter):
            yield f"{parameter.name}: was {parameter.definition}, is now {now.definition}"
    for parameter in asked:
        if not stored.asked.find(parameter):
            yield f"{parameter.name}: is new, {parameter.definition}"


def _explain(changes: Sequence[str], directory: str) -> str:
    listed = "\n".join(f"  - {change}" for change in changes)
    return (
        f"the search in {directory} was begun with other definitions:\n{listed}\n"
        "Choose one: undo the change and go on; give another project_name for a search of its own; "
        "accept_changes=True to go on from here, keeping the trials made so far; "
        "overwrite=True to delete them and begin anew."
    )
