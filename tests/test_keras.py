"""Keras models in a search: the score is the best epoch's, its weights are kept, and nothing leaks between trials."""

import math
import re
import statistics
import threading
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import layers

import choritsu as ct
from choritsu.decisions import Continue, Stop
from choritsu.errors import (
    FatalTypeError,
    FatalValueError,
    ObjectiveError,
    TooManyFailuresError,
)
from choritsu.trials import Status


def network(*hidden, rate=1e-2, optimizer=None, shape=(8, 8), metrics=("accuracy",)):
    """Build a classifier of digits; with shape=None it is built by its first data."""
    begin = [] if shape is None else [keras.Input(shape)]
    model = keras.Sequential([*begin, layers.Flatten(), *hidden, layers.Dense(10, activation="softmax")])
    model.compile(
        optimizer or keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=list(metrics)
    )
    return model


def by_rate(hp):
    """Build always the same network, trained at one of many rates."""
    return network(layers.Dense(8, activation="relu"), rate=hp.Float("rate", 1e-3, 1e-1, sampling="log"))


def reports(tuner, number=0):
    """Give what trial `number` reported, a list of epochs for each execution."""
    told = {}
    for report in tuner.summary.reports[number]:
        told.setdefault(report.execution, []).append(report.metrics)
    return [told[execution] for execution in sorted(told)]


def statuses(tuner):
    return [trial.status.value for trial in tuner.history]


def weights_on_disk(tuner):
    """Give the trials of which there is a file of weights."""
    return sorted(path.parent.name for path in Path(tuner.project_dir).rglob("*.weights.h5"))


def told_metrics(*rows):
    """Make a HyperModel that trains nothing, and tells these rows as its epochs' metrics."""

    class Told(ct.HyperModel):
        def build(self, hp):
            hp.Float("rate", 1e-3, 1e-1)
            return network()

        def fit(self, hp, model, *args, callbacks, **kwargs):
            for callback in callbacks:
                callback.model = model
            for epoch, row in enumerate(rows):
                for callback in callbacks:
                    callback.on_epoch_end(epoch, row)

    return Told()


@pytest.fixture
def search(tmp_path, digits):
    """Search with random search, quietly, and give the tuner."""

    def run(hypermodel, fit=None, tuner=ct.RandomSearch, name="search", **arguments):
        settings = {"objective": "val_loss", "max_trials": 2, "seed": 0, "directory": tmp_path, "project_name": name}
        made = tuner(hypermodel, **{**settings, **arguments})
        given = {"epochs": 1, "validation_data": digits.validation, "verbose": 0, **(fit or {})}
        made.search(digits.x, digits.y, **{key: value for key, value in given.items() if value is not ...})
        return made

    return run


class TestBestEpoch:
    def spoiled(self, hp):
        """Build a network that its schedule spoils after the third epoch."""
        hp.Float("unused", 0, 1)
        normalization = layers.BatchNormalization(momentum=0.5)
        hidden = [layers.Dense(16), normalization, layers.Activation("relu"), layers.Dropout(0.3)]
        return network(*hidden, optimizer=keras.optimizers.SGD(0.1))

    @pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
    def test_the_score_is_the_best_epochs_and_so_are_the_weights(self, search, digits, objective):
        schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 3 else 300.0)
        tuner = search(self.spoiled, {"epochs": 5, "callbacks": lambda: [schedule]}, objective=objective)
        better = max if objective == "val_accuracy" else min
        trials = tuner.oracle.get_best_trials(2)
        assert len(trials) == 2
        for trial, model in zip(trials, tuner.get_best_models(2), strict=True):
            (epochs,) = reports(tuner, int(trial.trial_id))
            assert len(epochs) == 5
            assert trial.score == better(epoch[objective] for epoch in epochs)
            assert trial.best_step < 3
            assert trial.metrics | {"learning_rate": pytest.approx(0.1)} == epochs[trial.best_step]
            measured = model.evaluate(digits.x_val, digits.y_val, verbose=0, return_dict=True)
            assert measured["loss"] == pytest.approx(trial.metrics["val_loss"], rel=1e-5)
            assert measured["accuracy"] == pytest.approx(trial.metrics["val_accuracy"], abs=1e-6)

    def test_the_last_epochs_weights_would_not_do(self, search, digits):
        ended = []

        class Ending(keras.callbacks.Callback):
            def on_train_end(self, logs=None):
                ended.append(self.model.evaluate(digits.x_val, digits.y_val, verbose=0)[0])

        schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 3 else 300.0)
        tuner = search(self.spoiled, {"epochs": 4, "callbacks": lambda: [schedule, Ending()]}, max_trials=1)
        kept = tuner.get_best_models()[0].evaluate(digits.x_val, digits.y_val, verbose=0)[0]
        assert not math.isclose(kept, ended[0], rel_tol=0.01)

    def test_another_process_finds_the_models_by_the_directory_alone(self, search, tmp_path, digits):
        tuner = search(by_rate, name="found")
        again = ct.RandomSearch(
            by_rate, objective="val_loss", max_trials=2, seed=0, directory=tmp_path, project_name="found"
        )
        measured = again.get_best_models()[0].evaluate(digits.x_val, digits.y_val, verbose=0)[0]
        assert measured == pytest.approx(tuner.history.best.score, rel=1e-5)

    def test_nan_in_the_first_epoch_only_does_not_matter(self, search):
        tuner = search(told_metrics({"val_loss": math.nan}, {"val_loss": 0.5}, {"val_loss": 0.75}), max_trials=1)
        assert statuses(tuner) == ["COMPLETED"]
        assert (tuner.history.best.score, tuner.history.best.best_step) == (0.5, 1)

    def test_a_loss_that_is_never_finite_fails_the_trial_and_says_so(self, search):
        def build(hp):
            model = network()
            rate = hp.Choice("rate", [0.1, 0.2])
            model.compile(keras.optimizers.SGD(rate), loss=lambda y_true, y_pred: keras.ops.mean(y_pred) * math.nan)
            return model

        tuner = search(build)
        assert statuses(tuner) == ["FAILED", "FAILED"]
        for trial in tuner.history:
            assert "nan" in trial.message.lower()
            assert "val_loss" in trial.message
            assert trial.score is None
        with pytest.warns(UserWarning, match="none of 2 trials has been completed; the last .* trial 0001.* finite"):
            assert tuner.get_best_models() == []
        with pytest.warns(UserWarning, match="none of 2 trials has been completed"):
            assert tuner.get_best_hyperparameters() == []

    def test_per_class_metrics_are_let_pass(self, search):
        def build(hp):
            model = network(rate=hp.Choice("rate", [1e-3, 1e-2]))
            model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score(), "accuracy"])
            return model

        class OneHot(ct.HyperModel):
            def build(self, hp):
                return build(hp)

            def fit(self, hp, model, x, y, validation_data, **kwargs):
                x_val, y_val = validation_data
                return model.fit(
                    x,
                    keras.utils.to_categorical(y, 10),
                    validation_data=(x_val, keras.utils.to_categorical(y_val, 10)),
                    **kwargs,
                )

        tuner = search(OneHot())
        assert statuses(tuner) == ["COMPLETED"] * 2
        assert {"val_loss", "val_accuracy"} <= set(tuner.history.best.result.metrics)

        tuner = search(OneHot(), objective="val_f1_score", name="as_objective")
        assert statuses(tuner) == ["FAILED"] * 2
        assert "average" in tuner.history[0].message


class TestExecutions:
    def test_every_epoch_of_every_execution_is_kept(self, search, digits):
        tuner = search(by_rate, {"epochs": 3}, executions_per_trial=2, max_trials=1)
        first, second = reports(tuner)
        assert len(first) == len(second) == 3
        assert first[0] != second[0]
        best = [min(epoch["val_loss"] for epoch in epochs) for epochs in (first, second)]
        result = tuner.history.best.result
        assert result.score == pytest.approx(statistics.mean(best))
        assert result.spread == pytest.approx(statistics.stdev(best))
        assert (result.executions, result.epochs) == (2, 6)
        # The weights are those of the better one.
        measured = tuner.get_best_models()[0].evaluate(digits.x_val, digits.y_val, verbose=0)[0]
        assert measured == pytest.approx(min(best), rel=1e-5)

    @pytest.mark.parametrize("scores", [(0.25, 0.75), (0.75, 0.25)])
    def test_the_better_execution_is_kept_when_fit_returns_a_number(self, search, scores):
        class Scored(ct.HyperModel):
            def build(self, hp):
                return network(rate=hp.Choice("rate", [1e-3]))

            def fit(self, hp, model, *args, **kwargs):
                model.fit(*args, **kwargs)
                trained.append(model.get_weights())
                return scores[len(trained) - 1]

        trained = []
        tuner = search(Scored(), objective=None, executions_per_trial=2, max_trials=1)
        assert tuner.history.best.score == 0.5
        for kept, better in zip(
            tuner.get_best_models()[0].get_weights(), trained[scores.index(min(scores))], strict=True
        ):
            np.testing.assert_array_equal(kept, better)

    def test_a_single_execution_has_no_spread(self, search):
        assert search(by_rate, max_trials=1).history.best.result.spread is None


class Counting(keras.callbacks.Callback):
    """Ends a training after two epochs counted over the callback's own life."""

    def __init__(self, seen):
        super().__init__()
        self.epochs = 0
        self.seen = seen

    def __deepcopy__(self, memo):
        copied = Counting(self.seen)
        copied.epochs = self.epochs
        return copied

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        self.seen.append(self.epochs)
        if self.epochs == 2:
            self.model.stop_training = True


class TestCallbacks:
    def test_each_training_has_callbacks_of_its_own(self, search):
        seen = []
        mine = Counting(seen)
        tuner = search(by_rate, {"epochs": 4, "callbacks": [mine]}, executions_per_trial=2)
        assert seen == [1, 2] * 4
        assert mine.epochs == 0
        assert [len(epochs) for number in (0, 1) for epochs in reports(tuner, number)] == [2] * 4

    def test_early_stopping_starts_anew(self, search):
        # A loss that falls does not grow, which ends each training after its patience.
        stopping = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=2, restore_best_weights=True)
        tuner = search(
            lambda hp: network(rate=hp.Choice("rate", [1e-3, 2e-3, 3e-3])),
            {"epochs": 6, "callbacks": [stopping]},
            max_trials=3,
        )
        assert [len(epochs) for number in range(3) for epochs in reports(tuner, number)] == [3, 3, 3]
        assert stopping.model is None
        assert stopping.best_weights is None

    def test_a_callback_that_cannot_be_copied_is_named_before_training(self, search):
        begun = []

        class Holding(keras.callbacks.Callback):
            def __init__(self):
                super().__init__()
                self.lock = threading.Lock()

            def on_train_begin(self, logs=None):
                begun.append(True)

        with pytest.raises(FatalTypeError, match=r"(?s)Holding.*callbacks=lambda"):
            search(by_rate, {"callbacks": [Holding()]})
        assert begun == []

        tuner = search(by_rate, {"callbacks": lambda: [Holding()]}, name="made_anew")
        assert begun == [True, True]
        assert statuses(tuner) == ["COMPLETED"] * 2

    def test_a_function_makes_them_for_each_training(self, search):
        made = []

        def make():
            made.append(Counting([]))
            return made[-1:]

        search(by_rate, {"epochs": 3, "callbacks": make}, executions_per_trial=2)
        assert [callback.epochs for callback in made] == [2] * 4


class TestTunedArguments:
    def test_batch_size_and_epochs_are_tuned(self, search):
        steps = []

        class Steps(keras.callbacks.Callback):
            def on_train_begin(self, logs=None):
                steps.append(self.params["steps"])

        fit = {
            "batch_size": ct.Choice("batch_size", [32, 64, 96]),
            "epochs": ct.Int("epochs", 1, 4),
            "callbacks": lambda: [Steps()],
        }
        tuner = search(lambda hp: network(), fit, max_trials=6)
        tried = [(trial.values["batch_size"], trial.values["epochs"]) for trial in tuner.history]
        assert len(set(tried)) == 6
        assert len({size for size, _ in tried}) > 1
        assert len({epochs for _, epochs in tried}) > 1
        assert steps == [192 // size for size, _ in tried]
        assert [len(epochs) for number in range(6) for epochs in reports(tuner, number)] == [e for _, e in tried]
        best = tuner.get_best_hyperparameters()[0]
        assert (best.get("batch_size"), best.get("epochs")) in tried

    def test_they_stand_beside_the_models_own(self, search):
        tuner = search(by_rate, {"batch_size": ct.Choice("batch_size", [32, 64])}, max_trials=3)
        assert all(set(trial.values) == {"rate", "batch_size"} for trial in tuner.history)
        assert {parameter.name for parameter in tuner.history.space} == {"rate", "batch_size"}


class Folding(ct.HyperModel):
    """Trains nothing: keeps the folds, and scores each by its place."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores
        self.folds = []

    def build(self, hp):
        hp.Float("rate", 0, 1)
        return network()

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        self.folds.append((np.asarray(x), np.asarray(y), *map(np.asarray, validation_data)))
        return self.scores[(len(self.folds) - 1) % len(self.scores)]


class TestCrossValidation:
    def folds(self, search, name, seed=0, scores=(0.1, 0.3, 0.8), stratified=False, own=None):
        model = Folding(scores)
        validation = ct.CrossValidation(len(scores), stratified, own)
        tuner = search(
            model, {"validation_data": ...}, objective=None, cross_validation=validation, name=name, seed=seed
        )
        return tuner, model.folds

    def test_the_score_is_the_mean_over_folds(self, search):
        tuner, _ = self.folds(search, "mean")
        assert [trial.score for trial in tuner.history] == pytest.approx([0.4, 0.4])
        assert tuner.history.best.result.spread == pytest.approx(statistics.stdev([0.1, 0.3, 0.8]))
        assert tuner.history.best.result.executions == 3

    def test_the_folds_are_parts_of_the_data_and_the_same_for_every_trial(self, search, digits):
        _, folds = self.folds(search, "parts")
        assert len(folds) == 6
        for (x, y, x_val, y_val), (x2, _, x_val2, y_val2) in zip(folds[:3], folds[3:], strict=True):
            assert len(x) == len(y) == 128
            assert len(x_val) == len(y_val) == 64
            np.testing.assert_array_equal(x, x2)
            np.testing.assert_array_equal(x_val, x_val2)
            np.testing.assert_array_equal(y_val, y_val2)
        # Together the validation parts are the data, each picture once and with its own class.
        pictures = sorted((*x.ravel().tolist(), int(y)) for x, y in zip(digits.x, digits.y, strict=True))
        held_out = sorted(
            (*x.ravel().tolist(), int(y)) for fold in folds[:3] for x, y in zip(fold[2], fold[3], strict=True)
        )
        assert held_out == pictures

    def test_the_seed_decides(self, search):
        def validated(name, seed):
            return [fold[3].tolist() for fold in self.folds(search, name, seed)[1]]

        assert validated("one", 1) == validated("same", 1) != validated("other", 2)

    def test_a_seed_of_its_own_comes_first(self, search):
        def validated(name, seed, own):
            return [fold[3].tolist() for fold in self.folds(search, name, seed, own=own)[1]]

        assert validated("one", 1, own=7) == validated("same", 2, own=7) != validated("other", 1, own=8)

    def test_stratified_folds_keep_the_proportions(self, search, digits):
        _, folds = self.folds(search, "stratified", scores=(0.1, 0.2, 0.3, 0.4), stratified=True)
        whole = np.bincount(digits.y, minlength=10)
        for _, _, _, y_val in folds[:4]:
            assert np.abs(np.bincount(y_val, minlength=10) - whole / 4).max() <= 1

    @pytest.mark.parametrize("also", ["validation_data", "validation_split"])
    def test_validation_data_beside_it_is_refused(self, search, digits, also):
        given = {"validation_data": ..., also: digits.validation if also == "validation_data" else 0.2}
        with pytest.raises(FatalValueError, match="cross_validation"):
            search(by_rate, given, cross_validation=ct.CrossValidation(3))

    def test_keras_trains_on_the_folds(self, search):
        tuner = search(
            by_rate, {"epochs": 2, "validation_data": ...}, cross_validation=ct.CrossValidation(3, stratified=True)
        )
        for trial in tuner.history:
            folds = reports(tuner, trial.number)
            assert [len(epochs) for epochs in folds] == [2, 2, 2]
            best = [min(epoch["val_loss"] for epoch in epochs) for epochs in folds]
            assert trial.score == pytest.approx(statistics.mean(best))


class TestCompilation:
    def test_overrides_carry_nothing_from_trial_to_trial(self, search):
        def shared(**given):
            return {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **given}

        optimizer = keras.optimizers.Adam(0.02)
        metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        loss = keras.losses.SparseCategoricalCrossentropy()
        given = search(by_rate, {"epochs": 2}, **shared(optimizer=optimizer, metrics=[metric], loss=loss), name="given")
        assert not optimizer.built
        assert int(optimizer.iterations) == 0
        assert float(metric.result()) == 0.0

        def fresh(hp):
            hp.Float("rate", 1e-3, 1e-1, sampling="log")
            return network(layers.Dense(8, activation="relu"), rate=0.02)

        plain = search(fresh, {"epochs": 2}, name="plain")
        assert [trial.score for trial in given.history] == [trial.score for trial in plain.history]

    def test_the_optimizer_is_unharmed_by_saving(self, search):
        iterations = []

        class Watched(ct.HyperModel):
            def build(self, hp):
                return by_rate(hp)

            def fit(self, hp, model, *args, **kwargs):
                history = model.fit(*args, **kwargs)
                iterations.append(int(model.optimizer.iterations))
                return history

        search(Watched(), {"epochs": 3, "batch_size": 32})
        assert iterations == [18, 18]

    def test_saving_changes_nothing_of_the_training(self, search, digits):
        told = []

        class Twice(ct.HyperModel):
            def build(self, hp):
                return by_rate(hp)

            def fit(self, hp, model, *args, callbacks, **kwargs):
                weights = model.get_weights()
                for chosen in ([], callbacks):
                    model.set_weights(weights)
                    model.compile(keras.optimizers.Adam(0.01), loss=model.loss)
                    keras.utils.set_random_seed(1)
                    told.append(model.fit(*args, callbacks=chosen, **kwargs).history["val_loss"])

        search(Twice(), {"epochs": 3, "shuffle": False}, max_trials=1)
        assert told[0] == told[1]
        assert len(set(told[0])) == 3


class TestMaxModelSize:
    @pytest.mark.parametrize("shape", [(8, 8), None], ids=["built", "built by its first data"])
    def test_too_large_models_are_refused_and_others_drawn(self, search, shape):
        trained = []

        def build(hp):
            units = hp.Choice("units", [4, 8, 100, 200, 300, 400])
            return network(layers.Dense(units, activation="relu"), shape=shape)

        class Training(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                trained.append(self.model.count_params())

        tuner = search(build, {"callbacks": lambda: [Training()]}, max_model_size=1000, max_trials=2)
        assert sorted(t.values["units"] for t in tuner.history.having(Status.COMPLETED)) == [4, 8]
        refused = tuner.history.having(Status.REFUSED)
        assert refused
        for trial in refused:
            assert trial.values["units"] >= 100
            assert "1,000" in trial.message
        assert max(trained) <= 1000

    def test_the_limit_itself_is_allowed(self, search):
        size = network().count_params()
        assert statuses(search(lambda hp: network(), max_trials=1, max_model_size=size)) == ["COMPLETED"]


class Batches(keras.utils.PyDataset):
    """Digits, 32 at a time."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 32

    def __getitem__(self, index):
        part = slice(32 * index, 32 * index + 32)
        return self.x[part], self.y[part]


class TestRefusedAtTheDoor:
    @pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
    def test_a_val_objective_without_validation_data(self, tmp_path, digits, objective):
        tuner = ct.RandomSearch(by_rate, objective=objective, max_trials=1, directory=tmp_path)
        with pytest.raises(ObjectiveError, match="validation_data"):
            tuner.search(digits.x, digits.y, verbose=0)
        assert len(tuner.history) == 0
        # Mended, it goes on as if nothing had happened.
        tuner.search(digits.x, digits.y, validation_split=0.2, verbose=0)
        assert statuses(tuner) == ["COMPLETED"]

    def test_all_that_fit_takes_may_come_by_position(self, tmp_path, digits):
        seen = []
        tuner = ct.RandomSearch(by_rate, objective="val_loss", max_trials=1, directory=tmp_path)
        tuner.search(digits.x, digits.y, 48, 2, 0, [Counting(seen)], 0.0, digits.validation)
        assert statuses(tuner) == ["COMPLETED"]
        assert seen == [1, 2]

    def test_a_fit_of_ones_own_may_validate_by_itself(self, search):
        class Splitting(ct.HyperModel):
            def build(self, hp):
                return by_rate(hp)

            def fit(self, hp, model, *args, **kwargs):
                return model.fit(*args, validation_split=0.25, **kwargs)

        assert statuses(search(Splitting(), {"validation_data": ...})) == ["COMPLETED"] * 2

    def test_a_generator(self, tmp_path, digits):
        drawn = []

        def batches():
            while True:
                drawn.append(1)
                yield digits.x[:32], digits.y[:32]

        tuner = ct.RandomSearch(by_rate, objective="val_loss", max_trials=1, directory=tmp_path)
        for arguments, keywords in (
            ((batches(),), {"validation_data": digits.validation}),
            ((), {"x": batches(), "validation_data": digits.validation}),
            ((digits.x, digits.y), {"validation_data": batches()}),
        ):
            # True of endless ones too, which this is.
            with pytest.raises(FatalValueError, match=r"generator.* each trial would see other data"):
                tuner.search(*arguments, steps_per_epoch=2, verbose=0, **keywords)
        assert len(tuner.history) == 0
        assert drawn == []

    def test_data_for_a_function_that_returns_a_number(self, tmp_path, digits):
        tuner = ct.RandomSearch(lambda hp: hp.Float("x", 0, 1), objective="val_loss", max_trials=3, directory=tmp_path)
        with pytest.raises(
            FatalValueError,
            match=r"search got epochs, validation_data, x, y for the fit .* returned 0\.\d+ and no model",
        ):
            tuner.search(digits.x, digits.y, epochs=2, validation_data=digits.validation, verbose=0)
        tuner.search(verbose=0)
        assert statuses(tuner) == ["FAILED", "COMPLETED", "COMPLETED"]

    def test_a_forgotten_return(self, tmp_path, digits):
        def forgetful(hp):
            by_rate(hp)

        class Forgetful(ct.HyperModel):
            def build(self, hp):
                by_rate(hp)

        asked = "returned None.* is `return model` missing at its end"
        limits = {"objective": "val_loss", "max_trials": 1}
        with pytest.raises(FatalValueError, match=asked):
            ct.RandomSearch(forgetful, **limits, directory=tmp_path / "function").search(
                digits.x, digits.y, validation_data=digits.validation, verbose=0
            )
        with pytest.raises(FatalTypeError, match=asked):
            ct.RandomSearch(Forgetful(), **limits, directory=tmp_path / "class").search(
                digits.x, digits.y, validation_data=digits.validation, verbose=0
            )

    def test_a_model_in_the_place_of_the_function_that_builds_it(self, tmp_path):
        for model in (network(), torch.nn.Linear(3, 1)):
            with pytest.raises(
                FatalTypeError, match=rf"is a model \({type(model).__name__}\).*RandomSearch\(build_model"
            ):
                ct.RandomSearch(model, objective="val_loss", directory=tmp_path)
        assert not list(tmp_path.iterdir())

    def test_folds_that_a_run_trial_of_ones_own_leaves_out(self, tmp_path, digits):
        class Own(ct.RandomSearch):
            def run_trial(self, trial, x, y, **options):
                options["epochs"] = 1
                return super().run_trial(trial, x, y, **options) if self.passes_on else 0.5

        tuner = Own(
            by_rate, objective="val_loss", max_trials=2, directory=tmp_path, cross_validation=ct.CrossValidation(3)
        )
        tuner.passes_on = False
        with pytest.raises(FatalValueError, match=r"wants 3 results of each trial, .* told 1"):
            tuner.search(digits.x, digits.y, verbose=0)
        tuner.passes_on = True
        tuner.search(digits.x, digits.y, verbose=0)
        assert statuses(tuner) == ["FAILED", "COMPLETED"]
        assert tuner.history[1].result.executions == 3

    def test_a_dataset_that_can_be_read_again_is_welcome(self, tmp_path, digits):
        tuner = ct.RandomSearch(by_rate, objective="val_loss", max_trials=2, directory=tmp_path)
        tuner.search(Batches(digits.x, digits.y), validation_data=digits.validation, epochs=1, verbose=0)
        assert statuses(tuner) == ["COMPLETED"] * 2


def returning(result, *, passes_on=True, epochs=3):
    """Make a HyperModel whose fit trains, and then returns what `result` makes of the Keras History."""

    class Returning(ct.HyperModel):
        def build(self, hp):
            return by_rate(hp)

        def fit(self, hp, model, x, y, validation_data, callbacks, **kwargs):
            history = model.fit(
                x,
                y,
                validation_data=validation_data,
                epochs=epochs,
                callbacks=callbacks if passes_on else None,
                verbose=0,
            )
            return result(history, model)

    return Returning()


class TestFitOfOnesOwn:
    @pytest.mark.parametrize("passes_on", [True, False])
    def test_it_returns_the_history(self, search, passes_on):
        tuner = search(returning(lambda history, model: history, passes_on=passes_on))
        for trial in tuner.history:
            (epochs,) = reports(tuner, trial.number)
            assert len(epochs) == 3
            assert trial.score == min(epoch["val_loss"] for epoch in epochs)
        assert len(tuner.get_best_models(2)) == 2

    @pytest.mark.parametrize("passes_on", [True, False])
    @pytest.mark.parametrize("kind", [float, np.float32, np.asarray, keras.ops.convert_to_tensor])
    def test_it_returns_a_number(self, search, passes_on, kind):
        hypermodel = returning(lambda history, model: kind(0.125), passes_on=passes_on, epochs=1)
        tuner = search(hypermodel, objective=ct.Objective("quality", "max"), max_trials=1)
        assert tuner.history.best.score == 0.125
        assert tuner.get_best_models()[0].count_params() > 0

    @pytest.mark.parametrize("passes_on", [True, False])
    def test_it_returns_a_dict(self, search, passes_on):
        hypermodel = returning(
            lambda history, model: {"size": model.count_params(), "quality": 0.5}, passes_on=passes_on, epochs=1
        )
        tuner = search(hypermodel, objective=ct.Objective("quality", "max"), max_trials=1)
        assert tuner.history.best.score == 0.5
        assert tuner.history.best.result.metrics["size"] == network(layers.Dense(8)).count_params()
        assert tuner.get_best_models()[0].count_params() > 0

    def test_a_dict_without_the_objective_fails_the_trial_and_says_what_came(self, search):
        hypermodel = returning(lambda history, model: {"size": 3}, passes_on=False, epochs=1)
        tuner = search(hypermodel, objective=ct.Objective("quality", "max"), max_trials=1)
        assert statuses(tuner) == ["FAILED"]
        assert re.search("quality.*size", tuner.history[0].message)

    def test_what_it_returns_has_the_last_word(self, search):
        tuner = search(returning(lambda history, model: 7.0))
        assert [trial.score for trial in tuner.history] == [7.0, 7.0]

    def test_it_returns_nothing_and_the_callbacks_have_told(self, search):
        tuner = search(returning(lambda history, model: None))
        assert statuses(tuner) == ["COMPLETED"] * 2

    def test_it_returns_nothing_and_nobody_has_told(self, search):
        tuner = search(returning(lambda history, model: None, passes_on=False, epochs=1), max_trials=1)
        assert statuses(tuner) == ["FAILED"]
        assert "None" in tuner.history[0].message

    @pytest.mark.parametrize("passes_on", [True, False])
    def test_the_weights_are_those_that_it_scored(self, search, digits, passes_on):
        class Scoring(ct.HyperModel):
            def build(self, hp):
                return network(optimizer=keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.2])))

            def fit(self, hp, model, *args, callbacks, **kwargs):
                spoiling = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate if epoch == 0 else 100.0)
                model.fit(*args, callbacks=[spoiling, *(callbacks if passes_on else [])], **kwargs)
                return model.evaluate(digits.x_val, digits.y_val, verbose=0)[0]

        tuner = search(Scoring(), {"epochs": 2})
        for trial, model in zip(tuner.oracle.get_best_trials(2), tuner.get_best_models(2), strict=True):
            measured = model.evaluate(digits.x_val, digits.y_val, verbose=0)[0]
            assert measured == pytest.approx(trial.score, rel=1e-5)

    def test_the_best_epoch_said_once_more_is_still_that_epoch(self, search, digits):
        hypermodel = returning(lambda history, model: min(history.history["val_loss"]))
        tuner = search(hypermodel)
        for trial, model in zip(tuner.oracle.get_best_trials(2), tuner.get_best_models(2), strict=True):
            (epochs,) = reports(tuner, int(trial.trial_id))
            assert epochs[trial.best_step]["val_loss"] == trial.score
            assert trial.best_step < 3
            measured = model.evaluate(digits.x_val, digits.y_val, verbose=0)[0]
            assert measured == pytest.approx(trial.score, rel=1e-5)


class TestSeeds:
    def values(self, search, name, seed):
        tuner = search(
            lambda hp: hp.Float("x", 0, 1) + hp.Float("y", 0, 1),
            {"epochs": ..., "validation_data": ...},
            tuner=NoData,
            objective=None,
            max_trials=8,
            seed=seed,
            name=name,
        )
        return [trial.values for trial in tuner.history]

    def test_the_same_seed_gives_the_same_values_and_the_same_scores(self, search):
        def build(hp):
            return network(layers.Dense(8, activation="relu"), layers.Dropout(0.5), rate=hp.Float("rate", 1e-3, 1e-1))

        first, second = (search(build, {"epochs": 2}, seed=11, max_trials=3, name=name) for name in ("one", "two"))
        other = search(build, {"epochs": 2}, seed=12, max_trials=3, name="three")
        assert [trial.values for trial in first.history] == [trial.values for trial in second.history]
        assert [reports(first, n) for n in range(3)] == [reports(second, n) for n in range(3)]
        assert not {trial.score for trial in first.history} & {trial.score for trial in other.history}

    @pytest.mark.parametrize(("one", "other"), [(5, 6), (5, 7), (0, 1)])
    def test_two_seeds_share_nothing(self, search, one, other):
        first = self.values(search, f"seed{one}", one)
        second = self.values(search, f"seed{other}", other)
        numbers = [{value for values in tried for value in values.values()} for tried in (first, second)]
        assert len(numbers[0]) == len(numbers[1]) == 16
        assert not numbers[0] & numbers[1]

    def test_zero_is_a_seed(self, search):
        assert self.values(search, "zero", 0) == self.values(search, "again", 0)

    def test_without_a_seed_searches_differ(self, search):
        assert self.values(search, "none", None) != self.values(search, "neither", None)


class NoData(ct.RandomSearch):
    """A random search that hands on no data."""

    def search(self, *args, **kwargs):
        super().search(verbose=0)


class TestWeightsOnDisk:
    def test_only_the_best_are_kept(self, search):
        most = []

        class Watching(ct.RandomSearch):
            def run_trial(self, trial, *args, **kwargs):
                super().run_trial(trial, *args, **kwargs)
                most.append(len(weights_on_disk(self)))

        tuner = search(by_rate, tuner=Watching, max_trials=6, keep_best_models=2)
        assert weights_on_disk(tuner) == sorted(trial.trial_id for trial in tuner.history.completed[:2])
        assert len(tuner.get_best_models(2)) == 2
        # At no time more than those and the one in training.
        assert max(most) == 3
        with pytest.raises(ValueError, match="keep_best_models=3"):
            tuner.get_best_models(3)

    def test_what_fails_is_not_kept_beside_them(self, search):
        class Breaking(keras.callbacks.Callback):
            def on_train_end(self, logs=None):
                if len(broken) > 1:
                    raise ValueError("the disk of the data is gone")
                broken.append(1)

        broken = []
        tuner = search(by_rate, {"callbacks": lambda: [Breaking()]}, max_trials=4, keep_best_models=2)
        assert statuses(tuner) == ["COMPLETED", "COMPLETED", "FAILED", "FAILED"]
        assert weights_on_disk(tuner) == ["0000", "0001"]

    def test_weights_of_worse_trials_are_said_to_be_gone(self, search):
        tuner = search(by_rate, max_trials=3, keep_best_models=1)
        worst = tuner.oracle.get_best_trials(3)[-1]
        with pytest.raises(FileNotFoundError, match="best 1"):
            tuner.load_model(worst)
        tuner.load_model(tuner.oracle.get_best_trials()[0])

    def test_there_are_no_optimizer_slots(self, search):
        def build(hp):
            return network(layers.Dense(hp.Fixed("units", 200), activation="relu"))

        tuner = search(build, max_trials=1)
        (path,) = Path(tuner.project_dir).rglob("*.weights.h5")
        numbers = []
        with h5py.File(path) as file:
            file.visititems(lambda name, item: numbers.append(item.size) if hasattr(item, "size") else None)
        parameters = build(ct.HyperParameters()).count_params()
        # Beyond the parameters there are at most the seeds of random layers.
        assert parameters <= sum(numbers) < parameters * 1.01
        # Adam would have brought two more numbers for each.
        assert path.stat().st_size < parameters * 4 * 1.5

    def test_overwrite_deletes_them(self, search):
        search(by_rate, max_trials=2)
        tuner = search(by_rate, max_trials=1, overwrite=True)
        assert weights_on_disk(tuner) == ["0000"]


class TestErrorsOfTheUsersOwn:
    def test_a_function_named_build_that_raises_the_first_time(self, search, capsys):
        calls = []

        def build(hp):
            calls.append(hp.Float("rate", 1e-3, 1e-1))
            if len(calls) == 1:
                raise ValueError("the cluster is still waking up")
            return network(rate=calls[-1])

        tuner = search(build, {"verbose": 2})
        assert statuses(tuner) == ["COMPLETED"] * 2
        assert "the cluster is still waking up" in capsys.readouterr().out
        assert tuner.get_best_models()

    def test_what_trains_by_itself_is_called_by_the_search_alone(self, tmp_path, digits):
        trained = []

        def train(model):
            trained.append(model.fit(digits.x, digits.y, verbose=0).history["loss"][-1])
            return trained[-1]

        tuner = ct.RandomSearch(lambda hp: train(by_rate(hp)), max_trials=2, seed=0, directory=tmp_path)
        assert trained == []
        tuner.search(verbose=0)
        assert [trial.score for trial in tuner.history] == trained

    def test_defaults_that_are_impossible(self, search):
        def build(hp):
            units = hp.Int("units", 0, 8)
            if units == 0:
                raise ct.RedrawTrialError("a layer needs units")
            return network(layers.Dense(units))

        tuner = search(build, tuner=ct.GridSearch, max_trials=3)
        assert [trial.values["units"] for trial in tuner.history.having(Status.COMPLETED)] == [1, 2, 3]

    def test_a_redrawn_combination_costs_nothing_and_does_not_return(self, search):
        def build(hp):
            heads, width = hp.Choice("heads", [1, 2, 3]), hp.Choice("width", [4, 8, 9])
            if width % heads:
                raise ct.RedrawTrialError("heads must divide width")
            return network(layers.Dense(width))

        tuner = search(build, max_trials=20)
        done = {(t.values["heads"], t.values["width"]) for t in tuner.history.having(Status.COMPLETED)}
        assert done == {(1, 4), (1, 8), (1, 9), (2, 4), (2, 8), (3, 9)}
        refused = [(t.values["heads"], t.values["width"]) for t in tuner.history.having(Status.REFUSED)]
        assert sorted(refused) == [(2, 9), (3, 4), (3, 8)]
        assert all(t.message == "heads must divide width" for t in tuner.history.having(Status.REFUSED))

    def test_a_fatal_error_reaches_the_caller_and_what_is_done_is_kept(self, search, tmp_path):
        def build(hp):
            units = hp.Int("units", 1, 4)
            if units == 3:
                raise ct.FatalError("the labels are shifted")
            return network(layers.Dense(units))

        with pytest.raises(ct.FatalError, match="the labels are shifted"):
            search(build, tuner=ct.GridSearch, max_trials=None, name="fatal")
        kept = ct.GridSearch(build, objective="val_loss", seed=0, directory=tmp_path, project_name="fatal")
        assert statuses(kept) == ["COMPLETED", "COMPLETED", "FAILED"]
        assert "the labels are shifted" in kept.history[2].message

    def flaky(self, failures, error=ValueError):
        """Make a builder that fails so often for each combination before it succeeds."""
        calls = {}

        def build(hp):
            rate = hp.Float("rate", 1e-3, 1e-1)
            calls[rate] = calls.get(rate, 0) + 1
            if rate != 1e-3 and calls[rate] <= failures:
                raise error("out of memory")
            return network(rate=rate)

        return build, calls

    def test_retries(self, search):
        build, calls = self.flaky(2)
        tuner = search(build, max_retries_per_trial=2)
        assert statuses(tuner) == ["COMPLETED"] * 2
        assert [trial.failures for trial in tuner.history] == [2, 2]
        assert [calls[trial.values["rate"]] for trial in tuner.history] == [3, 3]

    def test_retries_are_counted(self, search):
        build, calls = self.flaky(2)
        tuner = search(build, max_retries_per_trial=1)
        assert statuses(tuner) == ["FAILED"] * 2
        assert [calls[trial.values["rate"]] for trial in tuner.history] == [2, 2]
        assert "out of memory" in tuner.history[0].message
        assert "in build" in tuner.history[0].traceback

    def test_a_failed_trial_is_not_retried(self, search):
        build, calls = self.flaky(1, ct.FailedTrialError)
        tuner = search(build, max_retries_per_trial=3)
        assert statuses(tuner) == ["FAILED"] * 2
        assert [calls[trial.values["rate"]] for trial in tuner.history] == [1, 1]
        assert tuner.history[0].message == "out of memory"

    def test_divergence_is_retried(self, search):
        rows = iter([math.nan, 0.5])

        class Diverging(ct.HyperModel):
            def build(self, hp):
                hp.Float("rate", 0, 1)
                return network()

            def fit(self, hp, model, *args, **kwargs):
                return {"val_loss": next(rows)}

        tuner = search(Diverging(), max_trials=1, max_retries_per_trial=1)
        assert statuses(tuner) == ["COMPLETED"]
        assert (tuner.history[0].score, tuner.history[0].failures) == (0.5, 1)

    def test_too_many_failures_tell_where(self, search, tmp_path):
        def inner():
            raise ZeroDivisionError("no such layer")

        def build(hp):
            hp.Float("rate", 0, 1)
            inner()

        with pytest.raises(TooManyFailuresError) as caught:
            search(build, max_trials=10, max_consecutive_failed_trials=2)
        message = str(caught.value)
        for expected in ("2 trials", "max_consecutive_failed_trials", "Traceback", "in inner", "no such layer"):
            assert expected in message
        kept = ct.RandomSearch(
            by_rate, objective="val_loss", max_trials=10, seed=0, directory=tmp_path, project_name="other"
        )
        assert len(kept.history) == 0

    def test_failures_that_are_not_in_a_row_do_not_end_it(self, search):
        def build(hp):
            units = hp.Int("units", 1, 6)
            if units % 2:
                raise ValueError("odd")
            return network(layers.Dense(units))

        tuner = search(build, tuner=ct.GridSearch, max_trials=None, max_consecutive_failed_trials=2)
        assert statuses(tuner) == ["FAILED", "COMPLETED"] * 3


class Subclassed(keras.Model):
    """A model that Keras cannot see into."""

    def __init__(self, units):
        super().__init__()
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(units, activation="relu")
        self.normalized = layers.BatchNormalization()
        self.last = layers.Dense(10, activation="softmax")

    def call(self, inputs, training=False):
        return self.last(self.normalized(self.hidden(self.flatten(inputs)), training=training))


class TwoInputs(keras.Model):
    """A subclassed model that takes a dict."""

    def __init__(self, units):
        super().__init__()
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(units, activation="relu")
        self.last = layers.Dense(10, activation="softmax")

    def call(self, inputs):
        upper, lower = self.flatten(inputs["upper"]), self.flatten(inputs["lower"])
        return self.last(self.hidden(keras.ops.concatenate([upper, lower], axis=-1)))


def compiled(model):
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def functional(hp):
    inputs = keras.Input((8, 8))
    hidden = layers.Dense(hp.Choice("units", [8, 16]), activation="relu")(layers.Flatten()(inputs))
    return compiled(keras.Model(inputs, layers.Dense(10, activation="softmax")(hidden)))


class TestBestModels:
    @pytest.mark.parametrize(
        "build",
        [
            pytest.param(lambda hp: compiled(Subclassed(hp.Choice("units", [8, 16]))), id="subclassed"),
            pytest.param(functional, id="functional"),
            pytest.param(lambda hp: network(layers.Dense(hp.Choice("units", [8, 16])), shape=None), id="unbuilt"),
            pytest.param(lambda hp: network(layers.Dense(hp.Choice("units", [8, 16]))), id="built"),
        ],
    )
    def test_they_give_their_scores(self, search, digits, build):
        tuner = search(build, {"epochs": 2})
        models = tuner.get_best_models(2)
        for trial, model in zip(tuner.oracle.get_best_trials(2), models, strict=True):
            measured = model.evaluate(digits.x_val, digits.y_val, verbose=0)[0]
            assert measured == pytest.approx(trial.score, rel=1e-5)
            # Any number of pictures will do, not only the batches it was trained with.
            assert model.predict(digits.x_val[:5], verbose=0).shape == (5, 10)
            model.build(input_shape=(None, 8, 8))
            model.summary(print_fn=lambda line: None)

    def test_they_can_be_trained_on(self, search, digits):
        tuner = search(functional, max_trials=1)
        (model,) = tuner.get_best_models()
        history = model.fit(digits.x, digits.y, epochs=2, verbose=0)
        assert history.history["loss"][1] < tuner.oracle.get_best_trials()[0].metrics["loss"]

    def test_a_subclassed_model_of_several_inputs(self, tmp_path, digits):
        def parts(x):
            return {"upper": x[:, :4], "lower": x[:, 4:]}

        tuner = ct.RandomSearch(
            lambda hp: compiled(TwoInputs(hp.Choice("units", [8, 16]))),
            objective="val_loss",
            max_trials=1,
            directory=tmp_path,
        )
        tuner.search(parts(digits.x), digits.y, validation_data=(parts(digits.x_val), digits.y_val), verbose=0)
        measured = tuner.get_best_models()[0].evaluate(parts(digits.x_val), digits.y_val, verbose=0)[0]
        assert measured == pytest.approx(tuner.history.best.score, rel=1e-5)

    def test_a_subclassed_model_that_was_trained_on_a_dataset(self, tmp_path, digits):
        tuner = ct.RandomSearch(
            lambda hp: compiled(Subclassed(hp.Choice("units", [8, 16]))),
            objective="val_loss",
            max_trials=1,
            directory=tmp_path,
        )
        tuner.search(Batches(digits.x, digits.y), validation_data=digits.validation, epochs=1, verbose=0)
        measured = tuner.get_best_models()[0].evaluate(digits.x_val, digits.y_val, verbose=0)[0]
        assert measured == pytest.approx(tuner.history.best.score, rel=1e-5)

    def test_callbacks_and_models_of_ones_own_may_tell_the_objective_late(self, tmp_path, digits):
        def told_at_last(epoch, logs):
            if epoch == 1:
                logs["margin"] = 0.25

        class Scored(keras.Sequential):
            def fit(self, *args, **kwargs):
                super().fit(*args, **kwargs)
                return {"margin": 0.25}

        def built(kind):
            def build(hp):
                hp.Float("rate", 1e-3, 1e-1)
                model = kind([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
                model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
                return model

            return build

        late = keras.callbacks.LambdaCallback(on_epoch_end=told_at_last)
        for name, kind, callbacks in (("callback", keras.Sequential, lambda: [late]), ("fit", Scored, None)):
            goal = ct.Objective("margin", "max")
            tuner = ct.RandomSearch(built(kind), goal, max_trials=1, directory=tmp_path, project_name=name)
            tuner.search(digits.x, digits.y, epochs=2, callbacks=callbacks, verbose=0)
            assert (tuner.history[0].message, tuner.history[0].score) == ("", 0.25)

    def test_there_are_none_before_the_search(self, tmp_path):
        tuner = ct.RandomSearch(by_rate, objective="val_loss", directory=tmp_path)
        assert tuner.get_best_models() == []
        assert tuner.get_best_hyperparameters() == []

    def test_a_function_that_gives_no_model_is_told_so(self, search):
        class Forgetful(ct.HyperModel):
            def build(self, hp):
                network(rate=hp.Float("rate", 1e-3, 1e-1))

        with pytest.raises(FatalTypeError, match="returned None; is `return model` missing at its end"):
            search(Forgetful())


def test_weights_of_the_epoch_at_which_a_stopper_ends_a_trial_are_kept(search, digits):
    class At:
        def decide(self, history, curves, reported):
            return Stop("seen enough") if reported.report.epoch == 2 else Continue()

    tuner = search(by_rate, {"epochs": 9}, max_trials=1, stopper=At())
    assert (tuner.history[0].best_step, len(reports(tuner)[0])) == (2, 3)
    loss, _ = tuner.get_best_models()[0].evaluate(*digits.validation, verbose=0)
    assert loss == pytest.approx(tuner.history[0].score, rel=1e-4)


def test_folds_leave_further_arguments_where_they_stand(tmp_path, digits):
    class Positional(ct.HyperModel):
        def build(self, hp):
            return by_rate(hp)

        def fit(self, hp, model, x, y, batch, **kwargs):
            assert (len(x), len(y), batch) == (96, 96, 24)
            return model.fit(x, y, batch_size=batch, **kwargs)

    folds = ct.CrossValidation(2)
    tuner = ct.RandomSearch(Positional(), "val_loss", max_trials=1, directory=tmp_path, cross_validation=folds)
    tuner.search(digits.x, digits.y, 24, epochs=1, verbose=0)
    assert tuner.history[0].result.executions == 2
