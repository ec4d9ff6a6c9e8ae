"""This library's own schedules, given to what wants the other kind, or a number."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from choritsu.lint.finding import COMPOUNDING, FACTOR_FOR_RATE, RATE_FOR_FACTOR, SCHEDULE_FOR_NUMBER, Outcome
from choritsu.lint.imports import called, comes_from, origin
from choritsu.lint.names import Call, Names, Site
from choritsu.lint.optimizers import TORCH_DEFAULTS
from choritsu.lint.things import Frame, Items, Schedule
from choritsu.lint.values import Evaluator
from choritsu.lint.verdicts import Verdict

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
        case _:
            yield from _number_wanted(call, path, last, evaluator)
            return
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
