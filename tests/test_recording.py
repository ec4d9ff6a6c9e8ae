"""The recorder notes the rates that are really used, and says where they differ from what was declared."""

import copy
import math
import os
import subprocess
import sys
import textwrap
import warnings

import keras
import numpy as np
import pytest
import torch

import choritsu as ct
from choritsu import schedules
from choritsu.errors import FatalValueError, ScheduleError
from choritsu.schedules.recording import Comparison, record
from choritsu.schedules.recording.keras import KerasRecorder
from choritsu.schedules.recording.torch import TorchRecorder
from choritsu.trials import Status

RATE = 1e-3 * schedules.linear(1.0, 0.0, steps=10)


def optimizer(lr=1e-3, groups=1, kind=torch.optim.Adam):
    return kind([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr / 10**index} for index in range(groups)])


def train_and_fail(one):
    one.step()
    return 1 / 0


def torch_run(one, scheduler, recorder, epochs=10, steps=1):
    for _ in range(epochs):
        for _ in range(steps):
            one.step()
        scheduler.step()
        if recorder.per == "epoch":
            recorder.epoch()


def keras_run(rate, recorder, *callbacks, epochs=3, **options):
    """Train on 20 samples in 5 batches, one model at a time."""
    with warnings.catch_warnings():
        # JAX asks Keras to write its conversions anew.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate, **options.pop("optimizer", {})), loss="mse", **options)
        x = np.ones((20, 1), "float32")
        model.fit(x, x, epochs=epochs, batch_size=4, verbose=0, callbacks=[*callbacks, recorder])
    return model


# -- PyTorch ---------------------------------------------------------------------------------------


def test_what_cannot_be_compared_gets_a_sentence():
    with record(optimizer(groups=2)) as recorder:
        with pytest.raises(ScheduleError, match=r"Rate\(1e-3\)"):
            recorder.compare(1e-3)
        with pytest.raises(ScheduleError, match="from 0 to 1, got group=3"):
            recorder.compare(RATE, group=3)


def test_torch_each_step():
    one = optimizer()
    scheduler = RATE.to_torch(one)
    with record(one) as recorder:
        torch_run(one, scheduler, recorder)
    assert type(recorder) is TorchRecorder
    assert recorder.rates == RATE.table()
    comparison = recorder.compare(RATE)
    assert comparison
    assert repr(comparison) == "equal in all 10 steps"
    one.step()
    assert len(recorder.rates) == 10


def test_torch_each_epoch_and_printing(capsys):
    one = optimizer()
    recorder = record(one, per="epoch", verbose=1)
    torch_run(one, RATE.to_torch(one), recorder, epochs=2, steps=3)
    recorder.close()
    assert recorder.rates == RATE.table(2)
    assert capsys.readouterr().out == "Epoch 1: learning rate 0.001\nEpoch 2: learning rate 0.0009\n"


def test_torch_tells_where_the_square_of_a_rate_was_used():
    one = optimizer()
    scheduler = torch.optim.lr_scheduler.LambdaLR(one, RATE.tabulated().shape)
    with record(one, per="epoch") as recorder:
        torch_run(one, scheduler, recorder)
    comparison = recorder.compare(RATE)
    assert not comparison
    assert repr(comparison) == "differs from epoch 0: 1e-06 used, 0.001 declared"
    assert comparison.first == 0
    assert comparison.largest == pytest.approx(0.999)


def test_torch_later_differences():
    one = optimizer()
    scheduler = RATE.to_torch(one)
    with record(one) as recorder:
        torch_run(one, scheduler, recorder, epochs=3)
        one.param_groups[0]["lr"] = 1e-6
        one.step()
    assert repr(recorder.compare(RATE)) == "differs from step 3: 1e-06 used, 0.0007 declared"


def test_torch_groups_have_their_own():
    one = optimizer(groups=2)
    scheduler = schedules.linear(1.0, 0.0, steps=10).to_torch(one)
    with record(one) as recorder:
        torch_run(one, scheduler, recorder)
        one.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.5})
        one.step()
    assert recorder.compare(RATE.scaled(0.1), group=1).largest < 1e-12
    assert recorder.groups[2] == [0.5]
    assert recorder.rates is recorder.groups[0]


def test_torch_reads_tensors_and_lets_go():
    one = optimizer(torch.tensor(1e-3))
    recorder = record(one)
    with pytest.raises(ZeroDivisionError), recorder:
        train_and_fail(one)
    assert recorder.rates == [pytest.approx(1e-3)]
    assert not one._optimizer_step_pre_hooks


def test_torch_resumed_recording_begins_later():
    one = optimizer()
    scheduler = RATE.to_torch(one)
    torch_run(one, scheduler, recorder := record(one), epochs=4)
    recorder.close()
    with record(one) as recorder:
        torch_run(one, scheduler, recorder, epochs=4)
    assert recorder.compare(RATE, begin=4)
    assert repr(recorder.compare(RATE)).startswith("differs from step 0: 0.0006 used")


# -- Keras -----------------------------------------------------------------------------------------


def test_keras_each_epoch_as_it_was_in_2019(capsys):
    recorder = record(verbose=1)
    first = (1e-3 - 1e-8) * schedules.linear(1.0, 0.0, steps=10)
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: (1e-3 - 1e-8) * (10 - epoch) / 10)
    keras_run(0.5, recorder, scheduler, epochs=3)
    assert type(recorder) is KerasRecorder
    assert repr(recorder.compare(first)) == "equal in all 3 epochs"
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Epoch 1: learning rate 0.00099999",
        "Epoch 2: learning rate 0.000899991",
        "Epoch 3: learning rate 0.000799992",
    ]


@pytest.mark.parametrize("rate", [RATE, 0.1 * schedules.cosine(steps=15)], ids=repr)
def test_keras_each_step_of_our_schedule(rate):
    recorder = record(per="step")
    keras_run(rate.to_keras(), recorder)
    assert len(recorder.rates) == 15
    assert repr(recorder.compare(rate)) == "equal in all 15 steps"


def test_keras_counts_as_the_rate_does_where_nobody_says():
    recorder, waiting = record(), record()
    keras_run(RATE.to_keras(), recorder)
    assert repr(recorder.compare(RATE)) == "equal in all 15 steps"
    rate = 1e-3 * schedules.cosine(steps=schedules.share(1.0))
    keras_run(rate.to_keras(), waiting)
    assert waiting.compare(rate.bind(horizon=15))
    each = record()
    keras_run(1e-3, each, RATE.to_keras_callback())
    assert repr(each.compare(RATE)) == "equal in all 3 epochs"


def test_keras_each_step_of_its_own_schedule_and_of_several_batches_at_once():
    recorder = record(per="step")
    keras_run(keras.optimizers.schedules.CosineDecay(0.1, 15), recorder, steps_per_execution=2)
    assert recorder.compare(lambda k: 0.05 * (1 + math.cos(math.pi * k / 15)))
    assert len(recorder.rates) == 15


def test_keras_each_step_of_a_plain_rate():
    recorder = record(per="step")
    keras_run(0.5, recorder, RATE.to_keras_callback())
    assert recorder.compare(lambda step: RATE(step // 5))


def test_keras_counts_updates_where_gradients_are_accumulated():
    recorder = record(per="step")
    keras_run(RATE.to_keras(), recorder, epochs=2, optimizer={"gradient_accumulation_steps": 2})
    assert len(recorder.rates) == 5
    assert recorder.compare(RATE)


def test_keras_tells_of_a_factor():
    recorder = record()
    keras_run(1e-3, recorder, keras.callbacks.LearningRateScheduler(lambda epoch: (10 - epoch) / 10))
    assert repr(recorder.compare(RATE)) == "differs from epoch 0: 1 used, 0.001 declared"


def test_keras_tells_the_rate_of_an_epochs_last_update(capsys):
    recorder = record(per="epoch", verbose=1)
    keras_run(RATE.to_keras(), recorder, epochs=1)
    assert recorder.rates == [pytest.approx(6e-4)]
    assert capsys.readouterr().out == "Epoch 1: learning rate 0.0006\n"


def test_keras_copies_for_each_trial():
    recorder = copy.deepcopy(record(per="step", verbose=1))
    assert (type(recorder), recorder.per, recorder.verbose, recorder.rates) == (KerasRecorder, "step", 1, [])
    assert isinstance(recorder, keras.callbacks.Callback)


@pytest.mark.slow
def test_another_backend():
    program = """
    import keras, numpy as np
    from choritsu import schedules
    from choritsu.schedules.recording import record

    rate = 0.1 * schedules.cosine(steps=10)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate.to_keras()), loss="mse")
    x, recorder = np.ones((20, 1), "float32"), record(per="step")
    model.fit(x, x, epochs=2, batch_size=4, verbose=0, callbacks=[recorder])
    print(recorder.compare(rate))
    """
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines()[-1:] == ["equal in all 10 steps"], ran.stderr


# -- both ------------------------------------------------------------------------------------------


def test_what_is_refused():
    with pytest.raises(ScheduleError, match='"step" or "epoch"'):
        record(per="batch")
    with pytest.raises(ScheduleError, match='"step" or "epoch"'):
        record(optimizer(), per="batch")
    with pytest.raises(ScheduleError, match="callback"):
        record(keras.optimizers.SGD())
    with pytest.raises(ScheduleError, match="base_rate"):
        record().compare(schedules.linear(steps=3))


def test_a_comparison_says_what_it_is():
    assert repr(Comparison("epoch", (), (), (), 1e-6)) == "nothing to compare: no epoch was recorded"
    assert not Comparison("epoch", (), (), (), 1e-6)
    assert repr(Comparison("step", (0.1,), (0.1,), (0,), 1e-6)) == "equal in the one step"
    zero = Comparison("step", (0.1, 1e-9), (0.1, 0.0), (0, 1), 1e-6)
    assert zero.largest == math.inf
    assert zero.first == 1
    assert Comparison("step", (0.0,), (0.0,), (0,), 1e-6).equal


def test_a_tuned_rate_that_lacks_its_horizon_ends_the_search_at_once(tmp_path):
    """Constant rates would do without, and would be all that is tried."""

    def train(hp, trial):
        rate = hp.LearningRate("rate", 1e-3, 1e-1, shapes=["constant", "cosine"])
        rate.to_torch(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1))
        return 0.1

    tuner = ct.RandomSearch(train, max_trials=20, seed=0, directory=tmp_path)
    with pytest.raises(FatalValueError, match=r"to_torch\(optimizer, horizon=...\)"):
        tuner.search(verbose=0)
    assert [trial.status for trial in tuner.history][-1] is Status.FAILED
