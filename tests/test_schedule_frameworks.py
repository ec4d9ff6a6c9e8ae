"""One declared schedule, and the rates that real optimizers use: the same ones in every framework.

The rates are read back from the optimizer, or from how far it moved a weight; never from our own object.
"""

import copy
import itertools
import json
import math
import os
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import choritsu as ct
from choritsu.errors import ScheduleError, ScheduleWarning, UnboundError, UnitError
from choritsu.schedules import (
    Factor,
    LearningRateScheduler,
    Rate,
    cosine,
    cyclic,
    epochs,
    exponential,
    inverse,
    inverse_sqrt,
    linear,
    noam,
    one_cycle,
    piecewise,
    polynomial,
    restarts,
    share,
    wsd,
)
from choritsu.schedules.tensors import computed

FACTORS = {
    "linear": linear(1.0, 0.0, steps=10),
    "warm cosine": cosine(1.0, 0.1, steps=7).warmup(3, init=0.25),
    "one cycle": one_cycle(steps=11),
    "staircase": exponential(1.0, decay=0.5, every=3, staircase=True),
    "restarts": restarts(steps=3, stretch=2, scale=0.5, end=0.125),
    "piecewise": piecewise({0: 1.0, 3: 0.1, 8: 0.01}),
    "noam": noam(warmup=4),
}
BASE = 0.1
COUNT = 12


def fresh(rate=BASE, groups=1, **options):
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(groups)]
    return torch.optim.SGD(
        [{"params": [weight], "lr": rate * (place + 1)} for place, weight in enumerate(weights)], lr=rate, **options
    )


def used(optimizer, scheduler, steps=COUNT):
    """Give the rate of the first group at each update."""
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


# -- the table of equalities -----------------------------------------------------------------------

PROGRAM = """
import json, sys
import keras, numpy as np
from choritsu import schedules
from choritsu.schedules import Factor, Rate

job = json.loads(sys.stdin.read())
x = np.ones((4, 1), "float32")


@keras.saving.register_keras_serializable()
def last(y_true, y_pred):
    return keras.ops.mean(y_pred)


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.after_epoch, self.moved, self.weight = [], [], 0.0

    def on_train_batch_end(self, batch, logs=None):
        weight = float(self.model.get_weights()[0][0, 0])
        self.moved.append(self.weight - weight)
        self.weight = weight

    def on_epoch_end(self, epoch, logs=None):
        self.after_epoch.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))


def train(rate, callbacks=(), accumulate=None, epochs=job["count"]):
    # The gradient is 1, so that each update moves the weight by the rate.
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(rate, gradient_accumulation_steps=accumulate), loss=last)
    rates = Rates()
    model.fit(x, x, batch_size=4, epochs=epochs, verbose=0, callbacks=[*callbacks, rates])
    return model, rates


out = {}
for name, text in job["factors"].items():
    factor = Factor.from_json(text)
    rate = job["base"] * factor
    per_step = train(rate.to_keras())[1]
    out[name] = {"rate, step": per_step.after_epoch, "rate, moved": per_step.moved}
    if name not in job["every_way"]:
        continue
    out[name] |= {
        "factor, step": train(factor.to_keras(job["base"]))[1].after_epoch,
        "rate, epoch": train(7.0, [rate.to_keras_callback()])[1].after_epoch,
        "factor, epoch": train(job["base"], [factor.to_keras_callback()])[1].after_epoch,
        "LearningRateScheduler": train(7.0, [keras.callbacks.LearningRateScheduler(lambda e: rate(e))])[1].after_epoch,
        "LambdaLR": train(job["base"], [schedules.LambdaLR(lambda e: factor(e))])[1].after_epoch,
        "accumulated": train(rate.to_keras(), accumulate=2)[1].moved[1::2],
    }
model, _ = train((job["base"] * Factor.from_json(job["factors"]["warm cosine"])).to_keras(), epochs=4)
model.save(sys.argv[1])
again = keras.models.load_model(sys.argv[1])
rates = Rates()
rates.weight = float(again.get_weights()[0][0, 0])
again.fit(x, x, batch_size=4, epochs=3, verbose=0, callbacks=[rates])
out["resumed"] = rates.moved
print("RESULT" + json.dumps(out))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_both_conventions_give_keras_the_same_rates(backend, tmp_path):
    job = {"factors": {name: factor.to_json() for name, factor in FACTORS.items()}, "base": BASE, "count": COUNT}
    job["every_way"] = ["warm cosine"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "model.keras")],
        input=json.dumps(job),
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout.partition("RESULT")[2])
    for name, factor in FACTORS.items():
        rates = [float(np.float32(BASE * factor(k))) for k in range(COUNT + 1)]
        told = out[name]
        # After epoch e, of a single update, the optimizer holds the rate of the next one.
        assert told["rate, step"] == rates[1:], name
        assert told["rate, moved"] == pytest.approx(rates[:-1], abs=2e-7)
        if name not in job["every_way"]:
            continue
        assert told["factor, step"] == rates[1:], name
        for way in ("rate, epoch", "factor, epoch", "LearningRateScheduler", "LambdaLR"):
            assert told[way] == rates[:-1], (name, way)
        assert told["accumulated"] == pytest.approx(rates[: COUNT // 2], abs=2e-7)
    whole = (BASE * FACTORS["warm cosine"]).table(7)
    assert out["resumed"] == pytest.approx(whole[4:], abs=2e-7)


@pytest.mark.parametrize("name", FACTORS)
def test_both_conventions_give_pytorch_the_same_rates(name):
    factor = FACTORS[name]
    rate = BASE * factor
    expected = [rate(k) for k in range(COUNT)]
    for make in (
        lambda optimizer: rate.to_torch(optimizer),
        lambda optimizer: factor.to_torch(optimizer),
        lambda optimizer: LearningRateScheduler(optimizer, lambda epoch: rate(epoch)),
        lambda optimizer: Rate.from_function(lambda epoch: rate(epoch)).to_torch(optimizer),
        lambda optimizer: Factor.from_function(lambda epoch: factor(epoch)).to_torch(optimizer),
        lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor),
        lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: factor(epoch)),
    ):
        optimizer = fresh()
        assert used(optimizer, make(optimizer)) == expected


@pytest.mark.parametrize("name", FACTORS)
def test_both_conventions_give_optax_the_same_rates(name):
    import jax
    import optax

    rate = BASE * FACTORS[name]
    for schedule in (rate.to_optax(), FACTORS[name].to_optax(BASE)):
        optimizer = optax.sgd(schedule)
        weight = jax.numpy.zeros(())
        state = optimizer.init(weight)
        update = jax.jit(optimizer.update)
        moved = []
        for _ in range(COUNT):
            change, state = update(jax.numpy.ones(()), state)
            moved.append(-float(change))
        assert moved == [float(np.float32(rate(k))) for k in range(COUNT)]


@pytest.mark.slow
@pytest.mark.parametrize("xp", ["numpy", "jax", "keras"])
def test_compiled_formulas_follow_the_plain_ones(xp):
    """Beyond the table, single precision is as good as single precision can be."""
    if xp == "numpy":
        library, read = np, np.float64
    elif xp == "jax":
        import jax.numpy as library

        read = library.float32
    else:
        from keras import ops as library

        read = np.float32
    shapes = [
        *FACTORS.values(),
        cyclic(0.1, 1.0, up=3, down=5, scale=0.5),
        cyclic(0.1, 1.0, up=3, decay=0.9),
        inverse_sqrt(warmup=5),
        inverse(1.0, decay=0.3, every=4, staircase=True),
        wsd(warmup=3, stable=4, decay=5, curve="1-sqrt"),
        polynomial(1.0, 0.1, steps=9, power=2.0).shift(2).clip(0.2, 0.8),
        linear(1.0, 0.0, steps=6).after("mirror"),
        linear(1.0, 0.0, steps=6).after("repeat"),
        piecewise({0: 1.0, 4: 0.1, 9: 0.5}, between="cosine"),
        piecewise({0: 1.0, 4: 0.1, 9: 0.5}, between="linear"),
        linear(0.5, 1.0, steps=4).then(cosine(1.0, 0.0, steps=8)).scaled(0.5).raised(0.25),
        linear(1.0, 0.0, steps=4).repeat(3, stretch=2.0),
        linear(1.0, 0.5, steps=8) * cosine(1.0, 0.5, steps=20),
        0.3 * linear(1.0, 0.0, steps=10) / 0.3,
        linear(1.0, 0.0, steps=5).shift(-3),
        Factor.constant(0.5),
        cosine(1.0, 0.0, steps=10).warmup(4, from_zero=False),
    ]
    for schedule in shapes:
        found = [float(computed(schedule.shape, read(step), library)) for step in range(40)]
        assert found == pytest.approx([schedule(step) for step in range(40)], abs=3e-6), schedule


# -- PyTorch ---------------------------------------------------------------------------------------


def test_a_rate_sets_every_group_and_a_factor_scales_each():
    optimizer = fresh(groups=3)
    with pytest.warns(ScheduleWarning, match=r"rates of their own \(0.1, 0.2, 0.3\).*\(rate / 0.1\).to_torch"):
        scheduler = Rate(0.5).to_torch(optimizer)
    assert scheduler.get_last_lr() == [0.5] * 3
    optimizer = fresh(groups=3)
    scheduler = Factor.constant(0.5).to_torch(optimizer)
    assert scheduler.get_last_lr() == [0.05, 0.1, 0.15000000000000002]


def test_what_is_only_handed_on_is_refused_as_if_it_were_given_itself():
    rate, factor = 0.1 * linear(steps=10), linear(steps=10)
    lrs = torch.optim.lr_scheduler

    def handing_on(epoch):
        return rate(epoch)

    for function in (handing_on, lambda epoch: rate(epoch), lambda k, curve=rate: curve(k)):
        with pytest.raises(UnitError, match="the product would be its square"):
            lrs.LambdaLR(fresh(), function)
    optimizer = fresh()
    scheduler = lrs.MultiplicativeLR(optimizer, factor)
    optimizer.step()
    with pytest.raises(UnitError, match="multiplies the rate in force anew at each step"):
        scheduler.step()
    # What is made of it first is the user's own, and so is a rate that is scaled by 1.
    assert lrs.LambdaLR(fresh(), lambda epoch: rate(epoch) / 0.1).get_last_lr() == [0.1]
    assert lrs.LambdaLR(fresh(), lambda epoch: factor(epoch)).get_last_lr() == [0.1]
    once = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    assert lrs.LambdaLR(once, lambda epoch: rate(epoch)).get_last_lr() == [0.1]


def test_a_factor_that_is_only_handed_on_to_keras_is_refused(keras):
    factor = linear(steps=10)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    callback = keras.callbacks.LearningRateScheduler(lambda epoch: factor(epoch))
    with pytest.raises(UnitError, match="is a factor of one"):
        model.fit(np.zeros((4, 1)), np.zeros((4, 1)), callbacks=[callback], verbose=0)


@pytest.mark.parametrize("wrong", [0, -1, True, "x", math.inf, Rate(0.1)], ids=repr)
def test_the_rate_that_a_callback_scales_is_checked_when_it_is_made(keras, wrong):
    with pytest.raises(ScheduleError, match="base_rate, the rate where the factor is 1, must be a finite number above"):
        linear(steps=10).to_keras_callback(base_rate=wrong)


def test_each_group_may_have_a_schedule_of_its_own():
    first, second = Factor.from_function([lambda epoch: 0.5**epoch, lambda epoch: 1 / (1 + epoch)])
    optimizer = fresh(groups=2)
    scheduler = ct.schedules.to_torch(optimizer, [first, second])
    theirs = fresh(groups=2)
    lambdas = torch.optim.lr_scheduler.LambdaLR(theirs, [lambda epoch: 0.5**epoch, lambda epoch: 1 / (1 + epoch)])
    for _ in range(5):
        assert scheduler.get_last_lr() == lambdas.get_last_lr()
        for one, other in ((optimizer, scheduler), (theirs, lambdas)):
            one.step()
            other.step()


def test_groups_may_mix_rates_and_factors():
    optimizer = fresh(groups=2)
    scheduler = ct.schedules.to_torch(optimizer, [Rate(0.5), linear(steps=share(1.0))], horizon=4)
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 0.2 * 0.75]
    with pytest.raises(ScheduleError, match="2 parameter groups, and there are 1"):
        ct.schedules.to_torch(fresh(groups=2), [Rate(0.5)])
    with pytest.raises(ScheduleError, match=r"Factor\.from_function"):
        ct.schedules.to_torch(fresh(groups=1), [lambda epoch: 0.5])


def test_a_keras_style_list_for_groups():
    optimizer = fresh(groups=2)
    scheduler = LearningRateScheduler(optimizer, [lambda epoch: 0.1 / (epoch + 1), Rate(0.5)])
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.5]
    with pytest.raises(ScheduleError, match="2 parameter groups, and there are 3"):
        LearningRateScheduler(fresh(groups=2), [Rate(0.1)] * 3)


def test_a_keras_style_function_of_the_rate_in_force():
    optimizer = fresh(0.1)
    scheduler = LearningRateScheduler(optimizer, lambda epoch, lr: lr * 0.5 if epoch else lr)
    assert used(optimizer, scheduler, 4) == [0.1, 0.05, 0.025, 0.0125]


@pytest.mark.parametrize("order", ["optimizer first", "scheduler first", "built last"])
@pytest.mark.parametrize("kind", ["rate", "factor", "function"])
def test_a_loaded_scheduler_goes_on_whatever_is_loaded_first(kind, order):
    factor = FACTORS["warm cosine"]
    makes = {
        "rate": lambda optimizer: (BASE * factor).to_torch(optimizer),
        "factor": lambda optimizer: factor.to_torch(optimizer),
        "function": lambda optimizer: LearningRateScheduler(optimizer, lambda epoch: BASE * factor(epoch)),
    }
    make = makes[kind]
    optimizer = fresh(momentum=0.9)
    whole = used(optimizer, make(optimizer))
    optimizer = fresh(momentum=0.9)
    scheduler = make(optimizer)
    used(optimizer, scheduler, 5)
    kept = copy.deepcopy((optimizer.state_dict(), json.loads(json.dumps(scheduler.state_dict()))))

    optimizer = fresh(momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if order == "built last":
            optimizer.load_state_dict(kept[0])
            scheduler = make(optimizer)
            scheduler.load_state_dict(kept[1])
        else:
            scheduler = make(optimizer)
            if order == "optimizer first":
                optimizer.load_state_dict(kept[0])
                scheduler.load_state_dict(kept[1])
            else:
                scheduler.load_state_dict(kept[1])
                optimizer.load_state_dict(kept[0])
        assert used(optimizer, scheduler, COUNT - 5) == whole[5:]


def test_a_state_of_another_schedule_is_noticed():
    optimizer = fresh()
    state = (BASE * linear(steps=10)).to_torch(optimizer).state_dict()
    with pytest.warns(ScheduleWarning, match="saved with another schedule"):
        (BASE * linear(steps=20)).to_torch(fresh()).load_state_dict(state)
    with pytest.raises(ScheduleError, match="no scheduler's state: it holds nothing"):
        (BASE * linear(steps=20)).to_torch(fresh()).load_state_dict({})


def test_the_state_of_torch_s_own_scheduler_is_taken_over():
    optimizer = fresh()
    theirs = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: (10 - epoch) / 10)
    used(optimizer, theirs, 4)
    other = fresh(0.7)
    scheduler = linear(steps=10).to_torch(other)
    scheduler.load_state_dict(theirs.state_dict())
    assert scheduler.get_last_lr() == theirs.get_last_lr()


def test_a_second_scheduler_is_refused():
    optimizer = fresh()
    first = (BASE * linear(steps=10)).to_torch(optimizer)
    with pytest.raises(ScheduleError, match="has a scheduler already, a Scheduler"):
        (BASE * linear(steps=10)).to_torch(optimizer)
    again = (BASE * linear(steps=5)).to_torch(optimizer, replace=True)
    assert used(optimizer, again, 5) == (BASE * linear(steps=5)).table()
    theirs = fresh()
    second = torch.optim.lr_scheduler.StepLR(theirs, 3)
    with pytest.raises(ScheduleError, match="has a scheduler already, a StepLR"):
        linear(steps=10).to_torch(theirs)
    assert first.last_epoch + second.last_epoch == 0


def test_a_scheduler_that_was_never_made_is_none():
    rate, optimizer = BASE * linear(steps=10), fresh()
    with pytest.raises(UnitError, match=r"Write rate\.to_torch\(optimizer\)") as caught:
        torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    # What was raised keeps the failed one alive, as a notebook does.
    assert used(optimizer, rate.to_torch(optimizer), 10) == rate.table()
    assert caught.value is not None


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_sequence_of_ours_and_theirs_is_no_quarrel(ours_first):
    optimizer = fresh()
    make = {
        True: lambda: linear(0.1, 1.0, steps=3).to_torch(optimizer, replace=True),
        False: lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9),
    }
    parts = [make[ours_first](), make[not ours_first]()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[3])
        found = used(optimizer, whole, 6)
    ours, theirs = linear(0.1, 1.0, steps=3), cosine(steps=9)
    first, then = (ours, theirs) if ours_first else (theirs, ours)
    assert found == pytest.approx((BASE * first.then(then, at=3)).table(6))


def test_a_rate_without_a_length_says_what_to_give_to_torch():
    with pytest.raises(UnboundError, match=r"the whole run: rate\.to_torch\(optimizer, horizon=\.\.\.\)"):
        (BASE * linear(steps=share(1.0))).to_torch(fresh())
    with pytest.raises(UnboundError, match=r"factor\.to_torch\(optimizer, steps_per_epoch=\.\.\., horizon=\.\.\.\)"):
        linear(steps=share(1.0) + epochs(1)).to_torch(fresh())
    with pytest.raises(UnboundError, match=r"rate\.to_torch\(optimizer, steps_per_epoch=\.\.\.\)"):
        ct.schedules.to_torch(fresh(), [BASE * linear(steps=epochs(1))])


def test_a_function_that_gives_no_rate_gets_a_sentence():
    with pytest.raises(ScheduleError, match="gives None at step 0"):
        LearningRateScheduler(fresh(), lambda epoch: None)
    with pytest.raises(ScheduleError, match="gives 'x' at step 0"):
        LearningRateScheduler(fresh(), lambda epoch, lr: "x")


def test_a_rate_changed_by_somebody_else_is_noticed_once():
    optimizer = fresh()
    scheduler = (BASE * linear(steps=10)).to_torch(optimizer)
    optimizer.param_groups[0]["lr"] = 0.7
    optimizer.step()
    with pytest.warns(ScheduleWarning, match=r"is 0\.7, and this scheduler had set it to 0\.1"):
        scheduler.step()
    assert scheduler.get_last_lr() == [BASE * linear(steps=10)(1)]
    optimizer.param_groups[0]["lr"] = 0.7
    scheduler.step()


def test_a_group_that_comes_later_joins_in():
    optimizer = fresh()
    scheduler = linear(1.0, 0.0, steps=4).to_torch(optimizer)
    optimizer.step()
    scheduler.step()
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 1.0})
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.5]


def test_tensor_rates_are_changed_in_place():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=torch.tensor(0.1), capturable=False)
    held = optimizer.param_groups[0]["lr"]
    scheduler = linear(1.0, 0.0, steps=4).to_torch(optimizer)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == pytest.approx(0.075)


def test_stepping_in_the_wrong_order_is_told():
    optimizer = fresh()
    scheduler = (BASE * linear(steps=10)).to_torch(optimizer)
    with pytest.warns(UserWarning, match=r"lr_scheduler\.step\(\)` before `optimizer\.step"):
        scheduler.step()


def test_a_scheduler_is_one_of_torch_s_and_can_be_kept():
    optimizer = fresh()
    scheduler = (BASE * linear(steps=10)).to_torch(optimizer)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    assert pickle.loads(pickle.dumps(scheduler)).get_last_lr() == scheduler.get_last_lr()


def test_epochs_and_shares_become_steps_at_the_door():
    rate = BASE * linear(1.0, 0.0, steps=epochs(2)).warmup(share(0.1))
    with pytest.raises(UnboundError, match=r"steps_per_epoch"):
        rate.to_torch(fresh())
    optimizer = fresh()
    scheduler = rate.to_torch(optimizer, steps_per_epoch=5, horizon=20)
    assert used(optimizer, scheduler) == (BASE * linear(1.0, 0.0, steps=10).warmup(2)).table(COUNT)


def test_what_is_no_optimizer():
    with pytest.raises(ScheduleError, match=r"takes a torch optimizer, got str; in Keras write to_keras\(\)"):
        Rate(0.1).to_torch("adam")


def test_the_faces_refuse_the_other_unit():
    with pytest.raises(UnitError, match="a Factor is no Rate"):
        LearningRateScheduler(fresh(), linear(steps=10))
    with pytest.raises(UnitError, match="a Rate is no Factor"):
        ct.schedules.LambdaLR(Rate(0.1))


# -- Keras -----------------------------------------------------------------------------------------


@pytest.fixture
def keras():
    import keras

    return keras


@pytest.fixture
def fit(keras):
    x = np.ones((8, 1), "float32")

    def run(rate, callbacks=(), model=None, **options):
        if model is None:
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            model.compile(keras.optimizers.SGD(rate), "mse")
        history = model.fit(x, x, **{"batch_size": 4, "verbose": 0, "callbacks": [*callbacks], **options})
        return model, history

    return run


def test_the_rate_is_in_the_logs_of_each_epoch(fit, capsys):
    _, history = fit(1.0, [(1e-3 * linear(steps=4)).to_keras_callback(verbose=1)], epochs=2)
    assert history.history["learning_rate"] == [float(np.float32(0.001)), float(np.float32(0.00075))]
    assert capsys.readouterr().out == "Epoch 1: learning rate 0.001\nEpoch 2: learning rate 0.00075\n"


def test_a_second_fit_scales_the_first_rate_again(fit):
    """PyTorch keeps the base rate with the optimizer; so do we, and nobody trains at the square of a factor."""
    factor = Factor.from_function(lambda epoch: 0.5)
    model, _ = fit(0.1, [factor.to_keras_callback()], epochs=1)
    _, history = fit(None, [factor.to_keras_callback()], model=model, epochs=1)
    assert history.history["learning_rate"] == [pytest.approx(0.05)]
    model.optimizer.learning_rate = 1.0
    _, history = fit(None, [factor.to_keras_callback()], model=model, epochs=1)
    assert history.history["learning_rate"] == [0.5]


def test_going_on_in_the_middle_asks_for_the_base(fit):
    with pytest.warns(ScheduleWarning, match="goes on at epoch 2"):
        fit(0.1, [linear(steps=4).to_keras_callback()], initial_epoch=2, epochs=3)
    _, history = fit(0.025, [linear(steps=4).to_keras_callback(base_rate=0.1)], initial_epoch=2, epochs=3)
    assert history.history["learning_rate"] == [pytest.approx(0.05)]


def test_a_callback_cannot_set_the_rate_of_an_optimizer_with_a_schedule(fit):
    with pytest.raises(ScheduleError, match="follows a schedule of its own"):
        fit(Rate(0.1).to_keras(), [Rate(0.1).to_keras_callback()])


def test_a_rate_of_the_whole_run_waits_for_its_length(fit, keras):
    from choritsu.schedules.keras import Bind

    rate = 0.1 * linear(1.0, 0.0, steps=share(1.0))
    with pytest.raises(UnboundError, match=r"rate\.bind\("):
        rate.to_keras()(0)
    model, _ = fit(rate.to_keras(), epochs=3)
    assert float(model.optimizer.learning_rate) == 0.0
    model, _ = fit(rate.to_keras(), [Bind(epochs=6)], epochs=3)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    model, _ = fit((0.1 * linear(1.0, 0.0, steps=epochs(6))).to_keras(), epochs=3)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


def movements(keras, model, **options):
    """Train, and give how far each epoch moved the bias, which has a gradient of 1: the sum of its rates."""
    noted = [float(model.get_weights()[-1][0])]
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: noted.append(float(model.get_weights()[-1][0]))
    )
    x = np.ones((8, 1), "float32")
    model.fit(x, x, batch_size=4, verbose=0, callbacks=[note], **options)
    return [round(before - after, 5) for before, after in itertools.pairwise(noted)]


@pytest.fixture
def moving(keras):
    def make(schedule):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(schedule), lambda true, given: keras.ops.mean(given))
        return model

    return make


def stretched(epochs, begin=0, steps=2):
    """Give what `movements` gives for a line from 1 to 0 over so many epochs of two updates."""
    rate = Rate.linear(1.0, 0.0, steps=epochs * steps)
    return [round(sum(rate(epoch * steps + step) for step in range(steps)), 5) for epoch in range(begin, epochs)]


def test_each_fit_stretches_the_rate_to_itself(keras, moving, tmp_path):
    model = moving((1.0 * linear(steps=share(1.0))).to_keras())
    assert movements(keras, model, epochs=2) == stretched(2)
    assert movements(keras, model, epochs=3) == stretched(3)
    assert movements(keras, model, epochs=6, initial_epoch=3) == stretched(6, begin=3)
    model.compile(model.optimizer, "mse")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.learning_rate) == 0.0
    loaded.compile(loaded.optimizer, lambda true, given: keras.ops.mean(given))
    assert movements(keras, loaded, epochs=8, initial_epoch=6) == stretched(8, begin=6)
    assert movements(keras, loaded, epochs=1) == stretched(1)


def test_a_fit_goes_on_by_its_epoch_where_the_count_was_lost(keras, moving):
    model = moving((1.0 * linear(steps=share(1.0))).to_keras())
    assert movements(keras, model, epochs=4, initial_epoch=2) == stretched(4, begin=2)


def test_one_schedule_in_two_models_follows_each(keras, moving):
    schedule = (1.0 * linear(steps=share(1.0))).to_keras()
    one, other = moving(schedule), moving(schedule)
    assert movements(keras, one, epochs=2) == stretched(2)
    assert movements(keras, other, epochs=3) == stretched(3)
    assert movements(keras, one, epochs=4, initial_epoch=2) == stretched(4, begin=2)


def test_a_longer_training_is_said_once_for_all_its_fits(keras, moving):
    from choritsu.schedules.keras import Bind

    model = moving((1.0 * linear(steps=share(1.0))).to_keras())
    x = np.ones((8, 1), "float32")
    for epoch in range(3):
        model.fit(x, x, batch_size=4, verbose=0, initial_epoch=epoch, epochs=epoch + 1, callbacks=[Bind(3)])
    assert float(model.get_weights()[-1][0]) == pytest.approx(-sum(stretched(3)), rel=1e-5)


def test_a_bound_schedule_is_left_alone(keras, moving):
    schedule = (1.0 * linear(steps=share(1.0))).to_keras()
    schedule.bind(horizon=8)
    assert movements(keras, moving(schedule), epochs=2) == stretched(4)[:2]


def test_a_length_that_is_not_known_harms_no_model(keras, moving):
    def endless():
        while True:
            yield np.ones((4, 1), "float32"), np.ones((4, 1), "float32")

    model = moving((1.0 * linear(steps=share(1.0))).to_keras())
    with pytest.raises(UnboundError, match="steps_per_epoch"):
        model.fit(endless(), verbose=0, shuffle=False)
    assert model.predict(np.ones((1, 1), "float32"), verbose=0).shape == (1, 1)
    assert movements(keras, model, epochs=1) == stretched(1)


def test_a_callback_of_shares_follows_each_fit(fit):
    callback = (1.0 * linear(steps=share(1.0))).to_keras_callback()
    for count in (2, 4):
        _, history = fit(1.0, [callback], epochs=count)
        assert history.history["learning_rate"] == Rate.linear(1.0, 0.0, steps=count).table()


def test_keras_is_as_it_was_when_nobody_waits():
    program = textwrap.dedent(
        """
        import gc, keras
        from choritsu.schedules import linear, share
        before = keras.callbacks.CallbackList.__init__
        (0.1 * linear(steps=5)).to_keras()
        assert keras.callbacks.CallbackList.__init__ is before
        waiting = [(0.1 * linear(steps=share(1))).to_keras() for _ in range(2)]
        assert keras.callbacks.CallbackList.__init__ is not before
        waiting.pop(), gc.collect()
        assert keras.callbacks.CallbackList.__init__ is not before
        waiting.pop(), gc.collect()
        assert keras.callbacks.CallbackList.__init__ is before
        """
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})


@pytest.mark.parametrize(("part", "begun"), [(share(1.0), 2), (epochs(2), 2)])
def test_the_schedule_of_an_optimizer_says_what_it_is(keras, moving, part, begun):
    schedule = (1.0 * linear(steps=part)).to_keras()
    assert (schedule.waits, schedule.is_bound) == (True, False)
    model = moving(schedule)
    movements(keras, model, epochs=begun)
    assert (schedule.waits, schedule.is_bound, schedule.shape.length) == (True, True, 4)
    copied = copy.deepcopy(schedule)
    assert (copied.planned, copied.shape) == (schedule.planned, schedule.shape)


def test_an_error_at_the_end_cannot_be_compiled():
    ending = Rate.linear(0.1, steps=4).after("error")
    for make in (ending.to_keras, ending.to_optax):
        with pytest.raises(ScheduleError, match="cannot raise an error"):
            make()


def test_a_function_is_kept_with_the_model_as_its_values(keras, moving, tmp_path):
    model = moving(Rate.from_function(lambda step: 1.0 / (step + 1), steps=4).to_keras())
    found = movements(keras, model, epochs=1)
    model.compile(model.optimizer, "mse")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert found == [1.5]
    assert float(loaded.optimizer.learning_rate) == pytest.approx(1 / 3)


def test_a_function_without_an_end_is_refused_before_any_training():
    with pytest.raises(ScheduleError, match=r"from_function\(f, steps=\.\.\.\)"):
        Rate.from_function(lambda step: 0.1 / (step + 1)).to_keras()


def test_a_function_is_tabulated_for_keras(fit):
    with pytest.raises(ScheduleError, match=r"from_function\(f, steps=\.\.\.\)"):
        fit(Rate.from_function(lambda step: 0.1 / (step + 1)).to_keras())
    model, _ = fit(Rate.from_function(lambda step: 0.1 / (step + 1), steps=10).to_keras(), epochs=2)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)


def test_without_an_end_the_table_goes_over_into_the_formula(keras):
    rate = 0.1 * inverse(every=3, power=0.5).warmup(2)
    schedule = rate.to_keras(horizon=5)
    found = [float(schedule(np.int32(step))) for step in range(100)]
    assert found[:6] == [float(np.float32(rate(step))) for step in range(6)]
    assert found == pytest.approx(rate.table(100), rel=1e-6)


def test_the_keras_callback_takes_no_list():
    with pytest.raises(UnitError, match="one learning rate"):
        ct.schedules.LambdaLR([lambda epoch: 1.0])


def test_optimizers_get_a_sentence_for_a_bare_value(fit):
    with pytest.raises(TypeError, match=r"write rate\.to_keras\(\)"):
        fit(Rate(0.1))
    with pytest.raises(TypeError, match=r"\(0\.1 \* factor\)\.to_keras\(\)"):
        fit(linear(steps=10))


# -- tuning ----------------------------------------------------------------------------------------


class TestLearningRate:
    def asked(self, *arguments, **options):
        hp = ct.HyperParameters()
        return hp, hp.LearningRate("lr", *arguments, **options)

    def test_what_leaves_a_choice_is_a_hyperparameter(self):
        hp, rate = self.asked(1e-4, 1e-1, ["linear", "cosine"], (0.0, 0.2), (0.0, 0.1))
        assert [parameter.name for parameter in hp.space] == ["lr/peak", "lr/shape", "lr/warmup", "lr/end"]
        assert isinstance(rate, Rate)
        hp, rate = self.asked(1e-2, 1e-2, "cosine", 0.1, 0.5)
        assert not hp.values
        assert rate == 1e-2 * cosine(1.0, 0.5, steps=share(0.9)).warmup(share(0.1))

    def test_an_end_is_asked_of_shapes_that_have_one(self):
        hp, _ = self.asked(1e-4, 1e-1, ["constant", "linear"], 0.0, (0.0, 0.1))
        assert hp.values == {"lr/peak": 1e-4, "lr/shape": "constant"}
        _, rate = self.asked(1e-4, 1e-1, "constant", 0.0, (0.0, 0.1))
        # It needs no length, and waits for none.
        assert rate.is_bound
        assert rate.table(5) == [1e-4] * 5

    @given(
        st.sampled_from(["constant", "linear", "cosine", "exponential", "inverse_sqrt", "wsd"]),
        st.floats(0, 0.7),
        st.floats(0.01, 1),
        st.integers(10, 500),
    )
    # A warm-up shorter than a step: the highest factor lies between two.
    @example("inverse_sqrt", 1e-5, 1.0, 10)
    @settings(max_examples=60, deadline=None)
    def test_every_rate_fills_the_run_and_stays_below_its_peak(self, shape, warmup, end, horizon):
        _, rate = self.asked(0.1, 0.1, shape, warmup, end)
        bound = rate.bind(horizon=horizon)
        assert bound.length == (math.inf if shape == "constant" else pytest.approx(horizon))
        table = [bound(step) for step in range(horizon + 1)]
        assert max(table) <= 0.1 * (1 + 1e-12)
        if shape in ("linear", "cosine", "exponential", "wsd"):
            assert table[-1] == pytest.approx(0.1 * end)
        if warmup * horizon >= 1:
            assert table[0] == 0

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"shapes": []}, "at least one shape"),
            ({"shapes": ["linear", "linear"]}, "each once"),
            ({"shapes": ["sine"]}, "constant, linear, cosine"),
            ({"shapes": ["exponential"]}, "never reaches 0"),
            ({"shapes": ["linear", "exponential"], "end": (0.0, 0.2)}, r"the range above 0: end=\(0.01, 0.2\)"),
            ({"warmup": 1.0}, "leaves room"),
            ({"warmup": (0.2, 0.1)}, "a number or a range"),
            ({"warmup": "long"}, "a number or a range"),
            ({"end": 2.0}, "between 0 and 1"),
            ({"shapes": ["wsd"], "warmup": (0.0, 0.9)}, "leaves room"),
            ({"low": 0}, "min_value must be above 0, got 0; write min_value=1e-5"),
        ],
    )
    def test_misuse(self, options, said):
        with pytest.raises(ValueError, match=said) as caught:
            self.asked(options.pop("low", 1e-4), 1e-1, **options)
        assert "'lr'" in str(caught.value)

    def test_conditions_hold_for_it_too(self):
        hp = ct.HyperParameters()
        hp.Choice("optimizer", ["sgd", "adam"])
        with hp.conditional_scope("optimizer", ["adam"]):
            assert hp.LearningRate("lr", 1e-4, 1e-1) is None
        assert hp.LearningRate("other", 1e-4, 1e-1, parent_name="optimizer", parent_values=["adam"]) is None
        assert hp.LearningRate("third", 1e-4, 1e-1, parent_name="optimizer", parent_values=["sgd"]) is not None

    def test_a_keras_trial_tells_the_length_and_notes_what_was_used(self, keras, tmp_path):
        def build(hp):
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            rate = hp.LearningRate("lr", 0.1, 0.1, shapes=["linear"], end=0.0)
            model.compile(keras.optimizers.SGD(rate.to_keras()), "mse")
            return model

        store = ct.MemoryStore()
        tuner = ct.RandomSearch(build, "loss", max_trials=1, directory=tmp_path, seed=0, store=store)
        x = np.ones((8, 1), "float32")
        tuner.search(x, x, epochs=4, batch_size=4, verbose=0)
        rates = [report.metrics["learning_rate"] for report in store.reports(0)[0]]
        # Two updates an epoch; the rate of the last of them.
        assert rates == [pytest.approx(0.1 * (8 - k) / 8) for k in (1, 3, 5, 7)]

    def test_the_best_model_is_trained_again_as_it_is(self, keras, tmp_path):
        """Keras Tuner's recipe: the best model, or one built of the best values, and a plain fit."""

        def build(hp):
            model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
            rate = hp.LearningRate("lr", 0.1, 0.1, shapes=["linear"])
            model.compile(keras.optimizers.SGD(rate.to_keras()), "mse")
            return model

        tuner = ct.RandomSearch(build, "loss", max_trials=1, directory=tmp_path, seed=0)
        x = np.ones((8, 1), "float32")
        tuner.search(x, x, epochs=4, batch_size=4, verbose=0)
        hp = tuner.get_best_hyperparameters()[0]
        for model in (tuner.get_best_models()[0], tuner.hypermodel.build(hp)):
            noted = ct.schedules.record(per="step")
            model.fit(x, x, epochs=2, batch_size=4, verbose=0, callbacks=[noted])
            assert noted.compare(0.1 * linear(steps=4))

    def test_a_function_that_fits_by_itself_needs_no_length(self, keras, tmp_path):
        schedule = (0.1 * linear(steps=share(1.0))).to_keras()

        def train(hp):
            count = hp.Int("epochs", 1, 3)
            used = []
            for rate in (hp.LearningRate("lr", 0.1, 0.1, shapes=["linear"]).to_keras(), schedule):
                model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
                model.compile(keras.optimizers.SGD(rate), "mse")
                noted = ct.schedules.record(per="step")
                model.fit(np.ones((8, 1)), np.ones((8, 1)), epochs=count, batch_size=4, verbose=0, callbacks=[noted])
                used.append(bool(noted.compare(0.1 * linear(steps=2 * count))))
            return {"right": float(all(used))}

        objective = ct.Objective("right", "max")
        tuner = ct.GridSearch(train, objective, max_trials=3, directory=tmp_path)
        tuner.search(verbose=0)
        assert [trial.score for trial in tuner.oracle.get_best_trials(3)] == [1.0] * 3

    def test_a_torch_trial_notes_what_was_used(self, tmp_path):
        def train(hp, trial):
            optimizer = fresh()
            rate = hp.LearningRate("lr", 0.1, 0.1, shapes=["linear"])
            scheduler = rate.to_torch(optimizer, horizon=6)
            for _ in range(3):
                for _ in range(2):
                    optimizer.step()
                    scheduler.step()
                trial.report(loss=1.0)

        store = ct.MemoryStore()
        tuner = ct.RandomSearch(train, ct.Objective("loss", "min"), max_trials=1, directory=tmp_path, store=store)
        tuner.search(verbose=0)
        rates = [report.metrics["learning_rate"] for report in store.reports(0)[0]]
        assert rates == [pytest.approx(0.1 * (6 - k) / 6) for k in (1, 3, 5)]
