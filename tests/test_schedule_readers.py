"""The frameworks' own schedules, read as values: the same rates over whole runs, or a refusal."""

import functools
import math
import os

import numpy as np
import optax
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

import choritsu as ct
from choritsu.errors import ScheduleError
from choritsu.schedules import Factor, Rate, cosine, cyclic, exponential, linear, one_cycle, piecewise
from choritsu.schedules.readers import from_keras, from_optax, from_torch, from_transformers

from . import strategies  # noqa: F401  # a shared machine has no deadlines

# -- PyTorch ---------------------------------------------------------------------------------------

L = lr_scheduler
RATES = (0.3, 0.02)
WHOLE = 70


def stepping(*rates, **options):
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates or RATES]
    return torch.optim.SGD(groups, **options)


def play(optimizer, scheduler, count):
    """Give the rates of all groups at each update, and step on."""
    found = []
    for _ in range(count):
        found.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def as_rates(read, bases):
    """Give the rate of each group at a step."""
    each = read if isinstance(read, tuple) else (read,) * len(bases)
    return lambda k: [s(k) * (base if isinstance(s, Factor) else 1.0) for s, base in zip(each, bases, strict=True)]


factors = st.floats(0.05, 1.0)
counts = st.integers(1, 25)
gammas = st.floats(0.5, 1.0, exclude_min=True)
floors = st.sampled_from([0.0, 0.0, 0.001, 0.05])

#: Each makes a scheduler of an optimizer with two groups.
multiplying = st.one_of(
    st.builds(lambda n, g: lambda o: L.StepLR(o, n, g), counts, gammas),
    st.builds(lambda m, g: lambda o: L.MultiStepLR(o, m, g), st.lists(st.integers(0, 60), max_size=5), gammas),
    st.builds(lambda f, n: lambda o: L.ConstantLR(o, f, n), factors, counts),
    st.builds(lambda a, b, n: lambda o: L.LinearLR(o, a, b, n), factors, st.floats(0, 1), counts),
    st.builds(lambda g: lambda o: L.ExponentialLR(o, g), gammas),
    st.builds(lambda n, p: lambda o: L.PolynomialLR(o, n, p), counts, st.floats(0.5, 3)),
)
cosines = st.one_of(
    st.builds(lambda n, e: lambda o: L.CosineAnnealingLR(o, n, e), counts, floors),
    st.builds(lambda n, m, e: lambda o: L.CosineAnnealingWarmRestarts(o, n, m, e), counts, st.integers(1, 3), floors),
)
lambdas = st.builds(lambda d: lambda o: L.LambdaLR(o, [lambda k: d**k, lambda k: 1 / (1 + d * k)]), gammas)
cycles = st.builds(
    lambda low, high, up, down, mode, g: (
        lambda o: L.CyclicLR(o, [low, low / 2], high, up, down, mode=mode, gamma=g, cycle_momentum=False)
    ),
    *(st.floats(0.001, 0.05), st.floats(0.05, 0.5), counts, st.none() | counts),
    *(st.sampled_from(["triangular", "triangular2", "exp_range"]), gammas),
)
one_cycles = st.builds(
    lambda high, up, bend, three: (
        lambda o: L.OneCycleLR(
            o, [high, 1.0], WHOLE, pct_start=up, anneal_strategy=bend, three_phase=three, cycle_momentum=False
        )
    ),
    *(factors, st.floats(0, 1), st.sampled_from(["cos", "linear"]), st.booleans()),
)


@st.composite
def sequences(draw):
    members = draw(st.lists(multiplying | cosines | lambdas, min_size=1, max_size=4))
    bounds = draw(st.lists(st.integers(0, 60), min_size=len(members) - 1, max_size=len(members) - 1))
    return lambda o: L.SequentialLR(o, [make(o) for make in members], sorted(bounds))


@st.composite
def chains(draw):
    members = draw(st.lists(multiplying, min_size=1, max_size=4))
    if draw(st.booleans()):
        return lambda o: L.ChainedScheduler([make(o) for make in members])
    return lambda o: L.ChainedScheduler(
        [L.ChainedScheduler([make(o) for make in members]), L.ConstantLR(o, 0.5, total_iters=7)]
    )


TORCH = {
    "multiplying": multiplying,
    "cosines": cosines,
    "lambdas": lambdas,
    "cycles": cycles,
    "one cycle": one_cycles,
    "sequences": sequences(),
    "chains": chains(),
}


REFUSED = {
    "plateau": (lambda o: L.ReduceLROnPlateau(o), "a metric no longer improves"),
    "multiplicative": (lambda o: L.MultiplicativeLR(o, lambda k: 0.9), "MultiplicativeLR multiplies what"),
    "scale_fn": (
        lambda o: L.CyclicLR(o, 0.1, 0.2, 5, scale_fn=lambda x: 1.0, cycle_momentum=False),
        "a scale_fn of your own",
    ),
    "downward cycle": (
        lambda o: L.CyclicLR(o, 0.2, 0.1, 5, mode="triangular2", cycle_momentum=False),
        "max_lr is above base_lr",
    ),
    "growing constant": (lambda o: L.ConstantLR(o, 0.0), "divides by it at its end"),
    "no iterations": (lambda o: L.LinearLR(o, total_iters=0), "total_iters must be a whole number"),
    "half a step": (lambda o: L.StepLR(o, 2.5), "step_size must be a whole number"),
    "negative gamma": (lambda o: L.ExponentialLR(o, -0.5), "above 0, got -0.5"),
    "negative floor": (lambda o: L.CosineAnnealingLR(o, 9, -0.1), "at least 0, got -0.1"),
    "lambda in a chain": (
        lambda o: L.ChainedScheduler([L.ExponentialLR(o, 0.9), L.LambdaLR(o, lambda k: 1.0)]),
        "LambdaLR sets the rate whatever it was",
    ),
    "restarts in a chain": (
        lambda o: L.ChainedScheduler([L.CosineAnnealingWarmRestarts(o, 9), L.ExponentialLR(o, 0.9)]),
        "WarmRestarts sets the rate whatever it was",
    ),
    "cosine in a chain": (
        lambda o: L.ChainedScheduler([L.ExponentialLR(o, 0.9), L.CosineAnnealingLR(o, 9)]),
        "only where eta_min is 0 and all others have come to 1",
    ),
    "slow warm-up in a chain": (
        lambda o: L.ChainedScheduler([L.LinearLR(o, 0.1, 1.0, 10), L.CosineAnnealingLR(o, 9)]),
        "when it turns, at step 9",
    ),
    "two cosines in a chain": (
        lambda o: L.ChainedScheduler([L.CosineAnnealingLR(o, 9), L.CosineAnnealingLR(o, 9)]),
        "only where eta_min is 0",
    ),
    "sequence in a sequence": (
        lambda o: L.SequentialLR(
            o, [L.SequentialLR(o, [L.LinearLR(o), L.ExponentialLR(o, 0.9)], [5]), L.ExponentialLR(o, 0.5)], [9]
        ),
        "stepped by PyTorch at the wrong times",
    ),
    "sequence that falls back": (
        lambda o: L.SequentialLR(o, [L.LinearLR(o), L.ExponentialLR(o, 0.9), L.ConstantLR(o)], [9, 5]),
        "milestones must increase",
    ),
    "one cycle after another": (
        lambda o: L.SequentialLR(o, [L.LinearLR(o), L.OneCycleLR(o, 1.0, 9, cycle_momentum=False)], [9]),
        "OneCycleLR and CyclicLR first",
    ),
}


class TestTorch:
    @pytest.mark.parametrize("kind", TORCH)
    @given(data=st.data())
    def test_what_is_read_is_what_the_optimizer_has(self, kind, data):
        make = data.draw(TORCH[kind])
        optimizer = stepping()
        try:
            scheduler = make(optimizer)
        except ZeroDivisionError:
            # OneCycleLR whose rise is of exactly no steps.
            assume(False)
        read = from_torch(scheduler)
        rates = as_rates(read, RATES)
        # After the last step of OneCycleLR nothing is meant any more.
        for k, theirs in enumerate(play(optimizer, scheduler, WHOLE - 1)):
            assert rates(k) == pytest.approx(theirs, rel=1e-9, abs=1e-11), k
        assert rates(WHOLE - 1) == pytest.approx(scheduler.get_last_lr(), rel=1e-9, abs=1e-11)
        if kind not in ("lambdas", "sequences"):
            for one in read if isinstance(read, tuple) else (read,):
                assert type(one).from_json(one.to_json()) == one

    @pytest.mark.parametrize("kind", TORCH)
    @settings(max_examples=15)
    @given(data=st.data(), done=st.integers(0, 40))
    def test_it_is_the_same_wherever_the_training_stands(self, kind, data, done):
        make = data.draw(TORCH[kind])
        optimizer = stepping()
        try:
            scheduler = make(optimizer)
        except ZeroDivisionError:
            assume(False)
        first = from_torch(scheduler)
        play(optimizer, scheduler, done)
        assert from_torch(scheduler) == first

    def test_it_is_the_same_after_a_restart(self):
        def made():
            optimizer = stepping()
            return optimizer, L.CosineAnnealingLR(optimizer, 30, 0.001)

        optimizer, scheduler = made()
        play(optimizer, scheduler, 12)
        again, resumed = made()
        resumed.load_state_dict(scheduler.state_dict())
        again.load_state_dict(optimizer.state_dict())
        assert from_torch(resumed) == from_torch(scheduler)

    @settings(max_examples=20)
    @given(multiplying | cosines)
    def test_our_own_scheduler_goes_on_the_same(self, make):
        optimizer, ours = stepping(0.3), stepping(0.3)
        scheduler = make(optimizer)
        mine = from_torch(scheduler).to_torch(ours)
        for theirs, found in zip(play(optimizer, scheduler, 40), play(ours, mine, 40), strict=True):
            assert found == pytest.approx(theirs, rel=1e-9, abs=1e-12)

    def test_they_read_as_a_person_would_write_them(self):
        def read(make, *rates):
            return from_torch(make(stepping(*rates)))

        assert read(lambda o: L.StepLR(o, 30)) == exponential(decay=0.1, every=30, staircase=True)
        assert read(lambda o: L.MultiStepLR(o, [30, 60], 0.5)) == piecewise({0: 1.0, 30: 0.5, 60: 0.25})
        assert read(lambda o: L.LinearLR(o, 0.1, 1.0, 10)) == linear(0.1, 1.0, steps=10)
        assert read(lambda o: L.CosineAnnealingLR(o, 90)) == cosine(steps=90).after("mirror")
        assert read(lambda o: L.CosineAnnealingWarmRestarts(o, 9, 2)) == cosine(steps=9).repeat(stretch=2)
        assert read(lambda o: L.CosineAnnealingLR(o, 90, 0.01), 0.1, 0.1) == (
            Rate.cosine(0.1, 0.01, steps=90).after("mirror")
        )
        assert read(lambda o: L.ConstantLR(o, 1.0, 0)) == Factor(1.0)
        assert read(lambda o: L.CyclicLR(o, 0.1, 0.5, 7, 9, cycle_momentum=False), 0.2)(7) == (
            0.5 * cyclic(0.2, up=7, down=9)
        )(7)
        cycle = read(lambda o: L.OneCycleLR(o, 0.1, 100, cycle_momentum=False), 0.2)
        assert cycle.table(99) == pytest.approx((0.1 * one_cycle(steps=100)).table(99), rel=1e-12)

    def test_groups_are_one_where_they_agree(self):
        assert isinstance(from_torch(L.CosineAnnealingLR(stepping(0.1, 0.1), 9, 0.01)), Rate)
        first, second = from_torch(L.CosineAnnealingLR(stepping(0.1, 0.2), 9, 0.01))
        assert (first(0), second(0)) == (0.1, 0.2)
        assert isinstance(from_torch(L.CosineAnnealingLR(stepping(0.1, 0.2), 9)), Factor)

        def falling(k):
            return 0.5**k

        assert from_torch(L.LambdaLR(stepping(), falling)) == Factor.from_function(falling)
        assert from_torch(L.LambdaLR(stepping(), [falling, falling])) == Factor.from_function(falling)

    def test_a_factor_of_ours_comes_back_as_it_was(self):
        factor = cosine(steps=30).warmup(5)
        assert from_torch(L.LambdaLR(stepping(), factor)) == factor
        assert from_torch(L.LambdaLR(stepping(), [factor, linear(steps=3)])) == (factor, linear(steps=3))

    @settings(max_examples=15)
    @given(multiplying | cosines)
    def test_rates_in_tensors(self, make):
        optimizer = stepping(torch.tensor(0.3))
        scheduler = make(optimizer)
        rates = as_rates(from_torch(scheduler), [0.3])
        for k, theirs in enumerate(play(optimizer, scheduler, 40)):
            assert rates(k) == pytest.approx(theirs, rel=1e-3, abs=1e-4)
        from_torch(scheduler)

    def test_momentum_is_left_alone(self):
        optimizer = stepping(0.1, momentum=0.9)
        scheduler = L.OneCycleLR(optimizer, 0.1, 20)
        before = optimizer.state_dict()["param_groups"]
        from_torch(scheduler)
        assert optimizer.state_dict()["param_groups"] == before

    def test_a_cosine_in_a_chain_that_has_settled(self):
        for members in (
            lambda o: [L.LinearLR(o, 0.1, 1.0, 5), L.CosineAnnealingLR(o, 9)],
            lambda o: [L.CosineAnnealingLR(o, 9), L.ConstantLR(o, 0.5, 9)],
        ):
            optimizer = stepping(0.3)
            scheduler = L.ChainedScheduler(members(optimizer))
            read = from_torch(scheduler)
            for k, (theirs,) in enumerate(play(optimizer, scheduler, 40)):
                assert 0.3 * read(k) == pytest.approx(theirs, rel=1e-9, abs=1e-12)

    @pytest.mark.filterwarnings("ignore:Detected call of")  # one of them steps while it is made
    @pytest.mark.parametrize("name", REFUSED)
    def test_what_is_no_function_of_the_step_is_refused(self, name):
        make, words = REFUSED[name]
        with pytest.raises(ScheduleError, match=words):
            from_torch(make(stepping(0.3)))

    def test_ours_comes_back_as_it_was(self):
        rate, factor = 0.1 * linear(steps=9), linear(steps=5)
        assert from_torch(rate.to_torch(stepping(0.1))) == rate
        assert from_torch(factor.to_torch(stepping(0.1, 0.2))) == factor
        assert from_torch(ct.schedules.to_torch(stepping(0.1, 0.2), [rate, factor])) == (rate, factor)
        assert from_torch(ct.schedules.LearningRateScheduler(stepping(), rate)) == rate
        with pytest.raises(ScheduleError, match="no function of the step"):
            from_torch(ct.schedules.LearningRateScheduler(stepping(), lambda epoch, lr: lr))

    def test_classes_of_ones_own_are_refused(self):
        class Mine(L.StepLR):
            def get_lr(self):
                return [0.5 for _ in super().get_lr()]

        for thing in (Mine(stepping(), 3), stepping(), 0.1, None, lambda k: 1.0):
            with pytest.raises(ScheduleError, match=r"reads the schedulers of torch.optim.lr_scheduler, got"):
                from_torch(thing)

    def test_a_rate_changed_by_hand_is_noticed(self):
        optimizer = stepping()
        scheduler = L.StepLR(optimizer, 3)
        play(optimizer, scheduler, 4)
        optimizer.param_groups[1]["lr"] *= 0.5
        with pytest.raises(ScheduleError, match=r"0.002 at step 4, but the optimizer's group 1 has 0.001"):
            from_torch(scheduler)

    def test_two_schedulers_on_one_optimizer_are_noticed(self):
        optimizer = stepping()
        first, second = L.ConstantLR(optimizer, 0.5), L.ExponentialLR(optimizer, 0.9)
        for scheduler in (first, second):
            play(optimizer, scheduler, 1)
        for scheduler in (first, second):
            with pytest.raises(ScheduleError, match="something else has changed it"):
                from_torch(scheduler)

    def test_a_group_added_later_is_noticed(self):
        optimizer = stepping()
        scheduler = L.ExponentialLR(optimizer, 0.9)
        optimizer.add_param_group({"params": [torch.zeros(1)], "lr": 0.1})
        with pytest.raises(ScheduleError, match="made for 2 parameter groups, and its optimizer has 3"):
            from_torch(scheduler)


# -- Keras -----------------------------------------------------------------------------------------


def keras_values(schedule, count):
    import keras

    if keras.backend.backend() == "jax" and type(schedule).__name__.startswith("CosineDecay"):
        import jax

        found = jax.jit(jax.vmap(schedule))(keras.ops.arange(count, dtype="int32"))
        return [float(value) for value in keras.ops.convert_to_numpy(found)]
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(count)]


def agrees(rate, theirs, jumps=False):
    """Compare with single precision, in which a jump may come a hair too late or too early."""
    largest = max(theirs)
    late = 1e-6 if jumps else 0.0
    for k, their in enumerate(theirs):
        ours = [rate(k), rate(k * (1 - late)), rate(k * (1 + late))]
        assert any(math.isclose(our, their, rel_tol=1e-5, abs_tol=1e-5 * largest) for our in ours), (k, ours, their)
    assert type(rate) is Rate
    assert Rate.from_json(rate.to_json()) == rate


starts = st.floats(1e-4, 1.0)
shares = st.floats(0, 1)
#: Whole ones; what others come to in single precision has a test of its own.
powers = st.sampled_from([1.0, 2.0, 3.0])


def keras_class(name):
    import keras

    return getattr(keras.optimizers.schedules, name)


KERAS = {
    "ExponentialDecay": st.tuples(starts, counts, st.floats(0.3, 1.5), st.booleans()),
    "InverseTimeDecay": st.tuples(starts, counts, st.floats(0, 3), st.booleans()),
    "PolynomialDecay": st.tuples(starts, counts, st.floats(0, 1e-4), powers, st.booleans()),
    "CosineDecay": st.tuples(*(starts, counts, shares, st.just("name")), *(st.none() | starts, st.integers(0, 20))),
    "CosineDecayRestarts": st.tuples(
        starts, counts, st.sampled_from([1.0, 1.5, 2.0, 3]), st.sampled_from([1.0, 0.5, 0.9]), shares
    ),
}


class TestKeras:
    @pytest.mark.parametrize("name", KERAS)
    @settings(max_examples=5)
    @given(data=st.data())
    def test_what_is_read_is_what_keras_gives(self, name, data):
        arguments = data.draw(KERAS[name])
        schedule = keras_class(name)(*arguments)
        agrees(
            from_keras(schedule), keras_values(schedule, WHOLE), jumps=name.endswith("Restarts") or True in arguments
        )

    @settings(max_examples=5)
    @given(st.lists(st.integers(0, 60), min_size=1, max_size=4, unique=True), st.lists(starts, min_size=5, max_size=5))
    def test_a_boundary_still_has_the_old_value(self, bounds, values):
        schedule = keras_class("PiecewiseConstantDecay")(sorted(bounds), values[: len(bounds) + 1])
        rate = from_keras(schedule)
        agrees(rate, keras_values(schedule, WHOLE))
        first = min(bounds)
        assert (rate(first), rate(first + 1)) == (values[0], values[1])

    def test_the_optimizer_uses_what_was_read(self):
        import keras

        schedule = keras_class("CosineDecay")(0.0, 6, 0.1, warmup_target=0.1, warmup_steps=4)
        rate = from_keras(schedule)
        optimizer = keras.optimizers.SGD(schedule)
        weight = keras.Variable(np.zeros(1, "float32"))
        optimizer.build([weight])
        was, moved = 0.0, []
        for _ in range(12):
            optimizer.apply([keras.ops.ones(1)])
            now = float(keras.ops.convert_to_numpy(weight.value)[0])
            moved.append(was - now)
            was = now
        assert moved == pytest.approx(rate.table(12), abs=1e-6)

    def test_they_read_as_a_person_would_write_them(self):
        assert from_keras(keras_class("CosineDecay")(0.1, 90, 0.5)) == Rate.cosine(0.1, 0.05, steps=90)
        assert from_keras(keras_class("CosineDecay")(0.01, 90, 0.5, warmup_target=0.1, warmup_steps=10)) == (
            Rate.cosine(0.1, 0.05, steps=90).warmup(10, init=0.01)
        )
        assert from_keras(keras_class("PiecewiseConstantDecay")([29], [0.1, 0.01])) == (
            Rate.piecewise({0: 0.1, 30: 0.01})
        )
        assert from_keras(keras_class("PolynomialDecay")(0.1, 90)) == Rate.linear(0.1, 1e-4, steps=90)

    def test_ours_comes_back_as_it_was(self):
        rate = 0.1 * linear(steps=ct.schedules.share(1.0)).warmup(2)
        assert from_keras(rate.to_keras()) == rate

    def test_what_is_no_schedule_of_keras_is_refused(self):
        import keras

        class Mine(keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step):
                return 0.1

        for thing in (0.1, None, lambda step: 0.1, keras.optimizers.Adam(), Mine(), linear(steps=3)):
            with pytest.raises(ScheduleError, match=r"reads the schedules of keras.optimizers.schedules, got"):
                from_keras(thing)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("ExponentialDecay", (0.1, 10, 0.0)),
            ("ExponentialDecay", (-0.1, 10, 0.5)),
            ("CosineDecay", (0.1, 10, -0.5)),
            ("PiecewiseConstantDecay", ([20, 10], [0.1, 0.01, 0.001])),
            ("PolynomialDecay", (0.1, 10.5, 0.0, 1.0, True)),
            ("PolynomialDecay", (0.001, 10, 0.1, 1.0, True)),
        ],
    )
    def test_numbers_that_make_no_rate_are_refused(self, name, arguments):
        with pytest.raises(ScheduleError):
            from_keras(keras_class(name)(*arguments))

    def test_another_meaning_of_the_same_name_is_noticed(self, monkeypatch):
        schedule = keras_class("ExponentialDecay")(0.1, 10, 0.5)
        assert from_keras(schedule)(10) == 0.05
        monkeypatch.setattr(type(schedule), "__call__", lambda self, step: 0.1 * 0.5 ** ((step + 1.0) / 10.0))
        with pytest.raises(ScheduleError, match=r"ExponentialDecay reads as Rate.*, but gives"):
            from_keras(schedule)


# -- optax -----------------------------------------------------------------------------------------

begins = st.integers(-3, 20)
scales = st.dictionaries(st.integers(0, 60), st.floats(0.1, 3), max_size=4)

simple = st.one_of(
    st.builds(optax.constant_schedule, starts),
    st.builds(optax.polynomial_schedule, starts, starts, powers, st.integers(0, 40), begins),
    st.builds(optax.linear_schedule, shares, starts, st.integers(0, 40), begins),
    st.builds(
        optax.exponential_decay,
        *(starts, st.integers(0, 40), st.floats(0.3, 1.5), begins, st.booleans(), st.none() | starts),
    ),
    st.builds(optax.cosine_decay_schedule, starts, counts, shares, st.floats(0.5, 2)),
    st.builds(optax.piecewise_constant_schedule, starts, st.none() | scales),
)
interpolated = st.one_of(
    st.builds(optax.piecewise_interpolate_schedule, st.sampled_from(["linear", "cosine"]), starts, st.none() | scales),
    st.builds(optax.cosine_onecycle_schedule, st.integers(1, 60), starts, st.floats(0, 0.9)),
    st.builds(optax.linear_onecycle_schedule, st.integers(1, 60), starts, st.floats(0, 0.5), st.floats(0.6, 0.9)),
)
warm = st.one_of(
    st.builds(optax.warmup_constant_schedule, shares, starts, st.integers(0, 20)),
    st.builds(optax.warmup_cosine_decay_schedule, shares, starts, st.integers(0, 20), st.integers(21, 60), shares),
    st.builds(
        optax.warmup_exponential_decay_schedule,
        *(shares, starts, st.integers(0, 20), counts, st.floats(0.3, 1.0), begins, st.booleans()),
    ),
    st.builds(
        lambda peaks: optax.sgdr_schedule(
            {"init_value": 0.0, "peak_value": peak, "warmup_steps": 3, "decay_steps": 15} for peak in peaks
        ),
        st.lists(starts, min_size=1, max_size=4),
    ),
)


@st.composite
def joined(draw):
    parts = draw(st.lists(simple | warm, min_size=2, max_size=4))
    bounds = draw(st.lists(st.integers(0, 60), min_size=len(parts) - 1, max_size=len(parts) - 1))
    return optax.join_schedules(parts, sorted(bounds))


OPTAX = {"simple": simple, "interpolated": interpolated, "warm": warm, "joined": joined()}


class TestOptax:
    @pytest.mark.parametrize("kind", OPTAX)
    @settings(max_examples=6)
    @given(data=st.data())
    def test_what_is_read_is_what_optax_gives(self, kind, data):
        import jax

        schedule = data.draw(OPTAX[kind])
        theirs = np.asarray(jax.jit(jax.vmap(schedule))(np.arange(WHOLE, dtype=np.int32)))
        agrees(from_optax(schedule), [float(value) for value in theirs], jumps=True)

    def test_the_optimizer_uses_what_was_read(self):
        import jax

        schedule = optax.warmup_cosine_decay_schedule(0.0, 0.1, 4, 10, 0.01)
        rate = from_optax(schedule)
        made = optax.sgd(schedule)
        state, moved = made.init(jax.numpy.zeros(())), []
        update = jax.jit(made.update)
        for _ in range(13):
            change, state = update(jax.numpy.ones(()), state)
            moved.append(-float(change))
        assert moved == pytest.approx(rate.table(13), abs=1e-8)

    def test_they_read_as_a_person_would_write_them(self):
        assert from_optax(optax.cosine_decay_schedule(0.1, 90, 0.5)) == Rate.cosine(0.1, 0.05, steps=90)
        assert from_optax(optax.linear_schedule(0.1, 0.0, 90, 10)) == Rate.linear(0.1, 0.0, steps=90).shift(-10)
        assert from_optax(optax.warmup_cosine_decay_schedule(0.0, 0.1, 10, 100)) == (
            Rate.linear(0.0, 0.1, steps=10).then(Rate.cosine(0.1, 0.0, steps=90))
        )
        assert from_optax(optax.piecewise_constant_schedule(0.5, {30: 0.5, 60: 0.5})) == (
            Rate.piecewise({0: 0.5, 30: 0.25, 60: 0.125})
        )

    def test_numbers_of_jax_are_numbers(self):
        import jax.numpy as jnp

        read = from_optax(optax.cosine_decay_schedule(jnp.float32(0.5), jnp.int32(90), alpha=np.float64(0.5)))
        assert read == Rate.cosine(0.5, 0.25, steps=90)
        Rate.from_json(read.to_json())

    @pytest.fixture
    def compiled_well(self):
        """Undo for a moment what keeps other tests short."""
        import jax

        jax.config.update("jax_disable_most_optimizations", False)
        yield
        jax.config.update("jax_disable_most_optimizations", os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] == "1")

    def test_functions_that_optax_did_not_make_are_refused(self):
        import jax

        mine = optax.join_schedules([lambda step: 0.1, optax.constant_schedule(0.1)], [5])
        jitted = jax.jit(optax.constant_schedule(0.1))
        for thing in (lambda step: 0.1, mine, jitted, optax.adam, optax.adam(0.1), 0.1, None, linear(steps=3)):
            with pytest.raises(ScheduleError, match=r"got .*; write Rate.from_function\(f, steps=...\)"):
                from_optax(thing)

    def test_a_root_that_compiles_to_no_number_is_read_as_meant(self, compiled_well):
        import jax

        schedule = optax.polynomial_schedule(1.0, 0.5, 0.5, 3)
        assert math.isnan(jax.jit(jax.vmap(schedule))(np.arange(4))[3])
        assert from_optax(schedule) == Rate.polynomial(1.0, 0.5, steps=3, power=0.5)

    @pytest.mark.parametrize(
        "schedule",
        [
            optax.exponential_decay(0.1, 10, -0.5),
            optax.constant_schedule(-0.1),
            optax.piecewise_interpolate_schedule("linear", 0.1, {0.5: 0.1, 3.0: 0.5}),
            optax.join_schedules([optax.constant_schedule(0.1)] * 3, [20, 10]),
            optax.join_schedules([], []),
        ],
        ids=["negative decay", "negative rate", "half a step", "boundaries that fall", "nothing"],
    )
    def test_what_makes_no_rate_is_refused(self, schedule):
        with pytest.raises(ScheduleError):
            from_optax(schedule)

    def test_another_meaning_of_the_same_name_is_noticed(self):
        def cosine_decay_schedule(init_value, decay_steps, alpha, exponent):
            def schedule(count):
                fraction = (count + 1) / decay_steps
                return init_value * ((1 - alpha) * (0.5 + 0.5 * np.pi * fraction) ** exponent + alpha)

            schedule.__module__ = "optax.schedules._schedule"
            schedule.__qualname__ = "cosine_decay_schedule.<locals>.schedule"
            return schedule

        with pytest.raises(ScheduleError, match=r"cosine_decay_schedule reads as Rate.*, but gives"):
            from_optax(cosine_decay_schedule(0.1, 50, 0.0, 1.0))


# -- transformers ----------------------------------------------------------------------------------
#
# These have the names, arguments and formulas of transformers 5.23; it need not be installed.


def _get_constant_lambda(_=None):
    return 1


def rising(k, warmup):
    return k / max(1, warmup)


def _get_constant_schedule_with_warmup_lr_lambda(k, *, num_warmup_steps):
    return rising(k, num_warmup_steps) if k < num_warmup_steps else 1.0


def _get_linear_schedule_with_warmup_lr_lambda(k, *, num_warmup_steps, num_training_steps):
    if k < num_warmup_steps:
        return rising(k, num_warmup_steps)
    return max(0.0, (num_training_steps - k) / max(1, num_training_steps - num_warmup_steps))


def _get_cosine_schedule_with_warmup_lr_lambda(k, *, num_warmup_steps, num_training_steps, num_cycles, min_lr_rate=0.0):
    if k < num_warmup_steps:
        return rising(k, num_warmup_steps)
    progress = (k - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
    return max(0, 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * progress)) * (1 - min_lr_rate) + min_lr_rate)


def _get_cosine_with_hard_restarts_schedule_with_warmup_lr_lambda(
    k, *, num_warmup_steps, num_training_steps, num_cycles
):
    if k < num_warmup_steps:
        return rising(k, num_warmup_steps)
    progress = (k - num_warmup_steps) / max(1, num_training_steps - num_warmup_steps)
    return 0.0 if progress >= 1 else max(0.0, 0.5 * (1 + math.cos(math.pi * (num_cycles * progress % 1.0))))


def _get_polynomial_decay_schedule_with_warmup_lr_lambda(
    k, *, num_warmup_steps, num_training_steps, lr_end, power, lr_init
):
    if k < num_warmup_steps:
        return rising(k, num_warmup_steps)
    if k > num_training_steps:
        return lr_end / lr_init
    left = 1 - (k - num_warmup_steps) / (num_training_steps - num_warmup_steps)
    return ((lr_init - lr_end) * left**power + lr_end) / lr_init


def _get_inverse_sqrt_schedule_lr_lambda(k, *, num_warmup_steps, timescale=None):
    if k < num_warmup_steps:
        return rising(k, num_warmup_steps)
    return 1 / math.sqrt((k + timescale - num_warmup_steps) / timescale)


def _get_cosine_with_min_lr_schedule_with_warmup_lr_rate_lambda(
    k, *, num_warmup_steps, num_training_steps, num_cycles, min_lr_rate=0.0, warmup_lr_rate=None
):
    if k < num_warmup_steps:
        if warmup_lr_rate is None:
            return (k + 1.0) / max(1.0, num_warmup_steps)
        return warmup_lr_rate + (1.0 - warmup_lr_rate) * k / max(1, num_warmup_steps - 1)
    progress = (k - num_warmup_steps + 1.0) / max(1.0, num_training_steps - num_warmup_steps)
    return max(0, 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * progress)) * (1 - min_lr_rate) + min_lr_rate)


def _get_wsd_scheduler_lambda(
    k, *, num_warmup_steps, num_stable_steps, num_decay_steps, warmup_type, decay_type, min_lr_ratio, num_cycles
):
    if k < num_warmup_steps:
        part = rising(k, num_warmup_steps)
        bent = {"linear": part, "cosine": 0.5 * (1 - math.cos(math.pi * part)), "1-sqrt": 1 - math.sqrt(1 - part)}
        return max(0.0, bent[warmup_type] * (1 - min_lr_ratio) + min_lr_ratio)
    k -= num_warmup_steps + num_stable_steps
    if k < 0:
        return 1.0
    if k >= num_decay_steps:
        return min_lr_ratio
    part = k / max(1, num_decay_steps)
    wave = 0.5 * (1 + math.cos(math.pi * num_cycles * 2 * part))
    bent = {"linear": 1 - part, "cosine": wave, "1-sqrt": 1 - math.sqrt(part)}
    return max(0.0, bent[decay_type] * (1 - min_lr_ratio) + min_lr_ratio)


warmups, lengths, forms = st.integers(0, 20), st.integers(0, 60), st.sampled_from(["linear", "cosine", "1-sqrt"])
waves = st.sampled_from([0.5, 1, 2.5, 3])
run = {"num_warmup_steps": warmups, "num_training_steps": st.integers(1, 60)}


def held(function, **arguments):
    return st.builds(functools.partial, st.just(function), **arguments)


TRANSFORMERS = {
    "constant": st.just(_get_constant_lambda),
    "constant_with_warmup": held(_get_constant_schedule_with_warmup_lr_lambda, num_warmup_steps=warmups),
    "linear": held(_get_linear_schedule_with_warmup_lr_lambda, **run),
    "cosine": held(_get_cosine_schedule_with_warmup_lr_lambda, **run, num_cycles=waves),
    "cosine_with_min_lr": held(_get_cosine_schedule_with_warmup_lr_lambda, **run, num_cycles=waves, min_lr_rate=shares),
    "cosine_with_restarts": held(
        _get_cosine_with_hard_restarts_schedule_with_warmup_lr_lambda, **run, num_cycles=st.integers(1, 7)
    ),
    "polynomial": held(
        _get_polynomial_decay_schedule_with_warmup_lr_lambda,
        num_warmup_steps=warmups,
        num_training_steps=st.integers(21, 60),
        lr_end=st.floats(0, 0.01),
        power=st.floats(0.5, 3),
        lr_init=st.just(0.1),
    ),
    "inverse_sqrt": held(_get_inverse_sqrt_schedule_lr_lambda, num_warmup_steps=warmups, timescale=st.integers(1, 50)),
    "cosine_warmup_with_min_lr": held(
        _get_cosine_with_min_lr_schedule_with_warmup_lr_rate_lambda,
        **run,
        num_cycles=waves,
        min_lr_rate=shares,
        warmup_lr_rate=st.none() | shares,
    ),
    "warmup_stable_decay": held(
        _get_wsd_scheduler_lambda,
        num_warmup_steps=warmups,
        num_stable_steps=lengths,
        num_decay_steps=lengths,
        warmup_type=forms,
        decay_type=forms,
        min_lr_ratio=shares,
        num_cycles=waves,
    ),
}


class TestTransformers:
    @pytest.mark.parametrize("name", TRANSFORMERS)
    @given(data=st.data())
    def test_what_is_read_is_what_the_function_gives(self, name, data):
        function = data.draw(TRANSFORMERS[name])
        read = from_transformers(L.LambdaLR(stepping(), function))
        assert read.table(150) == pytest.approx([function(k) for k in range(150)], rel=1e-9, abs=1e-12)
        assert Factor.from_json(read.to_json()) == read

    def test_they_read_as_a_person_would_write_them(self):
        made = functools.partial(
            _get_linear_schedule_with_warmup_lr_lambda, num_warmup_steps=10, num_training_steps=100
        )
        assert from_transformers(L.LambdaLR(stepping(), made)) == linear(1.0, 0.0, steps=90).warmup(10)
        other = functools.partial(made, num_training_steps=50)
        assert from_transformers(L.LambdaLR(stepping(), [made, other])) == (
            linear(1.0, 0.0, steps=90).warmup(10),
            linear(1.0, 0.0, steps=40).warmup(10),
        )

    def test_the_real_ones(self):
        transformers = pytest.importorskip("transformers")
        special = {
            "cosine_with_min_lr": {"min_lr_rate": 0.1},
            "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1},
            "cosine_with_restarts": {"num_cycles": 4},
            "warmup_stable_decay": {"num_decay_steps": 30},
            "polynomial": {"power": 2.0},
        }
        seen = []
        for kind in transformers.SchedulerType:
            optimizer = stepping(0.3)
            scheduler = transformers.get_scheduler(
                kind, optimizer, num_warmup_steps=10, num_training_steps=90, scheduler_specific_kwargs=special.get(kind)
            )
            if kind in ("reduce_lr_on_plateau", "greedy"):
                with pytest.raises(ScheduleError, match="as a metric goes"):
                    from_transformers(scheduler)
                continue
            read = from_transformers(scheduler)
            for k, (theirs,) in enumerate(play(optimizer, scheduler, 120)):
                assert 0.3 * read(k) == pytest.approx(theirs, rel=1e-9, abs=1e-12)
            seen.append(kind)
        assert len(seen) >= 10

    def test_a_name_is_for_transformers_to_read(self):
        for first, options in [("cosine", {"num_warmup_steps": 5}), ("cosine", {}), (None, {"num_warmup_steps": 5})]:
            with pytest.raises(ScheduleError, match=r"get_scheduler\(.cosine., optimizer, num_warmup_steps"):
                from_transformers(first, **options)

    def test_what_transformers_did_not_make_is_refused(self):
        with pytest.raises(ScheduleError, match=r"does not know the function <lambda>; write Factor.from_function"):
            from_transformers(L.LambdaLR(stepping(), lambda k: 1.0))
        with pytest.raises(ScheduleError, match="does not know the function Factor"):
            from_transformers(L.LambdaLR(stepping(), linear(steps=3)))
        for thing in (L.StepLR(stepping(), 3), stepping(), None, lambda k: 1.0):
            with pytest.raises(ScheduleError, match="reads the LambdaLR that transformers makes, got"):
                from_transformers(thing)
        with pytest.raises(ScheduleError, match="as a metric goes"):
            from_transformers(L.ReduceLROnPlateau(stepping()))

    def test_a_run_too_short_for_its_parts_is_refused(self):
        made = functools.partial(
            _get_wsd_scheduler_lambda,
            num_warmup_steps=10,
            num_stable_steps=-5,
            num_decay_steps=20,
            warmup_type="linear",
            decay_type="linear",
            min_lr_ratio=0,
            num_cycles=0.5,
        )
        with pytest.raises(ScheduleError, match="are 5 more than the run has"):
            from_transformers(L.LambdaLR(stepping(), made))

    def test_another_meaning_of_the_same_name_is_noticed(self):
        def _get_linear_schedule_with_warmup_lr_lambda(k, *, num_warmup_steps, num_training_steps):
            return max(0.0, 1 - (k + 1) / num_training_steps)

        made = functools.partial(_get_linear_schedule_with_warmup_lr_lambda, num_warmup_steps=0, num_training_steps=100)
        with pytest.raises(ScheduleError, match=r"reads as Factor.*, but gives 0\.99 at step 0"):
            from_transformers(L.LambdaLR(stepping(), made))

    def test_a_function_that_lost_its_numbers_is_refused(self):
        # As one that was loaded: a partial keeps nothing in a scheduler's state.
        scheduler = L.LambdaLR(stepping(), lambda k: 1.0)
        scheduler.lr_lambdas = [functools.partial(_get_linear_schedule_with_warmup_lr_lambda, num_warmup_steps=3)] * 2
        with pytest.raises(ScheduleError, match=r"cannot be read: KeyError\('num_training_steps'\)"):
            from_transformers(scheduler)
