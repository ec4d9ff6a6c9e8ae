"""Schedules as Keras wants them: a ``LearningRateSchedule``, or a callback. Importing this imports Keras.

Import it before loading a model that was saved with a schedule, as Keras asks of every object it does not know.
"""

from __future__ import annotations

import math
import sys
import warnings
import weakref
from typing import Any

import keras
import numpy as np

from choritsu.errors import ScheduleError, ScheduleWarning, UnboundError
from choritsu.schedules.coding import decoded, encoded, phrase
from choritsu.schedules.durations import Duration, positive
from choritsu.schedules.patching import patch, unpatch
from choritsu.schedules.shapes import Function, Piecewise, Shape, Shift, bound, everything_in, fitted
from choritsu.schedules.tensors import check_compilable, looked_up, tabulated


@keras.saving.register_keras_serializable(package="choritsu")
class StepSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras is not typed
    """A learning rate for each optimizer update; `Rate.to_keras` makes it.

    One that counts epochs or shares of the run is stretched to each ``fit`` when it begins, from that fit's first epoch
    on; with ``initial_epoch`` it goes on in the midst.

    Args:
        shape: the rate over steps; or its JSON values, as Keras keeps them.
        horizon: see `Rate.to_keras`.
        gradient_accumulation_steps: likewise.
        stretched: what it was in the last training, likewise, where it was saved after one.

    Raises:
        ScheduleError: for what cannot be compiled.
    """

    def __init__(
        self,
        shape: Any,
        *,
        horizon: int | None = None,
        gradient_accumulation_steps: int | None = None,
        stretched: Any = None,
        **_: Any,
    ) -> None:
        super().__init__()
        self.planned: Shape = decoded(shape) if isinstance(shape, dict) else shape
        self.horizon = horizon
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._stretched: Shape | None = decoded(stretched) if isinstance(stretched, dict) else stretched
        self._values: list[float] | None = None
        self._holds = False
        self._tensors: dict[Any, Any] = {}
        check_compilable(self.planned)
        if self.waits:
            _wait(self)
        elif _is_opaque(self.planned):
            # An error while a program is compiled would cost the model its weights.
            self._tabulated()

    @property
    def shape(self) -> Shape:
        """The rate over all updates of the optimizer; while no training has told its length, as it was declared."""
        return self._stretched or self.planned

    @property
    def waits(self) -> bool:
        """Whether each training tells it anew how long it is."""
        return not _is_bound(self.planned)

    @property
    def is_bound(self) -> bool:
        """Whether all lengths are known in steps."""
        return _is_bound(self.shape)

    def bind(self, *, steps_per_epoch: float | None = None, horizon: float | None = None) -> None:
        """Say how long the training is, once and for all.

        Args:
            steps_per_epoch: how many optimizer updates an epoch has.
            horizon: how many the whole training has.

        Raises:
            UnboundError: when what is needed is not given.
        """
        self.planned = fitted(self.planned, steps_per_epoch, horizon)
        self._follow(None)

    def stretch(self, *, steps_per_epoch: float, horizon: float | None, begin: float) -> None:
        """Say how long the training is that begins now; the next one may say something else.

        Args:
            steps_per_epoch: how many optimizer updates an epoch has.
            horizon: how many the whole training has.
            begin: how many the optimizer had made where this training has its first.

        Raises:
            UnboundError: when what is needed is not given.
        """
        if self.waits:
            shape = fitted(self.planned, steps_per_epoch, horizon)
            self._follow(Shift(shape, -begin) if begin else shape)

    def _follow(self, stretched: Shape | None) -> None:
        if stretched is None or stretched != self._stretched:
            self._stretched = stretched
            self._values = None
            self._tensors = {}

    def __call__(self, step: Any) -> Any:
        """Give the rate, a scalar tensor, at Keras' count of batches."""
        ops = keras.ops
        values = self._tabulated()
        step = ops.cast(step, "int32") // self._accumulated(step)
        table = self._tensor(values)
        shape = None if self._holds else self.shape
        return looked_up(table, len(values), shape, step, ops.cast(step, table.dtype), ops)

    def _tabulated(self) -> list[float]:
        if not self.is_bound:
            raise UnboundError(
                f"the learning rate {phrase(self.shape)} counts epochs or shares of the run, and their number is not "
                "known before model.fit begins, which tells it; for a loop of your own write "
                "rate.bind(steps_per_epoch=..., horizon=...).to_keras()"
            )
        if self._values is None:
            self._values, self._holds = tabulated(self.shape, self.horizon)
        return self._values

    def _tensor(self, values: list[float]) -> Any:
        array = np.asarray(values, dtype="float32" if keras.config.floatx() == "bfloat16" else keras.config.floatx())
        if keras.backend.backend() != "torch":
            # In a compiled program it is a constant, and belongs to that program alone.
            return keras.ops.convert_to_tensor(array)
        from keras.src.backend.torch.core import get_device

        device = str(get_device())
        if device not in self._tensors:
            self._tensors[device] = keras.ops.convert_to_tensor(array)
        return self._tensors[device]

    def _accumulated(self, step: Any) -> int:
        if self.gradient_accumulation_steps is not None:
            return self.gradient_accumulation_steps
        optimizer = _asking(step)
        return getattr(optimizer, "gradient_accumulation_steps", None) or 1

    def get_config(self) -> dict[str, Any]:
        """Give the schedule as JSON values; of a function of yours, the values that it gave.

        Raises:
            ScheduleError: when it holds a function whose length is not known yet.
        """
        planned, stretched = self.planned, self._stretched
        if _is_opaque(planned) and self.is_bound:
            values = self._tabulated()
            planned, stretched = Piecewise(tuple(range(len(values))), tuple(values)), None
        return {
            "shape": encoded(planned),
            "horizon": self.horizon,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "stretched": None if stretched is None else encoded(stretched),
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> StepSchedule:
        return type(self)(
            self.planned,
            horizon=self.horizon,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            stretched=self._stretched,
        )


def _is_bound(shape: Shape) -> bool:
    return not any(isinstance(value, Duration) for value in everything_in(shape))


def _is_opaque(shape: Shape) -> bool:
    return any(isinstance(node, Function) for node in everything_in(shape))


def _asking(step: Any) -> Any:
    """Find the optimizer whose counter `step` is.

    Keras hands a schedule the raw count of batches, and only the optimizer knows how many of them make an update.
    """
    frame = sys._getframe(2)
    for _ in range(8):
        owner = frame.f_locals.get("self")
        if getattr(owner, "_iterations", None) is step:
            return owner
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


class Bind(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
    """Tells the schedules of a model's optimizers that count epochs or shares how long the training is.

    Each ``fit`` has one by itself. Give it yourself where a training is longer than its fit says.

    Args:
        epochs: how many the whole training has; by default those of this ``fit``.

    Raises:
        UnboundError: when training begins and Keras does not know how many batches an epoch has.
    """

    def __init__(self, epochs: int | None = None) -> None:
        super().__init__()
        self.epochs = epochs
        self._begun = False

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Stretch the schedules to this training."""
        self._begun = False
        self._stretch(0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Begin in the midst where the training goes on there; only now that is known."""
        if self._begun:
            return
        self._begun = True
        self._stretch(epoch)
        now = [schedule.shape for _, schedule in waiting_in(self.model)]
        # A program that was compiled for another training has its rates inside. Past Keras' attribute tracking.
        if vars(self.model).get(_COMPILED) != now:
            self.model.make_train_function(force=True)
            self.model.__dict__[_COMPILED] = now

    def _stretch(self, epoch: int) -> None:
        steps, epochs = self.params.get("steps"), self.epochs or self.params.get("epochs")
        for optimizer, schedule in waiting_in(self.model):
            if steps is None:
                raise UnboundError(
                    f"the learning rate {phrase(schedule.planned)} waits for the length of the training, and the data "
                    "do not say how many batches they have; give fit steps_per_epoch=..."
                )
            every = optimizer.gradient_accumulation_steps or 1
            updates = steps / every
            # Batches that have not come to an update yet belong to the epoch they were in.
            begin = int(keras.ops.convert_to_numpy(optimizer._iterations)) / every - epoch * updates
            schedule.stretch(
                steps_per_epoch=updates,
                horizon=None if epochs is None else updates * epochs,
                begin=int(begin) if begin == int(begin) else begin,
            )


#: Where a model keeps what its compiled program has for rates.
_COMPILED = "_choritsu_compiled_rates"


def waiting_in(model: Any) -> list[tuple[Any, StepSchedule]]:
    """Give the optimizers of a model whose schedules wait for the length of a training, and these."""
    found = [value for value in vars(model).values() if isinstance(value, keras.optimizers.Optimizer)]
    inner = [getattr(optimizer, "inner_optimizer", optimizer) for optimizer in found]
    pairs = [(optimizer, schedule_of(optimizer)) for optimizer in inner]
    return [pair for pair in pairs if isinstance(pair[1], StepSchedule) and pair[1].waits]


def _wait(schedule: StepSchedule) -> None:
    """Have every training look whether a schedule waits for it, for as long as this one lives.

    Keras makes a list of callbacks for each fit, which knows the model and the length of the training, before anything
    is compiled. When the last schedule that waits is gone, Keras is as it was.
    """
    patch(keras.callbacks.CallbackList, "__init__", _look_at)
    weakref.finalize(schedule, unpatch, keras.callbacks.CallbackList, "__init__").atexit = False


def _look_at(made: Any, callbacks: Any, *args: Any, **kwargs: Any) -> None:
    """Put `Bind` in front of a training's callbacks, where a schedule waits for it."""
    made(callbacks, *args, **kwargs)
    model = getattr(callbacks, "model", None)
    listed = callbacks.callbacks
    if model is None or any(isinstance(callback, Bind) for callback in listed) or not waiting_in(model):
        return
    callback = Bind()
    callback.set_params(callbacks.params)
    callback.set_model(model)
    listed.insert(0, callback)


def schedule_of(optimizer: Any) -> Any:
    """Give the schedule that an optimizer follows, if any."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = getattr(inner, "_learning_rate", None)
    return schedule if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule) else None


def rate_in_use(optimizer: Any) -> float | None:
    """Give the learning rate of an optimizer's last update; None where it has no single one."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = schedule_of(inner)
    try:
        if schedule is None:
            return float(keras.ops.convert_to_numpy(inner.learning_rate))
        done = int(keras.ops.convert_to_numpy(inner.iterations))
        if isinstance(schedule, StepSchedule):
            return float(schedule.shape(max(done - 1, 0)))
        return float(keras.ops.convert_to_numpy(schedule(max(done - 1, 0))))
    except (AttributeError, TypeError, ValueError):
        return None


#: Where an optimizer keeps the rate that factors scale, and what they last made of it; PyTorch's `initial_lr`.
BASE_RATE = "_choritsu_base_rate"


class EpochSchedule(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
    """Sets the optimizer's rate before each epoch; `Rate.to_keras_callback` and `Factor.to_keras_callback` make it.

    The logs of each epoch hold the rate as ``learning_rate``.

    Args:
        shape: a value for each epoch, from 0.
        relative: whether it scales the optimizer's own rate, or is the rate.
        base_rate: what it scales; by default what the optimizer has when training first begins.
        verbose: 1 to print the rate after each epoch.

    Raises:
        ScheduleError: when training begins and the optimizer follows a schedule of its own.
    """

    def __init__(self, shape: Shape, *, relative: bool, base_rate: float | None = None, verbose: int = 0) -> None:
        super().__init__()
        if base_rate is not None:
            positive(base_rate, "base_rate, the rate where the factor is 1,")
        self.planned = shape
        self.shape = bound(shape, 1, None) if _counts_epochs(shape) else shape
        self.relative = relative
        self.base_rate = base_rate
        self.verbose = verbose
        self._guessed = False

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """See what rate the optimizer has of its own."""
        self._guessed = False
        for optimizer in self._optimizers():
            if schedule_of(optimizer) is not None:
                raise ScheduleError(
                    "the optimizer follows a schedule of its own, and a callback cannot set its rate; compile it with "
                    "a plain learning rate, such as Adam(1e-3), or leave the callback out"
                )
            if self.relative:
                self._note_base(optimizer)
        if not _is_bound(self.planned):
            self.shape = fitted(self.planned, 1, self.params.get("epochs"))
        if self.relative or any(isinstance(node, Function) for node in everything_in(self.shape)):
            from choritsu.schedules.guarding.guard import look_without_guard

            look_without_guard(self.model, self)

    def _note_base(self, optimizer: Any) -> None:
        """Keep the rate that is scaled with the optimizer, as PyTorch does, so that a second fit finds it."""
        base, left = vars(optimizer).get(BASE_RATE, (None, None))
        now = self._now(optimizer)
        if self.base_rate is not None:
            base = self.base_rate
        elif base is None or now != left:
            # The decimal that was written, not the nearest number of single precision: 0.1 and not 0.100000001.
            base = float(str(keras.ops.convert_to_numpy(optimizer.learning_rate)))
            self._guessed = True
        vars(optimizer)[BASE_RATE] = (base, now)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Set the epoch's rate."""
        value = float(self.shape(epoch))
        for optimizer in self._optimizers():
            base = vars(optimizer)[BASE_RATE][0] if self.relative else 1.0
            if self._guessed and epoch and value != 1:
                warnings.warn(
                    f"training goes on at epoch {epoch}, and the factor {value:.6g} scales the rate that the optimizer "
                    f"has now, {base:.6g}. If that was scaled already, before the model was saved, say what it was "
                    "scaled from: base_rate=...",
                    ScheduleWarning,
                    stacklevel=2,
                )
            rate = base * value
            if not 0 <= rate < math.inf:
                raise ScheduleError(f"the schedule gives a rate of {rate!r} for epoch {epoch}; it must be finite")
            optimizer.learning_rate = rate
            if self.relative:
                vars(optimizer)[BASE_RATE] = (base, self._now(optimizer))
        self._guessed = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the rate in the logs."""
        for optimizer in self._optimizers():
            rate = self._now(optimizer)
            if logs is not None:
                logs["learning_rate"] = rate
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate {np.float32(rate)!s}")

    def _optimizers(self) -> list[Any]:
        optimizer = self.model.optimizer
        return list(getattr(optimizer, "optimizers", None) or [optimizer])

    def _now(self, optimizer: Any) -> float:
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))


def _counts_epochs(shape: Shape) -> bool:
    spans = [value for value in everything_in(shape) if isinstance(value, Duration)]
    return bool(spans) and not any(value.share for value in spans)
