"""The guard warns of each trap, with numbers and a cure, and is silent about what is right."""

import contextlib
import copy
import functools
import inspect
import math
import pickle
import threading
import warnings

import keras
import pytest
import torch
from torch.optim import lr_scheduler as lrs

from choritsu import RandomSearch, schedules
from choritsu.errors import ScheduleError, ScheduleWarning
from choritsu.schedules.guarding.guard import guard
from choritsu.schedules.guarding.traps import Plan, Trap, compounds, meant, plan_of
from choritsu.schedules.learning_rate_scheduler import LearningRateScheduler as TorchLearningRateScheduler

Adam, SGD = torch.optim.Adam, torch.optim.SGD


def optimizer(lr=1e-3, kind=Adam, groups=None, **options):
    def parameter():
        return torch.nn.Parameter(torch.zeros(1))

    given = [{"params": [parameter()], "lr": rate} for rate in groups] if groups else [parameter()]
    return kind(given, lr=lr, **options)


def update(one):
    for group in one.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    one.step()


def train(one, scheduler, epochs=3, steps=1, *, each_update=False, first=False):
    for _ in range(epochs):
        if first:
            scheduler.step()
        for _ in range(steps):
            update(one)
            if each_update:
                scheduler.step()
        if not each_update and not first:
            scheduler.step()


def seen(block, **options):
    """Run a block under the guard; give the traps that it warned of, each once."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with guard(**options) as watch:
            block()
    ours = [str(item.message) for item in told if issubclass(item.category, ScheduleWarning)]
    assert len(ours) == len(watch.suspicions)
    assert all(item.message in text for item, text in zip(watch.suspicions, ours, strict=True))
    return [str(item.trap) for item in watch.suspicions]


# -- PyTorch: a rate where a factor is wanted ------------------------------------------------------


def linear_rate(epoch):
    return (1e-3 - 1e-8) * (10 - epoch) / 10


class Decay:
    """A function with values of its own, that counts how often it is asked."""

    def __init__(self, start):
        self.start = start
        self.asked = 0

    def __call__(self, epoch):
        self.asked += 1
        return self.start * 0.9**epoch

    def method(self, epoch):
        return self.start * 0.9**epoch


class Holding(Decay):
    def __init__(self, start):
        super().__init__(start)
        self.model = torch.nn.Linear(1, 1)


class TransferLambda(lrs.LambdaLR):
    """As people's own subclasses do, sets things after its base class' constructor."""

    def __init__(self, optimizer, lr_lambda):
        super().__init__(optimizer, lr_lambda)
        self.later = True


TENTH = 0.1 * schedules.linear(steps=10)


def passed_on(rate):
    def inner(epoch):
        return rate(epoch)

    return lambda epoch: inner(epoch)


SQUARED = {
    "linear": lambda: lrs.LambdaLR(optimizer(1e-3), linear_rate),
    "constant": lambda: lrs.LambdaLR(optimizer(0.01), lambda epoch: 0.01),
    "exponential": lambda: lrs.LambdaLR(optimizer(1e-3), lambda epoch: 1e-3 * 0.95**epoch),
    "inverse time": lambda: lrs.LambdaLR(optimizer(0.1, SGD), lambda k: 0.1 * (1 + 0.001 * k) ** -0.75),
    "warm-up": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: 1e-3 * min(k / 100, 1)),
    "groups": lambda: lrs.LambdaLR(optimizer(0.01, SGD, groups=[0.01, 0.001]), lambda k: 0.01 * 0.9**k),
    "the smaller of two groups": lambda: lrs.LambdaLR(
        optimizer(1e-3, groups=[1e-2, 1e-3]), lambda epoch: 1e-3 * (10 - epoch) / 10
    ),
    "the middle of three groups": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-3, 5e-2, 1e-2]), lambda k: 1e-2 * min(k / 100, 1)
    ),
    "groups, ours": lambda: schedules.cosine(1e-3, 1e-5, steps=10).to_torch(optimizer(groups=[1e-2, 1e-3])),
    "table": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: [1e-3, 1e-4, 1e-5][k]),
    "list": lambda: lrs.LambdaLR(optimizer(1e-3, groups=[1e-3, 1e-3]), [linear_rate, linear_rate]),
    "other small rate": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: 5e-4 * 0.9**k),
    "no rate is left": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: 1e-2 * 0.9**k),
    "one group of two": lambda: lrs.LambdaLR(optimizer(groups=[1e-3, 1e-3]), [lambda k: 1.0, lambda k: 1e-3 * 0.9**k]),
    "the group with the smaller rate": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-4, 1e-3]), [lambda k: 1e-4 * 0.9**k, lambda k: 0.9**k]
    ),
    "partial": lambda: lrs.LambdaLR(
        optimizer(1e-3), functools.partial(lambda epoch, start: start * 0.9**epoch, start=1e-3)
    ),
    "object": lambda: lrs.LambdaLR(optimizer(1e-3), Decay(1e-3)),
    "method": lambda: lrs.LambdaLR(optimizer(1e-3), Decay(1e-3).method),
    "subclass": lambda: TransferLambda(optimizer(1e-3), linear_rate),
    "tensor": lambda: lrs.LambdaLR(optimizer(torch.tensor(1e-3)), linear_rate),
    "multiplicative": lambda: lrs.MultiplicativeLR(optimizer(1e-3), lambda k: 1e-3 * 0.95**k),
    "ours": lambda: schedules.Factor.from_function(linear_rate).to_torch(optimizer(1e-3)),
    "a warm-up, and the peak behind it": lambda: lrs.LambdaLR(
        optimizer(0.1), lambda e: 0.1 * (e + 1) / 5 if e < 5 else 0.05 * (1 + math.cos(math.pi * (e - 5) / 85))
    ),
    "our curve": lambda: lrs.LambdaLR(optimizer(1e-3), schedules.linear(1e-3, 0.0, steps=10)),
    **{
        f"passes on a rate of {peak}": lambda peak=peak: lrs.LambdaLR(
            optimizer(1e-3), passed_on(peak * schedules.linear(steps=10))
        )
        for peak in (0.01, 0.1, 0.4)
    },
    "passes on a rate that begins at 0": lambda: lrs.LambdaLR(
        optimizer(1e-3), passed_on((0.05 * schedules.cosine(steps=50)).warmup(5))
    ),
    "passes on, multiplicative": lambda: lrs.MultiplicativeLR(optimizer(1e-3), passed_on(TENTH)),
}

FACTORS = {
    "thuml, groups of 1": lambda: lrs.LambdaLR(
        optimizer(0.01, SGD, groups=[0.1, 1, 1]), lambda x: 0.01 * (1 + 0.001 * x) ** -0.75
    ),
    "thuml, lr 0.1": lambda: lrs.LambdaLR(
        optimizer(0.1, SGD, groups=[0.1, 1, 1]), lambda x: 0.1 * (1 + 0.001 * x) ** -0.75
    ),
    "thuml, discriminator": lambda: lrs.LambdaLR(optimizer(0.01, SGD, groups=[1.0]), lambda x: 0.01 * 0.9**x),
    "groups, warm-up from the rate of one": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-2, 1e-3]), lambda k: min(1e-3 + k / 5, 1)
    ),
    "groups, a decay to the rate of one": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-1, 1e-2]), lambda k: max(0.9**k, 1e-2)
    ),
    "groups, one of them small": lambda: lrs.LambdaLR(optimizer(groups=[1e-2, 1e-3]), [lambda k: 1.0, lambda k: 1e-3]),
    "groups, one of them frozen": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-3, 1e-3]), [lambda k: 0.0, lambda k: 0.9**k]
    ),
    "groups, one slowed down and decayed": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-2, 1e-2]), [lambda k: 1e-2 * 0.9**k, lambda k: 0.9**k]
    ),
    "layers, each slower than the next": lambda: lrs.LambdaLR(
        optimizer(groups=[1e-3] * 25), [lambda k, depth=depth: 0.75**depth * 0.9**k for depth in range(25)]
    ),
    "groups of multipliers": lambda: lrs.LambdaLR(optimizer(0.01, SGD, groups=[0.01, 1.0]), lambda k: 0.01 * 0.9**k),
    "noam": lambda: lrs.LambdaLR(optimizer(1.0), lambda k: 512**-0.5 * min((k + 1) ** -0.5, (k + 1) * 4000**-1.5)),
    "plain rate under 1": lambda: lrs.LambdaLR(optimizer(1.0), linear_rate),
    "staircase": lambda: lrs.LambdaLR(optimizer(0.1, SGD), lambda epoch: 0.1 ** (epoch // 30)),
    "exponential": lambda: lrs.LambdaLR(optimizer(), lambda epoch: 0.95**epoch),
    "linear": lambda: lrs.LambdaLR(optimizer(), lambda epoch: (10 - epoch) / 10),
    "cosine to 0": lambda: lrs.LambdaLR(optimizer(), lambda k: 0.5 * (1 + math.cos(math.pi * k / 50))),
    "warm-up from 0": lambda: lrs.LambdaLR(optimizer(5e-5), lambda k: min(k / 500, 1)),
    "long warm-up": lambda: lrs.LambdaLR(optimizer(5e-5), lambda k: max(min(k / 9000, (20000 - k) / 11000), 0)),
    "warm-up from the rate": lambda: lrs.LambdaLR(optimizer(0.1, SGD), lambda k: 0.1 + 0.9 * min(k / 5, 1)),
    "warm-up 1e-3": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: 1e-3 + (1 - 1e-3) * min(k / 1000, 1)),
    "two kinds of groups": lambda: lrs.LambdaLR(
        optimizer(0.1, SGD, groups=[0.1, 0.1]), [lambda k: 0.1, lambda k: 0.9**k]
    ),
    "rises with restarts": lambda: lrs.LambdaLR(optimizer(0.01), lambda k: 1 - (k % 10) / 10),
    "half at all times": lambda: lrs.LambdaLR(optimizer(0.01), lambda k: 0.3),
    "above 1": lambda: lrs.LambdaLR(optimizer(0.01), lambda k: 4.0 * 0.9**k),
    "fails": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: 1 / 400 if k == 0 else 1 / 0),
    "an object with a model": lambda: lrs.LambdaLR(optimizer(1e-3), Holding(1e-3)),
    "multiplicative, the same": lambda: lrs.MultiplicativeLR(optimizer(), lambda k: 0.95),
    "multiplicative, milestones": lambda: lrs.MultiplicativeLR(optimizer(), lambda k: 0.1 if k in (1, 3) else 1.0),
    "multiplicative, neighbours": lambda: lrs.MultiplicativeLR(optimizer(), lambda k: (10 - k) / (11 - k) if k else 1),
    "built in": lambda: lrs.CosineAnnealingLR(optimizer(), 10),
    "a small constant": lambda: lrs.ConstantLR(optimizer(), factor=0.001),
    "ours": lambda: schedules.linear(1.0, 0.0, steps=10).to_torch(optimizer()),
    "our rate": lambda: schedules.Rate.from_function(linear_rate).to_torch(optimizer()),
    "rescaled later": lambda: lrs.LambdaLR(optimizer(0.5, SGD), lambda k: 0.3),
    "a rate made a factor": lambda: lrs.LambdaLR(optimizer(1e-3), lambda k: TENTH(k) / 0.5),
    "a rate under 1": lambda: lrs.LambdaLR(optimizer(1.0), passed_on(TENTH)),
    "our factor": lambda: lrs.LambdaLR(optimizer(1e-3), schedules.linear(steps=10)),
    "a declared rate": lambda: (0.5 * schedules.cosine(steps=16)).to_torch(optimizer(1e-3, SGD, momentum=0.9)),
    "a small declared factor": lambda: schedules.Factor(0.3).to_torch(optimizer(0.5, SGD)),
}


@pytest.mark.parametrize("make", SQUARED.values(), ids=SQUARED)
def test_a_rate_given_as_a_factor_is_noticed(make):
    assert seen(make) == ["squared_rate"]


@pytest.mark.parametrize("make", FACTORS.values(), ids=FACTORS)
def test_factors_are_not_suspected(make):
    assert seen(make) == []


def test_the_warning_comes_before_the_first_step_with_the_numbers_the_cure_and_the_users_line():
    with guard() as watch, pytest.warns(ScheduleWarning) as told:
        lrs.LambdaLR(optimizer(1e-3), linear_rate)
    text = str(told[0].message)
    for part in ("0.001", "1e-06", "lambda epoch: (10 - epoch) / 10", "Rate.from_function", "lr=1.0", "squared_rate"):
        assert part in text
    assert told[0].filename == __file__
    assert watch.suspicions[0].numbers["rate"] == pytest.approx(1e-6, rel=1e-4)
    assert "squared_rate: LambdaLR" in watch.report()


def test_a_scheduler_that_exists_can_be_shown():
    scheduler = lrs.LambdaLR(optimizer(1e-3), linear_rate)
    with pytest.warns(ScheduleWarning, match="1e-06") as told:
        watch = guard((scheduler, scheduler.optimizer))
    assert [item.trap for item in watch.suspicions] == [Trap.SQUARED_RATE]
    assert told[0].filename == __file__
    assert guard(lrs.LambdaLR(optimizer(1e-3), lambda epoch: 0.9**epoch)).suspicions == []


def test_functions_that_begin_as_factors_do_are_not_asked_again():
    asked = []

    def factor(epoch):
        asked.append(epoch)
        return 0.9**epoch

    seen(lambda: lrs.LambdaLR(optimizer(), factor))
    assert asked == [0]


def test_objects_that_count_their_calls_are_asked_in_a_copy():
    decay = Decay(1e-3)
    seen(lambda: lrs.LambdaLR(optimizer(1e-3), decay))
    assert decay.asked == 1


def test_what_a_users_function_raises_reaches_the_user_unchanged():
    error = KeyError("mine")

    def broken(epoch):
        raise error

    with pytest.raises(KeyError) as caught, guard():
        lrs.LambdaLR(optimizer(), broken)
    assert caught.value is error
    with pytest.raises(ValueError, match="Expected 1 lr_lambdas"), guard():
        lrs.LambdaLR(optimizer(), [linear_rate, linear_rate])


def test_the_guards_own_errors_are_silent(monkeypatch, caplog):
    monkeypatch.setattr("choritsu.schedules.guarding.torch._values", lambda *args: 1 / 0)
    with caplog.at_level("DEBUG"):
        assert seen(lambda: train(one := optimizer(), lrs.LambdaLR(one, linear_rate))) == []
    assert "could not look" in caplog.text


# -- saying that it is meant -----------------------------------------------------------------------


def test_a_trap_can_be_allowed_for_a_block():
    assert seen(SQUARED["linear"], allow=("squared_rate",)) == []
    assert seen(SQUARED["linear"], allow=[Trap.ORDER]) == ["squared_rate"]
    with pytest.raises(ScheduleError, match="squared_rate"):
        guard(allow=["squared"])
    with pytest.raises(ScheduleError, match="horizon"):
        guard(horizon=0)


def test_a_function_can_be_marked():
    @meant
    def tiny(epoch):
        return 1e-3 * 0.9**epoch

    assert tiny(0) == 1e-3
    assert seen(lambda: lrs.LambdaLR(optimizer(1e-3), tiny)) == []
    assert seen(lambda: lrs.LambdaLR(optimizer(1e-3), meant(Decay(1e-3).method))) == []
    assert seen(lambda: schedules.Factor.from_function(tiny).to_torch(optimizer(1e-3))) == []


def test_the_category_can_be_ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScheduleWarning)
        with guard() as watch:
            SQUARED["linear"]()
    assert len(watch.suspicions) == 1


def test_it_raises_where_warnings_are_errors():
    with pytest.raises(ScheduleWarning), guard():
        SQUARED["linear"]()
    assert "_choritsu_patch" not in vars(lrs.LRScheduler.__init__)


# -- PyTorch is left as it was ---------------------------------------------------------------------

CLASSES = (lrs.LRScheduler, lrs.SequentialLR, lrs.ChainedScheduler, lrs.ReduceLROnPlateau, lrs.LambdaLR)


def constructors():
    keras_list = vars(keras.callbacks.CallbackList)
    return [vars(owner)["__init__"] for owner in CLASSES] + [
        keras_list["on_train_begin"],
        keras_list["on_epoch_begin"],
    ]


def test_nothing_stays_behind():
    before = constructors()
    with guard(), guard():
        during = constructors()
        with guard():
            pass
        assert constructors() == during
    assert constructors() == before
    assert during != before
    with pytest.raises(RuntimeError), guard():
        raise RuntimeError
    assert constructors() == before


def test_the_signature_of_a_constructor_stays():
    signature = inspect.signature(lrs.ReduceLROnPlateau)
    with guard():
        assert inspect.signature(lrs.ReduceLROnPlateau) == signature


def test_what_others_put_over_it_stays(monkeypatch):
    own = lrs.LRScheduler.__init__
    with guard():
        below = lrs.LRScheduler.__init__

        @functools.wraps(below)
        def theirs(self, *args, **kwargs):
            below(self, *args, **kwargs)

        lrs.LRScheduler.__init__ = theirs
    try:
        assert lrs.LRScheduler.__init__ is theirs
        SQUARED["linear"]()  # nobody watches
        assert seen(SQUARED["linear"]) == ["squared_rate"]
        assert lrs.LRScheduler.__init__ is theirs
    finally:
        lrs.LRScheduler.__init__ = own


def test_the_innermost_guard_decides_and_the_outer_one_hears_of_it():
    with warnings.catch_warnings(record=True) as told, guard() as outer:
        warnings.simplefilter("always")
        with guard(allow=["squared_rate"]) as inner:
            SQUARED["linear"]()
        assert (inner.suspicions, outer.suspicions) == ([], [])
        with guard() as inner:
            SQUARED["linear"]()
        assert inner.suspicions == outer.suspicions
        assert len(told) == 1


def test_each_thread_has_its_own():
    found = {}
    ready = threading.Barrier(3)

    def work(name, make):
        ready.wait(10)
        with guard() as watch:
            ready.wait(10)
            with warnings.catch_warnings():
                make()
            ready.wait(10)
        found[name] = len(watch.suspicions)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        threads = [
            threading.Thread(target=work, args=(name, make))
            for name, make in (("squared", SQUARED["linear"]), ("right", FACTORS["linear"]), ("none", int))
        ]
        before = constructors()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {"squared": 1, "right": 0, "none": 0}
    assert constructors() == before


def test_schedulers_and_optimizers_stay_what_they_are():
    def run():
        torch.manual_seed(0)
        one = optimizer(0.1, SGD, momentum=0.9)
        scheduler = lrs.StepLR(one, 2, gamma=0.5)
        train(one, scheduler, 4)
        return one, scheduler

    plain, plain_scheduler = run()
    with guard() as watch:
        watched, scheduler = run()
        assert isinstance(scheduler, lrs.LRScheduler)
        assert type(scheduler) is lrs.StepLR
        assert scheduler.state_dict() == plain_scheduler.state_dict()
        assert set(scheduler.state_dict()) == set(plain_scheduler.state_dict())
        again = pickle.loads(pickle.dumps(scheduler))
        assert again.last_epoch == 4
        copied = copy.deepcopy(watched)
        assert copied.state_dict()["param_groups"] == watched.state_dict()["param_groups"]
    assert not watched._optimizer_step_pre_hooks
    assert watched.param_groups[0]["lr"] == plain.param_groups[0]["lr"]
    assert torch.equal(watched.param_groups[0]["params"][0], plain.param_groups[0]["params"][0])
    assert watch.suspicions == []


def test_schedulers_are_not_kept_alive():
    import gc
    import weakref

    with guard():
        one = optimizer()
        scheduler = lrs.StepLR(one, 2)
        train(one, scheduler)
        gone = weakref.ref(scheduler), weakref.ref(one)
        del scheduler, one
        gc.collect()
        assert [ref() for ref in gone] == [None, None]


# -- PyTorch: order, resuming, two schedulers ------------------------------------------------------


def resumed(order, *, epochs=3, kind=Adam, make=lambda one: lrs.LambdaLR(one, lambda k: 0.5**k)):
    """Train, save, and go on in the given order of building and loading."""

    def block():
        one = optimizer(0.1, kind)
        scheduler = make(one)
        train(one, scheduler, epochs)
        saved = pickle.loads(pickle.dumps((one.state_dict(), scheduler.state_dict())))
        two = optimizer(0.1, kind)
        later = None
        for word in order.split():
            if word == "build":
                later = make(two)
            elif word == "optimizer":
                two.load_state_dict(saved[0])
            else:
                later.load_state_dict(saved[1])
        train(two, later, 2)

    return block


def scaled():
    """Skip the first update, as a gradient scaler does that looks for its scale."""
    one = optimizer()
    scheduler = lrs.StepLR(one, 10)
    code = compile("def step(one):\n    one.step()\n", "torch/amp/grad_scaler.py", "exec")
    space = {}
    exec(code, space)
    scheduler.step()
    space["step"](one)


def side_by_side(*makers, epochs=4):
    def block():
        one = optimizer(0.1, SGD, momentum=0.9)
        made = [make(one) for make in makers]
        for _ in range(epochs):
            update(one)
            for scheduler in made:
                scheduler.step(*([1.0] if isinstance(scheduler, lrs.ReduceLROnPlateau) else []))

    return block


def in_turn():
    one = optimizer(0.1, SGD, momentum=0.9)
    warmup, main = lrs.LambdaLR(one, lambda k: min(1, (k + 1) / 3)), lrs.ReduceLROnPlateau(one)
    for epoch in range(8):
        update(one)
        warmup.step() if epoch < 3 else main.step(1.0)


class Gradual(lrs.LRScheduler):
    """A warm-up that steps another scheduler afterwards, and during it too."""

    def __init__(self, optimizer, then):
        self.then = then
        super().__init__(optimizer)

    def get_lr(self):
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self):
        if self.last_epoch >= 0:
            self.then.step()
        super().step()


def gradual():
    one = optimizer(0.1, SGD, momentum=0.9)
    train(one, Gradual(one, lrs.LambdaLR(one, lambda k: 0.9**k)), 5)


def sequence():
    one = optimizer(0.1, SGD, momentum=0.9)
    parts = [lrs.LinearLR(one, 0.1, total_iters=2), lrs.CosineAnnealingLR(one, 8)]
    train(one, lrs.SequentialLR(one, parts, milestones=[2]), 10)


def phases():
    one = optimizer(0.1, SGD, momentum=0.9)
    for _ in range(2):
        train(one, lrs.LambdaLR(one, lambda k: 0.9**k), 3)


ORDER = {
    "first": (lambda: train(one := optimizer(), lrs.LambdaLR(one, lambda k: 0.5**k), first=True), ["order"]),
    "plain SGD": (lambda: train(one := optimizer(0.1, SGD), lrs.StepLR(one, 2), first=True), ["order"]),
    "ours": (
        lambda: train(one := optimizer(), schedules.linear(1.0, 0.0, steps=4).to_torch(one), first=True),
        ["order"],
    ),
    "right": (lambda: train(one := optimizer(), lrs.LambdaLR(one, lambda k: 0.5**k)), []),
    "a gradient scaler": (scaled, []),
    "resume, right": (resumed("build optimizer scheduler"), []),
    "resume, right after one epoch": (resumed("build optimizer scheduler", epochs=1), []),
    "resume, SGD after one epoch": (resumed("build optimizer scheduler", epochs=1, kind=SGD), []),
    "resume, scheduler forgotten": (resumed("build optimizer"), ["restarted"]),
    "resume, built late and forgotten": (resumed("optimizer build"), ["restarted"]),
    "resume, built late": (resumed("optimizer build scheduler"), []),
    "resume, cosine forgotten": (
        resumed("build optimizer", make=lambda one: lrs.CosineAnnealingLR(one, 8)),
        ["restarted"],
    ),
    "two that overwrite": (
        side_by_side(lambda one: lrs.LambdaLR(one, lambda k: 0.9**k), lambda one: lrs.LambdaLR(one, lambda k: 0.5**k)),
        ["two_controllers"],
    ),
    "plateau and lambda": (
        side_by_side(lrs.ReduceLROnPlateau, lambda one: lrs.LambdaLR(one, lambda k: 0.9**k)),
        ["two_controllers"],
    ),
    "two that chain": (
        side_by_side(lambda one: lrs.ExponentialLR(one, 0.9), lambda one: lrs.MultiStepLR(one, [2, 3])),
        [],
    ),
    "plateau and step": (side_by_side(lrs.ReduceLROnPlateau, lambda one: lrs.StepLR(one, 30)), []),
    "one after the other": (in_turn, []),
    "one inside the other": (gradual, []),
    "a sequence": (sequence, []),
    "a chain": (
        lambda: train(
            one := optimizer(0.1, SGD), lrs.ChainedScheduler([lrs.ConstantLR(one), lrs.ExponentialLR(one, 0.9)])
        ),
        [],
    ),
    "two phases": (phases, []),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("block", "wanted"), ORDER.values(), ids=ORDER)
def test_what_is_stepped_and_loaded(block, wanted):
    assert seen(block) == wanted


def in_a_line(start, end, rate=1e-3):
    one = optimizer(rate)
    train(one, lrs.LinearLR(one, start_factor=start, end_factor=end, total_iters=2))


def in_a_sequence(start, end):
    one = optimizer(0.01)
    parts = [lrs.CosineAnnealingLR(one, 2), lrs.LinearLR(one, start_factor=start, end_factor=end, total_iters=2)]
    train(one, lrs.SequentialLR(one, parts, [2]), 4)


LINES = {
    "rises to the rate": (lambda: in_a_line(1e-4, 1e-3), ["squared_rate"]),
    "falls from the rate": (lambda: in_a_line(1e-2, 1e-4, 1e-2), ["squared_rate"]),
    "rises from the rate": (lambda: in_a_line(1e-3, 1.0), []),
    "falls to the rate": (lambda: in_a_line(1.0, 1e-3), []),
    "a rate of 1": (lambda: in_a_line(1e-4, 1e-3, 1.0), []),
    "small": (lambda: in_a_line(1e-2, 1e-3), []),
    "the end of a sequence": (lambda: in_a_sequence(1e-2, 1e-3), []),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("block", "wanted"), LINES.values(), ids=LINES)
def test_a_line_between_rates_is_noticed(block, wanted):
    assert seen(block) == wanted


# -- PyTorch: lengths ------------------------------------------------------------------------------


def lasting(make, epochs, steps=1, **options):
    def block():
        one = optimizer(0.1, SGD, momentum=0.9)
        train(one, make(one), epochs, steps, **options)

    return block


def cosine(length):
    return lambda one: lrs.CosineAnnealingLR(one, length)


def transformers_like(step, *, num_warmup_steps, num_training_steps):
    if step < num_warmup_steps:
        return step / max(1, num_warmup_steps)
    return max(0.0, (num_training_steps - step) / max(1, num_training_steps - num_warmup_steps))


transformers_like.__name__ = "_get_linear_schedule_with_warmup_lr_lambda"


def transformers(warmup, length):
    function = functools.partial(transformers_like, num_warmup_steps=warmup, num_training_steps=length)
    return lambda one: lrs.LambdaLR(one, function)


def warmed(warmup):
    return lambda one: lrs.SequentialLR(
        one, [lrs.LinearLR(one, 0.1, total_iters=warmup), lrs.CosineAnnealingLR(one, 90)], milestones=[warmup]
    )


def stopped_early():
    one = optimizer(0.1, SGD, momentum=0.9)
    scheduler = cosine(1000)(one)
    for epoch in range(1000):
        update(one)
        scheduler.step()
        if epoch == 9:
            break


def accumulated(one, scheduler):
    for _ in tqdm(range(10)):
        for batch in range(4):
            if (batch + 1) % 2 == 0:
                update(one)
        scheduler.step()


def by_hand(one, scheduler):
    update(one)
    scheduler.step()
    update(one)
    scheduler.step()


def while_loop(one, scheduler):
    epoch = 0
    while epoch < 10:
        update(one)
        scheduler.step()
        epoch += 1


def returned(one, scheduler):
    for epoch in range(1000):
        update(one)
        scheduler.step()
        if epoch == 9:
            return


def caught(one, scheduler):
    try:
        for epoch in range(1000):
            update(one)
            scheduler.step()
            stop(epoch)
    except StopIteration:
        pass


def suppressed(one, scheduler):
    with contextlib.suppress(StopIteration):
        for epoch in range(1000):
            update(one)
            scheduler.step()
            stop(epoch)


def stop(epoch):
    if epoch == 9:
        raise StopIteration


def skipped(one, scheduler):
    done = False
    for epoch in range(1000):
        if not done:
            update(one)
            scheduler.step()
        done = epoch >= 9


def epochs_until(end):
    yield from range(end)


def generated(one, scheduler):
    for _ in epochs_until(10):
        update(one)
        scheduler.step()


def wrapped(one, scheduler):
    for _ in tqdm(epochs_until(10)):
        update(one)
        scheduler.step()


def named(one, scheduler):
    epochs = epochs_until(10)
    for _ in epochs:
        update(one)
        scheduler.step()


def tqdm(items):
    return items


def outer_break(one, scheduler):
    for epoch in range(100):
        by_hand(one, scheduler)
        if epoch == 9:
            break


def tried_first(one, scheduler):
    for _ in range(2):
        update(one)
    returned(one, scheduler)


LOOPS = {
    accumulated: True,
    by_hand: False,
    while_loop: False,
    returned: False,
    caught: False,
    suppressed: False,
    skipped: False,
    generated: False,
    wrapped: False,
    named: False,
    outer_break: False,
    tried_first: False,
}


@pytest.mark.parametrize(("loop", "whole"), LOOPS.items(), ids=[loop.__name__ for loop in LOOPS])
def test_a_length_is_too_long_only_for_a_training_that_cannot_have_been_stopped(loop, whole):
    one = optimizer(0.1, SGD, momentum=0.9)
    assert seen(lambda: loop(one, cosine(1000)(one))) == (["horizon_long"] if whole else [])


def test_loops_around_the_block_do_not_matter_and_code_without_source_says_nothing():
    found = []
    for _ in range(9):
        one = optimizer(0.1, SGD, momentum=0.9)
        scheduler = cosine(1000)(one)
        with warnings.catch_warnings(), guard(scheduler) as watch:
            warnings.simplefilter("ignore")
            for _ in range(3):
                update(one)
                scheduler.step()
        found += watch.suspicions
        break
    assert [item.trap for item in found] == [Trap.HORIZON_LONG]
    space = {"update": update}
    exec("def f(one, scheduler):\n  for i in range(3):\n    update(one)\n    scheduler.step()", space)
    assert seen(lambda: space["f"](one := optimizer(), cosine(1000)(one))) == []


LENGTHS = {
    "cosine rises again": (lasting(cosine(20), 30), {}, ["horizon_short"]),
    "cosine fits": (lasting(cosine(30), 30), {}, []),
    "cosine ends one early": (lasting(cosine(29), 30), {}, []),
    "cosine up and down per epoch": (lasting(cosine(5), 30, 3), {}, []),
    "cosine, far too long": (lasting(cosine(1000), 10), {}, ["horizon_long"]),
    "cosine, stopped early": (stopped_early, {}, []),
    "cosine, a little long": (lasting(cosine(15), 10, 3), {}, []),
    "ours, far too long": (
        lasting(lambda one: (0.1 * schedules.cosine(steps=1000)).to_torch(one), 10),
        {},
        ["horizon_long"],
    ),
    "epochs for steps": (lasting(cosine(10), 10, 20, each_update=True), {}, ["epochs_for_steps"]),
    "steps fit": (lasting(cosine(200), 10, 20, each_update=True), {}, []),
    "steps for epochs": (lasting(cosine(200), 10, 20), {}, ["epochs_for_steps"]),
    "milestones in epochs": (
        lasting(lambda one: lrs.MultiStepLR(one, [3, 6, 9]), 10, 20, each_update=True),
        {},
        ["epochs_for_steps"],
    ),
    "milestones": (lasting(lambda one: lrs.MultiStepLR(one, [3, 6, 9]), 12, 3), {}, []),
    "polynomial at 0": (lasting(lambda one: lrs.PolynomialLR(one, 20), 30), {}, ["horizon_short"]),
    "polynomial": (lasting(lambda one: lrs.PolynomialLR(one, 30), 30), {}, []),
    "warm-up alone": (lasting(lambda one: lrs.LinearLR(one), 30), {}, []),
    "transformers": (lasting(transformers(5, 40), 10, 4, each_update=True), {}, []),
    "transformers at 0": (lasting(transformers(5, 30), 10, 4, each_update=True), {}, ["horizon_short"]),
    "transformers per epoch": (lasting(transformers(4, 80), 4, 20), {}, ["epochs_for_steps"]),
    "long warm-up": (lasting(warmed(50), 20), {}, ["warmup_long"]),
    "warm-up": (lasting(warmed(10), 100), {}, []),
    "our warm-up": (
        lasting(lambda one: schedules.linear(steps=50).warmup(30).to_torch(one), 10),
        {},
        ["warmup_long"],
    ),
    "ours at 0": (lasting(lambda one: schedules.linear(steps=10).to_torch(one), 20), {}, ["horizon_short"]),
    "ours holds": (lasting(lambda one: schedules.linear(1.0, 0.1, steps=10).to_torch(one), 20), {}, []),
    "known, too long": (lasting(cosine(100), 2), {"horizon": 50}, ["horizon_long"]),
    "known, too short": (lasting(cosine(30), 2), {"horizon": 50}, ["horizon_short"]),
    "known, fits": (lasting(cosine(50), 2), {"horizon": 50}, []),
    "known, warm-up": (lasting(warmed(50), 2), {"horizon": 20}, ["warmup_long"]),
    "known, warm-up fits": (lasting(warmed(10), 2), {"horizon": 100}, []),
    "known, epochs for steps": (
        lasting(cosine(10), 2),
        {"horizon": 1000, "steps_per_epoch": 100},
        ["epochs_for_steps"],
    ),
    "known, steps for epochs": (
        lasting(cosine(1000), 2),
        {"horizon": 10, "steps_per_epoch": 100},
        ["epochs_for_steps"],
    ),
    "one cycle, cut": (
        lasting(lambda one: lrs.OneCycleLR(one, 0.1, total_steps=100), 2),
        {"horizon": 60},
        ["horizon_long"],
    ),
}


@pytest.mark.parametrize(("block", "options", "wanted"), LENGTHS.values(), ids=LENGTHS)
def test_lengths(block, options, wanted):
    assert seen(block, **options) == wanted


def test_a_training_that_broke_off_is_not_measured():
    def block():
        lasting(cosine(20), 30)()
        raise RuntimeError

    with warnings.catch_warnings(), pytest.raises(RuntimeError), guard() as watch:
        block()
    assert watch.suspicions == []


def test_a_training_that_was_stopped_is_not_measured():
    with guard() as watch:
        LENGTHS["long warm-up"][0]()
        watch.cut_short()
    assert watch.suspicions == []


def test_lengths_are_read_of_shapes():
    assert plan_of(schedules.linear(steps=8).shape) == Plan("linear(1, 0, steps=8)", 8, "nothing")
    assert plan_of((0.1 * schedules.linear(steps=8).warmup(2)).shape).warmup == 2
    assert plan_of(schedules.constant(1.0).shape) is None


# -- PyTorch: compounding, and a factor as a rate ---------------------------------------------------

COMPOUNDING = {
    "exponential": lambda k: 0.95**k,
    "linear": lambda k: (10 - k) / 10,
    "warm-up": lambda k: (k + 1) / 5,
    "inverse time": lambda k: 1 / (1 + 0.1 * k),
    "inverse root": lambda k: (1 + k) ** -0.5,
    "cosine": lambda k: 0.5 * (1 + math.cos(math.pi * k / 10)),
    "exp": lambda k: math.exp(-0.1 * k),
}

NEIGHBOURS = {
    "constant": lambda k: 0.95,
    "linear": lambda k: (10 - k) / (11 - k) if k else 1,
    "linear, unguarded": lambda k: (10 - k) / (11 - k),
    "cosine": lambda k: (1 + math.cos(math.pi * k / 10)) / (1 + math.cos(math.pi * (k - 1) / 10)) if k else 1,
    "warm-up": lambda k: (k + 1) / k if 0 < k < 5 else 1,
    "milestones": lambda k: 0.1 if k in (2, 5) else 1,
    "every tenth": lambda k: 0.5 if k % 10 == 0 and k else 1,
    "every": lambda k: 0.5 if k % 2 == 0 else 1,
    "later": lambda k: 1 if k < 2 else math.exp(-0.1),
    "inverse time": lambda k: (1 + 0.1 * (k - 1)) / (1 + 0.1 * k) if k else 1,
    "none": lambda k: 1.0,
}


@pytest.mark.parametrize("function", COMPOUNDING.values(), ids=COMPOUNDING)
def test_a_curve_applied_to_the_rate_in_force_compounds(function):
    assert compounds([function(k) for k in range(4)])
    assert seen(lambda: lrs.MultiplicativeLR(optimizer(), function)) == ["compounding"]
    assert seen(
        lambda: fit(callback=keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * function(epoch)))
    ) == ["compounding"]


@pytest.mark.parametrize("function", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_ratios_of_neighbours_do_not(function):
    assert not compounds([function(k) for k in range(4)])
    assert seen(lambda: lrs.MultiplicativeLR(optimizer(), function)) == []
    assert (
        seen(lambda: fit(callback=keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * function(epoch)))) == []
    )


def test_our_own_curve_applied_to_the_rate_in_force_compounds():
    assert seen(lambda: lrs.MultiplicativeLR(optimizer(), schedules.linear(steps=10))) == ["compounding"]
    assert seen(lambda: lrs.MultiplicativeLR(optimizer(), schedules.Factor(0.9))) == []


CURVE = schedules.cosine(1e-3, 1e-5, steps=8)
ATTACHED = {
    "a curve": lambda: CURVE.to_torch(optimizer()),
    "a function": lambda: schedules.Factor.from_function(linear_rate).to_torch(optimizer()),
    "groups": lambda: CURVE.to_torch(optimizer(groups=[1e-2, 1e-3])),
    "a factor for each group": lambda: schedules.to_torch(optimizer(groups=[1e-3, 1e-3]), [CURVE, CURVE]),
    "a factor for one group, a right one for the other": lambda: schedules.to_torch(
        optimizer(groups=[1e-3, 1e-3]), [CURVE, schedules.linear(steps=8)]
    ),
    "a factor for one group, a rate for the other": lambda: schedules.to_torch(
        optimizer(groups=[1e-3, 1e-3]), [1e-3 * schedules.linear(steps=8), CURVE]
    ),
    "Keras": lambda: fit(callback=CURVE.to_keras_callback()),
    "Keras, a function": lambda: fit(callback=schedules.LambdaLR(lambda epoch: 1e-3 * 0.9**epoch)),
}
FACTORS_ATTACHED = {
    "a curve": lambda: schedules.cosine(steps=8).to_torch(optimizer()),
    "warm-up": lambda: schedules.linear(1e-3, 1.0, steps=8).to_torch(optimizer()),
    "groups, one of them slowed down": lambda: schedules.to_torch(
        optimizer(groups=[1e-3, 1e-3]), [schedules.Factor(1e-3), schedules.linear(steps=8)]
    ),
    "a rate of 1": lambda: CURVE.to_torch(optimizer(1.0)),
    "marked": lambda: schedules.Factor.from_function(meant(lambda epoch: 1e-3 * 0.9**epoch)).to_torch(optimizer()),
    "Keras": lambda: fit(callback=schedules.linear(1e-3, 1.0, steps=8).to_keras_callback()),
    "Keras, a base rate of 1": lambda: fit(callback=CURVE.to_keras_callback(base_rate=1.0)),
}


@pytest.mark.parametrize("block", ATTACHED.values(), ids=ATTACHED)
def test_a_declared_factor_as_small_as_a_rate_is_noticed_without_a_guard(block):
    with pytest.warns(ScheduleWarning, match=r"= 1e-06 is the rate.*squared_rate") as told:
        block()
    assert [item.filename for item in told if item.category is ScheduleWarning] == [__file__]
    with warnings.catch_warnings(), guard(allow=["squared_rate"]):
        warnings.simplefilter("error", ScheduleWarning)
        block()


PRODUCTS = {
    "a number": lambda: 1e-3 * CURVE,
    "a number after it": lambda: CURVE * 1e-3,
    "a function": lambda: 1e-3 * schedules.Factor.from_function(lambda epoch: 1e-3 * 0.9**epoch),
    "a rate": lambda: schedules.Rate.linear(1e-3, 0.0, steps=8) * CURVE,
    "a rise to a rate": lambda: 1e-3 * schedules.linear(1e-5, 1e-3, steps=8),
    "epochs": lambda: 1e-3 * schedules.cosine(1e-3, 1e-5, steps=schedules.epochs(8)),
    "optax": lambda: CURVE.to_optax(1e-3),
    "Keras": lambda: CURVE.to_keras(1e-3),
    "attached": lambda: (1e-3 * CURVE).to_torch(optimizer()),
    "trained": lambda: fit(CURVE.to_keras(1e-3), steps=1),
}
RIGHT_PRODUCTS = {
    "a curve": lambda: 1e-3 * schedules.cosine(steps=8),
    "a rise from a rate": lambda: 1e-3 * schedules.linear(1e-3, 1.0, steps=70000),
    "a short peak": lambda: 1e-3 * schedules.piecewise({0: 1e-3, 500: 1.0, 510: 1e-3}),
    "a late cycle": lambda: 1e-3 * schedules.cyclic(1e-3, up=2000),
    "Transformer": lambda: 1e-3 * schedules.noam(warmup=4000),
    "a base rate of 1": lambda: 1.0 * CURVE,
    "shares": lambda: 1e-3 * schedules.cosine(steps=schedules.share(0.9)).warmup(schedules.epochs(1)),
    "nothing": lambda: 1e-3 * schedules.Factor(0.0),
    "a number": lambda: 0.1 * schedules.Factor(0.1),
    "marked": lambda: 1e-3 * schedules.Factor.from_function(meant(lambda epoch: 1e-3 * 0.9**epoch)),
    "a rate and its own factor": lambda: 1e-3 * (schedules.Rate.cosine(1e-3, 1e-5, steps=8) / 1e-3),
    "layers, each slower than the next": lambda: [
        5e-4 * schedules.cosine(steps=8).scaled(0.65**depth) for depth in range(14)
    ],
    "an error at the end": lambda: 1e-3 * schedules.linear(1e-3, 1.0, steps=8).after("error"),
}


@pytest.mark.parametrize("block", PRODUCTS.values(), ids=PRODUCTS)
def test_a_factor_as_small_as_a_rate_is_noticed_where_it_becomes_one(block):
    with pytest.warns(ScheduleWarning, match=r"= 1e-06 at step \d+: the factor is as small as a rate") as told:
        block()
    assert [item.filename for item in told if item.category is ScheduleWarning] == [__file__]
    assert seen(block) == ["squared_rate"]
    with warnings.catch_warnings(), guard(allow=["squared_rate"]):
        warnings.simplefilter("error", ScheduleWarning)
        block()


@pytest.mark.parametrize(
    "block", [*FACTORS_ATTACHED.values(), *RIGHT_PRODUCTS.values()], ids=[*FACTORS_ATTACHED, *RIGHT_PRODUCTS]
)
def test_declared_factors_are_not_suspected_without_a_guard(block):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScheduleWarning)
        block()


def test_a_function_that_counts_its_calls_is_not_asked_as_it_becomes_a_rate():
    decay = Decay(1e-3)
    rate = 1e-3 * schedules.Factor.from_function(decay)
    assert decay.asked == 0
    assert rate(0) == 1e-6


ADVICE = {
    "torch, squared": (SQUARED["linear"], "Rate.from_function(f).to_torch(optimizer); or give the optimizer lr=1.0"),
    "torch, ours": (SQUARED["ours"], "factor.to_torch(...) multiplies"),
    "torch, groups": (
        SQUARED["the smaller of two groups"],
        "0.001 × 0.001 = 1e-06 is the rate of a parameter group at epoch 0. Return a factor",  # noqa: RUF001
    ),
    "torch, a rate passed on": (
        SQUARED["passes on a rate of 0.1"],
        "Write rate.to_torch(optimizer); or return a factor, rate(epoch) / 0.001",
    ),
    "torch, no function": (
        lambda: schedules.linear(1e-3, 0.0, steps=4).to_torch(optimizer(1e-3)),
        "Let it begin at 1; or write (1.0 * factor).to_torch(optimizer)",
    ),
    "keras, squared": (
        lambda: fit(callback=schedules.LambdaLR(lambda e: 1e-3 * 0.5**e)),
        "Rate.from_function(f).to_keras_callback(); or compile with a rate of 1.0",
    ),
    "keras, ours": (
        lambda: fit(callback=schedules.linear(1e-3, 0.0, steps=8).to_keras_callback()),
        "factor.to_keras_callback(...) multiplies",
    ),
    "torch, factor": (
        lambda: TorchLearningRateScheduler(optimizer(), lambda e: 0.5**e),
        "Factor.from_function(f).to_torch(optimizer)",
    ),
    "torch, factor of ours": (
        lambda: schedules.Rate.from_function(lambda e: 0.5**e).to_torch(optimizer()),
        "rate.to_torch(...) takes the learning rate itself",
    ),
    "torch, half a factor": (
        lambda: (0.5 * schedules.cosine(steps=8)).to_torch(optimizer()),
        "to scale a factor, which stays one, write factor.scaled(0.5).to_torch(optimizer)",
    ),
    "keras, half a factor": (
        lambda: fit(callback=(0.5 * schedules.cosine(steps=8)).to_keras_callback()),
        "factor.scaled(0.5).to_keras_callback()",
    ),
    "keras, half a factor for each step": (
        lambda: fit((0.5 * schedules.cosine(steps=80)).to_keras()),
        "factor.scaled(0.5).to_keras(base_rate)",
    ),
    "torch, a factor for one group": (
        ATTACHED["a factor for one group, a rate for the other"],
        "Let it begin at 1; or say each group's rate, ct.schedules.to_torch(optimizer, [rate, ...])",
    ),
    "keras, factor": (lambda: fit(callback=Scheduler(lambda e: 0.5**e)), "Factor.from_function(f).to_keras_callback()"),
    "keras, resumed": (
        lambda: fit((1e-3 * schedules.cosine(steps=80)).to_keras(), begin=4),
        "rate.to_keras(...) counts updates",
    ),
    "keras, two": (
        lambda: fit(callback=[(1e-3 * schedules.linear(steps=8)).to_keras_callback(), Plateau(monitor="loss")]),
        "rate.to_keras_callback(...) sets the rate anew before each epoch, whatever ReduceLROnPlateau",
    ),
    "torch, two": (
        side_by_side(lrs.ReduceLROnPlateau, lambda one: lrs.LambdaLR(one, lambda k: 0.9**k)),
        "LambdaLR computes the rate anew at each step, whatever ReduceLROnPlateau has made of it",
    ),
}


@pytest.mark.filterwarnings("ignore::choritsu.errors.ScheduleWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("block", "wanted"), ADVICE.values(), ids=ADVICE)
def test_what_is_told_is_in_the_users_framework_and_words(block, wanted):
    with guard() as watch:
        block()
    (item,) = watch.suspicions
    assert wanted in item.message


def test_a_rate_that_a_search_has_chosen_is_not_suspected(tmp_path):
    def build(hp):
        rate = hp.Choice("rate", [0.5, 1.0])
        return model((rate * schedules.cosine(steps=20)).to_keras())

    x = keras.ops.ones((20, 1))
    tuner = RandomSearch(build, "loss", max_trials=2, directory=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ScheduleWarning)
        tuner.search(x, x, epochs=2, batch_size=2, verbose=0)
    assert len(tuner.history.completed) == 2


def test_a_model_that_is_compiled_again_counts_from_its_new_beginning():
    def fine_tuned(steps):
        one = fit(epochs=1, steps=4)
        one.compile(keras.optimizers.Adam((1e-4 * schedules.cosine(steps=steps)).to_keras()), loss="mse")
        fit(of=one, epochs=3, begin=1, steps=4)

    assert seen(lambda: fine_tuned(8)) == []
    assert seen(lambda: fine_tuned(schedules.epochs(2))) == ["horizon_short"]
    assert seen(lambda: fine_tuned(schedules.epochs(3))) == []
    assert seen(lambda: fine_tuned(6)) == ["horizon_short"]


def test_a_factor_given_to_our_scheduler_for_pytorch():
    tensor = torch.tensor(0.1)
    assert seen(lambda: TorchLearningRateScheduler(optimizer(tensor, SGD), lambda k: 1 - k / 10)) == ["factor_as_rate"]
    assert seen(lambda: TorchLearningRateScheduler(optimizer(), lambda epoch: 0.9**epoch)) == ["factor_as_rate"]
    assert seen(lambda: TorchLearningRateScheduler(optimizer(), lambda epoch: 1e-2 * 0.9**epoch)) == []
    assert seen(lambda: TorchLearningRateScheduler(optimizer(0.5, SGD), lambda epoch: 0.5 * 0.9**epoch)) == []


def test_what_is_declared_a_rate_and_is_a_factor():
    rate_of, cosine = schedules.Rate.from_function, schedules.cosine

    def rise(epoch):
        return min(1.0, epoch / 3)

    def two(rate):
        return schedules.to_torch(optimizer(groups=[1e-3, 1e-3]), [1e-3 * cosine(steps=8), rate])

    assert seen(lambda: TorchLearningRateScheduler(optimizer(), rise)) == ["factor_as_rate"]
    assert seen(lambda: rate_of(rise).warmup(3).to_torch(optimizer())) == ["factor_as_rate"]
    assert seen(lambda: (0.5 * cosine(steps=8)).warmup(2).to_torch(optimizer())) == ["factor_as_rate"]
    assert seen(lambda: two(rate_of(lambda epoch: 0.9**epoch))) == ["factor_as_rate"]
    assert seen(lambda: two(cosine(steps=8))) == []
    assert seen(lambda: rate_of(lambda epoch: 1e-3 * rise(epoch)).to_torch(optimizer())) == []
    assert seen(lambda: rate_of(lambda epoch: 0.5 * 0.9**epoch).to_torch(optimizer(kind=SGD))) == []
    assert seen(lambda: (0.5 * cosine(steps=8)).to_torch(optimizer(kind=SGD))) == []
    # As a search over rates draws them, and as a range test goes through them.
    assert seen(lambda: (0.7183426 * cosine(steps=8)).to_torch(optimizer())) == []
    assert seen(lambda: schedules.Rate.exponential(1e-7, decay=10.0, steps=8).to_torch(optimizer())) == []
    assert seen(lambda: TorchLearningRateScheduler(optimizer(), lambda epoch, lr: 0.9 * lr)) == []


def test_a_rate_that_is_one_is_not_asked_further():
    asked = []

    def rate(epoch):
        asked.append(epoch)
        return 1e-3 * 0.9**epoch

    seen(lambda: schedules.Rate.from_function(rate).to_torch(optimizer()))
    assert asked == [0]


# -- Keras -----------------------------------------------------------------------------------------


def model(rate=1e-3, kind="Adam"):
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    made.compile(getattr(keras.optimizers, kind)(rate), loss="mse")
    return made


def fit(rate=1e-3, kind="Adam", *, callback=None, epochs=8, steps=10, begin=0, of=None, done=0):
    """Call the callbacks as fit does, without the training, which nothing here depends on."""
    one = of or model(rate, kind)
    if done:
        one.optimizer.iterations.assign(done)
    listed = callback if isinstance(callback, list) else [callback] if callback else []
    callbacks = keras.callbacks.CallbackList(listed, model=one, epochs=epochs, steps=steps, verbose=0)
    callbacks.on_train_begin()
    for epoch in range(begin, epochs):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_epoch_end(epoch, {"loss": 1.0})
    callbacks.on_train_end()
    return one


Scheduler = keras.callbacks.LearningRateScheduler
Plateau = keras.callbacks.ReduceLROnPlateau
kinds = keras.optimizers.schedules


def with_default(name, value):
    space = {}
    exec(f"def f(epoch, {name}={value}):\n    return 1e-3", space)
    return space["f"]


KERAS = {
    "linear factor": (lambda: fit(callback=Scheduler(lambda e: (8 - e) / 8)), ["factor_as_rate"]),
    "factor for SGD": (lambda: fit(0.01, "SGD", callback=Scheduler(lambda e: 0.9**e)), ["factor_as_rate"]),
    "factor for SGD at 0.1": (lambda: fit(0.1, "SGD", callback=Scheduler(lambda e: 1 - e / 10)), ["factor_as_rate"]),
    "a declared rate": (lambda: fit(0.01, "SGD", callback=Scheduler(0.5 * schedules.linear(steps=8))), []),
    "our callback, a rate passed on": (
        lambda: fit(callback=schedules.LambdaLR(passed_on(0.1 * schedules.linear(steps=8)))),
        ["squared_rate"],
    ),
    "warm-up factor": (lambda: fit(callback=Scheduler(lambda e: min((e + 1) / 5, 1.0))), ["factor_as_rate"]),
    "slow warm-up factor": (lambda: fit(callback=Scheduler(lambda e: min((e + 1) / 10, 1.0))), ["factor_as_rate"]),
    "linear rate": (lambda: fit(callback=Scheduler(lambda e: 1e-3 * (8 - e) / 8)), []),
    "our callback, a factor": (
        lambda: fit(callback=schedules.Rate.from_function(lambda e: 0.9**e).to_keras_callback()),
        ["factor_as_rate"],
    ),
    "our callback, a warm-up factor": (
        lambda: fit(callback=schedules.Rate.from_function(lambda e: min(1.0, e / 3)).to_keras_callback()),
        ["factor_as_rate"],
    ),
    "our callback, a rate": (
        lambda: fit(callback=schedules.Rate.from_function(lambda e: 1e-3 * 0.9**e).to_keras_callback()),
        [],
    ),
    "our schedule, a factor": (
        lambda: fit(schedules.Rate.from_function(lambda k: 0.9**k, steps=80).to_keras()),
        ["factor_as_rate"],
    ),
    "our schedule, half a factor": (
        lambda: fit((0.5 * schedules.cosine(steps=schedules.share(1.0))).to_keras()),
        ["factor_as_rate"],
    ),
    "our schedule for SGD": (
        lambda: fit(schedules.Rate.from_function(lambda k: 0.9**k, steps=80).to_keras(), "SGD"),
        [],
    ),
    "0.5 for SGD": (lambda: fit(0.01, "SGD", callback=Scheduler(lambda e: 0.5 * 0.9**e)), []),
    "1 for Adadelta": (lambda: fit(1e-3, "Adadelta", callback=Scheduler(lambda e: 0.95**e)), []),
    "large batches": (lambda: fit(0.01, "SGD", callback=Scheduler(lambda e: 1.6 * 0.9**e)), []),
    "as compiled": (lambda: fit(0.5, "SGD", callback=Scheduler(lambda e: 0.5 * 0.9**e)), []),
    "0.1 for SGD": (lambda: fit(0.01, "SGD", callback=Scheduler(lambda e: 0.1 * 0.9**e)), []),
    "0.1 for Adam": (lambda: fit(callback=Scheduler(lambda e: 0.1 * 0.9**e)), []),
    "fine-tuning": (lambda: fit(1e-6, callback=Scheduler(lambda e: 1e-3 * 0.9**e)), []),
    "range test": (lambda: fit(callback=Scheduler(lambda e: 1e-8 * 10 ** (e * 1.2)), epochs=9), []),
    "two arguments, flat then down": (
        lambda: fit(callback=Scheduler(lambda e, lr: lr if e < 3 else lr * math.exp(-0.1))),
        [],
    ),
    "two arguments, absolute": (lambda: fit(callback=Scheduler(lambda e, lr: 1e-3 * 0.95**e)), []),
    "two arguments, absolute cosine": (
        lambda: fit(callback=Scheduler(lambda e, lr: 1e-3 * (1 + math.cos(math.pi * e / 10)) / 2)),
        [],
    ),
    "warmup=5": (lambda: fit(callback=Scheduler(with_default("warmup", 5))), ["not_a_rate"]),
    "total=100": (lambda: fit(callback=Scheduler(with_default("total", 100))), ["not_a_rate"]),
    "initial_lr=0.1": (lambda: fit(callback=Scheduler(with_default("initial_lr", 0.1))), ["not_a_rate"]),
    "lr0=0.1": (lambda: fit(callback=Scheduler(with_default("lr0", 0.1))), ["not_a_rate"]),
    "lr=0.1": (lambda: fit(callback=Scheduler(with_default("lr", 0.1))), []),
    "learning_rate=0.1": (lambda: fit(callback=Scheduler(with_default("learning_rate", 0.1))), []),
    "current=None": (lambda: fit(callback=Scheduler(with_default("current", None))), []),
    "keyword": (lambda: fit(callback=Scheduler(with_default("*, warmup", 5))), []),
    "partial": (
        lambda: fit(callback=Scheduler(functools.partial(lambda epoch, warmup: 1e-3, warmup=5))),
        [],
    ),
    "plateau and scheduler": (
        lambda: fit(callback=[Scheduler(lambda e: 1e-3), Plateau(monitor="loss")]),
        ["two_controllers"],
    ),
    "plateau and the rate passed on": (
        lambda: fit(callback=[Scheduler(lambda e, lr: lr * 0.95), Plateau(monitor="loss")]),
        [],
    ),
    "plateau": (lambda: fit(callback=Plateau(monitor="loss")), []),
    "two schedulers": (
        lambda: fit(callback=[Scheduler(lambda e: 1e-3), Scheduler(lambda e: 1e-4)]),
        ["two_controllers"],
    ),
    "plateau and a schedule": (
        lambda: fit(kinds.ExponentialDecay(1e-3, 10, 0.9), callback=Plateau(monitor="loss", patience=99)),
        ["two_controllers"],
    ),
    "our callback and plateau": (
        lambda: fit(callback=[(1e-3 * schedules.linear(steps=8)).to_keras_callback(), Plateau(monitor="loss")]),
        ["two_controllers"],
    ),
    "our callback": (lambda: fit(callback=schedules.linear(steps=8).to_keras_callback()), []),
    "our callback, squared": (
        lambda: fit(callback=schedules.Factor.from_function(linear_rate).to_keras_callback()),
        ["squared_rate"],
    ),
    "our callback, short": (lambda: fit(callback=schedules.linear(steps=5).to_keras_callback()), ["horizon_short"]),
    "our callback, long": (lambda: fit(callback=schedules.linear(steps=20).to_keras_callback()), ["horizon_long"]),
    "our callback, in steps": (
        lambda: fit(callback=schedules.linear(steps=80).to_keras_callback()),
        ["epochs_for_steps"],
    ),
    "cosine fits": (lambda: fit(kinds.CosineDecay(1e-3, 80)), []),
    "cosine at 0": (lambda: fit(kinds.CosineDecay(1e-3, 50)), ["horizon_short"]),
    "cosine with a floor": (lambda: fit(kinds.CosineDecay(1e-3, 50, alpha=0.1)), []),
    "cosine in epochs": (lambda: fit(kinds.CosineDecay(1e-3, 8)), ["epochs_for_steps"]),
    "cosine too long": (lambda: fit(kinds.CosineDecay(1e-3, 800)), ["horizon_long"]),
    "cosine a little long": (lambda: fit(kinds.CosineDecay(1e-3, 100)), []),
    "cosine, trained bit by bit": (
        lambda: [fit(of=one, epochs=2, done=20 * i) for one in [model(kinds.CosineDecay(1e-3, 80))] for i in range(4)],
        [],
    ),
    "long warm-up": (
        lambda: fit(kinds.CosineDecay(1e-6, 80, warmup_target=1e-3, warmup_steps=100)),
        ["warmup_long"],
    ),
    "warm-up": (lambda: fit(kinds.CosineDecay(1e-6, 70, warmup_target=1e-3, warmup_steps=10)), []),
    "polynomial holds": (lambda: fit(kinds.PolynomialDecay(1e-3, 50)), []),
    "polynomial in epochs": (lambda: fit(kinds.PolynomialDecay(1e-3, 8)), ["epochs_for_steps"]),
    "boundaries in epochs": (
        lambda: fit(kinds.PiecewiseConstantDecay([3, 6], [1e-2, 1e-3, 1e-4])),
        ["epochs_for_steps"],
    ),
    "boundaries": (lambda: fit(kinds.PiecewiseConstantDecay([30, 60], [1e-2, 1e-3, 1e-4])), []),
    "boundaries of a warm-up": (lambda: fit(kinds.PiecewiseConstantDecay([3, 6], [1e-4, 1e-3, 1e-2])), []),
    "exponential": (lambda: fit(kinds.ExponentialDecay(1e-3, 10, 0.9)), []),
    "our schedule fits": (lambda: fit((1e-3 * schedules.cosine(steps=80)).to_keras()), []),
    "our schedule at 0": (lambda: fit((1e-3 * schedules.cosine(steps=50)).to_keras()), ["horizon_short"]),
    "our schedule waits": (lambda: fit((1e-3 * schedules.cosine(steps=schedules.epochs(8))).to_keras()), []),
    "our schedule waits, and goes on in the midst": (
        lambda: fit((1e-3 * schedules.cosine(steps=schedules.share(1.0))).to_keras(), begin=7),
        [],
    ),
    "our schedule waits, and is resumed": (
        lambda: fit((1e-3 * schedules.cosine(steps=schedules.epochs(8))).to_keras(), begin=7, done=70),
        [],
    ),
    "our schedule waits, and is short": (
        lambda: fit((1e-3 * schedules.cosine(steps=schedules.epochs(4))).to_keras()),
        ["horizon_short"],
    ),
    "resumed without the optimizer": (lambda: fit(kinds.CosineDecay(1e-3, 80), begin=4), ["restarted"]),
    "resumed": (lambda: fit(kinds.CosineDecay(1e-3, 80), begin=4, done=40), []),
    "resumed, the rate passed on": (lambda: fit(callback=Scheduler(lambda e, lr: lr * 0.9), begin=4), ["restarted"]),
    "resumed, by epoch": (lambda: fit(callback=Scheduler(lambda e: 1e-3 * 0.9**e), begin=4), []),
    "marked": (lambda: fit(callback=Scheduler(meant(lambda e: 0.9**e))), []),
    "no length": (lambda: fit(kinds.CosineDecay(1e-3, 8), steps=None), []),
}


@pytest.mark.parametrize(("block", "wanted"), KERAS.values(), ids=KERAS)
def test_keras(block, wanted):
    assert seen(block) == wanted


def test_keras_callbacks_can_be_shown():
    with pytest.warns(ScheduleWarning, match="factor of a rate"):
        guard(Scheduler(lambda epoch: (10 - epoch) / 10))
    with pytest.warns(ScheduleWarning, match="optimizer had 0.001"):
        guard(model(), [Scheduler(lambda epoch: (10 - epoch) / 10)])
    with pytest.warns(ScheduleWarning, match="warmup"):
        guard(Scheduler(with_default("warmup", 5)))
    with pytest.warns(ScheduleWarning, match="multiplies its values up"):
        guard(Scheduler(lambda epoch, lr: lr * 0.95**epoch))
    with pytest.warns(ScheduleWarning, match="= 1e-06 is the rate"):
        guard(model(), schedules.Factor.from_function(linear_rate).to_keras_callback())
    assert guard(model(0.5, "SGD"), Scheduler(lambda epoch: 0.5 * 0.9**epoch)).suspicions == []
    assert guard(model(), Scheduler(lambda epoch, lr: lr * 0.95), Plateau()).suspicions == []


def test_a_real_training_in_keras_is_watched():
    x = torch.ones((8, 1)).numpy()
    one = model()
    with guard() as watch, pytest.warns(ScheduleWarning, match="0.001") as told:
        one.fit(x, x, epochs=2, batch_size=4, verbose=0, callbacks=[Scheduler(lambda epoch: (2 - epoch) / 2)])
    assert [item.trap for item in watch.suspicions] == [Trap.FACTOR_AS_RATE]
    assert [item.filename for item in told if item.category is ScheduleWarning] == [__file__]
    with guard() as watch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        one.fit(x, x, epochs=2, batch_size=4, verbose=0, callbacks=[Scheduler(lambda epoch: 1e-3 * (2 - epoch) / 2)])
    assert watch.suspicions == []


def test_a_users_callback_may_raise_in_keras():
    class Broken(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), guard():
        fit(callback=Broken())


def test_a_longer_plan_is_known_to_keras():
    assert seen(lambda: fit(kinds.CosineDecay(1e-3, 800)), horizon=800) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.LearningRateScheduler(optimizer(1e-3), lambda epoch: 0.9**epoch),
        lambda: schedules.Rate.from_function(lambda epoch: 0.9**epoch).to_torch(optimizer(1e-3)),
    ],
    ids=["Keras' name", "a rate from a function"],
)
def test_a_factor_given_as_a_rate_is_noticed_without_a_guard(make):
    with pytest.warns(ScheduleWarning, match=r"gives 1 at epoch 0, where the optimizer had 0.001"):
        make()


def test_rates_given_as_rates_are_not_accused_without_a_guard():
    schedules.LearningRateScheduler(optimizer(1e-3), lambda epoch: 1e-2 * 0.9**epoch)
    schedules.Rate.from_function(lambda epoch: 0.1 * 0.9**epoch).to_torch(optimizer(1e-3))
