"""The five kinds of hyperparameter, and the conditions under which one exists.

Each is an immutable value, checked when it is made: what a `Parameter` says can be relied on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar, cast, get_args

from choritsu.errors import SpaceError
from choritsu.space.axes import MOST_VALUES, Axis, Continuous, Listed, LogIntegers, Sampling, Stepped
from choritsu.space.values import Json, canonical, decode, encode, plain

SAMPLINGS = ("linear", "log", "reverse_log")

P = TypeVar("P", bound="Parameter")


class Unsaid(Enum):
    """What stands for nothing where None is a value like any other."""

    UNSAID = "unsaid"

    def __repr__(self) -> str:
        return self.name


#: Of a choice, that nothing is believed.
UNSAID = Unsaid.UNSAID


@dataclass(frozen=True)
class Condition:
    """The demand that the parameter `name` has one of `values`.

    Example:
        >>> Condition("optimizer", ("sgd",)).holds({"optimizer": "sgd"})
        True
    """

    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, list | tuple) or not self.values:
            raise SpaceError(f"{self.name!r}: a condition needs a list of values, at least one, got {self.values!r}")
        object.__setattr__(self, "values", tuple(self.values))

    @cached_property
    def texts(self) -> frozenset[str]:
        """The values as `canonical` texts."""
        return frozenset(canonical(value) for value in self.values)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Tell whether `values` meets the demand; an absent parent does not."""
        return self.name in values and canonical(values[self.name]) in self.texts

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{self.name} = {self.values[0]!r}"
        return f"{self.name} in {', '.join(repr(value) for value in self.values)}"


class Parameter(ABC):
    """A hyperparameter: a name, an axis of values, a default, a belief, and conditions.

    Two are equal when their definitions are, conditions and belief included.
    """

    name: str
    conditions: tuple[Condition, ...]

    @property
    @abstractmethod
    def axis(self) -> Axis:
        """The map between the unit interval and this parameter's values."""

    @property
    @abstractmethod
    def start(self) -> Any:
        """The default: what was given as such, else the first value."""

    @property
    @abstractmethod
    def prior(self) -> Any:
        """Where its user believes the best value to lie; where nothing is believed, None, of a choice `UNSAID`."""

    @property
    def has_prior(self) -> bool:
        """Whether anything is believed of the best value.

        Example:
            >>> Choice("depth", (None, 5)).has_prior, Choice("depth", (None, 5), prior=None).has_prior
            (False, True)
        """
        return self.prior is not self._no_prior

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Tell whether `value` may be tried; a stepped number need only lie within its range."""

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Tell whether `values` meet all conditions, so that this parameter is asked for.

        Example:
            >>> Int("layers", 2, 9, conditions=(Condition("deep", (True,)),)).is_active({"deep": False})
            False
        """
        return not self.conditions or all(condition.holds(values) for condition in self.conditions)

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Give the definition apart from name, conditions and belief, as constructor arguments."""

    @property
    def size(self) -> int | None:
        """How many values there are; None for a float without a step."""
        return self.axis.size

    @property
    def is_ordered(self) -> bool:
        """Whether neighbouring values are alike, as numbers are; False and True, and most choices, are not.

        Example:
            >>> Choice("width", (32, 64)).is_ordered, Choice("act", ("relu", "elu")).is_ordered
            (True, False)
        """
        return isinstance(self, Int | Float) or (isinstance(self, Choice) and bool(self.ordered))

    def from_unit(self, u: float) -> Any:
        """Give the value at u in [0, 1].

        Example:
            >>> Int("units", 32, 128, step=32).from_unit(0.99)
            128
        """
        if not 0.0 <= u <= 1.0:
            raise ValueError(f"u = {u!r} lies outside [0, 1]")
        return self.axis.from_unit(u)

    def to_unit(self, value: Any) -> float:
        """Give a u in [0, 1] with ``from_unit(u) == value``, up to rounding on a continuous axis.

        Raises:
            ValueError: when `value` is outside the parameter's range.

        Example:
            >>> Int("units", 32, 128, step=32).to_unit(32)
            0.125
        """
        if not self.contains(value):
            raise ValueError(f"{value!r} is no value of {self}")
        return self.axis.to_unit(value)

    def listed(self) -> tuple[Any, ...]:
        """Give all values in order; of a continuous float, ten evenly spaced ones with both ends."""
        size = self.size
        if size is None:
            return tuple(self.axis.from_unit(index / 9) for index in range(10))
        return tuple(self.axis.value_at(index) for index in range(size))

    @property
    def kind(self) -> str:
        """The name of the kind: Int, Float, Choice, Boolean or Fixed."""
        return type(self).__name__

    @cached_property
    def key(self) -> str:
        """The name and conditions as text: what tells this parameter from all others of a space."""
        return str([self.name, [(condition.name, canonical(condition.values)) for condition in self.conditions]])

    def under(self: P, conditions: tuple[Condition, ...]) -> P:
        """Give the same parameter under other conditions."""
        return cast("P", replace(cast("Any", self), conditions=conditions))

    @property
    def believed(self) -> Any:
        """The parameter's own value nearest to `prior`, which may lie between its steps.

        Example:
            >>> Int("units", 32, 128, step=32, prior=60).believed
            64
        """
        return self.prior if self.size is None else self.from_unit(self.to_unit(self.prior))

    @property
    def without_prior(self: P) -> P:
        """The same parameter, of which nothing is believed."""
        return cast("P", replace(cast("Any", self), prior=self._no_prior)) if self.has_prior else self

    def agrees(self, other: Parameter) -> bool:
        """Tell whether `other` is the same but for what is believed, which may change while a search goes on.

        Example:
            >>> Int("units", 32, 128, prior=64).agrees(Int("units", 32, 128))
            True
        """
        return self.without_prior == other.without_prior

    @property
    def definition(self) -> str:
        """The kind and details as a line of text, without name and conditions."""
        shown = {key: value for key, value in self.details().items() if value is not None}
        return f"{self.kind}({', '.join(f'{key}={value!r}' for key, value in {**shown, **self._belief}.items())})"

    def to_json(self) -> dict[str, Json]:
        """Encode the definition as JSON; `parameter_from_json` reads it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "details": {key: encode(value) for key, value in {**self.details(), **self._belief}.items()},
            "conditions": [
                {"name": condition.name, "values": encode(condition.values)} for condition in self.conditions
            ],
        }

    def __str__(self) -> str:
        return f"{self.name}: {self.definition}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameter) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _belief(self) -> dict[str, Any]:
        # Left out where there is none, so that searches stored before there were beliefs read the same.
        return {"prior": self.prior} if self.has_prior else {}

    @property
    def _no_prior(self) -> Any:
        return UNSAID if isinstance(self, Choice) else None

    @cached_property
    def _identity(self) -> str:
        return str(self.to_json())


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise SpaceError(f"a hyperparameter's name must be a non-empty string, got {name!r}")
    return name


def _number(name: str, argument: str, value: Any) -> float:
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _fits_a_float(value):
        hint = f"; is sampling={value!r} meant?" if isinstance(value, str) and value in get_args(Sampling) else ""
        raise SpaceError(f"{name!r}: {argument} must be a finite number, got {value!r}{hint}")
    return value


def _fits_a_float(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _integer(name: str, argument: str, value: Any) -> int:
    number = _number(name, argument, value)
    if int(number) != number:
        raise SpaceError(f"{name!r}: {argument} must be a whole number, got {value!r}; use Float for fractions")
    return int(number)


def _checked_sampling(name: str, sampling: Any) -> Sampling:
    lowered = "linear" if sampling is None else sampling.lower() if isinstance(sampling, str) else sampling
    if lowered not in SAMPLINGS:
        raise SpaceError(f"{name!r}: sampling must be 'linear', 'log' or 'reverse_log', got {sampling!r}")
    return cast("Sampling", lowered)


def _check_range(name: str, low: float, high: float, step: float | None, sampling: Sampling) -> None:
    if low > high:
        raise SpaceError(
            f"{name!r}: min_value={low!r} is above max_value={high!r}; write min_value={high!r}, max_value={low!r}"
        )
    if sampling != "linear" and low <= 0:
        raise SpaceError(
            f"{name!r}: sampling={sampling!r} needs min_value above 0, got {low!r}; "
            "raise min_value or use sampling='linear'"
        )
    if step is not None and step <= 0:
        raise SpaceError(f"{name!r}: step must be above 0, got {step!r}")
    if step is not None and sampling != "linear" and step <= 1:
        raise SpaceError(
            f"{name!r}: with sampling={sampling!r} the step multiplies and must be above 1, got {step!r}; "
            "leave it out for every value in the range"
        )


def _check_inside(name: str, low: float, high: float, **given: float | None) -> None:
    for argument, value in given.items():
        if value is not None and not low <= value <= high:
            raise SpaceError(f"{name!r}: {argument}={value!r} lies outside [{low!r}, {high!r}]")


@dataclass(frozen=True, eq=False)
class Int(Parameter):
    """A whole number from `min_value` to `max_value`, both included.

    Args:
        name: the parameter's name.
        min_value: the smallest value.
        max_value: the largest value; reached whenever the step allows it.
        step: the distance between values (default 1); with log sampling the factor between them,
            and by default every integer counts.
        sampling: "linear", "log" or "reverse_log" (fine near `max_value`).
        default: the value to start from; by default `min_value`.
        conditions: under which the parameter exists.
        prior: where you believe the best value to lie; Bayesian optimization makes use of it.

    Raises:
        SpaceError: when the arguments contradict each other.

    Example:
        >>> Int("filters", 10, 40, step=10).values
        (10, 20, 30, 40)
    """

    name: str
    min_value: int
    max_value: int
    step: int | None = None
    sampling: Sampling = "linear"
    default: int | None = None
    conditions: tuple[Condition, ...] = ()
    prior: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        name = _checked_name(self.name)
        low = _integer(name, "min_value", self.min_value)
        high = _integer(name, "max_value", self.max_value)
        step = None if self.step is None else _integer(name, "step", self.step)
        default = None if self.default is None else _integer(name, "default", self.default)
        prior = None if self.prior is None else _integer(name, "prior", self.prior)
        sampling = _checked_sampling(name, self.sampling)
        _check_range(name, low, high, step, sampling)
        _check_inside(name, low, high, default=default, prior=prior)
        if step is None and sampling == "linear":
            step = 1
        for key, value in (
            ("min_value", low),
            ("max_value", high),
            ("step", step),
            ("default", default),
            ("sampling", sampling),
            ("prior", prior),
        ):
            object.__setattr__(self, key, value)
        if (self.axis.size or 0) > MOST_VALUES:
            raise SpaceError(f"{name!r}: more than 2**52 integers cannot be told apart; use Float")

    @cached_property
    def axis(self) -> Axis:
        if self.step is None:
            return LogIntegers(self.min_value, self.max_value, mirrored=self.sampling == "reverse_log")
        return Stepped(self.min_value, self.max_value, self.step, self.sampling, integral=True)

    @property
    def values(self) -> tuple[Any, ...]:
        """What `listed` gives."""
        return self.listed()

    @property
    def start(self) -> int:
        return self.axis.value_at(0) if self.default is None else self.default

    def contains(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.min_value <= value <= self.max_value

    def details(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "step": self.step,
            "sampling": self.sampling,
            "default": self.default,
        }


@dataclass(frozen=True, eq=False)
class Float(Parameter):
    """A real number from `min_value` to `max_value`, both included.

    Args:
        name: the parameter's name.
        min_value: the smallest value.
        max_value: the largest value; reached whenever the step allows it: (0, 1, step=0.2) ends at 1.0.
        step: the distance between values; with log sampling the factor between them. By default
            every value in the range can be drawn.
        sampling: "linear", "log" or "reverse_log" (fine near `max_value`).
        default: the value to start from; by default `min_value`.
        conditions: under which the parameter exists.
        prior: where you believe the best value to lie; Bayesian optimization makes use of it.

    Raises:
        SpaceError: when the arguments contradict each other.

    Example:
        >>> Float("dropout", 0, 1, step=0.2).values
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        >>> Float("rate", 1e-4, 1e-1, step=10, sampling="log").values
        (0.0001, 0.001, 0.01, 0.1)
    """

    name: str
    min_value: float
    max_value: float
    step: float | None = None
    sampling: Sampling = "linear"
    default: float | None = None
    conditions: tuple[Condition, ...] = ()
    prior: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        name = _checked_name(self.name)
        low = float(_number(name, "min_value", self.min_value))
        high = float(_number(name, "max_value", self.max_value))
        step = None if self.step is None else float(_number(name, "step", self.step))
        default = None if self.default is None else float(_number(name, "default", self.default))
        prior = None if self.prior is None else float(_number(name, "prior", self.prior))
        sampling = _checked_sampling(name, self.sampling)
        _check_range(name, low, high, step, sampling)
        _check_inside(name, low, high, default=default, prior=prior)
        for key, value in (
            ("min_value", low),
            ("max_value", high),
            ("step", step),
            ("default", default),
            ("sampling", sampling),
            ("prior", prior),
        ):
            object.__setattr__(self, key, value)
        if (self.axis.size or 0) > MOST_VALUES:
            raise SpaceError(f"{name!r}: step={step!r} is too fine for its range; leave the step out")

    @cached_property
    def axis(self) -> Axis:
        if self.step is None:
            return Continuous(self.min_value, self.max_value, self.sampling)
        return Stepped(self.min_value, self.max_value, self.step, self.sampling, integral=False)

    @property
    def values(self) -> tuple[Any, ...]:
        """What `listed` gives."""
        return self.listed()

    @property
    def start(self) -> float:
        return self.axis.from_unit(0.0) if self.default is None else self.default

    def contains(self, value: Any) -> bool:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and self.min_value <= value <= self.max_value
        )

    def details(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "step": self.step,
            "sampling": self.sampling,
            "default": self.default,
        }


def _kept(name: str, value: Any) -> Any:
    try:
        value = plain(value)
        encoded = canonical(value)
    except TypeError as error:
        raise SpaceError(
            f"{name!r}: {error}; offer its name instead and look it up: "
            f"{{'a': first, 'b': second}}[hp.Choice({name!r}, ['a', 'b'])]"
        ) from None
    if encoded == "nan" or '{"float":"nan"}' in encoded:
        raise SpaceError(f"{name!r}: nan cannot be a choice, since it equals nothing; use None")
    return value


def _is_list(values: Any) -> bool:
    if isinstance(values, str | bytes):
        return False
    return isinstance(values, Sequence) or type(values).__module__ == "numpy"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, eq=False)
class Choice(Parameter):
    """One of the values listed: numbers, strings, booleans, None, tuples, lists or dicts, mixed at will.

    Args:
        name: the parameter's name.
        values: at least one; a repeated value counts once.
        ordered: whether neighbours in the list are alike; by default True when all are numbers.
        default: the value to start from; by default the first.
        conditions: under which the parameter exists.
        prior: which value you believe to be the best, None included where it is offered; Bayesian optimization makes
            use of it.

    Raises:
        SpaceError: when there is nothing to choose from, or the default is not among it.

    Example:
        >>> Choice("betas", [(0.9, 0.999), None]).values
        ((0.9, 0.999), None)
    """

    name: str
    values: tuple[Any, ...]
    ordered: bool | None = None
    default: Any = None
    conditions: tuple[Condition, ...] = ()
    prior: Any = field(default=UNSAID, kw_only=True)

    def __post_init__(self) -> None:
        name = _checked_name(self.name)
        if not _is_list(self.values):
            raise SpaceError(f"{name!r}: values must be a list, got {self.values!r}")
        distinct = {canonical(value): value for value in (_kept(name, item) for item in self.values)}
        if not distinct:
            raise SpaceError(f"{name!r}: a choice needs at least one value, got an empty list")
        values = tuple(distinct.values())
        # Who offers None may believe in it; who does not says by it that nothing is believed.
        unsaid = UNSAID if self.prior is None and canonical(None) not in distinct else self.prior
        object.__setattr__(self, "prior", unsaid)
        for argument, nothing in (("default", None), ("prior", UNSAID)):
            given = getattr(self, argument)
            given = given if given is nothing else _kept(name, given)
            if given is not nothing and canonical(given) not in distinct:
                raise SpaceError(f"{name!r}: {argument}={given!r} is none of {list(values)!r}")
            object.__setattr__(self, argument, given)
        ordered = self.ordered if self.ordered is not None else all(_is_number(value) for value in values)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "ordered", bool(ordered))

    @cached_property
    def axis(self) -> Axis:
        return Listed(self.values)

    @property
    def start(self) -> Any:
        return self.values[0] if self.default is None else self.default

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(canonical(value) for value in self.values)

    def contains(self, value: Any) -> bool:
        try:
            return canonical(value) in self._known
        except TypeError:
            return False

    def details(self) -> dict[str, Any]:
        return {"values": list(self.values), "ordered": self.ordered, "default": self.default}


@dataclass(frozen=True, eq=False)
class Boolean(Parameter):
    """True or False.

    Example:
        >>> Boolean("shuffle", default=True).values
        (False, True)
    """

    name: str
    default: bool = False
    conditions: tuple[Condition, ...] = ()
    prior: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        name = _checked_name(self.name)
        default, prior = plain(self.default), plain(self.prior)
        if not isinstance(default, bool):
            raise SpaceError(f"{name!r}: default must be True or False, got {default!r}")
        if not isinstance(prior, bool | None):
            raise SpaceError(f"{name!r}: prior must be True, False or None, got {prior!r}")
        object.__setattr__(self, "default", default)
        object.__setattr__(self, "prior", prior)

    @cached_property
    def axis(self) -> Axis:
        return Listed((False, True))

    @property
    def values(self) -> tuple[Any, ...]:
        """What `listed` gives."""
        return self.listed()

    @property
    def start(self) -> bool:
        return self.default

    def contains(self, value: Any) -> bool:
        return isinstance(value, bool)

    def details(self) -> dict[str, Any]:
        return {"default": self.default}


@dataclass(frozen=True, eq=False)
class Fixed(Parameter):
    """A single value, kept among the others so that it is shown and stored with them.

    Example:
        >>> Fixed("classes", 10).values
        (10,)
    """

    name: str
    value: Any
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _kept(_checked_name(self.name), self.value))

    @cached_property
    def axis(self) -> Axis:
        return Listed((self.value,))

    @property
    def values(self) -> tuple[Any, ...]:
        """What `listed` gives."""
        return self.listed()

    @property
    def default(self) -> Any:
        """The one value there is."""
        return self.value

    @property
    def prior(self) -> None:
        """None: there is nothing to believe."""
        return None

    @property
    def start(self) -> Any:
        return self.value

    def contains(self, value: Any) -> bool:
        try:
            return canonical(value) == canonical(self.value)
        except TypeError:
            return False

    def details(self) -> dict[str, Any]:
        return {"value": self.value}


_KINDS: Mapping[str, type[Parameter]] = {kind.__name__: kind for kind in (Int, Float, Choice, Boolean, Fixed)}


def parameter_from_json(data: Mapping[str, Any]) -> Parameter:
    """Read what `Parameter.to_json` wrote.

    Example:
        >>> parameter_from_json(Boolean("shuffle").to_json())
        Boolean(name='shuffle', default=False, conditions=(), prior=None)
    """
    kind = _KINDS.get(data["kind"])
    if kind is None:
        raise SpaceError(f"{data.get('name')!r}: no kind of hyperparameter is called {data['kind']!r}")
    details = {key: decode(value) for key, value in data["details"].items()}
    conditions = tuple(Condition(item["name"], decode(item["values"])) for item in data["conditions"])
    made: Parameter = cast("Any", kind)(name=data["name"], conditions=conditions, **details)
    return made
