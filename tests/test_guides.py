"""Keras Tuner's users' code runs with one line changed: what its guides teach, guide by guide."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import choritsu as keras_tuner
import choritsu as kt


def build_model(hp):
    """Build what the guides build first: a stack of dense layers that is not told its input's shape."""
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 2)):
        model.add(
            layers.Dense(
                units=hp.Int(f"units_{i}", min_value=8, max_value=16, step=8),
                activation=hp.Choice("activation", ["relu", "tanh"]),
            )
        )
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def dense(units=8, learning_rate=1e-3, activation="relu"):
    """Build a small classifier of the digits."""
    model = keras.Sequential(
        [layers.Flatten(), layers.Dense(units, activation=activation), layers.Dense(10, activation="softmax")]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


class TestGettingStarted:
    def test_a_builder_can_be_tried_by_hand(self, digits):
        model = build_model(keras_tuner.HyperParameters())
        assert model(digits.x[:3]).shape == (3, 10)
        # Flatten, one dense layer, no dropout, the output: the first of everything.
        assert [layer.units for layer in model.layers if isinstance(layer, layers.Dense)] == [8, 10]

    def test_bounds_by_position(self):
        hp = keras_tuner.HyperParameters()
        assert hp.Int("units", 32, 128, 32) == 32
        assert hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log") == 1e-4
        assert hp.Choice("activation", ["relu", "tanh"]) == "relu"
        assert hp.Boolean("dropout") is False
        assert hp.get("units") == hp["units"] == 32

    def test_search_by_the_guides_words(self, tmp_path, digits, capsys):
        tuner = keras_tuner.RandomSearch(
            hypermodel=build_model,
            objective="val_accuracy",
            max_trials=3,
            executions_per_trial=2,
            overwrite=True,
            directory=tmp_path / "my_dir",
            project_name="helloworld",
        )
        tuner.search_space_summary()
        space = capsys.readouterr().out
        for name in ("num_layers", "units_0", "activation", "dropout", "lr"):
            assert name in space
        assert "relu" in space
        assert "log" in space

        tuner.search(digits.x, digits.y, epochs=2, validation_data=(digits.x_val, digits.y_val))
        trials = tuner.oracle.get_best_trials(num_trials=3)
        assert [trial.status for trial in trials] == ["COMPLETED"] * 3
        assert trials[0].score == max(trial.score for trial in trials)
        for trial in trials:
            values = trial.hyperparameters.values
            assert {f"units_{i}" for i in range(values["num_layers"])} == {n for n in values if n.startswith("units_")}
            assert values["units_0"] in (8, 16)
            assert 1e-4 <= values["lr"] <= 1e-2

        capsys.readouterr()
        tuner.results_summary()
        results = capsys.readouterr().out
        assert "helloworld" in results
        assert "val_accuracy" in results
        assert str(trials[0].hyperparameters.values["units_0"]) in results

        models = tuner.get_best_models(num_models=2)
        assert len(models) == 2
        best_model = models[0]
        best_model.build(input_shape=(None, 8, 8))
        best_model.summary()
        assert best_model.predict(digits.x_val, verbose=0).shape == (96, 10)
        # 96 pictures: an accuracy lies on a grid of 1/96, and so a mean of two on one of 1/192.
        best_execution = best_model.evaluate(digits.x_val, digits.y_val, verbose=0, return_dict=True)["accuracy"]
        assert best_execution >= trials[0].score - 1e-6
        assert best_execution * 96 == pytest.approx(round(best_execution * 96), abs=1e-3)

    def test_the_builder_by_position_and_the_data_by_name(self, tmp_path, digits):
        tuner = keras_tuner.RandomSearch(build_model, "val_loss", 2, directory=str(tmp_path), project_name="by_name")
        tuner.search(x=digits.x, y=digits.y, validation_data=digits.validation)
        assert tuner.oracle.objective.direction == "min"
        assert [trial.score > 0 for trial in tuner.oracle.get_best_trials(2)] == [True, True]
        assert (tmp_path / "by_name").is_dir()

    def test_retraining_with_the_best_hyperparameters(self, tmp_path, digits):
        tuner = keras_tuner.RandomSearch(build_model, objective="val_accuracy", max_trials=2, directory=tmp_path)
        tuner.search(digits.x, digits.y, validation_data=digits.validation)
        best_hps = tuner.get_best_hyperparameters(5)
        assert len(best_hps) == 2
        model = build_model(best_hps[0])
        x_all = np.concatenate((digits.x, digits.x_val))
        y_all = np.concatenate((digits.y, digits.y_val))
        model.fit(x=x_all, y=y_all, epochs=1, verbose=0)
        first = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
        assert first.units == best_hps[0].get("units_0")

    def test_the_tuner_builds_models_too(self, tmp_path, digits):
        tuner = keras_tuner.RandomSearch(build_model, objective="val_accuracy", max_trials=1, directory=tmp_path)
        tuner.search(digits.x, digits.y, validation_data=digits.validation)
        best_hp = tuner.get_best_hyperparameters(num_trials=1)[0]
        model = tuner.hypermodel.build(best_hp)
        history = model.fit(digits.x, digits.y, epochs=2, validation_split=0.2, verbose=0)
        assert len(history.history["val_accuracy"]) == 2

    def test_a_hypermodel_that_tunes_its_training(self, tmp_path, digits):
        class MyHyperModel(keras_tuner.HyperModel):
            def build(self, hp):
                return dense(hp.Choice("units", [8, 16]))

            def fit(self, hp, model, *args, **kwargs):
                return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

        tuner = keras_tuner.RandomSearch(
            MyHyperModel(),
            objective="val_accuracy",
            max_trials=3,
            overwrite=True,
            directory=tmp_path,
            project_name="fit",
        )
        tuner.search(digits.x, digits.y, epochs=2, validation_data=digits.validation)
        trials = tuner.oracle.get_best_trials(3)
        assert len({(t.hyperparameters.get("units"), t.hyperparameters.get("batch_size")) for t in trials}) == 3

        best_hp = tuner.get_best_hyperparameters()[0]
        hypermodel = MyHyperModel()
        model = hypermodel.build(best_hp)
        history = hypermodel.fit(best_hp, model, digits.x, digits.y, epochs=1, verbose=0)
        assert history.params["steps"] == 192 // best_hp.get("batch_size")

    def test_a_hypermodel_that_tunes_its_data(self, tmp_path, digits):
        seen = []

        class Cropping(keras_tuner.HyperModel):
            def build(self, hp):
                side = hp.Int("image_size", 6, 8, step=2)
                inputs = keras.Input(shape=(side, side))
                outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(inputs))
                model = keras.Model(inputs, outputs)
                model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
                return model

            def fit(self, hp, model, x, y, validation_data=None, **kwargs):
                if hp.Boolean("normalize"):
                    x = layers.Normalization()(x)
                side = hp.get("image_size")
                x_val, y_val = validation_data
                shuffle = hp.Boolean("shuffle")
                seen.append((side, shuffle))
                return model.fit(
                    x[:, :side, :side],
                    y,
                    validation_data=(x_val[:, :side, :side], y_val),
                    shuffle=shuffle,
                    **kwargs,
                )

        tuner = keras_tuner.RandomSearch(
            Cropping(), objective="val_accuracy", max_trials=4, seed=3, directory=tmp_path, project_name="custom_data"
        )
        tuner.search(digits.x, digits.y, epochs=1, validation_data=digits.validation)
        values = [tuner.oracle.get_trial(f"{number:04d}").hyperparameters.values for number in range(4)]
        assert [(v["image_size"], v["shuffle"]) for v in values] == seen
        assert len({tuple(sorted(v.items())) for v in values}) == 4

        best_hp = tuner.get_best_hyperparameters()[0]
        model = Cropping().build(best_hp)
        Cropping().fit(best_hp, model, digits.x, digits.y, validation_data=digits.validation, epochs=1, verbose=0)
        assert seen[-1] == (best_hp.get("image_size"), best_hp.get("shuffle"))

    def test_an_objective_by_a_built_in_metrics_name(self, tmp_path, digits):
        def regressor(hp):
            model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Choice("units", [8, 16])), layers.Dense(1)])
            model.compile(optimizer="adam", loss="mean_squared_error", metrics=[keras.metrics.MeanAbsoluteError()])
            return model

        tuner = keras_tuner.RandomSearch(
            hypermodel=regressor,
            objective=keras_tuner.Objective("val_mean_absolute_error", direction="min"),
            max_trials=2,
            overwrite=True,
            directory=tmp_path,
            project_name="built_in_metrics",
        )
        tuner.search(digits.x, digits.y, epochs=1, validation_data=digits.validation)
        best, other = tuner.oracle.get_best_trials(2)
        assert best.score <= other.score
        assert best.score == best.metrics["val_mean_absolute_error"]

    def test_an_objective_of_ones_own_metric(self, tmp_path, digits):
        class Certainty(keras.metrics.Metric):
            def __init__(self, **kwargs):
                super().__init__(name="certainty", **kwargs)
                self.sum = self.add_weight(name="sum", initializer="zeros")
                self.count = self.add_weight(name="count", initializer="zeros")

            def update_state(self, y_true, y_pred, sample_weight=None):
                self.sum.assign_add(keras.ops.sum(keras.ops.max(y_pred, axis=-1)))
                self.count.assign_add(keras.ops.cast(keras.ops.shape(y_pred)[0], "float32"))

            def result(self):
                return self.sum / self.count

            def reset_state(self):
                self.sum.assign(0.0)
                self.count.assign(0.0)

        def build(hp):
            model = dense(hp.Choice("units", [8, 16]))
            model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=[Certainty()])
            return model

        tuner = keras_tuner.RandomSearch(
            build, objective=keras_tuner.Objective("val_certainty", direction="max"), max_trials=2, directory=tmp_path
        )
        tuner.search(digits.x, digits.y, epochs=1, validation_data=digits.validation)
        model = tuner.get_best_models()[0]
        certainty = float(np.max(model.predict(digits.x_val, verbose=0), axis=-1).mean())
        assert tuner.oracle.get_best_trials()[0].score == pytest.approx(certainty, abs=1e-5)

    def test_fit_returns_the_number_to_make_small(self, tmp_path, digits):
        class Regressor(keras_tuner.HyperModel):
            def build(self, hp):
                model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Choice("units", [4, 8])), layers.Dense(1)])
                model.compile(optimizer="adam", loss="mean_squared_error")
                return model

            def fit(self, hp, model, x, y, validation_data, **kwargs):
                model.fit(x, y, **kwargs)
                x_val, y_val = validation_data
                return np.mean(np.abs(model.predict(x_val, verbose=0)[:, 0] - y_val))

        tuner = keras_tuner.RandomSearch(
            hypermodel=Regressor(), max_trials=2, overwrite=True, directory=tmp_path, project_name="custom_eval"
        )
        tuner.search(digits.x, digits.y, epochs=1, validation_data=digits.validation)
        best, other = tuner.oracle.get_best_trials(2)
        assert best.score <= other.score
        best_hps = tuner.get_best_hyperparameters()[0]
        assert best_hps.values == {"units": best.hyperparameters.get("units")}
        prediction = tuner.get_best_models()[0].predict(digits.x_val, verbose=0)[:, 0]
        assert best.score == pytest.approx(np.mean(np.abs(prediction - digits.y_val)), abs=1e-5)

    def test_fit_returns_several_metrics_one_of_them_the_objective(self, tmp_path, digits):
        class TwoMetrics(keras_tuner.HyperModel):
            def build(self, hp):
                return dense(hp.Choice("units", [8, 16]))

            def fit(self, hp, model, x, y, validation_data, **kwargs):
                model.fit(x, y, **kwargs)
                return {"metric_a": -hp.get("units"), "metric_b": hp.get("units")}

        tuner = keras_tuner.RandomSearch(
            hypermodel=TwoMetrics(),
            objective=keras_tuner.Objective("metric_a", "max"),
            max_trials=2,
            overwrite=True,
            directory=tmp_path,
            project_name="custom_eval_dict",
        )
        tuner.search(digits.x, digits.y, epochs=1, validation_data=digits.validation)
        assert tuner.get_best_hyperparameters()[0].get("units") == 8
        best = tuner.oracle.get_best_trials()[0]
        assert (best.score, best.metrics["metric_b"]) == (-8, 8)

    def test_code_that_one_already_has_is_tuned_as_it_is(self, tmp_path, digits):
        def keras_code(units, optimizer, saving_path):
            model = keras.Sequential([layers.Flatten(), layers.Dense(units, activation="relu"), layers.Dense(1)])
            model.compile(optimizer=optimizer, loss="mean_squared_error")
            model.fit(digits.x, digits.y, verbose=0)
            model.save(saving_path)
            predicted = model.predict(digits.x_val, verbose=0)[:, 0]
            return np.mean(np.abs(predicted - digits.y_val))

        class MyTuner(keras_tuner.RandomSearch):
            def run_trial(self, trial, **kwargs):
                hp = trial.hyperparameters
                return keras_code(
                    units=hp.Int("units", 8, 16, 8),
                    optimizer=hp.Choice("optimizer", ["adam", "sgd"]),
                    saving_path=tmp_path / f"{trial.trial_id}.keras",
                )

        tuner = MyTuner(max_trials=2, overwrite=True, directory=tmp_path / "my_dir", project_name="keep_code_separate")
        tuner.search()
        trials = tuner.oracle.get_best_trials(3)
        assert sorted(trial.trial_id for trial in trials) == ["0000", "0001"]
        assert trials[0].score == min(trial.score for trial in trials)
        assert all((tmp_path / f"{trial.trial_id}.keras").exists() for trial in trials)

        best_hp = tuner.get_best_hyperparameters()[0]
        assert keras_code(**best_hp.values, saving_path=tmp_path / "best.keras") > 0
        assert (tmp_path / "best.keras").exists()


class TestCustomTuner:
    def test_a_training_loop_of_ones_own_in_fit(self, tmp_path, digits):
        class Looping(keras_tuner.HyperModel):
            def build(self, hp):
                inputs = keras.Input(shape=(8, 8))
                hidden = layers.Dense(hp.Choice("units", [8, 16]), activation="relu")(layers.Flatten()(inputs))
                return keras.Model(inputs, layers.Dense(10)(hidden))

            def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
                batch_size = hp.Int("batch_size", 32, 128, step=32, default=64)
                optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3))
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                model.compile(optimizer, loss)
                for callback in callbacks:
                    callback.model = model
                best = float("inf")
                # The second epoch is told to be the best, whatever it was: its weights are to be kept.
                for epoch, told in enumerate([0.5, 0.2, 0.9]):
                    for begin in range(0, len(x), batch_size):
                        model.train_on_batch(x[begin : begin + batch_size], y[begin : begin + batch_size])
                    for callback in callbacks:
                        callback.on_epoch_end(epoch, logs={"my_metric": told})
                    if told == 0.2:
                        weights[hp.get("learning_rate")] = model.get_weights()
                    best = min(best, told)
                return best

        weights = {}
        tuner = kt.RandomSearch(
            objective=kt.Objective("my_metric", "min"),
            max_trials=2,
            hypermodel=Looping(),
            directory=tmp_path / "results",
            project_name="custom_training",
            overwrite=True,
        )
        tuner.search(x=digits.x, y=digits.y, validation_data=digits.validation)
        best_hps = tuner.get_best_hyperparameters()[0]
        assert set(best_hps.values) == {"units", "batch_size", "learning_rate"}
        best = tuner.oracle.get_best_trials()[0]
        assert (best.score, best.best_step) == (0.2, 1)
        best_model = tuner.get_best_models()[0]
        best_model.summary()
        for kept, at_best in zip(best_model.get_weights(), weights[best_hps.get("learning_rate")], strict=True):
            np.testing.assert_array_equal(kept, at_best)

    def test_the_old_way_a_tuner_with_run_trial(self, tmp_path, digits, capsys):
        batches = []

        class MyTuner(kt.Tuner):
            def run_trial(self, trial, x, y):
                hp = trial.hyperparameters
                batch_size = hp.Int("batch_size", 32, 128, step=32, default=64)
                model = self.hypermodel.build(trial.hyperparameters)
                optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3))
                model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
                for epoch in range(2):
                    self.on_epoch_begin(trial, model, epoch, logs={})
                    losses = []
                    for batch, begin in enumerate(range(0, len(x), batch_size)):
                        self.on_batch_begin(trial, model, batch, logs={})
                        losses.append(
                            float(model.train_on_batch(x[begin : begin + batch_size], y[begin : begin + batch_size]))
                        )
                        self.on_batch_end(trial, model, batch, logs={"loss": losses[-1]})
                    self.on_epoch_end(trial, model, epoch, logs={"loss": np.mean(losses)})
                    self.oracle.update_trial(trial.trial_id, {"loss": np.mean(losses)}, step=epoch)
                    self.save_model(trial.trial_id, model, step=epoch)

            def on_batch_end(self, trial, model, batch, logs=None):
                batches.append((trial.trial_id, batch))

        def build_model(hp):
            inputs = keras.Input(shape=(8, 8))
            hidden = layers.Dense(hp.Choice("units", [8, 16]), activation="relu")(layers.Flatten()(inputs))
            return keras.Model(inputs, layers.Dense(10)(hidden))

        tuner = MyTuner(
            oracle=kt.oracles.RandomSearchOracle(objective=kt.Objective("loss", "min"), max_trials=2),
            hypermodel=build_model,
            directory=tmp_path / "results",
            project_name="old_custom_training",
        )
        tuner.search(digits.x, digits.y)
        best, other = tuner.oracle.get_best_trials(2)
        assert best.score <= other.score
        assert {trial for trial, _ in batches} == {"0000", "0001"}
        best_hps = tuner.get_best_hyperparameters()[0]
        print(best_hps.values)
        assert "learning_rate" in capsys.readouterr().out
        best_model = tuner.get_best_models()[0]
        best_model.summary()
        assert best_model.layers[2].units == best_hps.get("units")


class TestDistributedTuning:
    def test_search_with_steps_and_early_stopping(self, tmp_path, digits, monkeypatch):
        # The variables of a worker: whoever sets them finds a search that simply runs.
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner0")
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "8000")
        tuner = keras_tuner.RandomSearch(
            hypermodel=lambda hp: dense(hp.Choice("units", [8, 16])),
            objective="val_accuracy",
            max_trials=2,
            distribution_strategy=None,
            directory=tmp_path / "results_dir",
            project_name="mnist",
            overwrite=True,
        )
        tuner.search(
            digits.x,
            digits.y,
            steps_per_epoch=4,
            validation_data=digits.validation,
            validation_steps=2,
            epochs=2,
            callbacks=[keras.callbacks.EarlyStopping("val_accuracy")],
        )
        assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED", "COMPLETED"]


class WrittenLogs(keras.callbacks.TensorBoard):
    """Keras' callback, as far as it needs no TensorBoard: it writes the losses into its directory."""

    def set_model(self, model):
        self._written = []

    def on_train_begin(self, logs=None): ...
    def on_train_end(self, logs=None): ...
    def on_test_begin(self, logs=None): ...
    def on_test_end(self, logs=None): ...
    def on_train_batch_begin(self, batch, logs=None): ...
    def on_train_batch_end(self, batch, logs=None): ...
    def on_epoch_begin(self, epoch, logs=None): ...

    def on_epoch_end(self, epoch, logs=None):
        from pathlib import Path

        self._written.append(float(logs["loss"]))
        directory = Path(self.log_dir)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "losses.json").write_text(json.dumps(self._written))


def mlp_or_cnn(hp):
    """Build one of two kinds of model, each with hyperparameters of its own."""
    inputs = keras.Input(shape=(8, 8, 1))
    model_type = hp.Choice("model_type", ["mlp", "cnn"])
    if model_type == "mlp":
        x = layers.Flatten()(inputs)
        for i in range(hp.Int("mlp_layers", 1, 2)):
            x = layers.Dense(units=hp.Int(f"units_{i}", 8, 16, step=8), activation="relu")(x)
    else:
        x = inputs
        for i in range(hp.Int("cnn_layers", 1, 1)):
            x = layers.Conv2D(hp.Int(f"filters_{i}", 4, 8, step=4), kernel_size=(3, 3), activation="relu")(x)
        x = layers.Flatten()(x)
    if hp.Boolean("dropout"):
        x = layers.Dropout(rate=0.25)(x)
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"], optimizer="adam")
    return model


class TestVisualizeTuning:
    def test_values_set_beforehand_choose_the_branch(self):
        hp = keras_tuner.HyperParameters()
        hp.values["model_type"] = "cnn"
        model = mlp_or_cnn(hp)
        assert any(isinstance(layer, layers.Conv2D) for layer in model.layers)
        assert hp.get("filters_0") == 4
        hp = keras_tuner.HyperParameters()
        hp.values["model_type"] = "mlp"
        assert not any(isinstance(layer, layers.Conv2D) for layer in mlp_or_cnn(hp).layers)

    def test_each_trial_logs_into_a_directory_of_its_own(self, tmp_path, digits):
        tuner = keras_tuner.RandomSearch(
            mlp_or_cnn, max_trials=2, overwrite=True, objective="val_accuracy", directory=tmp_path / "tb"
        )
        tuner.search(
            digits.x[..., None],
            digits.y,
            validation_split=0.2,
            epochs=2,
            callbacks=[WrittenLogs(str(tmp_path / "tb_logs"))],
        )
        assert (tmp_path / "tb" / "untitled_project").is_dir()
        written = {
            path.relative_to(tmp_path / "tb_logs").parts[0]: json.loads(path.read_text())
            for path in (tmp_path / "tb_logs").rglob("losses.json")
        }
        assert set(written) == {"0000", "0001"}
        # Each file holds its own trial's two epochs, the best of which the search has too.
        for trial_id, losses in written.items():
            trial = tuner.oracle.get_trial(trial_id)
            assert len(losses) == 2
            assert losses[trial.best_step] == pytest.approx(trial.metrics["loss"], abs=1e-6)

    def test_tensorboard_is_told_the_hyperparameters(self, tmp_path, digits):
        pytest.importorskip("tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

        tuner = keras_tuner.RandomSearch(
            lambda hp: dense(hp.Choice("units", [8, 16])), max_trials=2, objective="val_accuracy", directory=tmp_path
        )
        tuner.search(
            digits.x,
            digits.y,
            validation_split=0.2,
            epochs=2,
            callbacks=[keras.callbacks.TensorBoard(str(tmp_path / "tb_logs"))],
        )
        for trial_id, trial in tuner.oracle.trials.items():
            told, scalars = {}, set()
            for path in (tmp_path / "tb_logs" / trial_id).rglob("*tfevents*"):
                events = EventAccumulator(str(path)).Reload()
                scalars |= set(events.Tags()["tensors"])
                if "hparams" in {data.plugin_data.plugin_name for data in events.summary_metadata.values()}:
                    for content in events.PluginTagToContent("hparams").values():
                        told |= HParamsPluginData.FromString(content).session_start_info.hparams
            assert {name: value.number_value for name, value in told.items()} == trial.hyperparameters.values
            assert "epoch_accuracy" in scalars

    def test_branches_ask_only_what_they_need(self, tmp_path):
        class Counting(keras_tuner.RandomSearch):
            def run_trial(self, trial):
                return mlp_or_cnn(trial.hyperparameters).count_params()

        tuner = Counting(max_trials=8, overwrite=True, directory=tmp_path, seed=1)
        tuner.search()
        trials = tuner.oracle.trials.values()
        assert {trial.hyperparameters.get("model_type") for trial in trials} == {"mlp", "cnn"}
        for trial in trials:
            values = trial.hyperparameters.values
            assert ("mlp_layers" in values) == (values["model_type"] == "mlp")
            assert ("cnn_layers" in values) == (values["model_type"] == "cnn")
            assert ("units_1" in values) == (values.get("mlp_layers") == 2)


def build_digits_model(hp):
    """Build what the guide on tailoring restricts: everything tuned, the rate by a choice."""
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 2)):
        model.add(layers.Dense(hp.Int(f"units_{i}", 8, 16, step=8, default=16), activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(hp.Choice("learning_rate", values=[1e-2, 1e-3, 1e-4])),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class TestTailorTheSearchSpace:
    def search(self, digits, tmp_path, hypermodel=build_digits_model, **arguments):
        settings = {"objective": "val_accuracy", "max_trials": 3, "overwrite": True, "directory": tmp_path, "seed": 4}
        tuner = keras_tuner.RandomSearch(hypermodel=hypermodel, **{**settings, **arguments})
        tuner.search(digits.x, digits.y, epochs=1, validation_data=digits.validation)
        return tuner

    def test_search_a_few_and_keep_the_rest_at_default(self, tmp_path, digits):
        hp = keras_tuner.HyperParameters()
        hp.Float("learning_rate", min_value=1e-4, max_value=1e-2, sampling="log")
        rates = []

        def watched(hp):
            model = build_digits_model(hp)
            rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
            assert [layer.units for layer in model.layers[1:]] == [16, 10]
            return model

        tuner = self.search(digits, tmp_path, watched, hyperparameters=hp, tune_new_entries=False)
        values = [trial.hyperparameters.get("learning_rate") for trial in tuner.oracle.trials.values()]
        # The user's range has replaced the model's choice of three.
        assert len(set(values)) == 3
        assert not set(values) & {1e-2, 1e-3, 1e-4}
        assert rates[-3:] == pytest.approx(values)
        assert [layer.units for layer in tuner.get_best_models()[0].layers[1:]] == [16, 10]

    def test_what_is_not_searched_can_still_be_read(self, tmp_path, digits):
        class Sized(keras_tuner.HyperModel):
            def build(self, hp):
                return dense(hp.Int("units", 8, 16, step=8, default=16), hp.Choice("learning_rate", [1e-2, 1e-3]))

            def fit(self, hp, model, *args, **kwargs):
                assert hp.get("units") == 16
                return model.fit(*args, batch_size=2 * hp.get("units"), **kwargs)

        hp = keras_tuner.HyperParameters()
        hp.Choice("learning_rate", [1e-2, 1e-4])
        tuner = self.search(digits, tmp_path, Sized(), hyperparameters=hp, tune_new_entries=False, max_trials=2)
        assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED", "COMPLETED"]

    def test_what_is_not_searched_can_still_be_a_condition(self, tmp_path, digits):
        def build(hp):
            units = 8
            hp.Choice("kind", ["plain", "deep"])
            with hp.conditional_scope("kind", ["plain"]):
                asked = hp.Int("plain_units", 16, 32)
                units = units if asked is None else asked
            with hp.conditional_scope("kind", ["deep"]):
                hp.Boolean("narrow")
                with hp.conditional_scope("narrow", [True]):
                    hp.Int("waist", 1, 4)
            return dense(units, hp.Choice("learning_rate", [1e-2, 1e-3]))

        hp = keras_tuner.HyperParameters()
        hp.Choice("learning_rate", [1e-2, 1e-4])
        tuner = self.search(digits, tmp_path, build, hyperparameters=hp, tune_new_entries=False, max_trials=2)
        assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED", "COMPLETED"]
        assert tuner.get_best_models()[0].layers[1].units == 16

    def test_fix_a_few_and_search_the_rest(self, tmp_path, digits):
        hp = keras_tuner.HyperParameters()
        hp.Fixed("learning_rate", value=1e-4)
        tuner = self.search(digits, tmp_path, hyperparameters=hp, tune_new_entries=True)
        trials = list(tuner.oracle.trials.values())
        assert {trial.hyperparameters.get("learning_rate") for trial in trials} == {1e-4}
        assert len({json.dumps(trial.hyperparameters.values, sort_keys=True) for trial in trials}) == 3
        model = tuner.get_best_models()[0]
        assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(1e-4)

    def test_what_is_not_listed_may_be_forbidden(self, tmp_path):
        hp = keras_tuner.HyperParameters()
        hp.Choice("learning_rate", [1e-2, 1e-4])
        with pytest.raises(Exception, match="num_layers"):
            keras_tuner.RandomSearch(
                build_digits_model,
                objective="val_accuracy",
                hyperparameters=hp,
                allow_new_entries=False,
                directory=tmp_path,
            )

    def test_compile_arguments_are_replaced(self, tmp_path, digits):
        def badly_compiled(hp):
            model = dense(hp.Choice("units", [8, 16]))
            model.compile("adam", "mean_squared_error", metrics=["mean_squared_error"])
            return model

        tuner = self.search(
            digits,
            tmp_path,
            badly_compiled,
            max_trials=2,
            optimizer=keras.optimizers.SGD(5e-2),
            loss="sparse_categorical_crossentropy",
            metrics=["sparse_categorical_accuracy"],
            objective="val_sparse_categorical_accuracy",
        )
        model = tuner.get_best_models()[0]
        assert model.loss == "sparse_categorical_crossentropy"
        assert isinstance(model.optimizer, keras.optimizers.SGD)
        assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(5e-2)
        metrics = tuner.oracle.get_best_trials()[0].metrics
        assert set(metrics) == {
            "loss",
            "val_loss",
            "sparse_categorical_accuracy",
            "val_sparse_categorical_accuracy",
        }

    def test_a_loss_alone_is_replaced(self, tmp_path, digits):
        tuner = self.search(digits, tmp_path, max_trials=1, loss=keras.losses.SparseCategoricalCrossentropy())
        assert isinstance(tuner.get_best_models()[0].optimizer, keras.optimizers.Adam)
        assert tuner.oracle.get_best_trials()[0].score == tuner.oracle.get_best_trials()[0].metrics["val_accuracy"]


class TestFailedTrials:
    def tuner(self, build, tmp_path, **arguments):
        return keras_tuner.GridSearch(
            hypermodel=build,
            objective="val_loss",
            overwrite=True,
            directory=tmp_path,
            **{"max_retries_per_trial": 3, "max_consecutive_failed_trials": 8, **arguments},
        )

    def search(self, tuner, digits):
        tuner.search(digits.x, digits.y, validation_data=digits.validation, epochs=1)

    def test_an_error_fails_the_trial_after_its_retries(self, tmp_path, digits, capsys):
        calls = []

        def build(hp):
            units = hp.Int("units", 8, 24, step=8)
            calls.append(units)
            if units > 8:
                raise ValueError("too large for this machine")
            return dense(units)

        tuner = self.tuner(build, tmp_path)
        calls.clear()
        self.search(tuner, digits)
        assert {t.hyperparameters.get("units"): t.status for t in tuner.oracle.trials.values()} == {
            8: "COMPLETED",
            16: "FAILED",
            24: "FAILED",
        }
        assert calls == [8] + [16] * 4 + [24] * 4
        capsys.readouterr()
        tuner.results_summary()
        assert "too large for this machine" in capsys.readouterr().out

    def test_a_failed_trial_error_is_not_retried(self, tmp_path, digits):
        calls = []

        def build(hp):
            units = hp.Int("units", 8, 24, step=8)
            calls.append(units)
            if units == 16:
                raise keras_tuner.errors.FailedTrialError("model too large")
            return dense(units)

        tuner = self.tuner(build, tmp_path)
        calls.clear()
        self.search(tuner, digits)
        assert calls == [8, 16, 24]
        assert "model too large" in tuner.oracle.get_trial("0001").message
        assert tuner.oracle.get_trial("0001").status == "FAILED"

    def test_a_fatal_error_ends_the_search(self, tmp_path, digits):
        def build(hp):
            units = hp.Int("units", 8, 24, step=8)
            if units == 16:
                raise keras_tuner.errors.FatalError("the data are wrong")
            return dense(units)

        tuner = self.tuner(build, tmp_path)
        with pytest.raises(keras_tuner.errors.FatalError, match="the data are wrong"):
            self.search(tuner, digits)
        assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED", "FAILED"]

    def test_errors_go_by_keras_tuners_names(self):
        errors = keras_tuner.errors
        for fatal, plain in (
            (errors.FatalValueError, ValueError),
            (errors.FatalTypeError, TypeError),
            (errors.FatalRuntimeError, RuntimeError),
        ):
            assert issubclass(fatal, errors.FatalError)
            assert issubclass(fatal, plain)
        assert not issubclass(errors.FailedTrialError, errors.FatalError)

    def test_too_many_failures_in_a_row_end_the_search(self, tmp_path, digits):
        def build(hp):
            raise ValueError(f"no model of {hp.Int('units', 1, 100)} units")

        tuner = self.tuner(build, tmp_path, max_retries_per_trial=0, max_consecutive_failed_trials=2)
        with pytest.raises(RuntimeError, match="no model of 2 units"):
            self.search(tuner, digits)
        assert len(tuner.oracle.trials) == 2
