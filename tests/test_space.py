"""Spaces: the arithmetic of the unit interval, what is refused, and what a combination is."""

import copy
import decimal
import json
import math
import pickle
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from choritsu.errors import RedefinedError, SpaceError
from choritsu.space import (
    Boolean,
    Choice,
    Condition,
    Fixed,
    Float,
    Int,
    Space,
    Tried,
    canonical,
    decode,
    describe_size,
    encode,
    parameter_from_json,
    plain,
    untried,
)

from .strategies import close, every_combination, floats, integers, parameters, same, small_parameters, spaces, values

units = st.floats(0, 1)

#: A float cannot tell more integers apart than this where they are dense on a log scale.
DENSE = 2**40


def some_indices(size):
    return sorted({*range(min(size, 40)), *(size - 1 - i for i in range(min(size, 40))), size // 2, size // 3})


# -- the unit interval -----------------------------------------------------------------------------


class TestFiniteAxes:
    @given(parameters())
    def test_every_value_comes_back(self, parameter):
        assume(parameter.size is not None)
        assume(parameter.size < DENSE or parameter.sampling == "linear")
        for index in some_indices(parameter.size):
            value = parameter.axis.value_at(index)
            assert parameter.contains(value)
            back = parameter.from_unit(parameter.to_unit(value))
            assert canonical(back) == canonical(value)

    @given(integers(samplings=["linear"]) | floats(stepped=True))
    def test_every_value_has_an_equal_share(self, parameter):
        size = parameter.size
        assume(not isinstance(parameter, Int) or parameter.step is not None)
        for index in some_indices(size):
            value = parameter.axis.value_at(index)
            for inside in (0.001, 0.5, 0.999):
                if size < 2**40:
                    assert parameter.from_unit((index + inside) / size) == value

    @given(integers(widest=200, samplings=["log", "reverse_log"]))
    def test_log_integers_have_the_share_of_their_logarithm(self, parameter):
        assume(parameter.step is None)
        low, high = parameter.min_value, parameter.max_value

        def end_of(value):
            """Where the share of `value` ends, seen from the coarse end."""
            return math.log((value + 1) / low) / math.log((high + 1) / low)

        for value in range(low, high + 1):
            for inside in (0.001, 0.999):
                u = end_of(value - 1) + inside * (end_of(value) - end_of(value - 1))
                u, expected = (u, value) if parameter.sampling == "log" else (1 - u, low + high - value)
                assert parameter.from_unit(u) == expected

    @given(small_parameters())
    def test_the_unit_interval_covers_every_value_in_order(self, parameter):
        met = [canonical(parameter.from_unit(k / 1000)) for k in range(1001)]
        assert list(dict.fromkeys(met)) == [canonical(value) for value in parameter.listed()]

    @given(integers(widest=3000) | floats(stepped=True))
    def test_size_is_the_number_of_values_listed(self, parameter):
        assume(parameter.size <= 20_000)
        listed = parameter.listed()
        assert len(listed) == parameter.size == len(set(listed))
        assert list(listed) == sorted(listed)
        assert all(parameter.min_value <= value <= parameter.max_value for value in listed)
        assert all(type(value) is (int if isinstance(parameter, Int) else float) for value in listed)

    @given(integers() | floats(), st.data())
    def test_a_value_between_the_steps_goes_to_the_nearest(self, parameter, data):
        assume(parameter.size is not None and parameter.step is not None)
        value = data.draw(
            st.integers(parameter.min_value, parameter.max_value)
            if isinstance(parameter, Int)
            else st.floats(parameter.min_value, parameter.max_value)
        )
        back = parameter.from_unit(parameter.to_unit(value))
        again = parameter.from_unit(parameter.to_unit(back))
        assert back == again
        if parameter.sampling == "linear":
            # Past the last step the nearest is the last one.
            last = parameter.axis.value_at(parameter.size - 1)
            assert abs(min(value, last) - back) <= parameter.step * 0.5 * (1 + 1e-9) + abs(value) * 1e-12

    @pytest.mark.parametrize(
        ("low", "high", "step", "listed"),
        [
            (0, 1, 0.2, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
            (0, 0.5, 0.1, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
            (0, 0.3, 0.1, (0.0, 0.1, 0.2, 0.3)),
            (0.1, 0.5, 0.1, (0.1, 0.2, 0.3, 0.4, 0.5)),
            (0, 1, 0.1, tuple(k / 10 for k in range(11))),
            (0, 1, 0.3, (0.0, 0.3, 0.6, 0.9)),
            (-0.3, 0.3, 0.1, (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)),
            (1e-5, 5e-5, 1e-5, (1e-5, 2e-5, 3e-5, 4e-5, 5e-5)),
            (0.5, 0.5, 0.1, (0.5,)),
            (0, 0.05, 0.1, (0.0,)),
        ],
    )
    def test_steps_are_read_as_decimals_and_reach_the_end(self, low, high, step, listed):
        parameter = Float("x", low, high, step=step)
        assert parameter.listed() == listed
        assert parameter.from_unit(1.0) == listed[-1]
        assert [parameter.from_unit(parameter.to_unit(value)) for value in listed] == list(listed)

    @pytest.mark.parametrize("k", range(1, 400))
    def test_hundredths_reach_the_end(self, k):
        assert Float("x", 0, k / 100, step=0.01).listed()[-1] == k / 100

    @pytest.mark.parametrize(
        ("parameter", "listed"),
        [
            (Float("x", 1e-4, 1e-1, step=10, sampling="log"), (1e-4, 1e-3, 1e-2, 1e-1)),
            (Float("x", 1, 1024, step=2, sampling="log"), tuple(2.0**k for k in range(11))),
            (Float("x", 1, 1000, step=10, sampling="reverse_log"), (1.0, 901.0, 991.0, 1000.0)),
            (Float("x", 1, 500, step=10, sampling="log"), (1.0, 10.0, 100.0)),
            (Int("x", 1, 1000, step=10, sampling="log"), (1, 10, 100, 1000)),
            (Int("x", 3, 100, step=3, sampling="log"), (3, 9, 27, 81)),
            (Int("x", 10, 40, step=10), (10, 20, 30, 40)),
            (Int("x", 10, 45, step=10), (10, 20, 30, 40)),
            (Int("x", -3, 3, step=3), (-3, 0, 3)),
        ],
    )
    def test_steps(self, parameter, listed):
        assert parameter.listed() == listed
        assert parameter.size == len(listed)

    @pytest.mark.parametrize(
        ("parameter", "size"),
        [
            (lambda: Float("x", 1, 1e20, step=10, sampling="log"), 21),
            (lambda: Float("x", 1e-300, 1e300, step=10, sampling="log"), 601),
            (lambda: Float("x", 5e-324, 1.0, step=10, sampling="log"), 324),
            (lambda: Int("x", 1, 10**18, step=10, sampling="log"), 19),
            (lambda: Int("x", 10**30, 10**30 + 5), 6),
            (lambda: Int("x", -(10**40), 10**40, step=10**40), 3),
            (lambda: Int("x", 0, 2**50), 2**50 + 1),
        ],
    )
    def test_wide_ranges_with_few_steps(self, parameter, size):
        parameter = parameter()
        assert parameter.size == size
        for index in some_indices(size):
            value = parameter.axis.value_at(index)
            assert parameter.min_value <= value <= parameter.max_value
            assert parameter.from_unit(parameter.to_unit(value)) == value

    def test_keras_tuners_wrong_round_trips_are_right(self):
        parameter = Float("x", 0, 1, step=0.1)
        for value in parameter.listed():
            assert parameter.from_unit(parameter.to_unit(value)) == value


class TestContinuousAxes:
    @given(floats(stepped=False), units)
    def test_to_unit_undoes_from_unit(self, parameter, u):
        low, high = parameter.min_value, parameter.max_value
        assume(high > low)
        value = parameter.from_unit(u)
        assert low <= value <= high
        back = parameter.from_unit(parameter.to_unit(value))
        match parameter.sampling:
            case "linear":
                assert close(back, value, max(abs(low), abs(high)))
            case "log":
                # Near the smallest floats there are few digits left.
                assert close(back, value) or abs(back - value) <= 1e-322
            case _:
                assert close(back, value, high)

    @given(floats(stepped=False))
    def test_the_ends_are_exact(self, parameter):
        assert parameter.from_unit(0.0) == parameter.min_value
        assert parameter.from_unit(1.0) == parameter.max_value

    @given(floats(stepped=False), units, units)
    def test_larger_u_larger_value(self, parameter, u, v):
        u, v = sorted([u, v])
        assert parameter.from_unit(u) <= parameter.from_unit(v) or close(
            parameter.from_unit(u), parameter.from_unit(v), parameter.max_value
        )

    @given(floats(stepped=False), st.data())
    def test_every_value_has_a_place(self, parameter, data):
        value = data.draw(st.floats(parameter.min_value, parameter.max_value))
        assert 0.0 <= parameter.to_unit(value) <= 1.0

    @pytest.mark.parametrize(
        ("parameter", "middle"),
        [
            (Float("x", -1, 3), 1.0),
            (Float("x", 1e-4, 1e-2, sampling="log"), 1e-3),
            (Float("x", 1, 100, sampling="reverse_log"), 91.0),
            (Float("x", -1.7e308, 1.7e308), 0.0),
            (Float("x", 1e-300, 1e300, sampling="log"), 1.0),
        ],
    )
    def test_the_middle(self, parameter, middle):
        assert parameter.from_unit(0.5) == pytest.approx(middle, rel=1e-12)
        assert parameter.to_unit(middle) == pytest.approx(0.5, abs=1e-12)

    def test_reverse_log_is_fine_near_the_end(self):
        parameter = Float("x", 0.5, 0.999, sampling="reverse_log")
        assert parameter.from_unit(0.9) - parameter.from_unit(0.8) < parameter.from_unit(0.2) - parameter.from_unit(0.1)

    @pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
    def test_two_neighbouring_floats(self, sampling):
        low, high = 1e-6, math.nextafter(1e-6, 1)
        parameter = Float("x", low, high, sampling=sampling)
        assert parameter.from_unit(parameter.to_unit(low)) in (low, high)
        assert parameter.from_unit(parameter.to_unit(high)) in (low, high)

    def test_ten_values_are_listed(self):
        listed = Float("x", 0, 9).listed()
        assert listed == pytest.approx(range(10))
        assert (listed[0], listed[-1]) == (0.0, 9.0)
        assert Float("x", 0, 9).size is None
        assert Float("x", 2, 2).size == 1


@given(parameters(), units)
def test_every_u_gives_a_value_of_the_parameter(parameter, u):
    value = parameter.from_unit(u)
    assert parameter.contains(value)
    assert 0.0 <= parameter.to_unit(value) <= 1.0


@pytest.mark.parametrize("u", [-0.1, 1.1, math.nan, math.inf])
def test_outside_the_unit_interval_there_is_nothing(u):
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        Int("x", 0, 3).from_unit(u)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Int("x", 0, 3), 4),
        (Int("x", 0, 3), 1.0),
        (Int("x", 0, 3), True),
        (Int("x", 0, 3), None),
        (Float("x", 0, 3), "1"),
        (Float("x", 0, 3), math.nan),
        (Float("x", 0, 3), True),
        (Choice("x", [1, 2]), 1.0),
        (Choice("x", [1, 2]), object()),
        (Boolean("x"), 1),
        (Fixed("x", 1), True),
        (Fixed("x", 1), object()),
    ],
)
def test_values_that_do_not_belong_have_no_place(parameter, value):
    assert not parameter.contains(value)
    with pytest.raises(ValueError, match="x"):
        parameter.to_unit(value)


# -- what is refused -------------------------------------------------------------------------------

NUMBERS = (Int, Float)


class TestRefusals:
    @pytest.mark.parametrize("kind", NUMBERS)
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"min_value": 3, "max_value": 2}, "above max_value"),
            ({"min_value": 0, "sampling": "log"}, "above 0"),
            ({"min_value": -1, "sampling": "log"}, "above 0"),
            ({"min_value": 0, "sampling": "reverse_log"}, "above 0"),
            ({"step": 0}, "step must be above 0"),
            ({"step": -1}, "step must be above 0"),
            ({"step": 1, "sampling": "log"}, "above 1"),
            ({"step": 1, "sampling": "reverse_log"}, "above 1"),
            ({"default": 11}, "outside"),
            ({"default": 0}, "outside"),
            ({"sampling": "uniform"}, "sampling must be"),
            ({"sampling": 3}, "sampling must be"),
            ({"min_value": math.nan}, "min_value must be a finite number"),
            ({"max_value": math.inf}, "max_value must be a finite number"),
            ({"min_value": -math.inf}, "min_value must be a finite number"),
            ({"max_value": 10**400}, "max_value"),
            ({"min_value": "1"}, "min_value must be a finite number"),
            ({"min_value": None}, "min_value must be a finite number"),
            ({"max_value": True}, "max_value must be a finite number"),
            ({"max_value": [10]}, "max_value must be a finite number"),
            ({"step": "2"}, "step must be a finite number"),
            ({"step": math.nan}, "step must be a finite number"),
            ({"default": "2"}, "default must be a finite number"),
            ({"default": math.nan}, "default must be a finite number"),
            ({"prior": 11}, "prior=11.* outside"),
            ({"prior": "2"}, "prior must be a finite number"),
        ],
        ids=str,
    )
    def test_numbers(self, kind, arguments, said):
        with pytest.raises(SpaceError, match="'width'.*" + said):
            kind("width", **{"min_value": 1, "max_value": 10, **arguments})

    @pytest.mark.parametrize("argument", ["min_value", "max_value", "step", "default", "prior"])
    def test_fractions_are_no_integers(self, argument):
        with pytest.raises(SpaceError, match=r"'width'.*whole number.*use Float"):
            Int("width", **{"min_value": 1, "max_value": 10, argument: 2.5})

    def test_steps_that_a_float_cannot_tell_apart(self):
        with pytest.raises(SpaceError, match="'width'"):
            Float("width", 0, 1, step=1e-17)
        with pytest.raises(SpaceError, match="'width'"):
            Int("width", 0, 2**60)

    @pytest.mark.parametrize("listed", [[], (), range(0), np.array([])])
    def test_nothing_to_choose_from(self, listed):
        with pytest.raises(SpaceError, match=r"'act'.*at least one"):
            Choice("act", listed)

    @pytest.mark.parametrize("listed", ["relu", b"relu", None, 3, {"a": 1}, {1, 2}, object()])
    def test_what_is_no_list(self, listed):
        with pytest.raises(SpaceError, match=r"'act'.*must be a list"):
            Choice("act", listed)

    @pytest.mark.parametrize("default", ["tanh", 1.0, True, "1", object()])
    def test_a_default_that_is_not_offered(self, default):
        for arguments in ({"default": default}, {"prior": default}):
            with pytest.raises(SpaceError, match="'act'"):
                Choice("act", [1, "relu"], **arguments)

    @pytest.mark.parametrize("value", [object(), print, {1, 2}, b"bytes", 1j, [object()], {"a": object()}, np.ones(2)])
    def test_what_cannot_be_written_down(self, value):
        with pytest.raises(SpaceError, match=r"'act'.*offer its name instead"):
            Choice("act", ["relu", value])
        with pytest.raises(SpaceError, match="'act'"):
            Fixed("act", value)

    def test_nan_is_no_choice(self):
        with pytest.raises(SpaceError, match=r"'act'.*nan"):
            Choice("act", [1.0, math.nan])
        with pytest.raises(SpaceError, match=r"'act'.*nan"):
            Fixed("act", math.nan)

    @pytest.mark.parametrize("default", [1, 0, None, "True"])
    def test_a_default_neither_true_nor_false(self, default):
        with pytest.raises(SpaceError, match="'shuffle'"):
            Boolean("shuffle", default)
        if default is not None:
            with pytest.raises(SpaceError, match=r"'shuffle'.*prior"):
                Boolean("shuffle", prior=default)

    @pytest.mark.parametrize("name", ["", None, 3, b"x", ["x"]])
    def test_names(self, name):
        for make in (
            lambda: Int(name, 0, 1),
            lambda: Float(name, 0, 1),
            lambda: Choice(name, [1]),
            lambda: Boolean(name),
            lambda: Fixed(name, 1),
        ):
            with pytest.raises(SpaceError, match="non-empty string"):
                make()

    @pytest.mark.parametrize("asked", ["sgd", None, 3, ()])
    def test_conditions_that_list_no_values(self, asked):
        with pytest.raises(SpaceError, match="'optimizer'"):
            Condition("optimizer", asked)

    def test_a_condition_on_what_comes_later_or_never(self):
        child = Int("layers", 1, 2, conditions=(Condition("deep", (True,)),))
        with pytest.raises(SpaceError, match=r"'layers' depends on 'deep'.*ask for 'deep' first"):
            Space((child, Boolean("deep")))
        with pytest.raises(SpaceError, match="'layers' depends on 'layers'"):
            Space((Int("layers", 1, 2, conditions=(Condition("layers", (1,)),)),))

    def test_one_name_with_two_definitions(self):
        with pytest.raises(RedefinedError, match="'x'") as caught:
            Space((Int("x", 0, 1), Int("x", 0, 2)))
        assert (caught.value.name, caught.value.known, caught.value.asked) == (
            "x",
            Int("x", 0, 1).definition,
            Int("x", 0, 2).definition,
        )
        with pytest.raises(RedefinedError):
            Space((Int("x", 0, 1),)).extended([Float("x", 0, 1)])

    def test_an_unknown_kind(self):
        with pytest.raises(SpaceError, match=r"'x'.*'Complex'"):
            parameter_from_json({"kind": "Complex", "name": "x", "details": {}, "conditions": []})


# -- values ----------------------------------------------------------------------------------------


class TestValues:
    @given(values)
    def test_values_come_back_from_json(self, value):
        written = json.dumps(encode(value), allow_nan=False)
        assert canonical(decode(json.loads(written))) == canonical(value)
        assert repr(decode(json.loads(written))) == repr(value)

    @given(values, values)
    def test_canonical_texts_agree_exactly_when_the_values_do(self, a, b):
        assert (canonical(a) == canonical(b)) == (repr(a) == repr(b))

    def test_look_alikes_stay_apart(self):
        alike = [
            True,
            1,
            1.0,
            "1",
            None,
            "None",
            (1,),
            [1],
            {"a": 1},
            {"a": 1.0},
            (),
            [],
            {},
            "",
            0,
            False,
            0.0,
            math.inf,
        ]
        choice = Choice("x", alike)
        assert [repr(value) for value in choice.values] == [repr(value) for value in alike]
        for index, value in enumerate(alike):
            assert choice.to_unit(value) == (index + 0.5) / len(alike)
            assert repr(choice.from_unit(choice.to_unit(value))) == repr(value)
            assert repr(Choice("x", alike, default=value).start) == repr(alike[0] if value is None else value)

    def test_a_value_offered_twice_counts_once(self):
        assert Choice("x", [1, 2, 1]).values == (1, 2)
        assert len(Choice("x", [1, 1.0, True]).values) == 3

    @pytest.mark.parametrize(
        ("given_value", "kept"), [(np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (np.str_("a"), "a")]
    )
    def test_numpy_scalars_become_plain(self, given_value, kept):
        for value in (plain(given_value), Choice("x", [given_value]).values[0], Fixed("x", given_value).value):
            assert type(value) is type(kept)
            assert value == kept
        assert plain((given_value, [given_value], {"a": given_value})) == (kept, [kept], {"a": kept})

    def test_numpy_arrays_and_ranges_may_be_listed(self):
        assert Choice("x", np.array([1, 2])).values == (1, 2)
        assert Choice("x", range(3)).values == (0, 1, 2)
        assert Int("x", np.int64(1), np.float64(8.0)) == Int("x", 1, 8)

    @pytest.mark.parametrize(
        ("listed", "ordered"), [([1, 2.5], True), ([1, True], False), (["a", "b"], False), ([1, None], False)]
    )
    def test_numbers_are_ordered_by_themselves(self, listed, ordered):
        assert Choice("x", listed).ordered is ordered
        assert Choice("x", listed, ordered=not ordered).ordered is not ordered


# -- parameters as values --------------------------------------------------------------------------


class TestParameters:
    @given(parameters("größe/x"))
    def test_they_come_back_from_json(self, parameter):
        parameter = parameter.under((Condition("a", (1, (2.0, None))), Condition("b", ("x",))))
        again = parameter_from_json(json.loads(json.dumps(parameter.to_json(), allow_nan=False)))
        assert again == parameter
        assert hash(again) == hash(parameter)
        assert type(again) is type(parameter)
        assert (again.key, again.definition, repr(again.start)) == (
            parameter.key,
            parameter.definition,
            repr(parameter.start),
        )
        assert [repr(again.from_unit(k / 7)) for k in range(8)] == [repr(parameter.from_unit(k / 7)) for k in range(8)]

    @given(parameters())
    def test_the_start_is_a_value(self, parameter):
        assert parameter.contains(parameter.start)
        assert canonical(parameter.from_unit(parameter.to_unit(parameter.start)))

    @given(parameters(), parameters())
    def test_they_are_equal_exactly_when_their_definitions_are(self, a, b):
        assert (a == b) == (a.to_json() == b.to_json())

    def test_the_kind_and_conditions_count(self):
        assert Int("x", 0, 1) != Float("x", 0, 1)
        assert Int("x", 0, 1) != Int("x", 0, 1, conditions=(Condition("a", (1,)),))
        assert Choice("x", [1]) != Choice("x", [1.0])
        assert Int("x", 0, 1) != "x"

    @given(parameters())
    def test_a_belief_says_nothing_of_what_can_be_tried(self, parameter):
        assert parameter.agrees(parameter.without_prior)
        assert not parameter.without_prior.has_prior
        assert (parameter == parameter.without_prior) == (not parameter.has_prior)
        assert [repr(parameter.from_unit(k / 7)) for k in range(8)] == [
            repr(parameter.without_prior.from_unit(k / 7)) for k in range(8)
        ]

    def test_a_belief_is_kept_as_the_kind_keeps_its_values(self):
        assert repr(Float("x", 1, 9, prior=np.float32(2)).prior) == "2.0"
        assert repr(Int("x", 1, 9, prior=2.0).prior) == "2"
        assert Choice("x", [(1, 2), "a"], prior=(1, 2)).prior == (1, 2)
        assert Boolean("x", prior=np.bool_(False)).prior is False
        assert Fixed("x", 1).prior is None
        assert str(Boolean("x", prior=True)) == "x: Boolean(default=False, prior=True)"

    def test_a_belief_in_none_where_it_is_offered(self):
        silent, believing = Choice("x", [None, "a"]), Choice("x", [None, "a"], prior=None)
        assert (silent.has_prior, believing.has_prior, believing.believed) == (False, True, None)
        assert silent != believing
        assert silent.agrees(believing)
        assert not believing.without_prior.has_prior
        for parameter in (silent, believing, believing.under((Condition("y", (1,)),))):
            for copied in (
                pickle.loads(pickle.dumps(parameter)),
                copy.deepcopy(parameter),
                parameter_from_json(json.loads(json.dumps(parameter.to_json()))),
            ):
                assert (copied, copied.has_prior) == (parameter, parameter.has_prior)
        assert str(believing).endswith("prior=None)")
        assert "prior" not in str(silent)
        assert not Choice("x", ["a", "b"], prior=None).has_prior

    def test_what_was_stored_before_there_were_beliefs_reads_the_same(self):
        stored = {
            "kind": "Int",
            "name": "x",
            "details": {"min_value": 1, "max_value": 3, "step": 1, "sampling": "linear", "default": None},
            "conditions": [],
        }
        assert parameter_from_json(stored) == Int("x", 1, 3)
        assert Int("x", 1, 3).to_json() == stored

    def test_upper_case_samplings_and_none(self):
        assert Int("x", 1, 9, sampling="LOG") == Int("x", 1, 9, sampling="log")
        assert Float("x", 1, 9, sampling=None) == Float("x", 1, 9)

    def test_they_say_what_they_are(self):
        assert str(Int("units", 1, 3)) == "units: Int(min_value=1, max_value=3, step=1, sampling='linear')"
        assert str(Condition("a", (1,))) == "a = 1"
        assert str(Condition("a", (1, "b"))) == "a in 1, 'b'"

    def test_conditions_tell_look_alikes_apart(self):
        for asked, given_value, holds in [
            (1, 1, True),
            (1, 1.0, False),
            (1, True, False),
            ((1, 2), (1, 2), True),
            ((1, 2), [1, 2], False),
            (None, None, True),
        ]:
            assert Condition("a", (asked,)).holds({"a": given_value}) is holds
        assert not Condition("a", (None,)).holds({})


# -- spaces ----------------------------------------------------------------------------------------


class TestSpaces:
    @given(spaces())
    def test_size_is_the_number_of_combinations(self, space):
        assert space.size == len(every_combination(space))

    @given(spaces(), st.randoms(use_true_random=False))
    def test_untried_yields_each_combination_once(self, space, chance):
        combinations = every_combination(space)
        assume(len(combinations) <= 2000)
        tried = chance.sample(combinations, chance.randint(0, len(combinations)))
        left = [same(values) for values in untried(space, Tried(tried))]
        assert len(left) == len(set(left))
        assert set(left) == {same(values) for values in combinations} - {same(values) for values in tried}

    @given(spaces())
    def test_untried_begins_with_the_defaults(self, space):
        first = next(untried(space, Tried()))
        assert same(first) == same(space.assign(lambda parameter: parameter.start))

    @given(spaces(parameters), st.randoms(use_true_random=False))
    def test_assign_gives_what_is_active_and_nothing_else(self, space, chance):
        values = space.assign(lambda parameter: parameter.from_unit(chance.random()))
        assert set(values) == {parameter.name for parameter in space.active(values)}
        assert not list(space.active({})) or values

    @given(spaces(parameters))
    def test_they_come_back_from_json(self, space):
        assert Space.from_json(json.loads(json.dumps(space.to_json(), allow_nan=False))) == space

    @given(spaces(), st.integers(0, 5))
    def test_a_space_grows_by_what_it_does_not_hold(self, space, cut):
        begun = Space(space.parameters[:cut])
        assert begun.extended(space.parameters) == space
        assert space.extended(space.parameters) is space
        assert space.extended(()) is space

    def test_a_parent_may_offer_an_empty_tuple(self):
        child = Boolean("b", conditions=(Condition("a", ((),)),))
        assert Space((Choice("a", ((), 1)), child)).size == 3

    def test_a_condition_on_what_lies_between_the_steps_unlocks_nothing(self):
        child = Boolean("b", conditions=(Condition("a", (3, 5)),))
        assert Space((Int("a", 0, 10, step=5), child)).size == 4

    def test_many_switches_are_counted_at_once(self):
        switches = [
            parameter
            for k in range(60)
            for parameter in (Boolean(f"use{k}"), Int(f"size{k}", 0, 1, conditions=(Condition(f"use{k}", (True,)),)))
        ]
        began = time.process_time()
        assert Space(tuple(switches[:32])).size == 3**16
        if time.process_time() - began > 1.0:
            pytest.fail("16 switches already take long: 60 would take for ever")
        assert Space(tuple(switches)).size == 3**60

    def test_a_long_space_is_counted(self):
        assert Space(tuple(Int(f"x{k}", 0, 1) for k in range(1500))).size == 2**1500

    def test_an_infinite_space_has_no_size(self):
        assert Space((Boolean("a"), Float("b", 0, 1))).size is None
        assert Space((Boolean("a"), Float("b", 1, 1))).size == 2
        assert Space().size == 1

    @pytest.mark.parametrize(
        ("space", "words"),
        [
            (Space(), "1 combination"),
            (Space((Int("a", 1, 1000), Int("b", 1, 10))), "10,000 combinations"),
            (Space((Float("a", 0, 1),)), "infinitely many combinations"),
            (Space(tuple(Int(f"x{k}", 1, 10) for k in range(12))), "about 10^12 combinations"),
        ],
    )
    def test_sizes_in_words(self, space, words):
        assert describe_size(space) == words

    def test_names_and_definitions(self):
        deep, shallow = (Int("layers", 1, n, conditions=(Condition("deep", (n > 2,)),)) for n in (9, 2))
        space = Space((Boolean("deep"), deep, shallow))
        assert "layers" in space
        assert "x" not in space
        assert space.named("layers") == (deep, shallow)
        assert space.find(Int("layers", 1, 5, conditions=deep.conditions)) == deep
        assert space.find(Int("layers", 1, 5)) is None
        assert list(space.active({"deep": True})) == [space.parameters[0], deep]
        assert list(space.active({})) == [space.parameters[0]]

    @given(spaces())
    def test_a_parameter_is_active_where_all_its_conditions_hold(self, space):
        for combination in every_combination(space):
            active = {parameter.name for parameter in space if parameter.is_active(combination)}
            assert active == combination.keys()

    def test_one_condition_that_fails_is_enough(self):
        layers = Int("layers", 1, 2, conditions=(Condition("deep", (True,)), Condition("wide", (1, 2))))
        assert layers.is_active({"deep": True, "wide": 2, "more": 0})
        assert not layers.is_active({"deep": True, "wide": 3})
        assert not layers.is_active({"deep": True})


class TestTried:
    def test_the_same_combination_counts_once(self):
        tried = Tried([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}, {"a": 1.0}])
        assert len(tried) == 3

    @given(spaces(), st.randoms(use_true_random=False))
    def test_it_covers_exactly_what_agrees_with_all_that_was_asked(self, space, chance):
        combinations = every_combination(space)
        # What a trial asked for may be less than was suggested.
        asked = [
            {name: value for name, value in chance.choice(combinations).items() if chance.random() < 0.8}
            for _ in range(chance.randint(0, 4))
        ]
        tried = Tried(asked)
        for whole in combinations[:200]:
            agrees = any(
                all(name in whole and canonical(whole[name]) == canonical(value) for name, value in one.items())
                for one in asked
            )
            assert tried.covers(whole) is agrees

    def test_what_asked_for_nothing_covers_everything(self):
        assert Tried([{}]).covers({"x": 1})
        assert Tried([{}]).covers({})
        assert not Tried().covers({})

    def test_look_alikes_do_not_cover_each_other(self):
        assert not Tried([{"x": 1}]).covers({"x": 1.0})
        assert not Tried([{"x": True}]).covers({"x": 1})

    def test_a_default_between_the_steps_is_tried_too(self):
        listed = list(untried(Space((Int("x", 0, 10, step=5, default=3),)), Tried()))
        assert [values["x"] for values in listed] == [3, 0, 5, 10]

    def test_nothing_is_listed_before_it_is_needed(self):
        began = time.process_time()
        left = untried(Space((Boolean("a"), Int("seed", 0, 2**21))), Tried())
        assert [next(left) for _ in range(3)] == [{"a": False, "seed": k} for k in range(3)]
        assert time.process_time() - began < 0.5


def test_the_narrowest_range_there_is_has_two_ends():
    narrow = Float("x", 0.0, 5e-324)
    assert (narrow.to_unit(0.0), narrow.to_unit(5e-324)) == (0.0, 1.0)


def test_what_a_program_has_set_for_decimals_of_its_own_changes_no_value():
    for sampling in ("linear", "log", "reverse_log"):
        steps = Float("x", 0.001, 0.5, step=0.0623 if sampling == "linear" else 1.3, sampling=sampling)
        plain = steps.listed()
        with decimal.localcontext(decimal.Context(prec=2)):
            assert steps.listed() == plain
            assert [steps.from_unit(steps.to_unit(value)) for value in plain] == list(plain)
