"""What a search trains: a Keras hypermodel, or any function. Turns each into one way of training a trial."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from choritsu.errors import FatalTypeError, FatalValueError, ObjectiveError
from choritsu.folds import CrossValidation, take
from choritsu.frameworks.seeding import seed_everything
from choritsu.hypermodel import HyperModel
from choritsu.hyperparameters import HyperParameters
from choritsu.jobs import WEIGHTS
from choritsu.running import PausedError, RunningTrial
from choritsu.schedules.guarding import guard
from choritsu.space import Parameter
from choritsu.trials import Objective

if TYPE_CHECKING:
    from choritsu.frameworks.keras import Compile, Hooks

Function: TypeAlias = Callable[..., Any]


def keras_if_imported() -> ModuleType | None:
    """Give our Keras module when Keras itself was imported; importing it is the user's choice."""
    if "keras" not in sys.modules:
        return None
    from choritsu.frameworks import keras

    return keras


@dataclass(frozen=True)
class Repeats:
    """How often a trial is trained.

    Args:
        executions: trainings with different seeds; "auto" for one, and more where the search asks for them.
        folds: a cross-validation for each of them, if any.
    """

    executions: int | Literal["auto"] = 1
    folds: CrossValidation | None = None

    def __post_init__(self) -> None:
        if self.as_needed:
            if self.folds is not None:
                raise ValueError(
                    'executions_per_trial="auto" repeats whole trainings, and cross_validation trains each trial '
                    f"{self.folds.folds} times already; give a number of executions, or leave cross_validation out"
                )
        elif isinstance(self.executions, bool) or not isinstance(self.executions, int) or self.executions < 1:
            raise ValueError(
                f'executions_per_trial must be an integer of at least 1, or "auto", got {self.executions!r}'
            )

    def __len__(self) -> int:
        """Give the number of trainings per trial, without those that the search asks for besides."""
        return (self.folds.folds if self.folds else 1) * (1 if self.executions == "auto" else self.executions)

    @property
    def as_needed(self) -> bool:
        """Whether the search says which trials are trained again."""
        return isinstance(self.executions, str) and self.executions == "auto"

    @property
    def each(self) -> int | Literal["auto"]:
        """The number of trainings per trial, or "auto", for people."""
        return "auto" if self.executions == "auto" else len(self)


def is_hypermodel(thing: object) -> bool:
    """Tell whether `thing` has a ``build`` method, as our `HyperModel` and Keras Tuner's have."""
    return callable(getattr(thing, "build", None)) and not inspect.isclass(thing)


def _parameters(function: Function) -> list[inspect.Parameter] | None:
    """Give the arguments of a function; None where it does not tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


def _required(function: Function) -> list[str]:
    """Give the names of the arguments that a function must be given by position."""
    parameters = _parameters(function)
    if parameters is None:
        return ["hp"]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [item.name for item in parameters if item.kind in kinds and item.default is item.empty]


def _takes_any(function: Function) -> bool:
    """Tell whether a function can be given an argument by position."""
    parameters = _parameters(function)
    return parameters is None or any(item.kind not in (item.KEYWORD_ONLY, item.VAR_KEYWORD) for item in parameters)


def takes_trial(function: Function) -> bool:
    """Tell whether a function is one of (hp, trial).

    Example:
        >>> takes_trial(lambda hp, trial: 0.0), takes_trial(lambda hp: 0.0)
        (True, False)
    """
    return len(_required(function)) == 2


def may_be_called_to_look(hypermodel: Any) -> bool:
    """Tell whether a first call with defaults is cheap: it builds a model, and trains nothing.

    A function of hp alone may build a model or return a score. It is held to be a builder when it, or a
    function that it calls by name, mentions Keras, and its own code calls none of the methods that train; should
    it train by other ways, it is stopped there.
    """
    if is_hypermodel(hypermodel):
        return True
    if hypermodel is None or takes_trial(hypermodel) or "keras" not in sys.modules:
        return False
    function = inspect.unwrap(getattr(hypermodel, "func", hypermodel))
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or {"fit", "evaluate", "train_on_batch", "backward"} & _names(code):
        return False
    return _mentions_keras(function, depth=4)


def _mentions_keras(function: Any, depth: int) -> bool:
    """Tell whether a function, or one that it calls by name, uses something of Keras."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return False
    names = _names(code)
    if names & {"keras", "tensorflow"}:
        return True
    try:
        closed = inspect.getclosurevars(function).nonlocals
    except (TypeError, ValueError):
        closed = {}
    known = [function.__globals__.get(name) for name in names]
    for thing in [*known, *closed.values()]:
        home = getattr(thing, "__module__", None) or getattr(thing, "__name__", None)
        if isinstance(home, str) and home.partition(".")[0] in ("keras", "tensorflow"):
            return True
        if depth and inspect.isfunction(thing) and _mentions_keras(thing, depth - 1):
            return True
    return False


def _names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*(_names(constant) for constant in inner))


def check_hypermodel(hypermodel: Any) -> None:
    """Refuse what cannot be trained, before any training.

    Raises:
        FatalTypeError: when it is neither a function nor has a ``build`` method, or is a model already.
    """
    if _is_network(hypermodel):
        raise FatalTypeError(
            f"hypermodel is a model ({type(hypermodel).__name__}), all of whose hyperparameters are chosen; give the "
            "function that builds it, without calling it: RandomSearch(build_model, ...)"
        )
    if _is_estimator(hypermodel):
        name = getattr(hypermodel, "__name__", type(hypermodel).__name__)
        raise FatalTypeError(
            f"hypermodel is a scikit-learn estimator, {name}; give SklearnTuner a function of hp that returns one: "
            f"lambda hp: {name}(...=hp.Float(...))"
        )
    if inspect.isclass(hypermodel):
        raise FatalTypeError(
            f"hypermodel is the class {hypermodel.__name__}; give an instance: {hypermodel.__name__}()"
        )
    if not is_hypermodel(hypermodel) and not callable(hypermodel):
        raise FatalTypeError(
            f"hypermodel must be a function of hp, a function of (hp, trial), or a HyperModel, got {hypermodel!r}"
        )
    if is_hypermodel(hypermodel):
        return
    if len(_required(hypermodel)) > 2:
        raise FatalTypeError(
            f"the function takes {', '.join(_required(hypermodel))}, and is given hp, or hp and the running trial; "
            "bind the rest, as in lambda hp: function(hp, x, y)"
        )
    if not _takes_any(hypermodel):
        raise FatalTypeError(
            "the function takes no argument by position, and is given hp, which it asks: def train(hp): ..."
        )
    if inspect.iscoroutinefunction(hypermodel) or inspect.isgeneratorfunction(hypermodel):
        kind = "an async function" if inspect.iscoroutinefunction(hypermodel) else "a generator function"
        raise FatalTypeError(
            f"{getattr(hypermodel, '__name__', hypermodel)} is {kind}, which does not run when it is called; give a "
            "function that returns its score, such as lambda hp: asyncio.run(train(hp))"
        )


def _is_estimator(thing: object) -> bool:
    """Tell whether `thing` is an estimator of scikit-learn's kind, or a class of them."""
    return callable(getattr(thing, "fit", None)) and callable(getattr(thing, "get_params", None))


def _is_network(thing: object) -> bool:
    """Tell whether `thing` is a model of Keras or PyTorch; who has one has imported what it is made of."""
    keras, torch = keras_if_imported(), sys.modules.get("torch")
    return (keras is not None and keras.is_model(thing)) or (torch is not None and isinstance(thing, torch.nn.Module))


def check_data(
    args: Sequence[Any], kwargs: Mapping[str, Any], objective: Objective, repeats: Repeats, *, keras_fit: bool | None
) -> None:
    """Refuse data that no trial could be trained on.

    Args:
        args: what was given to ``search``.
        kwargs: likewise.
        objective: what is optimised.
        repeats: whether there are folds, which validate by themselves.
        keras_fit: whether they go to ``model.fit`` as they are; None when nobody takes them.

    Raises:
        FatalValueError: for a generator, which no training could read from its beginning but the first, or folds with
            validation data.
        ObjectiveError: when the objective is measured on validation data and there is none.
    """
    for name, value in [*enumerate(args), *kwargs.items()]:
        if inspect.isgenerator(value):
            raise FatalValueError(
                f"search got a generator (argument {name}), which goes on where the training before has left it, so "
                "that each trial would see other data, or none; give arrays, a keras.utils.PyDataset, "
                "a tf.data.Dataset or a torch DataLoader"
            )
    if repeats.folds is not None and keras_fit is None:
        raise FatalValueError(
            "cross_validation splits what model.fit is given, and a function of (hp, trial) splits its own data; "
            "leave cross_validation out"
        )
    if keras_fit is None and (args or set(kwargs) - {"verbose"}):
        raise FatalValueError(
            "search got data, but a function of (hp, trial) trains by itself and is given none; "
            "let the function find it: tuner.search()"
        )
    if keras_fit:
        kwargs = named(args, kwargs)
    if repeats.folds is not None and keras_fit and kwargs.get("x") is None:
        raise FatalValueError("cross_validation needs arrays: search(x, y, ...)")
    callbacks = kwargs.get("callbacks")
    if callbacks is not None and not callable(callbacks) and "keras" in sys.modules:
        # Copied once to see that they can be: no trial shall fail for it.
        _keras().copied_callbacks(callbacks)
    validates = kwargs.get("validation_data") is not None or bool(kwargs.get("validation_split"))
    if repeats.folds is not None and validates:
        raise FatalValueError("cross_validation makes its own validation data; leave out validation_data and _split")
    validated = [part.name for part in objective.measured if part.name.startswith("val_")]
    if keras_fit and not validates and repeats.folds is None and validated:
        raise ObjectiveError(
            f"{validated[0]!r} is measured on validation data, and there is none; "
            "write search(..., validation_data=(x_val, y_val)) or search(..., validation_split=0.2)"
        )


def answered(hp: HyperParameters, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Put a trial's values in the place of hyperparameters given as arguments, such as ``batch_size=Choice(...)``."""
    return {name: hp.ask(value) if isinstance(value, Parameter) else value for name, value in kwargs.items()}


def train(
    trial: RunningTrial,
    hypermodel: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    repeats: Repeats,
    compilation: Callable[[], Compile],
    hooks: Hooks,
) -> list[Any]:
    """Train one trial, all its executions.

    Args:
        trial: where results are told.
        hypermodel: a `HyperModel`, a function of hp, or a function of (hp, trial).
        args: for ``fit``; a function that trains by itself gets none.
        kwargs: for ``fit``; hyperparameters among them are replaced by their values.
        repeats: how many executions and folds.
        compilation: gives what replaces the models' own compilation.
        hooks: the tuner.

    Returns:
        What each execution gave, such as a Keras History; None for one that an earlier attempt had ended. All of it
        has been told to the trial.
    """
    hp = trial.hyperparameters
    by_itself = fits_by_itself(hypermodel)
    if by_itself:
        args, kwargs = (), named(args, kwargs)
    answers = answered(hp, kwargs)
    if fits_quietly(hypermodel):
        # No progress bar shall fight the search's own display, unless it was asked for.
        answers.setdefault("verbose", 0)
    splits: Sequence[Any] = [None]
    if repeats.folds is not None:
        args, answers, splits = _folded(args, answers, repeats.folds, trial.search_seed)
    cut = False
    gave: list[Any] = []
    count = len(repeats) if trial.executions is None else trial.executions
    for execution in range(count):
        trial.execution, trial.cut = execution, False
        if trial.pausing:
            raise PausedError
        if trial.attempt and trial.has_ended():
            gave.append(None)
            continue
        data = _on_fold(args, answers, splits[execution % len(splits)])
        with guard() as watch:
            watch.tune(lambda: list(hp.values.values()))
            if is_hypermodel(hypermodel):
                keras = _keras()
                keras.prepared(trial)
                model = keras.build(lambda hp: built(hypermodel, hp), hp, compilation())
                fit = getattr(hypermodel, "fit", None) or plain_fit
                gave.append(keras.train_once(trial, model, fit, *data, compilation(), hooks, complete=by_itself))
            else:
                gave.append(_call(trial, hypermodel, data, compilation, hooks))
            if trial.stopped or trial.cut:
                watch.cut_short()
        # Where the trial may be taken up once more, it is known to have been trained so far.
        more = trial.budget is not None or execution + 1 < count
        if (repeats.as_needed and not trial.taken) or (more and not trial.cut and not trial.stopped):
            trial.end_execution()
        if trial.stopped:
            break
        cut = cut or trial.cut
    trial.cut = cut
    return gave


def fits_by_itself(hypermodel: Any) -> bool:
    """Tell whether the models of a hypermodel are trained by Keras' own ``fit``."""
    if not is_hypermodel(hypermodel):
        return not takes_trial(hypermodel)
    fit = getattr(type(hypermodel), "fit", None)
    return fit is None or fit is HyperModel.fit


#: The arguments that ``keras.Model.fit`` takes by position, in its order.
FIT = (
    "x",
    "y",
    "batch_size",
    "epochs",
    "verbose",
    "callbacks",
    "validation_split",
    "validation_data",
    "shuffle",
    "class_weight",
    "sample_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
    "validation_freq",
)


def named(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Name the arguments that ``keras.Model.fit`` is given by position.

    Raises:
        FatalTypeError: when one is given twice, or there are too many.

    Example:
        >>> named(("images", "labels", 32), {"epochs": 5})
        {'x': 'images', 'y': 'labels', 'batch_size': 32, 'epochs': 5}
    """
    if len(args) > len(FIT):
        raise FatalTypeError(f"model.fit takes {len(FIT)} arguments by position, and search got {len(args)}")
    twice = sorted(set(FIT[: len(args)]) & set(kwargs))
    if twice:
        raise FatalTypeError(f"search got {', '.join(twice)} twice, by position and by name")
    return {**dict(zip(FIT, args, strict=False)), **kwargs}


def fits_quietly(hypermodel: Any) -> bool:
    """Tell whether a hypermodel's ``fit`` takes ``verbose``; a function's model is fitted by Keras' own."""
    if not is_hypermodel(hypermodel) or not hasattr(hypermodel, "fit"):
        return True
    parameters = _parameters(hypermodel.fit) or []
    return any(item.name == "verbose" or item.kind is item.VAR_KEYWORD for item in parameters)


def _keras() -> Any:
    from choritsu.frameworks import keras

    return keras


def built(hypermodel: Any, hp: HyperParameters) -> Any:
    """Build a hypermodel's model; one that is not tunable asks a recorder of its own."""
    if getattr(hypermodel, "tunable", True) is False:
        hp = HyperParameters()
    declare = getattr(hypermodel, "declare_hyperparameters", None)
    if declare is not None:
        declare(hp)
    return hypermodel.build(hp)


def plain_fit(hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG001  # HyperModel.fit's form
    """Train a model as ``HyperModel.fit`` does by default."""
    return model.fit(*args, **kwargs)


def _call(trial: RunningTrial, function: Function, data: Any, compilation: Callable[[], Compile], hooks: Hooks) -> Any:
    hp = trial.hyperparameters
    keras = keras_if_imported()
    if keras is not None:
        keras.prepared(trial)
    else:
        seed_everything(trial.seed)
    if takes_trial(function):
        with _noting_rates(trial):
            returned = function(hp, trial)
            trial.conclude(returned)
        return returned
    if keras is None:
        returned = function(hp)
    else:
        with compilation().scope():
            returned = function(hp)
    keras = keras_if_imported()
    if keras is None or not keras.is_model(returned):
        _refuse_unread(returned, *data)
        trial.conclude(returned)
        return returned
    options = compilation()
    keras.recompile(returned, options)
    keras.check_size(returned, options)
    return keras.train_once(trial, returned, plain_fit, *data, options, hooks, complete=True)


def _refuse_unread(returned: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    given = [*(FIT[: len(args)]), *sorted(set(kwargs) - {"verbose"})]
    if given:
        cure = "let the function find its data by itself: tuner.search()"
        if returned is None:
            cure = f"is `return model` missing at its end? If it trains by itself, {cure}"
        elif _is_estimator(returned):
            cure = "an estimator of scikit-learn's is tuned by SklearnTuner(oracle, function)"
        raise FatalValueError(
            f"search got {', '.join(given)} for the fit of a Keras model, and the function returned {returned!r} "
            f"and no model; {cure}"
        )


def _noting_rates(trial: RunningTrial) -> AbstractContextManager[None]:
    """Note the rates of PyTorch's optimizers where PyTorch was imported; importing it is the user's choice."""
    if "torch" not in sys.modules:
        return nullcontext()
    from choritsu.frameworks import torch

    return torch.noting_rates(trial)


def _folded(args: Sequence[Any], kwargs: Mapping[str, Any], folds: CrossValidation, seed: int) -> Any:
    """Name the data that a ``fit(x, y, ...)`` takes by position, and split it."""
    named = {**dict(zip(("x", "y"), args, strict=False)), **kwargs}
    if named.get("x") is None:
        raise FatalValueError("cross_validation needs arrays: search(x, y, ...)")
    splits = folds.splits(named["x"], named.get("y"), seed)
    # What else stands by position stays where it is, behind the data.
    return (args, kwargs, splits) if len(args) > 2 else ((), named, splits)


def _on_fold(args: Sequence[Any], kwargs: dict[str, Any], split: Any) -> tuple[Sequence[Any], dict[str, Any]]:
    if split is None:
        return args, kwargs
    inside, outside = split
    data = {"x": args[0], "y": args[1]} if args else {name: kwargs.get(name) for name in ("x", "y")}
    told = {**data, "sample_weight": kwargs.get("sample_weight")}
    training = {name: take(value, inside) for name, value in told.items() if value is not None}
    held_out = tuple(take(value, outside) for value in told.values() if value is not None)
    by_position = [training.pop(name, None) for name in data] if args else []
    return (*by_position, *args[2:]), {**kwargs, **training, "validation_data": held_out}


def look(hypermodel: Any, hp: HyperParameters, compilation: Callable[[], Compile]) -> bool:
    """Call a hypermodel once with its defaults, so that `hp` learns what it asks for.

    Returns:
        Whether it built a Keras model.
    """
    if is_hypermodel(hypermodel):
        built(hypermodel, hp)
        return True
    keras = _keras()
    try:
        with keras.without_training(), compilation().scope():
            return bool(keras.is_model(hypermodel(hp)))
    except keras.WouldTrainError:
        return False


def rebuilt(hypermodel: Any, hp: HyperParameters, directory: Path, compilation: Callable[[], Compile]) -> Any:
    """Build a trial's model again and load its best weights."""
    if not (directory / WEIGHTS).exists():
        # Known before Keras is imported, which a function that trains by itself may do without.
        raise FileNotFoundError(directory / WEIGHTS)
    keras, options = _keras(), compilation()
    make = (lambda hp: built(hypermodel, hp)) if is_hypermodel(hypermodel) else hypermodel
    model = keras.build(make, hp, options)
    with options.scope():
        keras.load_weights(model, directory)
    return model
