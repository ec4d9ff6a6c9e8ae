"""Bayesian optimization: what it finds, what it must never do, and the mathematics it rests on."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

import choritsu as ct
from choritsu.chance import unit
from choritsu.decisions import Done, Promote, Start, Wait
from choritsu.errors import FailedTrialError
from choritsu.oracles import ASHA, BayesianOptimization, Hyperband, Precedent, Precedents, Random
from choritsu.oracles.bayesian.acquisition import log_expected_improvement
from choritsu.oracles.bayesian.beliefs import credit, near
from choritsu.oracles.bayesian.encoding import Encoding
from choritsu.oracles.bayesian.gaussian import Belief, Process, Scales, fitted
from choritsu.oracles.bayesian.observations import Observation, observations, pending
from choritsu.oracles.bayesian.surrogate import Surrogate
from choritsu.space import Boolean, Choice, Condition, Float, Int, Space, drawn
from choritsu.testing.oracles import SPACES, misfit, same
from choritsu.testing.virtual import curves, run_search
from choritsu.trials import Claimed, Failed, Finished, Grew, History, Objective, Result, Rung, Status, Trial

from .strategies import spaces

LOSS = Objective("loss", "min")

MIXED = Space(
    (
        Float("rate", 1e-5, 1e-1, sampling="log"),
        Float("dropout", 0.0, 0.8),
        Int("units", 16, 256, step=16),
        Choice("activation", ("relu", "tanh", "gelu")),
        Boolean("norm"),
        Float("momentum", 0.0, 0.99, conditions=(Condition("norm", (False,)),)),
    )
)


def mixed(values, epoch=0):
    """A loss with one best combination, at 0."""
    return (
        (math.log10(values["rate"]) + 2.6) ** 2
        + 3 * (values["dropout"] - 0.25) ** 2
        + (values["units"] / 256 - 0.75) ** 2
        + {"relu": 0.3, "tanh": 0.8, "gelu": 0.0}[values["activation"]]
        + (0.2 + (values["momentum"] - 0.5) ** 2 if not values["norm"] else 0.0)
    )


def scored(number, values, score):
    """The events of a trial that has ended."""
    ended = (
        Failed(number, 0, values, "diverged")
        if score is None
        else Finished(number, 0, values, Result(score, None, {"loss": score}, 0, 0, 1, 1))
    )
    return [Claimed(number, 0, values), ended]


def combinations(space, count, seed=7):
    """Random ones."""
    return [space.assign(lambda parameter, n=n: drawn(seed, n, parameter)) for n in range(count)]


def lessons(space, loss, count):
    """The history of random combinations."""
    events = [event for n, values in enumerate(combinations(space, count)) for event in scored(n, values, loss(values))]
    return History(space, LOSS).after_all(events)


def history_of(space, scores, objective=LOSS):
    """A history of random combinations with these scores, None for a failure; none of them twice."""
    history = History(space, objective)
    for number, score in enumerate(scores):
        decision = Random(7).suggest(history, number)
        if not isinstance(decision, Start):
            break
        history = history.after_all(scored(number, decision.values, score))
    return history


def played(oracle, space, loss, trials):
    """Play a whole search, and give its history."""
    return run_search(oracle, space, curves(loss), max_trials=trials)


# -- what it finds ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_what_chance_does_not_in_ten_times_the_trials(seed):
    found = played(BayesianOptimization(seed=seed), MIXED, mixed, 40).best.score
    assert found < played(Random(seed), MIXED, mixed, 400).best.score
    assert found < 0.02


def test_scores_to_be_large_are_made_large():
    space = Space((Float("x", 0.0, 1.0),))
    history = run_search(
        BayesianOptimization(seed=1),
        space,
        curves(lambda values, epoch: -((values["x"] - 0.3) ** 2)),
        objective=Objective("gain", "max"),
        max_trials=20,
    )
    assert abs(history.best.values["x"] - 0.3) < 0.01


def test_of_sixty_combinations_none_is_tried_twice_and_the_best_is_soon_found():
    space = Space((Int("a", 1, 4), Choice("b", ("x", "y", "z")), Boolean("c"), Int("d", 1, 3)))
    assert space.size == 72
    history = played(BayesianOptimization(seed=0), space, lambda v, _: (v["a"] - 3) ** 2 + v["d"] + (v["b"] != "y"), 60)
    assert len({same(trial.values) for trial in history}) == 60
    assert history.best.number < 20


@pytest.mark.parametrize("seed", range(3))
def test_the_best_at_the_end_of_a_range_is_that_end_and_no_trial_lies_a_hair_beside_another(seed):
    space = Space((Float("rate", 1e-3, 1.0, sampling="log"), Float("low", 0.0, 5.0), Int("units", 8, 128, step=8)))

    def loss(values, epoch):
        return -math.log10(values["rate"]) + 0.1 * values["low"] + 1 / values["units"]

    history = played(BayesianOptimization(seed=seed), space, loss, 30)
    assert dict(history.best.values) == {"rate": 1.0, "low": 0.0, "units": 128}
    points = [np.array([each.to_unit(trial.values[each.name]) for each in space]) for trial in history]
    apart = [np.abs(one - other).max() for n, one in enumerate(points) for other in points[:n]]
    assert min(apart) >= 0.005


def test_what_a_function_does_not_ask_for_makes_no_difference(tmp_path):
    """An ``if`` that nobody declared: trials that differ only behind it would be repetitions."""

    def loss(hp):
        x, y = hp.Float("x", 0, 1), hp.Float("y", 0, 1)
        extra = [hp.Float(f"z{each}", 0, 1) for each in range(hp.Int("more", 0, 3))]
        return (x - 0.3) ** 2 + (y - 0.6) ** 2 + 0.1 * len(extra) + sum(extra)

    tuner = ct.BayesianOptimization(loss, max_trials=30, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    late = [trial.values for trial in tuner.history[10:] if trial.values["more"] == 0]
    places = {(round(values["x"], 3), round(values["y"], 3)) for values in late}
    assert len(late) > 5
    assert len(places) > len(late) / 2
    assert tuner.history.best.score < 1e-3


def test_it_stays_away_from_where_trainings_diverge():
    """The slope leads straight over a cliff."""
    space = Space((Float("rate", 1e-4, 1.0, sampling="log"), Float("other", 0.0, 1.0)))

    def loss(values, epoch):
        return math.nan if values["rate"] > 0.03 else -math.log10(values["rate"]) + values["other"]

    histories = [played(BayesianOptimization(seed=seed), space, loss, 40) for seed in range(3)]
    for history in histories:
        assert sum(trial.status is Status.FAILED for trial in history[20:]) <= 6
    # The best that does not diverge is 1.52.
    assert np.median([history.best.score for history in histories]) < 1.6


def test_noise_does_not_lead_it_astray():
    space = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)))

    def loss(values, epoch):
        noise = unit(0, repr(values)) - 0.5
        return 4 * (values["x"] - 0.3) ** 2 + 4 * (values["y"] - 0.8) ** 2 + 0.3 * noise

    history = played(BayesianOptimization(seed=0), space, loss, 50)
    middle = np.median([(trial.values["x"], trial.values["y"]) for trial in history[25:]], axis=0)
    assert np.abs(middle - (0.3, 0.8)).max() < 0.15


def test_workers_look_in_different_places():
    history = lessons(MIXED, mixed, 15)
    oracle, encoding = BayesianOptimization(seed=0), Encoding(MIXED)
    for number in range(15, 21):
        history = history.after(Claimed(number, 0, oracle.suggest(history, number).values))
    coordinates = encoding.coordinates(encoding.points([trial.values for trial in history[15:]]))
    apart = [np.linalg.norm(a - b) for i, a in enumerate(coordinates) for b in coordinates[:i]]
    assert min(apart) > 0.02
    assert np.median(apart) > 0.2


def test_the_front_of_two_objectives_is_found(tmp_path):
    def measure(hp):
        x, y, z = (hp.Float(name, 0.0, 1.0) for name in "xyz")
        bulk = 1 + 4.5 * (y + z)
        return {"loss": x, "seconds": bulk * (1 - math.sqrt(x / bulk))}

    def dominated(tuner):
        """How much lies below (1.1, 11) that the front dominates."""
        goals = ["loss", ct.Objective("seconds", "min")]
        made = tuner(measure, goals, pareto=True, max_trials=40, seed=0, directory=tmp_path / tuner.__name__)
        made.search(verbose=0)
        covered, least = 0.0, 11.0
        for loss, seconds in sorted(made.history.points.values()):
            covered += max(1.1 - loss, 0.0) * max(least - seconds, 0.0)
            least = min(least, seconds)
        return covered

    assert dominated(ct.BayesianOptimization) > 1.05 * dominated(ct.RandomSearch)


def test_inside_brackets_it_learns_from_every_rung():
    def loss(values, epoch):
        return mixed(values) + 3.0 / (epoch + 1)

    def late(oracle):
        history = run_search(
            Hyperband(max_epochs=9, seed=0, oracle=oracle),
            MIXED,
            curves(loss),
        )
        return np.mean([mixed(trial.values) for trial in history[9:]])

    assert late(BayesianOptimization(seed=0)) < 0.5 * late(Random(0))


def test_it_foretells_who_begins_slowly_and_ends_well():
    """Small x are better after an epoch, and large ones after nine, as whole trainings have shown."""
    oracle = BayesianOptimization(seed=0)

    def trained(number, x, *budgets):
        rungs = tuple(Rung(until, x * (1 - until / 5)) for until in budgets)
        return Trial(number, Status.COMPLETED, {"x": x}, {"x": x}, until=budgets[-1], rungs=rungs)

    whole = [trained(number, x, 1, 3, 9) for number, x in enumerate((0.1, 0.3, 0.5, 0.7, 0.9))]
    paused = [trained(5, 0.2, 1), trained(6, 0.8, 1)]
    history = History(Space((Float("x", 0.0, 1.0),)), LOSS, (*whole, *paused))
    told = oracle.forecast(history)
    assert set(told) == set(range(7))
    assert told[6] < told[5]
    assert oracle.forecast(history) == told
    assert oracle.forecast(History(history.space, LOSS)) == {}


def test_who_is_going_on_holds_its_place_in_asha():
    """Of twelve that have paused, four go on at a time, and no further one while they do."""
    oracle = ASHA(max_epochs=9, oracle=BayesianOptimization(seed=0))
    history = History(Space((Float("x", 0.0, 1.0),)), LOSS)
    for number in range(12):
        values, result = {"x": number / 12}, Result(abs(number - 5), None, {}, 0, 0, 1, 1)
        history = history.after_all([Claimed(number, 0, values, until=1), Finished(number, 0, values, result)])
    going_on = []
    while isinstance(decision := oracle.suggest(history, 12), Promote):
        going_on.append(decision.number)
        history = history.after(Claimed(decision.number, 1, {}, until=decision.until))
    assert len(set(going_on)) == len(going_on) == 4
    assert isinstance(decision, Start)


def test_what_has_paused_promises_less_than_what_was_never_tried():
    history = run_search(ASHA(max_epochs=9, seed=0), MIXED, curves(lambda v, n: mixed(v) + 1 / (n + 1)), max_trials=20)
    encoding = Encoding(MIXED)
    paused = encoding.points([trial.values for trial in history if trial.rungs[-1].until < 9])
    told = Surrogate.learned(encoding, observations(history), pending(history)).promise(paused)
    untold = Surrogate.learned(encoding, observations(history)).promise(paused)
    assert len(paused) > 10
    assert (told < untold).all()


def test_failures_after_the_first_rung_teach_too():
    def loss(values, epoch):
        if epoch and values["x"] > 0.6:
            raise FailedTrialError("diverged")
        return -values["x"] - 0.01 * epoch

    oracle = ASHA(max_epochs=9, seed=0, oracle=BayesianOptimization(seed=0))
    history = run_search(oracle, Space((Float("x", 0.0, 1.0),)), curves(loss), max_trials=30)
    late = [trial.values["x"] for trial in history[15:]]
    # The best lies at the edge, where no more than a guess tells which side a point is on.
    assert sum(x > 0.65 for x in late) < len(late) / 2
    assert max(trial.values["x"] for trial in history if trial.rungs and trial.rungs[-1].until == 9) > 0.5


def test_the_model_chooses_as_long_as_anything_is_left():
    space = Space((Int("a", 0, 5), Choice("b", tuple("wxyz")), Boolean("c")))
    history = played(BayesianOptimization(seed=0), space, lambda values, _: values["a"] + 0.1 * values["c"], 40)
    by_chance = [
        Random(0).suggest(replace(history, trials=history.trials[:number]), number) == Start(history[number].suggested)
        for number in range(10, 40)
    ]
    assert sum(by_chance) < 6


# -- what it is told -------------------------------------------------------------------------------


def similar(values, epoch=0):
    """Nearly the same function on another scale."""
    return 40 + 7 * mixed({**values, "dropout": min(values["dropout"] + 0.05, 0.8)})


def test_an_earlier_search_spares_the_looking_around():
    earlier = Precedents.of(lessons(MIXED, mixed, 40), "of last week")
    first = [BayesianOptimization(seed=seed, precedents=(earlier,)) for seed in range(3)]
    told = [played(oracle, MIXED, similar, 5).best.score for oracle in first]
    untold = [played(BayesianOptimization(seed=seed), MIXED, similar, 5).best.score for seed in range(3)]
    assert np.median(told) < np.median(untold)
    assert np.median(told) < 40 + 7 * 0.5


def test_an_earlier_search_that_misleads_is_overruled():
    earlier = Precedents.of(lessons(MIXED, lambda values: -mixed(values), 40), "misleading")
    history = played(BayesianOptimization(seed=0, precedents=(earlier,)), MIXED, mixed, 40)
    assert history.best.score < 0.1


def test_an_earlier_search_may_have_had_another_space():
    earlier = Precedents("another", "max", tuple(Precedent({"rate": 0.003, "gone": n}, float(n)) for n in range(5)))
    history = played(BayesianOptimization(seed=0, precedents=(earlier,)), MIXED, mixed, 12)
    assert all(misfit(trial.values, MIXED) == "" for trial in history)
    with pytest.raises(TypeError, match="precedents_of"):
        BayesianOptimization(precedents=("somewhere",))


def believing(**prior):
    return Space(tuple(replace(p, prior=prior[p.name]) if p.name in prior else p for p in MIXED))


def test_a_belief_is_tried_first_and_leads():
    space = believing(rate=10**-2.6, activation="gelu", dropout=0.25)
    history = played(BayesianOptimization(seed=0), space, mixed, 8)
    assert history[0].values["rate"] == 10**-2.6
    assert (history[0].values["activation"], history[0].values["dropout"]) == ("gelu", 0.25)
    unled = played(BayesianOptimization(seed=0), MIXED, mixed, 8)
    assert np.median([trial.score for trial in history]) < np.median([trial.score for trial in unled])


def test_a_belief_that_only_the_first_trial_shows_is_what_it_is_given(tmp_path):
    tuner = ct.BayesianOptimization(
        lambda hp: (hp.Float("x", 0, 1, prior=0.7) - 0.69) ** 2, max_trials=3, seed=0, directory=tmp_path
    )
    tuner.search(verbose=0)
    assert [trial.values["x"] for trial in tuner.history].index(0.7) == 0


def test_a_belief_in_none_is_tried_first(tmp_path):
    def loss(hp):
        return float(hp.Choice("depth", [3, 5, None, 7], prior=None) is not None)

    tuner = ct.BayesianOptimization(loss, max_trials=2, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.history[0].values == {"depth": None}
    space = Space((Choice("depth", (3, 5, None, 7), prior=None), Float("x", 0, 1)))
    assert BayesianOptimization().suggest(History(space, LOSS), 0).values["depth"] is None


def test_a_belief_in_none_is_not_held_to_be_tried_where_the_parameter_was_absent():
    depth = Choice("depth", (*range(20), None), prior=None, conditions=(Condition("kind", ("a",)),))
    history = History(Space((Choice("kind", ("a", "b")), depth)), LOSS).after(Claimed(0, 0, {"kind": "b"}))
    for seed in range(6):
        assert BayesianOptimization(seed=seed).suggest(history, 1).values == {"kind": "a", "depth": None}


def test_a_belief_may_lead_to_another_definition_of_a_name():
    layers = [Int("layers", low, low, conditions=(Condition("kind", (kind,)),)) for kind, low in (("a", 1), ("b", 5))]
    space = Space((Choice("kind", ("a", "b"), prior="b"), *layers, Float("x", 0, 1)))
    history = History(space, LOSS)
    for number in range(4):
        decision = BayesianOptimization().suggest(history, number)
        assert misfit(decision.values, space) == ""
        history = history.after(Claimed(number, 0, decision.values))
    assert history[0].values["layers"] == 5


def test_a_belief_between_the_steps_stands_for_the_nearest_value():
    space = Space((Int("x", 0, 10, step=4, prior=3), Float("y", 0, 1, step=0.25, prior=0.6)))
    assert BayesianOptimization().suggest(History(space, LOSS), 0).values == {"x": 4, "y": 0.5}


def test_a_belief_in_true_is_a_belief_in_one_of_two():
    switch, choice = Boolean("norm", prior=True), Choice("norm", (False, True), prior=True)
    assert [near(switch, n / 50) for n in range(50)] == [near(choice, n / 50) for n in range(50)]
    either = [Encoding(Space((parameter,))) for parameter in (switch, choice)]
    told, as_choice = (credit(encoding, encoding.points([{"norm": False}, {"norm": True}]), 3) for encoding in either)
    assert told.tolist() == as_choice.tolist()


def test_a_wrong_belief_is_overruled():
    space = believing(rate=1e-5, activation="tanh", dropout=0.8)
    assert played(BayesianOptimization(seed=0), space, mixed, 50).best.score < 0.1


def test_a_tuner_takes_earlier_searches(tmp_path):
    def loss(hp):
        return (hp.Float("x", 0, 1) - 0.3) ** 2

    first = ct.RandomSearch(loss, max_trials=20, seed=0, directory=tmp_path, project_name="first")
    first.search(verbose=0)
    second = ct.BayesianOptimization(
        loss, max_trials=3, seed=0, warm_start=first.project_dir, directory=tmp_path, project_name="second"
    )
    second.search(verbose=0)
    assert second.history.best.score < 1e-3


def test_earlier_searches_that_cannot_teach_are_refused(tmp_path):
    def loss(hp):
        return hp.Float("x", 0, 1)

    given = {"seed": 0, "directory": tmp_path}
    first = ct.BayesianOptimization(loss, max_trials=3, project_name="first", **given)
    first.search(verbose=0)
    with pytest.raises(ValueError, match="this very search"):
        ct.BayesianOptimization(loss, project_name="first", warm_start=first.project_dir, **given)
    goals = ["loss", ct.Objective("seconds", "min")]
    with pytest.raises(ValueError, match="one objective"):
        ct.BayesianOptimization(loss, goals, pareto=True, project_name="b", warm_start=first.project_dir, **given)
    with pytest.raises(ct.errors.StoreError, match=r"sqlite:///study\.db is no directory; .*load_study"):
        ct.precedents_of("sqlite:///study.db")
    with pytest.raises(ValueError, match='"min" or "max"'):
        Precedents("x", "minimize", ())
    with pytest.raises(ValueError, match="finite"):
        Precedent({"x": 1}, math.nan)
    with pytest.raises(TypeError, match="OptunaMirror"):
        first.search(verbose=0, mirror="sqlite:///study.db")


# -- what it must bear -----------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    space=spaces(),
    scores=st.lists(
        st.none()
        | st.floats(allow_nan=True)
        | st.sampled_from([0.0, 1.0, -1e308, 1e308, 5e-324, math.inf])
        | st.floats(0, 1),
        max_size=12,
    ),
    direction=st.sampled_from(["min", "max"]),
)
def test_any_space_and_any_scores_give_something_new_within_the_ranges(space, scores, direction):
    history = history_of(space, scores, Objective("loss", direction))
    number = len(history)
    decision = BayesianOptimization(num_initial_points=1, seed=3).suggest(history, number)
    again = BayesianOptimization(num_initial_points=1, seed=3).suggest(pickle.loads(pickle.dumps(history)), number)
    assert decision == again or same(decision.values) == same(again.values)
    if isinstance(decision, Start):
        assert misfit(decision.values, space) == ""
        assert not history.tried.covers(decision.values)
    else:
        assert isinstance(decision, Done | Wait)


@pytest.mark.parametrize(
    "scores",
    [[1.0], [None] * 12, [0.5] * 12, [None] * 11 + [1.0], [1e300, -1e300] * 6, [math.inf, math.nan, 0.0] * 4],
    ids=["one trial", "only failures", "all the same", "one that worked", "huge", "not numbers"],
)
def test_histories_that_say_little(scores):
    history = history_of(SPACES["every kind"], scores)
    decision = BayesianOptimization(num_initial_points=1, seed=0).suggest(history, len(history))
    assert misfit(decision.values, history.space) == ""


@pytest.mark.parametrize(("dimensions", "trials"), [(60, 100), (3, 5000)])
def test_many_dimensions_and_many_trials(dimensions, trials):
    space = Space(tuple(Float(f"x{i}", 0.0, 1.0) for i in range(dimensions)))
    history = lessons(space, lambda values: sum((x - 0.5) ** 2 for x in values.values()), trials)
    decision = BayesianOptimization(seed=0).suggest(history, trials)
    assert sum((x - 0.5) ** 2 for x in decision.values.values()) < min(trial.score for trial in history) * 1.5 + 0.01


def test_bad_numbers_are_told_at_the_door():
    with pytest.raises(ValueError, match="num_initial_points must be an integer of at least 1"):
        BayesianOptimization(num_initial_points=0)


# -- the mathematics -------------------------------------------------------------------------------


@given(mean=st.floats(-3, 3), deviation=st.floats(0.05, 3), best=st.floats(-3, 3))
def test_expected_improvement_is_the_integral_that_defines_it(mean, deviation, best):
    def improvement(value):
        density = math.exp(-0.5 * ((value - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
        return (best - value) * density

    integral, error = quad(improvement, best - 12 * deviation - abs(best - mean), best, epsabs=1e-14, limit=200)
    (found,) = log_expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert math.exp(found) == pytest.approx(integral, rel=1e-5, abs=max(10 * error, 1e-13))


def test_expected_improvement_keeps_its_order_where_floats_end():
    means = np.concatenate([np.linspace(-5, 5, 50), np.geomspace(6, 1e8, 50)])
    found = log_expected_improvement(means, np.ones(100), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()


def seen(count=30, dimensions=3, seed=0):
    chance = np.random.default_rng(seed)
    points = chance.random((count, dimensions))
    targets = np.sin(4 * points[:, 0]) + points[:, 1] ** 2
    return points, (targets - targets.mean()) / targets.std(), [slice(i, i + 1) for i in range(dimensions)]


def test_the_process_is_the_one_of_the_textbooks():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    points, targets, groups = seen()
    scales = Scales(np.log([0.4, 0.8, 3.0]), math.log(1.7), math.log(0.01))
    process = Process.conditioned(points, targets, groups, scales)
    kernel = ConstantKernel(1.7) * Matern([0.4, 0.8, 3.0], nu=2.5)
    known = GaussianProcessRegressor(kernel, alpha=0.01 + 1e-6, optimizer=None).fit(points, targets)
    others = np.random.default_rng(1).random((20, 3))
    means, deviations = known.predict(others, return_std=True)
    found_means, found_deviations = process.at(others)
    np.testing.assert_allclose(found_means, means, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found_deviations, deviations, rtol=1e-5)


def test_a_trend_is_a_sum_of_lines_and_parabolas():
    """As in linear regression with a belief about its weights, and a process for what is left."""
    from numpy.polynomial.legendre import legval

    points, targets, groups = seen()
    others = np.random.default_rng(1).random((20, 3))
    scales = Scales(np.log([0.4, 0.8, 3.0]), math.log(1.7), math.log(0.01), math.log(5.0))

    def covariance(one, other):
        terms = [
            [math.sqrt(2 * degree + 1) * legval(2 * rows - 1, [0] * degree + [1]) for degree in (1, 2)]
            for rows in (one, other)
        ]
        trend = sum(a @ b.T for a, b in zip(*terms, strict=True)) / 6
        distances = np.sqrt(5 * (((one[:, None] - other) / [0.4, 0.8, 3.0]) ** 2).sum(axis=-1))
        return 1.7 * (1 + distances + distances**2 / 3) * np.exp(-distances) + 5.0 * trend

    inverse = np.linalg.inv(covariance(points, points) + (0.01 + 1e-6) * np.eye(len(points)))
    across = covariance(others, points)
    means, deviations = Process.conditioned(points, targets, groups, scales).at(others)
    np.testing.assert_allclose(means, across @ inverse @ targets, rtol=1e-6, atol=1e-8)
    variances = np.diagonal(covariance(others, others) - across @ inverse @ across.T)
    np.testing.assert_allclose(deviations, np.sqrt(variances), rtol=1e-5)


def test_a_trend_leads_on_to_where_nothing_was_tried():
    """The lowest point of a valley of which only one slope has been seen."""
    points = np.random.default_rng(0).uniform(0, 0.55, (12, 2))
    targets = ((points - 0.8) ** 2).sum(axis=1)
    targets = (targets - targets.mean()) / targets.std()
    groups = [slice(0, 1), slice(1, 2)]
    ahead = np.array([[0.8, 0.8]])
    expected = {}
    for trend in (math.log(2.0), None):
        scales = fitted(points, targets, groups, Belief([-1.8, -1.8], trend=trend))
        expected[trend], _ = Process.conditioned(points, targets, groups, scales).at(ahead)
    assert expected[math.log(2.0)] < targets.min()
    assert expected[math.log(2.0)] < expected[None]


def test_what_is_trained_in_parts_has_no_trend_even_while_all_have_come_equally_far():
    """That of beginnings leads on to where whole trainings diverge; all trials of a bracket begin alike."""
    encoding, ahead = Encoding(Space((Float("x", 0.0, 1.0),))), np.array([[1.0]])
    whole, in_part = (
        Surrogate.learned(
            encoding, [Observation({"x": x}, 1.0 - x, budget) for x in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)]
        ).expected(ahead)[0]
        for budget in (None, 1)
    )
    # A straight line goes on where it is believed in, and ends in what is usual where it is not.
    assert whole < in_part - 0.5


@pytest.mark.parametrize("trend", [math.log(2.0), None])
def test_the_most_probable_scales_are_found(trend):
    """No scale near those found makes the targets more probable."""
    points, targets, groups = seen(25)
    belief = Belief([0.0, 0.0, 0.0], trend=trend)
    found = fitted(points, targets, groups, belief)
    vector = np.array([*found.lengths, found.signal, found.noise, *([] if trend is None else [found.trend])])

    def improbability(vector):
        process = Process.conditioned(points, targets, groups, Scales(vector[:3], *vector[3:]))
        deviation = (vector - belief.middle) / belief.spread
        return 0.5 * targets @ process.weights + np.log(np.diagonal(process.factor)).sum() + 0.5 * deviation @ deviation

    least = improbability(vector)
    for step in np.vstack([np.eye(len(vector)), -np.eye(len(vector))]):
        assert improbability(vector + 0.3 * step) > least - 1e-3
    assert improbability(belief.middle) > least


def test_what_is_waited_for_makes_it_surer_there_and_no_better():
    points, targets, groups = seen()
    process = Process.conditioned(points, targets, groups, Scales(np.log([0.4, 0.8, 3.0])))
    others = np.random.default_rng(1).random((5, 3))
    surer = process.surer_at(others)
    np.testing.assert_allclose(surer.at(others)[0], process.at(others)[0], atol=0.01)
    assert (surer.at(others)[1] < process.at(others)[1]).all()


def test_what_does_not_matter_is_found_not_to():
    points, targets, groups = seen(60)
    scales = fitted(points, targets, groups, Belief([0.0, 0.0, 0.0]))
    assert scales.lengths[2] > scales.lengths[0] + 1
    assert scales.noise < math.log(0.05)


@settings(max_examples=100)
@given(space=spaces(), seed=st.integers(0, 1000))
def test_points_lead_back_to_their_combinations(space, seed):
    encoding = Encoding(space)
    tried = combinations(space, 4, seed)
    points = encoding.points(tried)
    for values, point in zip(tried, points, strict=True):
        back = encoding.values(point)
        assert misfit(back, space) == ""
        assert all(parameter.size is None or same({"": back[parameter.name]}) == same({"": values[parameter.name]})
                   for parameter in space.active(values))  # fmt: skip
    settled = encoding.settled(np.random.default_rng(seed).random((8, len(space))))
    np.testing.assert_array_equal(encoding.settled(settled.copy()), settled)
    for point in settled:
        values = encoding.values(point)
        assert misfit(values, space) == ""
        np.testing.assert_allclose(encoding.points([values])[0], point, atol=1e-6)


@pytest.mark.parametrize(("prior", "decision"), [("c", Wait), (None, Start)])
def test_what_is_believed_is_not_tried_twice_by_those_who_look_around(prior, decision):
    choice = Choice("m", ("a", "b", "c")) if prior is None else Choice("m", ("a", "b", "c"), prior=prior)
    # The first trial was begun without knowing of the choice, and tries what is believed; nobody is told of it.
    history = History(Space(), LOSS).after(Claimed(0, 0, {})).after(Grew(0, (choice,)))
    for seed in range(5):
        suggested = BayesianOptimization(seed=seed).suggest(history, 1)
        assert isinstance(suggested, decision)
        if prior is None:
            assert suggested.values != history.space.assign(lambda item, seed=seed: drawn(seed, 0, item))
