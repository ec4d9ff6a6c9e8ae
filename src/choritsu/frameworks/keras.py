"""How a trial is trained, saved and restored in Keras 3, on any of its backends. Importing this imports Keras."""

from __future__ import annotations

import copy
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from choritsu.errors import FailedTrialError, FatalTypeError, FatalValueError, RedrawTrialError
from choritsu.frameworks.keras_state import Resumption, caller_list
from choritsu.frameworks.seeding import seed_everything
from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import BUILD, WEIGHTS
from choritsu.running import RunningTrial, as_number
from choritsu.schedules.keras import rate_in_use
from choritsu.trials import RATE, Objective, missing, result_of


@dataclass(frozen=True)
class Compile:
    """What replaces the model's own compilation, and how large a model may be.

    Args:
        optimizer: in place of the model's; a fresh copy for each training.
        loss: likewise.
        metrics: likewise.
        max_model_size: the largest number of parameters; a larger model is refused and another one drawn.
        distribution_strategy: a TensorFlow strategy under whose scope models are built and trained.
    """

    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    max_model_size: int | None = None
    distribution_strategy: Any = None

    def scope(self) -> Any:
        """Give the context in which models are built and trained."""
        return nullcontext() if self.distribution_strategy is None else self.distribution_strategy.scope()


class Hooks(Protocol):
    """Keras Tuner's hooks, which a subclass of `Tuner` may override."""

    def on_epoch_begin(self, trial: RunningTrial, model: Any, epoch: int, logs: Any = None) -> None: ...
    def on_epoch_end(self, trial: RunningTrial, model: Any, epoch: int, logs: Any = None) -> None: ...
    def on_batch_begin(self, trial: RunningTrial, model: Any, batch: int, logs: Any = None) -> None: ...
    def on_batch_end(self, trial: RunningTrial, model: Any, batch: int, logs: Any = None) -> None: ...


def is_model(thing: object) -> bool:
    """Tell whether `thing` is a Keras model."""
    return isinstance(thing, keras.Model)


def describe_backend() -> str:
    """Say which Keras runs on what."""
    return f"Keras {keras.__version__} on {keras.backend.backend()}"


# -- building --------------------------------------------------------------------------------------


def build(make: Callable[[HyperParameters], Any], hp: HyperParameters, options: Compile) -> Any:
    """Build a model as the user's function says, and compile it anew where `options` asks for it.

    Raises:
        FatalTypeError: when the function gives no Keras model.
        RedrawTrialError: when the model has too many parameters.
    """
    with options.scope():
        model = make(hp)
        if not is_model(model):
            raise FatalTypeError(
                "the model-building function returned None; is `return model` missing at its end?"
                if model is None
                else f"the model-building function returned {model!r} ({type(model).__name__}); "
                "return a compiled keras.Model"
            )
        recompile(model, options)
    check_size(model, options)
    return model


def recompile(model: Any, options: Compile) -> None:
    """Replace what `options` names of the model's compilation."""
    if options.optimizer is None and options.loss is None and options.metrics is None:
        return
    own_metrics = getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None)
    model.compile(
        optimizer=_fresh(options.optimizer) if options.optimizer is not None else model.optimizer,
        loss=_fresh(options.loss) if options.loss is not None else model.loss,
        metrics=_fresh(options.metrics) if options.metrics is not None else own_metrics,
    )


def _fresh(thing: Any) -> Any:
    """Give a copy without state: optimizers and metrics must not carry anything from trial to trial."""
    if isinstance(thing, list | tuple):
        return [_fresh(item) for item in thing]
    if isinstance(thing, dict):
        return {key: _fresh(item) for key, item in thing.items()}
    if isinstance(thing, keras.optimizers.Optimizer | keras.losses.Loss | keras.metrics.Metric):
        return type(thing).from_config(thing.get_config())
    return thing


def check_size(model: Any, options: Compile) -> None:
    """Refuse a model that is too large; one that is not built yet passes until it is."""
    if options.max_model_size is None or not model.built:
        return
    size = model.count_params()
    if size > options.max_model_size:
        raise RedrawTrialError(
            f"the model has {size:,} parameters, more than max_model_size={options.max_model_size:,}"
        )


class WouldTrainError(BaseException):
    """Stops a function that begins to train while it is only looked at; no ``except Exception`` catches it."""


@contextmanager
def without_training() -> Iterator[None]:
    """Let no Keras model be trained or evaluated while the block runs.

    Raises:
        WouldTrainError: when one is about to be.
    """

    def stop(*args: Any, **kwargs: Any) -> Any:  # noqa: ARG001  # stands for methods of any signature
        raise WouldTrainError

    names = [name for name in ("fit", "evaluate", "train_on_batch") if name not in vars(keras.Model)]
    for name in names:
        setattr(keras.Model, name, stop)
    try:
        yield
    finally:
        for name in names:
            delattr(keras.Model, name)


# -- training --------------------------------------------------------------------------------------


class _Own(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is not typed
    """A callback of ours, which whoever copies the callbacks once more does not copy."""

    def __init__(self) -> None:
        super().__init__()
        self._model: Any = None

    # Keras' own property would fetch the whole state from a JAX program whenever the model is named.
    @property
    def model(self) -> Any:
        """The model in training."""
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model

    def set_model(self, model: Any) -> None:
        """Take the model in training; Keras calls it."""
        self._model = model

    def __deepcopy__(self, memo: dict[int, Any]) -> _Own:
        return self


class Opening(_Own):
    """Comes before all other callbacks, has the recorder come after them, and seeds each epoch.

    Args:
        recorder: the last callback.
        resumption: seeds.
    """

    def __init__(self, recorder: Recorder, resumption: Resumption) -> None:
        super().__init__()
        self._recorder = recorder
        self._resumption = resumption

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Put the recorder behind callbacks that were added, such as Keras' own."""
        calling = caller_list()
        listed = [] if calling is None else calling.callbacks
        # Keras is going through this very list, and what it has gone by must stay where it is.
        if self._recorder in listed and listed.index(self._recorder) > listed.index(self):
            listed.remove(self._recorder)
            listed.append(self._recorder)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Seed everything, before anything is drawn."""
        self._resumption.begin_epoch(epoch)


class Recorder(_Own):
    """Reports each epoch to the trial, keeps the weights of the best one, and the state to go on with."""

    def __init__(
        self,
        trial: RunningTrial,
        options: Compile,
        hooks: Hooks,
        resumption: Resumption,
        inputs: Any = None,
        complete: bool = False,
    ) -> None:
        super().__init__()
        self.trial = trial
        self.saved = False
        self.inputs = inputs
        self._options = options
        self._hooks = hooks
        self._resumption = resumption
        self._complete = complete

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Check the size of a model that its first data built, and go on where an earlier attempt was."""
        check_size(self.model, self._options)
        total = self.params.get("epochs") if self.params else None
        calling = caller_list()
        self._resumption.begin(self.model, total, None if calling is None else calling.callbacks)

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Leave the model as if it had been trained at one go."""
        self._resumption.end()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Pass on to the tuner's hook."""
        self._resumption.begin_epoch(epoch)
        self._hooks.on_epoch_begin(self.trial, self.model, epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Pass on to the tuner's hook."""
        self._hooks.on_batch_begin(self.trial, self.model, batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Pass on to the tuner's hook."""
        self._hooks.on_batch_end(self.trial, self.model, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Report the epoch, and keep its weights if it is the best so far."""
        metrics = self._numbers(logs or {})
        if self._complete:
            check_complete(self.trial.objective, metrics)
        if metrics:
            rate = rate_in_use(getattr(self.model, "optimizer", None))
            if rate is not None:
                metrics.setdefault(RATE, rate)
            # Where the epochs do not tell the objective, the last word has what fit returns.
            best = self.model is not None and self.trial.is_best(metrics)
            self.trial.report(metrics)
            # What another process goes on with is its own to keep.
            if best and not self.trial.taken:
                save_weights(self.model, self.trial.directory, self.inputs)
                self.saved = True
        self._hooks.on_epoch_end(self.trial, self.model, epoch, logs)
        if self.trial.stopped and self.model is not None:
            self.model.stop_training = True
        self._resumption.end_epoch(epoch, self.model)

    def _numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """Keep what is a number; a metric such as a per-class F1 is not one."""
        told = {}
        for name, value in logs.items():
            try:
                told[name] = as_number(name, value)
            except TypeError as error:
                if name in (part.name for part in self.trial.objective.measured):
                    raise FailedTrialError(f"{error}; average it, as in F1Score(average='macro')") from None
        return told


def check_complete(objective: Objective, metrics: Mapping[str, float]) -> None:
    """Refuse an objective that no epoch will have, where it is certain that nothing else tells it.

    Args:
        objective: what is optimised.
        metrics: those of an epoch.

    Raises:
        FatalValueError: when it is not among them.
    """
    validated = any(name.startswith("val_") for name in metrics)
    for part in objective.measured:
        # Keras validates every so many epochs only, where it was told to.
        if part.name not in metrics and (validated or not part.name.startswith("val_")):
            raise FatalValueError(missing(part, sorted(metrics)))


def train_once(
    trial: RunningTrial,
    model: Any,
    fit: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Compile,
    hooks: Hooks,
    *,
    complete: bool = False,
) -> Any:
    """Train a model for one execution, reporting every epoch and keeping the best weights.

    Args:
        trial: the trial, its `execution` set.
        model: compiled.
        fit: called as ``fit(hp, model, *args, **kwargs)``.
        args: for `fit`.
        kwargs: for `fit`; its callbacks are copied.
        options: the compilation and the size limit.
        hooks: the tuner.
        complete: whether `fit` is Keras' own, so that its epochs tell all there is to know.

    Returns:
        What `fit` gave.
    """
    kwargs = dict(kwargs)
    if trial.horizon is not None and _takes_epochs(fit):
        kwargs["epochs"] = trial.horizon
    x = kwargs.get("x", args[0] if args else None)
    inputs = signature(x)
    resumption = Resumption(
        trial, [x, kwargs.get("validation_data")], lambda model: _build_again(model, {"config": None, "inputs": inputs})
    )
    callbacks = copied_callbacks(kwargs.pop("callbacks", None))
    # Callbacks of the user's own may add metrics to some epochs, as what their `fit` returns may to the last.
    complete = complete and all(map(_is_keras_own, [type(model).fit, *map(type, callbacks)]))
    recorder = Recorder(trial, options, hooks, resumption, inputs, complete)
    _separate_logs(callbacks, trial)
    kwargs["callbacks"] = [Opening(recorder, resumption), *callbacks, recorder]
    try:
        with options.scope():
            returned = fit(trial.hyperparameters, model, *args, **kwargs)
    finally:
        resumption.close()
    _log_values(callbacks, trial)
    scored_anew = trial.conclude(returned)
    unsaved = model.built and (scored_anew or not recorder.saved)
    if unsaved and result_of(trial.reports, trial.objective).best_execution == trial.execution:
        # What was scored is the model as it stands now.
        save_weights(model, trial.directory, inputs)
    if isinstance(returned, keras.callbacks.History):
        # It may be kept, and one model for each execution would fill the memory.
        returned.set_model(None)
    return returned


def _takes_epochs(fit: Callable[..., Any]) -> bool:
    parameters = inspect.signature(fit).parameters
    return "epochs" in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())


def _is_keras_own(thing: Any) -> bool:
    """Tell whether a class or method holds nothing of its user's."""
    return thing is not keras.callbacks.LambdaCallback and thing.__module__.partition(".")[0] == "keras"


def prepared(trial: RunningTrial) -> None:
    """Clear what earlier models left in Keras, and seed all that draws for this execution."""
    keras.utils.clear_session(free_memory=False)
    seed_everything(trial.seed)


def copied_callbacks(callbacks: Any) -> list[Any]:
    """Give each training callbacks of its own.

    Args:
        callbacks: a list of Keras callbacks, a single one, None, or a function that returns a list.

    Raises:
        FatalTypeError: when one cannot be copied.
    """
    if callbacks is None:
        return []
    if callable(callbacks) and not isinstance(callbacks, keras.callbacks.Callback):
        return list(callbacks())
    listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    copies = []
    for callback in listed:
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:  # whatever its __deepcopy__ raises
            raise FatalTypeError(
                f"the callback {type(callback).__name__} cannot be copied for each trial ({error}); "
                f"give a function that makes it: callbacks=lambda: [{type(callback).__name__}(...)]"
            ) from error
    return copies


def _separate_logs(callbacks: Sequence[Any], trial: RunningTrial) -> None:
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = os.path.join(callback.log_dir, trial.trial_id, f"execution{trial.execution}")


def _log_values(callbacks: Sequence[Any], trial: RunningTrial) -> None:
    """Tell TensorBoard's table of hyperparameters what was tried, where the user logs to TensorBoard at all."""
    boards = [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]
    if not boards:
        return
    try:
        import tensorflow
        from tensorboard.plugins.hparams import api
    except ImportError:
        return  # The callback writes without TensorBoard, and the table needs it.
    asked = trial.hyperparameters.asked
    told = {name: value if isinstance(value, bool | int | float | str) else str(value) for name, value in asked.items()}
    for board in boards:
        with tensorflow.summary.create_file_writer(board.log_dir).as_default():
            api.hparams(told, trial_id=f"{trial.trial_id}-{trial.execution}")


# -- weights ---------------------------------------------------------------------------------------


@contextmanager
def _without_optimizer(model: Any) -> Iterator[None]:
    """Hide the optimizer: its slots triple the file, and a finished model does not need them."""
    attributes = vars(model)
    optimizer = attributes.get("optimizer")
    if optimizer is None:
        yield
        return
    # Past Keras' attribute tracking, which would take the change for a new state.
    attributes["optimizer"] = None
    try:
        yield
    finally:
        attributes["optimizer"] = optimizer


def signature(x: Any) -> Any:
    """Describe input data, each array as its dtype and the shape of a sample; None for what are no arrays."""
    if isinstance(x, dict):
        parts = {name: signature(item) for name, item in x.items()}
        return None if None in parts.values() else {"dict": parts}
    if isinstance(x, list | tuple):
        listed = [signature(item) for item in x]
        return None if None in listed else {"list": listed}
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return {"shape": [int(size) for size in x.shape[1:]], "dtype": str(x.dtype).rpartition(".")[2]}
    return None


def _sample(inputs: Any) -> Any:
    """Make one sample of zeros as `signature` describes it."""
    if "dict" in inputs:
        return {name: _sample(item) for name, item in inputs["dict"].items()}
    if "list" in inputs:
        return [_sample(item) for item in inputs["list"]]
    return keras.ops.zeros((1, *inputs["shape"]), dtype=keras.backend.standardize_dtype(inputs["dtype"]))


def save_weights(model: Any, directory: Path, inputs: Any = None) -> None:
    """Save a model's weights, without the optimizer, and what is needed to build it; atomically.

    Args:
        model: built.
        directory: exists.
        inputs: the `signature` of its data, by which a model of its own class is built again.
    """
    temporary = directory / f"writing-{os.getpid()}.weights.h5"
    try:
        with _without_optimizer(model):
            model.save_weights(temporary)
        os.replace(temporary, directory / WEIGHTS)
    finally:
        temporary.unlink(missing_ok=True)
    text = json.dumps({"config": model.get_build_config(), "inputs": inputs}, default=list)
    build_file = directory / BUILD
    if not build_file.exists() or build_file.read_text(encoding="utf-8") != text:
        temporary_build = directory / f"writing-{os.getpid()}.json"
        temporary_build.write_text(text, encoding="utf-8")
        os.replace(temporary_build, build_file)


def load_weights(model: Any, directory: Path) -> None:
    """Load what `save_weights` saved, building the model first if it is not built.

    Raises:
        FileNotFoundError: when no weights are kept there.
        ValueError: when the model cannot be built from what is known of its input.
    """
    if not (directory / WEIGHTS).exists():
        raise FileNotFoundError(directory / WEIGHTS)
    if not model.built:
        _build_again(model, json.loads((directory / BUILD).read_text(encoding="utf-8")))
        if not model.built:
            raise ValueError(
                "the model is not built, and its input shape is not known; begin it with keras.Input(shape), "
                f"or build it and call model.load_weights({str(directory / WEIGHTS)!r})"
            )
        _tolerate_building(model)
    with _without_optimizer(model):
        model.load_weights(directory / WEIGHTS)


def _build_again(model: Any, known: Mapping[str, Any]) -> None:
    config, inputs = known["config"], known["inputs"]
    if isinstance(model, keras.Sequential) and config:
        model.build_from_config({key: _any_batch(value) for key, value in config.items()})
    elif inputs:
        # Only a call builds what a class of the user's own makes as it goes.
        model(_sample(inputs))
    elif config:
        shapes = {key: _any_batch(value) for key, value in config.items()}
        if "input_shape" in shapes:
            model(_symbols(shapes["input_shape"]))
        else:
            model.build_from_config(shapes)


def _symbols(shape: Any) -> Any:
    """Give symbolic inputs of these shapes, nested as they are."""
    if isinstance(shape, dict):
        return {key: _symbols(value) for key, value in shape.items()}
    return [_symbols(item) for item in shape] if isinstance(shape, list) else keras.Input(batch_shape=shape)


def _any_batch(shape: Any) -> Any:
    """Free the batch size, which the first batch happened to fix, wherever shapes are nested."""
    if isinstance(shape, dict):
        return {key: _any_batch(value) for key, value in shape.items()}
    if isinstance(shape, list | tuple) and shape and all(size is None or isinstance(size, int) for size in shape):
        return (None, *shape[1:])
    if isinstance(shape, list | tuple):
        return [_any_batch(item) for item in shape]
    return shape


def _tolerate_building(model: Any) -> None:
    """Let ``model.build(input_shape)`` pass on a model that its weights have built.

    Scripts written for Keras 2 build the best model by hand before they use it.
    """
    vars(model)["build"] = lambda input_shape=None: None  # noqa: ARG005  # Keras' signature
