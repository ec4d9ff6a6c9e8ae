"""What scikit-learn's users write: data in every form, scorers, splitters, and the mistakes that are easily made."""

import functools

import numpy as np
import pytest

import choritsu as ct
from choritsu.decisions import Continue, Stop
from choritsu.errors import FatalTypeError, FatalValueError, ObjectiveError

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, f1_score, fbeta_score, make_scorer
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score
from sklearn.tree import DecisionTreeClassifier

X, Y = load_iris(return_X_y=True)
RNG = np.random.RandomState(3)


def tree(hp):
    return DecisionTreeClassifier(max_depth=hp.Int("depth", 1, 5), random_state=0)


def tuned(directory, build=tree, trials=2, data=(X, Y), fit=None, **arguments):
    oracle = ct.oracles.RandomSearchOracle(max_trials=trials, seed=0)
    tuner = ct.SklearnTuner(oracle, build, directory=directory, **arguments)
    tuner.search(*data, verbose=0, **(fit or {}))
    return tuner


def scores(tuner):
    assert tuner.history.completed
    return [trial.score for trial in tuner.history]


@pytest.mark.parametrize(
    "data",
    [(X, list(Y)), (list(X), Y), (X.tolist(), Y.tolist()), (list(X), list(Y)), (tuple(map(tuple, X)), tuple(Y))],
    ids=["list of labels", "list of rows", "plain lists", "lists of both", "tuples"],
)
def test_lists_of_samples_score_as_arrays_do(tmp_path, data):
    assert scores(tuned(tmp_path / "lists", data=data)) == scores(tuned(tmp_path / "arrays"))


def test_weights_may_be_a_list(tmp_path):
    weights = np.where(Y == 1, 5.0, 1.0)
    listed = tuned(tmp_path / "list", fit={"sample_weight": list(weights)})
    assert scores(listed) == scores(tuned(tmp_path / "array", fit={"sample_weight": weights}))
    assert scores(listed) != scores(tuned(tmp_path / "none"))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("sample_weights", "is it sample_weight that is meant"),
        ("group", "is it groups that is meant"),
        ("n_jobs", "is it workers that is meant"),
        ("n_iter", "max_trials"),
        ("foo", "it takes X, y, .*time_limit"),
    ],
)
def test_an_argument_that_nobody_takes_is_refused(tmp_path, word, told):
    with pytest.raises(FatalTypeError, match=f"search takes no argument {word}; .*{told}"):
        tuned(tmp_path, fit={word: 3})
    assert not list(tmp_path.rglob("trials/*"))


@pytest.mark.parametrize("name", ["sample_weight", "groups"])
@pytest.mark.parametrize("count", [100, 1000])
def test_what_is_not_one_a_sample_is_refused_before_training(tmp_path, name, count):
    with pytest.raises(FatalValueError, match=f"X has 150 samples and {name} has {count}"):
        tuned(tmp_path, fit={name: np.ones(count)})


def test_metrics_are_recorded_as_functions_and_as_names(tmp_path):
    tuner = tuned(tmp_path, metrics=[accuracy_score, "f1_macro"], scoring="accuracy")
    for trial in tuner.oracle.get_best_trials(2):
        assert set(trial.metrics) == {"score", "accuracy_score", "f1_macro"}
        assert trial.metrics["accuracy_score"] == trial.metrics["score"]
        own = DecisionTreeClassifier(max_depth=trial.hyperparameters["depth"], random_state=0)
        splitter = KFold(5, shuffle=True, random_state=1)
        assert trial.metrics["f1_macro"] == pytest.approx(
            cross_val_score(own, X, Y, cv=splitter, scoring="f1_macro").mean()
        )


def score(truth, predicted):
    return 0.0


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (score, "two metrics would be recorded as 'score', which is the name of what scoring gives"),
        ([functools.partial(fbeta_score, beta=b, average="macro") for b in (0.5, 2)], "recorded as 'fbeta_score'"),
        ([lambda t, p: 1.0, lambda t, p: 2.0], "recorded as '<lambda>'"),
    ],
)
def test_metrics_of_one_name_are_refused(tmp_path, metrics, told):
    with pytest.raises(FatalValueError, match=told):
        tuned(tmp_path, metrics=metrics)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"metrics": [make_scorer(f1_score)]}, r"functions \(y_true, y_pred\) -> float with a name"),
        ({"scoring": f1_score}, r"make_scorer\(f1_score\)"),
        ({"scoring": ["accuracy", "f1_macro"]}, "goes to metrics"),
        ({"cv": 0.2}, "a list of .training indices"),
        ({"cv": "5"}, "a list of .training indices"),
        ({"cv": []}, "a list of .training indices"),
        ({"cv": [1, 2]}, "a list of .training indices"),
        ({"cv": KFold}, r"the class KFold; give an instance, such as KFold\(5\)"),
        ({"metrics": {"f1": 3}}, "or names of scorers"),
        ({"metrics": {3: accuracy_score}}, "recorded by name, got 3"),
    ],
)
def test_what_cannot_judge_is_refused_at_the_door(tmp_path, arguments, told):
    with pytest.raises(FatalTypeError, match=told):
        tuned(tmp_path, **arguments)


@pytest.mark.parametrize("cv", [0, 1, -3, True])
def test_too_few_folds_are_refused(tmp_path, cv):
    with pytest.raises(FatalValueError, match="at least 2"):
        tuned(tmp_path, cv=cv)


@pytest.mark.parametrize("metric", ["acuracy", "f2"])
def test_unknown_scorers_are_refused(tmp_path, metric):
    for name, given in (("scoring", metric), ("metrics", [metric])):
        with pytest.raises(FatalValueError, match=f"{name}='{metric}'"):
            tuned(tmp_path, **{name: given})


def test_a_subclass_may_take_arguments_of_its_own(tmp_path):
    class Own(ct.SklearnTuner):
        def run_trial(self, trial, X, y, sample_weight, groups, extra=0, **words):
            trial.hyperparameters.Int("depth", 1, 5)
            trial.report(score=extra)

    tuner = Own(ct.oracles.RandomSearchOracle(max_trials=1, seed=0), tree, directory=tmp_path)
    tuner.search(X, Y, extra=5, verbose=0)
    assert tuner.history.best.score == 5


def test_folds_may_be_listed_or_come_from_a_generator(tmp_path):
    splitter = KFold(3, shuffle=True, random_state=4)
    wanted = scores(tuned(tmp_path / "splitter", cv=splitter))
    assert scores(tuned(tmp_path / "list", cv=list(splitter.split(X)))) == wanted
    assert scores(tuned(tmp_path / "generator", cv=splitter.split(X))) == wanted


def test_folds_may_say_of_each_sample_whether_it_belongs(tmp_path):
    splitter = KFold(3, shuffle=True, random_state=4)
    masks = [tuple(np.isin(np.arange(len(X)), part) for part in fold) for fold in splitter.split(X)]
    # As a mask has it, training samples are in their order.
    wanted = scores(tuned(tmp_path / "splitter", cv=splitter))
    assert scores(tuned(tmp_path / "masks", cv=masks)) == wanted
    assert scores(tuned(tmp_path / "lists", cv=masks, data=(list(X), list(Y)))) == wanted


def test_metrics_may_be_named(tmp_path):
    metrics = {
        "always": lambda truth, told: 42.0,
        "acc": "accuracy",
        "half": functools.partial(fbeta_score, beta=0.5, average="macro"),
    }
    tuner = tuned(tmp_path, metrics=metrics)
    told = tuner.history.best.result.metrics
    assert set(told) == {"score", "always", "acc", "half"}
    assert told["always"] == 42
    assert told["acc"] == pytest.approx(tuner.history.best.score)


def test_a_class_in_place_of_an_estimator_is_told(tmp_path):
    with pytest.raises(FatalTypeError, match="the class DecisionTreeClassifier; return an instance"):
        tuned(tmp_path, build=lambda hp: DecisionTreeClassifier)


def test_a_fold_without_a_score_is_told_as_one(tmp_path):
    rare = np.array([1] * 4 + [0] * 146)
    tuner = ct.SklearnTuner(
        ct.oracles.RandomSearchOracle(max_trials=1, seed=0), tree, scoring="roc_auc", directory=tmp_path
    )
    with pytest.warns(UserWarning, match="Only one class"):
        tuner.search(X, rare, verbose=0)
    assert "in execution" in tuner.history[0].message
    assert "a fold with one class" in tuner.history[0].message


def test_regression_and_its_best_estimator(tmp_path):
    target = X @ np.array([1.0, -2.0, 0.5, 3.0])
    tuner = tuned(
        tmp_path,
        build=lambda hp: LinearRegression(fit_intercept=hp.Boolean("intercept")),
        data=(X, target),
        scoring="neg_mean_squared_error",
    )
    assert tuner.get_best_models()[0].score(X, target) == pytest.approx(1.0)


def test_a_subclass_may_train_in_parts_and_on_other_data(tmp_path):
    class Own(ct.SklearnTuner):
        def run_trial(self, trial, X, y, sample_weight, groups, **words):
            trial.hyperparameters.Int("depth", 1, 5)
            for epoch in trial.epochs():
                trial.report(score=epoch + len(X))

    tuner = Own(ct.oracles.HyperbandOracle(max_epochs=4, seed=0), tree, directory=tmp_path)
    tuner.search({"a": X, "b": X}, Y, verbose=0)
    assert tuner.history.best.score == 5


@pytest.mark.parametrize("oracle", [ct.oracles.HyperbandOracle(max_epochs=4), ct.oracles.ASHA(max_epochs=9)])
def test_an_oracle_that_trains_in_parts_is_refused(tmp_path, oracle):
    with pytest.raises(ValueError, match="fitted in one go; take RandomSearchOracle"):
        ct.SklearnTuner(oracle, tree, directory=tmp_path)


def test_a_stopper_ends_a_trial_between_folds(tmp_path):
    class Doubting:
        def decide(self, history, curves, reported):
            return Stop("seen enough") if reported.report.execution == 1 else Continue()

    tuner = tuned(tmp_path, stopper=Doubting())
    assert [trial.result.executions for trial in tuner.history] == [2, 2]


class Rows(BaseEstimator):
    """Tells by its score which rows it was fitted on."""

    def __init__(self, unused=0):
        self.unused = unused

    def fit(self, x, y):
        self.rows = np.sort(x[:, 0])
        return self

    def score(self, x, y):
        SEEN.append(self.rows)
        return 0.0


SEEN = []


@pytest.mark.parametrize("cv", [ShuffleSplit(3), KFold(3, shuffle=True), KFold(3, shuffle=True, random_state=RNG)])
def test_all_trials_have_the_same_folds_also_where_chance_draws_them(tmp_path, cv):
    SEEN.clear()
    data = np.arange(60.0)[:, None], np.zeros(60)
    tuned(tmp_path, lambda hp: Rows(hp.Int("unused", 0, 9)), data=data, trials=2, cv=cv)
    first, second = SEEN[:3], SEEN[3:]
    assert all((one == other).all() for one, other in zip(first, second, strict=True))
    assert not (first[0] == first[1]).all()


def test_the_best_estimator_is_the_same_each_time(tmp_path):
    def forest(hp):
        return RandomForestClassifier(n_estimators=hp.Int("trees", 3, 9))

    first = tuned(tmp_path, forest)
    second = tuned(tmp_path, forest)
    models = [*first.get_best_models(), *first.get_best_models(), *second.get_best_models()]
    told = [model.predict_proba(X).tolist() for model in models]
    assert told[0] == told[1] == told[2]


def test_metrics_are_weighted_as_scores_are(tmp_path):
    def constant(hp):
        return DummyClassifier(strategy="constant", constant=hp.Int("class", 0, 2))

    weights = np.where(Y == 0, 1000.0, 1.0)
    metrics = ["accuracy", accuracy_score]
    tuner = tuned(tmp_path, constant, scoring="accuracy", metrics=metrics, fit={"sample_weight": weights})
    for trial in tuner.history:
        told = trial.result.metrics
        assert told["score"] == told["accuracy"] == told["accuracy_score"]


def test_an_objective_that_no_fold_tells_is_refused_at_the_door(tmp_path):
    oracle = ct.oracles.RandomSearchOracle("accuracy", max_trials=1)
    with pytest.raises(ObjectiveError, match=r"reports score, and not 'accuracy'; write scoring='accuracy'"):
        ct.SklearnTuner(oracle, tree, scoring="accuracy", directory=tmp_path)
    ct.SklearnTuner(oracle, tree, metrics=["accuracy"], directory=tmp_path)


@pytest.mark.parametrize("given", [DecisionTreeClassifier, DecisionTreeClassifier()], ids=["class", "instance"])
def test_an_estimator_in_the_place_of_a_function_is_recognised(tmp_path, given):
    oracle = ct.oracles.RandomSearchOracle(max_trials=1)
    for make in (lambda: ct.SklearnTuner(oracle, given), lambda: ct.RandomSearch(given, directory=tmp_path)):
        with pytest.raises(FatalTypeError, match="give SklearnTuner a function of hp that returns one"):
            make()


def test_data_given_for_an_estimator_lead_to_the_tuner_of_estimators(tmp_path):
    with pytest.raises(FatalValueError, match="is tuned by SklearnTuner"):
        ct.RandomSearch(tree, "val_loss", max_trials=1, directory=tmp_path).search(X, Y, verbose=0)


def test_losses_turned_round_are_made_large():
    assert ct.Objective("neg_mean_squared_error").direction == "max"


@pytest.mark.parametrize("metric", ["neg_max_error", "adjusted_rand_score", lambda y, p, **options: float(*options, 1)])
def test_metrics_that_take_no_weights_get_none(tmp_path, metric):
    metrics = [metric] if isinstance(metric, str) else {"own": metric}
    tuner = tuned(tmp_path, metrics=metrics, fit={"sample_weight": np.ones(len(Y))})
    assert len(tuner.history.completed) == 2
