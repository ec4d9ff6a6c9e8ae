"""The recorder for Keras. Importing this imports Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from choritsu.schedules.keras import StepSchedule, schedule_of
from choritsu.schedules.recording.comparing import Per, Recorder, checked_per


class KerasRecorder(Recorder, keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
    """A Keras callback that notes the rates of the model's optimizer; see `Recorder`.

    Give it last, after the callbacks that set the rate. Of an optimizer that follows a schedule, the rate is what the
    schedule gives for the optimizer's own count.

    Args:
        per: "epoch", or "step" for each update; by default the step where the optimizer follows a schedule, which
            counts updates.
        verbose: 1 to print the rate after each epoch.

    Example:
        >>> callback = KerasRecorder(per="step")
        >>> callback.rates
        []
    """

    #: Keras keeps rates in single precision.
    tolerance = 1e-5

    def __init__(self, *, per: Per | None = None, verbose: int = 0) -> None:
        super().__init__()
        self.per = checked_per(per or "epoch")
        self._chosen = per is not None
        self.verbose = verbose
        self._noted: list[float] = []
        self._done = 0
        self._next = 0
        self._begin = 0
        self._last: float | None = None

    @property
    def rates(self) -> list[float]:
        """The rates that were noted, in order."""
        return self._noted

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """See how far the optimizer has counted."""
        if not self._chosen:
            self._chosen = True
            self.per = "epoch" if schedule_of(self.model.optimizer) is None else "step"
        # Within an epoch some backends keep the count to themselves.
        self._done = int(keras.ops.convert_to_numpy(_inner(self.model.optimizer)._iterations))
        self._next = 0
        self._begin = len(self._noted)
        self._last = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Note the rate that the next update finds."""
        self._next = batch
        if self.per == "step" and schedule_of(self.model.optimizer) is None:
            self._last = self._plain()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Note the rate of each update that was made."""
        # One call may stand for several batches.
        made = range(self._next, batch + 1)
        if self.per == "step":
            every = _inner(self.model.optimizer).gradient_accumulation_steps or 1
            self._noted += [self._at(count) for index in made if ((count := self._done + index) + 1) % every == 0]
        self._next = batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Note the rate of the epoch's last update."""
        # The last call may have stood for fewer batches than it said, and an update may have been left out.
        made = int(keras.ops.convert_to_numpy(_inner(self.model.optimizer)._iterations)) - self._done
        if not made:
            return
        if self.per == "step":
            every = _inner(self.model.optimizer).gradient_accumulation_steps or 1
            del self._noted[self._begin + (self._done + made) // every - self._done // every :]
        rate = self._at(self._done + made - 1)
        if self.per == "epoch":
            self._noted.append(rate)
        if self.verbose:
            # Its own way of writing itself is the shortest in single precision; a format's is double's.
            print(f"Epoch {epoch + 1}: learning rate {np.float32(rate)!s}")

    def _at(self, count: int) -> float:
        schedule = schedule_of(self.model.optimizer)
        if schedule is None:
            return self._plain() if self._last is None else self._last
        if isinstance(schedule, StepSchedule) and schedule.gradient_accumulation_steps is None:
            # It asks the optimizer for its count, and is asked beside it here.
            count //= _inner(self.model.optimizer).gradient_accumulation_steps or 1
        return float(keras.ops.convert_to_numpy(schedule(keras.ops.convert_to_tensor(count, dtype="int32"))))

    def _plain(self) -> float:
        return float(keras.ops.convert_to_numpy(_inner(self.model.optimizer).learning_rate))

    def _of_group(self, group: int) -> list[float]:  # noqa: ARG002  # a Keras optimizer has one rate
        return self._noted


def _inner(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)
