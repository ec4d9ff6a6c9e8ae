"""What the guard sees of Keras: a training when it begins, and the rate before and after each epoch's callbacks."""

from __future__ import annotations

import math
import types
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from choritsu.schedules.guarding.context import Guard, in_force
from choritsu.schedules.guarding.traps import (
    FACTOR,
    LEAST_FACTOR,
    Past,
    Plan,
    Suspicion,
    To,
    asked,
    compounding,
    declared_rate,
    epochs_for_steps,
    factor_as_rate,
    far_points,
    gives_rates,
    horizon_long,
    horizon_short,
    is_meant,
    is_ours,
    may_be_squared,
    not_a_rate,
    plan_of,
    rates_in,
    restarted_at_epoch,
    second_parameter,
    squared,
    steps_for_epochs,
    two_controllers,
    warmup_long,
)
from choritsu.schedules.keras import Bind, EpochSchedule, StepSchedule, schedule_of
from choritsu.schedules.patching import patch, unpatch
from choritsu.schedules.shapes import bound
from choritsu.schedules.values import Rate

_Scheduler = keras.callbacks.LearningRateScheduler

#: From then on nothing is asked of a training any more.
_EPOCHS_WATCHED = 12


def _on_train_begin(method: Callable[..., Any], callbacks: Any, *args: Any, **kwargs: Any) -> Any:
    guard = in_force()
    watch = None if guard is None else guard.watch(KerasWatch)
    if guard is None or watch is None:
        return method(callbacks, *args, **kwargs)
    guard.run(lambda: watch.before_training(callbacks))
    return method(callbacks, *args, **kwargs)


def _on_epoch_begin(method: Callable[..., Any], callbacks: Any, epoch: int, *args: Any, **kwargs: Any) -> Any:
    guard = in_force()
    watch = None if guard is None else guard.watch(KerasWatch)
    if guard is None or watch is None:
        return method(callbacks, epoch, *args, **kwargs)
    guard.run(lambda: watch.before_epoch(callbacks, epoch))
    result = method(callbacks, epoch, *args, **kwargs)
    guard.run(lambda: watch.at_epoch(callbacks, epoch))
    return result


@dataclass
class _Fit:
    """A training that is watched."""

    optimizer: Any
    callbacks: list[Any]
    scheduler: Any
    compiled: float | None
    #: The model was trained before and compiled again since, as people do for fine-tuning.
    anew: bool
    before: float | None = None
    rates: list[tuple[int, float]] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    begun: bool = False
    told: bool = False


class KerasWatch:
    """Keras' part of a `Guard`.

    Args:
        guard: its hints are known.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._fits: weakref.WeakKeyDictionary[Any, _Fit] = weakref.WeakKeyDictionary()
        #: What each model was last trained with.
        self._optimizers: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
        #: Plans by name and length, with the steps that trainings have planned so far.
        self._plans: dict[Plan, float] = {}

    def look(self, things: list[Any]) -> Iterator[Suspicion]:
        """Look at callbacks and a compiled model, before any training."""
        models = [thing for thing in things if isinstance(thing, keras.Model)]
        callbacks = [thing for thing in things if isinstance(thing, keras.callbacks.Callback)]
        optimizer = getattr(models[0], "optimizer", None) if models else None
        yield from _statically(callbacks, optimizer)
        scheduler = _only_scheduler(callbacks)
        if scheduler is not None and not _is_said(scheduler.schedule):
            yield from _asked_once(scheduler.schedule, optimizer)
        for callback in callbacks:
            if isinstance(callback, EpochSchedule) and optimizer is not None:
                yield from _declared(callback, optimizer, _rate(optimizer), self._guard.hints.horizon)

    def install(self) -> None:
        """See every training that begins."""
        patch(keras.callbacks.CallbackList, "on_train_begin", _on_train_begin)
        patch(keras.callbacks.CallbackList, "on_epoch_begin", _on_epoch_begin)

    def remove(self) -> None:
        """Give Keras its methods back."""
        unpatch(keras.callbacks.CallbackList, "on_train_begin")
        unpatch(keras.callbacks.CallbackList, "on_epoch_begin")

    def end(self) -> Iterator[Suspicion]:
        """Compare each schedule's length with what trainings had planned."""
        for plan, planned in self._plans.items():
            total = max(planned, self._guard.hints.horizon or 0)
            if plan.warmup > total:
                yield warmup_long(plan, total)
            elif plan.length >= 2 * total and not plan.drops:
                yield horizon_long(plan, total)

    def before_training(self, callbacks: Any) -> Iterator[Suspicion]:
        """Note what the model was compiled with, and look at the callbacks."""
        optimizer = getattr(callbacks.model, "optimizer", None)
        if optimizer is None or getattr(optimizer, "optimizers", None):
            return
        listed = list(callbacks.callbacks)
        former = self._optimizers.get(callbacks.model)
        anew = former is not None and former() is not optimizer
        self._optimizers[callbacks.model] = weakref.ref(optimizer)
        self._fits[callbacks] = _Fit(optimizer, listed, _only_scheduler(listed), _rate(optimizer), anew)
        yield from _statically(listed, optimizer)

    def before_epoch(self, callbacks: Any, epoch: int) -> Iterator[Suspicion]:
        """Note the rate that the epoch's callbacks find; at the first, compare lengths."""
        fit = self._fits.get(callbacks)
        if fit is None:
            return
        watched = fit.scheduler is not None and not fit.told and len(fit.rates) < _EPOCHS_WATCHED
        if watched and _passes_on(fit.scheduler):
            fit.before = _rate(fit.optimizer)
        if not fit.begun:
            fit.begun = True
            yield from self._lengths(fit, epoch, callbacks.params or {})
            yield from _resumed(fit, epoch)
            for callback in fit.callbacks:
                if isinstance(callback, EpochSchedule) and not epoch:
                    yield from _declared(callback, fit.optimizer, fit.compiled, (callbacks.params or {}).get("epochs"))
            schedule = schedule_of(fit.optimizer)
            if isinstance(schedule, StepSchedule) and schedule.is_bound and not epoch:
                kind = _kind(fit.optimizer)
                found = declared_rate(kind, None, schedule.shape, name=_name(schedule), to="to_keras(base_rate)")
                yield from [found] if found is not None else []

    def at_epoch(self, callbacks: Any, epoch: int) -> Iterator[Suspicion]:
        """Look at the rate that the epoch's callbacks have set."""
        fit = self._fits.get(callbacks)
        if fit is None or fit.scheduler is None or fit.told or len(fit.rates) >= _EPOCHS_WATCHED:
            return
        now = _rate(fit.optimizer)
        if now is None or fit.compiled is None or _is_said(fit.scheduler.schedule):
            fit.told = True
            return
        fit.rates.append((epoch, now))
        name = type(fit.scheduler).__name__
        passed_on = _passes_on(fit.scheduler)
        found = factor_as_rate(_kind(fit.optimizer), fit.compiled, fit.rates, name=name, to=_TO)
        if found is None and passed_on and fit.before:
            fit.ratios.append(now / fit.before)
            if fit.rates[0][0] == 0 and len(fit.ratios) == len(fit.rates) == 4:
                found = compounding(fit.compiled, fit.ratios, name=name)
        # What begins as a rate stays one, and nothing is left to see.
        settled = 0 < fit.rates[0][1] < LEAST_FACTOR and (not passed_on or len(fit.rates) >= 4)
        fit.told = found is not None or settled
        if found is not None:
            yield found

    def _lengths(self, fit: _Fit, epoch: int, params: dict[str, Any]) -> Iterator[Suspicion]:
        steps, epochs = params.get("steps"), params.get("epochs")
        if not epochs:
            return
        for callback in fit.callbacks:
            plan = plan_of(callback.shape) if isinstance(callback, EpochSchedule) else None
            if plan is not None:
                yield from self._compared(plan, epochs, None if steps is None else steps * epochs)
        schedule = schedule_of(fit.optimizer)
        if schedule is None or not steps:
            return
        inner = getattr(fit.optimizer, "inner_optimizer", fit.optimizer)
        # Keras' own schedules count batches; ours count updates.
        each = (inner.gradient_accumulation_steps or 1) if isinstance(schedule, StepSchedule) else 1
        # Where the count was lost, the epochs still say how long the whole is.
        done = int(keras.ops.convert_to_numpy(inner._iterations)) or (0 if fit.anew else epoch * steps)
        total = (done + (epochs - epoch) * steps) / each
        if _waits(schedule):
            # It is stretched to the whole, wherever in it this training begins.
            epochs = next((one.epochs for one in fit.callbacks if isinstance(one, Bind) and one.epochs), epochs)
            total = epochs * steps / each
            plan = plan_of(bound(schedule.planned, steps / each, total))
        else:
            plan = _plan(schedule)
        if plan is None:
            return
        if steps / each >= 5 and plan.length < total and abs(plan.length - plan.warmup - epochs) < 0.5:
            yield epochs_for_steps(plan, total)
        elif plan.drops:
            if steps / each >= 5 and epochs / 4 <= plan.length < epochs:
                yield epochs_for_steps(plan, total)
        else:
            yield from self._compared(plan, total, None)

    def _compared(self, plan: Plan, total: float, updates: float | None) -> Iterator[Suspicion]:
        if updates is not None and updates >= 5 * total and math.isclose(plan.length, updates, rel_tol=0.01):
            yield steps_for_epochs(plan, total, updates)
        elif plan.past == "nothing" and plan.length < 0.95 * total:
            yield horizon_short(plan, total)
        else:
            # Whether it is too long shows at the end only: fit may be called again.
            self._plans[plan] = max(self._plans.get(plan, 0), total)


#: What our values become Keras' own callbacks by.
_TO: To = "to_keras_callback()"


def _kind(optimizer: Any) -> str:
    return type(getattr(optimizer, "inner_optimizer", optimizer)).__name__


def _name(thing: Any) -> str:
    """Give the name under which the user knows a callback or schedule."""
    if type(thing) is EpochSchedule:
        return f"{'factor' if thing.relative else 'rate'}.to_keras_callback(...)"
    return "rate.to_keras(...)" if isinstance(thing, StepSchedule) else type(thing).__name__


def _is_said(function: Any) -> bool:
    """Tell whether somebody said that it gives a rate, or that whatever it gives is meant."""
    return is_meant(function) or (isinstance(function, Rate) and is_ours(function))


def _rate(optimizer: Any) -> float | None:
    """Read the rate that an optimizer was given; None where it follows a schedule."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(getattr(inner, "_learning_rate", None), keras.Variable):
        return float(keras.ops.convert_to_numpy(inner._learning_rate))
    return None


def _only_scheduler(callbacks: list[Any]) -> Any:
    found = [callback for callback in callbacks if isinstance(callback, _Scheduler)]
    return found[0] if len(found) == 1 else None


def _statically(callbacks: list[Any], optimizer: Any) -> Iterator[Suspicion]:
    """Look at callbacks that do not go together, and at functions whose parameters are not what they seem."""
    setters = [callback for callback in callbacks if isinstance(callback, _Scheduler | EpochSchedule)]
    plateaus = [callback for callback in callbacks if isinstance(callback, keras.callbacks.ReduceLROnPlateau)]
    for callback in setters:
        if isinstance(callback, _Scheduler) and not is_meant(callback.schedule):
            found = not_a_rate(callback.schedule, name=type(callback).__name__)
            if found is not None:
                yield found
    schedule = None if optimizer is None else schedule_of(optimizer)
    if schedule is not None and (plateaus or any(isinstance(callback, _Scheduler) for callback in setters)):
        name = _name((plateaus or setters)[0])
        yield two_controllers(
            f"the optimizer follows {_name(schedule)}, and {name} sets its rate, which Keras refuses when it "
            f"comes to that. Compile with a plain rate, as in Adam(1e-3), or leave {name} out"
        )
        return
    absolute = [callback for callback in setters if not _passes_on(callback)]
    if absolute and plateaus:
        # A factor of ours scales the rate it began with, and knows no other.
        passed = "; or use the rate that is passed, as in lambda epoch, lr: lr * 0.95"
        yield two_controllers(
            f"{_name(absolute[0])} sets the rate anew before each epoch, whatever {_name(plateaus[0])} has made of it, "
            f"which has no effect so. Leave one of them out{passed if isinstance(absolute[0], _Scheduler) else ''}"
        )
    elif len(absolute) > 1:
        yield two_controllers(
            f"{' and '.join(map(_name, absolute))} set the rate before each epoch, and the last one wins. "
            "Make them one: rate.then(other, at=...) or rate * factor"
        )


def _passes_on(callback: Any) -> bool:
    """Tell whether a callback makes the new rate of the one in force."""
    return isinstance(callback, _Scheduler) and second_parameter(callback.schedule) is not None


def _asked_once(function: Any, optimizer: Any) -> Iterator[Suspicion]:
    compiled = None if optimizer is None else _rate(optimizer)
    name = "LearningRateScheduler"
    if second_parameter(function) is None:
        told = asked(function, [0])
        kind = "" if optimizer is None else _kind(optimizer)
        found = factor_as_rate(kind, compiled, told, name=name, to=_TO) if told else None
    elif not isinstance(function, types.FunctionType | types.MethodType):
        return
    else:
        base = compiled or 1e-3
        ratios = [value / base for epoch in range(4) for _, value in asked(_at_rate(function, base), [epoch])]
        found = compounding(base, ratios, name=name)
    if found is not None:
        yield found


def _at_rate(function: Any, rate: float) -> Callable[[int], float]:
    def of_epoch(epoch: int) -> float:
        return float(function(epoch, rate))

    return of_epoch


def _declared(
    callback: EpochSchedule, optimizer: Any, compiled: float | None, horizon: float | None
) -> Iterator[Suspicion]:
    if callback.relative:
        yield from _scaled(callback, compiled, horizon)
        return
    found = declared_rate(_kind(optimizer), compiled, callback.shape, name=_name(callback), to=_TO)
    if found is not None:
        yield found


def _scaled(callback: EpochSchedule, base: float | None, horizon: float | None) -> Iterator[Suspicion]:
    base = callback.base_rate or base
    shape = callback.shape
    if base is None or is_meant(shape) or not may_be_squared(base, None):
        return
    values = asked(shape, [0])
    if values and (may_be_squared(base, values[0][1]) or (values[0][1] < FACTOR and rates_in(shape))):
        values += asked(shape, far_points(horizon))
        certain = gives_rates(shape, values)
        found = squared(base, values, name=_name(callback), to=_TO, function=not is_ours(shape), certain=certain)
        if found is not None:
            yield found


def _resumed(fit: _Fit, epoch: int) -> Iterator[Suspicion]:
    if not epoch or fit.anew:
        return
    inner = getattr(fit.optimizer, "inner_optimizer", fit.optimizer)
    if int(keras.ops.convert_to_numpy(inner._iterations)):
        return
    schedule = schedule_of(fit.optimizer)
    if schedule is not None and not _waits(schedule):
        yield restarted_at_epoch(
            f"{_name(schedule)} counts updates, and begins at step 0 again",
            epoch,
            "Load the whole model, keras.saving.load_model(path), which keeps the optimizer, and not the weights alone",
        )
    elif fit.scheduler is not None and _passes_on(fit.scheduler) and not is_meant(fit.scheduler.schedule):
        yield restarted_at_epoch(
            f"the function of (epoch, lr) is given the rate that the model was compiled with, {fit.compiled:.3g}",
            epoch,
            "Load the whole model, keras.saving.load_model(path), or compute the rate from the epoch alone",
        )


def _waits(schedule: Any) -> bool:
    return isinstance(schedule, StepSchedule) and schedule.waits


def _plan(schedule: Any) -> Plan | None:
    """Read how long a schedule was made to be; None where it has no length."""
    name = type(schedule).__name__
    kinds = keras.optimizers.schedules
    match schedule:
        case StepSchedule():
            return plan_of(schedule.shape) if schedule.is_bound else None
        case kinds.CosineDecay():
            rise = schedule.warmup_steps or 0
            past: Past = "holds" if schedule.alpha else "nothing"
            setting = "decay_steps + warmup_steps = {}" if rise else "decay_steps={}"
            return Plan(name, schedule.decay_steps + rise, past, rise, setting)
        case kinds.PolynomialDecay():
            past = "nothing" if not schedule.end_learning_rate else "holds"
            return None if schedule.cycle else Plan(name, schedule.decay_steps, past, setting="decay_steps={}")
        case kinds.PiecewiseConstantDecay():
            values = [float(value) for value in schedule.values]
            falls = len(values) > 2 and values == sorted(values, reverse=True)
            last = float(schedule.boundaries[-1])
            return Plan(name, last, "holds", setting="boundaries up to {}", drops=True) if falls else None
    return None
