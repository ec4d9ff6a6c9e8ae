"""Going on with a Keras training: its state between two epochs, taken and put back. Importing this imports Keras."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from choritsu.errors import CheckpointError
from choritsu.frameworks.seeding import reseed, seed_everything
from choritsu.running import PausedError, RunningTrial
from choritsu.schedules.keras import BASE_RATE
from choritsu.states import put_back, taken

#: Whether a larger array has changed is not looked at number by number; it has when there is another one.
_LARGE = 16 * 2**20

#: What Keras gives callbacks anew for each training.
_GIVEN = ("model", "_model", "params")


class Resumption:
    """One execution of a trial as it is interrupted and goes on.

    It follows the training from between two epochs to between two epochs: `begin` comes after all that other callbacks
    do when training begins, `begin_epoch` before all that they do in an epoch, and `end_epoch` after it.

    Args:
        trial: keeps the state.
        data: what is trained and validated on; some data have a state of their own.
        build: builds a model that otherwise its first batch would build.
    """

    def __init__(self, trial: RunningTrial, data: Sequence[Any], build: Callable[[Any], None]) -> None:
        self._trial = trial
        self._build = build
        self._data = [thing for item in data for thing in _with_state(item)]
        self._data_at_first = [_attributes(thing) for thing in self._data]
        self._model: Any = None
        self._callbacks: list[Any] = []
        self._at_first: list[dict[str, Any]] = []
        self._total: int | None = None
        self._trainings = 0
        self._done = 0
        self._keeps = False
        self._awaited: int | None = None
        self._fresh: dict[str, Any] | None = None
        self._running: int | None = None
        self._initial: Any = None

    def begin(self, model: Any, total: int | None, callbacks: Sequence[Any] | None) -> None:
        """Begin a training, or go on with it.

        Args:
            model: in training.
            total: how many epochs ``fit`` is to end at.
            callbacks: all those of this training; None where no ``fit`` of Keras calls.

        Raises:
            PausedError: when the trial is to leave.
        """
        trial = self._trial
        if trial.pausing:
            raise PausedError
        self._trainings += 1
        self._model, self._total, self._running = model, total, None
        self._initial = getattr(model, "_initial_epoch", None)
        if self._trainings > 1:
            # Where the first training ended is nowhere kept.
            self._give_up()
        elif callbacks is not None:
            self._callbacks = [item for item in callbacks if not isinstance(item, keras.callbacks.ProgbarLogger)]
            self._at_first = [_attributes(thing) for thing in self._things()]
            self._keeps = True
            self._go_on()
        if total is not None and trial.leaves_off(self._done):
            model._initial_epoch = self._awaited = total
            trial.cut = True

    def begin_epoch(self, epoch: int) -> None:
        """Seed everything for the epoch; see whether it is the one to go on with."""
        if self._running == epoch:
            return
        self._running = epoch
        if self._awaited is not None and epoch != self._awaited and self._fresh is not None:
            # A loop of the user's own, which begins with its first epoch whatever was kept.
            self._put_back(self._fresh)
            self._begin_anew()
            self._give_up()
        self._awaited = self._fresh = None
        seed = self._trial.epoch_seed(self._done)
        seed_everything(seed)
        for index, thing in enumerate(self._things()):
            reseed(thing, seed, index)

    def end_epoch(self, epoch: int, model: Any) -> None:
        """Save where the training stands, if it goes on after this epoch; leave off where it is to.

        Args:
            epoch: which has ended.
            model: in training.

        Raises:
            PausedError: when the trial is to leave.
        """
        trial = self._trial
        self._keeps = self._keeps and self._running == epoch
        self._running = None
        self._done += 1
        complete = self._total is not None and epoch + 1 >= self._total
        cut = trial.leaves_off(self._done, complete=complete)
        if (complete and not cut) or getattr(model, "stop_training", False):
            return
        if self._keeps:
            trial.keep(self._done, lambda: self._taken(epoch + 1), at_once=cut or trial.pausing)
        if trial.pausing:
            raise PausedError
        if cut:
            trial.cut = True
            if model is not None:
                model.stop_training = True

    def end(self) -> None:
        """Have the model's next training begin where it says."""
        if self._model is not None:
            self._model._initial_epoch = self._initial

    def close(self) -> None:
        """Leave the data as they were found: the next training shall not depend on this one."""
        for thing, at_first in zip(self._data, self._data_at_first, strict=True):
            now = _attributes(thing)
            for name, value in at_first.items():
                if not _same(now.get(name), value):
                    setattr(thing, name, value)

    # -- going on ----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        progress = self._trial.resume()
        if progress.state is None:
            self._forget_reports()
            return
        if not self._model.built:
            self._build(self._model)
        _build_optimizer(self._model)
        if not self._fits(progress.state):
            warnings.warn(
                "the trial begins anew: what was saved is the state of another model or optimizer",
                RuntimeWarning,
                stacklevel=2,
            )
            self._begin_anew()
            return
        self._fresh = self._taken(0, whole=True)
        self._put_back(progress.state)
        self._done = progress.epochs
        self._awaited = progress.state["epoch"]
        self._model._initial_epoch = self._awaited

    def _begin_anew(self) -> None:
        self._done = 0
        self._model._initial_epoch = self._initial
        self._forget_reports()

    def _forget_reports(self) -> None:
        trial = self._trial
        trial.reports.put(trial.execution, ())

    def _give_up(self) -> None:
        self._keeps = False
        self._trial.cannot_resume()

    # -- the state ---------------------------------------------------------------------------------

    def _things(self) -> list[Any]:
        return [*self._callbacks, *self._data]

    def _taken(self, epoch: int, *, whole: bool = False) -> dict[str, Any]:
        """Take all that the training needs to go on with this epoch.

        Args:
            epoch: the next.
            whole: whether also what is as it was when the training began.
        """
        things = {}
        for (key, thing), at_first in zip(_named(self._things()), self._at_first, strict=True):
            own = _own_state(thing)
            now = _attributes(thing) if own is None else {}
            changed = now if whole else _changed(at_first, now)
            things[key] = {"own": own, "changed": changed}
        return {
            "epoch": epoch,
            "variables": [[_number(item) for item in variables] for variables in _variables(self._model)],
            "rates": [vars(optimizer).get(BASE_RATE) for optimizer in _optimizers(self._model)],
            "things": things,
        }

    def _fits(self, state: Mapping[str, Any]) -> bool:
        shapes = [[tuple(item.shape) for item in variables] for variables in _variables(self._model)]
        return shapes == [[item.shape for item in arrays] for arrays in state["variables"]]

    def _put_back(self, state: Mapping[str, Any]) -> None:
        for variables, arrays in zip(_variables(self._model), state["variables"], strict=True):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
        for optimizer, rate in zip(_optimizers(self._model), state["rates"], strict=True):
            if rate is not None:
                vars(optimizer)[BASE_RATE] = rate
        for key, thing in _named(self._things()):
            # A callback that the script has got meanwhile begins as it is.
            kept = state["things"].get(key, {"own": None, "changed": {}})
            if kept["own"] is not None:
                put_back({"own": thing}, kept["own"])
            for name, value in kept["changed"].items():
                setattr(thing, name, value)


# -- models ----------------------------------------------------------------------------------------


def _build_optimizer(model: Any) -> None:
    """Give the optimizer its variables where, as on TensorFlow, the first batch would."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and model.built and not optimizer.built:
        optimizer.build(model.trainable_variables)


def _whole_optimizers(model: Any) -> list[Any]:
    """Give the optimizers of a model; one of a class of the user's own may have several."""
    found = [getattr(model, "optimizer", None), *vars(model).values()]
    optimizers = [item for item in found if isinstance(item, keras.optimizers.Optimizer)]
    return list({id(item): item for item in optimizers}.values())


def _optimizers(model: Any) -> list[Any]:
    """Give the optimizers with those inside them: of scaled losses, or for parts of a model."""
    found = []
    for optimizer in _whole_optimizers(model):
        inner = [getattr(optimizer, "inner_optimizer", None), *(getattr(optimizer, "optimizers", None) or ())]
        found += [optimizer, *(item for item in inner if item is not None)]
    return found


def _variables(model: Any) -> list[list[Any]]:
    return [list(model.variables), *(list(optimizer.variables) for optimizer in _whole_optimizers(model))]


def _number(variable: Any) -> Any:
    # A copy: what Keras gives may be the variable's own memory, which changes or is given away with the next batch.
    return np.array(keras.ops.convert_to_numpy(variable))


# -- callbacks and data ----------------------------------------------------------------------------


def caller_list(depth: int = 2) -> Any:
    """Give the `CallbackList` that calls the caller of this function; None where something else does.

    Callbacks are not told of each other, and those that a `HyperModel.fit` makes are known nowhere else.
    """
    frame = sys._getframe(depth)
    owner = frame.f_locals.get("self")
    return owner if isinstance(owner, keras.callbacks.CallbackList) else None


def _with_state(data: Any) -> Iterator[Any]:
    """Give the parts of data that may hold random generators, or an order that changes from epoch to epoch."""
    torch = sys.modules.get("torch")
    if isinstance(data, keras.utils.PyDataset):
        yield data
    elif torch is not None and isinstance(data, torch.utils.data.DataLoader):
        parts = [data, data.dataset, data.sampler, data.batch_sampler, getattr(data.batch_sampler, "sampler", None)]
        yield from {id(part): part for part in parts if part is not None}.values()


def _named(things: Sequence[Any]) -> list[tuple[tuple[str, int], Any]]:
    """Name things by their class, and count those of each."""
    kinds = [type(thing).__name__ for thing in things]
    return [
        ((kind, kinds[:index].count(kind)), thing)
        for index, (kind, thing) in enumerate(zip(kinds, things, strict=True))
    ]


class _NotPlainError(Exception):
    pass


def _plain(value: Any) -> Any:
    """Copy numbers, texts, arrays, and lists and dicts of them.

    Raises:
        _NotPlainError: for anything else.
    """
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    if type(value) is dict:
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "biufcUV" or value.dtype.names:
            raise _NotPlainError
        return value if value.nbytes > _LARGE or isinstance(value, np.generic) else value.copy()
    torch = sys.modules.get("torch")
    if torch is not None and type(value) is torch.Tensor:
        return value if value.nbytes > _LARGE else value.detach().clone()
    if keras.ops.is_tensor(value) and not isinstance(value, keras.KerasTensor):
        return np.array(keras.ops.convert_to_numpy(value))
    raise _NotPlainError


def _plain_key(key: Any) -> Any:
    if key is None or type(key) in (bool, int, float, str):
        return key
    raise _NotPlainError


def _attributes(thing: Any) -> dict[str, Any]:
    """Copy the attributes of a callback, or of data, that are plain values."""
    found = {}
    for name, value in vars(thing).items() if hasattr(thing, "__dict__") else ():
        if name in _GIVEN:
            continue
        try:
            found[name] = _plain(value)
        except _NotPlainError:
            continue
    return found


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what has changed since training began; the rest is as the script says, which may say something new."""
    return {name: value for name, value in now.items() if name not in before or not _same(before[name], value)}


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(value, other[key]) for key, value in one.items())
    if hasattr(one, "__array__"):
        comparable = max(one.nbytes, other.nbytes) <= _LARGE and (one.dtype, one.shape) == (other.dtype, other.shape)
        return one is other or (comparable and bool((one == other).all()))
    return bool(one == other)


def _own_state(thing: Any) -> Any:
    """Take the state of a callback that gives it itself, if it is one that can be kept."""
    # Keras' modules have a state_dict where the backend is PyTorch; callbacks are none of them.
    try:
        return _plain(taken({"own": thing}))
    except (CheckpointError, _NotPlainError):
        return None
