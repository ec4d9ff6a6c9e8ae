"""`hp`: what a user's function asks for its hyperparameters.

The function is simply run; whatever it asks for becomes the space, and each question is answered with
the trial's value. Nothing has to be declared beforehand.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from choritsu.elsewhere import Translating
from choritsu.errors import FatalRuntimeError, ScheduleError, SpaceError, did_you_mean
from choritsu.space import (
    UNSAID,
    Boolean,
    Choice,
    Condition,
    Fixed,
    Float,
    Int,
    Parameter,
    Sampling,
    Space,
    canonical,
    encode,
    plain,
    redefined,
)
from choritsu.space import decode as _decode

if TYPE_CHECKING:
    from choritsu.schedules.planned import Form


def _default(parameter: Parameter) -> Any:
    return parameter.start


def _forms(name: str, shapes: Any) -> list[str]:
    listed = [shapes] if isinstance(shapes, str) else list(shapes)
    if not listed or len(set(listed)) != len(listed):
        raise SpaceError(f"{name!r}: shapes needs at least one shape, and each once, got {shapes!r}")
    return listed


def _range(name: str, what: str, value: Any) -> tuple[float, float]:
    pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in pair)
    if len(pair) != 2 or not numbers or not pair[0] <= pair[1]:
        raise SpaceError(f"{name!r}: {what} is a number or a range (low, high), got {value!r}")
    return float(pair[0]), float(pair[1])


def _may_be(parameter: Parameter, value: Any) -> bool:
    """Tell whether a parameter can have a value, its type included: 1 is not 1.0."""
    return parameter.contains(value) and not (isinstance(parameter, Float) and isinstance(value, int))


#: What Optuna's trials have, and what takes its place.
_ELSEWHERE = {
    "suggest_categorical": "write hp.Choice(name, values), or hp.Boolean(name)",
    "suggest_discrete_uniform": "write hp.Float(name, low, high, step=q)",
    "suggest_float": 'write hp.Float(name, low, high), with sampling="log" for log=True',
    "suggest_int": 'write hp.Int(name, low, high), with sampling="log" for log=True',
    "suggest_loguniform": 'write hp.Float(name, low, high, sampling="log")',
    "suggest_uniform": "write hp.Float(name, low, high)",
    "params": "the values asked for so far are in hp.values",
    "report": "write a function of (hp, trial), whose trial reports",
    "should_prune": "write a function of (hp, trial), and loop over trial.epochs(n): it ends where the trial is to end",
}


class HyperParameters(Translating):
    """A recorder: answers each question with a value, and remembers what was asked.

    Args:
        given: values to answer with, by name; before anything is asked for they are in `values`, so that they can be
            logged, and then only what was asked for.
        known: the definitions met in earlier trials; a contradiction is an error.
        override: definitions that replace the function's own for the same names.
        choose: gives a value for a parameter that `given` lacks; by default its default.
        tune_new_entries: when False, parameters outside `override` keep their default and stay out of the space.
        allow_new_entries: when False, parameters outside `override` are an error.

    Attributes:
        values: the values asked for, by name, or those given before that; assign to it to preset an answer.

    Example:
        >>> hp = HyperParameters()
        >>> hp.Int("units", 32, 512, step=32), hp.Choice("activation", ["relu", "tanh"])
        (32, 'relu')
        >>> hp.values
        {'units': 32, 'activation': 'relu'}
    """

    _elsewhere = _ELSEWHERE

    def __init__(
        self,
        given: Mapping[str, Any] | None = None,
        *,
        known: Space | None = None,
        override: Space | None = None,
        choose: Callable[[Parameter], Any] = _default,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
    ) -> None:
        self.values: dict[str, Any] = dict(given or {})
        self._given = dict(self.values)
        self._foreseeing = bool(given)
        self._known = known or Space()
        self._override = override or Space()
        self._choose = choose
        self._tune_new = tune_new_entries
        self._allow_new = allow_new_entries
        self._asked: dict[str, Parameter] = {}
        self._met: dict[str, Parameter] = {}
        self._untuned: set[str] = set()
        self._prefix = ""
        self._conditions: tuple[Condition, ...] = ()
        self._scopes: dict[tuple[Condition, ...], bool] = {}

    # -- asking ------------------------------------------------------------------------------------

    def Int(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: Sampling | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
        *,
        prior: int | None = None,
    ) -> Any:
        """Ask for a whole number from `min_value` to `max_value`, both included; see `choritsu.space.Int`.

        Example:
            >>> HyperParameters().Int("layers", 1, 3)
            1
        """
        return self._ask(
            lambda full, conditions: Int(
                full, min_value, max_value, step, sampling or "linear", default, conditions, prior=prior
            ),
            name,
            parent_name,
            parent_values,
        )

    def Float(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: Sampling | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
        *,
        prior: float | None = None,
    ) -> Any:
        """Ask for a real number from `min_value` to `max_value`, both included; see `choritsu.space.Float`.

        Example:
            >>> HyperParameters().Float("learning_rate", 1e-4, 1e-2, sampling="log")
            0.0001
        """
        return self._ask(
            lambda full, conditions: Float(
                full, min_value, max_value, step, sampling or "linear", default, conditions, prior=prior
            ),
            name,
            parent_name,
            parent_values,
        )

    def Choice(
        self,
        name: str,
        values: Sequence[Any],
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
        *,
        prior: Any = UNSAID,
    ) -> Any:
        """Ask for one of `values`; see `choritsu.space.Choice`.

        Example:
            >>> HyperParameters().Choice("optimizer", ["adam", "sgd"])
            'adam'
        """
        return self._ask(
            lambda full, conditions: Choice(
                full,
                values,  # type: ignore[arg-type]
                ordered,
                default,
                conditions,
                prior=prior,
            ),
            name,
            parent_name,
            parent_values,
        )

    def Boolean(
        self,
        name: str,
        default: bool = False,
        parent_name: str | None = None,
        parent_values: Any = None,
        *,
        prior: bool | None = None,
    ) -> Any:
        """Ask for True or False.

        Example:
            >>> HyperParameters().Boolean("shuffle", default=True)
            True
        """
        return self._ask(
            lambda full, conditions: Boolean(full, default, conditions, prior=prior), name, parent_name, parent_values
        )

    def LearningRate(
        self,
        name: str,
        min_value: float,
        max_value: float,
        shapes: Sequence[Form] = ("constant", "linear", "cosine"),
        warmup: float | tuple[float, float] = 0.0,
        end: float | tuple[float, float] = 0.0,
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
        *,
        prior: float | None = None,
    ) -> Any:
        """Ask for a learning rate over the whole run: its peak, shape, warm-up and end are hyperparameters.

        They are named ``name/peak`` (sampled by its logarithm), ``name/shape``, ``name/warmup`` and ``name/end``; what
        leaves no choice is none of them.

        Args:
            name: of the rate.
            min_value: the smallest peak, above 0.
            max_value: the largest peak, included.
            shapes: among "constant", "linear", "cosine", "exponential", "inverse_sqrt" and "wsd".
            warmup: the share of the run in which the rate rises from 0 to its peak, in [0, 1); or a range of it.
            end: what is left of the peak at the end, in [0, 1]; or a range of it. "constant" and "inverse_sqrt" have
                none.
            default: of the peak.
            parent_name: as for the other kinds.
            parent_values: likewise.
            prior: where you believe the best peak to lie.

        Returns:
            A `choritsu.schedules.Rate` that waits for the length of the run. In a model-building function write
            ``Adam(rate.to_keras())``, and each ``fit`` tells it; in PyTorch
            ``rate.to_torch(optimizer, horizon=epochs * len(loader))``.

        Raises:
            SpaceError: when the bounds or shapes contradict each other.

        Example:
            >>> hp = HyperParameters()
            >>> rate = hp.LearningRate("lr", 1e-4, 1e-1, shapes=["linear", "cosine"], warmup=0.1)
            >>> rate.bind(horizon=10).table(3)
            [0.0, 0.0001, 8.888888888888889e-05]
            >>> hp.values
            {'lr/peak': 0.0001, 'lr/shape': 'linear'}
        """
        from choritsu.schedules.durations import is_number
        from choritsu.schedules.planned import ENDING, planned

        forms, warm, ends = _forms(name, shapes), _range(name, "warmup", warmup), _range(name, "end", end)
        if "exponential" in forms and ends[0] == 0 < ends[1]:
            raise SpaceError(
                f"{name!r}: an exponential decay never reaches 0; begin the range above 0: "
                f"end=({min(0.01, ends[1] / 10):g}, {ends[1]:g})"
            )
        try:
            for form in forms:
                for low_or_high in zip(warm, ends, strict=True):
                    planned(1.0, form, warmup=low_or_high[0], end=low_or_high[1])
        except ScheduleError as error:
            raise SpaceError(f"{name!r}: {error}") from None
        if is_number(min_value) and min_value <= 0 and min_value != max_value:
            raise SpaceError(
                f"{name!r}: the peak is sampled by its logarithm, and min_value must be above 0, got {min_value!r}; "
                "write min_value=1e-5"
            )
        scope = nullcontext() if parent_name is None else self.conditional_scope(parent_name, parent_values)
        with scope, self.name_scope(name):
            exact = min_value == max_value
            peak = min_value if exact else self.Float("peak", min_value, max_value, None, "log", default, prior=prior)
            form = forms[0] if len(forms) == 1 else self.Choice("shape", forms, ordered=False)
            share = warm[0] if warm[0] == warm[1] else self.Float("warmup", *warm)
            left = ends[0] if ends[0] == ends[1] else self._end(forms, ends)
            if not all(condition.holds(self.values) for condition in self._conditions):
                return None
        return planned(peak, form, warmup=share, end=left if form in ENDING else 0.0)

    def Fixed(self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None) -> Any:
        """Name a value that is not tuned, so that it is kept with the others.

        Example:
            >>> HyperParameters().Fixed("classes", 10)
            10
        """
        return self._ask(lambda full, conditions: Fixed(full, value, conditions), name, parent_name, parent_values)

    def Range(self, name: str, min_value: int, max_value: int, step: int = 1, default: int | None = None) -> Any:
        """Ask for a whole number as Keras Tuner of 2019 did: like `Int`, but `max_value` is *excluded*.

        Example:
            >>> hp = HyperParameters()
            >>> hp.Range("filters", 10, 40, 10)
            10
            >>> hp.space[0].max_value
            30
        """
        numbers = range(min_value, max_value, step) if step else range(0)
        if not numbers:
            raise SpaceError(
                f"{name!r}: Range({min_value!r}, {max_value!r}, {step!r}) is empty, since it leaves out max_value; "
                "Int includes it"
            )
        return self.Int(name, numbers[0], numbers[-1], step=step, default=default)

    def Linear(
        self, name: str, min_value: float, max_value: float, resolution: float, default: float | None = None
    ) -> Any:
        """Ask for a real number in steps of `resolution`, as Keras Tuner of 2019 did: the same as `Float`.

        Example:
            >>> HyperParameters().Linear("dropout", 0.1, 0.5, resolution=0.1)
            0.1
        """
        return self.Float(name, min_value, max_value, step=resolution, default=default)

    # -- scopes ------------------------------------------------------------------------------------

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Make what is asked for inside exist only while `parent_name` has one of `parent_values`.

        The code inside runs either way; where the condition does not hold, each question is answered with None.

        Args:
            parent_name: a parameter asked for before.
            parent_values: a list of values, or a single one.

        Raises:
            SpaceError: when `parent_name` was not asked for yet, or has none of `parent_values` ever.

        Example:
            >>> hp = HyperParameters()
            >>> model = hp.Choice("model", ["mlp", "cnn"])
            >>> with hp.conditional_scope("model", ["cnn"]):
            ...     print(hp.Int("kernel", 2, 5))
            None
        """
        outer = self._conditions
        self._conditions = (*outer, self._condition(parent_name, parent_values))
        self._scopes[self._conditions] = all(condition.holds(self.values) for condition in self._conditions)
        try:
            yield
        finally:
            self._conditions = outer

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Put ``name/`` before the names of all that is asked for inside.

        Example:
            >>> hp = HyperParameters()
            >>> with hp.name_scope("encoder"):
            ...     _ = hp.Int("units", 1, 3)
            >>> hp.values
            {'encoder/units': 1}
        """
        outer = self._prefix
        self._prefix = f"{outer}{name}/"
        try:
            yield
        finally:
            self._prefix = outer

    # -- reading -----------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        """Give the value of a parameter asked for before.

        Raises:
            KeyError: when nothing of that name was asked for.
            ValueError: when it is known, but inactive in this trial.

        Example:
            >>> hp = HyperParameters()
            >>> _ = hp.Fixed("image_size", 28)
            >>> hp.get("image_size")
            28
        """
        full = self._prefix + name
        self._read(full)
        if full in self.values:
            return self.values[full]
        if any(parameter.name == full for parameter in self._met.values()):
            raise ValueError(f"{full!r} is inactive: its conditions do not hold in this trial")
        raise KeyError(f"no hyperparameter {full!r} was asked for; there are: {', '.join(self.values) or 'none'}")

    def __getitem__(self, name: str) -> Any:
        """Give the value of a parameter asked for before, as `get` does."""
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        """Tell whether a parameter has a value in this trial."""
        return isinstance(name, str) and not self._foreseeing and self._prefix + name in self.values

    def is_active(self, hyperparameter: str | Parameter) -> bool:
        """Tell whether a parameter, or its name, has a value in this trial."""
        if isinstance(hyperparameter, Parameter):
            return hyperparameter.is_active(self.values)
        return hyperparameter in self

    @property
    def space(self) -> list[Parameter]:
        """The parameters met, in order, inactive ones included."""
        return list(self._met.values())

    @property
    def asked(self) -> dict[str, Any]:
        """The values that the function really asked for; presets that nobody asked for are left out."""
        return {name: self.values[name] for name in self._asked}

    @property
    def discovered(self) -> tuple[Parameter, ...]:
        """The parameters met that were not known before, or not with the same belief."""
        # A copy, since another thread may look while the function asks.
        return tuple(parameter for parameter in list(self._met.values()) if self._known.find(parameter) != parameter)

    @property
    def scopes(self) -> Mapping[tuple[Condition, ...], bool]:
        """Whether each conditional scope that was entered was active, by its conditions, the outermost first."""
        return dict(self._scopes)

    def copy(self) -> HyperParameters:
        """Give an independent copy."""
        return copy.deepcopy(self)

    def merge(self, other: HyperParameters | Sequence[Parameter], overwrite: bool = True) -> None:
        """Add the parameters of another recorder, with their defaults.

        Args:
            other: where to take them from.
            overwrite: whether a parameter that is here already is reset to its default.
        """
        parameters = other.space if isinstance(other, HyperParameters) else other
        for parameter in parameters:
            if overwrite or parameter.key not in self._met:
                self._met[parameter.key] = parameter
                if parameter.is_active(self.values):
                    self.values[parameter.name] = parameter.start
                    self._asked[parameter.name] = parameter

    def get_config(self) -> dict[str, Any]:
        """Give space and values as JSON; `from_config` reads it."""
        return {
            "space": Space(tuple(self._met.values())).to_json(),
            "values": {name: encode(value) for name, value in self.values.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HyperParameters:
        """Read what `get_config` gave.

        Example:
            >>> hp = HyperParameters()
            >>> _ = hp.Int("units", 1, 3, default=2)
            >>> HyperParameters.from_config(hp.get_config()).get("units")
            2
        """
        hp = cls()
        hp.merge(Space.from_json(config["space"]).parameters)
        hp.values = {name: _decode(value) for name, value in config["values"].items()}
        active = [parameter for parameter in hp._met.values() if parameter.is_active(hp.values)]
        hp._asked = {parameter.name: parameter for parameter in active if parameter.name in hp.values}
        return hp

    @classmethod
    def of(cls, values: Mapping[str, Any], space: Space) -> HyperParameters:
        """Make a recorder that holds a trial's values, and answers with them whatever range is asked for.

        Example:
            >>> from choritsu.space import Int, Space
            >>> HyperParameters.of({"units": 64}, Space((Int("units", 32, 128),))).get("units")
            64
        """
        hp = cls(override=space)
        for parameter in space.active(values):
            hp._met[parameter.key] = parameter
            if parameter.name in values:
                hp._asked[parameter.name] = parameter
        hp.values = dict(values)
        return hp

    def __repr__(self) -> str:
        return f"HyperParameters({self.values!r})"

    # -- how an answer is found --------------------------------------------------------------------

    def _end(self, forms: list[str], ends: tuple[float, float]) -> Any:
        from choritsu.schedules.planned import ENDING

        ending = [form for form in forms if form in ENDING]
        if len(forms) == 1 or not ending:
            return self.Float("end", *ends) if ending else 0.0
        return self.Float("end", *ends, parent_name="shape", parent_values=ending)

    def _condition(self, parent_name: str, parent_values: Any) -> Condition:
        full = self._prefix + parent_name
        known = full in self._untuned or full in self._override
        if not known and not any(parameter.name == full for parameter in self._met.values()):
            raise SpaceError(
                f"{full!r} was not asked for yet, so nothing can depend on it; ask for it before the scope"
            )
        if isinstance(parent_values, set | frozenset):
            # A set has no order of its own, and a condition must be the same in every process.
            listed: Sequence[Any] = sorted(parent_values, key=canonical)
        else:
            listed = parent_values if isinstance(parent_values, list | tuple | range) else [parent_values]
        if not listed:
            raise SpaceError(f"{full!r}: a condition needs at least one value, got {parent_values!r}")
        condition = Condition(full, tuple(plain(value) for value in listed))
        # What is overridden may lack values for which the function has a branch.
        if full not in self._override:
            self._check_parent(condition)
        return condition

    def _check_parent(self, condition: Condition) -> None:
        """Refuse a condition that can never hold, wherever the definition of its parent is certain."""
        name, wanted = condition.name, condition.values
        # Under other conditions than those in force, the same name may yet be defined otherwise.
        certain = [
            parameter
            for parameter in self._met.values()
            if parameter.name == name and all(item in self._conditions for item in parameter.conditions)
        ]
        if not certain or any(_may_be(parameter, value) for parameter in certain for value in wanted):
            return
        # An integer may have more values than can be listed.
        listed = [certain[0].start] if isinstance(certain[0], Int | Float) else certain[0].listed()
        types = {type(value) for value in listed}
        hint = "" if isinstance(certain[0], Int | Float) else did_you_mean(repr(wanted[0]), map(repr, listed))
        if isinstance(certain[0], Fixed) or (not hint and all(type(value) in types for value in wanted)):
            # Whose range was narrowed keeps a branch that is dead for now.
            return
        if wanted == (None,):
            raise SpaceError(
                f"{name!r} is never None: say for which of its values the others exist, parent_values=[...]; "
                f"it is {certain[0].definition}"
            )
        raise SpaceError(
            f"{name!r} is {certain[0].definition}, and never {' or '.join(map(repr, wanted))}, so that nothing can "
            f"depend on that{hint}"
        )

    def _ask(
        self,
        make: Callable[[str, tuple[Condition, ...]], Parameter],
        name: str,
        parent_name: str | None,
        parent_values: Any,
    ) -> Any:
        if not isinstance(name, str) or not name:
            raise SpaceError(f"a hyperparameter's name must be a non-empty string, got {name!r}")
        conditions = self._conditions
        if parent_name is not None:
            conditions = (*conditions, self._condition(parent_name, parent_values))
        return self.ask(make(self._prefix + name, conditions))

    def ask(self, parameter: Parameter) -> Any:
        """Ask for a parameter that is already a value.

        Args:
            parameter: its full name and conditions included; scopes are not applied.

        Returns:
            The value, or None when its conditions do not hold.

        Raises:
            RedefinedError: when its name was asked for before with another definition.
            SpaceError: when the value given for it lies outside its range.

        Example:
            >>> from choritsu.space import Boolean
            >>> HyperParameters().ask(Boolean("shuffle", default=True))
            True
        """
        self._begin()
        listed = self._override.named(parameter.name)
        if not listed and not self._allow_new:
            raise FatalRuntimeError(
                f"{parameter.name!r} is not among the hyperparameters given, and allow_new_entries=False; "
                f"add it to them, or allow new entries. Given: {', '.join(sorted(self._override.names)) or 'none'}"
            )
        exact = self._override.find(parameter)
        if exact is not None:
            parameter = exact
        elif listed:
            active = [item for item in listed if item.is_active(self.values)]
            parameter = active[0] if active else listed[0]
        elif not self._tune_new:
            return self._fixed(parameter)
        self._meet(parameter)
        if not parameter.is_active(self.values):
            return None
        return self._answer(parameter)

    def _begin(self) -> None:
        """Forget what was only suggested: the function says itself what it depends on."""
        if self._foreseeing:
            self._foreseeing = False
            given = self._given
            self.values = {name: item for name, item in self.values.items() if given.get(name, UNSAID) is not item}

    def _read(self, name: str) -> None:
        """Ask for what was given and is read before it is asked for, its parents first: the trial depends on it."""
        if name in self._given and name not in self._asked:
            given = {**self._given, **self.values}
            for parameter in [item for item in self._known.named(name) if item.is_active(given)][:1]:
                for condition in parameter.conditions:
                    self._read(condition.name)
                self.ask(parameter)

    def _fixed(self, parameter: Parameter) -> Any:
        self._untuned.add(parameter.name)
        if not parameter.is_active(self.values):
            return None
        return copy.deepcopy(self.values.setdefault(parameter.name, parameter.start))

    def _meet(self, parameter: Parameter) -> None:
        known, met = self._known.find(parameter), self._met.get(parameter.key)
        if known is not None and not known.agrees(parameter):
            raise redefined(known, parameter)
        if met is not None and met != parameter:
            raise redefined(met, parameter)
        self._met[parameter.key] = parameter

    def _answer(self, parameter: Parameter) -> Any:
        name = parameter.name
        earlier = self._asked.get(name, parameter)
        if earlier.definition != parameter.definition:
            raise redefined(earlier, parameter)
        if name not in self.values:
            self.values[name] = self._value(parameter)
        self._asked[name] = parameter
        value = self.values[name]
        # A list or dict may be changed by its user; the space's own must stay as it is.
        return copy.deepcopy(value) if isinstance(value, list | dict) else value

    def _value(self, parameter: Parameter) -> Any:
        if parameter.name not in self._given:
            return self._choose(parameter)
        value = self._given[parameter.name]
        if not parameter.contains(value):
            raise SpaceError(
                f"{parameter.name!r}: the value {value!r} is outside {parameter.definition}; "
                "give a value inside, or widen the definition"
            )
        if isinstance(parameter, Choice):
            return next(item for item in parameter.values if canonical(item) == canonical(value))
        return float(value) if isinstance(parameter, Float) else value
