"""Optuna's samplers as oracles, and searches shown in Optuna's storage."""

import logging
from functools import partial
from statistics import median

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

optuna = pytest.importorskip("optuna")

import choritsu as ct  # noqa: E402
from choritsu.decisions import Start  # noqa: E402
from choritsu.oracles import Hyperband  # noqa: E402
from choritsu.oracles.optuna import quiet as optuna_quiet  # noqa: E402
from choritsu.space import Condition  # noqa: E402
from choritsu.testing.oracles import LOSS, SPACES, OracleContract, histories, misfit, same  # noqa: E402
from choritsu.testing.virtual import curves, run_search  # noqa: E402
from choritsu.trials import Claimed, Finished, History, Objective, Result, Status  # noqa: E402

from .strategies import parameters, spaces  # noqa: E402

TPE, GP = optuna.samplers.TPESampler, optuna.samplers.GPSampler


class TestTPE(OracleContract):
    def make_oracle(self, seed):
        return ct.OptunaOracle(TPE, seed=seed)


# -- what a sampler is shown -----------------------------------------------------------------------


class Spy(optuna.samplers.RandomSampler):
    """Draws at random, and notes what it is shown."""

    seen: list = []  # noqa: RUF012  # emptied by each test

    def infer_relative_search_space(self, study, trial):
        self.seen[:] = [study, study.get_trials(deepcopy=True)]
        return {}


def shown(history):
    ct.OptunaOracle(Spy).suggest(history, len(history))
    study, trials = Spy.seen
    return study, [trial for trial in trials if trial.number < len(history)]


@settings(max_examples=25)
@given(space=spaces(parameters), chance=st.randoms(use_true_random=False))
def test_the_sampler_is_shown_every_value_there_is(space, chance):
    # Of a name that is defined twice, a value may be outside the definition that is active.
    assume(all(len(space.named(parameter.name)) == 1 for parameter in space))
    # It is not asked for what is believed.
    space = ct.Space(tuple(parameter.without_prior for parameter in space))
    history = History(space, LOSS)
    for number in range(3):
        values = space.assign(lambda parameter: parameter.from_unit(chance.random()))
        history = history.after_all(
            [Claimed(number, 0, values), Finished(number, 0, values, Result(number, None, {}, 0, 0, 1, 1))]
        )
    decision = ct.OptunaOracle(Spy).suggest(history, 3)
    assume(isinstance(decision, Start) and any(parameter.size != 1 for parameter in space.active(decision.values)))
    names = {parameter.key: parameter.name for parameter in space}
    for trial, told in zip(history, shown(history)[1], strict=True):
        wanted = {parameter.name for parameter in space.active(trial.values) if parameter.size != 1}
        assert sorted(names[key] for key in told.params) == sorted(wanted)


@settings(max_examples=25)
@given(space=spaces(parameters), sampler=st.sampled_from([optuna.samplers.RandomSampler, TPE]))
def test_suggestions_fit_any_space(space, sampler):
    assume(all(parameter.size is None or parameter.size < 10**5 for parameter in space))
    history = History(space, LOSS)
    for number in range(4):
        decision = ct.OptunaOracle(sampler, seed=1).suggest(history, number)
        if not isinstance(decision, Start):
            break
        assert misfit(decision.values, space) == ""
        history = history.after(Claimed(number, 0, decision.values))


def test_larger_scores_are_shown_as_smaller_values_and_every_end_as_what_it_was():
    space = ct.Space((ct.Float("x", 0, 10),))
    kinds = list(histories(ct.OptunaOracle(Spy), space, 8))[-1][0]
    history = History(space, Objective("acc", "max"), kinds.trials)
    study, trials = shown(history)
    assert study.direction.name == "MINIMIZE"
    wanted = {
        Status.COMPLETED: "COMPLETE",
        Status.FAILED: "FAIL",
        Status.REFUSED: "FAIL",
        Status.INTERRUPTED: "RUNNING",
        Status.RUNNING: "RUNNING",
    }
    assert [trial.state.name for trial in trials] == [wanted[trial.status] for trial in history]
    assert [trial.value for trial in trials] == [None if trial.score is None else -trial.score for trial in history]


def test_a_belief_is_tried_by_the_first_trial_that_has_the_parameter():
    space = ct.Space(
        (
            ct.Float("rate", 1e-5, 1.0, sampling="log", prior=0.02),
            ct.Int("width", 0, 90, step=10, prior=38),
            ct.Choice("kind", ["flat", "deep"]),
            ct.Int("layers", 1, 50, prior=7, conditions=(Condition("kind", ("deep",)),)),
        )
    )
    history = run_search(ct.OptunaOracle(TPE), space, curves(lambda values, epoch: values["rate"]), max_trials=15)
    assert (history[0].values["rate"], history[0].values["width"]) == (0.02, 40)
    assert all(trial.values["rate"] != 0.02 for trial in history[1:])
    assert next(trial.values["layers"] for trial in history if "layers" in trial.values) == 7
    assert len({trial.values.get("layers") for trial in history}) > 3


def test_a_belief_that_only_the_function_shows_is_tried_first(tmp_path):
    oracle = ct.OptunaOracle(TPE)
    tuner = ct.Tuner(oracle, lambda hp: hp.Float("x", 0, 1, prior=0.7), max_trials=3, directory=tmp_path)
    tuner.search(verbose=0)
    assert [trial.values["x"] for trial in tuner.history].index(0.7) == 0
    assert len({trial.values["x"] for trial in tuner.history}) == 3


# -- samplers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        partial(TPE, multivariate=True, group=True, constant_liar=True),
        lambda seed: TPE(n_startup_trials=2, seed=seed),
        optuna.samplers.RandomSampler,
        partial(GP, n_startup_trials=4),
        optuna.samplers.CmaEsSampler,
        partial(optuna.samplers.NSGAIISampler, population_size=3),
        optuna.samplers.QMCSampler,
    ],
    ids=["multivariate TPE", "a function", "random", "Gaussian process", "CMA-ES", "NSGA-II", "QMC"],
)
def test_samplers_with_arguments_of_their_own(make):
    oracle = ct.OptunaOracle(make, seed=3)
    for history, decision in histories(oracle, SPACES["every kind"], 9):
        assert misfit(decision.values, SPACES["every kind"]) == ""
        assert same(oracle.suggest(history, len(history)).values) == same(decision.values)


def test_a_sampler_that_wants_a_finite_space_gets_one():
    history = run_search(
        ct.OptunaOracle(optuna.samplers.BruteForceSampler), SPACES["a product"], curves(lambda v, e: 1)
    )
    assert len({same(trial.values) for trial in history}) >= SPACES["a product"].size


@pytest.mark.parametrize("made", [TPE(seed=0), optuna.samplers.RandomSampler()])
def test_a_sampler_in_place_of_what_makes_it(made):
    with pytest.raises(TypeError, match=rf"OptunaOracle\({type(made).__name__}\).*partial"):
        ct.OptunaOracle(made)


@pytest.mark.parametrize(
    "make",
    [
        partial(optuna.samplers.GridSampler, {"x": [1, 2]}),
        lambda seed: optuna.samplers.PartialFixedSampler({"x": 1}, TPE(seed=seed)),
    ],
)
def test_samplers_that_name_values_beforehand_are_refused(make):
    with pytest.raises(TypeError, match=r"Sampler names its values beforehand.*GridSearch"):
        ct.OptunaOracle(make)


@pytest.mark.parametrize("make", [dict, lambda seed: 3])
def test_what_makes_no_sampler(make):
    with pytest.raises(TypeError, match="makes a sampler"):
        ct.OptunaOracle(make)


def test_it_learns():
    space = ct.Space((ct.Float("x", -1, 1), ct.Choice("c", ["a", "b", "c"])))

    def score(values, epoch):
        return (values["x"] - 0.3) ** 2 + "bac".index(values["c"])

    history = run_search(ct.OptunaOracle(TPE), space, curves(score, epochs=1), max_trials=60)
    late = list(history)[30:]
    assert sum(trial.values["c"] == "b" for trial in late) > 20
    assert history.best.score < 0.001


def test_a_sampler_that_takes_notes_learns_too():
    """Each suggestion comes of a new CMA-ES, which is led through what was tried before."""
    space = ct.Space(tuple(ct.Float(name, -5, 5) for name in "abc"))

    def score(values, epoch):
        return sum((x - 1.3) ** 2 for x in values.values())

    for slots in (1, 4):
        oracle = ct.OptunaOracle(optuna.samplers.CmaEsSampler, seed=1)
        history = run_search(oracle, space, curves(score, epochs=1), slots=slots, max_trials=60)
        scores = [trial.score for trial in history]
        assert sum(scores[-15:]) < sum(scores[:15]) / 2


def test_points_of_a_sequence_follow_one_another():
    space = ct.Space((ct.Float("x", 0, 1), ct.Float("y", 0, 1)))
    history = run_search(
        ct.OptunaOracle(optuna.samplers.QMCSampler), space, curves(lambda values, epoch: 1.0), max_trials=9
    )
    # The first has no space to be a point of.
    assert sorted(int(8 * trial.values["x"]) for trial in list(history)[1:]) == list(range(8))


def test_hyperband_draws_by_it():
    history = run_search(Hyperband(9, oracle=ct.OptunaOracle(TPE)), SPACES["a rate"], curves(lambda v, e: v["rate"]))
    assert max(trial.rungs[-1].until for trial in history) == 9


# -- several objectives ----------------------------------------------------------------------------

GOALS = [ct.Objective("loss", "min"), ct.Objective("speed", "max")]


def measured(hp):
    x, y = hp.Float("x", 0, 1), hp.Float("y", 0, 1)
    # The front is y = 0, at any x; the sum is smallest at x = 0.
    return {"loss": 100 * x, "speed": x - y}


def failing(hp):
    if hp.Float("y", 0, 1) > 0.8:
        raise ValueError("too far")
    return measured(hp)


def with_goals(directory, sampler, trials=8, function=measured, **arguments):
    oracle = ct.OptunaOracle(sampler, seed=1)
    tuner = ct.Tuner(oracle, function, objective=GOALS, max_trials=trials, directory=directory, **arguments)
    tuner.search(verbose=0)
    return tuner


def test_each_objective_is_shown_with_pareto_and_their_sum_without(tmp_path):
    history = with_goals(
        tmp_path / "front", TPE, function=failing, pareto=True, max_consecutive_failed_trials=9
    ).history
    study, trials = shown(history)
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert 0 < len(history.completed) < len(history)
    for trial, told in zip(history, trials, strict=True):
        if trial.status is Status.COMPLETED:
            assert told.values == [trial.result.metrics["loss"], -trial.result.metrics["speed"]]
        else:
            assert (told.state.name, told.values) == ("FAIL", None)
    study, trials = shown(with_goals(tmp_path / "sum", TPE).history)
    assert len(study.directions) == 1


@pytest.mark.parametrize(
    "make",
    [partial(optuna.samplers.NSGAIISampler, population_size=8), partial(TPE, n_startup_trials=8)],
    ids=["NSGA-II", "TPE"],
)
def test_a_sampler_of_several_objectives_searches_the_front(tmp_path, make):
    tuner = with_goals(tmp_path, make, trials=48, pareto=True)
    late = [trial.values for trial in list(tuner.history)[32:]]
    assert median(values["x"] for values in late) > 0.3


def test_a_sampler_of_one_objective_says_so(tmp_path):
    with pytest.raises(ct.errors.ObjectiveError, match=r"CmaEsSampler knows a single objective.*2; take NSGAIISampler"):
        with_goals(tmp_path, optuna.samplers.CmaEsSampler, pareto=True)
    assert len(with_goals(tmp_path / "sum", optuna.samplers.CmaEsSampler).history) == 8


# -- in a search -----------------------------------------------------------------------------------


def branching(hp):
    model = hp.Choice("model", ["tree", "net"])
    with hp.conditional_scope("model", ["net"]):
        units = hp.Int("units", 4, 64, sampling="log")
    rate = hp.Float("rate", 1e-4, 1e-1, sampling="log")
    return abs(rate - 1e-2) + (units or 30) / 100 + hp.Boolean("bias") + (model == "tree") + hp.Fixed("classes", 10)


def searched(directory, trials, **arguments):
    oracle = ct.OptunaOracle(partial(TPE, n_startup_trials=4), seed=2)
    tuner = ct.Tuner(oracle, branching, max_trials=trials, directory=directory, project_name="log")
    tuner.search(verbose=0, **arguments)
    return tuner


def test_a_search_that_goes_on_repeats_one_that_was_never_stopped(tmp_path):
    for trials in (3, 7, 12):
        parts = searched(tmp_path / "parts", trials)
    whole = searched(tmp_path / "whole", 12)
    assert [(trial.values, trial.score) for trial in parts.history] == [
        (trial.values, trial.score) for trial in whole.history
    ]


def test_optuna_keeps_quiet_and_its_own_settings(tmp_path, capfd):
    before = optuna.logging.get_verbosity()
    searched(tmp_path, 3)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before != logging.ERROR


# -- a search in Optuna's storage ------------------------------------------------------------------


@pytest.fixture
def address(tmp_path):
    return f"sqlite:///{tmp_path / 'study.db'}"


def rows(address, name="log"):
    """Read the study as any other program would."""
    storage = optuna.storages.RDBStorage(address)
    try:
        return optuna.load_study(study_name=name, storage=storage).get_trials()
    finally:
        storage.remove_session()
        storage.engine.dispose()


def every_kind(hp):
    values = {
        "log": hp.Float("log", 1e-5, 1e-1, sampling="log"),
        "mirrored": hp.Float("mirrored", 0.5, 1, sampling="reverse_log"),
        "stepped": hp.Float("stepped", 0, 1, step=0.3),
        "int": hp.Int("int", 1, 9, step=2, default=4),
        "long": hp.Int("long", 2**60, 2**60 + 9),
        "choice": hp.Choice("choice", ["relu", None, 1.5]),
        "alike": hp.Choice("alike", [True, 1, "1"]),
        "tuples": hp.Choice("tuples", [(1, 2), {"a": 1}]),
        "bias": hp.Boolean("bias"),
        "classes": hp.Fixed("classes", 10),
    }
    return {"acc": float(values["bias"]) + values["log"]}


def mirrored(directory, function, address, trials=6, name="log", make=None, **arguments):
    make = make or (lambda **given: ct.RandomSearch(function, max_trials=trials, **given))
    tuner = make(objective=ct.Objective("acc", "max"), seed=0, directory=directory, project_name="search")
    tuner.search(verbose=0, mirror=ct.OptunaMirror(address, name), **arguments)
    return tuner


def test_every_kind_is_shown_with_its_values_scores_and_times(tmp_path, address):
    tuner = mirrored(tmp_path, every_kind, address)
    told = rows(address)
    assert [row.state.name for row in told] == ["COMPLETE"] * 6
    for trial, row in zip(tuner.history, told, strict=True):
        assert row.value == trial.score
        assert set(row.params) == set(trial.values)
        for name, value in trial.values.items():
            # Optuna chooses among scalars that differ, and its numbers are floats.
            told_as = {"alike": repr, "tuples": repr, "long": float}.get(name, lambda same: same)
            assert row.params[name] == told_as(value)
        assert abs(row.datetime_start.timestamp() - trial.started) < 0.01
        assert row.user_attrs["trial"] == trial.number
    study = optuna.load_study(study_name="log", storage=address)
    assert study.direction.name == "MAXIMIZE"
    assert study.best_trial.number == tuner.history.best.number
    study._storage._backend.engine.dispose()


def test_conditions_leave_out_what_was_not_asked_for(tmp_path, address):
    def function(hp):
        deep = hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            layers = hp.Int("layers", 2, 9)
        with hp.conditional_scope("deep", [False]):
            hp.Choice("layers", [1])
        return {"acc": float(layers or 0) + (hp.Float("late", 0, 1) if deep else 0)}

    tuner = mirrored(tmp_path, function, address, trials=8)
    for trial, row in zip(tuner.history, rows(address), strict=True):
        # Optuna has no two kinds of parameter under one name: the second goes by its definition.
        assert {label.partition(": ")[0]: value for label, value in row.params.items()} == trial.values
    labels = {label for row in rows(address) for label in row.params}
    assert len(labels) == 4
    assert any(label.startswith(("layers: Int(", "layers: Choice(")) for label in labels)


def test_the_curve_is_shown_while_the_trial_runs(tmp_path, address):
    looks = []

    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        for epoch in range(3):
            trial.report(acc=x + epoch, loss=0.0)
            looks.append(rows(address)[-1])

    mirrored(tmp_path, function, address, trials=1)
    assert [look.state.name for look in looks] == ["RUNNING"] * 3
    assert [len(look.intermediate_values) for look in looks] == [1, 2, 3]
    x = rows(address)[0].params["x"]
    assert rows(address)[0].intermediate_values == {epoch: x + epoch for epoch in range(3)}


def test_a_search_that_goes_on_is_written_once(tmp_path, address):
    def function(hp):
        return {"acc": hp.Float("x", 0, 1)}

    mirrored(tmp_path, function, address, trials=3)
    mirrored(tmp_path, function, address, trials=3)
    before = rows(address)
    tuner = ct.RandomSearch(
        function, ct.Objective("acc", "max"), max_trials=5, seed=0, directory=tmp_path, project_name="search"
    )
    tuner.search(verbose=0)  # Without the mirror.
    tuner = mirrored(tmp_path, function, address, trials=7)
    assert rows(address)[:3] == before
    assert [row.value for row in rows(address)] == [trial.score for trial in tuner.history]
    assert [row.params for row in rows(address)] == [trial.values for trial in tuner.history]


def test_failures_and_refusals_say_why_and_what_is_interrupted_goes_on(tmp_path, address):
    calls = []

    def function(hp):
        n = hp.Int("n", 0, 99)
        calls.append(n)
        if len(calls) == 1:
            raise ct.FailedTrialError("out of memory")
        if len(calls) == 2:
            raise ct.RedrawTrialError("heads must divide width")
        if len(calls) == 3:
            raise KeyboardInterrupt
        return {"acc": float(n)}

    with pytest.raises(KeyboardInterrupt):
        mirrored(tmp_path, function, address)
    told = rows(address)
    assert [row.state.name for row in told] == ["FAIL", "FAIL", "RUNNING"]
    assert told[0].user_attrs["message"].endswith("out of memory")
    assert told[1].user_attrs["message"].endswith("heads must divide width")
    assert [row.params for row in told] == [{"n": calls[0]}, {"n": calls[1]}, {}]
    tuner = mirrored(tmp_path, function, address, trials=3)
    assert [row.state.name for row in rows(address)] == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert [row.params["n"] for row in rows(address)] == [trial.values["n"] for trial in tuner.history]


def test_a_promoted_trial_stands_once_for_each_budget(tmp_path, address):
    def train(hp, trial):
        x = hp.Float("x", 0, 1)
        for epoch in trial.epochs(state={}):
            trial.report(acc=x + epoch)

    def hyperband(**given):
        return ct.Hyperband(train, max_epochs=4, factor=2, **given)

    tuner = mirrored(tmp_path, train, address, make=hyperband)
    told = rows(address)
    for trial in tuner.history:
        mine = [row for row in told if row.user_attrs["trial"] == trial.number]
        assert [row.value for row in mine] == [rung.score for rung in trial.rungs]
        epochs = sorted(epoch for row in mine for epoch in row.intermediate_values)
        assert epochs == list(range(trial.rungs[-1].until))


def test_a_study_is_for_one_search(tmp_path, address):
    def function(hp):
        return {"acc": hp.Float("x", 0, 1)}

    mirrored(tmp_path / "one", function, address, trials=1)
    with pytest.raises(ValueError, match=r"'log' holds something else.*another study_name"):
        mirrored(tmp_path / "other", function, address, trials=1)
    mirrored(tmp_path / "other", function, address, trials=1, name="other")
    assert len(rows(address)) == len(rows(address, "other")) == 1


def test_a_storage_that_fails_does_not_end_the_search(tmp_path):
    class Failing(optuna.storages.InMemoryStorage):
        broken = False

        def set_trial_state_values(self, *args, **kwargs):
            if self.broken:
                raise OSError("the disk is full")
            return super().set_trial_state_values(*args, **kwargs)

    storage = Failing()

    def function(hp):
        storage.broken = True
        return {"acc": hp.Float("x", 0, 1)}

    with pytest.warns(UserWarning, match=r"cannot be written any more \(the disk is full\)") as told:
        tuner = mirrored(tmp_path, function, storage, trials=4)
    assert len(told) == 1
    assert len(tuner.history.completed) == 4
    storage.broken = False
    mirrored(tmp_path, function, storage, trials=4)
    told = optuna.load_study(study_name="log", storage=storage).trials
    assert [row.state.name for row in told] == ["COMPLETE"] * 4


@pytest.mark.usefixtures("plain_workers")
def test_workers_are_shown(tmp_path, address):
    tuner = mirrored(tmp_path, every_kind, address, trials=3, workers=2)
    assert sorted(row.value for row in rows(address)) == sorted(trial.score for trial in tuner.history)


@pytest.mark.parametrize(("storage", "name"), [("study.db", "log"), ("sqlite:///study.db", ""), ("sqlite://", None)])
def test_what_is_no_address_or_name(storage, name):
    with pytest.raises(ValueError, match=r"must be|is an address"):
        ct.OptunaMirror(storage, name)


# -- a study as the beginning of a search ----------------------------------------------------------


def test_a_real_study_is_read():
    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ZeroDivisionError
        return x if trial.suggest_categorical("deep", [True, False]) else -x

    with optuna_quiet():
        study = optuna.create_study(study_name="old", direction="maximize", sampler=TPE(seed=0))
        study.optimize(objective, 5, catch=ZeroDivisionError)
    (earlier,) = ct.precedents_of(study)
    assert earlier.direction == "max"
    completed = [study.trials[number] for number in (0, 3, 4)]
    assert [(trial.values, trial.score) for trial in earlier.trials] == [(row.params, row.value) for row in completed]
    fitting = earlier.fitting(ct.Space((ct.Boolean("deep"), ct.Int("new", 1, 3))))
    assert [trial.values for trial in fitting] == [{"deep": row.params["deep"]} for row in completed]
