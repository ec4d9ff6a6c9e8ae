"""PyTorch: a factor is wanted, and MultiplicativeLR wants one that is not counted from the start."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from choritsu.lint import quantities as q
from choritsu.lint.curves import Curve, functions, trace
from choritsu.lint.finding import COMPOUNDING, RATE_FOR_FACTOR, Outcome
from choritsu.lint.imports import called, comes_from
from choritsu.lint.names import Call, dotted
from choritsu.lint.optimizers import Optimizer, torch_optimizers
from choritsu.lint.quantities import NO_RATE, Quantity
from choritsu.lint.things import Frame, Items, Schedule
from choritsu.lint.values import Evaluator
from choritsu.lint.verdicts import Verdict
from choritsu.lint.wording import number

SCHEDULERS = ("LambdaLR", "MultiplicativeLR")
#: A factor that never exceeds this would leave next to nothing of the optimizer's rate.
TINY = 0.02
#: A tiny function that comes so close to the optimizer's rate follows that rate.
NEAR = 0.3
#: A factor that only falls starts from 1; what starts from here or below is a rate.
FIRST = 0.1


def check_torch(call: Call, evaluator: Evaluator) -> Iterator[Verdict]:
    """Judge a call, if it makes a LambdaLR or MultiplicativeLR.

    Args:
        call: any call.
        evaluator: of the same file.
    """
    scheduler = _scheduler(call, evaluator)
    if not scheduler:
        return
    optimizer, schedule = _arguments(call.node)
    if optimizer is None or schedule is None:
        return
    frame = Frame(call.site)
    evaluator.fresh()
    evaluator.passing = False
    values = evaluator.values(schedule, frame)
    found = functions(values, evaluator)
    if not found and any(isinstance(value, Schedule) for value in values):
        return
    if not found:
        yield Verdict(RATE_FOR_FACTOR, Outcome.unclear, f"{scheduler}: the function is not in this file")
        return
    optimizers = torch_optimizers(optimizer, frame, evaluator)
    curves = [trace(function, evaluator) for function in found]
    candidates: list[Optimizer | None] = [*optimizers] or [None]
    told = _worst([judged(scheduler, curve, one, dotted(optimizer)) for curve in curves for one in candidates])
    beside_one = any(isinstance(value, Items) for value in values) and any(curve.first == 1.0 for curve in curves)
    if told.outcome is Outcome.mistake and beside_one and not any(curve.unit == 1 for curve in curves):
        # What stands in one list with a factor that begins at 1 is one, too: a backbone's, such as 0.1.
        told = Verdict(RATE_FOR_FACTOR, Outcome.unclear, f"{scheduler}: one of the functions begins at 1")
    yield told
    # What is a rate is no factor that compounds.
    if scheduler == "MultiplicativeLR" and told.outcome is not Outcome.mistake:
        yield _worst([_compounding(curve) for curve in curves])


#: The factors that PyTorch's own schedulers take, in their places behind the optimizer.
_FACTORS = {"LinearLR": ("start_factor", "end_factor"), "ConstantLR": ("factor",)}


def check_ends(call: Call, evaluator: Evaluator) -> Iterator[Verdict]:
    """Judge a call, if it makes a LinearLR or ConstantLR: its ends are factors, and are easily taken for rates.

    Args:
        call: any call.
        evaluator: of the same file.
    """
    path, name = called(call.node, call.site, evaluator.names)
    if name not in _FACTORS or not comes_from(path, call.site, evaluator.names, ("torch",)):
        return
    words = {word.arg: word.value for word in call.node.keywords}
    places = list(call.node.args)
    optimizer = places[0] if places else words.get("optimizer")
    frame = Frame(call.site)
    evaluator.fresh()
    given: dict[str, Quantity] = {}
    for place, word in enumerate(_FACTORS[name], 1):
        node = places[place] if len(places) > place else words.get(word)
        if node is not None:
            given[word] = evaluator.quantity(node, frame)
    if optimizer is None or not given:
        return
    made = torch_optimizers(optimizer, frame, evaluator)
    if not made or any(one.hidden or any(rate.number == 1.0 for rate in one.rates) for one in made):
        return
    own = [rate for one in made for rate in one.rates]
    for word, quantity in given.items():
        shared = quantity.rates & frozenset[str]().union(*(rate.rates for rate in own))
        if quantity.unit == 1 and shared and (quantity.number is None or quantity.number <= TINY):
            yield _end_is_a_rate(name, f"{word}={', '.join(sorted(shared))}")
            return
    ends = [quantity.known or 0.0 for quantity in given.values() if quantity.literal]
    # What rises, and only to the rate itself, is no part of a decay.
    if len(ends) == 2 and 0 < ends[0] < ends[1] <= TINY and ends[1] in {rate.known for rate in own}:
        yield _end_is_a_rate(name, f"start_factor={number(ends[0])}, end_factor={number(ends[1])}")


def _end_is_a_rate(name: str, given: str) -> Verdict:
    message = (
        f"{name} multiplies the optimizer's own rate by what it is given, and {given} is a rate: the rate used is "
    )
    message += "the product of two rates"
    fix = "factors, such as start_factor=0.1, end_factor=1.0; or divide by the optimizer's own rate"
    return Verdict(RATE_FOR_FACTOR, Outcome.mistake, message, fix)


def _scheduler(call: Call, evaluator: Evaluator) -> str:
    path, original = called(call.node, call.site, evaluator.names)
    if original == "__init__":
        return _parent(call, evaluator)
    if original not in SCHEDULERS:
        return ""
    return original if comes_from(path, call.site, evaluator.names, ("torch", "jittor")) else ""


def _parent(call: Call, evaluator: Evaluator) -> str:
    """Name the scheduler whose constructor a subclass calls."""
    owner = call.site.scope.owner
    if owner is None or owner.site is None or not isinstance(owner.node, ast.ClassDef):
        return ""
    function = call.node.func
    if not isinstance(function, ast.Attribute):
        return ""
    explicit = dotted(function.value)
    if not explicit and not (isinstance(function.value, ast.Call) and dotted(function.value.func) == "super"):
        return ""
    for base in owner.node.bases:
        path = dotted(base)
        if explicit and path != explicit:
            continue
        last = path.rpartition(".")[2]
        if last in SCHEDULERS and comes_from(path, owner.site, evaluator.names, ("torch",)):
            return last
    return ""


def _arguments(node: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    words = {word.arg: word.value for word in node.keywords}
    places = list(node.args)
    if dotted(node.func).endswith(".__init__") and places:
        # LambdaLR.__init__(self, optimizer, ...)
        places = places[1:]
    optimizer = places[0] if places else words.get("optimizer")
    schedule = places[1] if len(places) > 1 else words.get("lr_lambda")
    return optimizer, schedule


def _worst(verdicts: list[Verdict]) -> Verdict:
    order = (Outcome.mistake, Outcome.unclear, Outcome.fine)
    return min(verdicts, key=lambda verdict: order.index(verdict.outcome))


def judged(scheduler: str, curve: Curve, optimizer: Optimizer | None, name: str) -> Verdict:
    """Judge what an optimizer's rate is multiplied by.

    Args:
        scheduler: what multiplies it, as the user wrote it.
        curve: the factors.
        optimizer: None where it is out of sight.
        name: of the optimizer.
    """

    def fine(message: str) -> Verdict:
        return Verdict(RATE_FOR_FACTOR, Outcome.fine, f"{scheduler}: {message}")

    def unclear(message: str) -> Verdict:
        return Verdict(RATE_FOR_FACTOR, Outcome.unclear, f"{scheduler}: {message}")

    highest = curve.highest
    if curve.unit == 0 and highest is not None and highest >= NO_RATE:
        return fine("the function returns a factor")
    if curve.unit == 1 and highest is not None and highest >= NO_RATE and curve.complete:
        return fine(f"the function returns up to {number(highest)}, as a factor does")
    own = (f"{name}.param_groups.", f"{name}.defaults.lr")
    if optimizer is None and name and curve.unit == 1 and any(rate.startswith(own) for rate in curve.rates):
        return _mistake(scheduler, curve, q.rate(name + ".lr"))
    if optimizer is None:
        return unclear("the optimizer is not made in this file")
    if any(rate.number == 1.0 for rate in optimizer.rates):
        return fine("the optimizer's rate is 1, so the function's rate is the rate used")
    if optimizer.hidden:
        return unclear("the parameter groups may have rates of their own, which are not in sight")
    if optimizer.grouped and any(rate.known is not None and rate.known >= 0.05 for rate in optimizer.rates):
        return unclear("the parameter groups have rates of their own, which may be meant as factors")
    if curve.unit == 1:
        return _rate_returned(scheduler, curve, optimizer)
    if curve.partial_unit == 1 and any(set(rate.rates) & set(curve.rates) for rate in optimizer.rates):
        # Some of what it returns cannot be followed, but some is the optimizer's own rate.
        return _rate_returned(scheduler, curve, optimizer)
    if curve.literal:
        return _numbers_returned(scheduler, curve, optimizer)
    return unclear("it cannot be told whether the function returns a rate or a factor")


def _rate_returned(scheduler: str, curve: Curve, optimizer: Optimizer) -> Verdict:
    own = max(optimizer.rates, key=lambda rate: rate.number or 0.0)
    if own.unit != 1 and not (own.number is not None and 0 < own.number < NO_RATE):
        return Verdict(RATE_FOR_FACTOR, Outcome.unclear, f"{scheduler}: the optimizer's own rate is not known")
    return _mistake(scheduler, curve, own)


def _numbers_returned(scheduler: str, curve: Curve, optimizer: Optimizer) -> Verdict:
    own = max(optimizer.rates, key=lambda rate: rate.number or 0.0)
    highest = curve.highest
    unclear = Verdict(
        RATE_FOR_FACTOR, Outcome.unclear, f"{scheduler}: it cannot be told whether the function returns a rate"
    )
    if highest is None or highest <= 0 or not curve.complete:
        return unclear
    if own.number is not None and own.number >= NO_RATE:
        return unclear
    equal = own.number is not None and abs(highest - own.number) <= 1e-6 * own.number
    if own.number is None and own.unit != 1:
        return unclear
    if equal and (curve.certain or curve.first == highest) and (curve.varies or highest <= FIRST / 2):
        return _mistake(scheduler, curve, own)
    tiny = own.number is not None and highest <= TINY
    if tiny and curve.varies and NEAR * (own.number or 0.0) <= highest <= 1.000001 * (own.number or 0.0):
        return _mistake(scheduler, curve, own)
    falls = curve.first == highest and highest <= FIRST
    if curve.varies and (falls or (curve.certain and highest <= TINY)):
        return _mistake(scheduler, curve, own)
    return unclear


def _mistake(scheduler: str, curve: Curve, own: Quantity) -> Verdict:
    highest = curve.highest if curve.complete or curve.first is None else curve.first
    named = ", ".join(curve.rates)
    returned = f"a rate ({named} * ...)" if named else "a rate"
    if not named and highest is not None:
        returned = f"rates (up to {number(highest)})"
    again = scheduler == "MultiplicativeLR"
    whose = "rate in force, at every step," if again else "optimizer's own rate"
    message = f"{scheduler} multiplies the {whose} by what the function returns, and this function returns {returned}"
    if again:
        fix = "a factor for one step, such as lambda epoch: 0.95"
        return Verdict(RATE_FOR_FACTOR, Outcome.mistake, f"{message}: next to nothing is left after two steps", fix)
    if own.number is not None and highest is not None and highest > 0:
        message += f": the rate used is {number(own.number)} * {number(highest)} = {number(own.number * highest)}"
    elif own.rates and set(own.rates) & set(curve.rates):
        message += f": the rate used is {named} squared"
    else:
        message += ": the rate used is the product of two rates"
    fix = "a function that starts from 1, such as lambda epoch: 0.95 ** epoch"
    if any(way.planned for way in curve.ways):
        fix = "rate.to_torch(optimizer), or divide by the optimizer's own rate"
    fix += ", or give the optimizer lr=1.0"
    return Verdict(RATE_FOR_FACTOR, Outcome.mistake, message, fix)


def _compounding(curve: Curve) -> Verdict:
    counted = [way for way in curve.ways if way.counter and way.current == 0]
    varies = len({way.number for way in counted}) > 1 or any(way.number is None for way in counted)
    if counted and varies and not any(way.quotient for way in counted):
        return Verdict(
            COMPOUNDING,
            Outcome.mistake,
            "MultiplicativeLR multiplies the current rate by what the function returns at every step, and this "
            "function's factor is counted from the start: the factors of all earlier steps are applied again",
            "LambdaLR with this function, or return the factor of one step, such as lambda epoch: 0.95",
        )
    if counted:
        return Verdict(COMPOUNDING, Outcome.unclear, "MultiplicativeLR: the factor depends on the step")
    return Verdict(COMPOUNDING, Outcome.fine, "MultiplicativeLR: the factor is one step's")
