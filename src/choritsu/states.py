"""The state of a training: taken from the objects that have one, put back into them, and kept in a file."""

from __future__ import annotations

import contextlib
import random
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from choritsu.errors import CheckpointError
from choritsu.stores import load_checkpoint, save_checkpoint
from choritsu.trials import Report

#: Saving may take this share of the time that training takes; where it would take more it is done less often.
SHARE = 0.05


@dataclass(frozen=True)
class Progress:
    """How far an execution has come.

    Args:
        epochs: how many epochs are done, and the next one's number.
        ended: whether the training came to its own end there, so that nothing is left to do.
        state: what was saved with it; None where nothing was.
        reports: what was reported by then.
        values: with which hyperparameters it came so far, as `canonical` texts by name.
    """

    epochs: int = 0
    ended: bool = False
    state: Any = None
    reports: tuple[Report, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


class Keeper:
    """Keeps the progress of one execution of a trial in a file, so often that it costs little.

    Args:
        path: the file; its directory is made when it is first written.
        token: what must be the same when it is read again, such as the seed of the training; another token's file is
            as good as none.
        clock: gives seconds, from any beginning.
    """

    def __init__(self, path: Path, token: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._token = token
        self._clock = clock
        self._cost = 0.0
        self._saved = clock()
        self._broken = False

    def load(self) -> Progress:
        """Read how far the execution has come; from the beginning where nothing usable is kept."""
        try:
            kept = load_checkpoint(self.path)
        except FileNotFoundError:
            return Progress()
        except (CheckpointError, OSError) as error:
            warnings.warn(f"the trial begins anew: {error}", RuntimeWarning, stacklevel=2)
            return Progress()
        if kept.get("token") != self._token:
            return Progress()
        reports = tuple(Report(*report) for report in kept["reports"])
        return Progress(kept["epochs"], kept["ended"], kept["state"], reports, kept.get("values", {}))

    def due(self) -> bool:
        """Tell whether enough time has passed since the last save for another one to be cheap."""
        return self._clock() - self._saved >= self._cost * (1 / SHARE - 1)

    def save(self, made: Callable[[], Progress]) -> bool:
        """Write how far the execution has come.

        Args:
            made: gives it; what that takes is a part of the cost.

        Returns:
            False when the disk refused; what was saved before is still there, and the training goes on.

        Raises:
            CheckpointError: when the state holds what cannot be kept.
        """
        begun = self._clock()
        try:
            progress = made()
            tree = {
                "token": self._token,
                "epochs": progress.epochs,
                "ended": progress.ended,
                "state": progress.state,
                "values": dict(progress.values),
                "reports": [
                    (report.execution, report.epoch, dict(report.metrics), report.at) for report in progress.reports
                ],
            }
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(self.path, tree)
        except OSError as error:
            if not self._broken:
                warnings.warn(
                    f"the state of this trial cannot be saved ({error}); should it be interrupted, it goes on from "
                    "what was saved before",
                    RuntimeWarning,
                    stacklevel=2,
                )
            self._broken = True
            return False
        self._broken = False
        self._saved = self._clock()
        self._cost = self._saved - begun
        return True

    def forget(self) -> None:
        """Delete the file."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


# -- objects that have a state ---------------------------------------------------------------------


def taken(state: Mapping[str, Any]) -> dict[str, Any]:
    """Take the state of each object: of a model, an optimizer, a scheduler, a generator of random numbers.

    Args:
        state: by name, objects with ``state_dict`` and ``load_state_dict``, with ``get_state`` and ``set_state``, of
            NumPy's ``Generator`` or Python's ``Random``, or nested dicts of these.

    Raises:
        CheckpointError: for anything else.
    """
    return {str(name): _taken(thing, str(name)) for name, thing in state.items()}


def _taken(thing: Any, name: str) -> Any:
    if isinstance(thing, Mapping):
        return {str(key): _taken(item, f"{name}[{key!r}]") for key, item in thing.items()}
    if callable(getattr(thing, "state_dict", None)) and callable(getattr(thing, "load_state_dict", None)):
        return thing.state_dict()
    if callable(getattr(thing, "get_state", None)) and callable(getattr(thing, "set_state", None)):
        return thing.get_state()
    if hasattr(thing, "bit_generator"):
        return thing.bit_generator.state
    if isinstance(thing, random.Random):
        return thing.getstate()
    raise CheckpointError(
        f"{name!r} is a {type(thing).__name__}, which has no state to keep; give an object with state_dict() and "
        "load_state_dict(), such as a module, an optimizer or a scheduler"
    )


def put_back(state: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Put back what `taken` took.

    Raises:
        CheckpointError: when the names are others.
    """
    if set(map(str, state)) != set(kept):
        raise CheckpointError(
            f"the state that was saved holds {', '.join(sorted(kept))}, and what is to get it is called "
            f"{', '.join(sorted(map(str, state)))}"
        )
    for name, thing in state.items():
        _put_back(thing, kept[str(name)])


def _put_back(thing: Any, kept: Any) -> None:
    if isinstance(thing, Mapping):
        put_back(thing, kept)
    elif hasattr(thing, "load_state_dict"):
        thing.load_state_dict(kept)
    elif hasattr(thing, "set_state"):
        thing.set_state(kept)
    elif hasattr(thing, "bit_generator"):
        thing.bit_generator.state = kept
    else:
        cast(random.Random, thing).setstate(kept)
