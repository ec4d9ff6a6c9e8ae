"""Several objectives: their sum as in Keras Tuner, and the Pareto front."""

import itertools
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import choritsu as ct
from choritsu.cli import app
from choritsu.errors import ChangedSearchError, ObjectiveError
from choritsu.fronts import dominates, ranks
from choritsu.report import render_html, to_records, write_json
from choritsu.stores import MemoryStore
from choritsu.trials import Claimed, Finished, History, Report, Status, as_objective, result_of

LOSS_AND_TIME = ["val_loss", ct.Objective("seconds", "min")]
LOSS_AND_ACCURACY = ["val_loss", "val_accuracy"]

coordinates = st.one_of(st.integers(-4, 4).map(float), st.floats(), st.just(math.nan))
clouds = st.integers(1, 4).flatmap(lambda size: st.lists(st.tuples(*[coordinates] * size), max_size=30))


def is_finite(point):
    return all(map(math.isfinite, point))


# -- fronts ----------------------------------------------------------------------------------------


@given(clouds)
def test_no_point_of_the_front_is_dominated_and_all_others_are(points):
    rank = ranks(points)
    front = [point for point, place in zip(points, rank, strict=True) if place == 0 and is_finite(point)]
    assert not any(dominates(one, other) for one, other in itertools.permutations(front, 2))
    for point, place in zip(points, rank, strict=True):
        if place and is_finite(point):
            assert any(dominates(held, point) for held in front)


@given(clouds)
def test_each_rank_is_the_front_of_what_is_left(points):
    rank = ranks(points)
    left = [index for index, point in enumerate(points) if is_finite(point)]
    for place in range(max(rank, default=0) + 1):
        rest = [index for index in left if rank[index] >= place]
        alone = [index for index in rest if not any(dominates(points[other], points[index]) for other in rest)]
        assert alone == [index for index in left if rank[index] == place]


@given(clouds, st.randoms(use_true_random=False))
def test_the_order_of_points_is_irrelevant_and_what_is_not_finite_comes_last(points, rng):
    ranked = dict(zip(map(repr, points), ranks(points), strict=True))
    rng.shuffle(points)
    assert dict(zip(map(repr, points), ranks(points), strict=True)) == ranked
    finite = [place for point, place in zip(points, ranks(points), strict=True) if is_finite(point)]
    for point, place in zip(points, ranks(points), strict=True):
        if not is_finite(point):
            assert place > max(finite, default=-1)


def history_of(scores, objective):
    """Make a history of one report a trial."""
    events = []
    for number, metrics in enumerate(scores):
        told = [Report(0, 0, objective.filled(metrics))]
        events += [Claimed(number, 0, {"x": number}), Finished(number, 0, {"x": number}, result_of(told, objective))]
    return History(objective=objective).after_all(events)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_best_trials_come_front_by_front_in_the_order_of_the_sum(scores):
    objective = as_objective(LOSS_AND_ACCURACY, pareto=True)
    history = history_of([{"val_loss": a, "val_accuracy": b} for a, b in scores], objective)
    points = [history.points[trial.number] for trial in history.completed]
    assert points == [(a, -b) for a, b in (scores[trial.number] for trial in history.completed)]
    for before, after in itertools.pairwise(points):
        assert not dominates(after, before)
    front = history.completed[: len(history.front)]
    assert {trial.number for trial in front} == {trial.number for trial in history.front}
    assert [trial.score for trial in front] == sorted(trial.score for trial in front)
    assert history.best.score == min(trial.score for trial in history)
    losses = [history.points[trial.number][0] for trial in history.front]
    assert losses == sorted(losses)


def test_a_trial_that_lacks_an_objective_or_diverged_in_one_is_not_on_the_front():
    objective = as_objective(LOSS_AND_TIME, pareto=True)
    with pytest.raises(ObjectiveError, match="diverged"):
        result_of([Report(0, 0, objective.filled({"val_loss": math.nan, "seconds": 0.0}))], objective)
    with pytest.raises(ObjectiveError, match="'seconds' was not among the metrics reported: val_loss"):
        result_of([Report(0, 0, objective.filled({"val_loss": 0.1}))], objective)
    apart = [Report(0, 0, {"val_loss": 0.1}), Report(0, 1, {"seconds": 3.0})]
    with pytest.raises(ObjectiveError, match="'val_loss' and 'seconds' were never reported together"):
        result_of(apart, objective)


# -- the objective ---------------------------------------------------------------------------------


def test_a_list_is_the_sum_of_what_is_to_be_small_less_what_is_to_be_large():
    objective = as_objective([*LOSS_AND_ACCURACY, ct.Objective("seconds", "min")])
    assert (objective.name, objective.direction) == ("multi_objective", "min")
    assert objective.formula == "val_loss - val_accuracy + seconds"
    logs = {"val_loss": 0.5, "val_accuracy": 0.75, "seconds": 2.0, "other": 9.0}
    assert objective.get_value(logs) == 1.75
    assert objective.filled(logs) == {**logs, "multi_objective": 1.75}
    assert not objective.has_value({"val_loss": 1.0})
    assert as_objective(["val_loss"]) == as_objective("val_loss")
    assert as_objective(("val_loss", "seconds_loss")).parts[1].direction == "min"


@pytest.mark.parametrize(
    ("objective", "pareto", "match"),
    [
        ([], False, "a list of these, got"),
        (["val_loss", "val_loss"], False, "names of their own"),
        (["val_loss", "speed"], False, "speed"),
        (["val_loss", ["val_accuracy", "val_auc"]], False, "at least two metrics"),
        ("val_loss", True, "at least two objectives, got 'val_loss' alone"),
        (["val_loss"], True, "at least two"),
        (None, True, "at least two"),
    ],
)
def test_what_cannot_be_several_objectives_is_refused(objective, pareto, match, tmp_path):
    with pytest.raises(ObjectiveError, match=match):
        ct.RandomSearch(lambda hp: 0.0, objective, pareto=pareto, directory=tmp_path)


# -- searches --------------------------------------------------------------------------------------


def measure(hp):
    x, y = hp.Float("x", 0, 1), hp.Float("y", 0, 1)
    return {"val_loss": 1 - x + y, "seconds": x + y, "other": 1.0}


def tuned(directory, objective=LOSS_AND_TIME, search=ct.RandomSearch, function=measure, **arguments):
    arguments = {"max_trials": 12, "seed": 0, "directory": directory, "project_name": "search", **arguments}
    return search(function, objective, **arguments)


@pytest.mark.parametrize("search", [ct.RandomSearch, ct.QuasiRandomSearch, ct.GridSearch])
def test_searches_give_the_front_of_what_they_tried(search, tmp_path):
    tuner = tuned(tmp_path, search=search, pareto=True)
    tuner.search(verbose=0)
    front = tuner.pareto_front()
    points = {
        trial.number: (1 - trial.values["x"] + trial.values["y"], trial.values["x"] + trial.values["y"])
        for trial in tuner.history
    }
    on_front = {number for number, one in points.items() if not any(dominates(two, one) for two in points.values())}
    assert {int(trial.trial_id) for trial in front} == on_front
    assert all(trial.metrics["multi_objective"] == pytest.approx(trial.score) for trial in front)
    assert [trial.metrics["val_loss"] for trial in front] == sorted(trial.metrics["val_loss"] for trial in front)
    assert {trial.trial_id for trial in tuner.oracle.get_best_trials(len(front))} == {trial.trial_id for trial in front}


def test_an_interrupted_search_keeps_its_objectives_and_goes_on(tmp_path):
    whole = tuned(tmp_path / "whole", pareto=True)
    whole.search(verbose=0)
    tuned(tmp_path, pareto=True, max_trials=5).search(verbose=0)
    again = tuned(tmp_path, pareto=True)
    assert again.history.objective == as_objective(LOSS_AND_TIME, pareto=True)
    again.search(verbose=0)
    assert [trial.result for trial in again.history] == [trial.result for trial in whole.history]
    assert again.history.front == tuple(again.history[trial.number] for trial in whole.history.front)


def test_another_set_of_objectives_is_noticed(tmp_path):
    tuned(tmp_path, pareto=True).search(verbose=0)
    with pytest.raises(ChangedSearchError, match=r"was \[.*seconds.*\] with pareto=True, is now"):
        tuned(tmp_path)
    # The trials are scored alike: it may go on.
    assert not tuned(tmp_path, accept_changes=True).history.objective.pareto
    with pytest.raises(ChangedSearchError, match=r"scored by val_loss \+ seconds, which cannot be compared"):
        tuned(tmp_path, LOSS_AND_ACCURACY, accept_changes=True)
    with pytest.raises(ChangedSearchError, match="is now"):
        tuned(tmp_path, "val_loss")


def test_a_trial_counts_with_the_epoch_of_its_best_sum(tmp_path):
    def train(hp, trial):
        start = hp.Float("start", 0, 1)
        for epoch in range(4):
            trial.report(val_loss=start + abs(epoch - 2), seconds=0.25 * epoch)

    tuner = tuned(tmp_path, function=train, pareto=True, store=MemoryStore(), max_trials=3)
    tuner.search(verbose=0)
    for trial in tuner.history:
        assert trial.best_step == 2
        assert trial.result.metrics["seconds"] == 0.5
        assert trial.result.metrics["val_loss"] == pytest.approx(trial.values["start"])


@pytest.mark.parametrize("executions", [1, 2])
def test_hyperband_goes_by_the_sum(tmp_path, executions):
    def train(hp, trial):
        x = hp.Float("x", 0, 1)
        for epoch in trial.epochs(state={"random": random.Random(0)}):
            trial.report({"val_loss": x / (epoch + 1), "seconds": 1 - x / 2})

    tuner = ct.Hyperband(
        train, LOSS_AND_TIME, max_epochs=4, seed=0, pareto=True, directory=tmp_path, executions_per_trial=executions
    )
    tuner.search(verbose=0)
    assert tuner.pareto_front()
    for until in {trial.rungs[0].until for trial in tuner.history} - {4}:
        first = [trial for trial in tuner.history if trial.rungs[0].until == until]
        promoted = [trial.rungs[0].score for trial in first if len(trial.rungs) > 1]
        assert promoted
        assert max(promoted) <= min(trial.rungs[0].score for trial in first if len(trial.rungs) == 1)


def test_a_single_number_is_not_enough(tmp_path):
    tuner = tuned(tmp_path, function=lambda hp: hp.Float("x", 0, 1), max_trials=1)
    tuner.search(verbose=0)
    (trial,) = tuner.history
    assert trial.status is Status.FAILED
    assert 'return {"val_loss": ..., "seconds": ...}' in trial.message


def test_the_weights_of_the_front_are_kept(tmp_path):
    def train(hp, trial):
        x = hp.Float("x", 0, 1)
        state = {"random": random.Random(0)}
        for _ in trial.epochs(2, state=state):
            trial.report(val_loss=1 - x, seconds=100 * x)

    tuner = tuned(tmp_path, function=train, pareto=True, max_trials=6, keep_best_models=6)
    tuner.search(verbose=0)
    kept = {path.parent.name for path in tmp_path.glob("search/trials/*/best.safetensors")}
    assert kept == {trial.trial_id for trial in tuner.pareto_front()}
    assert len(kept) == 6


@pytest.mark.slow
def test_keras_tuner_code_with_a_list_of_objectives_runs_as_it_is(tmp_path):
    keras = pytest.importorskip("keras")
    import numpy as np

    import choritsu as keras_tuner

    def build_model(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 8), activation="relu"), keras.layers.Dense(1)])
        model.compile("adam", loss="mse", metrics=["mae"])
        return model

    x = np.random.default_rng(0).random((32, 3))
    y = x.sum(axis=1)
    tuner = keras_tuner.RandomSearch(
        build_model,
        objective=["val_loss", keras_tuner.Objective("val_mae", direction="max")],
        max_trials=2,
        directory=tmp_path,
        project_name="several",
    )
    with pytest.raises(ObjectiveError, match="'val_loss' is measured on validation data"):
        tuner.search(x, y, epochs=1)
    tuner.search(x, y, epochs=2, validation_data=(x, y), verbose=0)
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == pytest.approx(best.metrics["val_loss"] - best.metrics["val_mae"])
    assert tuner.objective.name == "multi_objective"
    assert tuner.get_best_models()[0].count_params()


# -- what is told ----------------------------------------------------------------------------------


def test_the_summary_is_the_front(tmp_path, capsys):
    tuner = tuned(tmp_path, pareto=True)
    tuner.search(verbose=0)
    front = tuner.pareto_front()
    capsys.readouterr()
    tuner.results_summary()
    text = capsys.readouterr().out
    assert f"The Pareto front: {len(front)} of 12 completed trials" in text
    assert "val_loss (small), seconds (small), Pareto front" in " ".join(text.split())
    rows = [line.split() for line in text[text.index("The Pareto front") :].splitlines()]
    named = [word for row in rows for word in row[1:2] if word.isdigit()]
    assert named == [trial.trial_id for trial in front]
    tuner.results_summary(num_trials=1)
    assert "1 of them" in capsys.readouterr().out or len(front) == 1


def test_the_page_draws_the_front_and_the_export_holds_it(tmp_path):
    tuner = tuned(tmp_path, pareto=True)
    tuner.search(verbose=0)
    front = [int(trial.trial_id) for trial in tuner.pareto_front()]
    page = render_html(tuner.summary)
    plane = page.split('aria-label="seconds by val_loss"')[1].split("</svg>")[0]
    assert plane.count('class="dot best"') == len(front)
    assert plane.count("<circle") == 12
    assert plane.count('class="best-line"') == 1
    assert "nan" not in plane
    records = to_records(tuner.summary)
    assert [record["trial"] for record in records if record["on_front"]] == sorted(front)
    assert all({"metric.val_loss", "metric.seconds", "metric.multi_objective"} <= record.keys() for record in records)
    data = json.loads(write_json(tuner.summary, tmp_path / "a.json").read_text(encoding="utf-8"))
    assert data["front"] == front
    assert data["objective"]["parts"] == [
        {"name": "val_loss", "direction": "min"},
        {"name": "seconds", "direction": "min"},
    ]


def test_three_objectives_are_drawn_two_by_two_and_the_sum_alone_is_told_as_such(tmp_path, capsys):
    three = [*LOSS_AND_TIME, ct.Objective("other", "max")]
    tuner = tuned(tmp_path, three)
    tuner.search(verbose=0)
    page = render_html(tuner.summary)
    for name in ("seconds by val_loss", "other by val_loss", "other by seconds"):
        assert f'aria-label="{name}"' in page
    capsys.readouterr()
    tuner.results_summary()
    text = " ".join(capsys.readouterr().out.split())
    assert "multi_objective = val_loss + seconds - other, smaller is better" in text


def test_the_command_line_tells_each_trial_of_the_front(tmp_path):
    tuner = tuned(tmp_path, pareto=True)
    tuner.search(verbose=0)
    told = CliRunner().invoke(app, ["best", str(tmp_path / "search"), "--json"])
    front = tuner.pareto_front()
    assert [row["trial"] for row in json.loads(told.output)] == [int(trial.trial_id) for trial in front]
    assert [row["metrics"]["seconds"] for row in json.loads(told.output)] == [
        trial.metrics["seconds"] for trial in front
    ]
    text = CliRunner().invoke(app, ["best", str(tmp_path / "search")]).output
    assert text.count("# val_loss") == len(front)


def test_of_several_objectives_the_one_that_diverged_is_named(tmp_path):
    def train(hp):
        return {"val_loss": hp.Float("x", 0, 1), "seconds": math.nan}

    tuner = ct.RandomSearch(train, LOSS_AND_TIME, max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.history[0].message == "seconds was nan and at no epoch finite: the training diverged"
