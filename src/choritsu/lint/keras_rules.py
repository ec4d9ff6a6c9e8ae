"""Keras: LearningRateScheduler wants the rate itself, and hands the current one to the second parameter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from choritsu.lint import quantities as q
from choritsu.lint.curves import Curve, free_parameters, functions, trace
from choritsu.lint.finding import COMPOUNDING, FACTOR_FOR_RATE, SECOND_PARAMETER, Outcome
from choritsu.lint.imports import called, comes_from
from choritsu.lint.names import Call
from choritsu.lint.optimizers import Compiled, keras_optimizers
from choritsu.lint.things import Frame, Function, Schedule
from choritsu.lint.values import Evaluator
from choritsu.lint.verdicts import Verdict
from choritsu.lint.wording import number

#: A schedule that starts here, times the compiled rate, is no schedule of rates.
JUMP = 50.0
_ANY_NAME = re.compile(r"lr|learning|(?<!decay_)(?<!drop_)rate|^(_+|current|cur|old|prev|previous|last|logs?|[a-z])$")
_COUNT = re.compile(r"epochs|warm|total|steps|iter|num_|^n_|size|length|max_epoch", re.IGNORECASE)
_FIXED = re.compile(r"init|base|start|max|min|peak|final|end|lr0", re.IGNORECASE)


def check_keras(call: Call, evaluator: Evaluator) -> Iterator[Verdict]:
    """Judge a call, if it makes a LearningRateScheduler.

    Args:
        call: any call.
        evaluator: of the same file.
    """
    path, original = called(call.node, call.site, evaluator.names)
    if original != "LearningRateScheduler" or not comes_from(path, call.site, evaluator.names, ("keras", "tensorflow")):
        return
    words = {word.arg: word.value for word in call.node.keywords}
    schedule = call.node.args[0] if call.node.args else words.get("schedule")
    if schedule is None:
        return
    evaluator.fresh()
    evaluator.passing = True
    try:
        values = evaluator.values(schedule, Frame(call.site))
        found = functions(values, evaluator)
        if not found and any(isinstance(value, Schedule) for value in values):
            return
        if not found:
            yield Verdict(FACTOR_FOR_RATE, Outcome.unclear, "LearningRateScheduler: the function is not in this file")
        for function in found:
            yield from _judged(function, evaluator)
    finally:
        evaluator.passing = False


def _judged(function: Function, evaluator: Evaluator) -> Iterator[Verdict]:
    passed = _second(function)
    wrong = _wrong_parameter(function) if passed else None
    if wrong is not None:
        yield wrong
        return
    curve = trace(function, evaluator, passed)
    if passed and (fixed := _fixed_parameter(function, curve)) is not None:
        yield fixed
        return
    compounding = _compounding(curve, passed)
    yield compounding
    if compounding.outcome is not Outcome.mistake:
        yield set_to(curve, keras_optimizers(evaluator))


def _second(function: Function) -> str:
    """Name the parameter that Keras fills with the current rate; empty if there is none."""
    free = free_parameters(function)
    required = [name for name, default in free if default is None]
    if len(free) >= 2 and len(required) <= 2:
        return free[1][0]
    return "*" if function.node.args.vararg is not None and len(free) < 2 else ""


def _wrong_parameter(function: Function) -> Verdict | None:
    free = free_parameters(function)
    if len(free) < 2:
        return None
    name, default = free[1]
    if q.rate_like(name) or not _uses(function.node, name):
        return None
    counted = _COUNT.search(name) is not None
    if _ANY_NAME.search(name.lower()) and not counted and q.guess(name) is None:
        return None
    if default is None and not counted:
        return None
    if isinstance(default, ast.Constant) and default.value is None:
        return None
    shown = f"{name}={ast.unparse(default)}" if default is not None else name
    return Verdict(
        SECOND_PARAMETER,
        Outcome.mistake,
        f"Keras calls the function with (epoch, current rate), so its second parameter, {shown}, is given the "
        f"learning rate",
        f"*, {shown} to make it keyword-only, or functools.partial(..., {name}=...) around a function of (epoch, lr)",
    )


def _fixed_parameter(function: Function, curve: Curve) -> Verdict | None:
    """A second parameter with a default that is meant to stay what it is: ``initial_lr=0.1``."""
    name, default = free_parameters(function)[1] if len(free_parameters(function)) > 1 else ("", None)
    if default is None or not _FIXED.search(name):
        return None
    if isinstance(default, ast.Constant) and default.value is None:
        return None
    if not any(way.current and way.counter for way in curve.ways):
        return None
    shown = f"{name}={ast.unparse(default)}"
    return Verdict(
        SECOND_PARAMETER,
        Outcome.mistake,
        f"Keras calls the function with (epoch, current rate), so its second parameter, {shown}, is not "
        f"{ast.unparse(default)} but the current rate, and the decay is applied to it again every epoch",
        f"*, {shown} to make it keyword-only",
    )


def _uses(node: ast.AST, name: str) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Load) for part in ast.walk(node)
    )


def _compounding(curve: Curve, passed: str) -> Verdict:
    held = [way for way in curve.ways if way.current not in (0, None)]
    counted = [way for way in held if way.counter]
    if any(not way.quotient for way in counted):
        name = passed or "it"
        return Verdict(
            COMPOUNDING,
            Outcome.mistake,
            f"the function scales the current rate, {name}, by a factor that is counted from epoch 0: what earlier "
            "epochs did is done again every epoch",
            f"the initial rate in the place of {name}, or a factor for one epoch, such as {name} * 0.95",
        )
    if counted or any(way.current is None for way in curve.ways):
        return Verdict(COMPOUNDING, Outcome.unclear, "LearningRateScheduler: the use of the current rate is not clear")
    return Verdict(COMPOUNDING, Outcome.fine, "LearningRateScheduler: nothing compounds")


#: What is trained at 0.5 by many, and what is made to be trained at 1.
_LARGE, _AT_ONE = ("sgd", "adagrad", "ftrl", "asgd", "rprop"), ("adadelta", "lbfgs")


def set_to(curve: Curve, compiled: list[Compiled], name: str = "LearningRateScheduler") -> Verdict:
    """Judge what a learning rate is set to.

    Args:
        curve: the rates.
        compiled: the optimizers that it may be set for.
        name: what sets it, as the user wrote it.
    """
    first = curve.first
    if not curve.literal or first is None or any(way.current != 0 for way in curve.ways):
        rate = curve.unit == 1
        return Verdict(
            FACTOR_FOR_RATE,
            Outcome.fine if rate else Outcome.unclear,
            f"{name}: " + ("the function returns a rate" if rate else "it is not clear what is returned"),
        )
    rates = [one.rate.number for one in compiled]
    known = [rate for rate in rates if rate is not None]
    if first < q.NO_RATE:
        # A factor may begin with a warm-up.
        far = known and len(known) == len(rates) and first >= JUMP * max(known)
        outcome = Outcome.unclear if far else Outcome.fine
        return Verdict(FACTOR_FOR_RATE, outcome, f"{name}: the first rate is {number(first)}")
    starts = [way.known for way in curve.ways if way.known is not None]
    kinds = {one.text.strip("'").lower() for one in compiled}
    usual = any(kind in _AT_ONE or (kind in _LARGE and first < 1) for kind in kinds)
    if first not in starts or not known or len(known) < len(rates) or first < JUMP * max(known) or usual:
        return Verdict(FACTOR_FOR_RATE, Outcome.unclear, f"{name}: the first rate would be {number(first)}")
    return Verdict(
        FACTOR_FOR_RATE,
        Outcome.mistake,
        f"{name} sets the learning rate to what the function returns, and this function returns a "
        f"factor: epoch 0 trains at {number(first)}, not at the {number(max(known))} of {compiled[0].text}",
        f"{number(max(known))} times what is returned",
    )
