"""Schedules as values: a `Rate` is a learning rate over steps, a `Factor` a multiplier of one.

They are two types because the frameworks want two things. Keras and optax take the rate itself; PyTorch's
schedulers take a factor of the rate that the optimizer was given. Who gives a rate where a factor is wanted trains
at its square.
"""

from __future__ import annotations

import json
import math
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast, overload

from choritsu.errors import ScheduleError, UnboundError, UnitError
from choritsu.schedules.asking import asked_for
from choritsu.schedules.coding import decoded, encoded, phrase
from choritsu.schedules.durations import Duration, Span, is_number, positive, span
from choritsu.schedules.shapes import (
    After,
    Afterwards,
    Between,
    Clip,
    Constant,
    Cosine,
    Ease,
    Exponential,
    Function,
    Inverse,
    Join,
    Lift,
    Piecewise,
    Polynomial,
    Product,
    Quotient,
    Repeat,
    Scale,
    Shape,
    Shift,
    Warmup,
    everything_in,
    fitted,
    is_node,
)

if TYPE_CHECKING:
    from choritsu.schedules.keras import EpochSchedule, StepSchedule
    from choritsu.schedules.torch import Scheduler

_S = TypeVar("_S", bound="Schedule")


#: What each length is counted in, for PyTorch.
_CALLS = {"steps_per_epoch": "an epoch", "horizon": "the whole run"}


class _Missing:
    """Stands for a step that was not given."""


# Slots, because PyTorch's LambdaLR saves, and overwrites on loading, the attributes of the objects that it calls.
@dataclass(frozen=True, repr=False, slots=True)
class Schedule:
    """A number for each step of a training; `Rate` and `Factor` are its two kinds.

    Immutable, hashable, and equal to another of the same kind and shape. Steps count from 0, the first update; what a
    step is, an optimizer update or an epoch, is for the user to say by how often the schedule is stepped.

    Args:
        shape: a number, for a constant, a shape from this package, or a schedule of the same kind.

    Raises:
        UnitError: for a schedule of the other kind.
        ScheduleError: for anything else.
    """

    shape: Shape

    unit: ClassVar[str] = "number"

    def __post_init__(self) -> None:
        shape: Any = self.shape
        if isinstance(shape, Schedule):
            if not isinstance(shape, type(self)):
                raise UnitError(f"a {type(shape).__name__} is no {type(self).__name__}. {self._conversion}")
            object.__setattr__(self, "shape", shape.shape)
        elif is_number(shape):
            object.__setattr__(self, "shape", Constant(self._value(shape, "the value")))
        elif not is_node(shape):
            raise ScheduleError(
                f"a {type(self).__name__} is made by a function such as linear(1.0, 0.0, steps=10), or from one of "
                f"your own by {type(self).__name__}.from_function(f), got {shape!r}"
            )

    _conversion: ClassVar[str] = ""

    # -- making ------------------------------------------------------------------------------------

    @classmethod
    def constant(cls, value: float, *, steps: Span = math.inf) -> Self:
        """Give the same value at all times.

        value for every k. torch: ``ConstantLR(factor=1)``; optax: ``constant_schedule``.

        Args:
            value: at least 0.
            steps: the planned length, if any.

        Example:
            >>> Rate.constant(0.1, steps=3).table()
            [0.1, 0.1, 0.1]
        """
        return cls(Constant(cls._value(value, "value"), span(steps, endless=True)))

    @classmethod
    def linear(cls, start: float = 1.0, end: float = 0.0, *, steps: Span) -> Self:
        """Go from one value to another in a straight line.

        end + (start - end) (T - k)/T for k < T; from k = T on, `end`. torch: ``LinearLR``, ``PolynomialLR``; Keras:
        ``PolynomialDecay``; optax: ``linear_schedule``.

        Args:
            start: the value at k = 0.
            end: the value at k = T, the first step after the planned ones, and later.
            steps: T.

        Example:
            >>> linear(1.0, 0.0, steps=4).table()
            [1.0, 0.75, 0.5, 0.25]
        """
        return cls.polynomial(start, end, steps=steps)

    @classmethod
    def polynomial(
        cls, start: float = 1.0, end: float = 0.0, *, steps: Span, power: float = 1.0, ease: Ease = "out"
    ) -> Self:
        """Go from one value to another along a power of the time.

        With ease "out" end + (start - end) (1 - k/T)^power; with "in" start + (end - start) (k/T)^power. From k = T on,
        `end`. torch: ``PolynomialLR``; Keras: ``PolynomialDecay``; optax: ``polynomial_schedule``; the "1-sqrt" decay
        of WSD schedules: power 0.5 with ease "in".

        Args:
            start: the value at k = 0.
            end: the value from k = T on.
            steps: T.
            power: above 0.
            ease: whether the curve flattens towards its end ("out") or leaves its start flat ("in"), for a power
                above 1.

        Example:
            >>> polynomial(1.0, 0.0, steps=2, power=2.0).table(3)
            [1.0, 0.25, 0.0]
        """
        if ease not in ("in", "out"):
            raise ScheduleError(f'ease is "in" or "out", got {ease!r}')
        return cls(
            Polynomial(cls._value(start, "start"), cls._value(end, "end"), span(steps), positive(power, "power"), ease)
        )

    @classmethod
    def cosine(cls, start: float = 1.0, end: float = 0.0, *, steps: Span, power: float = 1.0) -> Self:
        """Go from one value to another along half a cosine.

        end + (start - end) ((1 + cos(pi k/T)) / 2)^power for k < T; from k = T on, `end`. Keras: ``CosineDecay``;
        optax: ``cosine_decay_schedule``; torch: ``CosineAnnealingLR`` until T, and ``cosine(...).after("mirror")``
        beyond, where it rises again.

        Args:
            start: the value at k = 0.
            end: the value from k = T on; a value, not a fraction of `start`.
            steps: T.
            power: above 0; optax' `exponent`.

        Example:
            >>> cosine(1.0, 0.0, steps=2).table(3)
            [1.0, 0.5, 0.0]

        Reference:
            Loshchilov and Hutter, SGDR, ICLR 2017, equation 5.
        """
        return cls(Cosine(cls._value(start, "start"), cls._value(end, "end"), span(steps), positive(power, "power")))

    @classmethod
    def exponential(
        cls, start: float = 1.0, *, decay: float, every: Span = 1, staircase: bool = False, steps: Span = math.inf
    ) -> Self:
        """Multiply by the same number again and again.

        start * decay^(k/every), the exponent rounded down in a staircase. torch: ``ExponentialLR``, and ``StepLR`` as a
        staircase; Keras: ``ExponentialDecay``; optax: ``exponential_decay``.

        Args:
            start: the value at k = 0.
            decay: the multiplier, above 0.
            every: the number of steps in which the value is multiplied by `decay` once.
            staircase: at once, at the end of these steps, not bit by bit.
            steps: the planned length, if any; the value is held from there on.

        Example:
            >>> exponential(1.0, decay=0.5, every=2, staircase=True).table(5)
            [1.0, 1.0, 0.5, 0.5, 0.25]
        """
        start, decay = cls._value(start, "start"), positive(decay, "decay")
        return cls(Exponential(start, decay, span(every, "every"), bool(staircase), span(steps, endless=True)))

    @classmethod
    def inverse(
        cls,
        start: float = 1.0,
        *,
        decay: float = 1.0,
        every: Span = 1,
        power: float = 1.0,
        staircase: bool = False,
        steps: Span = math.inf,
    ) -> Self:
        """Divide by a number that grows with the time.

        start / (1 + decay k/every)^power, k/every rounded down in a staircase. Keras: ``InverseTimeDecay``; with power
        0.5 the inverse square root of transformers.

        Args:
            start: the value at k = 0.
            decay: how fast, at least 0.
            every: the number of steps that count as one.
            power: above 0.
            staircase: in jumps, at the end of these steps.
            steps: the planned length, if any; the value is held from there on.

        Example:
            >>> inverse(1.0, decay=1.0).table(3)
            [1.0, 0.5, 0.3333333333333333]
        """
        start, decay = cls._value(start, "start"), cls._value(decay, "decay")
        every, steps = span(every, "every"), span(steps, endless=True)
        return cls(Inverse(start, decay, every, positive(power, "power"), bool(staircase), steps))

    @classmethod
    def piecewise(cls, values: Mapping[Any, float] | Sequence[float], *, between: Between = "hold") -> Self:
        """Take given values at given steps.

        The value of the last step listed that is not after k. torch: ``MultiStepLR``; optax:
        ``piecewise_constant_schedule`` (there as ratios); Keras: ``PiecewiseConstantDecay`` with each boundary one
        less, since there a boundary still has the old value.

        Args:
            values: by step, the first of them 0; or a list, one value for each step.
            between: "hold" the value until the next, or go there in a "linear" or "cosine" way.

        Example:
            >>> piecewise({0: 1.0, 2: 0.1}).table(4)
            [1.0, 1.0, 0.1, 0.1]
            >>> Rate.piecewise([0.1, 0.01])(5)
            0.01
        """
        if between not in ("hold", "linear", "cosine"):
            raise ScheduleError(f'between is "hold", "linear" or "cosine", got {between!r}')
        if isinstance(values, Mapping):
            listed = dict(values)
        elif isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise ScheduleError(f"piecewise takes values by step, such as {{0: 1.0, 30: 0.1}}, got {values!r}")
        else:
            listed = dict(enumerate(values))
        points = list(listed)
        if not points or isinstance(points[0], Duration) or points[0] != 0:
            raise ScheduleError(f"piecewise needs a value at step 0, got steps {points!r}")
        at = (0, *(span(point, "a step") for point in points[1:]))
        return cls(Piecewise(at, tuple(cls._value(value, "a value") for value in listed.values()), between))

    @overload
    @classmethod
    def from_function(cls, function: Callable[[Any], float], *, steps: Span = ...) -> Self: ...
    @overload
    @classmethod
    def from_function(cls, function: Sequence[Callable[[Any], float]], *, steps: Span = ...) -> tuple[Self, ...]: ...
    @classmethod
    def from_function(cls, function: Any, *, steps: Span = math.inf) -> Any:
        """Make a schedule of a function of your own.

        Args:
            function: of the step or epoch, from 0; or a list of them, one for each parameter group.
            steps: the planned length, if any.

        Returns:
            A schedule, or a tuple of them for a list.

        Example:
            >>> Rate.from_function(lambda epoch: 1e-3 if epoch < 2 else 1e-4).table(3)
            [0.001, 0.001, 0.0001]
            >>> 0.1 * Factor.from_function(lambda epoch: 0.5**epoch, steps=2)
            Rate(0.1 * from_function(<lambda>))
        """
        if isinstance(function, Sequence) and not isinstance(function, str | bytes):
            return tuple(cls.from_function(item, steps=steps) for item in function)
        if isinstance(function, Schedule):
            if not isinstance(function, cls):
                raise UnitError(f"a {type(function).__name__} is no {cls.__name__}. {cls._conversion}")
            return function
        if not callable(function):
            raise ScheduleError(f"from_function takes a function of the step, got {function!r}")
        return cls(Function(function, span(steps, endless=True)))

    @classmethod
    def _value(cls, value: Any, name: str) -> float:
        if not is_number(value) or not math.isfinite(value) or value < 0:
            raise ScheduleError(f"{name} must be a finite number of at least 0, got {value!r}")
        return float(value)

    # -- reading -----------------------------------------------------------------------------------

    def __call__(self, step: Any = _Missing) -> float:
        """Give the value at a step.

        Args:
            step: a number of at least 0.

        Raises:
            UnitError: when PyTorch's `LambdaLR` or `MultiplicativeLR` asks a rate, or Keras' `LearningRateScheduler` a
                factor.
            UnboundError: when the schedule counts epochs or shares.
            ScheduleError: when the value is no finite number of at least 0.
        """
        self._refuse(asked_for(sys._getframe(1)))
        # bool is a number to Python, and no step to anybody.
        if not isinstance(step, int | float) or isinstance(step, bool):
            step = float(step) if is_number(step) else self._index(step)
        if not step >= 0:
            raise ScheduleError(f"steps count from 0, got {step!r}")
        try:
            value = self.shape(step)
        except ArithmeticError as error:
            raise ScheduleError(f"{self!r} gives no number at step {step!r}: {error}") from error
        if not isinstance(value, int | float):
            value = self._plain(value, step)
        if not 0 <= value < math.inf:
            raise ScheduleError(f"{self!r} gives {value!r} at step {step!r}; a {self.unit} is finite and at least 0")
        return float(value)

    def _refuse(self, caller: FrameType) -> None:
        """Refuse to be asked by a framework that takes the answer for another unit, or the step for something else."""

    def _index(self, step: Any) -> int:
        if step is _Missing:
            raise TypeError(f"{self!r} is asked without a step; for a framework's own object write {self._how}")
        try:
            return operator.index(step)
        except Exception:  # noqa: BLE001  # a tensor under a compiler raises an error of its framework's own
            raise TypeError(
                f"{self!r} takes a step as a plain number, got {type(step).__name__}; for a framework's own object "
                f"write {self._how}"
            ) from None

    _how: ClassVar[str] = ""

    def _plain(self, value: Any, step: float) -> float:
        try:
            # Of a text or a truth value, float() would make a number.
            return float(value if not isinstance(value, str | bytes | bool) else cast(Any, None))
        except (TypeError, ValueError):
            raise ScheduleError(f"{self!r} gives {value!r} at step {step!r}; a {self.unit} is a number") from None

    @property
    def length(self) -> float:
        """The planned number of steps; `math.inf` where there is no end.

        Raises:
            UnboundError: when the schedule counts epochs or shares.
        """
        length = self.shape.length
        return int(length) if math.isfinite(length) and length == int(length) else length

    @property
    def is_bound(self) -> bool:
        """Whether all its lengths are known in steps."""
        return not any(isinstance(value, Duration) for value in everything_in(self.shape))

    def table(self, steps: int | None = None) -> list[float]:
        """List the values of the planned steps, step 0 first.

        Args:
            steps: how many; by default all that are planned.

        Raises:
            ScheduleError: when there is no end and `steps` is not given.

        Example:
            >>> (1e-3 * linear(1.0, 0.0, steps=10)).table()[-1]
            0.0001
        """
        if steps is None:
            if not math.isfinite(self.length):
                raise ScheduleError(f"{self!r} has no end; say how many steps to list: table(100)")
            steps = math.ceil(self.length)
        return [self(step) for step in range(operator.index(steps))]

    def bind(self, *, steps_per_epoch: float | None = None, horizon: float | None = None) -> Self:
        """Turn lengths in epochs, or in shares of the run, into steps.

        Args:
            steps_per_epoch: how many steps an epoch has.
            horizon: how many steps the whole run has.

        Returns:
            A schedule whose lengths are all in steps; itself when they were.

        Raises:
            UnboundError: when what is needed is not given.

        Example:
            >>> from choritsu.schedules import epochs
            >>> cosine(1.0, 0.0, steps=epochs(10)).bind(steps_per_epoch=100).length
            1000
        """
        if self.is_bound:
            return self
        for name, value in (("steps_per_epoch", steps_per_epoch), ("horizon", horizon)):
            if value is not None:
                positive(value, name)
        return type(self)(fitted(self.shape, steps_per_epoch, horizon))

    def _stepped(self, steps_per_epoch: float | None, horizon: float | None) -> Self:
        """Bind for PyTorch, where a step is a call of ``scheduler.step()``."""
        try:
            return self.bind(steps_per_epoch=steps_per_epoch, horizon=horizon)
        except UnboundError:
            spans = [value for value in everything_in(self.shape) if isinstance(value, Duration)]
            missing = ["steps_per_epoch"] if steps_per_epoch is None and any(value.epochs for value in spans) else []
            missing += ["horizon"] if horizon is None and any(value.share for value in spans) else []
            raise UnboundError(
                f"{self!r} counts epochs or shares of the run, and scheduler.step() counts its calls; say how many "
                f"there are in {' and in '.join(_CALLS[name] for name in missing)}: "
                f"{self.unit}.to_torch(optimizer, {', '.join(f'{name}=...' for name in missing)})"
            ) from None

    def __lt__(self, other: object) -> bool:
        raise TypeError(
            f"{self!r} has a value for each step, and is not compared as a whole; for a framework's own object write "
            f"{self._how}, for a number schedule(step)"
        )

    __le__ = __gt__ = __ge__ = __lt__

    def __neg__(self) -> Any:
        # PyTorch's optimizers do so with the rate that they were given.
        raise TypeError(
            f"{self!r} has a value for each step, and is no number; an optimizer takes a plain rate, such as 1e-3. For "
            f"a framework's own object write {self._how}"
        )

    def __float__(self) -> float:
        raise TypeError(f"{self!r} has a value for each step; ask for one: schedule(step)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({phrase(self.shape)})"

    def sparkline(self, width: int = 40) -> str:
        """Draw the schedule in one line of text.

        Args:
            width: the number of characters, at least 1.

        Raises:
            ScheduleError: for another width.

        Example:
            >>> linear(1.0, 0.0, steps=8).sparkline(8)
            '██▇▆▅▄▃▂'
        """
        if type(width) is not int or width < 1:
            raise ScheduleError(f"width is a whole number of characters, at least 1, got {width!r}")
        if not self.is_bound:
            return self.bind(steps_per_epoch=width, horizon=width * 10).sparkline(width)
        length = self.length if math.isfinite(self.length) and self.length > 0 else 100
        values = [self(math.floor(place * length / width)) for place in range(width)]
        top = max(values)
        return "".join("▁▂▃▄▅▆▇█"[min(int(value / top * 8), 7)] if top else "▁" for value in values)

    def __rich__(self) -> str:
        return f"{self!r} {self.sparkline()}".replace("[", r"\[")

    def plot(self, steps: int | None = None, ax: Any = None, *, log: bool = False) -> Any:
        """Draw the schedule with matplotlib; see `choritsu.schedules.plot`.

        Args:
            steps: how many to show; by default all that are planned.
            ax: matplotlib axes to draw into; by default new ones.
            log: whether the values are on a logarithmic scale.

        Returns:
            The axes.
        """
        from choritsu.schedules.drawing.pictures import plot

        return plot(self, steps, ax, log=log)

    # -- keeping -----------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Write the schedule as JSON.

        Raises:
            ScheduleError: when it holds a function of yours; `tabulated` turns it into values.

        Example:
            >>> Rate.from_json(Rate(0.1).to_json()) == Rate(0.1)
            True
        """
        return json.dumps({"unit": self.unit, "shape": encoded(self.shape)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            UnitError: when it is a schedule of the other kind.
            ScheduleError: when it is no schedule.
        """
        try:
            data = json.loads(text)
            unit, shape = data["unit"], data["shape"]
        except (ValueError, KeyError, TypeError):
            raise ScheduleError(f"no schedule can be read from {text!r:.80}") from None
        kinds = {kind.unit: kind for kind in (Rate, Factor)}
        if not isinstance(unit, str) or unit not in kinds:
            raise ScheduleError(f"a schedule of an unknown unit, {unit!r}; known are rate and factor")
        if not issubclass(kinds[unit], cls):
            raise UnitError(f"the file holds a {kinds[unit].__name__}, which is no {cls.__name__}. {cls._conversion}")
        return cast(Self, kinds[unit](decoded(shape)))

    def tabulated(self, steps: int | None = None) -> Self:
        """Replace the schedule by its values at whole steps, so that it can be written down.

        Args:
            steps: how many; by default all that are planned. The value that follows them is held.

        Example:
            >>> Factor.from_function(lambda epoch: 0.5**epoch, steps=2).tabulated()
            Factor(piecewise(at=[0, 1, 2], values=[1, 0.5, 0.25]))
        """
        if steps is None and not math.isfinite(self.length):
            raise ScheduleError(f"{self!r} has no end; say how many steps to write down: tabulated(100)")
        return type(self).piecewise(self.table((math.ceil(self.length) if steps is None else steps) + 1))

    # -- combining ---------------------------------------------------------------------------------

    def scaled(self, by: float) -> Self:
        """Multiply by a plain number, and stay of the same kind.

        Args:
            by: at least 0.

        Example:
            >>> Rate(0.1).scaled(0.5)(0)
            0.05
        """
        return type(self)(Scale(self.shape, self._value(by, "by")))

    def raised(self, by: float) -> Self:
        """Add a plain number, in the schedule's own unit, and stay of the same kind.

        Args:
            by: at least 0.

        Example:
            >>> linear(0.5, 0.0, steps=2).raised(0.25).table(3)
            [0.75, 0.5, 0.25]
        """
        return type(self)(Lift(self.shape, self._value(by, "by")))

    def then(self, following: Self | float, at: Span | None = None) -> Self:
        """Go on with another schedule, from its own step 0.

        optax: ``join_schedules``; torch: ``SequentialLR``.

        Args:
            following: of the same kind, or a number to stay at.
            at: the first step that belongs to it; by default where this one ends.

        Raises:
            UnitError: when it is of the other kind.

        Example:
            >>> linear(0.0, 1.0, steps=2).then(linear(1.0, 0.0, steps=2)).table(5)
            [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if at is None:
            at = self.shape.extent
            if not math.isfinite(at.steps if isinstance(at, Duration) else at):
                raise ScheduleError(f"{self!r} has no end; say where the other begins: then(schedule, at=100)")
        return type(self)(Join((self.shape, self._same(following).shape), (span(at, "at"),)))

    def warmup(self, steps: Span, *, init: float = 0.0, from_zero: bool = True) -> Self:
        """Put a straight rise to its first value before the schedule.

        init + (v - init) k/W for k < W, where v is the schedule's value at 0; then the schedule, from its own step 0,
        so that the whole is W steps longer. As in optax' ``warmup_cosine_decay_schedule`` and the schedules of
        transformers, whose lengths, other than here, include the warm-up.

        Args:
            steps: W, or ``epochs(n)`` or ``share(x)``; 0 for none, and less than half a step is refused.
            init: the value at k = 0, in the schedule's own unit.
            from_zero: False for (k + 1)/W in place of k/W, so that the first step already does something.

        Example:
            >>> Rate(0.1).warmup(4).table(5)
            [0.0, 0.025, 0.05, 0.07500000000000001, 0.1]
        """
        if (is_number(steps) and steps == 0) or steps == Duration():
            return self
        if is_number(steps) and 0 < steps < 0.5:
            raise ScheduleError(
                f"a warm-up of {steps:g} steps is none: is a part of the run meant? Then write warmup(share({steps:g}))"
            )
        return type(self)(Warmup(self.shape, span(steps), self._value(init, "init"), bool(from_zero)))

    def repeat(self, times: float = math.inf, *, stretch: float = 1.0, scale: float = 1.0) -> Self:
        """Begin again whenever the schedule ends.

        torch: ``CosineAnnealingWarmRestarts`` (stretch is T_mult); Keras: ``CosineDecayRestarts`` (t_mul, m_mul).

        Args:
            times: how often in all; then the last end is held.
            stretch: how many times longer each cycle is than the one before.
            scale: how many times larger its values are.

        Example:
            >>> linear(1.0, 0.0, steps=2).repeat(scale=0.5).table(5)
            [1.0, 0.5, 0.5, 0.25, 0.25]
        """
        if self.is_bound and not (math.isfinite(self.length) and self.length > 0):
            raise ScheduleError(f"{self!r} has no end, and cannot begin again; give it steps=...")
        if not is_number(times) or not times >= 1 or (times != math.inf and times != int(times)):
            raise ScheduleError(f"times is a whole number of at least 1, or math.inf, got {times!r}")
        return type(self)(Repeat(self.shape, float(times), positive(stretch, "stretch"), positive(scale, "scale")))

    def after(self, then: Afterwards) -> Self:
        """Say what becomes of the schedule after its end.

        Args:
            then: "hold" the last value (as without a word), "repeat", run back and forth ("mirror", as torch's
                ``CosineAnnealingLR`` does), or raise an "error" (as its ``OneCycleLR`` does).

        Example:
            >>> linear(1.0, 0.0, steps=2).after("mirror").table(6)
            [1.0, 0.5, 0.0, 0.5, 1.0, 0.5]
        """
        if then not in ("hold", "repeat", "mirror", "error"):
            raise ScheduleError(f'after takes "hold", "repeat", "mirror" or "error", got {then!r}')
        return type(self)(After(self.shape, then))

    def shift(self, by: Span) -> Self:
        """Begin the schedule some steps in.

        Args:
            by: the step at which to begin; below 0, the schedule begins that much later, and its first value is held
                until then.

        Example:
            >>> linear(1.0, 0.0, steps=4).shift(2).table(3)
            [0.5, 0.25, 0.0]
            >>> linear(1.0, 0.0, steps=2).shift(-2).table(4)
            [1.0, 1.0, 1.0, 0.5]
        """
        return type(self)(Shift(self.shape, span(by, "by", least=-math.inf)))

    def clip(self, low: float = 0.0, high: float = math.inf) -> Self:
        """Keep the values between two bounds.

        Args:
            low: at least 0, in the schedule's own unit.
            high: above `low`.

        Example:
            >>> exponential(1.0, decay=0.5).clip(low=0.3).table(3)
            [1.0, 0.5, 0.3]
        """
        low = self._value(low, "low")
        if not is_number(high) or not high > low:
            raise ScheduleError(f"high must be above low={low:g}, got {high!r}")
        return type(self)(Clip(self.shape, low, float(high)))

    def _same(self, other: Any) -> Self:
        if is_number(other):
            return type(self).constant(other)
        if isinstance(other, Schedule) and not isinstance(other, type(self)):
            raise UnitError(
                f"a {type(self).__name__} goes on with a {type(self).__name__}, got {other!r}. {self._conversion}"
            )
        if not isinstance(other, type(self)):
            raise ScheduleError(f"a {type(self).__name__} goes on with a {type(self).__name__}, got {other!r}")
        return other

    # -- arithmetic that has no meaning ------------------------------------------------------------

    def __add__(self, other: object) -> Any:
        raise UnitError(f"{self!r} and {other!r} cannot be added; for a constant on top write schedule.raised(number)")

    __radd__ = __sub__ = __rsub__ = __add__

    def __pow__(self, other: object) -> Any:
        raise UnitError(f"{self!r} has no powers; the curves that have take power=... when they are made")


class Rate(Schedule):
    """A learning rate for each step: what Keras' `LearningRateScheduler` and optax take.

    Args:
        shape: a number, for a constant rate.

    Example:
        >>> rate = 1e-3 * linear(1.0, 0.0, steps=10)
        >>> rate
        Rate(0.001 * linear(1, 0, steps=10))
        >>> rate(3), rate.length
        (0.0007, 10)
        >>> rate / 1e-3 * 0.5 == 0.5 * (rate / 1e-3)
        True
    """

    unit: ClassVar[str] = "rate"
    _conversion: ClassVar[str] = "A factor becomes a rate by multiplication: 0.1 * factor"
    _how: ClassVar[str] = "rate.to_keras(), rate.to_torch(optimizer) or rate.to_optax()"

    def _refuse(self, caller: FrameType) -> None:
        module = caller.f_globals.get("__name__", "")
        if module == "torch.optim.lr_scheduler":
            scheduler = caller.f_locals.get("self")
            name = type(scheduler).__name__
            if set(map(float, getattr(scheduler, "base_lrs", ()))) == {1.0} and name != "MultiplicativeLR":
                # Times one it is what was meant.
                return
            whose = "rate in force" if name == "MultiplicativeLR" else "optimizer's own rate"
            raise UnitError(
                f"{name} multiplies the {whose} by what it is given, and {self!r} is a rate already: the product would "
                "be its square. Write rate.to_torch(optimizer), or give LambdaLR a factor: rate / base_rate"
            )
        if module.endswith("callbacks.learning_rate_scheduler") and not self.is_bound:
            raise UnboundError(
                f"Keras' LearningRateScheduler counts epochs, and cannot tell {self!r} how long they are; write "
                "rate.to_keras_callback()"
            )

    def __mul__(self, other: object) -> Rate:
        if isinstance(other, Factor):
            return other._at(self, Product(self.shape, other.shape))
        if isinstance(other, Rate):
            raise UnitError(
                f"{self!r} times {other!r} would be a rate squared. Make one of them a factor: rate / base_rate"
            )
        raise UnitError(
            f"{self!r} times {other!r}: is the number a factor? Then write rate.scaled({other!r}); a schedule that "
            "scales it is a Factor: rate * ct.schedules.linear(1.0, 0.0, steps=10)"
        )

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Factor:
        if is_number(other):
            return Factor(_divided(self.shape, positive(other, "the rate that becomes 1")))
        raise UnitError(
            f"{self!r} divided by {other!r}: a rate is divided by a plain number, the rate that becomes 1, "
            "such as rate / 0.1"
        )

    def __rtruediv__(self, other: object) -> Any:
        raise UnitError(f"{other!r} divided by {self!r} is neither a rate nor a factor")

    def to_keras(self, *, horizon: int | None = None, gradient_accumulation_steps: int | None = None) -> StepSchedule:
        """Make Keras' own object: a ``LearningRateSchedule``, for ``Adam(learning_rate=...)``.

        Read once per optimizer update, also where gradients are accumulated. It is saved and loaded with the model;
        import ``choritsu.schedules.keras`` before loading. A rate that counts epochs or shares of the run is stretched
        to each ``fit`` when it begins, and goes on where ``initial_epoch`` says; elsewhere write ``rate.bind(...)``.

        Args:
            horizon: up to which step the values are computed beforehand, in double precision, and rounded once;
                by default to the schedule's end. A schedule without an end is computed in single precision beyond.
            gradient_accumulation_steps: the optimizer's, where it is wrapped such that it cannot be seen.

        Returns:
            A ``keras.optimizers.schedules.LearningRateSchedule``.

        Raises:
            ScheduleError: for a function without an end, and for ``.after("error")``, since a compiled program raises
                none.
        """
        from choritsu.schedules.keras import StepSchedule

        return StepSchedule(self.shape, horizon=horizon, gradient_accumulation_steps=gradient_accumulation_steps)

    def to_keras_callback(self, *, verbose: int = 0) -> EpochSchedule:
        """Make a Keras callback that sets the rate before each epoch; steps are epochs.

        Args:
            verbose: 1 to print the rate after each epoch.
        """
        from choritsu.schedules.keras import EpochSchedule

        return EpochSchedule(self.shape, relative=False, verbose=verbose)

    def to_torch(
        self,
        optimizer: Any,
        *,
        steps_per_epoch: float | None = None,
        horizon: float | None = None,
        replace: bool = False,
    ) -> Scheduler:
        """Make PyTorch's own object: a scheduler that sets the rate of every parameter group.

        Args:
            optimizer: whatever rate it was given is replaced; where its parameter groups have different ones, a
                `ScheduleWarning` says so.
            steps_per_epoch: how often ``scheduler.step()`` is called in an epoch; for rates that count epochs.
            horizon: how often in all; for rates that count shares of the run.
            replace: let go of a scheduler that the optimizer has already.

        Returns:
            A ``torch.optim.lr_scheduler.LRScheduler``. Call its ``step()`` after ``optimizer.step()``, or after each
            epoch: that call is what a step is.

        Raises:
            ScheduleError: when the optimizer has a scheduler already.
            UnboundError: when the rate counts epochs or shares, and their number is not given.
        """
        from choritsu.schedules.torch import Scheduler

        bound_one = self._stepped(steps_per_epoch, horizon)
        scheduler = Scheduler(optimizer, bound_one.shape, relative=False, replace=replace)
        scheduler.tell_of_flattened()
        return scheduler

    def to_optax(self, *, horizon: int | None = None) -> Callable[[Any], Any]:
        """Make optax' own object: a function of the update's number, for ``optax.adam(...)``.

        Args:
            horizon: as in `to_keras`.
        """
        from choritsu.schedules.jax import as_function

        return as_function(_known(self).shape, horizon)


class Factor(Schedule):
    """A multiplier of the learning rate for each step, without a unit: what PyTorch's `LambdaLR` takes.

    Args:
        shape: a number, for a constant factor.

    Example:
        >>> factor = linear(1.0, 0.0, steps=10)
        >>> factor(3), (0.1 * factor)(3)
        (0.7, 0.06999999999999999)
    """

    unit: ClassVar[str] = "factor"
    _conversion: ClassVar[str] = "A rate becomes a factor by division: rate / base_rate"
    _how: ClassVar[str] = "factor.to_torch(optimizer), or make it a rate first: (0.1 * factor).to_keras()"

    def _refuse(self, caller: FrameType) -> None:
        module = caller.f_globals.get("__name__", "")
        name = type(caller.f_locals.get("self")).__name__
        if module == "torch.optim.lr_scheduler" and name == "MultiplicativeLR":
            raise UnitError(
                f"MultiplicativeLR multiplies the rate in force anew at each step, and {self!r} is a factor of the "
                "rate at the beginning. Write factor.to_torch(optimizer), or LambdaLR in its place"
            )
        if module.endswith("callbacks.learning_rate_scheduler"):
            near = f": training would run at a rate near {self.shape(0):.3g}" if self.is_bound else ""
            raise UnitError(
                f"Keras' LearningRateScheduler takes the learning rate itself, and {self!r} is a factor of one{near}. "
                "Make it a rate: 1e-3 * factor; or use factor.to_keras_callback(), which scales the optimizer's own "
                "rate"
            )
        if module.startswith("optax."):
            raise UnitError(
                f"optax takes the learning rate itself, and {self!r} is a factor of one. Write "
                "(1e-3 * factor).to_optax()"
            )

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Factor):
            return Factor(Product(self.shape, other.shape))
        if isinstance(other, Rate):
            return self._at(other, Product(other.shape, self.shape))
        if is_number(other):
            base = Rate._value(other, "the base rate")
            return self._at(base, Scale(self.shape, base))
        raise UnitError(f"{self!r} times {other!r}: a factor is multiplied by a rate, a plain number or another factor")

    __rmul__ = __mul__

    def _at(self, base: float | Rate, shape: Shape) -> Rate:
        """Become a rate, which is told where it is the square of one."""
        from choritsu.schedules.guarding.guard import look_at_product

        look_at_product(base, self)
        return Rate(shape)

    def __truediv__(self, other: object) -> Any:
        if isinstance(other, Rate):
            raise UnitError(f"{self!r} divided by a rate, {other!r}, is neither a rate nor a factor")
        raise UnitError(f"{self!r} divided by {other!r}: to scale a factor write factor.scaled(number)")

    def __rtruediv__(self, other: object) -> Any:
        raise UnitError(
            f"{other!r} divided by {self!r} is neither a rate nor a factor; did you mean base_rate * factor?"
        )

    def to_keras(self, base_rate: float | None = None, **options: Any) -> StepSchedule:
        """Make Keras' own object, for ``Adam(learning_rate=...)``, of the rate ``base_rate * factor``.

        Args:
            base_rate: the learning rate where the factor is 1.
            options: see `Rate.to_keras`.

        Raises:
            UnitError: without a base rate; `to_keras_callback` takes the optimizer's own.
        """
        if base_rate is None:
            raise UnitError(
                "Keras' optimizers take the rate itself, and a factor is none: write (1e-3 * factor).to_keras(), or "
                "factor.to_keras_callback(), which scales the rate that the optimizer was given"
            )
        return cast(Rate, base_rate * self).to_keras(**options)

    def to_keras_callback(self, *, base_rate: float | None = None, verbose: int = 0) -> EpochSchedule:
        """Make a Keras callback that scales the optimizer's own rate before each epoch; steps are epochs.

        Args:
            base_rate: the rate where the factor is 1; by default what the optimizer has when training begins.
            verbose: 1 to print the rate after each epoch.
        """
        from choritsu.schedules.keras import EpochSchedule

        return EpochSchedule(self.shape, relative=True, base_rate=base_rate, verbose=verbose)

    def to_torch(
        self,
        optimizer: Any,
        *,
        steps_per_epoch: float | None = None,
        horizon: float | None = None,
        replace: bool = False,
    ) -> Scheduler:
        """Make PyTorch's own object: a scheduler that scales each parameter group's own rate, as `LambdaLR` does.

        Args:
            optimizer: its groups keep the rates that they were given as their bases.
            steps_per_epoch: see `Rate.to_torch`.
            horizon: likewise.
            replace: likewise.

        Returns:
            See `Rate.to_torch`.

        Raises:
            ScheduleError: likewise.
            UnboundError: likewise.
        """
        from choritsu.schedules.torch import Scheduler

        bound_one = self._stepped(steps_per_epoch, horizon)
        return Scheduler(optimizer, bound_one.shape, relative=True, replace=replace)

    def to_optax(self, base_rate: float | None = None, *, horizon: int | None = None) -> Callable[[Any], Any]:
        """Make optax' own object of the rate ``base_rate * factor``.

        Args:
            base_rate: the learning rate where the factor is 1.
            horizon: see `Rate.to_keras`.

        Raises:
            UnitError: without a base rate.
        """
        if base_rate is None:
            raise UnitError("optax takes the rate itself, and a factor is none: write (1e-3 * factor).to_optax()")
        return cast(Rate, base_rate * self).to_optax(horizon=horizon)


linear = Factor.linear
polynomial = Factor.polynomial
cosine = Factor.cosine
exponential = Factor.exponential
inverse = Factor.inverse
piecewise = Factor.piecewise
constant = Factor.constant


def _divided(shape: Shape, by: float) -> Shape:
    """Divide; what was scaled by the same number before comes out as it was, to the last bit."""
    if isinstance(shape, Scale) and shape.by == by:
        return shape.part
    return Quotient(shape, by)


def _known(schedule: _S) -> _S:
    if not schedule.is_bound:
        raise UnboundError(
            f"{schedule!r} counts epochs or shares of the run, and their number is not known; write "
            "schedule.bind(steps_per_epoch=..., horizon=...) first"
        )
    return schedule
