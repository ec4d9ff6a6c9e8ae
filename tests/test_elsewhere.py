"""Whoever writes what another library calls it is told what it is called here."""

import copy
import pickle

import pytest

import choritsu as ct


def square(hp):
    return hp.Float("x", -1, 1) ** 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("best_params", r"get_best_hyperparameters\(\)\[0\].values"),
        ("best_params_", r"get_best_hyperparameters\(\)\[0\].values"),
        ("best_estimator_", "get_best_models"),
        ("best_value", r"history\.best\.score"),
        ("optimize", "search"),
        ("fit", "search"),
    ],
)
def test_a_tuner_knows_what_studies_and_grid_searches_have(tmp_path, name, told):
    tuner = ct.RandomSearch(square, max_trials=2, directory=tmp_path)
    with pytest.raises(AttributeError, match=rf"'RandomSearch' object has no attribute '{name}': .*{told}"):
        getattr(tuner, name)


def test_what_takes_its_place_exists(tmp_path):
    tuner = ct.RandomSearch(square, max_trials=2, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.get_best_hyperparameters()[0].values == {"x": tuner.oracle.get_best_trials()[0].hyperparameters["x"]}
    assert tuner.history.best.score == min(trial.score for trial in tuner.history)
    assert len(tuner.to_dataframe()) == 2


@pytest.mark.parametrize(
    ("asks", "told"),
    [
        (lambda hp: hp.suggest_float("rate", 1e-4, 1e-1, log=True), r'hp\.Float\(.*sampling="log"'),
        (lambda hp: hp.suggest_int("units", 8, 64), r"hp\.Int\("),
        (lambda hp: hp.suggest_categorical("kind", ["a", "b"]), r"hp\.Choice\("),
    ],
)
def test_optunas_questions_are_translated(tmp_path, asks, told):
    with pytest.raises(AttributeError, match=told):
        asks(ct.HyperParameters())
    # In a search, the message is what is kept of the trial.
    tuner = ct.RandomSearch(asks, max_trials=1, max_consecutive_failed_trials=5, directory=tmp_path)
    tuner.search(verbose=0)
    assert "has no attribute 'suggest_" in tuner.history[0].message


def test_a_running_trial_says_how_to_end_early(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        return 1.0 if trial.should_prune() else 0.0

    tuner = ct.RandomSearch(train, max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert "trial.epochs(n)" in tuner.history[0].message


def test_other_unknown_names_are_told_by_python(tmp_path):
    class Own(ct.RandomSearch):
        @property
        def broken(self):
            return self.not_there

        @property
        def trials(self):
            return self.not_there_either

    tuner = Own(square, max_trials=1, directory=tmp_path)
    with pytest.raises(AttributeError, match="'Own' object has no attribute 'not_there_either'"):
        tuner.trials  # noqa: B018
    with pytest.raises(AttributeError, match="'Own' object has no attribute 'not_there'"):
        tuner.broken  # noqa: B018
    with pytest.raises(AttributeError, match="'HyperParameters' object has no attribute 'Flot'"):
        ct.HyperParameters().Flot  # noqa: B018


def test_what_translates_is_copied_and_pickled():
    hp = ct.HyperParameters({"x": 0.5})
    assert copy.deepcopy(hp).values == pickle.loads(pickle.dumps(hp)).values == {"x": 0.5}


def test_what_is_printed_is_short(tmp_path):
    tuner = ct.RandomSearch(square, max_trials=30, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    best = tuner.history.best
    assert str(best) == f"trial {best.trial_id}, COMPLETED, score {best.score:.6g}: x={best.values['x']:.6g}"
    assert str(best) in str(tuner.oracle.get_best_trials()[0])
    assert repr(tuner.history) == f"<History of 30 trials, 30 completed; the best is {best}>"
    assert "RandomSearch" in repr(tuner)
    assert str(tmp_path) in repr(tuner)
