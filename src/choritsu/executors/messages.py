"""What a search and its worker processes say to each other, and how an exception gets across."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import cloudpickle

from choritsu.decisions import Answer
from choritsu.jobs import Job
from choritsu.space import Parameter
from choritsu.trials import Event


@dataclass(frozen=True)
class Welcome:
    """The first word to a worker.

    Args:
        path: where modules are looked for.
        arguments: those of the script.
        variables: environment variables as the user had them, where starting the worker needed others; None for unset.
        cores: the only cores it may use; empty for all.
        settings: what the script has set in its frameworks.
    """

    path: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: Mapping[str, str | None]
    cores: tuple[int, ...]
    settings: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Break:
    """The attempt is to be broken off now."""

    number: int
    attempt: int


@dataclass(frozen=True)
class Told:
    """An event; `call` counts them, so that each finds its answer."""

    call: int
    event: Event


@dataclass(frozen=True)
class Noted:
    """A value that nobody has suggested was given to the trial: all that is known of it, should its process die."""

    call: int
    parameter: Parameter
    value: Any


@dataclass(frozen=True)
class Answered:
    """The answer to an event or a note, or the exception that hearing of it raised."""

    call: int
    answer: Answer | None
    error: bytes | None = None


@dataclass(frozen=True)
class Ended:
    """The job is over and its slot free.

    Args:
        error: what it raised, by `as_bytes`; None where nothing was.
        trace: where that was, as text.
        handed_back: whether it raised no more than what an `Answered` had brought.
        memory: how many bytes the process holds for itself; 0 where that cannot be told.
    """

    error: bytes | None
    trace: str
    handed_back: bool
    memory: int


@dataclass(frozen=True)
class Leave:
    """There is nothing left to do."""


ToWorker: TypeAlias = Welcome | Job | Break | Answered | Leave
FromWorker: TypeAlias = Told | Noted | Ended


def packed(message: ToWorker | FromWorker) -> bytes:
    """Write a message, whatever classes of the user's script its values have."""
    data: bytes = cloudpickle.dumps(message)
    return data


def unpacked(data: bytes) -> Any:
    """Read what `packed` wrote."""
    return pickle.loads(data)


def as_bytes(error: BaseException) -> bytes:
    """Pickle an exception; one that cannot be is replaced by its nearest kin that can, with its text.

    Example:
        >>> class Odd(ValueError):
        ...     def __init__(self, first, second):
        ...         super().__init__(f"{first} and {second}")
        >>> pickle.loads(as_bytes(Odd(1, 2)))
        ValueError('Odd: 1 and 2')
    """
    try:
        data: bytes = cloudpickle.dumps(error)
        # Many can be written and not be read.
        if type(pickle.loads(data)) is type(error):
            return data
    except Exception:  # noqa: BLE001  # whatever the exception's own methods raise
        pass
    for kind in type(error).__mro__:
        if kind.__module__ in ("builtins", "choritsu.errors"):
            try:
                return pickle.dumps(kind(f"{type(error).__name__}: {error}"))
            except Exception:  # noqa: BLE001  # it wants other arguments
                continue
    raise AssertionError("BaseException takes any text")


def raised_by(ended: Ended) -> BaseException | None:
    """Give what a job raised, told as text where its class cannot be found here."""
    if ended.error is None:
        return None
    try:
        error: BaseException = pickle.loads(ended.error)
    except Exception:  # noqa: BLE001  # whatever importing its module raises
        return RuntimeError(ended.trace.rpartition("\n")[2])
    return error
