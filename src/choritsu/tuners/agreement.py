"""Whether a script wants what the search that is stored was begun with, and what to say where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from choritsu.errors import ChangedSearchError, RedefinedError
from choritsu.space import Space
from choritsu.stores import Identity
from choritsu.trials import History, Objective, Status, Trial

#: After so many trials a parameter that is new is worth a word: the branches of a function have been seen by then.
BRANCHES = 5


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
    return ChangedSearchError(_explain([f"{error.name}: was {error.known}, is now {error.asked}"], directory))


def other_executions(stored: Identity, each: int | str) -> Iterator[str]:
    """Say where the trials of one search are trained differently often."""
    before = stored.settings.get("executions_per_trial", each)
    if before != each:
        earlier, now = (
            "as many executions as needed" if told == "auto" else f"{told} executions each" for told in (before, each)
        )
        yield f"trials made earlier had {earlier}, those to come {now.removesuffix(' each')}"


def doubts(trial: Trial, earlier: Sequence[Trial]) -> Iterator[str]:
    """Say what of a trial that has completed hints at a mistake.

    Args:
        trial: what has completed.
        earlier: what an earlier run of a script has completed whose function could not be looked at beforehand. Since
            a function may ask for more in another branch, only what several trials agree on is told.
    """
    untold = [name for name in trial.suggested if name not in trial.values] if trial.enqueued else []
    if untold:
        yield (
            f"{', '.join(untold)} was enqueued for trial {trial.number}, and its function asked for "
            f"{', '.join(trial.values) or 'nothing'}: what is not enqueued under its name has its default"
        )
    always = set.intersection(*(set(one.values) for one in earlier)) if len(earlier) > 1 else set()
    gone = sorted(always - set(trial.values))
    new = [name for name in trial.values if not any(name in one.values for one in earlier)]
    if gone or (new and len(earlier) >= BRANCHES):
        asked = [f"for {', '.join(new)}, which none of the {len(earlier)} trials made earlier did"] if new else []
        asked += [f"not for {', '.join(gone)}, which all {len(earlier)} trials made earlier did"] if gone else []
        yield (
            f"trial {trial.number} asked {' and '.join(asked)}: if the function has changed, their scores cannot be "
            "compared; give another project_name"
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
