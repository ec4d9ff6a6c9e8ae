"""Every exception that choritsu raises.

::

    Exception
    ├── ChoritsuError                      anything that choritsu itself refuses
    │   ├── SpaceError (ValueError)        a search space that contradicts itself
    │   │   └── RedefinedError             one name, two definitions
    │   ├── ObjectiveError (ValueError)    an objective that cannot be read or never came
    │   ├── StoreError (OSError)           the files of a search cannot be used
    │   │   ├── CorruptStoreError          damaged
    │   │   ├── ForeignStoreError          written by another program
    │   │   ├── NewerStoreError            written by a later choritsu
    │   │   └── ReadOnlyStoreError         cannot be written
    │   ├── CheckpointError (ValueError)   a training's state cannot be kept, or what was kept cannot be used
    │   ├── ScheduleError (ValueError)     a schedule that cannot be
    │   │   └── UnboundError               it counts epochs or shares, and their number is not known
    │   ├── UnitError (TypeError)          a rate where a factor is wanted, or the other way round
    │   ├── DemoError                      the demonstration cannot use the data it was given
    │   ├── ChangedSearchError             the script and its stored search disagree
    │   └── TooManyFailuresError (RuntimeError)   trial after trial failed
    ├── FailedTrialError                   yours to raise: this trial failed, do not retry it
    ├── RedrawTrialError                   yours to raise: impossible combination, draw another
    └── FatalError                         yours to raise: stop the whole search
        ├── FatalValueError (ValueError)
        ├── FatalTypeError (TypeError)
        └── FatalRuntimeError (RuntimeError)

    UserWarning
    └── ScheduleWarning                    the learning rate in use is hardly the one that was meant
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Give the end of a message: which of the names known is close to the one given; empty when none is.

    Example:
        >>> did_you_mean("max_trial", ["max_trials", "seed"])
        '; did you mean max_trials?'
    """
    close = closest(given, known)
    return f"; did you mean {close}?" if close is not None else ""


def closest(given: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Give the name that a misspelt one probably means; None where none is like it.

    Args:
        given: what was written.
        known: what may have been meant.
        cutoff: how alike they must be, from 0 to 1.

    Example:
        >>> closest("max_trial", ["max_trials", "seed"])
        'max_trials'
    """
    return next(iter(difflib.get_close_matches(given, list(known), 1, cutoff)), None)


class ChoritsuError(Exception):
    """Base of everything that choritsu itself refuses."""


class SpaceError(ChoritsuError, ValueError):
    """A search space that contradicts itself; the message names the parameter and the cure."""


class RedefinedError(SpaceError):
    """One parameter name was given two different definitions.

    Attributes:
        name: the parameter.
        known: its first definition, as text.
        asked: the definition that disagrees, as text.
    """

    def __init__(self, name: str, known: str, asked: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.known = known
        self.asked = asked

    def __reduce__(self) -> tuple[type[RedefinedError], tuple[str, str, str, str]]:
        return type(self), (self.name, self.known, self.asked, str(self))


class ObjectiveError(ChoritsuError, ValueError):
    """An objective whose direction is unknown, or that a trial never reported as a finite number."""


class StoreError(ChoritsuError, OSError):
    """The files of a search cannot be used; they were left as they are."""


class CheckpointError(ChoritsuError, ValueError):
    """A training's state holds what no checkpoint can keep, or a checkpoint cannot be used."""


class CorruptStoreError(StoreError):
    """The store is damaged."""


class ForeignStoreError(StoreError):
    """The file in the store's place was written by another program."""


class NewerStoreError(StoreError):
    """The store was written by a later version of choritsu."""


class ReadOnlyStoreError(StoreError):
    """The store, or its directory, cannot be written."""


class ChangedSearchError(ChoritsuError):
    """The script asks for another space or objective than the search stored in its directory."""


class ScheduleError(ChoritsuError, ValueError):
    """A schedule that cannot be: a length that is none, a value that is no rate, a file that holds no schedule."""


class UnboundError(ScheduleError):
    """A schedule that counts epochs or shares of the run was read before their number was known."""


class UnitError(ChoritsuError, TypeError):
    """A learning rate was given where a factor is wanted, or the other way round."""


class ScheduleWarning(UserWarning):
    """The learning rate in use is hardly the one that was meant; the message has the numbers and the cure."""


class DemoError(ChoritsuError):
    """The data given to the demonstration cannot be used."""


class TooManyFailuresError(ChoritsuError, RuntimeError):
    """More trials failed in a row than `max_consecutive_failed_trials` allows."""


class FailedTrialError(Exception):
    """Raise it in your function to fail this trial at once, without a retry.

    Example:
        >>> raise FailedTrialError("the model does not fit into memory")
        Traceback (most recent call last):
        choritsu.errors.FailedTrialError: the model does not fit into memory
    """


class RedrawTrialError(Exception):
    """Raise it in your function when a combination makes no sense: another is drawn, at no cost.

    The refused combination is remembered and not tried again; it does not count towards `max_trials`.

    Example:
        >>> raise RedrawTrialError("heads must divide width")
        Traceback (most recent call last):
        choritsu.errors.RedrawTrialError: heads must divide width
    """


class FatalError(Exception):
    """Raise it in your function to stop the whole search; it reaches the caller of `search`."""


class FatalValueError(FatalError, ValueError):
    """A fatal error that is also a ValueError."""


class FatalTypeError(FatalError, TypeError):
    """A fatal error that is also a TypeError."""


class FatalRuntimeError(FatalError, RuntimeError):
    """A fatal error that is also a RuntimeError."""
