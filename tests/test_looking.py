"""What a function asks for is known before any training, in each conditional scope that it names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import choritsu as ct
from choritsu.hyperparameters import HyperParameters
from choritsu.tuners.looking import look_around

pytest.importorskip("sklearn")

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier


def looked(function, **options):
    return look_around(
        lambda hp: function(hp) is not False, lambda given, known: HyperParameters(given, known=known, **options)
    )


def names(look):
    return [parameter.name for parameter in look.space]


def estimator(hp):
    kind = hp.Choice("kind", ["linear", "kernel", "tree"])
    with hp.conditional_scope("kind", ["kernel"]):
        if kind == "kernel":
            form = hp.Choice("form", ["rbf", "poly"])
            with hp.conditional_scope("form", ["poly"]):
                degree = hp.Int("degree", 2, 4) if form == "poly" else 3
            return SVC(kernel=form, degree=degree)
    with hp.conditional_scope("kind", ["tree"]):
        if kind == "tree":
            if hp.Boolean("many"):
                # A forest cannot say whether it is true before it is fitted.
                return RandomForestClassifier(hp.Int("trees", 2, 9), random_state=0)
            return DecisionTreeClassifier(max_depth=hp.Int("depth", 1, 5), random_state=0)
    return LogisticRegression(C=hp.Float("c", 0.1, 10.0, sampling="log"), max_iter=500)


def test_the_summary_tells_all_declared_branches_before_the_search(tmp_path, capsys):
    tuner = ct.SklearnTuner(ct.oracles.RandomSearchOracle(max_trials=6, seed=0), estimator, directory=tmp_path)
    tuner.search_space_summary()
    printed = capsys.readouterr().out
    assert "6 hyperparameters" in printed
    for name in ("kind", "form", "degree", "many", "depth", "c"):
        assert f"\n {name} " in printed
    # Behind a plain `if`, where only a trial will come.
    assert "trees" not in printed
    tuner.search(*load_iris(return_X_y=True), verbose=0)
    assert len(tuner.history.completed) == 6
    # And it is the same search when the script runs again.
    again = ct.SklearnTuner(ct.oracles.RandomSearchOracle(max_trials=6, seed=0), estimator, directory=tmp_path)
    assert len(again.history) == 6


def test_a_branch_that_raises_is_noted_and_the_others_are_known(tmp_path, capsys):
    def build(hp):
        kind = hp.Choice("kind", ["tree", "broken", "linear"])
        with hp.conditional_scope("kind", ["broken"]):
            if kind == "broken":
                raise ZeroDivisionError("no model here")
        with hp.conditional_scope("kind", ["linear"]):
            if kind == "linear":
                return LogisticRegression(C=hp.Float("c", 0.1, 10.0), max_iter=500)
        return DecisionTreeClassifier()

    tuner = ct.SklearnTuner(ct.oracles.RandomSearchOracle(max_trials=3, seed=0), build, directory=tmp_path)
    tuner.search_space_summary()
    printed = " ".join(capsys.readouterr().out.split())
    assert "with kind='broken' the function raised ZeroDivisionError: no model here" in printed
    assert "\n c " in printed or " c Float" in printed


def test_a_branch_that_defines_something_impossible_is_refused_before_any_training():
    def build(hp):
        deep = hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            if deep:
                hp.Int("layers", 9, 2)

    with pytest.raises(ct.errors.SpaceError, match="layers"):
        looked(build)


def test_two_branches_may_define_a_name_in_two_ways():
    def build(hp):
        kind = hp.Choice("kind", ["a", "b", "c"])
        for each, most in (("a", 4), ("b", 8), ("c", 16)):
            with hp.conditional_scope("kind", [each]):
                if kind == each:
                    units = hp.Int("units", 1, most)
                    with hp.conditional_scope("units", [1]):
                        if units == 1:
                            hp.Boolean(f"{each} alone")

    assert sorted(names(looked(build))) == ["a alone", "b alone", "c alone", "kind", "units", "units", "units"]


def test_a_branch_that_an_override_has_closed_is_left():
    def build(hp):
        kind = hp.Choice("kind", ["plain", "deep"])
        with hp.conditional_scope("kind", ["deep"]):
            if kind == "deep":
                raise AssertionError("nobody comes here")

    look = looked(build, override=ct.Space((ct.Fixed("kind", "plain"),)))
    assert (names(look), look.raised) == (["kind"], ())


def test_what_trains_by_itself_is_called_once():
    calls = []

    def train(hp):
        calls.append(dict(hp.values))
        hp.Boolean("deep")
        with hp.conditional_scope("deep", [True]):
            hp.Int("layers", 1, 3)
        return False

    looked(train)
    assert len(calls) == 1


def test_a_function_that_raises_with_its_defaults_tells_nothing():
    def build(hp):
        hp.Int("units", 1, 3)
        raise OSError("no data here")

    look = looked(build)
    assert look.space is None
    assert [(given, str(error)) for given, error in look.raised] == [({}, "no data here")]


branches = st.recursive(
    st.just(()), lambda below: st.lists(st.tuples(st.integers(1, 3), below), max_size=3).map(tuple), max_leaves=12
)


@given(branches)
def test_every_parameter_in_nested_scopes_is_found(tree):
    """Each node is a choice; below it are scopes for some of its values, with further nodes inside."""
    everything, calls = [], []

    def listed(below, prefix):
        for place, (_, inner) in enumerate(below):
            everything.append(f"{prefix}{place}")
            listed(inner, f"{prefix}{place}.")

    def ask(hp, below, prefix):
        for place, (opening, inner) in enumerate(below):
            name = f"{prefix}{place}"
            value = hp.Choice(name, [0, 1, 2, 3])
            with hp.conditional_scope(name, [opening]):
                if value == opening:
                    ask(hp, inner, f"{name}.")

    def build(hp):
        calls.append(hp)
        ask(hp, tree, "")

    listed(tree, "")
    assert sorted(names(looked(build))) == sorted(everything)
    assert len(calls) <= 1 + len(everything)
