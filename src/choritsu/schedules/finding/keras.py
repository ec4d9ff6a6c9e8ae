"""The range test's hands in Keras, on any backend: a batch at a rate, and everything put back as it was.

Importing this imports Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from choritsu.errors import ScheduleError
from choritsu.schedules.finding.batches import batches_of, mapped
from choritsu.schedules.finding.randomness import draw_from, generators_of, randomness_kept


class KerasSubject:
    """A compiled Keras model that is trained for a while, as if it had not been.

    It is trained by a copy of its optimizer, so that the optimizer itself, with its iterations, its slots, and whatever
    schedule it follows, is never touched.

    Args:
        model: compiled.
        data: arrays, or a PyDataset, a DataLoader, or a ``tf.data.Dataset``.
        targets: arrays, or None.
        sample_weight: an array, or None.
        batch_size: of arrays.

    Raises:
        ScheduleError: when the model is not compiled, or cannot be swept.
    """

    def __init__(self, model: Any, data: Any, targets: Any, sample_weight: Any, batch_size: int) -> None:
        optimizer = vars(model).get("optimizer")
        if not model.compiled or optimizer is None:
            raise ScheduleError("the model has no optimizer and no loss yet; call model.compile(...) first")
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            raise ScheduleError(
                "the model's optimizer scales its loss for float16, which a range test would disturb; compile it with "
                "auto_scale_loss=False, or test in float32 or bfloat16"
            )
        self.model, self._optimizer = model, optimizer
        self._data = mapped(data, _as_array) if targets is not None else data
        self._targets = mapped((targets, sample_weight), _as_array) if targets is not None else None
        self._batch_size = batch_size
        self._batches: Iterator[Any] = iter(())
        self._copy: Any = None
        self._given: list[tuple[Any, Any]] = []
        self._slots: list[Any] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put the model and the data's generators back as they were, whatever happens inside."""
        shuffling = [(one, one.get_state()) for one in generators_of(self._data)]
        self._build()
        copied = self._copied_optimizer()
        self._given = [(one, _value(one)) for one in [*self.model.variables, *self.model.metrics_variables]]
        self._slots = [(one, _value(one)) for one in copied.variables]
        # Past Keras' attribute tracking, which would take each change for a new state. Metrics and losses that wait for
        # their first data go on waiting: fit shuffles once more where it has to build them.
        attributes = vars(self.model)
        changed = {
            "optimizer": copied,
            "train_function": None,
            "steps_per_execution": 1,
            "_compile_metrics": None,
            "_compile_loss": _for_itself(attributes.get("_compile_loss")),
        }
        before = {name: attributes[name] for name in changed if name in attributes}
        try:
            attributes |= {name: changed[name] for name in before}
            self._copy = copied
            yield
        finally:
            self._batches = iter(())
            attributes |= before
            for variable, value in self._given:
                variable.assign(value)
            for generator, state in shuffling:
                generator.set_state(state)

    def begin(self, seed: int) -> None:
        """Start from the model as it was given, with the data in another order."""
        for variable, value in [*self._given, *self._slots]:
            variable.assign(value)
        draw_from(seed)
        for generator in generators_of(self._data):
            generator.manual_seed(seed)
        self._batches = self._unpacked(seed)

    def step(self, rate: float) -> float:
        """Take one optimizer step at a rate; give the loss before it."""
        self._copy.learning_rate = rate
        x, y, sample_weight = next(self._batches)
        logs = self.model.train_on_batch(x, y, sample_weight=sample_weight, return_dict=True)
        return float(logs["loss"])

    def _unpacked(self, seed: int) -> Iterator[tuple[Any, Any, Any]]:
        for batch in batches_of(self._data, self._targets, self._batch_size, seed):
            if self._targets is not None:
                x, (y, sample_weight) = batch
                yield x, y, sample_weight
            else:
                yield keras.utils.unpack_x_y_sample_weight(mapped(batch, _known))

    def _build(self) -> None:
        """Build a model that waits for its first data; training it later would build it the same way."""
        if not self.model.built:
            with randomness_kept():
                x, _, _ = next(self._unpacked(0))
            self.model(mapped(x, keras.ops.convert_to_tensor))

    def _copied_optimizer(self) -> Any:
        given = self._optimizer
        try:
            config = given.get_config() | {"learning_rate": 1e-3}
            copied = type(given).from_config(config)
        except Exception as error:  # whatever an optimizer of the user's own raises
            raise ScheduleError(
                f"the optimizer {type(given).__name__} cannot be copied ({error}); a range test needs its get_config "
                "and from_config, as saving the model does"
            ) from error
        copied.build(self.model.trainable_variables)
        if given.built:
            # A schedule is no variable, and the copy has a plain rate in its place.
            here, there = (
                [one for one in variables if one.name != "learning_rate"]
                for variables in (copied.variables, given.variables)
            )
            for variable, source in zip(here, there, strict=True):
                variable.assign(source)
        return copied


def _for_itself(loss: Any) -> Any:
    """Give what stands for a loss that still has to see its first data; one that has seen them stands for itself."""
    if loss is None or loss.built:
        return loss
    return type(loss)(loss._user_loss, loss._user_loss_weights, output_names=loss.output_names)


def _value(variable: Any) -> Any:
    return keras.ops.convert_to_numpy(variable).copy()


def _as_array(value: Any) -> Any:
    """Turn a tensor into an array, which every backend can be given parts of."""
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else _known(value)


def _known(value: Any) -> Any:
    """Turn a tensor of a framework that is not the backend into an array, as ``fit`` does."""
    if keras.ops.is_tensor(value) or not hasattr(value, "numpy"):
        return value
    return (value.detach().cpu() if hasattr(value, "detach") else value).numpy()
