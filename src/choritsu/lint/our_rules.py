"""This library's own schedules, given to what wants the other kind, or a number."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from choritsu.lint.curves import Curve, free_parameters, functions, trace
from choritsu.lint.finding import COMPOUNDING, FACTOR_FOR_RATE, RATE_FOR_FACTOR, SCHEDULE_FOR_NUMBER, Outcome
from choritsu.lint.imports import called, comes_from, origin
from choritsu.lint.keras_rules import set_to
from choritsu.lint.names import Call, Names, Site, dotted
from choritsu.lint.optimizers import TORCH_DEFAULTS, Compiled, Optimizer, keras_optimizers, torch_optimizers
from choritsu.lint.quantities import NO_RATE, Quantity
from choritsu.lint.things import Frame, Items, Schedule
from choritsu.lint.torch_rules import judged
from choritsu.lint.values import Evaluator
from choritsu.lint.verdicts import Verdict
from choritsu.lint.wording import number

_KERAS = frozenset("Adam AdamW Adamax Nadam RMSprop Adagrad Adadelta Ftrl SGD Lion Adafactor Lamb Muon".split())


def check_ours(call: Call, evaluator: Evaluator) -> Iterator[Verdict]:
    """Judge a call that is given one of our schedules, where what it takes is known.

    Args:
        call: any call.
        evaluator: of the same file.
    """
    if not evaluator.ours:
        return
    evaluator.fresh()
    path, last = called(call.node, call.site, evaluator.names)
    words = {word.arg: word.value for word in call.node.keywords}
    places = list(call.node.args)
    full = origin(path, call.site, evaluator.names) or ""
    argument: ast.expr | None = None
    match last:
        case "LambdaLR" if full.startswith("choritsu."):
            argument, wanted, to = places[0] if places else words.get("factor"), 0, "rate.to_keras_callback()"
        case "LambdaLR" | "MultiplicativeLR" if comes_from(path, call.site, evaluator.names, ("torch",)):
            argument, wanted, to = _at(places, 1, words.get("lr_lambda")), 0, "rate.to_torch(optimizer)"
        case "LearningRateScheduler" if full.startswith("choritsu."):
            argument, wanted, to = _at(places, 1, words.get("schedule")), 1, "factor.to_torch(optimizer)"
        case "LearningRateScheduler" if comes_from(path, call.site, evaluator.names, ("keras", "tensorflow")):
            argument, wanted, to = _at(places, 0, words.get("schedule")), 1, "factor.to_keras_callback()"
        case "to_torch" | "to_keras" | "to_optax" | "to_keras_callback":
            yield from _turned(call, last, evaluator)
            return
        case _:
            yield from _number_wanted(call, path, last, evaluator)
            return
    if full.startswith("choritsu.") and argument is not None:
        optimizer = places[0] if wanted and places else words.get("optimizer")
        yield from _function_given(call, last, argument, evaluator, optimizer, words.get("base_rate"))
    for schedule in _schedules(argument, call.site, evaluator):
        if schedule.unit != wanted:
            yield _mistaken(last, wanted, to)
            continue
        rule = FACTOR_FOR_RATE if wanted else RATE_FOR_FACTOR
        yield Verdict(rule, Outcome.fine, f"{last}: it is given a {'Rate' if wanted else 'Factor'}")
        if last == "MultiplicativeLR" and schedule.varies:
            yield Verdict(
                COMPOUNDING,
                Outcome.mistake,
                "MultiplicativeLR multiplies the current rate by what it is given at every step, and this factor is "
                "counted from the start: the factors of all earlier steps are applied again",
                "factor.to_torch(optimizer)",
            )


def _turned(call: Call, last: str, evaluator: Evaluator) -> Iterator[Verdict]:
    """Judge a schedule that becomes an object of a framework's own, and meets a rate there."""
    function = call.node.func
    if not isinstance(function, ast.Attribute):
        return
    words = {word.arg: word.value for word in call.node.keywords}
    base = words.get("base_rate")
    if last in ("to_keras", "to_optax"):
        base = _at(call.node.args, 0, base)
    optimizer = _at(call.node.args, 0, words.get("optimizer")) if last == "to_torch" else None
    for schedule in _schedules(function.value, call.site, evaluator):
        name = f"{'rate' if schedule.unit else 'factor'}.{last}"
        curves = _curves(schedule, evaluator)
        if schedule.unit and schedule.base is None:
            # Our own curves were called rates by the user.
            if schedule.functions and last in ("to_torch", "to_keras_callback"):
                compiled = _compiled(optimizer, call, evaluator)
                yield from [set_to(curve, compiled, name) for curve in curves]
            continue
        if schedule.base is not None:
            rates: list[Optimizer] = [_base(schedule.base)]
        else:
            rates = _rates(optimizer, base, call, evaluator, own=last in ("to_torch", "to_keras_callback"))
        yield from _scaled(name, curves, rates, dotted(optimizer) if optimizer is not None else "")


def _function_given(
    call: Call, last: str, argument: ast.expr, evaluator: Evaluator, optimizer: ast.expr | None, base: ast.expr | None
) -> Iterator[Verdict]:
    """Judge a user's function that is given to our namesakes of the frameworks' classes."""
    evaluator.fresh()
    found = functions(evaluator.values(argument, Frame(call.site)), evaluator)
    # A function of the rate in force as well is not judged here.
    curves = [trace(one, evaluator) for one in found if len(free_parameters(one)) < 2]
    if last == "LambdaLR":
        yield from _scaled(last, curves, _rates(None, base, call, evaluator, own=True), "")
        return
    compiled = _compiled(optimizer, call, evaluator)
    yield from [set_to(curve, compiled, last) for curve in curves]


def _curves(schedule: Schedule, evaluator: Evaluator) -> list[Curve]:
    if schedule.functions:
        return [trace(function, evaluator) for function in schedule.functions]
    numbers = tuple(enumerate(end.known for end in schedule.ends))
    if not numbers or numbers[0][1] is None:
        return []
    # What is given by its start alone falls from there.
    numbers = numbers if len(numbers) > 1 else (*numbers, (1, None if numbers[0][1] is None else numbers[0][1] / 2))
    return [Curve(schedule.ends, numbers, all(number is not None for _, number in numbers))]


def _base(quantity: Quantity) -> Optimizer:
    return Optimizer((quantity,), hidden=False, grouped=False, text="the base rate")


def _rates(
    optimizer: ast.expr | None, base: ast.expr | None, call: Call, evaluator: Evaluator, *, own: bool
) -> list[Optimizer]:
    """Find the rates that a factor scales: the base rate that is given, or those of the optimizer."""
    frame = Frame(call.site)
    if base is not None:
        return [_base(evaluator.quantity(base, frame))]
    if optimizer is not None:
        return torch_optimizers(optimizer, frame, evaluator)
    return [_base(one.rate) for one in keras_optimizers(evaluator)] if own else []


def _compiled(optimizer: ast.expr | None, call: Call, evaluator: Evaluator) -> list[Compiled]:
    if optimizer is None:
        return keras_optimizers(evaluator)
    made = torch_optimizers(optimizer, Frame(call.site), evaluator)
    return [Compiled(rate, one.text) for one in made for rate in one.rates]


def _scaled(name: str, curves: list[Curve], rates: list[Optimizer], optimizer: str) -> Iterator[Verdict]:
    for curve in curves:
        if (curve.first or 0.0) >= NO_RATE:
            yield Verdict(RATE_FOR_FACTOR, Outcome.fine, f"{name}: the factor begins at {number(curve.first or 0.0)}")
            continue
        candidates: list[Optimizer | None] = [*rates] or [None]
        told = [judged(name, curve, one, optimizer) for one in candidates]
        mistake = next((one for one in told if one.outcome is Outcome.mistake), None)
        if mistake is None:
            yield told[0]
            continue
        own = next((rate.number for one in rates for rate in one.rates if rate.number), None)
        top = curve.highest
        product = ""
        if own is not None and top is not None:
            product = f": the rate used is {number(own)} * {number(top)} = {number(own * top)}"
        yield Verdict(
            RATE_FOR_FACTOR,
            Outcome.mistake,
            f"{name} scales a rate by a factor that is as small as a rate itself{product}",
            "a factor that begins at 1; or, where it gives rates, 1.0 * factor, or Rate.from_function(f)",
        )


def _mistaken(name: str, wanted: int, to: str) -> Verdict:
    if wanted:
        message = f"{name} sets the learning rate to what it is given, and it is given a Factor"
        return Verdict(FACTOR_FOR_RATE, Outcome.mistake, message, f"{to}, or make it a rate: 1e-3 * factor")
    message = f"{name} multiplies the optimizer's own rate by what it is given, and it is given a Rate"
    return Verdict(RATE_FOR_FACTOR, Outcome.mistake, message, f"{to}, or make it a factor: rate / base_rate")


def _number_wanted(call: Call, path: str, last: str, evaluator: Evaluator) -> Iterator[Verdict]:
    words = {word.arg: word.value for word in call.node.keywords}
    if last.lower() in TORCH_DEFAULTS and _of(path, call.site, evaluator.names, "torch"):
        argument, to = _at(call.node.args, 1, words.get("lr")), "a plain rate, and then {}.to_torch(optimizer)"
    elif last in _KERAS and _of(path, call.site, evaluator.names, "keras"):
        argument, to = _at(call.node.args, 0, words.get("learning_rate")), "{}.to_keras({})"
    else:
        return
    for schedule in _schedules(argument, call.site, evaluator):
        kind = "Rate" if schedule.unit else "Factor"
        yield Verdict(
            SCHEDULE_FOR_NUMBER,
            Outcome.mistake,
            f"{last} takes a number, or a schedule of its own framework, and it is given a {kind}",
            to.format(kind.lower(), "" if schedule.unit else "1e-3"),
        )


def _of(path: str, site: Site, names: Names, package: str) -> bool:
    full = origin(path, site, names)
    return full is not None and any(package in part for part in full.lower().split("."))


def _at(places: list[ast.expr], index: int, named: ast.expr | None) -> ast.expr | None:
    plain = len(places) > index and not any(isinstance(part, ast.Starred) for part in places[: index + 1])
    return places[index] if plain else named


def _schedules(argument: ast.expr | None, site: Site, evaluator: Evaluator) -> list[Schedule]:
    if argument is None:
        return []
    values = evaluator.values(argument, Frame(site))
    listed = [item for value in values for item in (value.items if isinstance(value, Items) else (value,))]
    # Where it may be something else as well, nothing is certain.
    certain = all(isinstance(item, Schedule) for item in listed)
    return list(dict.fromkeys(item for item in listed if isinstance(item, Schedule))) if certain else []
