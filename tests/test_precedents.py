"""What earlier searches have tried: read from anywhere without touching it, and told in the words of a new space."""

import json
import math
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing
from enum import Enum
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import choritsu as ct
from choritsu.errors import ForeignStoreError, StoreError
from choritsu.oracles import Precedent, Precedents
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Space
from choritsu.stores import open_store, read_store
from choritsu.testing.oracles import misfit
from choritsu.trials import Claimed, Failed, Finished, History, Objective, Result

from .strategies import parameters, same, spaces


def precedents(*trials, direction="min"):
    return Precedents("earlier", direction, tuple(Precedent(values, float(n)) for n, values in enumerate(trials)))


def in_words_of(space, values):
    """Give what is left of one trial's values; None when it is left out."""
    fitting = precedents(values).fitting(space)
    return fitting[0].values if fitting else None


# -- fitting ---------------------------------------------------------------------------------------


@given(spaces(parameters), st.randoms(use_true_random=False))
def test_in_its_own_space_a_trial_stays_as_it_was(space, chance):
    values = space.assign(lambda parameter: parameter.from_unit(chance.random()))
    assert same(in_words_of(space, values) or {}) == same(values)


@given(spaces(parameters), spaces(parameters), st.randoms(use_true_random=False))
def test_in_any_other_space_only_what_it_allows_is_left(earlier, new, chance):
    values = earlier.assign(lambda parameter: parameter.from_unit(chance.random()))
    left = in_words_of(new, values)
    if left is not None:
        assert left
        assert set(left) <= set(values)
        # What is missing may be missing; nothing else may be wrong.
        assert misfit(left, new) == "" or misfit(left, new).endswith("has no value")
        assert in_words_of(new, left) == left


@given(spaces(parameters), st.randoms(use_true_random=False), st.data())
def test_what_the_new_space_lacks_is_left_out(space, chance, data):
    values = space.assign(lambda parameter: parameter.from_unit(chance.random()))
    kept = data.draw(st.sets(st.sampled_from(sorted(space.names)))) if len(space) else set()
    # Of a name that is defined twice, the value may be that of the definition left out.
    once = [item for item in space if len(space.named(item.name)) == 1]
    unconditional = Space(tuple(item for item in once if item.name in kept and not item.conditions))
    wanted = {item.name: values[item.name] for item in unconditional}
    assert same(in_words_of(unconditional, values) or {}) == same(wanted)


@pytest.mark.parametrize(
    ("parameter", "earlier", "now"),
    [
        (Int("x", 1, 100), 64.0, 64),
        (Int("x", 1, 100), 64.5, None),
        (Int("x", 1, 100), 101, None),
        (Int("x", 1, 100), True, None),
        (Int("x", 1, 100), "64", None),
        (Float("x", 1, 100), 64, 64.0),
        (Float("x", 1, 100), 10**400, None),
        (Float("x", 1, 100), math.nan, None),
        (Boolean("x"), 1, True),
        (Boolean("x"), 2, None),
        (Choice("x", [16, 32]), 32.0, 32),
        (Choice("x", [True, 1, 1.0]), 1, 1),
        (Choice("x", [True, 1.0]), 1, None),
        (Choice("x", [(1, 2), "a"]), (1, 2), (1, 2)),
        (Choice("x", ["a", None]), None, None),
        (Choice("x", ["a", "b"]), object(), None),
        (Fixed("x", 10), 10, 10),
        (Fixed("x", 10), 11, None),
    ],
)
def test_a_value_is_told_as_the_new_parameter_has_it(parameter, earlier, now):
    left = in_words_of(Space((parameter,)), {"x": earlier})
    if now is None and not (isinstance(parameter, Choice) and parameter.contains(None)):
        assert left is None
    else:
        assert repr(left["x"]) == repr(now)


def test_a_trial_outside_the_new_ranges_is_left_out_and_the_others_keep_their_scores():
    space = Space((Float("rate", 0.1, 1), Int("new", 1, 3)))
    fitting = precedents({"rate": 0.5}, {"rate": 0.05}, {"other": 1}, {}, {"rate": 1.0, "new": 2}).fitting(space)
    assert [(trial.values, trial.score) for trial in fitting] == [({"rate": 0.5}, 0.0), ({"rate": 1.0, "new": 2}, 4.0)]


def test_conditions_of_the_new_space_count():
    space = Space(
        (Choice("optimizer", ["adam", "sgd"]), Float("m", 0, 1, conditions=(Condition("optimizer", ("sgd",)),)))
    )
    assert in_words_of(space, {"optimizer": "sgd", "m": 0.9}) == {"optimizer": "sgd", "m": 0.9}
    assert in_words_of(space, {"optimizer": "adam", "m": 0.9}) == {"optimizer": "adam"}
    assert in_words_of(space, {"m": 0.9}) is None


def test_precedents_are_values():
    made = precedents({"x": [1, {"a": 2}]}, {"y": None})
    again = pickle.loads(pickle.dumps(made))
    assert again == made
    assert hash(again) == hash(made)
    assert precedents({"x": 1}) != precedents({"x": 2})


# -- our own searches ------------------------------------------------------------------------------


def parabola(hp):
    return (hp.Float("x", -1, 1) - 0.3) ** 2


def searched(directory, function=parabola, trials=4, **arguments):
    tuner = ct.RandomSearch(function, max_trials=trials, seed=0, directory=directory, project_name="log", **arguments)
    tuner.search(verbose=0)
    return tuner


def contents(place):
    return {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}


def test_a_directory_of_ours_is_read_and_left_alone(tmp_path):
    tuner = searched(tmp_path)
    wanted = tuple(Precedent(trial.values, trial.score) for trial in tuner.history)
    place = tmp_path / "log"
    for shape in (place, str(place), tuner, tuner.history, [place], ((place,),)):
        (earlier,) = ct.precedents_of(shape)
        assert (earlier.direction, earlier.trials) == ("min", wanted)
    tuner._store.close()
    del tuner
    before = contents(place)
    ct.precedents_of(place)
    assert contents(place) == before


def test_of_a_search_killed_in_the_middle_all_that_was_recorded_is_read(tmp_path):
    program = f"""
import os
from pathlib import Path
from choritsu.stores import Identity, open_store
from choritsu.trials import Claimed, Finished, Objective, Result
store = open_store(Path({str(tmp_path)!r}))
store.identify(Identity(Objective("acc", "max")))
for n in range(3):
    store.claim(Claimed(n, 0, {{"x": n}}), until=60.0)
    store.record(Finished(n, 0, {{"x": n}}, Result(float(n), None, {{}}, 0, 0, 1, 1)))
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    before = contents(tmp_path)
    assert before["search.db-wal"]
    (earlier,) = ct.precedents_of(tmp_path)
    assert [(trial.values, trial.score) for trial in earlier.trials] == [({"x": n}, float(n)) for n in range(3)]
    after = contents(tmp_path)
    # The third file is only where SQLite notes who reads.
    for name in ("search.db", "search.db-wal"):
        assert after[name] == before[name]


def test_a_search_of_the_first_version_is_read_and_stays_one(tmp_path):
    store = open_store(tmp_path)
    store.claim(Claimed(0, 0, {"x": 1}), until=60.0)
    store.record(Finished(0, 0, {"x": 1}, Result(0.5, None, {}, 0, 0, 1, 1)))
    store.close()
    with sqlite3.connect(tmp_path / "search.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        for column in (
            "claims DROP COLUMN until",
            "claims DROP COLUMN executions",
            "search DROP COLUMN parts",
            "search DROP COLUMN pareto",
        ):
            connection.execute(f"ALTER TABLE {column}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    before = contents(tmp_path)
    (earlier,) = ct.precedents_of(tmp_path)
    assert earlier.trials == (Precedent({"x": 1}, 0.5),)
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_will_do(tmp_path):
    searched(tmp_path)._store.close()
    place = tmp_path / "log"
    place.chmod(0o500)
    try:
        assert ct.precedents_of(place)
    finally:
        place.chmod(0o700)


def test_what_is_read_is_a_copy(tmp_path):
    with closing(open_store(tmp_path)) as store:
        store.claim(Claimed(0, 0, {}), until=60.0)
        copy = read_store(tmp_path)
        copy.claim(Claimed(1, 0, {}), until=60.0)
        store.claim(Claimed(1, 0, {"x": 1}), until=60.0)
        assert len(store.history()) == len(copy.history()) == 2
        assert store.history()[1].values == {"x": 1}


def test_failures_do_not_count_and_of_budgets_only_the_largest():
    def after(*events):
        return History(objective=Objective("acc", "max")).after_all(events)

    result = Result(0.5, None, {}, 0, 0, 1, 1)
    history = after(
        Claimed(0, 0, {"x": 0}, until=1),
        Finished(0, 0, {"x": 0}, result),
        Claimed(1, 0, {"x": 1}, until=9),
        Finished(1, 0, {"x": 1}, result),
        Claimed(2, 0, {"x": 2}, until=9),
        Failed(2, 0, {"x": 2}, "diverged"),
        Claimed(3, 0, {"x": 3}, until=1),
        Finished(3, 0, {"x": 3}, result),
        Claimed(3, 1, {"x": 3}, until=9),
        Finished(3, 1, {"x": 3}, result),
    )
    (earlier,) = ct.precedents_of(history)
    assert earlier.direction == "max"
    assert [trial.values["x"] for trial in earlier.trials] == [1, 3]


# -- Keras Tuner's ---------------------------------------------------------------------------------


def observed(direction, *values):
    return {"direction": direction, "observations": [{"value": [value], "step": n} for n, value in enumerate(values)]}


def kt_trial(place, number, values, score, metrics, status="COMPLETED"):
    directory = place / f"trial_{number}"
    directory.mkdir(parents=True)
    trial = {
        "trial_id": str(number),
        "hyperparameters": {"space": [], "values": values},
        "metrics": {"metrics": metrics},
        "score": score,
        "best_step": 0,
        "status": status,
        "message": None,
    }
    (directory / "trial.json").write_text(json.dumps(trial))


@pytest.fixture
def keras_tuners(tmp_path):
    place = tmp_path / "kt"
    for number, (rate, accuracy) in enumerate([(0.1, 0.5), (0.01, 0.9), (0.001, 0.7)]):
        metrics = {"loss": observed("min", 2.0, 1 - accuracy), "accuracy": observed("max", 0.1, accuracy, 0.2)}
        kt_trial(place, number, {"rate": rate, "bias": True}, accuracy, metrics)
    (place / "oracle.json").write_text("{}")
    return place


def test_a_directory_of_keras_tuners_is_read_and_left_alone(keras_tuners):
    before = {path: path.read_bytes() for path in keras_tuners.rglob("*.json")}
    (earlier,) = ct.precedents_of(keras_tuners)
    assert earlier.direction == "max"
    assert [(trial.values["rate"], trial.score) for trial in earlier.trials] == [(0.1, 0.5), (0.01, 0.9), (0.001, 0.7)]
    assert {path: path.read_bytes() for path in keras_tuners.rglob("*.json")} == before


def test_a_search_in_the_directory_of_keras_tuners_learns_from_it_and_goes_on(keras_tuners, capsys):
    def train(hp):
        return hp.Float("rate", 1e-4, 1, sampling="log") * (2 if hp.Boolean("bias") else 1)

    def begun(kind, **more):
        place = {"directory": keras_tuners.parent, "project_name": keras_tuners.name}
        return kind(train, ct.Objective("accuracy", "max"), max_trials=3, seed=0, **place, **more)

    note = f"a search of Keras Tuner's lies in {keras_tuners}, and is left as it is"
    begun(ct.RandomSearch).search_space_summary()
    assert note in " ".join(capsys.readouterr().out.split())
    # What has been begun there hides nothing, and is not learnt from as if it were another one.
    for _ in range(2):
        tuner = begun(ct.BayesianOptimization, warm_start=keras_tuners)
        assert len(tuner._settings.precedents) == 1
        tuner.search(verbose=2)
        said = " ".join(capsys.readouterr().out.split())
        assert "learns from 3 of 3 trials of Keras Tuner's search in" in said or "those of 3 trials that fit" in said
        assert note not in said
    assert [len(each.trials) for each in ct.precedents_of(keras_tuners)] == [3, 3]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"x"', '{"score": 1}', '{"score": "1", "status": "COMPLETED"}', "\x00", "é"]
)
def test_torn_and_odd_files_are_passed_over(keras_tuners, text):
    (keras_tuners / "oracle.json").write_text(text)
    (keras_tuners / "trial_1" / "trial.json").write_bytes(text.encode("latin-1"))
    (keras_tuners / "trial_9" / "trial.json").mkdir(parents=True)
    (earlier,) = ct.precedents_of(keras_tuners)
    assert [trial.values["rate"] for trial in earlier.trials] == [0.1, 0.001]


@pytest.mark.parametrize(("score", "status"), [(math.nan, "COMPLETED"), (None, "COMPLETED"), (0.3, "FAILED")])
def test_what_diverged_or_failed_does_not_count(keras_tuners, score, status):
    kt_trial(keras_tuners, 3, {"rate": 1.0}, score, {"accuracy": observed("max", math.nan)}, status)
    (earlier,) = ct.precedents_of(keras_tuners)
    assert len(earlier.trials) == 3


def test_of_hyperbands_trials_only_the_longest_count_without_what_it_hides(tmp_path):
    for number, epochs in enumerate([2, 2, 6]):
        values = {"x": number, "tuner/epochs": epochs, "tuner/bracket": 1}
        kt_trial(tmp_path, number, values, 0.5, {"loss": observed("min", 0.5)})
    (earlier,) = ct.precedents_of(tmp_path)
    assert earlier.trials == (Precedent({"x": 2}, 0.5),)


@pytest.mark.parametrize("metrics", [{}, {"a": observed("min", 0.5), "b": observed("max", 0.5)}, {"a": 3}, None])
def test_a_direction_that_the_files_do_not_tell_is_asked_for(tmp_path, metrics):
    kt_trial(tmp_path, 0, {"x": 1}, 0.5, metrics)
    with pytest.raises(ValueError, match=r'does not tell.*direction="max"'):
        ct.precedents_of(tmp_path)
    (earlier,) = ct.precedents_of(tmp_path, direction="max")
    assert earlier.direction == "max"


# -- a study of Optuna's ---------------------------------------------------------------------------


class State(Enum):
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    RUNNING = 0


class Direction(Enum):
    MINIMIZE = 1
    MAXIMIZE = 2


def study(*trials, directions=(Direction.MINIMIZE,)):
    made = [SimpleNamespace(params=params, value=value, state=state) for params, value, state in trials]
    return SimpleNamespace(study_name="old", directions=list(directions), trials=made)


def test_a_studys_completed_trials_are_taken():
    trials = [
        ({"x": 1}, 0.5, State.COMPLETE),
        ({"x": 2}, 0.1, State.PRUNED),
        ({"x": 3}, None, State.FAIL),
        ({"x": 4}, None, State.RUNNING),
        ({"x": 5}, math.inf, State.COMPLETE),
    ]
    (earlier,) = ct.precedents_of(study(*trials))
    assert earlier == Precedents("the study 'old'", "min", (Precedent({"x": 1}, 0.5),))
    (larger,) = ct.precedents_of(study(*trials, directions=[Direction.MAXIMIZE]))
    assert larger.direction == "max"


def test_several_objectives_are_refused():
    with pytest.raises(ValueError, match=r"2 objectives"):
        ct.precedents_of(study(directions=[Direction.MINIMIZE] * 2))


# -- the door --------------------------------------------------------------------------------------


def test_several_are_read_in_their_order(tmp_path, keras_tuners):
    tuner = searched(tmp_path)
    made = precedents({"x": 1})
    names = [earlier.name for earlier in ct.precedents_of([made, keras_tuners, tuner])]
    assert names == ["earlier", f"Keras Tuner's search in {keras_tuners}", str(tmp_path / "log")]
    assert ct.precedents_of([]) == ()


@pytest.mark.parametrize("thing", [None, 3, {"x": 1}, object(), {"tuning"}, [3]])
def test_what_is_no_search_is_refused(thing):
    with pytest.raises(TypeError, match="an earlier search is"):
        ct.precedents_of(thing)


def test_a_place_without_a_search_is_told_with_what_to_give(tmp_path):
    with pytest.raises(StoreError, match="no such directory"):
        ct.precedents_of(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="directory/project_name"):
        ct.precedents_of(tmp_path)
    with pytest.raises(StoreError, match=r"optuna\.load_study"):
        ct.precedents_of("sqlite:///study.db")
    searched(tmp_path)._store.close()
    with pytest.raises(StoreError, match=r"inside it: .*log"):
        ct.precedents_of(tmp_path)
    assert not (tmp_path / "search.db").exists()


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "search.db").write_bytes(b"something else altogether" * 9)
    with pytest.raises(ForeignStoreError):
        ct.precedents_of(tmp_path)


def test_a_search_that_has_completed_nothing_teaches_nothing(tmp_path):
    open_store(tmp_path).close()
    with pytest.raises(ValueError, match="no trial has been completed"):
        ct.precedents_of(tmp_path)
