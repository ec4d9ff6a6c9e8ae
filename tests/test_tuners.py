"""What a tuner promises across runs of its script: continuing, telling what changed, losing nothing."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import choritsu as ct
from choritsu.cli import app
from choritsu.errors import (
    ChangedSearchError,
    FatalTypeError,
    FatalValueError,
    ForeignStoreError,
    ObjectiveError,
    SpaceError,
    StoreError,
    TooManyFailuresError,
)
from choritsu.stores import MemoryStore, open_store
from choritsu.trials import Claimed, Interrupted, Lost, Status


def parabola(hp):
    return (hp.Float("x", -1, 1) - 0.3) ** 2 + hp.Int("n", 0, 3)


def tuned(directory, function=parabola, **arguments):
    arguments = {"max_trials": 5, "seed": 0, "directory": directory, "project_name": "search", **arguments}
    return ct.RandomSearch(function, **arguments)


def outcomes(tuner):
    return [(trial.values, trial.score, trial.status) for trial in tuner.history]


def test_a_second_run_keeps_what_is_finished_and_counts_it(tmp_path):
    calls = []

    def counted(hp):
        calls.append(1)
        return parabola(hp)

    tuned(tmp_path, counted, max_trials=3).search(verbose=0)
    again = tuned(tmp_path, counted, max_trials=5)
    assert again.remaining_trials() == 2
    again.search(verbose=0)
    assert len(calls) == 5
    whole = tuned(tmp_path / "other", max_trials=5)
    whole.search(verbose=0)
    assert outcomes(again) == outcomes(whole)


def test_a_finished_search_returns_at_once(tmp_path):
    tuned(tmp_path).search(verbose=0)
    again = tuned(tmp_path, lambda hp: pytest.fail("nothing was left to do"))
    again.search(verbose=0)
    assert len(again.history) == 5


def test_overwrite_begins_anew_and_spares_other_files(tmp_path):
    tuned(tmp_path).search(verbose=0)
    mine = tmp_path / "search" / "notes.txt"
    mine.write_text("mine")
    assert len(tuned(tmp_path).history) == 5
    assert len(tuned(tmp_path, overwrite=True).history) == 0
    assert mine.read_text() == "mine"


def test_a_seed_drawn_once_is_kept(tmp_path):
    first = tuned(tmp_path, seed=None, max_trials=2)
    first.search(verbose=0)
    assert tuned(tmp_path, seed=None).seed == first.seed
    assert tuned(tmp_path / "other", seed=None).seed != first.seed


def test_a_changed_range_is_told_with_the_choices(tmp_path):
    tuned(tmp_path).search(verbose=0)

    def wider(hp):
        return hp.Float("x", -2, 1) ** 2

    again = tuned(tmp_path, wider, max_trials=9)
    with pytest.raises(ChangedSearchError) as caught:
        again.search(verbose=0)
    text = str(caught.value)
    assert "min_value=-1.0" in text
    assert "min_value=-2.0" in text
    for choice in ("overwrite=True", "project_name", "undo"):
        assert choice in text
    assert len(again.history.completed) == 5
    accepted = tuned(tmp_path, wider, max_trials=9, accept_changes=True)
    accepted.search(verbose=0)
    assert accepted.history.space.named("x")[0].min_value == -2.0
    assert len(accepted.history.completed) >= 8


def test_a_changed_belief_lets_a_search_go_on(tmp_path):
    def believing(prior, hidden):
        def function(hp):
            x = hp.Float("x", -1, 1, prior=prior)
            return x**2 if x < 0 else x + hp.Int("n", 0, 3, prior=hidden)

        return function

    tuned(tmp_path, believing(None, 2)).search(verbose=0)
    again = tuned(tmp_path, believing(0.5, 1), max_trials=10)
    again.search(verbose=0)
    assert [parameter.prior for parameter in again.history.space] == [0.5, 1]
    # Random search does not look at beliefs.
    unbelieving = tuned(tmp_path / "other", believing(None, None), max_trials=10)
    unbelieving.search(verbose=0)
    assert outcomes(again) == outcomes(unbelieving)


def test_a_changed_belief_of_what_is_declared_is_known_at_once(tmp_path):
    for prior in (None, 0.5, 0.25, None):
        again = tuned(tmp_path, hyperparameters=[ct.Float("x", -1, 1, prior=prior)])
        assert again.history.space == ct.Space((ct.Float("x", -1, 1, prior=prior),))


def test_a_changed_objective_is_told_before_anything_runs(tmp_path):
    tuned(tmp_path, objective=ct.Objective("a", "min"), function=lambda hp: {"a": hp.Int("n", 0, 3)}).search(verbose=0)
    with pytest.raises(ChangedSearchError, match=r'was Objective\(name="a", direction="min"\).*"max"'):
        tuned(tmp_path, objective=ct.Objective("a", "max"))
    accepted = tuned(tmp_path, objective=ct.Objective("a", "max"), accept_changes=True)
    assert accepted.history.best.values == {"n": 3}


def test_the_command_line_is_there_as_a_module(tmp_path):
    tuned(tmp_path).search(verbose=0)
    command = [sys.executable, "-m", "choritsu", "best", str(tmp_path / "search")]
    assert "x" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    command[-1] = str(tmp_path / "nothing")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("choritsu: ")


def sklearn_tuner(directory, **arguments):
    from sklearn.neighbors import KNeighborsClassifier

    oracle = ct.oracles.RandomSearchOracle(max_trials=arguments.pop("max_trials", 2), seed=0)
    tuner = ct.SklearnTuner(
        oracle, lambda hp: KNeighborsClassifier(hp.Int("k", 1, 9)), directory=directory, project_name="s", **arguments
    )
    tuner.search([[number] for number in range(30)], [number % 2 for number in range(30)], verbose=0)
    return tuner


def own_scorer(estimator, x, y):
    return estimator.score(x, y)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("neg_log_loss", "accuracy", "scored by neg_log_loss, and scoring is now accuracy"),
        (None, "neg_log_loss", "scored by the estimator's own score, and scoring is now neg_log_loss"),
        ("accuracy", own_scorer, "scored by accuracy, and scoring is now <function own_scorer>"),
    ],
)
def test_scores_of_two_kinds_are_not_ranked_together(tmp_path, first, second, says):
    pytest.importorskip("sklearn")
    sklearn_tuner(tmp_path, scoring=first)
    with pytest.raises(ChangedSearchError, match=says):
        sklearn_tuner(tmp_path, scoring=second, max_trials=3)
    assert len(sklearn_tuner(tmp_path, scoring=first, max_trials=3).history) == 3
    assert len(sklearn_tuner(tmp_path, scoring=second, max_trials=4, accept_changes=True).history) == 4
    assert len(sklearn_tuner(tmp_path, scoring=first, overwrite=True).history) == 2


def test_the_same_scoring_goes_on_however_it_is_written_and_another_cv_is_noted(tmp_path, capsys):
    metrics = pytest.importorskip("sklearn.metrics")
    sklearn_tuner(tmp_path, scoring="accuracy")
    sklearn_tuner(tmp_path, scoring=metrics.make_scorer(metrics.accuracy_score), max_trials=3)
    sklearn_tuner(tmp_path / "own", scoring=own_scorer)
    sklearn_tuner(tmp_path / "own", scoring=lambda *data: own_scorer(*data), accept_changes=True)
    assert "split by" not in capsys.readouterr().out
    tuner = sklearn_tuner(tmp_path, scoring="accuracy", cv=3, max_trials=4)
    tuner.search([[0], [1]] * 9, [0, 1] * 9, verbose=2)
    told = capsys.readouterr().out
    assert "trials made earlier were split by KFold(n_splits=5" in told
    assert "those to come by KFold(n_splits=3" in told


def test_a_search_that_does_not_say_its_scoring_goes_on(tmp_path):
    pytest.importorskip("sklearn")
    sklearn_tuner(tmp_path, scoring="neg_log_loss")
    with sqlite3.connect(tmp_path / "s" / "search.db") as database:
        database.execute("UPDATE search SET settings = '{}'")
    assert len(sklearn_tuner(tmp_path, scoring="accuracy", max_trials=3).history) == 3


def test_a_foreign_file_is_refused_and_untouched(tmp_path):
    place = tmp_path / "search"
    place.mkdir()
    with sqlite3.connect(place / "search.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = (place / "search.db").read_bytes()
    with pytest.raises(ForeignStoreError):
        tuned(tmp_path)
    assert (place / "search.db").read_bytes() == before
    assert sorted(path.name for path in place.iterdir()) == ["search.db"]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda hp: None, "returned None"),
        (lambda hp: "good", "return a number"),
        (lambda hp: float("nan"), "nan"),
        (lambda hp: float("inf"), "inf"),
        (lambda hp: {"accuracy": 1.0}, "say which of them counts, as in objective='accuracy'"),
        (lambda hp: {}, "at least one metric"),
        (lambda hp: 1 / 0, "ZeroDivisionError"),
        (lambda hp: hp.Int("n", 3, 1), "min_value=3"),
        (lambda hp, trial: trial.report(loss="low"), "single number"),
    ],
)
def test_whatever_a_function_does_its_trial_fails_readably_and_the_search_goes_on(tmp_path, function, reason):
    def sometimes(hp, trial):
        hp.Float("x", 0, 1)
        if trial.number == 1:
            return function(hp) if function.__code__.co_argcount == 1 else function(hp, trial)
        return 1.0

    tuner = tuned(tmp_path, sometimes, max_trials=3)
    tuner.search(verbose=0)
    assert [trial.status for trial in tuner.history] == [Status.COMPLETED, Status.FAILED, Status.COMPLETED]
    assert reason in tuner.history[1].message


def test_three_failures_in_a_row_stop_the_search_with_the_traceback(tmp_path):
    def broken(hp):
        hp.Float("x", 0, 1)
        raise ValueError("the file is missing")

    tuner = tuned(tmp_path, broken, max_trials=10)
    with pytest.raises(TooManyFailuresError, match="the file is missing") as caught:
        tuner.search(verbose=0)
    assert "in broken" in str(caught.value)
    assert len(tuner.history) == 3


def test_a_function_that_fails_before_it_asks_is_no_silent_success(tmp_path):
    def broken(hp):
        raise ValueError("no data")

    with pytest.raises(TooManyFailuresError, match="no data"):
        tuned(tmp_path, broken).search(verbose=0)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"objective": "my_metric"}, ObjectiveError, 'Objective\\(.my_metric., "min"\\)'),
        ({"objective": ct.Objective("a", "min"), "max_trials": 0}, ValueError, "max_trials"),
        ({"executions_per_trial": 0}, ValueError, "executions_per_trial"),
        ({"seed": 1.5}, ValueError, "seed"),
        ({"tune_new_entries": False}, ValueError, "hyperparameters"),
        ({"keep_best_models": 0}, ValueError, "keep_best_models"),
        ({"max_trails": 5}, TypeError, r"RandomSearch takes no argument max_trails; did you mean max_trials\?"),
        ({"objective": "val_my_score"}, ObjectiveError, r'"max"\)$'),
        ({"overwite": True}, TypeError, r"did you mean overwrite\?"),
        ({"qqq": True, "zzz": 1}, TypeError, "RandomSearch takes no argument qqq, zzz$"),
        (
            {"objective": "val_acuracy"},
            ObjectiveError,
            r"Objective\('val_acuracy', \"max\"\); did you mean 'val_accuracy'\?",
        ),
        ({"hyperparameters": 3}, SpaceError, "Space"),
    ],
)
def test_bad_arguments_are_refused_at_the_door(tmp_path, arguments, error, says):
    with pytest.raises(error, match=says):
        tuned(tmp_path, **arguments)


@pytest.mark.parametrize("thing", [None, 3, ct.HyperModel])
def test_what_cannot_be_tuned_is_refused(tmp_path, thing):
    with pytest.raises((TypeError, FatalTypeError), match=r"hypermodel|HyperModel\(\)"):
        tuned(tmp_path, thing)


def test_arguments_of_the_oracle_are_told_from_those_of_the_tuner(tmp_path):
    with pytest.raises(TypeError, match=r"Tuner takes no argument max_trial; did you mean max_trials\?"):
        ct.Tuner(ct.oracles.Random(), parabola, max_trial=5, directory=tmp_path)
    with pytest.raises(TypeError, match=r"no argument max_trials; give it to the oracle, .*Oracle\(max_trials=5\)"):
        ct.Tuner(ct.oracles.RandomSearchOracle(), parabola, max_trials=5, directory=tmp_path)


class Suggestive:
    suggest = None


@pytest.mark.parametrize(
    ("oracle", "says"),
    [
        ("random", r"RandomSearchOracle\(max_trials=10\).*suggest\(history, number\), got 'random'"),
        (None, "got None"),
        (parabola, "got <function parabola"),
        (Suggestive(), "Suggestive object"),
        (ct.oracles.RandomSearchOracle, r"write oracle=RandomSearchOracle\(...\)"),
        (ct.oracles.QuasiRandom, r"write oracle=QuasiRandom\(...\)"),
    ],
)
def test_what_is_no_oracle_is_refused_at_the_door(tmp_path, oracle, says):
    with pytest.raises(TypeError, match=says):
        ct.Tuner(oracle, parabola, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_data_for_a_function_that_takes_none_is_refused(tmp_path):
    with pytest.raises(FatalValueError, match="trains by itself"):
        tuned(tmp_path, lambda hp, trial: 0.0).search([1, 2, 3], verbose=0)


def test_enqueued_values_come_first_and_only_once(tmp_path):
    for _ in range(2):
        tuner = tuned(tmp_path)
        tuner.enqueue({"x": 0.5, "n": 2})
        tuner.enqueue({})
        tuner.search(verbose=0)
    values = [dict(trial.values) for trial in tuner.history]
    assert values[:2] == [{"x": 0.5, "n": 2}, {"x": -1.0, "n": 0}]
    assert len(values) == 5
    assert {"x": 0.5, "n": 2} not in values[2:]
    with pytest.raises(SpaceError, match="'x'"):
        tuner.enqueue({"x": 7.0})


def test_a_static_space_can_be_given_instead(tmp_path):
    space = ct.Space((ct.Int("units", 1, 3), ct.Choice("act", ["relu", "tanh"])))
    tuner = tuned(tmp_path, lambda hp: hp.get("units") + len(hp["act"]), hyperparameters=space, max_trials=99, seed=3)
    tuner.search(verbose=0)
    assert len(tuner.history) == 6
    assert {(trial.values["units"], trial.values["act"]) for trial in tuner.history} == {
        (units, act) for units in (1, 2, 3) for act in ("relu", "tanh")
    }


def test_keras_tuners_way_of_sharing_is_said_to_mean_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    tuned(tmp_path).search(verbose=2)
    assert "ignores KERASTUNER_TUNER_ID: all runs of a script" in " ".join(capsys.readouterr().out.split())
    monkeypatch.delenv("KERASTUNER_TUNER_ID")
    tuned(tmp_path).search(verbose=2)
    assert "KERASTUNER" not in capsys.readouterr().out


def test_a_search_that_another_process_runs_is_not_deleted(tmp_path):
    script = f"""
import sys, time, choritsu as ct
def f(hp):
    print("begun", flush=True)
    time.sleep(60)
    return hp.Float("x", 0, 1)
ct.RandomSearch(f, max_trials=1, directory={str(tmp_path)!r}).search(verbose=0)
"""
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout.readline().strip() == "begun"
        with pytest.raises(StoreError, match=f"is running in process {running.pid}, and overwrite=True would delete"):
            ct.RandomSearch(lambda hp: 0.0, max_trials=1, directory=tmp_path, overwrite=True)
        assert len(ct.RandomSearch(lambda hp: 0.0, max_trials=1, directory=tmp_path).history) == 1
    finally:
        running.kill()
        running.communicate()
    # Nobody runs it any more.
    tuner = ct.RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=1, directory=tmp_path, overwrite=True)
    tuner.search(verbose=0)
    assert len(tuner.history.completed) == 1


def test_executions_that_never_came_to_be_are_not_spoken_of(tmp_path):
    def tuned(trials, executions):
        return ct.RandomSearch(
            lambda hp: hp.Float("x", 0, 1),
            max_trials=trials,
            executions_per_trial=executions,
            seed=0,
            directory=tmp_path,
        )

    tuned(2, 1).search(verbose=0)
    assert "trials made earlier had 1 execution each, those to come 2 executions" in tuned(2, 2)._notes
    assert not any("executions" in note for note in tuned(3, 1)._notes)


def test_two_processes_share_one_search(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time, choritsu as ct\n"
        "def f(hp):\n"
        "    time.sleep(0.05)\n"
        "    return hp.Float('x', 0, 1)\n"
        f"t = ct.RandomSearch(f, max_trials=30, seed=1, directory={str(tmp_path)!r}, project_name='search')\n"
        "t.search(verbose=0)\n"
        "print(len(t.history.completed))\n"
    )
    runs = [subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == ["30", "30"]
    with sqlite3.connect(tmp_path / "search" / "search.db") as connection:
        claims, workers = connection.execute("SELECT count(*), count(DISTINCT worker) FROM claims").fetchone()
    connection.close()
    assert (claims, workers) == (30, 2)


@pytest.mark.parametrize("error", [ValueError, ct.RedrawTrialError])
def test_a_promotion_that_fails_is_told_and_the_lower_rung_stands(error, tmp_path, capsys):
    def train(hp, trial):
        x = hp.Float("x", 0, 1)
        for epoch in trial.epochs(9):
            if epoch == 4 and trial.trial_id == promoted:
                raise error("the cable is out")
            trial.report(loss=x)

    def searched(name):
        tuner = ct.Hyperband(train, "loss", max_epochs=9, seed=0, directory=tmp_path, project_name=name)
        tuner.search(verbose=0)
        return tuner

    promoted = ""
    before = searched("before").history
    promoted = next(trial.trial_id for trial in before if [rung.until for rung in trial.rungs][-2:] == [3, 9])
    tuner = searched("search")
    trial = tuner.history[int(promoted)]
    assert (trial.status, trial.rungs[-1].until, trial.missed) == (Status.COMPLETED, 3, 9)
    assert [other.number for other in tuner.history if other.missed is not None] == [trial.number]
    tuner.results_summary()
    told = " ".join(capsys.readouterr().out.split())
    cause = f"on the way to epoch 9: {'' if error is ct.RedrawTrialError else 'ValueError: '}the cable is out"
    assert "17 completed, 1 promotion failed" in told
    assert f"Failed trial {promoted}: {cause}" in told
    shown = CliRunner().invoke(app, ["show", str(tmp_path / "search"), "--trial", str(trial.number)]).output
    assert cause in shown
    assert ("Traceback" in shown) == (error is ValueError)
    page = tuner.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert cause in page
    assert ("Traceback" in page) == (error is ValueError)
    assert "1 promotion failed" in page
    assert "completed, then failed" in page


def test_the_command_line_reads_a_search(tmp_path):
    def train(hp, trial):
        if hp.Int("n", 0, 3) == 2:
            raise ValueError("two is too many")
        trial.report(loss=1.0)

    tuner = tuned(tmp_path, train, objective="loss")
    tuner.search(verbose=0)
    runner, place = CliRunner(), str(tmp_path / "search")
    shown = runner.invoke(app, ["show", place]).output
    assert "4 hyper" not in shown
    assert "0 to 3" in shown
    assert "loss" in shown
    failed = next(trial for trial in tuner.history if trial.status is Status.FAILED)
    assert "Traceback" in runner.invoke(app, ["show", place, "--trial", str(failed.number)]).output
    best = json.loads(runner.invoke(app, ["best", place, "--json"]).output)
    assert best["score"] == 1.0
    assert eval(runner.invoke(app, ["best", place]).output) == tuner.history.best.values
    for name in ("out.csv", "out.json"):
        assert runner.invoke(app, ["export", place, "-o", str(tmp_path / name)]).exit_code == 0
        assert (tmp_path / name).stat().st_size > 100
    assert runner.invoke(app, ["report", place]).exit_code == 0
    assert "<html" in (Path(place) / "report.html").read_text()[:200]


def test_what_the_command_line_refuses_is_a_sentence(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", "from choritsu.cli import main; main()", "show", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "no search lies in" in run.stderr


def test_printed_lines_tell_the_course_of_a_search(tmp_path, capsys):
    tuned(tmp_path, max_trials=2).search(verbose=2)
    tuned(tmp_path, max_trials=3).search(verbose=2)
    printed = capsys.readouterr().out
    assert "Trial 0:" in printed
    assert "Continuing: 2 trials made earlier, best" in printed
    assert "Done: max_trials=3 is reached." in printed
    capsys.readouterr()
    tuned(tmp_path, max_trials=4).search(verbose=0)
    assert capsys.readouterr().out == ""


def test_a_data_frame_has_a_row_a_trial(tmp_path):
    tuner = tuned(tmp_path)
    tuner.search(verbose=0)
    frame = tuner.to_dataframe()
    assert len(frame) == 5
    assert frame["score"].min() == tuner.history.best.score


def test_a_notebook_shows_a_table(tmp_path):
    tuner = tuned(tmp_path)
    tuner.search(verbose=0)
    page = tuner._repr_html_()
    assert "<pre" in page
    assert "default_objective" in page


# -- hooks and what an overridden method may count on ----------------------------------------------


class Hooked(ct.RandomSearch):
    """Keeps what its hooks see."""

    def on_search_begin(self):
        self.seen = []

    def on_trial_begin(self, trial):
        super().on_trial_begin(trial)
        self.seen.append(
            (dict(trial.hyperparameters.values), trial.status, trial.score, Path(self.place(trial)).is_dir())
        )

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        stored = self.oracle.get_trial(trial.trial_id)
        self.seen.append((trial.status, trial.score, dict(trial.metrics), trial.best_step, stored.score, stored.status))

    def place(self, trial):
        return self.get_trial_dir(trial.trial_id)


def test_hooks_see_the_values_before_and_the_result_after(tmp_path):
    tuner = Hooked(parabola, max_trials=2, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    _, first_end, begin, end = tuner.seen
    for trial, told in zip(tuner.history, (first_end, end), strict=True):
        metrics = {"default_objective": trial.score}
        assert told == ("COMPLETED", trial.score, metrics, 0, trial.score, "COMPLETED")
    # Nobody knew of anything before the first trial.
    assert begin == (tuner.history[1].values, "RUNNING", None, True)


def test_a_hook_that_fails_costs_no_trial(tmp_path):
    class Careless(ct.RandomSearch):
        def on_trial_end(self, trial):
            raise ConnectionError("the tracker does not answer")

    tuner = Careless(parabola, max_trials=2, seed=0, directory=tmp_path)
    with pytest.warns(UserWarning, match="(?s)on_trial_end of trial 000[01] failed.*the tracker does not answer"):
        tuner.search(verbose=0)
    assert [trial.status for trial in tuner.history] == [Status.COMPLETED] * 2


@pytest.mark.parametrize("name", ["_build_and_fit_model", "_populate_initial_space", "pre_create_trial"])
def test_what_is_never_called_cannot_be_overridden(tmp_path, name):
    kind = type("Mine", (ct.RandomSearch,), {name: lambda self, *args, **kwargs: None})
    with pytest.raises(TypeError, match=f"Mine defines {name}, which is never called here; override "):
        kind(parabola, directory=tmp_path)


def test_an_overridden_run_trial_gets_what_each_execution_gave(tmp_path):
    class Looking(ct.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            returned = super().run_trial(trial, *args, **kwargs)
            self.returned = returned
            return returned

    def measured(hp):
        return {"loss": hp.Float("x", 0, 1), "seconds": 2.0}

    tuner = Looking(measured, "loss", max_trials=1, executions_per_trial=3, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    (trial,) = tuner.history
    assert tuner.returned == [{"loss": trial.score, "seconds": 2.0}] * 3
    # Handed on, it is not told once more.
    assert (trial.result.executions, trial.result.epochs) == (3, 3)


def test_metrics_have_keras_tuners_methods(tmp_path):
    def curve(hp, trial):
        hp.Fixed("x", 1)
        for epoch, (loss, accuracy) in enumerate([(0.9, 0.1), (0.3, 0.6), (0.5, 0.7)]):
            trial.report(val_loss=loss + trial.execution, val_accuracy=accuracy, epoch=epoch)

    tuner = ct.RandomSearch(curve, "val_loss", max_trials=1, executions_per_trial=2, directory=tmp_path)
    tuner.search(verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    metrics = trial.metrics
    assert dict(metrics) == {"val_loss": pytest.approx(0.8), "val_accuracy": 0.6}
    assert metrics.get_best_value("val_loss") == trial.score
    assert (metrics.get_best_value("val_accuracy"), metrics.get_best_step("val_accuracy")) == (0.7, 2)
    assert [(one.value, one.step) for one in metrics.get_history("val_loss")][:2] == [([0.9, 1.9], 0), ([0.3, 1.3], 1)]
    assert metrics.get_last_value("val_accuracy") == 0.7
    assert [metrics.exists(name) for name in ("val_loss", "loss")] == [True, False]
    with pytest.raises(KeyError, match="no metric 'loss' was reported; there are: val_accuracy, val_loss"):
        metrics.get_history("loss")
    state = json.loads(json.dumps(trial.get_state()))
    assert (state["trial_id"], state["status"], state["score"]) == ("0000", "COMPLETED", trial.score)


# -- mistakes that cost no training ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("timeout", "time_limit"),
        ("n_jobs", "workers"),
        ("patienc", "patience"),
        ("time_limits", "time_limit"),
        ("n_trials", "max_trials of the tuner itself"),
    ],
)
def test_a_misspelled_argument_of_search_is_refused(tmp_path, word, meant):
    tuner = tuned(tmp_path)
    with pytest.raises(FatalTypeError, match=f"search takes no argument {word}; is it {meant} that is meant"):
        tuner.search(**{word: 5})
    assert len(tuner.history) == 0


def test_a_fit_of_ones_own_may_take_what_a_tuner_does_elsewhere(tmp_path):
    class Mine(ct.RandomSearch):
        def run_trial(self, trial, *args, mode, random_state):
            return {"score": trial.hyperparameters.Float("x", 0, 1) * len(mode) * random_state}

    tuner = Mine(objective=ct.Objective("score", "max"), max_trials=1, directory=tmp_path)
    tuner.search(mode="a", random_state=3)
    assert len(tuner.history.completed) == 1


def test_a_tuner_of_ones_own_without_arguments_is_told_where_they_belong(tmp_path):
    class Mine(ct.Tuner):
        def __init__(self):
            super().__init__(ct.oracles.RandomSearchOracle(), lambda hp: 1.0, max_trials=3, directory=tmp_path)

    with pytest.raises(TypeError, match="Mine takes no argument max_trials"):
        Mine()


def test_an_objective_that_seems_misspelled_is_told_of_at_the_first_epoch(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        for _ in range(3):
            trial.report(loss=1.0, val_acc=0.5)

    tuner = ct.RandomSearch(train, "val_accuracy", max_trials=1, directory=tmp_path)
    with pytest.warns(UserWarning, match="without the objective 'val_accuracy'; is it 'val_acc' that is meant"):
        tuner.search(verbose=0)


def test_who_trains_by_a_method_of_ones_own_may_have_helpers_of_any_name(tmp_path):
    class Mine(ct.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return self._build_and_fit_model(trial)

        def _build_and_fit_model(self, trial):
            return parabola(trial.hyperparameters)

    tuner = Mine(parabola, max_trials=2, directory=tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.history.completed) == 2


def test_what_an_overridden_run_trial_changes_counts(tmp_path):
    class Penalised(ct.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            gave = super().run_trial(trial, *args, **kwargs)
            gave[0]["loss"] += 100.0
            return gave

    tuner = Penalised(lambda hp: {"loss": hp.Float("x", 0, 1)}, "loss", max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.history.best.score == 100.0 + tuner.history.best.values["x"]


def test_who_validates_now_and_then_is_not_doubted(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        for epoch in range(4):
            trial.report(
                {"loss": 1.0, "accuracy": 0.5} | ({"val_accuracy": 0.4, "val_loss": 1.1} if epoch == 3 else {})
            )

    for objective in ("val_accuracy", "val_loss"):
        tuner = ct.RandomSearch(train, objective, max_trials=1, directory=tmp_path, project_name=objective)
        tuner.search(verbose=0)
        assert len(tuner.history.completed) == 1


def test_a_search_that_has_only_failed_may_be_changed(tmp_path):
    def train(hp):
        hp.Float("x", 0, 1)
        raise FatalValueError("no")

    with pytest.raises(FatalValueError):
        tuned(tmp_path, train, objective="train_loss").search(verbose=0)
    again = tuned(tmp_path, lambda hp: {"val_loss": hp.Float("x", 0, 2)}, objective="val_loss")
    again.search(verbose=0)
    assert len(again.history.completed) == 4
    with pytest.raises(ChangedSearchError):
        tuned(tmp_path, objective="loss")


def test_a_function_that_contradicts_itself_fails_its_trials_and_stops_nothing(tmp_path):
    def layered(hp):
        for layer in range(hp.Int("layers", 1, 2)):
            hp.Int("units", 1, 3 + 2 * layer)
        return 0.0

    tuner = tuned(tmp_path, layered, max_trials=6, max_consecutive_failed_trials=6)
    tuner.search(verbose=0)
    assert {trial.status for trial in tuner.history} == {Status.COMPLETED, Status.FAILED}
    assert all(trial.values["layers"] == 1 for trial in tuner.history.completed)
    assert all("units" in trial.message for trial in tuner.history.having(Status.FAILED))
    # The script has not changed, and is not told that it has.
    assert len(tuned(tmp_path, layered, max_trials=6).history) == 6


def test_models_of_a_function_that_trains_by_itself_are_asked_for_without_keras(tmp_path):
    script = f"""
import sys, choritsu as ct
tuner = ct.RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=1, directory={str(tmp_path)!r})
tuner.search(verbose=0)
try:
    tuner.get_best_models()
except FileNotFoundError as error:
    print("no weights of trial 0000 are kept" in str(error), "keras" in sys.modules)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "False"]


# -- what hints at a mistake -----------------------------------------------------------------------


def grown(directory, function, trials):
    tuner = ct.RandomSearch(function, seed=0, max_trials=trials, directory=directory)
    tuner.search(verbose=0)
    return tuner


def test_a_function_that_asks_otherwise_than_before_is_doubted(tmp_path):
    grown(tmp_path, lambda hp: hp.Float("x", 0, 1), 2)
    with pytest.warns(UserWarning, match=r"trial 2 asked for n, and the 2 trials made earlier for x: .*project_name"):
        grown(tmp_path, lambda hp: float(hp.Int("n", 1, 3)), 4)


@pytest.mark.parametrize("seed", range(4))
def test_another_branch_of_the_same_function_is_not_doubted(tmp_path, seed):
    def branching(hp):
        if hp.Boolean("deep"):
            return hp.Int("layers", 2, 9) + hp.Float("dropout", 0, 1)
        return hp.Float("width", 0, 1)

    for trials in range(1, 7):
        ct.RandomSearch(branching, seed=seed, max_trials=trials, directory=tmp_path).search(verbose=0)


def test_an_enqueued_name_that_is_never_asked_for_is_told(tmp_path):
    tuner = ct.RandomSearch(lambda hp: hp.Float("rate", 0, 1), max_trials=1, directory=tmp_path)
    tuner.enqueue({"Rate": 0.5})
    with pytest.warns(UserWarning, match="Rate was enqueued for trial 0, and its function asked for rate"):
        tuner.search(verbose=0)


def test_what_is_enqueued_for_a_branch_that_comes_later_is_not_doubted(tmp_path):
    def branching(hp):
        return hp.Float("a", 0, 1) if hp.Choice("kind", ["a", "b"]) == "a" else hp.Float("b", 0, 1)

    tuner = ct.RandomSearch(branching, max_trials=6, seed=0, directory=tmp_path)
    tuner.enqueue({"kind": "a", "a": 0.5, "b": 0.5})
    tuner.search(verbose=0)
    assert {trial.values["kind"] for trial in tuner.history} == {"a", "b"}


def test_what_is_enqueued_for_another_branch_is_not_doubted(tmp_path):
    def branching(hp):
        deep = hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            layers = hp.Int("layers", 2, 9)
        return layers if deep else 0.0

    tuner = ct.RandomSearch(branching, max_trials=1, directory=tmp_path)
    tuner.enqueue({"deep": False, "layers": 3})
    tuner.search(verbose=0)
    assert tuner.history[0].values["deep"] is False


def test_a_metric_returned_after_epochs_is_kept_wherever_the_best_epoch_is(tmp_path):
    def train(hp, trial):
        for epoch in trial.epochs(3):
            trial.report(loss=hp.Float("x", 0, 1) + epoch)
        return {"test_accuracy": 0.5}

    tuner = ct.RandomSearch(train, "loss", max_trials=1, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert (trial.best_step, trial.metrics["test_accuracy"]) == (0, 0.5)
    assert trial.metrics.exists("test_accuracy")


def test_a_score_returned_after_epochs_is_no_further_epoch(tmp_path):
    def train(hp, trial):
        for epoch in trial.epochs(3):
            trial.report(loss=hp.Float("x", 0, 1) + epoch)
        return {"loss": 100.0, "test_accuracy": 0.5}

    tuner = ct.RandomSearch(train, "loss", max_trials=1, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert (trial.score, trial.best_step, tuner.summary.epochs) == (100.0, 2, 3)
    assert trial.metrics["test_accuracy"] == trial.metrics.get_last_value("test_accuracy") == 0.5
    assert [one.step for one in trial.metrics.get_history("loss")] == [0, 1, 2]
    assert trial.get_state()["best_step"] == 2


def test_the_best_score_returned_with_others_is_the_best_epochs(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        for epoch, loss in enumerate([3.0, 1.0, 2.0, 4.0]):
            trial.report(loss=loss, accuracy=epoch / 10)
        return {"loss": 1.0, "test": 9.0}

    tuner = ct.RandomSearch(train, "loss", max_trials=1, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert (trial.score, trial.best_step) == (1.0, 1)
    assert trial.metrics == {"loss": 1.0, "accuracy": 0.1, "test": 9.0}
    assert [one.value for one in trial.metrics.get_history("loss")] == [[3.0], [1.0], [2.0], [4.0]]


def test_another_score_returned_is_the_last_one(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        for loss in [3.0, 1.0, 2.0, 4.0]:
            trial.report(loss=loss)
        return 0.5

    tuner = ct.RandomSearch(train, "loss", max_trials=1, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    trial = tuner.oracle.get_best_trials()[0]
    assert (trial.score, trial.best_step, trial.metrics.get_last_value("loss")) == (0.5, 3, 0.5)
    assert trial.metrics.get_best_value("loss") == 0.5


def test_a_result_that_is_nan_is_one_epoch(tmp_path):
    tuner = ct.RandomSearch(lambda hp: math.nan * hp.Float("x", 1, 2), max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.summary.epochs == 1


async def waits(hp):
    return hp.Float("x", 0, 1)


def yields(hp):
    yield hp.Float("x", 0, 1)


@pytest.mark.parametrize(
    ("function", "told"),
    [(waits, "waits is an async function"), (yields, "a generator function"), (lambda: 1.0, "takes no argument")],
)
def test_functions_that_cannot_give_a_score_are_refused(tmp_path, function, told):
    with pytest.raises(TypeError, match=told):
        ct.RandomSearch(function, max_trials=1, directory=tmp_path)


@pytest.mark.parametrize(
    ("tuner", "arguments", "told"),
    [
        (ct.Hyperband, {"max_trials": 4}, "follows from max_epochs, factor and hyperband_iterations"),
        (ct.RandomSearch, {"direction": "maximize"}, r'objective=Objective\(name, "min" or "max"\)'),
        (ct.RandomSearch, {"n_trials": 4}, "write max_trials"),
        (ct.BayesianOptimization, {"random_state": 4}, "write seed"),
    ],
)
def test_what_others_call_arguments_is_translated(tmp_path, tuner, arguments, told):
    with pytest.raises(TypeError, match=told):
        tuner(lambda hp: hp.Float("x", 0, 1), "loss", directory=tmp_path, **arguments)


def test_the_frame_tells_none_from_what_was_not_asked_for(tmp_path):
    pandas = pytest.importorskip("pandas")

    def branching(hp):
        return 1.0 if hp.Choice("kind", ["a", "b"]) == "b" else float(hp.Choice("depth", [None, 1]) or 0)

    tuner = ct.GridSearch(branching, directory=tmp_path)
    tuner.search(verbose=0)
    cells = tuner.to_dataframe()["hp.depth"].tolist()
    assert [cell for cell in cells if cell is None] == [None]
    assert [cell for cell in cells if cell == 1] == [1]
    assert sum(isinstance(cell, float) and pandas.isna(cell) for cell in cells) == 1


def test_a_traceback_begins_with_the_users_function(tmp_path):
    def inner():
        raise ValueError("no data")

    def train(hp):
        hp.Float("x", 0, 1)
        inner()

    tuner = ct.RandomSearch(train, max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    frames = [line for line in tuner.history[0].traceback.splitlines() if line.startswith("  File")]
    assert [frame.rpartition(" ")[2] for frame in frames] == ["train", "inner"]
    refused = ct.RandomSearch(lambda hp: hp.Float("x", 1, 0), max_trials=1, directory=tmp_path / "own")
    refused.search(verbose=0)
    frames = [line for line in refused.history[0].traceback.splitlines() if line.startswith("  File")]
    assert frames[0].endswith("<lambda>")
    assert "hyperparameters.py" in frames[1]


def test_what_was_enqueued_too_late_is_told(tmp_path, capsys):
    tuner = grown(tmp_path, lambda hp: hp.Float("x", 0, 1), 2)
    tuner.enqueue({"x": 0.5})
    tuner.search(verbose=2)
    assert "max_trials=2 is reached, and 1 of what was enqueued has not been tried" in capsys.readouterr().out


def test_a_sampling_in_the_place_of_a_step_is_recognised():
    with pytest.raises(ValueError, match="step must be a finite number, got 'log'; is sampling='log' meant"):
        ct.HyperParameters().Float("rate", 1e-4, 1e-1, "log")


def test_of_two_processes_that_begin_together_one_draws_the_seed(tmp_path):
    first = ct.RandomSearch(parabola, max_trials=3, directory=tmp_path / "first", store=(store := MemoryStore()))

    class Late:
        """The store as a second process found it a moment before the first had written anything."""

        def __getattr__(self, name):
            return getattr(store, name)

        def identity(self):
            vars(self).setdefault("asked", [None, store.identity(), None])
            return self.asked.pop() if self.asked else store.identity()

    second = ct.RandomSearch(parabola, max_trials=3, directory=tmp_path / "second", store=Late())
    assert second.seed == first.seed == store.identity().seed


def test_another_store_does_not_get_the_files_of_the_search_in_the_directory(tmp_path):
    tuned(tmp_path).search(verbose=0)
    with pytest.raises(StoreError, match=r"another search lies in .*give another project_name"):
        tuned(tmp_path, store=MemoryStore())
    with closing(open_store(tmp_path / "search")) as own:
        assert len(tuned(tmp_path, store=own).history) == 5
    tuned(tmp_path, store=MemoryStore(), project_name="another")


def test_overwrite_spares_a_search_that_runs_on_another_machine_by_the_same_number(tmp_path):
    """As containers do, in each of which the first process is number 1."""
    tuned(tmp_path, max_trials=1).search(verbose=0)
    with closing(open_store(tmp_path / "search")) as store:
        store.claim(Claimed(1, 0, {}, worker=f"elsewhere|boot|pid#{os.getpid()}#1#a"), until=time.time() + 60)
    with pytest.raises(StoreError, match="is running in process"):
        tuned(tmp_path, overwrite=True)
    assert len(tuned(tmp_path).history) == 2


def test_a_hook_is_not_told_of_what_another_process_has_taken(tmp_path):
    store, ended = MemoryStore(), []

    class Telling(ct.RandomSearch):
        def on_trial_end(self, trial):
            ended.append(trial.attempt)

    def train(hp, trial):
        hp.Float("x", 0, 1)
        if trial.attempt == 0:
            store.record(Lost(0, 0))
            store.claim(Claimed(0, 1, {}, worker="elsewhere#1#1#0"), until=1e12)
        trial.report(loss=0.5)
        if trial.attempt == 0:
            store.record(Interrupted(0, 1))

    Telling(train, "loss", max_trials=1, directory=tmp_path, store=store).search(verbose=0)
    assert ended == [2]


@pytest.mark.parametrize("limit", [0, -1, True, "60", math.nan])
def test_a_time_limit_that_is_none_is_refused(tmp_path, limit):
    for name in ("time_limit", "trial_time_limit"):
        with pytest.raises(ValueError, match=f"^{name} is a number of seconds above 0"):
            tuned(tmp_path).search(**{name: limit}, verbose=0)


def test_an_endless_time_limit_is_none(tmp_path):
    for seconds in (math.inf, 1e12):
        tuner = tuned(tmp_path / str(seconds))
        tuner.search(time_limit=seconds, trial_time_limit=seconds, verbose=0)
        assert len(tuner.history.completed) == 5


def test_the_command_line_changes_nothing(tmp_path):
    tuner = tuned(tmp_path)
    tuner.search(verbose=0)
    tuner._store.close()
    place = tmp_path / "search" / "search.db"
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA journal_mode = delete")
        # As an older choritsu has left it, which is to be able to go on.
        connection.execute("ALTER TABLE claims DROP COLUMN executions")
        connection.execute("PRAGMA user_version = 3")
        connection.commit()
    before = place.read_bytes()
    runner = CliRunner()
    for command in ("show", "best", "report", f"export -o {tmp_path / 'trials.csv'}"):
        result = runner.invoke(app, [*command.split(), str(place)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert place.read_bytes() == before
    assert (tmp_path / "search" / "report.html").exists()


def test_a_recorder_read_back_knows_what_was_asked_for():
    def ask(hp):
        hp.Choice("model", ["mlp", "cnn"])
        with hp.conditional_scope("model", ["mlp"]):
            hp.Int("layers", 1, 3)
        with hp.conditional_scope("model", ["cnn"]):
            hp.Int("kernel", 2, 5)

    hp = ct.HyperParameters({"model": "cnn", "kernel": 3})
    ask(hp)
    read = ct.HyperParameters.from_config(hp.get_config())
    assert read.asked == hp.asked == {"model": "cnn", "kernel": 3}


def test_searches_below_a_directory_are_named(tmp_path):
    for name in ("first", "second"):
        tuned(tmp_path, project_name=name, max_trials=1).search(verbose=0)
    result = CliRunner().invoke(app, ["show", str(tmp_path)])
    assert str(result.exception) == f"no search lies in {tmp_path} itself, but in {tmp_path / 'first'}, " + str(
        tmp_path / "second"
    )


def test_trials_are_exported_to_the_terminal(tmp_path):
    tuned(tmp_path, max_trials=2).search(verbose=0)
    told = CliRunner().invoke(app, ["export", str(tmp_path / "search"), "-o", "-", "-f", "json"])
    assert len(json.loads(told.output)["trials"]) == 2
    told = CliRunner().invoke(app, ["export", str(tmp_path / "search"), "-o", "-"])
    assert "cannot tell the format of -" in str(told.exception)
