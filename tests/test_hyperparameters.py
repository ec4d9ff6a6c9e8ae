"""`hp`: what a function asks for, what it is answered, and what is remembered of it."""

import inspect
import math
import os
import pickle
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from choritsu import HyperParameters
from choritsu.errors import FatalRuntimeError, RedefinedError, SpaceError
from choritsu.space import Boolean, Choice, Condition, Fixed, Float, Int, Space, canonical

from .strategies import parameters, same, spaces


def asked(function, given_values=None, **arguments):
    hp = HyperParameters(given_values, **arguments)
    function(hp)
    return hp


def reject_unless(twice):
    """Leave out spaces in which two definitions of one name are active at once."""
    assert twice
    reject()


# -- questions and answers -------------------------------------------------------------------------


class TestAsking:
    @pytest.mark.parametrize(
        ("ask", "answer", "parameter"),
        [
            (lambda hp: hp.Int("x", 1, 9), 1, Int("x", 1, 9)),
            (lambda hp: hp.Int("x", 1, 9, step=2, default=5), 5, Int("x", 1, 9, 2, default=5)),
            (lambda hp: hp.Int("x", 1, 9, 2, "log", 4), 4, Int("x", 1, 9, 2, "log", 4)),
            (lambda hp: hp.Int("x", 1, 9, sampling=None), 1, Int("x", 1, 9)),
            (lambda hp: hp.Int("x", min_value=1, max_value=9, sampling="LOG"), 1, Int("x", 1, 9, sampling="log")),
            (lambda hp: hp.Float("x", 0, 1), 0.0, Float("x", 0.0, 1.0)),
            (lambda hp: hp.Float("x", 0.0, 1.0, 0.2, "linear", 0.4), 0.4, Float("x", 0, 1, 0.2, default=0.4)),
            (lambda hp: hp.Float("x", 1e-4, 1e-2, sampling="log"), 1e-4, Float("x", 1e-4, 1e-2, sampling="log")),
            (
                lambda hp: hp.Float("x", 1, 9, sampling="reverse_log", default=9),
                9.0,
                Float("x", 1, 9, sampling="reverse_log", default=9),
            ),
            (lambda hp: hp.Choice("x", ["a", "b"]), "a", Choice("x", ("a", "b"))),
            (lambda hp: hp.Choice("x", [1, 2], ordered=False, default=2), 2, Choice("x", (1, 2), False, 2)),
            (lambda hp: hp.Choice("x", [(1, 2), None]), (1, 2), Choice("x", ((1, 2), None))),
            (lambda hp: hp.Boolean("x"), False, Boolean("x")),
            (lambda hp: hp.Boolean("x", True), True, Boolean("x", True)),
            (lambda hp: hp.Fixed("x", {"a": 1}), {"a": 1}, Fixed("x", {"a": 1})),
            (lambda hp: hp.Int("x", 1, 9, prior=4), 1, Int("x", 1, 9, prior=4)),
            (lambda hp: hp.Float("x", 1, 9, prior=4), 1.0, Float("x", 1, 9, prior=4)),
            (lambda hp: hp.Choice("x", "a b".split(), prior="b"), "a", Choice("x", ("a", "b"), prior="b")),
            (lambda hp: hp.Boolean("x", prior=True), False, Boolean("x", prior=True)),
            (lambda hp: hp.Fixed("x", None), None, Fixed("x", None)),
            (lambda hp: hp.Range("x", 10, 40, 10), 10, Int("x", 10, 30, 10)),
            (lambda hp: hp.Range("x", 0, 3), 0, Int("x", 0, 2, 1)),
            (lambda hp: hp.Range("x", 32, 513, 32, default=64), 64, Int("x", 32, 512, 32, default=64)),
            (lambda hp: hp.Linear("x", 0.1, 0.5, 0.1), 0.1, Float("x", 0.1, 0.5, 0.1)),
            (
                lambda hp: hp.Linear("x", 0.1, 0.5, resolution=0.1, default=0.3),
                0.3,
                Float("x", 0.1, 0.5, 0.1, default=0.3),
            ),
            (lambda hp: hp.ask(Int("x", 2, 3)), 2, Int("x", 2, 3)),
        ],
    )
    def test_the_first_answer_is_the_default(self, ask, answer, parameter):
        hp = HyperParameters()
        assert canonical(ask(hp)) == canonical(answer)
        assert hp.space == [parameter]
        assert hp.discovered == (parameter,)
        assert same(hp.values) == same(hp.asked) == same({"x": answer})

    @given(parameters(), st.floats(0, 1))
    def test_a_value_given_is_the_answer(self, parameter, u):
        value = parameter.from_unit(u)
        hp = HyperParameters({"x": value, "never asked": 1})
        assert canonical(hp.ask(parameter)) == canonical(value)
        assert same(hp.values) == same(hp.asked) == same({"x": value})

    def test_what_was_given_can_be_seen_before_anything_is_asked_for(self):
        known = Space((Int("units", 1, 9), Float("rate", 0.0, 1.0)))
        hp = HyperParameters({"units": 3, "rate": 0.5}, known=known)
        assert hp.values == {"units": 3, "rate": 0.5}
        assert hp.asked == {}
        assert "units" not in hp
        # What somebody reads counts: the trial may depend on it.
        assert hp.get("units") == 3
        assert hp.asked == hp.values == {"units": 3}
        assert hp.get("rate") == 0.5
        assert hp.asked == {"units": 3, "rate": 0.5}

    def test_what_is_read_beforehand_brings_its_parents_along(self):
        depth = Int("depth", 1, 5, conditions=(Condition("kind", ("deep",)),))
        hp = HyperParameters({"kind": "deep", "depth": 3}, known=Space((Choice("kind", ("flat", "deep")), depth)))
        assert hp.get("depth") == 3
        assert hp.asked == {"kind": "deep", "depth": 3}

    def test_what_is_set_beforehand_is_the_answer(self):
        hp = HyperParameters({"units": 3, "rate": 0.5})
        hp.values["rate"] = 0.25
        assert hp.Int("units", 1, 9) == 3
        assert hp.Float("rate", 0.0, 1.0) == 0.25

    @given(spaces(parameters), st.randoms(use_true_random=False))
    def test_a_whole_space_is_answered_as_it_was_assigned(self, space, chance):
        values = space.assign(lambda parameter: parameter.from_unit(chance.random()))
        definitions = {}
        for parameter in space.active(values):
            definitions.setdefault(parameter.name, parameter.definition)
        hp = HyperParameters(values, known=space)
        try:
            for parameter in space:
                hp.ask(parameter)
        except RedefinedError as error:
            reject_unless(len(space.named(error.name)) > 1)
        assert same(hp.asked) == same(values)
        assert hp.discovered == ()

    @pytest.mark.parametrize(
        ("parameter", "value"),
        [
            (Int("x", 1, 9), 10),
            (Int("x", 1, 9), 2.5),
            (Int("x", 1, 9), "2"),
            (Int("x", 1, 9), True),
            (Float("x", 0, 1), 1.5),
            (Float("x", 0, 1), math.nan),
            (Float("x", 0, 1), None),
            (Choice("x", ("a", "b")), "c"),
            (Choice("x", (1, 2)), 1.0),
            (Boolean("x"), 1),
            (Fixed("x", 1), 2),
        ],
    )
    def test_a_value_outside_is_an_error(self, parameter, value):
        with pytest.raises(SpaceError, match=r"'x': the value .* is outside"):
            HyperParameters({"x": value}).ask(parameter)

    def test_an_integer_will_do_for_a_float(self):
        answer = HyperParameters({"x": 1}).Float("x", 0, 2)
        assert (type(answer), answer) == (float, 1.0)

    def test_choose_answers_what_was_not_given(self):
        hp = HyperParameters({"a": 1}, choose=lambda parameter: parameter.from_unit(1.0))
        assert (hp.Int("a", 0, 9), hp.Int("b", 0, 9), hp.Choice("c", "x y z".split())) == (1, 9, "z")

    @pytest.mark.parametrize(
        "ask",
        [
            lambda hp: hp.Range("x", 3, 3),
            lambda hp: hp.Range("x", 3, 2),
            lambda hp: hp.Range("x", 0, 5, 0),
            lambda hp: hp.Range("x", 0, 5, -1),
        ],
    )
    def test_an_empty_range(self, ask):
        with pytest.raises(SpaceError, match=r"'x'.*leaves out max_value"):
            ask(HyperParameters())

    @pytest.mark.parametrize("name", ["", None, 3])
    @pytest.mark.parametrize("scoped", [False, True])
    def test_a_name_is_a_non_empty_string(self, name, scoped):
        hp = HyperParameters()
        scope = hp.name_scope("a") if scoped else nullcontext()
        with scope, pytest.raises(SpaceError, match="non-empty string"):
            hp.Int(name, 0, 1)

    def test_bad_bounds_are_named(self):
        for ask in (
            lambda hp: hp.Int("x", 3, 2),
            lambda hp: hp.Float("x", 0, 1, sampling="log"),
            lambda hp: hp.Choice("x", []),
            lambda hp: hp.Choice("x", [object()]),
            lambda hp: hp.Boolean("x", default=3),
            lambda hp: hp.Linear("x", 0, 1, resolution=0),
        ):
            with pytest.raises(SpaceError, match="'x'"):
                ask(HyperParameters())

    def test_the_arguments_are_keras_tuners(self):
        def positions(method):
            listed = inspect.signature(method).parameters.values()
            return [argument.name for argument in listed if argument.kind is not argument.KEYWORD_ONLY]

        hp = HyperParameters()
        numeric = ["name", "min_value", "max_value", "step", "sampling", "default", "parent_name", "parent_values"]
        assert positions(hp.Int) == positions(hp.Float) == numeric
        assert positions(hp.Choice) == ["name", "values", "ordered", "default", "parent_name", "parent_values"]
        assert positions(hp.Boolean) == ["name", "default", "parent_name", "parent_values"]
        assert positions(hp.Fixed) == ["name", "value", "parent_name", "parent_values"]

    def test_an_answer_may_be_changed_by_its_user(self):
        layers = Choice("x", ([1, [2]], {"a": [1]}))
        hp = HyperParameters()
        hp.ask(layers)[1].append(3)
        assert hp.ask(layers) == [1, [2]]
        assert layers.values[0] == [1, [2]]
        other = HyperParameters({"x": {"a": [1]}})
        other.ask(layers)["a"].append(2)
        assert other.values == {"x": {"a": [1]}}


class TestAskingTwice:
    def test_the_same_question_has_the_same_answer(self):
        values = iter([3, 4])
        hp = HyperParameters(choose=lambda parameter: next(values))
        assert [hp.Int("x", 0, 9) for _ in range(3)] == [3, 3, 3]
        assert len(hp.space) == 1

    @pytest.mark.parametrize(
        "again",
        [
            lambda hp: hp.Int("x", 0, 8),
            lambda hp: hp.Int("x", 0, 9, step=3),
            lambda hp: hp.Int("x", 0, 9, default=1),
            lambda hp: hp.Float("x", 0, 9),
            lambda hp: hp.Choice("x", list(range(10))),
            lambda hp: hp.Fixed("x", 0),
        ],
    )
    def test_another_question_under_the_same_name_is_an_error(self, again):
        hp = HyperParameters()
        hp.Int("x", 0, 9)
        with pytest.raises(RedefinedError, match=r"'x' is Int\(.*one name must keep one definition") as caught:
            again(hp)
        assert caught.value.name == "x"
        assert pickle.loads(pickle.dumps(caught.value)).asked == caught.value.asked

    def test_what_earlier_trials_met_counts_too(self):
        known = Space((Int("x", 0, 9),))
        assert HyperParameters(known=known).Int("x", 0, 9) == 0
        with pytest.raises(RedefinedError, match="'x'"):
            HyperParameters(known=known).Int("x", 0, 8)

    def test_one_name_in_two_conditions(self):
        def function(hp):
            hp.Choice("model", ["a", "b"])
            with hp.conditional_scope("model", ["a"]):
                in_a = hp.Int("units", 1, 5)
            with hp.conditional_scope("model", ["b"]):
                in_b = hp.Int("units", 6, 9)
            return in_a, in_b

        assert function(HyperParameters()) == (1, None)
        assert function(HyperParameters({"model": "b"})) == (None, 6)
        assert len(asked(function).space) == 3

    def test_the_same_name_inside_and_outside_of_a_scope(self):
        hp = HyperParameters({"model": "a"})
        hp.Choice("model", ["a", "b"])
        assert hp.Int("units", 1, 5) == 1
        with hp.conditional_scope("model", ["a"]):
            assert hp.Int("units", 1, 5) == 1
            with pytest.raises(RedefinedError):
                hp.Int("units", 1, 6)


# -- scopes ----------------------------------------------------------------------------------------


class TestScopes:
    def test_names_are_nested(self):
        hp = HyperParameters()
        with hp.name_scope("encoder"):
            hp.Int("units", 1, 3)
            with hp.name_scope("first"):
                hp.Boolean("bias")
        hp.Int("units", 4, 6)
        assert hp.values == {"encoder/units": 1, "encoder/first/bias": False, "units": 4}

    def test_scopes_are_closed_by_errors(self):
        hp = HyperParameters()
        hp.Boolean("deep")
        with pytest.raises(SpaceError, match="'a/nothing'"), hp.name_scope("a"), hp.conditional_scope("nothing", True):
            pass
        with pytest.raises(ValueError, match="inside"), hp.conditional_scope("deep", True):
            raise ValueError("inside")
        assert hp.Int("units", 1, 3) == 1
        assert hp.values == {"deep": False, "units": 1}
        assert hp.space[-1].conditions == ()

    def test_conditions_answer_none_and_report_nothing(self):
        hp = HyperParameters()
        hp.Choice("model", ["tree", "net"])
        with hp.conditional_scope("model", ["net"]):
            assert hp.Int("layers", 1, 3) is None
            assert hp.Boolean("bias", default=True) is None
            assert hp.Fixed("classes", 10) is None
        with hp.conditional_scope("model", ["tree", "net"]):
            assert hp.Int("depth", 1, 3) == 1
        assert hp.asked == hp.values == {"model": "tree", "depth": 1}
        assert [parameter.name for parameter in hp.space] == ["model", "layers", "bias", "classes", "depth"]
        assert hp.space[1].conditions == (Condition("model", ("net",)),)

    def test_conditions_are_nested(self):
        def function(hp):
            hp.Boolean("a")
            with hp.conditional_scope("a", True):
                hp.Boolean("b")
                with hp.conditional_scope("b", True):
                    hp.Int("c", 1, 3)

        assert set(asked(function).values) == {"a"}
        assert set(asked(function, {"a": True}).values) == {"a", "b"}
        hp = asked(function, {"a": True, "b": True})
        assert set(hp.values) == {"a", "b", "c"}
        assert hp.space[2].conditions == (Condition("a", (True,)), Condition("b", (True,)))

    def test_an_inactive_parent_has_no_active_children(self):
        hp = HyperParameters({"a": False, "b": True})
        hp.Boolean("a")
        with hp.conditional_scope("a", True):
            hp.Boolean("b")
        with hp.conditional_scope("b", True):
            assert hp.Int("c", 1, 3) is None
        assert hp.values == {"a": False}

    def test_name_scopes_apply_to_parents(self):
        hp = HyperParameters({"encoder/deep": True})
        hp.Boolean("deep")
        with hp.name_scope("encoder"):
            hp.Boolean("deep")
            with hp.conditional_scope("deep", [True]):
                assert hp.Int("layers", 1, 3) == 1
            assert hp.Int("width", 1, 3, parent_name="deep", parent_values=[True]) == 1
            assert hp.get("deep") is True
        assert hp.get("deep") is False
        assert hp.space[2].conditions == (Condition("encoder/deep", (True,)),)
        assert hp.space[3].conditions == (Condition("encoder/deep", (True,)),)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda hp, **parent: hp.Int("x", 1, 3, **parent),
            lambda hp, **parent: hp.Float("x", 1, 3, **parent),
            lambda hp, **parent: hp.Choice("x", [1, 3], **parent),
            lambda hp, **parent: hp.Boolean("x", True, **parent),
            lambda hp, **parent: hp.Fixed("x", 1, **parent),
        ],
    )
    def test_parents_may_be_named_in_the_question(self, ask):
        for values, active in [
            (["adam"], False),
            (["sgd"], True),
            (["adam", "sgd"], True),
            ("sgd", True),
            ("adam", False),
        ]:
            hp = HyperParameters({"optimizer": "sgd"})
            hp.Choice("optimizer", ["adam", "sgd"])
            assert (ask(hp, parent_name="optimizer", parent_values=values) is not None) is active
            assert ("x" in hp) is active
            assert hp.space[1].conditions[0].values == tuple([values] if isinstance(values, str) else values)

    @pytest.mark.parametrize(
        ("values", "listed"),
        [([1, 2], (1, 2)), ((1, 2), (1, 2)), (range(1, 3), (1, 2)), (1, (1,)), ({1}, (1,))],
    )
    def test_parent_values_may_be_listed_in_many_ways(self, values, listed):
        hp = HyperParameters()
        hp.Int("a", 1, 9)
        with hp.conditional_scope("a", values):
            assert hp.Boolean("b") is False
        assert hp.space[1].conditions == (Condition("a", listed),)

    def test_a_parent_without_values(self):
        hp = HyperParameters()
        hp.Int("a", 1, 9)
        with pytest.raises(SpaceError, match="'a'"), hp.conditional_scope("a", []):
            pass

    def test_a_set_of_parent_values_is_the_same_in_every_process(self):
        code = (
            "from choritsu import HyperParameters; hp = HyperParameters(); hp.Choice('a', list('abcdefgh'))\n"
            "with hp.conditional_scope('a', set('abcdefgh')): hp.Boolean('b')\n"
            "print(hp.space[1].key)"
        )
        seen = {
            subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "PYTHONHASHSEED": seed},
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(seen) == 1

    @pytest.mark.parametrize(
        ("ask", "values", "says"),
        [
            (lambda hp: hp.Choice("m", ["cnn", "mlp"]), ["ccn"], r"Choice\(.*never 'ccn'.*did you mean 'cnn'\?"),
            (lambda hp: hp.Choice("m", ["cnn", "mlp"]), None, r"'m' is never None: .* parent_values=\[\.\.\.\]"),
            (lambda hp: hp.Boolean("m"), ["True"], "did you mean True"),
            (lambda hp: hp.Boolean("m"), [1], "never 1"),
            (lambda hp: hp.Int("m", 1, 10**12), [0, 2.0], "never 0 or 2.0"),
            (lambda hp: hp.Float("m", 0, 1, step=0.5), [1], r"max_value=1\.0.* never 1,"),
        ],
    )
    def test_a_condition_that_never_holds(self, ask, values, says):
        hp = HyperParameters()
        ask(hp)
        with pytest.raises(SpaceError, match=says), hp.conditional_scope("m", values):
            pass
        with pytest.raises(SpaceError, match=says):
            hp.Int("x", 1, 2, parent_name="m", parent_values=values)
        with pytest.raises(SpaceError, match=says):
            hp.LearningRate("lr", 1e-4, 1e-1, parent_name="m", parent_values=values)
        assert len(hp.space) == 1

    def test_a_condition_that_may_hold_yet(self):
        hp = HyperParameters()
        hp.Choice("m", ["cnn", None])
        assert hp.Boolean("x", parent_name="m") is None
        assert hp.Boolean("y", parent_name="m", parent_values=["cnn", "rnn"]) is False
        with hp.conditional_scope("m", ["cnn"]):
            hp.Choice("n", ["wide"])
            with pytest.raises(SpaceError, match="never 'wild'"):
                hp.Boolean("z", parent_name="n", parent_values=["wild"])
        # Elsewhere the name may have another definition, which a plain `if` has left out this time.
        assert hp.Boolean("z", parent_name="n", parent_values=["wild"]) is None

    def test_a_branch_that_a_narrowed_range_leaves_dead(self):
        hp = HyperParameters()
        hp.Fixed("optimizer", "adam")
        hp.Choice("model", ["cnn", "mlp"])
        hp.Int("layers", 1, 2)
        for parent, value in (("optimizer", "sgd"), ("model", "forest"), ("layers", 4)):
            with hp.conditional_scope(parent, [value]):
                assert hp.Float(f"of {parent}", 0, 1) is None

    def test_an_unknown_parent(self):
        hp = HyperParameters()
        with (
            pytest.raises(SpaceError, match=r"'model' was not asked for yet.*ask for it before"),
            hp.conditional_scope("model", [1]),
        ):
            pass
        with pytest.raises(SpaceError, match="'a/model'"), hp.name_scope("a"):
            hp.Int("x", 0, 1, parent_name="model", parent_values=[1])


# -- reading ---------------------------------------------------------------------------------------


class TestReading:
    def test_get_and_its_kin(self):
        hp = HyperParameters()
        hp.Int("units", 1, 3)
        with hp.conditional_scope("units", [2]):
            hp.Boolean("bias")
        assert hp.get("units") == hp["units"] == 1
        assert "units" in hp
        assert "bias" not in hp
        assert "nothing" not in hp
        assert 3 not in hp
        for read in (hp.get, hp.__getitem__):
            with pytest.raises(ValueError, match="'bias' is inactive"):
                read("bias")
            with pytest.raises(KeyError, match="'nothing' was asked for; there are: units"):
                read("nothing")
        with pytest.raises(KeyError, match="none"):
            HyperParameters().get("x")

    def test_active_or_not(self):
        hp = HyperParameters()
        hp.Int("units", 1, 3)
        with hp.conditional_scope("units", [2]):
            hp.Boolean("bias")
        assert [hp.is_active(parameter) for parameter in hp.space] == [True, False]
        assert (hp.is_active("units"), hp.is_active("bias"), hp.is_active("nothing")) == (True, False, False)

    def test_preset_values_answer_and_are_left_out_when_nobody_asks(self):
        hp = HyperParameters()
        hp.values = {"units": 3, "learning_rate": 0.1}
        assert hp.Int("units", 1, 9) == 3
        assert hp.asked == {"units": 3}
        hp.values["units"] = 5
        assert hp.Int("units", 1, 9) == 5

    def test_a_copy_is_independent(self):
        hp = HyperParameters()
        hp.Int("a", 1, 3)
        twin = hp.copy()
        twin.Int("b", 1, 3)
        twin.values["a"] = 2
        assert hp.values == {"a": 1}
        assert twin.values == {"a": 2, "b": 1}

    def test_merging(self):
        hp, other = HyperParameters({"a": 2}), HyperParameters()
        hp.Int("a", 1, 3)
        other.Int("a", 1, 3)
        other.Boolean("b")
        with other.conditional_scope("b", True):
            other.Int("c", 1, 3)
        kept = hp.copy()
        kept.merge(other, overwrite=False)
        assert kept.values == {"a": 2, "b": False}
        hp.merge(other)
        assert hp.values == {"a": 1, "b": False}
        assert [parameter.name for parameter in hp.space] == ["a", "b", "c"]
        listed = HyperParameters()
        listed.merge(other.space)
        assert listed.values == other.values

    @given(spaces(parameters))
    def test_configurations_come_back(self, space):
        hp = HyperParameters(choose=lambda parameter: parameter.from_unit(1.0))
        try:
            for parameter in space:
                hp.ask(parameter)
        except RedefinedError as error:
            reject_unless(len(space.named(error.name)) > 1)
        again = HyperParameters.from_config(hp.get_config())
        assert same(again.values) == same(hp.values)
        assert again.space == hp.space
        assert same(again.copy().values) == same(pickle.loads(pickle.dumps(again)).values) == same(hp.values)

    def test_a_finished_trials_values_answer_whatever_is_asked(self):
        space = Space((Int("units", 1, 9), Boolean("bias", conditions=(Condition("units", (9,)),))))
        hp = HyperParameters.of({"units": 3}, space)
        assert [parameter.name for parameter in hp.space] == ["units"]
        assert hp.get("units") == 3
        assert hp.Int("units", 1, 5) == 3
        assert hp.Boolean("bias", parent_name="units", parent_values=[9]) is None
        assert repr(hp) == "HyperParameters({'units': 3})"


# -- other people's definitions --------------------------------------------------------------------

OVERRIDE = Space((Int("units", 100, 200, default=150),))


class TestOverride:
    def test_it_replaces_the_functions_own(self):
        hp = HyperParameters(override=OVERRIDE)
        assert hp.Int("units", 1, 9) == 150
        assert hp.space == list(OVERRIDE)
        assert HyperParameters({"units": 170}, override=OVERRIDE).Float("units", 0, 1) == 170

    def test_a_branch_for_a_value_that_it_leaves_out(self):
        hp = HyperParameters(override=Space((Choice("m", ["cnn"]),)))
        assert hp.Choice("m", ["cnn", "mlp"]) == "cnn"
        assert hp.Boolean("x", parent_name="m", parent_values=["mlp"]) is None

    def test_what_it_lacks_is_tuned(self):
        hp = HyperParameters({"bias": True}, override=OVERRIDE)
        assert hp.Boolean("bias") is True
        assert hp.asked == {"bias": True}

    def test_or_kept_at_its_default(self):
        def function(hp):
            hp.Int("units", 1, 9)
            hp.Boolean("bias", default=True)
            with hp.conditional_scope("units", [1]):
                assert hp.Int("never", 1, 3) is None
            return hp

        hp = function(HyperParameters({"bias": False}, override=OVERRIDE, tune_new_entries=False))
        assert hp.asked == {"units": 150}
        assert hp.space == list(OVERRIDE)
        assert hp.discovered == tuple(OVERRIDE)

    def test_what_is_kept_at_its_default_can_be_read_and_be_a_parent(self):
        hp = HyperParameters(override=OVERRIDE, tune_new_entries=False)
        assert hp.Boolean("bias", default=True) is True
        assert hp.get("bias") is True
        with hp.conditional_scope("bias", [True]):
            assert hp.Int("layers", 2, 3) == 2
        assert hp.asked == {}

    def test_or_forbidden(self):
        hp = HyperParameters(override=OVERRIDE, allow_new_entries=False)
        assert hp.Int("units", 1, 9) == 150
        with pytest.raises(FatalRuntimeError, match=r"'bias' is not among.*Given: units"):
            hp.Boolean("bias")
        with pytest.raises(FatalRuntimeError, match="Given: none"):
            HyperParameters(allow_new_entries=False).Boolean("bias")

    def test_its_conditions_hold(self):
        override = Space(
            (
                Boolean("deep"),
                Int("layers", 10, 20, conditions=(Condition("deep", (True,)),)),
                Int("layers", 1, 2, conditions=(Condition("deep", (False,)),)),
            )
        )

        def function(hp):
            hp.Boolean("deep")
            return hp.Int("layers", 5, 6)

        assert function(HyperParameters(override=override)) == 1
        assert function(HyperParameters({"deep": True}, override=override)) == 10


# -- branches that nobody can see beforehand -------------------------------------------------------


def branching(hp):
    if hp.Choice("model", ["tree", "net"]) == "tree":
        return hp.Int("depth", 1, 9)
    width = hp.Int("width", 10, 90)
    if width > 50:
        hp.Boolean("dropout")
    return width


class TestBranches:
    def test_only_what_was_reached_is_told(self):
        assert asked(branching).asked == {"model": "tree", "depth": 1}
        # Whatever was suggested: what the function did not ask for is not reported.
        hp = asked(branching, {"model": "net", "depth": 5, "width": 20, "dropout": True})
        assert hp.asked == hp.values == {"model": "net", "width": 20}
        assert asked(branching, {"model": "net", "width": 60, "dropout": True}).asked["dropout"] is True

    def test_a_new_branch_is_discovered(self):
        known = Space(tuple(asked(branching).space))
        hp = asked(branching, {"model": "net"}, known=known)
        assert hp.discovered == (Int("width", 10, 90),)
        known = known.extended(hp.discovered)
        hp = asked(branching, {"model": "net", "width": 60}, known=known)
        assert hp.discovered == (Boolean("dropout"),)
        assert [parameter.name for parameter in known.extended(hp.discovered)] == ["model", "depth", "width", "dropout"]

    def test_a_changed_belief_is_told_and_no_contradiction(self):
        known = Space((Int("width", 10, 90, prior=20), Boolean("dropout")))
        hp = HyperParameters({"width": 30}, known=known)
        assert hp.Int("width", 10, 90, prior=40) == 30
        assert hp.Boolean("dropout") is False
        assert hp.discovered == (Int("width", 10, 90, prior=40),)
        assert known.extended(hp.discovered) == Space((Int("width", 10, 90, prior=40), Boolean("dropout")))
        with pytest.raises(RedefinedError):
            hp.Int("width", 10, 90)

    def test_values_for_a_new_branch_are_chosen(self):
        hp = asked(branching, {"model": "net"}, choose=lambda parameter: parameter.from_unit(1.0))
        assert hp.asked == {"model": "net", "width": 90, "dropout": True}


def test_an_array_for_a_bound_is_refused_as_anything_else():
    with pytest.raises(SpaceError, match=r"min_value must be a finite number, got array\(\[1, 2\]\)"):
        HyperParameters().Int("x", np.array([1, 2]), 5)
