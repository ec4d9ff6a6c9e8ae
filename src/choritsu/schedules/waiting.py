"""Reaching Keras' trainings before they begin, while a schedule waits for one. Importing this imports Keras."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from keras.callbacks import CallbackList

#: Reentrant, because a schedule may be collected as garbage in the midst of it.
_ONE_AT_A_TIME = threading.RLock()

_HOOK = "_choritsu_waiting"


@dataclass
class _Hook:
    """What stands in the place of a constructor, the constructor, and for whom."""

    method: Callable[..., None]
    stands: Callable[..., None]
    waiting: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)


def wait(schedule: object, seen: Callable[[Any], None]) -> None:
    """Call `seen` with every list of callbacks that Keras makes while `schedule` lives.

    Keras makes one for each fit, which knows the model and the length of the training, before anything is compiled.
    When the last schedule that waits is gone, Keras is as it was.

    Args:
        schedule: is not kept alive.
        seen: the same for all who wait.
    """
    with _ONE_AT_A_TIME:
        made = CallbackList.__init__
        hook = getattr(made, _HOOK, None)
        if hook is None:

            @functools.wraps(made)
            def watched(callbacks: Any, *args: Any, **kwargs: Any) -> None:
                made(callbacks, *args, **kwargs)
                seen(callbacks)

            hook = _Hook(made, watched)
            setattr(watched, _HOOK, hook)
            hook.waiting.add(schedule)
            CallbackList.__init__ = watched
        hook.waiting.add(schedule)
    weakref.finalize(schedule, _leave).atexit = False


def _leave() -> None:
    with _ONE_AT_A_TIME:
        made = CallbackList.__init__
        hook = getattr(made, _HOOK, None)
        # Where somebody else has put something over it since, that stays.
        if hook is not None and hook.stands is made and not any(True for _ in hook.waiting):
            CallbackList.__init__ = hook.method
