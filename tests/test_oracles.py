"""Oracles: the contract over each, and what each promises besides."""

import itertools
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import choritsu as ct
from choritsu.chance import unit
from choritsu.decisions import Done, Start
from choritsu.oracles import ASHA, BayesianOptimization, Grid, Hyperband, QuasiRandom, Random, RandomSearchOracle
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Space
from choritsu.stores import MemoryStore
from choritsu.testing.oracles import BudgetedContract, OracleContract, hardship, misfit, same
from choritsu.testing.virtual import curves, played, run_search
from choritsu.trials import Claimed, History, Objective, Status

from .strategies import every_combination, parameters, spaces


class TestRandom(OracleContract):
    history_free = True

    def make_oracle(self, seed):
        return Random(seed=seed)


class TestQuasiRandom(OracleContract):
    history_free = True

    def make_oracle(self, seed):
        return QuasiRandom(seed=seed)


class TestGrid(OracleContract):
    history_free = True
    endless = False

    def make_oracle(self, seed):
        return Grid()


class TestBayesianOptimization(OracleContract):
    def make_oracle(self, seed):
        return BayesianOptimization(seed=seed)


class TestHyperband(BudgetedContract):
    exhaustive = False
    endless = False

    def make_oracle(self, seed):
        return Hyperband(max_epochs=27, seed=seed)


class TestASHA(BudgetedContract):
    factor = None

    def make_oracle(self, seed):
        return ASHA(max_epochs=9, seed=seed)


ORACLES = [Random(seed=1), QuasiRandom(seed=1), Grid()]
every_oracle = pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: type(oracle).__name__)


def flat(values, epoch):
    return 1.0


def suggested(history):
    return [same(trial.suggested) for trial in history]


# -- any space -------------------------------------------------------------------------------------


@every_oracle
@settings(max_examples=25)
@given(space=spaces(largest=4), slots=st.sampled_from([1, 3]))
def test_any_finite_space_is_tried_to_the_end(oracle, space, slots):
    combinations = every_combination(space)
    if len(combinations) > 300:
        return
    history = run_search(oracle, space, curves(flat), slots=slots if len(space) else 1)
    assert sorted(same(trial.values) for trial in history) == sorted(same(values) for values in combinations)


@every_oracle
@settings(max_examples=25)
@given(space=spaces(parameters))
def test_suggestions_fit_any_space(oracle, space):
    assume(all(parameter.size is None or parameter.size < 10**5 for parameter in space))
    history = History(space, Objective("loss", "min"))
    for number in range(5):
        decision = oracle.suggest(history, number)
        if not isinstance(decision, Start):
            break
        assert misfit(decision.values, space) == ""
        history = history.after(Claimed(number, 0, decision.values))


@every_oracle
def test_all_144_of_12_by_12(oracle):
    space = Space((Int("a", 1, 12), Int("b", 1, 12)))
    history = run_search(oracle, space, curves(flat))
    assert len({same(trial.values) for trial in history}) == len(history) == 144
    decision = oracle.suggest(history, 144)
    assert isinstance(decision, Done)
    assert "144 in all" in decision.reason


@every_oracle
def test_failures_and_refusals_are_not_tried_again(oracle):
    space = Space((Int("a", 1, 12), Int("b", 1, 12)))
    history = run_search(oracle, space, curves(hardship), slots=5)
    assert len({same(trial.values) for trial in history}) == len(history) == 144
    assert all(history.having(status) for status in (Status.COMPLETED, Status.FAILED, Status.REFUSED))


@every_oracle
def test_hundreds_of_trials_are_suggested_quickly(oracle):
    space = Space((Float("a", 0, 1, step=0.01), Float("b", 1e-5, 1, sampling="log"), Boolean("c")))
    began = time.process_time()
    history = run_search(oracle, space, curves(flat, epochs=3), slots=20, max_trials=400)
    assert len(history) == 400
    assert time.process_time() - began < 10


# -- seeds -----------------------------------------------------------------------------------------

SEEDED = [Random, QuasiRandom]


def drawn(make, seed, *names, trials=60):
    space = Space(tuple(Float(name, 0, 1) for name in names))
    history = run_search(make(seed=seed), space, curves(flat), max_trials=trials, seed=seed)
    return [[trial.values[name] for name in names] for trial in history]


@pytest.mark.parametrize("make", SEEDED)
@pytest.mark.parametrize("names", ["x", "xy", "xyz"])
def test_neighbouring_seeds_share_nothing(make, names):
    seen = {seed: set(itertools.chain(*drawn(make, seed, *names))) for seed in (0, 1, 5, 6, 7, -1, 2**70)}
    for one, other in itertools.combinations(seen, 2):
        assert not seen[one] & seen[other]
        assert len(seen[one]) == 60 * len(names)


@pytest.mark.parametrize("make", SEEDED)
@pytest.mark.parametrize("seed", [0, 5])
def test_a_seed_repeats_its_search(make, seed):
    assert drawn(make, seed, "x", "y") == drawn(make, seed, "x", "y")


@pytest.mark.parametrize("tuner", [ct.RandomSearch, ct.QuasiRandomSearch])
def test_seed_0_is_a_seed(tuner, tmp_path):
    def searched(name, seed):
        made = tuner(lambda hp: hp.Float("x", 0, 1), max_trials=5, seed=seed, directory=tmp_path, project_name=name)
        made.search(verbose=0)
        return [trial.values["x"] for trial in made.history], made.seed

    assert searched("a", 0) == searched("b", 0)
    assert searched("a", 0)[1] == 0
    assert searched("c", None)[0] != searched("d", None)[0]


def test_an_oracle_of_ones_own_brings_its_seed(tmp_path):
    tuner = ct.Tuner(Random(seed=0), lambda hp: hp.Float("x", 0, 1), max_trials=3, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.seed == 0
    other = ct.Tuner(RandomSearchOracle(max_trials=3, seed=0), lambda hp: hp.Float("x", 0, 1), store=MemoryStore())
    other.search(verbose=0)
    assert suggested(tuner.history)[1:] == suggested(other.history)[1:]
    assert [trial.values for trial in tuner.history] == [trial.values for trial in other.history]


# -- random search ---------------------------------------------------------------------------------


def late(hp):
    a = hp.Float("a", 0, 1)
    b = hp.Float("b", 0, 1) if a > 0.5 else 0.0
    c = hp.Float("c", 0, 1) if b > 0.5 else 0.0
    return a + b + c


@pytest.mark.parametrize("slots", [1, 4])
def test_random_draws_do_not_depend_on_when_a_parameter_was_discovered(slots):
    known = Space((Float("a", 0, 1), Float("b", 0, 1), Float("c", 0, 1)))
    discovered = run_search(Random(seed=3), Space(), played(late), slots=slots, max_trials=40, seed=3)
    declared = run_search(Random(seed=3), known, played(late), slots=slots, max_trials=40, seed=3)
    assert [trial.values for trial in discovered] == [trial.values for trial in declared]
    assert {len(trial.values) for trial in discovered} == {1, 2, 3}


def test_an_oracle_written_for_keras_tuner_is_told_what_to_write():
    with pytest.raises(TypeError, match=r"Drawing\.populate_space .* write suggest\(self, history, number\)"):

        class Drawing(ct.Oracle):
            def populate_space(self, trial_id):
                return {"status": "RUNNING", "values": {}}

    assert not isinstance(3, ct.Oracle)
    assert isinstance(ct.oracles.Random(), ct.Oracle)


def test_random_draws_do_not_depend_on_the_other_parameters():
    alone = drawn(Random, 9, "x")
    assert alone == [[x] for x, _ in drawn(Random, 9, "x", "y")]
    assert alone == [[x] for _, x in drawn(Random, 9, "y", "x")]


def test_random_draws_are_uniform():
    space = Space((Float("x", 0, 1), Choice("c", list("abcd")), Float("rate", 1e-4, 1, sampling="log")))
    history = run_search(Random(seed=2), space, curves(flat), max_trials=1000)
    for name, part in [
        ("x", lambda value: int(value * 4)),
        ("c", "abcd".index),
        ("rate", lambda value: int(space.named("rate")[0].to_unit(value) * 4)),
    ]:
        counts = [0, 0, 0, 0]
        for trial in history:
            counts[part(trial.values[name])] += 1
        # Chi-squared with 3 degrees of freedom stays below 16.3 in 999 of 1000 cases.
        assert sum((count - 250) ** 2 / 250 for count in counts) < 16.3


def test_chance_is_a_function_of_seed_and_key():
    draws = [unit(seed, number, name) for seed in range(10) for number in range(50) for name in ("a", "b")]
    assert len(set(draws)) == 1000
    assert all(0.0 <= draw < 1.0 for draw in draws)
    assert sum(draws) / 1000 == pytest.approx(0.5, abs=0.04)
    assert unit(1, 23) != unit(12, 3)
    assert unit(1, "2") != unit(1, 2)
    assert unit(1, "a", "b") != unit(1, "ab")


# -- quasi-random search ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2, 12345])
@pytest.mark.parametrize("m", [0, 1, 3, 6])
def test_each_of_2_to_the_m_parts_is_hit_once(seed, m):
    size = 2**m
    space = Space(
        (
            Float("x", -1, 1),
            Float("rate", 1e-5, 1e-1, sampling="log"),
            Float("momentum", 0.5, 1, sampling="reverse_log"),
            Int("units", 1, 64),
            Fixed("classes", 10),
        )
    )
    history = run_search(QuasiRandom(seed=seed), space, curves(flat), max_trials=size)
    for parameter in space.parameters[:4]:
        hit = sorted(int(parameter.to_unit(trial.values[parameter.name]) * size * (1 - 1e-12)) for trial in history)
        assert hit == list(range(size))


def test_every_later_block_is_balanced_too():
    history = run_search(QuasiRandom(seed=4), Space((Float("x", 0, 1), Float("y", 0, 1))), curves(flat), max_trials=64)
    for block in range(0, 64, 16):
        for name in "xy":
            assert sorted(int(trial.values[name] * 16) for trial in history[block : block + 16]) == list(range(16))
    # Two coordinates are balanced together, not only each by itself.
    assert len({(int(trial.values["x"] * 4), int(trial.values["y"] * 4)) for trial in history[:16]}) > 12


@pytest.mark.parametrize("parameters", [33, 70])
def test_many_parameters_have_each_a_coordinate(parameters):
    space = Space(tuple(Float(f"x{k}", 0, 1) for k in range(parameters)))
    history = run_search(QuasiRandom(seed=4), space, curves(flat), max_trials=8)
    for name in space.names:
        assert sorted(int(trial.values[name] * 8) for trial in history) == list(range(8))
    assert len({trial.values[name] for trial in history for name in space.names}) == 8 * parameters


def test_points_stay_when_the_space_grows():
    one, three = drawn(QuasiRandom, 4, "x", trials=16), drawn(QuasiRandom, 4, "x", "y", "z", trials=16)
    assert one == [[x] for x, _, _ in three]


# -- grid search -----------------------------------------------------------------------------------


def tried(history):
    return [tuple(trial.values.values()) for trial in history]


def test_a_grid_goes_like_nested_loops_with_the_defaults_first():
    space = Space((Int("a", 1, 3, default=2), Choice("b", ("x", "y")), Boolean("c", default=True)))
    assert tried(run_search(Grid(), space, curves(flat))) == [
        (a, b, c) for a in (2, 1, 3) for b in ("x", "y") for c in (True, False)
    ]


def test_a_grid_follows_conditions():
    space = Space(
        (
            Choice("model", ("tree", "net")),
            Int("depth", 1, 2, conditions=(Condition("model", ("tree",)),)),
            Boolean("bias", conditions=(Condition("model", ("net",)),)),
            Int("z", 0, 1),
        )
    )
    assert tried(run_search(Grid(), space, curves(flat))) == [
        ("tree", 1, 0),
        ("tree", 1, 1),
        ("tree", 2, 0),
        ("tree", 2, 1),
        ("net", False, 0),
        ("net", False, 1),
        ("net", True, 0),
        ("net", True, 1),
    ]


def test_a_grid_lists_ten_values_of_a_float():
    history = run_search(Grid(), Space((Float("x", 0, 9, default=4.5),)), curves(flat))
    assert [trial.values["x"] for trial in history] == pytest.approx([4.5, *range(10)])
    decision = Grid().suggest(history, len(history))
    assert decision == Done("every listed combination has been tried")


def test_a_grid_does_not_list_what_it_does_not_need():
    history = History(Space((Boolean("a"), Int("seed", 0, 2**21))))
    began = time.process_time()
    assert Grid().suggest(history, 0) == Start({"a": False, "seed": 0})
    assert time.process_time() - began < 0.5


@every_oracle
def test_a_first_parameter_with_millions_of_values(oracle):
    history = run_search(oracle, Space((Int("seed", 0, 10**5),)), curves(flat), max_trials=5)
    assert len(set(suggested(history))) == 5


# -- branches that nobody can see beforehand -------------------------------------------------------


def branching(hp):
    """Have 4 + 3 * 2 + 1 = 11 effective configurations."""
    match hp.Choice("model", ["tree", "net", "line"]):
        case "tree":
            return hp.Int("depth", 1, 4)
        case "net":
            width = hp.Int("width", 10, 30, step=10)
            return width + (hp.Boolean("dropout") and 1)
    return 100


def nested(hp):
    """Have 2 * 2 + 3 + 1 = 8, reached by conditions and by branches."""
    hp.Fixed("classes", 10)
    if hp.Boolean("a"):
        kind = hp.Choice("kind", [1, 2])
        with hp.conditional_scope("kind", [1]):
            hp.Int("x", 1, 4)
        return 5.0 if kind == 2 else float(hp.get("x"))
    if hp.Boolean("b"):
        return 7.0 + hp.Int("y", 1, 2)
    return 9.0


def effective(function):
    """Walk the whole decision tree of a function."""
    found, stack = {}, [{}]
    while stack:
        values = stack.pop()
        hp = ct.HyperParameters(values)
        function(hp)
        found[same(hp.asked)] = hp.asked
        for parameter in hp.space:
            if parameter.name in hp.asked and parameter.name not in values:
                before = dict(itertools.takewhile(lambda item, name=parameter.name: item[0] != name, hp.asked.items()))
                stack += [{**before, parameter.name: value} for value in parameter.listed()[1:]]
    return found


@pytest.mark.parametrize("tuner", [ct.RandomSearch, ct.GridSearch, ct.QuasiRandomSearch])
@pytest.mark.parametrize(("function", "size"), [(branching, 11), (nested, 8)])
@pytest.mark.parametrize(("seed", "kept"), [(0, "in memory"), (1, "in memory"), (2, "in memory"), (0, "on disk")])
def test_every_effective_configuration_once(tuner, function, size, seed, kept, tmp_path):
    configurations = effective(function)
    assert len(configurations) == size
    store = MemoryStore() if kept == "in memory" else None
    made = tuner(function, max_trials=1000, seed=seed, directory=tmp_path, store=store)
    made.search(verbose=0)
    assert sorted(same(trial.values) for trial in made.history) == sorted(configurations)
    assert {trial.status for trial in made.history} == {Status.COMPLETED}


@every_oracle
@pytest.mark.parametrize("slots", [1, 2, 7])
def test_in_parallel_no_configuration_is_missed(oracle, slots):
    history = run_search(oracle, Space(), played(branching, seconds=lambda job: 1 + job.number % 3), slots=slots)
    assert {same(trial.values) for trial in history} == set(effective(branching))
    if slots == 1:
        assert len(history) == 11


@every_oracle
@pytest.mark.parametrize(("function", "size"), [(branching, 11), (nested, 8)])
@pytest.mark.parametrize("slots", [1, 3])
def test_the_end_of_a_space_counts_what_its_branches_hold(oracle, function, size, slots):
    history = run_search(oracle, Space(), played(function), slots=slots)
    assert oracle.suggest(history, len(history)) == Done(f"every combination has been tried ({size} in all)")


@every_oracle
@pytest.mark.parametrize("epochs", [1, 5])
def test_several_workers_begin_with_different_trials(oracle, epochs):
    def function(hp, trial):
        # Nobody knows of x before the first trial has told it, nor of y before trials that have left it to chance.
        x = hp.Int("x", 1, 10**4)
        for _ in range(epochs):
            trial.report(loss=x)
        trial.report(loss=x + hp.Int("y", 1, 10**4))

    history = run_search(oracle, Space(), played(function), slots=7, max_trials=40)
    assert len({same(trial.values) for trial in history}) == len(history) == 40


@every_oracle
def test_a_diverging_configuration_is_tried_once(oracle):
    def function(hp):
        if hp.Choice("model", ["net", "tree"]) == "tree":
            return float("nan")
        return hp.Int("width", 1, 9)

    history = run_search(oracle, Space(), played(function))
    trees = [trial for trial in history if trial.values["model"] == "tree"]
    assert [trial.status for trial in trees] == [Status.FAILED]
    assert len(history) == 10


@every_oracle
def test_a_refused_configuration_is_refused_once(oracle):
    def function(hp):
        if hp.Choice("model", ["net", "tree"]) == "tree":
            raise ct.RedrawTrialError("no trees here")
        return hp.Int("width", 1, 9)

    history = run_search(oracle, Space(), played(function))
    assert len(history.having(Status.REFUSED)) == 1
    assert len(history) == 10


def test_a_small_space_ends_before_max_trials(tmp_path):
    tuner = ct.RandomSearch(
        lambda hp: hp.Int("a", 1, 3) * hp.Choice("b", [1, -1]), max_trials=20, seed=1, directory=tmp_path
    )
    tuner.search(verbose=0)
    assert len({same(trial.values) for trial in tuner.history}) == len(tuner.history) == 6
