"""A Keras trial that is killed goes on from its last epoch, and ends as if nothing had happened, to the last bit."""

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import layers

import choritsu as ct
from choritsu import states
from choritsu.decisions import Done, Promote, Start
from choritsu.errors import CheckpointError
from choritsu.frameworks import keras as training
from choritsu.schedules import cosine, linear, share
from choritsu.trials import RATE, Status

EPOCHS = 6
STEPS = 3


class Stop(BaseException):
    """Ends a search in a test as a kill would, as far as the search can tell."""


class Interrupting(keras.callbacks.Callback):
    """Raises `Stop` at a place of the training."""

    def __init__(self, *where):
        super().__init__()
        self._where = where
        self._epoch = None

    def _reached(self, place):
        if self._where == (self._epoch, place):
            raise Stop

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        self._reached("begin")

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self._reached("batch")

    def on_epoch_end(self, epoch, logs=None):
        self._reached("end")


class Wandering(keras.callbacks.Callback):
    """Has a state of its own, and draws from all the generators there are."""

    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(0)
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        drawn = [random.random(), np.random.random(), self.generator.random()]
        drawn.append(float(keras.ops.convert_to_numpy(keras.random.uniform(()))))
        self.seen.append(sum(drawn))
        logs["wandering"] = sum(self.seen)


class Shuffled(keras.utils.PyDataset):
    """Shuffles its order after each epoch, as many do."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.order = x, y, np.arange(len(x))

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        chosen = self.order[index * 16 : (index + 1) * 16]
        return self.x[chosen], self.y[chosen]

    def on_epoch_end(self):
        np.random.shuffle(self.order)


def loaded(x, y):
    """Give a loader that draws its order from a generator of its own."""
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return (
        torch.utils.data.DataLoader(pairs, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(0)),
    )


def network(rate, optimizer=keras.optimizers.Adam):
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Flatten(),
            layers.Dense(12),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer(rate), loss="sparse_categorical_crossentropy")
    return model


def plain(hp):
    return network(hp.Float("rate", 1e-2, 1e-1))


def planned(hp):
    return network(
        (hp.Float("rate", 1e-3, 1e-2) * cosine(1.0, 0.0, steps=share(0.8)).warmup(steps=share(0.2))).to_keras()
    )


def watchful():
    return [
        keras.callbacks.ReduceLROnPlateau("val_loss", mode="max", factor=0.5, patience=1, min_delta=0.5),
        keras.callbacks.EarlyStopping("val_loss", mode="max", patience=5, restore_best_weights=True),
        Wandering(),
    ]


def scaled():
    return [linear(1.0, 0.1, steps=share(1.0)).to_keras_callback(), Wandering()]


#: By name: what builds the model, what makes the callbacks, and what makes the data of arrays.
CASES = {
    "watchful": (plain, watchful, lambda x, y: (x, y)),
    "planned": (planned, lambda: [Wandering()], lambda x, y: (x, y)),
    "scaled": (plain, scaled, lambda x, y: (Shuffled(x, y),)),
    "loaded": (planned, lambda: [Wandering()], loaded),
}


@pytest.fixture
def search(tmp_path, digits):
    """Search by the name of a case, quietly, and give the tuner."""

    def run(case="watchful", *where, name="search", oracle=None, build=None, epochs=EPOCHS, which=0, **options):
        made, callbacks, data = CASES[case]
        settings = {
            "objective": ct.Objective("val_loss", "min"),
            "directory": tmp_path,
            "project_name": name,
            "seed": 3,
        }
        settings |= {"max_trials": 1} | options
        make = ct.RandomSearch if oracle is None else lambda *args, **kwargs: ct.Tuner(oracle, *args, **kwargs)
        tuner = make(build or made, **settings)
        fit = {"epochs": epochs, "batch_size": 16, "validation_data": (digits.x_val[:32], digits.y_val[:32])}
        arrays = data(digits.x[: 16 * STEPS], digits.y[: 16 * STEPS])
        batches = {} if len(arrays) == 2 else {"batch_size": None, "shuffle": case != "loaded"}
        interrupting = itertools.chain([()] * which, [where], itertools.repeat(()))

        def make():
            return [*callbacks(), Interrupting(*next(interrupting))]

        tuner.search(*arrays, callbacks=make, verbose=0, **fit | batches)
        return tuner

    return run


@pytest.fixture
def eager(monkeypatch):
    """Save after each epoch, however short."""
    monkeypatch.setattr(states, "SHARE", 1.0)


def told(tuner):
    """Give all that came out, to the last bit."""
    reports = tuner._store.reports()
    return [
        (trial.values, trial.status, trial.result, [(r.execution, r.epoch, r.metrics) for r in reports[trial.number]])
        for trial in tuner.history
    ]


def weights(tuner):
    """Give the best model's weights as they are on disk."""
    found = {}
    with h5py.File(Path(tuner.project_dir) / "trials" / tuner.history.best.trial_id / training.WEIGHTS) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()}) if hasattr(item, "dtype") else None)
    assert found
    return found


def same(one, other):
    return told(one) == told(other) and weights(one) == weights(other)


class Begun:
    """Counts the epochs that are trained."""

    def __init__(self, monkeypatch):
        self.epochs = []
        reported = training.Recorder.on_epoch_end

        def on_epoch_end(recorder, epoch, logs=None):
            self.epochs.append(epoch)
            reported(recorder, epoch, logs)

        monkeypatch.setattr(training.Recorder, "on_epoch_end", on_epoch_end)


# -- kills -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_bit_for_bit(case, search, eager, monkeypatch):
    whole = search(case, name="whole")
    assert not whole.history[0].message
    begun = Begun(monkeypatch)
    for where in ((1, "batch"), (3, "end")):
        with pytest.raises(Stop):
            search(case, *where)
    assert same(search(case), whole)
    # No epoch was trained twice but those that were not at their end.
    assert begun.epochs == list(range(EPOCHS))


def test_bit_for_bit_within_the_saving(search, eager, monkeypatch):
    whole = search(name="whole")
    for module, name, calls in ((states, "save_checkpoint", 2), (training, "save_weights", 1)):
        original, left = getattr(module, name), [calls]

        def broken(*args, original=original, left=left):
            original(*args)
            left[0] -= 1
            if not left[0]:
                raise Stop

        with monkeypatch.context() as patched:
            patched.setattr(module, name, broken)
            with pytest.raises(Stop):
                search()
    assert same(search(), whole)


def test_bit_for_bit_in_the_second_execution_and_trial(search, eager):
    options = {"executions_per_trial": 2, "max_trials": 2, "epochs": 3}
    whole = search("scaled", name="whole", **options)
    for which, *where in ((3, 1, "batch"), (0, 2, "begin")):
        with pytest.raises(Stop):
            search("scaled", *where, which=which, **options)
    assert same(search("scaled", **options), whole)


def test_callbacks_made_in_fit_go_on_and_history_is_whole(search, eager):
    histories = []

    class Model(ct.HyperModel):
        def build(self, hp):
            return plain(hp)

        def fit(self, hp, model, *args, callbacks, **kwargs):
            mine = keras.callbacks.EarlyStopping("val_loss", mode="max", min_delta=9.0, patience=4)
            history = model.fit(*args, callbacks=[*callbacks, mine], **kwargs)
            histories.append((history.epoch, history.history))
            return {"val_loss": model.evaluate(*args, verbose=0), "stopped": mine.stopped_epoch}

    whole = search("scaled", build=Model(), name="whole")
    with pytest.raises(Stop):
        search("scaled", 3, "batch", build=Model())
    assert same(search("scaled", build=Model()), whole)
    assert histories[0] == histories[1]
    assert histories[0][0] == list(range(5))
    assert whole.history.best.result.metrics["stopped"] == 4


@pytest.mark.parametrize("backend", ["torch"])
def test_other_backends(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    chosen = "test_bit_for_bit[watchful] or goes_on_along_the_same_curve[planned]"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(Path(__file__)), "-k", chosen]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


# -- budgets ---------------------------------------------------------------------------------------


class Rungs:
    """Trains two trials for two epochs each, and the second one, by name, to the end."""

    fill, max_epochs = "draw", EPOCHS

    def __init__(self, horizon="full", rungs=(2, 4, EPOCHS)):
        self.horizon = horizon
        self._rungs = rungs

    def suggest(self, history, number):
        if not len(history):
            return Start({"rate": 0.01}, until=self._rungs[0])
        reached = len(history[0].rungs)
        if history.having(Status.RUNNING) or reached == len(self._rungs):
            return Done("that was it")
        return Promote(0, self._rungs[reached])

    def promotable(self, history):
        done = history.completed
        return frozenset(trial.number for trial in done if len(trial.rungs) < len(self._rungs))


class InOneGo(Rungs):
    def suggest(self, history, number):
        return Done("that was it") if len(history) else Start({"rate": 0.01})

    def promotable(self, history):
        return frozenset()


@pytest.mark.parametrize("case", ["planned", "watchful"])
def test_a_promoted_trial_goes_on_along_the_same_curve(case, search, eager, monkeypatch):
    whole = search(case, oracle=InOneGo(), name="whole")
    begun = Begun(monkeypatch)
    with pytest.raises(Stop):
        search(case, 3, "batch", which=1, oracle=Rungs())
    promoted = search(case, oracle=Rungs())
    assert [rung.until for rung in promoted.history[0].rungs] == [2, 4, EPOCHS]
    assert told(promoted)[0][3] == told(whole)[0][3]
    assert weights(promoted) == weights(whole)
    assert begun.epochs == list(range(EPOCHS))
    if case == "planned":
        curve = (0.01 * cosine(1.0, 0.0, steps=share(0.8)).warmup(steps=share(0.2))).bind(horizon=STEPS * EPOCHS)
        rates = [metrics[RATE] for _, _, metrics in told(promoted)[0][3]]
        assert rates == pytest.approx([curve(STEPS * epoch + STEPS - 1) for epoch in range(EPOCHS)], rel=1e-6)


def test_a_schedule_that_is_stretched_to_each_rung(search, eager):
    tuner = search("planned", oracle=Rungs(horizon="rung", rungs=(2, EPOCHS)))
    rates = [metrics[RATE] for _, _, metrics in told(tuner)[0][3]]
    curve = 0.01 * cosine(1.0, 0.0, steps=share(0.8)).warmup(steps=share(0.2))
    horizons = [2, 2, *[EPOCHS] * (EPOCHS - 2)]
    declared = [curve.bind(horizon=STEPS * until)(STEPS * epoch + STEPS - 1) for epoch, until in enumerate(horizons)]
    assert rates == pytest.approx(declared, rel=1e-6)


def test_a_training_that_ended_by_itself_is_not_promoted_any_further(search, monkeypatch):
    begun = Begun(monkeypatch)

    def build(hp):
        hp.Float("rate", 1e-3, 1e-2)
        return network(1e-2)

    class Ending(ct.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, callbacks, **kwargs):
            ending = keras.callbacks.EarlyStopping("val_loss", mode="max", min_delta=9.0, patience=1)
            return model.fit(*args, callbacks=[*callbacks, ending], **kwargs)

    tuner = search("planned", build=Ending(), oracle=Rungs(rungs=(4, EPOCHS)))
    assert begun.epochs == [0, 1]
    assert [rung.until for rung in tuner.history[0].rungs] == [4, EPOCHS]


def test_a_search_that_is_paused_goes_on(search, monkeypatch, tmp_path):
    whole = search(name="whole")
    answered = training.RunningTrial.report

    def report(trial, *args, **named):
        answered(trial, *args, **named)
        trial.pausing = trial.next_epoch == 3 and not trial.attempt

    begun = Begun(monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(training.RunningTrial, "report", report)
        tuner = search()
    if tuner.history[0].status is Status.INTERRUPTED:
        tuner = search()
    assert begun.epochs == list(range(EPOCHS))
    assert same(tuner, whole)


# -- trainings that cannot go on -------------------------------------------------------------------


def test_two_trainings_of_a_model_begin_anew(search, eager, monkeypatch):
    class Twice(ct.HyperModel):
        def build(self, hp):
            return plain(hp)

        def fit(self, hp, model, *args, epochs, **kwargs):
            model.fit(*args, epochs=2, **kwargs)
            model.layers[1].trainable = False
            model.compile(keras.optimizers.SGD(1e-2), loss="sparse_categorical_crossentropy")
            return model.fit(*args, epochs=4, **kwargs)

    whole = search("planned", build=Twice(), name="whole")
    begun = Begun(monkeypatch)
    for where in ((1, "batch"), (3, "batch")):
        with pytest.raises(Stop):
            search("planned", *where, build=Twice())
    assert begun.epochs == [0, 1, 0, 1, 2]
    assert same(search("planned", build=Twice()), whole)
    assert begun.epochs[5:] == [0, 1, 0, 1, 2, 3]


def test_a_loop_of_ones_own_begins_anew(search, eager):
    class Loop(ct.HyperModel):
        def build(self, hp):
            return plain(hp)

        def fit(self, hp, model, x, y, callbacks, epochs, validation_data, **kwargs):
            listed = keras.callbacks.CallbackList(callbacks, model=model, epochs=epochs)
            listed.on_train_begin()
            for epoch in range(epochs):
                listed.on_epoch_begin(epoch)
                for index in np.array_split(np.random.permutation(len(x)), STEPS):
                    model.train_on_batch(x[index], y[index])
                listed.on_epoch_end(epoch, {"val_loss": model.test_on_batch(*validation_data)})
            listed.on_train_end()

    whole = search("planned", build=Loop(), name="whole")
    with pytest.raises(Stop):
        search("planned", 3, "begin", build=Loop())
    assert same(search("planned", build=Loop()), whole)


def test_another_model_begins_anew(search, eager):
    def wider(hp):
        hp.Float("rate", 1e-2, 1e-1)
        return network(1e-2, keras.optimizers.SGD)

    with pytest.raises(Stop):
        search("planned", 3, "batch", build=plain)
    with pytest.warns(RuntimeWarning, match="begins anew.*another model or optimizer"):
        tuner = search("planned", build=wider)
    assert [epoch for _, epoch, _ in told(tuner)[0][3]] == list(range(EPOCHS))


def test_a_full_disk_only_warns(search, eager, monkeypatch):
    whole = search(name="whole")

    def full(path, tree):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(states, "save_checkpoint", full)
    with pytest.warns(RuntimeWarning, match=r"cannot be saved.*No space left"):
        tuner = search(name="full")
    assert same(tuner, whole)


def test_a_damaged_file_begins_anew(search, eager, tmp_path):
    whole = search(name="whole")
    with pytest.raises(Stop):
        search("watchful", 3, "batch")
    (file,) = tmp_path.rglob("execution-0.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        states.load_checkpoint(file)
    with pytest.warns(RuntimeWarning, match="begins anew"):
        tuner = search()
    assert same(tuner, whole)


def test_what_is_not_saved_is_not_gathered(search, monkeypatch):
    monkeypatch.setattr(states.Keeper, "due", lambda keeper: False)
    monkeypatch.setattr(training.Resumption, "_taken", lambda *_: pytest.fail("gathered"))
    assert search().history[0].status is Status.COMPLETED
