"""The same values score differently: only trials that may be the best are repeated, and luck does not win."""

from __future__ import annotations

import math
import random
import re
import statistics
import subprocess
import sys
import textwrap
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

import choritsu as ct
from choritsu.cli import app
from choritsu.decisions import Done, Repeat, Start
from choritsu.errors import RedrawTrialError
from choritsu.noise import Noise, Sample
from choritsu.oracles import BayesianOptimization, MedianStopper, Random
from choritsu.racing import contender
from choritsu.report import render_html
from choritsu.search import Plan, next_step
from choritsu.space import Float, Space
from choritsu.stores import MemoryStore, open_store
from choritsu.trials import Claimed, Failed, Finished, History, Interrupted, Lost, Objective, Result, Status

LOSS = Objective("loss", "min")
NOISE = 0.05


def truth(values):
    return (values["x"] - 0.3) ** 2 + (values["y"] - 0.6) ** 2


def noisy(hp, trial, noise=NOISE):
    hp.Float("x", 0, 1)
    hp.Float("y", 0, 1)
    return truth(hp.values) + noise * random.Random(trial.seed).gauss(0, 1)


def exact(hp, trial):
    return noisy(hp, trial, 0.0)


def tuned(directory, function=noisy, tuner=ct.RandomSearch, **options):
    options = {"max_trials": 20, "seed": 0, "executions_per_trial": "auto", **options}
    return tuner(function, directory=directory, **options)


def searched(directory, function=noisy, search=None, **options):
    tuner = tuned(directory, function, **options)
    tuner.search(verbose=0, **(search or {}))
    return tuner


def executions(tuner):
    return [trial.result.executions for trial in tuner.history if trial.result is not None]


def told(tuner):
    """Give all that came out, to the last bit."""
    reports = tuner._store.reports()
    return [
        (trial.values, trial.status, trial.result, [(r.execution, r.epoch, r.metrics) for r in reports[trial.number]])
        for trial in tuner.history
    ]


# -- what is expected ------------------------------------------------------------------------------

scores = st.floats(-1e3, 1e3).map(lambda score: round(score, 6))
anything = st.floats(allow_nan=True, allow_infinity=True)


counts = st.integers(1, 5)


def samples(score=scores, executions=counts):
    def sample(score, executions, spread):
        return Sample(score, spread if executions > 1 else None, executions)

    return st.lists(st.builds(sample, score, executions, st.floats(0, 10)), min_size=1, max_size=12)


@given(samples(executions=st.just(2)))
def test_equally_many_executions_leave_the_order_as_it_is(held):
    noise = Noise.of(held)
    expected = [noise.expected(one.badness, one.executions) for one in held]
    by_score = sorted(range(len(held)), key=lambda index: held[index].badness)
    assert [expected[index] for index in by_score] == sorted(expected)


@given(samples(), scores)
def test_more_executions_bring_the_expected_score_nearer_to_the_mean(held, score):
    noise = Noise.of(held)
    assume(noise is not None)
    gaps = [abs(noise.expected(score, count) - score) for count in range(1, 8)]
    rounding = 1e-12 * (abs(score) + abs(noise.middle))
    assert all(later <= earlier + rounding for earlier, later in pairwise(gaps))
    assert gaps[0] <= abs(noise.middle - score) + rounding


@given(samples())
def test_without_noise_a_trial_is_expected_to_score_what_it_did(held):
    noise = Noise.of([replace(one, spread=None if one.spread is None else 0.0) for one in held])
    assert (noise is None) == all(one.executions == 1 for one in held)
    for one in held if noise is not None else ():
        assert noise.expected(one.badness, one.executions) == one.badness


@given(st.lists(st.builds(Sample, anything, st.none() | anything.map(abs), st.integers(1, 5)), max_size=8))
def test_whatever_was_scored_what_is_expected_is_finite(held):
    noise = Noise.of(held)
    if noise is not None:
        assert math.isfinite(noise.deviation)
        assert math.isfinite(noise.middle)
        for one in held:
            assert math.isfinite(noise.doubt(one.executions))
            if math.isfinite(one.badness):
                assert math.isfinite(noise.expected(one.badness, one.executions))


@given(samples(st.integers(-1000, 1000)), st.integers(-9, 9), st.integers(-1000, 1000))
def test_another_unit_of_the_score_changes_nothing_but_the_unit(held, power, shift):
    def converted(score):
        return (score + shift) * 2.0**power

    noise = Noise.of(held)
    other = Noise.of(
        replace(one, badness=converted(one.badness), spread=one.spread and one.spread * 2.0**power) for one in held
    )
    for one in held if noise is not None else ():
        expected = converted(noise.expected(one.badness, one.executions))
        again = other.expected(converted(one.badness), one.executions)
        assert again == pytest.approx(expected, rel=1e-9, abs=1e-9 * 2.0**power)
        assert other.doubt(one.executions) == pytest.approx(2.0**power * noise.doubt(one.executions))


def test_the_expected_score_is_the_one_of_the_textbooks():
    chance = random.Random(1)
    truths = [chance.gauss(10, 2) for _ in range(4000)]
    held = []
    for number, mean in enumerate(truths):
        told = [mean + chance.gauss(0, 3) for _ in range(1 + number % 3)]
        held.append(Sample(statistics.fmean(told), statistics.stdev(told) if len(told) > 1 else None, len(told)))
    noise = Noise.of(held)
    assert noise.deviation == pytest.approx(3, rel=0.05)
    assert noise.middle == pytest.approx(10, abs=0.2)
    assert noise.pull == pytest.approx((3 / 2) ** 2, rel=0.15)
    assert noise.doubt(2) == pytest.approx((1 / 2**2 + 2 / 3**2) ** -0.5, rel=0.1)


# -- what is repeated ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_only_those_that_may_be_the_best_are_repeated(tmp_path, seed):
    tuner = searched(tmp_path, seed=seed)
    counts = executions(tuner)
    assert len(counts) == 20
    assert Counter(counts)[1] > 10
    assert 20 < sum(counts) <= 30
    assert max(counts) <= 5
    ranked = tuner.history.completed
    assert all(trial.result.executions == 1 for trial in ranked[12:])
    assert tuner.history.noise.deviation == pytest.approx(NOISE, rel=0.8)


@pytest.mark.parametrize("trials", [1, 2, 3, 4, 9, 30])
@pytest.mark.parametrize("noise", [0.001, 0.05, 10.0])
def test_repeats_cost_at_most_half_as_much_again(tmp_path, trials, noise):
    tuner = searched(tmp_path, lambda hp, trial: noisy(hp, trial, noise), max_trials=trials, store=MemoryStore())
    assert len(tuner.history) == trials
    assert sum(executions(tuner)) <= 1.5 * trials


@pytest.mark.parametrize("trials", [2, 12, 40])
def test_a_deterministic_function_is_repeated_thrice_at_most(tmp_path, trials):
    tuner = searched(tmp_path, exact, max_trials=trials)
    assert sum(executions(tuner)) == trials + min(3, trials // 2)
    again = searched(tmp_path, exact, max_trials=trials + 20)
    assert sum(executions(again)) == trials + 20 + 3
    assert again.history.best.score == min(trial.score for trial in again.history)


def test_each_execution_has_a_seed_of_its_own_and_none_is_run_twice(tmp_path):
    seeds = []

    def function(hp, trial):
        seeds.append((trial.number, trial.execution, trial.seed))
        return noisy(hp, trial)

    tuner = searched(tmp_path, function)
    assert len(seeds) == len(set(seeds)) == len({seed for *_, seed in seeds}) == sum(executions(tuner))
    for trial in tuner.history:
        scores = [
            truth(trial.values) + NOISE * random.Random(seed).gauss(0, 1)
            for number, _, seed in seeds
            if number == trial.number
        ]
        assert trial.score == pytest.approx(statistics.fmean(scores))


@pytest.mark.slow
def test_the_winner_is_truly_better_than_the_luckiest_of_single_trainings(tmp_path):
    def regret(executions, trials):
        tuners = [
            searched(tmp_path, seed=seed, executions_per_trial=executions, max_trials=trials, store=MemoryStore())
            for seed in range(12)
        ]
        return statistics.fmean(truth(tuner.history.best.values) for tuner in tuners)

    auto = regret("auto", 20)
    assert auto < regret(1, 20)
    # With as many trainings in all.
    assert auto < regret(3, 10)


def test_scores_to_be_made_large_are_as_good(tmp_path):
    small = searched(tmp_path / "small")
    large = searched(tmp_path / "large", lambda hp, trial: -noisy(hp, trial), objective=Objective("gain", "max"))
    assert executions(large) == executions(small)
    assert large.history.best.number == small.history.best.number
    assert large.history.expected(large.history.best) == -small.history.expected(small.history.best)


def test_a_repeat_has_the_values_of_the_first_training_though_the_space_has_changed(tmp_path):
    """Those of the first trial were drawn by the function itself, which now has another range."""

    def search(largest, **options):
        def function(hp, trial):
            hp.Float("x", 0, largest)
            return trial.number + random.Random(trial.seed).random() / 9

        return searched(tmp_path, function, project_name="search", **options)

    (first, *_) = search(1, max_trials=6, executions_per_trial=1).history
    (again, *_) = search(100, max_trials=7, accept_changes=True).history
    assert again.result.executions > 1
    assert again.values == first.values


def test_fixed_executions_are_ordered_by_score_as_ever(tmp_path):
    tuner = searched(tmp_path, executions_per_trial=2, max_trials=8)
    assert tuner.history.noise is None
    scores = [trial.score for trial in tuner.history.completed]
    assert scores == sorted(scores)
    assert tuner.history.expected(tuner.history.best) == tuner.history.best.score


@pytest.mark.parametrize("tuner", [ct.RandomSearch, ct.GridSearch, ct.QuasiRandomSearch, ct.BayesianOptimization])
def test_every_tuner_without_budgets_takes_it(tmp_path, tuner):
    made = searched(tmp_path, lambda hp, trial: noisy(hp, trial, 0.2), tuner=tuner, max_trials=9)
    assert 9 < sum(executions(made)) <= 13
    assert len({tuple(trial.values.items()) for trial in made.history}) == 9


def test_a_search_that_was_begun_with_one_execution_each_goes_on(tmp_path):
    searched(tmp_path, executions_per_trial=1, max_trials=8)
    tuner = searched(tmp_path, max_trials=12)
    assert 12 < sum(executions(tuner)) <= 18
    assert any("as many executions as needed" in note for note in tuner._notes)
    assert tuner._store.identity().settings["executions_per_trial"] == "auto"
    last = searched(tmp_path, max_trials=13, executions_per_trial=2)
    assert last.history[12].result.executions == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"executions_per_trial": "often"}, 'an integer of at least 1, or "auto"'),
        ({"executions_per_trial": 1.5}, 'an integer of at least 1, or "auto"'),
        ({"executions_per_trial": True}, 'an integer of at least 1, or "auto"'),
        ({"cross_validation": ct.CrossValidation(3)}, "leave cross_validation out"),
        ({"tuner": ct.Hyperband, "max_trials": ..., "objective": "loss"}, "take RandomSearch or BayesianOptimization"),
        ({"tuner": ct.ASHA, "objective": "loss"}, "take RandomSearch or BayesianOptimization"),
        ({"objective": ["loss", "accuracy"], "pareto": True}, "leave pareto out"),
    ],
)
def test_what_does_not_go_with_it_is_refused_at_the_door(tmp_path, arguments, says):
    options = {"max_trials": 20, "seed": 0, "executions_per_trial": "auto", **arguments}
    tuner = options.pop("tuner", ct.RandomSearch)
    if options["max_trials"] is ...:
        del options["max_trials"]
    with pytest.raises(ValueError, match=says):
        tuner(noisy, directory=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_folds_are_no_repeats(tmp_path):
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match="RepeatedKFold"):
        ct.SklearnTuner(
            ct.oracles.RandomSearchOracle(), lambda hp: None, executions_per_trial="auto", directory=tmp_path
        )


# -- trouble ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no memory"), RedrawTrialError("not this time")])
def test_a_repeat_that_fails_takes_nothing_away(tmp_path, error):
    def function(hp, trial):
        score = noisy(hp, trial)
        if trial.execution:
            raise error
        return score

    tuner = searched(tmp_path, function, max_retries_per_trial=2)
    assert [trial.status for trial in tuner.history] == [Status.COMPLETED] * 20
    assert executions(tuner) == [1] * 20
    repeated = [trial for trial in tuner.history if trial.executions is not None]
    assert [trial.attempt for trial in repeated] == [1, 1, 1]
    assert all(str(error) in trial.message for trial in repeated)
    assert tuner.history.best.score == min(trial.score for trial in tuner.history)


def test_a_function_that_trains_by_its_own_count_is_not_repeated_for_ever(tmp_path):
    class Own(ct.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return noisy(trial.hyperparameters, trial)

    tuner = searched(tmp_path, None, tuner=Own)
    assert len(tuner.history) == 20
    assert sum(trial.attempt for trial in tuner.history) <= 3


class Left(BaseException):
    """Ends a process in a test as a kill would, as far as the search can tell."""


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_search_left_in_a_repeat_goes_on_as_if_nothing_had_happened(tmp_path, how, monkeypatch):
    # Save as if it cost nothing.
    monkeypatch.setattr("choritsu.states.SHARE", 1.0)
    begun = []

    def train(hp, trial, killed=False):
        state = random.Random(0)
        for epoch in trial.epochs(3, state={"random": state}):
            begun.append((trial.number, trial.execution, epoch))
            if killed and trial.execution == 1 and epoch == 1:
                raise Left
            trial.report(loss=noisy(hp, trial) + state.random() / 10 - epoch)

    options = {"max_trials": 10, "objective": LOSS, "max_retries_per_trial": 1}
    whole = searched(tmp_path / "whole", train, **options)
    assert sum(executions(whole)) > 10
    total = len(begun)
    begun.clear()
    if how == "killed":
        with pytest.raises(Left):
            searched(tmp_path / "left", lambda hp, trial: train(hp, trial, killed=True), **options)
    else:
        # Five trials of three epochs, and one epoch of the first repeat.
        searched(tmp_path / "left", train, **options, search={"max_epochs_total": 16})
    left = tuned(tmp_path / "left", train, **options)
    repeating = [trial for trial in left.history if trial.is_repeating]
    assert len(repeating) == 1
    # It counts with what it had before.
    assert left.history.best.number == repeating[0].number
    left.search(verbose=0)
    assert told(left) == told(whole)
    # But for the epoch that was broken off, none was trained twice.
    assert len(begun) == total + (how == "killed")


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    tuner = searched(tmp_path, max_trials=4)
    state = Path(tuner.get_trial_dir("0001")) / "state"
    kept = sorted(path.name for path in state.iterdir())
    (state / "execution-0.safetensors.writing-7").write_text("half")
    searched(tmp_path, max_trials=4)
    assert sorted(path.name for path in state.iterdir()) == kept
    assert kept[0] == "execution-0.safetensors"


def test_a_repeat_does_not_count_as_a_trial_that_was_no_better(tmp_path):
    once = searched(tmp_path / "once", exact, executions_per_trial=1, max_trials=200, search={"patience": 6})
    auto = searched(tmp_path / "auto", exact, max_trials=200, search={"patience": 6})
    assert len(once.history) < 200
    assert [trial.values for trial in auto.history] == [trial.values for trial in once.history]
    noisy_one = searched(tmp_path / "noisy", max_trials=200, search={"patience": 6})
    assert len(noisy_one.history) < 200
    best = noisy_one.history.best
    assert sum(trial.reached > best.reached for trial in noisy_one.history) == 6


def test_a_stopper_cuts_no_repeat_short(tmp_path):
    def train(hp, trial):
        for epoch in range(8):
            trial.report(loss=noisy(hp, trial, 0.3) + 1 / (epoch + 1))
            if trial.stopped:
                return

    tuner = searched(tmp_path, train, objective=LOSS, stopper=MedianStopper(2, 2), max_trials=16)
    reports = tuner._store.reports()
    assert any(len(told) < 8 for told in reports.values())
    for trial in tuner.history:
        for execution in range(1, trial.result.executions):
            assert sum(report.execution == execution for report in reports[trial.number]) == 8
    tuner.results_summary()


@pytest.mark.slow
@pytest.mark.usefixtures("plain_workers")
def test_workers_side_by_side_repeat_within_the_same_bounds(tmp_path):
    tuner = searched(tmp_path, search={"workers": 2}, max_trials=12)
    assert len(tuner.history.completed) == 12
    assert 12 < sum(executions(tuner)) <= 18


@pytest.mark.slow
def test_processes_that_share_a_search_repeat_within_the_same_bounds(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import random, time, choritsu as ct
        def f(hp, trial):
            time.sleep(0.02)
            return hp.Float("x", 0, 1) + 0.3 * random.Random(trial.seed).gauss(0, 1)
        t = ct.RandomSearch(f, max_trials=20, seed=1, executions_per_trial="auto", directory={str(tmp_path)!r})
        t.search(verbose=0)
        print(len(t.history.completed))
        """)
    )
    runs = [subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == ["20", "20"]
    with closing(open_store(tmp_path / "untitled_project")) as store:
        # Each may grant the last one, having read the history before the other did.
        assert 20 < sum(trial.result.executions for trial in store.history()) <= 30 + 1


# -- the policy, a pure function -------------------------------------------------------------------


def history(*scored):
    """Make a history of completed trials, each of the scores of its executions."""
    made = History(Space((Float("x", 0.0, 1.0),)), LOSS)
    for number, told in enumerate(scored):
        made = made.after(Claimed(number, 0, {"x": number / 100}, at=number))
        for count in range(1, len(told) + 1):
            if count > 1:
                made = made.after(Claimed(number, count - 1, {"x": number / 100}, at=number, executions=count))
            result = Result(
                statistics.fmean(told[:count]),
                statistics.stdev(told[:count]) if count > 1 else None,
                {},
                0,
                0,
                count,
                1,
            )
            made = made.after(Finished(number, count - 1, {"x": number / 100}, result, at=number))
    return made


PLAN = Plan(Random(), LOSS, 0, Path(), max_trials=100, repeats=True)


def test_a_repeat_is_awaited_where_another_process_makes_it():
    made = history([0.1], [0.2], [0.3], [0.4])
    full = replace(PLAN, max_trials=4)
    assert next_step(made, PLAN) == Start({"x": next_step(made, PLAN).values["x"]})
    assert next_step(made, full) == Repeat(0)
    running = made.after(Claimed(0, 1, {}, executions=2))
    assert running.best.number == 0
    assert next_step(running, full) == Repeat(1)
    both = running.after(Claimed(1, 1, {}, executions=2))
    assert isinstance(next_step(both, full), Done)
    assert [trial.number for trial in both.completed] == [0, 1, 2, 3]


@pytest.mark.parametrize("outcome", [Interrupted(0, 1), Lost(0, 1)])
def test_a_repeat_that_was_broken_off_is_taken_up_before_anything_else(outcome):
    made = history([0.1], [0.2], [0.3], [0.4], [0.5]).after(Claimed(0, 1, {}, executions=2)).after(outcome)
    step = next_step(made, PLAN)
    assert (step.trial.number, step.trial.executions) == (0, 2)


def test_what_is_far_behind_is_not_repeated():
    far = [[0.10, 0.11], [0.30, 0.31], [0.40, 0.41], *([5.0 + n] for n in range(20))]
    assert contender(history(*far), over=True) is None
    close = [[0.10, 0.11], [0.30, 0.31], [0.40, 0.41], *([5.0 + n] for n in range(20)), [0.11]]
    assert contender(history(*close), over=True) == 23


@given(st.lists(st.lists(st.floats(-1e300, 1e300) | scores, min_size=1, max_size=5), max_size=14), st.booleans())
def test_whatever_was_scored_only_what_may_be_repeated_is(scored, over):
    made = history(*scored)
    number = contender(made, over=over)
    if number is not None:
        assert len(scored[number]) < 5
        assert number in [trial.number for trial in made.completed[:10]]
        assert sum(len(told) - 1 for told in scored) < len(scored) / (2 if over else 4)


def test_between_two_rivals_the_one_that_was_trained_less_is_repeated():
    rest = [[5.0 + n] for n in range(20)]
    assert contender(history([0.10, 0.12, 0.11], [0.11, 0.12], [0.13], *rest), over=True) == 1
    assert contender(history([0.10, 0.12], [0.11, 0.12, 0.13], [0.13], *rest), over=True) == 0


def test_a_failed_repeat_is_not_tried_again():
    made = history(*([n / 10] for n in range(9)))
    made = made.after(Claimed(0, 1, {}, executions=2)).after(Failed(0, 1, {}, "no memory"))
    assert made.best == made[0]
    assert made[0].status is Status.COMPLETED
    assert contender(made) == 1


def test_a_bayesian_model_believes_a_mean_more(tmp_path):
    from choritsu.oracles.bayesian.gaussian import Process, Scales

    seen, targets = np.array([[0.1], [0.5], [0.9]]), np.array([1.0, -1.0, 0.0])
    scales = Scales(np.log([0.2]), 0.0, math.log(0.5))

    def at(counts):
        return Process.conditioned(seen, targets, [slice(0, 1)], scales, np.array(counts)).at(seen)

    once, often = at([1.0, 1.0, 1.0]), at([1.0, 10.0, 1.0])
    assert abs(often[0][1] + 1.0) < abs(once[0][1] + 1.0)
    assert often[1][1] < once[1][1]
    two = Process.conditioned(seen[[0, 1, 1, 2]], targets[[0, 1, 1, 2]], [slice(0, 1)], scales).at(seen)
    mean = at([1.0, 2.0, 1.0])
    np.testing.assert_allclose(mean, two, atol=1e-5)


def test_equally_many_executions_leave_suggestions_as_they_were():
    chance = random.Random(0)
    single = [[chance.random()] for _ in range(12)]
    several = [
        replace(made, result=replace(made.result, executions=3, spread=0.1), executions=None)
        for made in history(*single)
    ]
    once = replace(history(*single), trials=tuple(history(*single)))
    oracle = BayesianOptimization(seed=3)
    assert oracle.suggest(replace(once, trials=tuple(several)), 12) == oracle.suggest(once, 12)


# -- models and reports ----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_weights_kept_are_those_of_the_best_execution(tmp_path):
    keras = pytest.importorskip("keras")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = x.sum(axis=1) + np.random.default_rng(1).normal(size=64).astype("float32")

    def build(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="tanh"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-1, sampling="log")), "mse")
        return model

    tuner = tuned(tmp_path, build, objective="val_loss", max_trials=6, keep_best_models=2)
    data = {"epochs": 2, "batch_size": 16, "validation_data": (x[48:], y[48:])}
    tuner.search(x[:48], y[:48], verbose=0, **data)
    repeated = [trial for trial in tuner.history if trial.result.executions > 1]
    assert repeated
    reports = tuner._store.reports()
    for trial in repeated:
        told = {(r.execution, r.epoch): r.metrics["val_loss"] for r in reports[trial.number]}
        assert len(told) == 2 * trial.result.executions
        model = tuner.load_model(tuner.oracle.get_trial(trial.trial_id))
        loss = float(np.mean((model(x[48:]).__array__()[:, 0] - y[48:]) ** 2))
        assert loss == pytest.approx(min(told.values()), rel=1e-4)
    assert len(tuner.get_best_models(2)) == 2


def test_what_repeats_have_shown_is_said(tmp_path, capsys):
    tuner = searched(tmp_path)
    capsys.readouterr()
    tuner.results_summary(3)
    printed = " ".join(capsys.readouterr().out.split())
    best, noise = tuner.history.best, tuner.history.noise
    assert "the same values score differently, by 0.0" in printed
    assert f"from {noise.degrees} repeats of {noise.trials} trials" in printed
    assert f"({best.result.executions} executions, {tuner.history.expected(best):.4f}"[:-2] in printed
    shown = " ".join(CliRunner().invoke(app, ["show", tuner.project_dir]).output.split())
    assert "the same values score differently" in shown
    page = tuner.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "the same values score differently" in page
    # The table has what its order goes by.
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page[page.index('class="trials"') :])
    assert heads[heads.index("status") + 2 :][:2] == ["executions", "expected"]
    assert {"expected", "executions"} <= set(tuner.to_dataframe().columns)
    again = searched(tmp_path / "exact", exact)
    again.results_summary(3)
    printed = " ".join(capsys.readouterr().out.split())
    assert "3 repeats of 3 trials scored the same" in printed
    assert "expected" not in printed
    searched(tmp_path / "single", executions_per_trial=1, max_trials=5).results_summary()
    assert "noise" not in capsys.readouterr().out


def test_a_page_says_what_its_line_shows(tmp_path):
    for function, line in (noisy, "what the best so far is expected to score"), (exact, "the best so far"):
        page = render_html(searched(tmp_path / function.__name__, function, max_trials=8).summary)
        assert f"Each dot is a trial, the line {line}; lower is better." in page


def test_repeats_that_failed_are_told(tmp_path, capsys):
    def function(hp, trial):
        return math.nan if trial.execution else noisy(hp, trial)

    tuner = searched(tmp_path, function)
    failed = [trial for trial in tuner.history if trial.has_failed_again]
    assert len(failed) == 3
    capsys.readouterr()
    tuner.results_summary()
    printed = " ".join(capsys.readouterr().out.split())
    assert "20 completed, 3 repeats failed" in printed
    assert f"Failed trial {failed[0].trial_id}: when trained once more:" in printed
    arguments = ["show", tuner.project_dir, "--trial", str(failed[0].number)]
    assert "when trained once more:" in CliRunner().invoke(app, arguments).output
    page = tuner.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("completed, then failed") == 3
    assert "when trained once more:" in page


def test_a_display_says_what_is_repeated(tmp_path, capsys):
    tuned(tmp_path, max_trials=10).search(verbose=2)
    assert "once more, with another seed (execution 2)" in capsys.readouterr().out


def test_a_mirror_shows_repeats_too(tmp_path):
    optuna = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path}/study.db"
    tuner = tuned(tmp_path, max_trials=10)
    tuner.search(verbose=0, mirror=ct.OptunaMirror(storage, "noisy"))
    shown = optuna.load_study(study_name="noisy", storage=storage).trials
    assert len(shown) == sum(executions(tuner))
    latest = {row.user_attrs["trial"]: row.value for row in shown}
    assert latest == {trial.number: trial.score for trial in tuner.history}
