"""Schedules as values: what they give, what they refuse, and whether they are what the frameworks mean by the name."""

import copy
import io
import json
import math
import pickle
import re
from functools import partial
from itertools import accumulate

import numpy as np
import optax
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from choritsu.errors import ScheduleError, ScheduleWarning, UnboundError, UnitError
from choritsu.schedules import (
    Duration,
    Factor,
    Rate,
    constant,
    cosine,
    cyclic,
    epochs,
    exponential,
    inverse,
    inverse_sqrt,
    linear,
    noam,
    one_cycle,
    piecewise,
    polynomial,
    restarts,
    share,
    wsd,
)
from choritsu.schedules.shapes import NODES, Function, everything_in

from .strategies import close

# Factors that are drawn may well be as small as rates, and times a rate are told of.
pytestmark = pytest.mark.filterwarnings("ignore::choritsu.errors.ScheduleWarning")

# -- what hypothesis draws -------------------------------------------------------------------------

values = st.sampled_from([0.0, 0.1, 0.25, 1.0, 3.0]) | st.floats(0, 10, allow_subnormal=False)
positive = st.sampled_from([0.5, 1.0, 2.0]) | st.floats(0.01, 4)
steps = st.integers(1, 25) | st.floats(0.5, 25)
lasting = st.builds(Duration, st.floats(0, 3), st.floats(0.25, 3), st.sampled_from([0, 0.1, 0.5]))


def leaves(spans):
    endless = spans | st.just(math.inf)
    powers = positive
    return st.one_of(
        st.builds(lambda v, n: Factor.constant(v, steps=n), values, endless),
        st.builds(
            lambda a, b, n, p, e: polynomial(a, b, steps=n, power=p, ease=e),
            *(values, values, spans, powers, st.sampled_from(["in", "out"])),
        ),
        st.builds(lambda a, b, n, p: cosine(a, b, steps=n, power=p), values, values, spans, powers),
        st.builds(
            lambda a, d, n, s, t: exponential(a, decay=d, every=n, staircase=s, steps=t),
            *(values, st.floats(0.1, 1.5), spans, st.booleans(), endless),
        ),
        st.builds(
            lambda a, d, n, p, s, t: inverse(a, decay=d, every=n, power=p, staircase=s, steps=t),
            *(values, values, spans, powers, st.booleans(), endless),
        ),
        st.builds(
            lambda found, between: piecewise(dict(enumerate(found)), between=between),
            *(st.lists(values, min_size=1, max_size=5), st.sampled_from(["hold", "linear", "cosine"])),
        ),
    )


def again(schedule, times, stretch, scale):
    length = schedule.bind(steps_per_epoch=10, horizon=100).length
    if not 0.5 <= length < math.inf:
        return schedule
    return schedule.repeat(times, stretch=stretch, scale=scale)


def trees(spans=steps):
    """Draw schedules of every form, one inside another."""

    def grown(inner):
        return st.one_of(
            st.builds(lambda s, by: s.scaled(by), inner, values),
            st.builds(lambda s, by: s.raised(by), inner, values),
            st.builds(lambda s, by: by * s / by, inner, positive),
            st.builds(lambda s, by: (0.1 * s) / by, inner, positive),
            st.builds(lambda s, low, more: s.clip(low, low + more), inner, values, positive),
            st.builds(lambda s, by, sign: s.shift(by * sign), inner, spans, st.sampled_from([1, -1])),
            st.builds(
                lambda s, n, v, z: s.warmup(n, init=v, from_zero=z),
                *(inner, spans, values, st.booleans()),
            ),
            st.builds(lambda s, then: s.after(then), inner, st.sampled_from(["hold", "repeat", "mirror"])),
            st.builds(lambda s, t, at: s.then(t, at=at), inner, inner, spans),
            st.builds(lambda s, t: s * t, inner, inner),
            st.builds(
                again,
                *(inner, st.integers(1, 4) | st.just(math.inf), st.sampled_from([1.0, 1.5, 2, 3.0])),
                st.sampled_from([0.5, 1.0]),
            ),
        )

    return st.recursive(leaves(spans), grown, max_leaves=4)


MANY = range(60)


def same(one, other, at=MANY):
    return all(close(one(k), other(k), 1.0) for k in at)


# -- closed forms ----------------------------------------------------------------------------------


class TestCurves:
    @given(values, values, steps, positive)
    def test_a_polynomial_goes_from_start_to_end(self, start, end, length, power):
        flat_end = polynomial(start, end, steps=length, power=power)
        flat_start = polynomial(start, end, steps=length, power=power, ease="in")
        for k in MANY:
            part = min(k / length, 1)
            assert close(flat_end(k), end + (start - end) * (1 - part) ** power, 1.0)
            assert close(flat_start(k), start + (end - start) * part**power, 1.0)
        for schedule in (flat_end, flat_start):
            assert schedule(length) == schedule(math.ceil(length)) == schedule(10**9) == end
            assert schedule.length == length

    @given(values, values, steps, positive)
    def test_a_cosine_goes_from_start_to_end(self, start, end, length, power):
        schedule = cosine(start, end, steps=length, power=power)
        for k in MANY:
            part = min(k / length, 1)
            assert close(schedule(k), end + (start - end) * ((1 + math.cos(math.pi * part)) / 2) ** power, 1.0)
        assert close(schedule(0), start, 1.0)
        assert schedule(length) == schedule(10**9) == end

    @given(values, st.floats(0.1, 1.2), steps)
    def test_an_exponential_multiplies_again_and_again(self, start, decay, every):
        smooth = exponential(start, decay=decay, every=every)
        stairs = exponential(start, decay=decay, every=every, staircase=True)
        ended = exponential(start, decay=decay, every=every, steps=7)
        for k in MANY:
            assert close(smooth(k), start * decay ** (k / every))
            assert close(stairs(k), start * decay ** math.floor(k / every))
            assert ended(k) == smooth(min(k, 7))
        assert smooth.length == math.inf

    @given(values, values, steps, positive)
    def test_an_inverse_divides_by_what_grows(self, start, decay, every, power):
        smooth = inverse(start, decay=decay, every=every, power=power)
        stairs = inverse(start, decay=decay, every=every, power=power, staircase=True)
        for k in MANY:
            assert close(smooth(k), start / (1 + decay * k / every) ** power)
            assert close(stairs(k), start / (1 + decay * math.floor(k / every)) ** power)

    @given(st.lists(values, min_size=2, max_size=6), st.lists(st.integers(1, 8), min_size=6, max_size=6))
    def test_pieces_are_held_or_led_to_each_other(self, found, gaps):
        at = [0, *accumulate(gaps)][: len(found)]
        points = dict(zip(at, found, strict=True))
        hold, line, wave = (piecewise(points, between=how) for how in ("hold", "linear", "cosine"))
        for k in MANY:
            index = sum(k >= point for point in at) - 1
            assert hold(k) == found[index]
            if index + 1 < len(at):
                part = (k - at[index]) / (at[index + 1] - at[index])
                first, last = found[index], found[index + 1]
                assert close(line(k), first + (last - first) * part, 1.0)
                assert close(wave(k), last + (first - last) * (1 + math.cos(math.pi * part)) / 2, 1.0)
            else:
                assert line(k) == wave(k) == found[-1]
        assert hold.length == at[-1]

    def test_a_list_has_a_value_for_each_step(self):
        assert Rate.piecewise([0.3, 0.2, 0.1]).table(5) == [0.3, 0.2, 0.1, 0.1, 0.1]
        assert Rate.piecewise(np.array([0.3, 0.2])).table(2) == [0.3, 0.2]

    def test_a_constant_stays(self):
        assert Rate(0.1) == Rate.constant(0.1)
        assert Rate(0.1)(10**12) == 0.1
        assert Rate(0.1).length == math.inf
        assert Rate.constant(0.1, steps=3).length == 3

    def test_values_that_people_write_come_out_as_written(self):
        assert linear(1.0, 0.0, steps=10).table(11) == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
        assert linear(0.0, 1.0, steps=4).table(5) == [0.0, 0.25, 0.5, 0.75, 1.0]


class TestNamed:
    @given(st.integers(4, 200), st.floats(0.3, 0.9), st.floats(0.001, 1), st.floats(0, 0.5), st.sampled_from("cl"))
    def test_one_cycle_rises_and_falls(self, count, up, start, end, curve):
        assume(up * count > 1.01)
        schedule = one_cycle(steps=count, up=up, start=start, end=end, curve={"c": "cosine", "l": "linear"}[curve])
        peak = up * count - 1
        for k in range(count):
            a, b, part = (start, 1, k / peak) if k < peak else (1, end, (k - peak) / (count - 1 - peak))
            bent = (1 - math.cos(math.pi * part)) / 2 if curve == "c" else part
            assert close(schedule(k), a + (b - a) * bent, 1.0)
        assert close(schedule(count - 1), end, 1.0)
        assert close(schedule(10 * count), end, 1.0)

    @given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.floats(0, 1))
    def test_wsd_is_a_trapezoid(self, warmup, stable, decay, end):
        line = wsd(warmup=warmup, stable=stable, decay=decay, end=end)
        wave = wsd(warmup=warmup, stable=stable, decay=decay, end=end, curve="cosine")
        root = wsd(warmup=warmup, stable=stable, decay=decay, end=end, curve="1-sqrt")
        for k in MANY:
            part = min(max(k - warmup - stable, 0) / decay, 1)
            for schedule, fall in ((line, part), (wave, (1 - math.cos(math.pi * part)) / 2), (root, math.sqrt(part))):
                assert close(schedule(k), k / warmup if k < warmup else 1 - (1 - end) * fall, 1.0)
        assert line.length == warmup + stable + decay

    @given(st.integers(1, 30), st.integers(1, 100))
    def test_noam_counts_from_one(self, warmup, dimension):
        schedule, whole = noam(warmup=warmup), noam(warmup=warmup, dimension=dimension)
        for k in range(100):
            n = k + 1
            formula = min(n**-0.5, n * warmup**-1.5)
            assert close(schedule(k), formula * warmup**0.5)
            assert close(whole(k), formula * dimension**-0.5)
        assert max(schedule.table(100)) == schedule(warmup - 1) == 1.0

    @given(st.integers(1, 30), st.none() | st.integers(1, 50))
    def test_the_inverse_square_root_follows_its_warmup(self, warmup, timescale):
        schedule, scale = inverse_sqrt(warmup=warmup, timescale=timescale), timescale or warmup
        for k in range(100):
            assert close(schedule(k), k / warmup if k < warmup else math.sqrt(scale / (k - warmup + scale)))

    @given(
        values, st.floats(0.1, 5), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.5, 1]), st.floats(0.9, 1)
    )
    def test_a_cycle_goes_up_and_down(self, low, more, up, down, scale, decay):
        schedule = cyclic(low, low + more, up=up, down=down, scale=scale, decay=decay)
        for k in MANY:
            cycle, place = divmod(k, up + down)
            height = place / up if place < up else 1 - (place - up) / down
            assert close(schedule(k), low + more * height * scale**cycle * decay**k, 1.0)

    @given(st.integers(1, 9), st.floats(0, 1), st.integers(1, 3), st.floats(0.3, 1.0))
    def test_restarts_begin_again(self, length, end, stretch, scale):
        schedule = restarts(steps=length, end=end, stretch=stretch, scale=scale)
        begin, height, span = 0, 1.0, length
        for k in MANY:
            if k == begin + span:
                begin, height, span = k, height * scale, span * stretch
            wave = (1 + math.cos(math.pi * (k - begin) / span)) / 2
            assert close(schedule(k), end + (1 - end) * height * wave, 1.0)


# -- combining -------------------------------------------------------------------------------------


class TestCombining:
    @given(trees(), trees(), st.integers(1, 30))
    def test_a_boundary_belongs_to_what_begins_there(self, one, other, at):
        joined = one.then(other, at=at)
        for k in MANY:
            assert joined(k) == (one(k) if k < at else other(k - at))

    @given(st.integers(1, 20), trees())
    def test_what_follows_begins_at_the_end(self, length, following):
        first = linear(1.0, 0.5, steps=length)
        assert first.then(following) == first.then(following, at=length)
        assert first.then(0.25)(length) == 0.25

    @given(trees(), st.integers(1, 20), values)
    def test_a_warmup_leads_to_the_first_value(self, schedule, length, init):
        warm, sooner = schedule.warmup(length, init=init), schedule.warmup(length, init=init, from_zero=False)
        first = schedule(0)
        for k in MANY:
            if k >= length:
                assert warm(k) == sooner(k) == schedule(k - length)
            else:
                assert close(warm(k), init + (first - init) * k / length, 1.0)
                assert close(sooner(k), init + (first - init) * (k + 1) / length, 1.0)
        assert warm.length == schedule.length + length

    @given(trees(), trees(), values, positive)
    def test_arithmetic_is_that_of_the_values(self, one, other, by, base):
        product, rate = one * other, base * one
        for k in MANY:
            assert one.scaled(by)(k) == by * one(k)
            assert one.raised(by)(k) == by + one(k)
            assert product(k) == one(k) * other(k)
            assert rate(k) == base * one(k)
            assert (rate * other)(k) == rate(k) * other(k)
            assert (other * rate)(k) == rate(k) * other(k)
            assert rate.scaled(3.0)(k) / 2 == (rate.scaled(3.0) / 2)(k)

    @given(trees(), positive)
    def test_a_base_rate_multiplied_and_divided_leaves_no_trace(self, factor, base):
        assert (base * factor) / base == factor
        assert base * ((base * factor) / base) == factor * base == base * factor

    @given(trees(), values, positive)
    def test_clipped_values_stay_between(self, schedule, low, more):
        high = low + more
        for k in MANY:
            assert schedule.clip(low, high)(k) == min(max(schedule(k), low), high)
            assert schedule.clip(low=low)(k) == max(schedule(k), low)

    @given(trees(), st.integers(0, 20))
    def test_a_shift_begins_elsewhere(self, schedule, by):
        for k in MANY:
            assert schedule.shift(by)(k) == schedule(k + by)
            assert schedule.shift(-by)(k) == schedule(max(k - by, 0))

    @given(st.integers(1, 12), st.sampled_from([linear, cosine]))
    def test_after_the_end(self, length, make):
        schedule = make(1.0, 0.25, steps=length)
        for k in MANY:
            cycle, place = divmod(k, length)
            assert schedule.after("hold")(k) == schedule(k)
            assert schedule.after("repeat")(k) == schedule(place)
            assert schedule.after("mirror")(k) == schedule(length - place if cycle % 2 else place)
            if k > length:
                with pytest.raises(ScheduleError, match=f"ends at step {length}, and was asked for step {k}"):
                    schedule.after("error")(k)
            else:
                assert schedule.after("error")(k) == schedule(k)

    def test_what_has_no_length_cannot_be_begun_again(self):
        with pytest.raises(ScheduleError, match="has no end"):
            constant(1.0).repeat()
        over = linear(1.0, 0.5, steps=4).shift(4)
        assert over.after("repeat").table(3) == over.after("mirror").table(3) == [0.5] * 3
        with pytest.raises(ScheduleError, match="cannot begin again"):
            over.repeat()
        endless = exponential(decay=0.5, every=epochs(1), staircase=True).repeat()
        with pytest.raises(ScheduleError, match="inf steps long cannot be repeated"):
            endless.bind(steps_per_epoch=3)(4)

    @given(st.sampled_from([linear, cosine]), st.integers(1, 50), st.integers(1, 4), st.sampled_from([0.5, 1.0, 2.0]))
    def test_repeated_cycles_begin_exactly_where_they_should(self, make, length, stretch, scale):
        part = make(1.0, 0.25, steps=length)
        schedule = part.repeat(stretch=stretch, scale=scale)
        begin, span = 0, length
        for cycle in range(25):
            # Beyond, a float does not tell the steps apart that these products come to.
            if begin + span > 2**48:
                break
            factor = scale**cycle
            assert schedule(begin) == part(0) * factor
            assert close(schedule(begin + span - 1), part((span - 1) / stretch**cycle) * factor)
            assert close(schedule(begin + span // 2), part((span // 2) / stretch**cycle) * factor)
            begin, span = begin + span, span * stretch

    @given(st.integers(6, 12))
    def test_cycles_stretched_by_a_fraction_begin_exactly_too(self, power):
        part = linear(1.0, 0.25, steps=2**power)
        schedule = part.repeat(stretch=1.5)
        begin = 0
        for cycle in range(power):
            assert schedule(begin) == 1.0
            if begin:
                assert schedule(begin - 1) < 0.3
            begin += 2 ** (power - cycle) * 3**cycle

    @given(st.integers(1, 9), st.integers(1, 5), st.sampled_from([1.0, 2.0, 0.5]), st.sampled_from([0.5, 1.0]))
    def test_the_last_end_of_a_counted_repetition_is_held(self, length, times, stretch, scale):
        schedule = linear(1.0, 0.25, steps=length).repeat(times, stretch=stretch, scale=scale)
        end = sum(length * stretch**cycle for cycle in range(times))
        assert schedule.length == end
        for k in (end, end + 0.5, end + 1, 10 * end):
            assert close(schedule(k), 0.25 * scale ** (times - 1))

    def test_cycles_that_shrink_come_to_an_end(self):
        schedule = linear(1.0, 0.0, steps=8).repeat(stretch=0.5)
        assert schedule(8) == schedule(12) == schedule(14) == 1.0
        for step in (16, 17, 1000):
            with pytest.raises(ScheduleError, match="never reach step"):
                schedule(step)

    @given(trees())
    def test_a_table_lists_the_values(self, schedule):
        assert schedule.table(7) == [schedule(k) for k in range(7)]
        if schedule.length < 1000:
            assert schedule.table() == [schedule(k) for k in range(math.ceil(schedule.length))]
        if schedule.length == math.inf:
            with pytest.raises(ScheduleError, match=r"table\(100\)"):
                schedule.table()

    @given(trees(), st.integers(1, 40))
    def test_what_is_tabulated_is_the_same_at_whole_steps(self, schedule, count):
        table = schedule.tabulated(count)
        assert [table(k) for k in range(count + 1)] == [schedule(k) for k in range(count + 1)]
        assert table(10**6) == schedule(count)
        assert Factor.from_json(table.to_json()) == table

    @given(leaves(st.integers(1, 20)))
    def test_what_has_an_end_is_tabulated_whole(self, schedule):
        assume(schedule.length < math.inf)
        assert same(schedule.tabulated(), schedule)

    def test_a_function_keeps_whole_steps_in_cycles(self):
        listed = Factor.from_function([1.0, 0.5, 0.25].__getitem__, steps=3)
        assert listed.repeat().table(5) == [1.0, 0.5, 0.25, 1.0, 0.5]
        assert listed.after("repeat").table(5) == [1.0, 0.5, 0.25, 1.0, 0.5]
        assert listed.then(listed).table(6) == [1.0, 0.5, 0.25] * 2


# -- units -----------------------------------------------------------------------------------------

RATE, FACTOR = 0.1 * linear(1.0, 0.0, steps=10), cosine(1.0, 0.0, steps=5)

MIXED = {
    "rate * rate": (lambda: RATE * Rate(0.2), ["rate squared", "rate / base_rate"]),
    "rate * number": (lambda: RATE * 0.5, ["0.5", "rate.scaled(0.5)"]),
    "number * rate": (lambda: 0.5 * RATE, ["0.5", "rate.scaled(0.5)"]),
    "numpy * rate": (lambda: np.float64(0.5) * RATE, ["0.5", "scaled"]),
    "rate / rate": (lambda: RATE / Rate(0.1), ["Rate(constant(0.1))", "rate / 0.1"]),
    "rate / factor": (lambda: RATE / FACTOR, ["Factor(cosine(1, 0, steps=5))", "rate / 0.1"]),
    "number / rate": (lambda: 1 / RATE, ["divided by Rate(0.1", "neither a rate nor a factor"]),
    "factor / number": (lambda: FACTOR / 2, ["divided by 2", "factor.scaled(number)"]),
    "factor / factor": (lambda: FACTOR / FACTOR, ["divided by Factor", "factor.scaled"]),
    "factor / rate": (lambda: FACTOR / RATE, ["divided by a rate, Rate(0.1", "neither"]),
    "number / factor": (lambda: 1 / FACTOR, ["neither a rate nor a factor", "base_rate * factor"]),
    "factor * text": (lambda: FACTOR * "2", ["'2'", "a plain number"]),
    "factor * True": (lambda: FACTOR * True, ["True", "a plain number"]),
    "rate + rate": (lambda: RATE + RATE, ["cannot be added", "raised(number)"]),
    "rate + number": (lambda: RATE + 0.1, ["0.1", "raised(number)"]),
    "number - factor": (lambda: 1 - FACTOR, ["1", "raised(number)"]),
    "sum": (lambda: sum([RATE, RATE]), ["cannot be added"]),
    "rate ** 2": (lambda: RATE**2, ["power=..."]),
    "rate of factor": (lambda: Rate(FACTOR), ["a Factor is no Rate", "0.1 * factor"]),
    "factor of rate": (lambda: Factor(RATE), ["a Rate is no Factor", "rate / base_rate"]),
    "rate from a factor": (lambda: Rate.from_function(FACTOR), ["a Factor is no Rate", "0.1 * factor"]),
    "factor from a rate": (lambda: Factor.from_function(RATE), ["a Rate is no Factor", "rate / base_rate"]),
    "rates from factors": (lambda: Rate.from_function([RATE, FACTOR]), ["a Factor is no Rate", "0.1 * factor"]),
    "rate, then factor": (lambda: RATE.then(FACTOR), ["a Rate goes on with a Rate", "Factor(cosine", "0.1 * factor"]),
    "factor, then rate": (lambda: FACTOR.then(RATE), ["a Factor goes on with a Factor", "Rate(0.1", "rate / base"]),
    "a factor's file": (lambda: Rate.from_json(FACTOR.to_json()), ["holds a Factor", "no Rate", "0.1 * factor"]),
    "a rate's file": (lambda: Factor.from_json(RATE.to_json()), ["holds a Rate", "no Factor", "rate / base_rate"]),
    "factor to Keras": (lambda: FACTOR.to_keras(), ["(1e-3 * factor).to_keras()"]),
    "factor to optax": (lambda: FACTOR.to_optax(), ["(1e-3 * factor).to_optax()"]),
}


class TestUnits:
    @pytest.mark.parametrize("name", MIXED)
    def test_what_has_no_meaning_is_refused_and_the_cure_named(self, name):
        mix, words = MIXED[name]
        with pytest.raises(UnitError) as raised:
            mix()
        for word in words:
            assert word in str(raised.value)

    def test_what_has_a_meaning_has_the_right_kind(self):
        assert isinstance(0.1 * FACTOR, Rate)
        assert isinstance(FACTOR * np.float64(0.1), Rate)
        assert isinstance(np.float64(0.1) * FACTOR, Rate)
        assert isinstance(FACTOR * FACTOR, Factor)
        assert isinstance(RATE * FACTOR, Rate)
        assert isinstance(FACTOR * RATE, Rate)
        assert isinstance(RATE / 0.1, Factor)
        for kind, schedule in ((Rate, RATE), (Factor, FACTOR)):
            for made in (
                schedule.scaled(2),
                schedule.raised(0.1),
                schedule.then(0.1),
                schedule.warmup(3),
                schedule.repeat(),
                schedule.after("mirror"),
                schedule.shift(1),
                schedule.clip(0.1),
                schedule.tabulated(),
                schedule.bind(),
                kind.from_json(schedule.to_json()),
            ):
                assert type(made) is kind

    def test_a_rate_is_no_number_and_is_asked_with_a_step(self):
        for misuse in (float, int, abs, len, list, lambda rate: -rate, lambda rate: rate < 0.1, lambda rate: rate()):
            with pytest.raises(TypeError):
                misuse(RATE)
        with pytest.raises(TypeError, match=r"rate.to_keras\(\), rate.to_torch\(optimizer\)"):
            RATE()

    @pytest.mark.parametrize(("schedule", "how"), [(RATE, "rate.to_keras()"), (FACTOR, "factor.to_torch(optimizer)")])
    def test_a_parameter_group_takes_a_number(self, schedule, how):
        parameter = torch.zeros(1, requires_grad=True)
        parameter.grad = torch.ones(1)
        optimizer = torch.optim.SGD([{"params": [parameter], "lr": schedule}], lr=0.1)
        with pytest.raises(TypeError, match=f"is no number.*write {re.escape(how)}"):
            optimizer.step()

    @pytest.mark.parametrize("rates", [RATE, [FACTOR, RATE]], ids=["all groups", "second group"])
    def test_lambda_lr_does_not_square_a_rate(self, rates):
        with pytest.raises(UnitError, match=r"would be its square. Write rate.to_torch\(optimizer\)"):
            lr_scheduler.LambdaLR(stepping(0.1, 0.2), rates)

    def test_multiplicative_lr_does_not_take_a_rate(self):
        optimizer = stepping(0.1)
        scheduler = lr_scheduler.MultiplicativeLR(optimizer, RATE)
        optimizer.step()
        with pytest.raises(UnitError, match="MultiplicativeLR multiplies the rate in force"):
            scheduler.step()

    def test_lambda_lr_neither_reads_nor_writes_what_a_factor_is(self):
        """PyTorch saves the attributes of the objects that it calls, and sets them when it loads."""
        optimizer, factor = stepping(0.1), linear(steps=20)
        saved = lr_scheduler.LambdaLR(stepping(0.1), linear(steps=10)).state_dict()
        kept = io.BytesIO()
        torch.save(saved, kept)
        kept.seek(0)
        scheduler = lr_scheduler.LambdaLR(optimizer, factor)
        assert (factor.length, factor.is_bound) == (20, True)
        scheduler.load_state_dict(torch.load(kept, weights_only=True))
        scheduler.load_state_dict({"lr_lambdas": [{"shape": linear(steps=10).shape, "length": 10}]})
        assert (factor, factor.length, factor(10)) == (linear(steps=20), 20, 0.5)

    def test_lambda_lr_takes_a_factor(self):
        optimizer = stepping(0.1)
        played = rates_of(optimizer, lr_scheduler.LambdaLR(optimizer, FACTOR), 8)
        assert played[0] == [0.1 * value for value in FACTOR.table(8)]

    def test_keras_scheduler_does_not_take_lengths_in_epochs(self):
        import keras

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        for schedule, error in ((0.1 * linear(steps=epochs(3)), UnboundError), (linear(steps=epochs(3)), UnitError)):
            with pytest.raises(error, match=r"to_keras_callback\(\)"):
                model.fit(
                    np.ones((2, 1)),
                    np.ones((2, 1)),
                    verbose=0,
                    callbacks=[keras.callbacks.LearningRateScheduler(schedule)],
                )

    def test_an_optimizer_says_what_to_write_for_a_bare_rate(self):
        for make in (lambda: torch.optim.AdamW([torch.zeros(1)], lr=RATE), lambda: sorted([RATE, RATE])):
            with pytest.raises(TypeError, match=r"write rate\.to_keras\(\), rate\.to_torch\(optimizer\)"):
                make()

    def test_a_schedule_of_the_same_kind_is_taken_as_it_is(self):
        assert Rate(RATE) == RATE
        assert Factor(FACTOR) == FACTOR

    def test_keras_scheduler_takes_a_rate_and_no_factor(self):
        import keras

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.3), loss="mse")
        callback = keras.callbacks.LearningRateScheduler(RATE)
        callback.set_model(model)
        callback.on_epoch_begin(4)
        assert float(model.optimizer.learning_rate) == pytest.approx(0.06)
        callback = keras.callbacks.LearningRateScheduler(FACTOR)
        callback.set_model(model)
        with pytest.raises(UnitError, match=r"Make it a rate: 1e-3 \* factor"):
            callback.on_epoch_begin(0)
        assert float(model.optimizer.learning_rate) == pytest.approx(0.06)

    @pytest.mark.parametrize("schedule", [RATE, FACTOR], ids=["rate", "factor"])
    def test_keras_optimizer_does_not_train_with_what_was_not_made_for_it(self, schedule):
        import keras

        optimizer = keras.optimizers.SGD(schedule)
        weight = keras.Variable(np.ones(1, "float32"))
        with pytest.raises(TypeError, match="to_keras"):
            optimizer.apply([np.ones(1, "float32")], [weight])
        assert float(weight.numpy()[0]) == 1.0

    def test_optax_takes_no_factor(self):
        import jax

        for made in (optax.sgd(FACTOR), optax.adam(FACTOR), optax.chain(optax.scale_by_schedule(FACTOR))):
            state = made.init(jax.numpy.ones(()))
            with pytest.raises(UnitError, match=r"\(1e-3 \* factor\).to_optax\(\)"):
                made.update(jax.numpy.ones(()), state, jax.numpy.ones(()))

    def test_pytorch_optimizer_takes_no_schedule_as_its_rate(self):
        for schedule in (RATE, FACTOR):
            with pytest.raises(TypeError):
                torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=schedule)


# -- durations -------------------------------------------------------------------------------------

counts = st.integers(1, 20) | st.floats(0.25, 20)


class TestDurations:
    @given(counts, counts, counts, counts, st.integers(1, 50), st.integers(100, 1000))
    def test_lengths_add_up(self, a, b, c, by, per_epoch, horizon):
        length = (epochs(a) + share(b) + c) * by
        expected = (a * per_epoch + b * horizon + c) * by
        assert close(length.resolved(per_epoch, horizon), expected)
        assert close((by * (c + share(b) + epochs(a))).resolved(per_epoch, horizon), expected)
        assert close((2 * length - length).resolved(per_epoch, horizon), expected)
        assert close((c - epochs(a)).resolved(per_epoch, None), c - a * per_epoch, 1000)
        assert (epochs(3) - epochs(3)).resolved(None, None) == 0

    def test_they_read_as_they_are_written(self):
        assert repr(epochs(5) + 100) == "100 + epochs(5)"
        assert repr(share(0.1)) == "share(0.1)"
        assert repr(Duration()) == "0"
        assert repr(linear(1.0, 0.0, steps=epochs(5))) == "Factor(linear(1, 0, steps=epochs(5)))"

    @given(st.integers(1, 9), st.integers(1, 50))
    def test_bound_is_as_if_written_in_steps(self, count, per_epoch):
        def made(unit, whole):
            first = linear(0.0, 1.0, steps=unit(1)).then(cosine(1.0, 0.1, steps=unit(count)), at=unit(2))
            pieces = Factor.linear(1.0, 0.5, steps=whole) * first.shift(-unit(1)).warmup(unit(0.5))
            return pieces.then(exponential(1.0, decay=0.5, every=unit(1)), at=whole).scaled(0.5).clip(0.01)

        written = made(lambda number: number * per_epoch, 3000)
        counted = made(epochs, share(0.5))
        assert not counted.is_bound
        bound = counted.bind(steps_per_epoch=per_epoch, horizon=6000)
        assert bound.is_bound
        assert bound == made(lambda number: epochs(number).resolved(per_epoch, None), 3000)
        assert same(bound, written)
        assert bound.bind() is bound
        assert Factor.from_json(counted.to_json()) == counted

    def test_what_is_not_known_is_asked_for(self):
        counted = linear(1.0, 0.0, steps=epochs(2) + share(0.5))
        for read in (lambda s: s(0), lambda s: s.length, lambda s: s.table(), lambda s: s.bind(horizon=3)):
            with pytest.raises(UnboundError, match=r"bind\(steps_per_epoch=...\)"):
                read(counted)
        with pytest.raises(UnboundError, match=r"bind\(horizon=...\)"):
            counted.bind(steps_per_epoch=3)
        assert counted.bind(steps_per_epoch=3, horizon=8).length == 10

    @given(counts, counts, counts, st.integers(1, 50), st.integers(100, 1000))
    def test_another_schedule_begins_where_one_ends_though_nobody_knows_where(self, a, b, c, per_epoch, horizon):
        for first in (
            linear(0.0, 1.0, steps=epochs(a)),
            linear(0.0, 1.0, steps=epochs(a)).warmup(1 + c).scaled(2.0),
            cosine(1.0, 0.0, steps=share(a)).repeat(2, stretch=2.0),
            cosine(1.0, 0.0, steps=share(a)).then(linear(0.5, 0.0, steps=b), at=share(a) + c).shift(-b),
            linear(1.0, 0.0, steps=epochs(a)) * linear(1.0, 0.0, steps=epochs(a)),
            piecewise({0: 1.0, epochs(a): 0.5}),
        ):
            known = first.bind(steps_per_epoch=per_epoch, horizon=horizon)
            both = first.then(0.25).bind(steps_per_epoch=per_epoch, horizon=horizon)
            assert math.isclose(both.shape.at[0], known.length)
            assert both(2 * known.length) == 0.25
        with pytest.raises(ScheduleError, match="has no end"):
            constant(1.0).warmup(epochs(a)).then(0.25)

    @pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, True, "3", None, [1]], ids=repr)
    def test_counts_are_checked(self, wrong):
        for make in (epochs, share):
            if wrong == 0 and wrong is not False:
                assert linear(1.0, 0.0, steps=4).warmup(make(wrong)) == linear(1.0, 0.0, steps=4)
                with pytest.raises(ScheduleError, match="steps must be longer than none, got 0"):
                    linear(steps=make(wrong))
                continue
            with pytest.raises(ScheduleError, match="finite number of at least 0, got"):
                make(wrong)
        if wrong is not None:
            with pytest.raises(ScheduleError, match="finite number above 0, got"):
                linear(steps=epochs(1)).bind(steps_per_epoch=wrong, horizon=3)

    def test_a_share_in_the_place_of_steps_is_recognised(self):
        with pytest.raises(ScheduleError, match=r"warm-up of 0.1 steps is none.*write warmup\(share\(0.1\)\)"):
            cosine(steps=100).warmup(0.1)

    def test_what_stands_before_a_part_that_takes_the_whole_run_is_told(self):
        whole = cosine(steps=share(1.0))
        assert whole.bind(horizon=20).length == 20
        assert cosine(steps=share(1.0) - share(0.3)).warmup(share(0.3)).bind(horizon=20).length == 20
        assert cosine(steps=share(1.25)).bind(horizon=20).length == 25
        for longer in (whole.warmup(share(0.3)), whole.warmup(6), (0.1 * whole).warmup(share(0.3))):
            with pytest.warns(ScheduleWarning, match="it is 26 steps long, and the training 20: its end never comes"):
                longer.bind(horizon=20)

    def test_a_step_may_be_a_number_of_numpys(self):
        numbers = (np.float32(3), np.int64(3), np.float64(3.0), np.uint8(3))
        assert [linear(1.0, 0.0, steps=10)(number) for number in numbers] == [0.7] * 4

    def test_a_length_that_comes_to_nothing_is_refused(self):
        with pytest.raises(ScheduleError, match="comes to -50 steps"):
            linear(1.0, 0.0, steps=epochs(1) - 100).bind(steps_per_epoch=50)
        with pytest.raises(ScheduleError, match="comes to"):
            one_cycle(steps=epochs(1)).bind(steps_per_epoch=2)
        assert linear(1.0, 0.0, steps=4).shift(-epochs(1)).bind(steps_per_epoch=2).table(4) == [1.0, 1.0, 1.0, 0.75]

    def test_boundaries_that_cross_when_bound_are_refused(self):
        joined = linear(steps=5).then(linear(steps=5), at=100).then(0.0, at=epochs(1))
        assert joined.bind(steps_per_epoch=200)(150) == 0.0
        pieces = piecewise({0: 1.0, 10: 0.5, epochs(1): 0.1})
        assert pieces.bind(steps_per_epoch=20)(20) == 0.1
        with pytest.raises(ScheduleError, match="must increase, got 0, 10, 5"):
            pieces.bind(steps_per_epoch=5)


# -- keeping ---------------------------------------------------------------------------------------


class TestKeeping:
    @given(trees(steps | lasting), positive)
    def test_every_schedule_comes_back_from_its_file(self, factor, base):
        rate = base * factor
        for kind, schedule in ((Factor, factor), (Rate, rate)):
            back = kind.from_json(schedule.to_json())
            assert back == schedule
            assert hash(back) == hash(schedule)
            assert repr(back) == repr(schedule)
            assert back.to_json() == schedule.to_json()
            json.loads(schedule.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        if factor.is_bound:
            assert back.table(30) == rate.table(30)

    def test_every_shape_is_among_those_drawn(self):
        """What the test above promises holds for the shapes of later days only if they are drawn there."""
        drawn = {Function}

        @settings(max_examples=300, derandomize=True)
        @given(trees())
        def look(schedule):
            drawn.update(type(part) for part in everything_in(schedule.shape) if isinstance(part, NODES))

        look()
        assert drawn == set(NODES)

    @given(trees(steps | lasting))
    def test_copies_are_equal(self, schedule):
        assert schedule.is_bound in (True, False)  # read, so that what is cached travels too
        for made in (pickle.loads(pickle.dumps(schedule)), copy.copy(schedule), copy.deepcopy(schedule)):
            assert made == schedule
            assert hash(made) == hash(schedule)
            assert made.to_json() == schedule.to_json()

    def test_equal_is_what_was_declared_equal(self):
        assert linear(1, 0, steps=10) == linear(1.0, 0.0, steps=10.0) == polynomial(steps=10)
        assert hash(linear(1, 0, steps=10)) == hash(linear(1.0, 0.0, steps=10.0))
        assert linear(1, 0, steps=10) != linear(1, 0, steps=11)
        assert Rate(0.1) != Factor(0.1)
        assert Rate(0.1) != 0.1
        assert len({linear(steps=3), linear(steps=3), cosine(steps=3), Rate(0.1), Factor(0.1)}) == 4

    def test_they_do_not_change(self):
        with pytest.raises(AttributeError):
            RATE.shape = FACTOR.shape
        with pytest.raises(AttributeError):
            RATE.shape.by = 1.0

    def test_functions_are_not_written_down_and_tables_are(self):
        halving = Factor.from_function(lambda epoch: 0.5**epoch, steps=4)
        for schedule in (halving, 0.1 * halving, halving.repeat().warmup(2), linear(steps=3).then(halving)):
            with pytest.raises(ScheduleError, match=r"schedule.tabulated\(steps=...\)"):
                schedule.to_json()
        assert Factor.from_json(halving.tabulated().to_json()).table(4) == [1.0, 0.5, 0.25, 0.125]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nonsense",
            "[]",
            "3",
            "null",
            "{}",
            '{"unit": "rate"}',
            '{"shape": {}, "unit": "rate"}',
            '{"unit": "watt", "shape": {"kind": "constant", "value": 1}}',
            '{"unit": [], "shape": {"kind": "constant", "value": 1}}',
            None,
            3,
            b"\xff",
            *(
                f'{{"unit": "rate", "shape": {shape}}}'
                for shape in (
                    "null",
                    "3",
                    "[]",
                    '"cosine"',
                    '{"steps": 3}',
                    '{"kind": "spline"}',
                    '{"kind": ["constant"]}',
                    '{"kind": "function", "function": "print"}',
                    '{"kind": "constant"}',
                    '{"kind": "constant", "value": "abc"}',
                    '{"kind": "constant", "value": null}',
                    '{"kind": "constant", "value": true}',
                    '{"kind": "constant", "value": -1}',
                    '{"kind": "constant", "value": NaN}',
                    '{"kind": "constant", "value": {"steps": 3}}',
                    '{"kind": "constant", "value": 1, "colour": 3}',
                    '{"kind": "constant", "value": 1, "span": 0}',
                    '{"kind": "constant", "value": 1, "span": {"steps": "x"}}',
                    '{"kind": "constant", "value": 1, "span": {"years": 1}}',
                    '{"kind": "polynomial", "start": 1, "end": 0, "span": -5}',
                    '{"kind": "polynomial", "start": 1, "end": 0, "span": 5, "power": 0}',
                    '{"kind": "polynomial", "start": 1, "end": 0, "span": 5, "ease": "no"}',
                    '{"kind": "polynomial", "start": 1, "end": 0, "span": 5, "ease": ["in"]}',
                    '{"kind": "exponential", "start": 1, "decay": 0.5, "staircase": "yes"}',
                    '{"kind": "piecewise", "at": [0, 1], "values": [1]}',
                    '{"kind": "piecewise", "at": [0, 1, 1], "values": [1, 2, 3]}',
                    '{"kind": "piecewise", "at": [], "values": []}',
                    '{"kind": "piecewise", "at": [0], "values": ["x"]}',
                    '{"kind": "piecewise", "at": 0, "values": 1}',
                    '{"kind": "scale", "part": 3, "by": 1}',
                    '{"kind": "scale", "part": {"kind": "constant", "value": 1}, "by": "abc"}',
                    '{"kind": "join", "parts": [{"kind": "constant", "value": 1}], "at": []}',
                    '{"kind": "join", "parts": [1, 2], "at": [3]}',
                    '{"kind": "after", "part": {"kind": "constant", "value": 1}, "then": "explode"}',
                    '{"kind": "repeat", "part": {"kind": "constant", "value": 1}, "stretch": 0}',
                    '{"kind": "shift", "part": {"kind": "constant", "value": 1}, "by": "3"}',
                )
            ),
        ],
        ids=repr,
    )
    def test_what_is_no_schedule_is_refused(self, text):
        with pytest.raises(ScheduleError):
            Rate.from_json(text)

    def test_a_file_calls_nothing(self):
        with pytest.raises(ScheduleError, match="unknown kind, 'function'"):
            Rate.from_json('{"unit": "rate", "shape": {"kind": "function", "function": "exit", "span": 1}}')

    @given(trees(steps | lasting))
    def test_they_can_be_looked_at(self, schedule):
        for text in (repr(schedule), repr(0.1 * schedule)):
            assert text.startswith(("Factor(", "Rate("))
            assert " object at 0x" not in text
            assert text.count("(") == text.count(")")
        assert len(schedule.sparkline(13)) == 13
        assert str(schedule) in schedule.__rich__().replace(r"\[", "[")

    def test_they_read_as_they_are_written(self):
        assert repr(1e-3 * cosine(1.0, 0.0, steps=100).warmup(10)) == (
            "Rate(0.001 * warmup(cosine(1, 0, steps=100), steps=10))"
        )
        assert repr(Factor.from_function(abs)) == "Factor(from_function(abs))"
        assert repr(Factor.from_function(partial(max, 1))) == "Factor(from_function(partial))"

    def test_what_is_joined_does_not_run_on(self):
        joined = linear(steps=3).then(0.5)
        assert repr(joined) == "Factor(linear(1, 0, steps=3), from 3: constant(0.5))"
        texts = [repr(made) for made in (0.1 * joined, (0.1 * linear(steps=3)).then(0.5))]
        assert texts == [
            "Rate(0.1 * (linear(1, 0, steps=3), from 3: constant(0.5)))",
            "Rate(0.1 * linear(1, 0, steps=3), from 3: constant(0.5))",
        ]
        one, other = joined.then(joined, at=9), linear(steps=3).then(0.5).then(linear(steps=3), at=9).then(0.5, at=12)
        assert repr(one) != repr(other)


# -- at the door -----------------------------------------------------------------------------------

NO_NUMBERS = [math.nan, -1, "1", None, True, [1], 1j]
NO_VALUES = [*NO_NUMBERS, math.inf, -math.inf]
NO_LENGTHS = [*NO_NUMBERS, 0, math.inf, -math.inf]


class TestDoor:
    @pytest.mark.parametrize("wrong", NO_VALUES, ids=repr)
    def test_values(self, wrong):
        for make in (
            lambda v: Rate.constant(v),
            lambda v: linear(v, 0.0, steps=3),
            lambda v: linear(0.0, v, steps=3),
            lambda v: cosine(v, 0.0, steps=3),
            lambda v: exponential(v, decay=0.5),
            lambda v: inverse(decay=v),
            lambda v: piecewise({0: 1.0, 3: v}),
            lambda v: piecewise([1.0, v]),
            lambda v: FACTOR.scaled(v),
            lambda v: FACTOR.raised(v),
            lambda v: FACTOR.warmup(3, init=v),
            lambda v: FACTOR.clip(v),
        ):
            with pytest.raises(ScheduleError, match=r"finite number of at least 0, got"):
                make(wrong)

    @pytest.mark.parametrize("wrong", NO_LENGTHS, ids=repr)
    def test_lengths(self, wrong):
        for make in (
            lambda n: linear(steps=n),
            lambda n: polynomial(steps=n, power=2.0),
            lambda n: cosine(steps=n),
            lambda n: exponential(decay=0.5, every=n),
            lambda n: inverse(every=n),
            lambda n: one_cycle(steps=n),
            lambda n: wsd(warmup=1, stable=1, decay=n),
            lambda n: inverse_sqrt(warmup=n),
            lambda n: noam(warmup=n),
            lambda n: noam(warmup=4, dimension=n) if n is not None else noam(warmup=n),
            lambda n: cyclic(0.1, up=n),
            lambda n: restarts(steps=n),
            lambda n: FACTOR.then(0.0, at=n) if n is not None else FACTOR.then(0.0, at="None"),
        ):
            with pytest.raises(ScheduleError, match=r"number of steps above 0, epochs\(n\) or share\(x\), got"):
                make(wrong)

    @pytest.mark.parametrize("wrong", [wrong for wrong in NO_LENGTHS if wrong != 0 or wrong is False], ids=repr)
    def test_lengths_that_may_be_none_at_all(self, wrong):
        for make in (
            lambda n: FACTOR.warmup(n),
            lambda n: wsd(warmup=n, stable=1, decay=1),
            lambda n: wsd(warmup=1, stable=n, decay=1),
        ):
            assert make(0).length == make(1).length - 1
            with pytest.raises(ScheduleError, match=r"number of steps above 0, epochs\(n\) or share\(x\), got"):
                make(wrong)

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -1, "1", None, True], ids=repr)
    def test_steps_of_pieces(self, wrong):
        with pytest.raises(ScheduleError, match="a step must be a number of steps above 0"):
            piecewise({0: 1.0, wrong: 0.5})

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, "8", None, True], ids=repr)
    def test_widths(self, wrong):
        with pytest.raises(ScheduleError, match="a whole number of characters, at least 1, got"):
            FACTOR.sparkline(wrong)

    @pytest.mark.parametrize("wrong", NO_LENGTHS, ids=repr)
    def test_numbers_above_zero(self, wrong):
        for make in (
            lambda v: polynomial(steps=3, power=v),
            lambda v: cosine(steps=3, power=v),
            lambda v: inverse(power=v),
            lambda v: exponential(decay=v),
            lambda v: FACTOR.repeat(stretch=v),
            lambda v: FACTOR.repeat(scale=v),
        ):
            with pytest.raises(ScheduleError, match="must be a finite number above 0, got"):
                make(wrong)

    @pytest.mark.parametrize("wrong", [0, -0.1, math.nan, math.inf], ids=repr)
    def test_the_rate_that_becomes_one(self, wrong):
        with pytest.raises(ScheduleError, match="the rate that becomes 1 must be a finite number above 0"):
            RATE / wrong

    @pytest.mark.parametrize("wrong", [0, -1, 2.5, math.nan, "3", None, True, -math.inf], ids=repr)
    def test_repetitions(self, wrong):
        with pytest.raises(ScheduleError, match=r"whole number of at least 1, or math.inf, got"):
            FACTOR.repeat(wrong)

    def test_words(self):
        for make in (
            lambda: polynomial(steps=3, ease="both"),
            lambda: piecewise([1.0], between="spline"),
            lambda: FACTOR.after("stop"),
            lambda: one_cycle(steps=10, curve="round"),
            lambda: wsd(warmup=1, stable=1, decay=1, curve="round"),
        ):
            with pytest.raises(ScheduleError, match="got '"):
                make()

    @pytest.mark.parametrize("wrong", [0, 1, -0.1, 1.5, math.nan, "0.3", None], ids=repr)
    def test_the_rising_share(self, wrong):
        with pytest.raises(ScheduleError, match="between 0 and 1, got"):
            one_cycle(steps=100, up=wrong)

    def test_a_cycle_too_short_to_rise_in(self):
        with pytest.raises(ScheduleError, match="it takes more than 10"):
            one_cycle(steps=5, up=0.1)

    @pytest.mark.parametrize("wrong", [{}, [], {1: 0.1}, {epochs(1): 0.1}, "ab", 3, None], ids=repr)
    def test_pieces(self, wrong):
        with pytest.raises(ScheduleError, match="piecewise"):
            piecewise(wrong)

    def test_boundaries_increase(self):
        with pytest.raises(ScheduleError, match="steps must increase, got 0, 60, 30"):
            piecewise({0: 1.0, 60: 0.1, 30: 0.5})

    def test_bounds_that_leave_nothing(self):
        for high in (0.5, 0.1, math.nan, "1", None, True):
            with pytest.raises(ScheduleError, match=r"high must be above low=0\.5, got"):
                FACTOR.clip(0.5, high)

    def test_shifts(self):
        for by in (math.nan, math.inf, -math.inf, "1", None, True):
            with pytest.raises(ScheduleError, match="got"):
                FACTOR.shift(by)
        assert FACTOR.shift(0)(2) == FACTOR(2)

    def test_what_is_no_schedule(self):
        for wrong in ("cosine", None, True, [0.1], math.nan, -0.1, lambda step: 0.1):
            with pytest.raises(ScheduleError):
                Rate(wrong)
        with pytest.raises(ScheduleError, match=r"Rate.from_function\(f\)"):
            Rate(lambda step: 0.1)
        with pytest.raises(ScheduleError, match="function of the step"):
            Rate.from_function(0.1)
        with pytest.raises(ScheduleError, match="goes on with a Factor"):
            FACTOR.then("cosine")
        with pytest.raises(ScheduleError, match="say where the other begins"):
            constant(1.0).then(FACTOR)

    @pytest.mark.parametrize("wrong", [-1, -0.5, math.nan], ids=repr)
    def test_steps_count_from_zero(self, wrong):
        with pytest.raises(ScheduleError, match="steps count from 0, got"):
            RATE(wrong)

    @pytest.mark.parametrize("wrong", ["1", None, [1], 1j, np.array([1, 2])], ids=repr)
    def test_a_step_is_a_number(self, wrong):
        with pytest.raises(TypeError, match=r"takes a step as a plain number, got"):
            RATE(wrong)

    def test_whole_numbers_of_any_library_are_steps(self):
        for step in (3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), np.float64(3.0)):
            assert RATE(step) == RATE(3)
            assert type(RATE(step)) is float

    def test_numbers_of_numpy_are_numbers(self):
        made = Factor.cosine(np.float32(1), np.int64(0), steps=np.int32(10), power=np.float32(2)).warmup(np.uint8(3))
        made = made.repeat(np.int64(2), stretch=np.float32(2)).then(np.float64(0.5), at=np.int64(50))
        assert Factor.from_json(made.to_json()) == made
        assert made == cosine(steps=10, power=2).warmup(3).repeat(2, stretch=2).then(0.5, at=50)

    @pytest.mark.parametrize(
        "nonsense", [None, "0.1", math.nan, math.inf, -0.1, 1j, [], {}, np.array([1.0, 2.0])], ids=repr
    )
    def test_a_function_that_gives_no_rate(self, nonsense):
        for schedule in (Rate.from_function(lambda step: nonsense), Factor.from_function(lambda step: nonsense)):
            with pytest.raises(ScheduleError, match=r"gives .* at step 3; a (rate|factor) is"):
                schedule(3)

    def test_a_function_may_give_any_number(self):
        for number in (1, np.float32(1), np.int64(1), torch.tensor(1.0), np.array(1.0)):
            assert Rate.from_function(lambda step, number=number: number)(0) == 1.0

    def test_a_functions_own_error_is_its_own(self):
        with pytest.raises(KeyError):
            Rate.from_function({}.__getitem__)(3)

    def test_numbers_too_large_are_refused_in_words(self):
        with pytest.raises(ScheduleError, match="gives no number at step 5000"):
            exponential(decay=2.0)(5000)
        with pytest.raises(ScheduleError, match="finite"):
            Rate.constant(1e308).scaled(1e10)(0)


# -- the frameworks' own ---------------------------------------------------------------------------


def stepping(*rates, **options):
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, **options)


def rates_of(optimizer, scheduler, count):
    """Give each group's rates, read from the optimizer at each update."""
    found = []
    for k in range(count):
        found.append([group["lr"] for group in optimizer.param_groups])
        if k + 1 < count:
            optimizer.step()
            scheduler.step()
    return [list(rates) for rates in zip(*found, strict=True)]


def sequential(optimizer, schedulers, milestones):
    return lr_scheduler.SequentialLR(optimizer, schedulers, milestones)


BASE = 0.3
L = lr_scheduler

TORCH = {
    "LambdaLR": (lambda o: L.LambdaLR(o, lambda k: 0.9**k), exponential(decay=0.9)),
    "MultiplicativeLR": (lambda o: L.MultiplicativeLR(o, lambda k: 0.9), exponential(decay=0.9)),
    "StepLR": (lambda o: L.StepLR(o, 7, 0.3), exponential(decay=0.3, every=7, staircase=True)),
    "MultiStepLR": (lambda o: L.MultiStepLR(o, [5, 9, 20], 0.3), piecewise({0: 1.0, 5: 0.3, 9: 0.09, 20: 0.027})),
    "ConstantLR": (lambda o: L.ConstantLR(o), piecewise({0: 1 / 3, 5: 1.0})),
    "LinearLR": (lambda o: L.LinearLR(o, 0.2, 0.9, 13), linear(0.2, 0.9, steps=13)),
    "ExponentialLR": (lambda o: L.ExponentialLR(o, 0.95), exponential(decay=0.95)),
    "PolynomialLR": (lambda o: L.PolynomialLR(o, 30, 1.7), polynomial(steps=30, power=1.7)),
    "CosineAnnealingLR": (lambda o: L.CosineAnnealingLR(o, 17), cosine(steps=17).after("mirror")),
    "CosineAnnealingLR, eta_min": (
        lambda o: L.CosineAnnealingLR(o, 17, 0.03),
        cosine(1.0, 0.1, steps=17).after("mirror"),
    ),
    "CosineAnnealingWarmRestarts": (lambda o: L.CosineAnnealingWarmRestarts(o, 7, 2), restarts(steps=7, stretch=2)),
    "CosineAnnealingWarmRestarts, eta_min": (
        lambda o: L.CosineAnnealingWarmRestarts(o, 7, 1, 0.03),
        restarts(steps=7, end=0.1),
    ),
    "CyclicLR": (
        lambda o: L.CyclicLR(o, 0.03, BASE, 7, 11, cycle_momentum=False),
        cyclic(0.1, up=7, down=11),
    ),
    "CyclicLR, triangular2": (
        lambda o: L.CyclicLR(o, 0.03, BASE, 7, mode="triangular2", cycle_momentum=False),
        cyclic(0.1, up=7, scale=0.5),
    ),
    "CyclicLR, exp_range": (
        lambda o: L.CyclicLR(o, 0.03, BASE, 7, mode="exp_range", gamma=0.97, cycle_momentum=False),
        cyclic(0.1, up=7, decay=0.97),
    ),
    "OneCycleLR": (lambda o: L.OneCycleLR(o, BASE, 90, cycle_momentum=False), one_cycle(steps=90)),
    "OneCycleLR, linear": (
        lambda o: L.OneCycleLR(o, BASE, 90, pct_start=0.45, anneal_strategy="linear", cycle_momentum=False),
        one_cycle(steps=90, up=0.45, curve="linear"),
    ),
    "OneCycleLR, three_phase": (
        lambda o: L.OneCycleLR(o, BASE, 90, three_phase=True, cycle_momentum=False),
        cosine(0.04, 1.0, steps=26).then(cosine(1.0, 0.04, steps=26)).then(cosine(0.04, 4e-6, steps=37)),
    ),
    "SequentialLR": (
        lambda o: sequential(o, [L.LinearLR(o, 0.1, 1.0, 10), L.CosineAnnealingLR(o, 80)], [10]),
        linear(0.1, 1.0, steps=10).then(cosine(steps=80)),
    ),
    "ChainedScheduler": (
        lambda o: L.ChainedScheduler([L.LinearLR(o, 0.1, 1.0, 10), L.ExponentialLR(o, 0.97)]),
        linear(0.1, 1.0, steps=10) * exponential(decay=0.97),
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_pytorch_means_the_same(name):
    make, factor = TORCH[name]
    optimizer = stepping(BASE)
    (theirs,) = rates_of(optimizer, make(optimizer), 90)
    assert (BASE * factor).table(90) == pytest.approx(theirs, rel=1e-10, abs=1e-13 * BASE)


def test_pytorchs_cosine_rises_again_and_ours_does_not():
    optimizer = stepping(BASE)
    (theirs,) = rates_of(optimizer, L.CosineAnnealingLR(optimizer, 10), 21)
    plain = BASE * cosine(steps=10)
    assert plain.table(11) == pytest.approx(theirs[:11], abs=1e-13)
    assert plain(20) == 0.0
    assert theirs[20] == pytest.approx(BASE)


def keras_values(schedule, count=90):
    """Give what a Keras schedule gives at the first updates."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        found = jax.jit(jax.vmap(schedule))(keras.ops.arange(count, dtype="int32"))
        return [float(value) for value in keras.ops.convert_to_numpy(found)]
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(count)]


def keras_schedules():
    from keras.optimizers import schedules as k

    return {
        "ExponentialDecay": (k.ExponentialDecay(BASE, 20, 0.5), exponential(decay=0.5, every=20)),
        "ExponentialDecay, staircase": (
            k.ExponentialDecay(BASE, 20, 0.5, staircase=True),
            exponential(decay=0.5, every=20, staircase=True),
        ),
        "InverseTimeDecay": (k.InverseTimeDecay(BASE, 20, 0.5), inverse(decay=0.5, every=20)),
        "InverseTimeDecay, staircase": (
            k.InverseTimeDecay(BASE, 20, 0.5, staircase=True),
            inverse(decay=0.5, every=20, staircase=True),
        ),
        "PolynomialDecay": (k.PolynomialDecay(BASE, 60, 0.03, 2.0), polynomial(1.0, 0.1, steps=60, power=2.0)),
        "PiecewiseConstantDecay": (
            k.PiecewiseConstantDecay([29, 59], [BASE, 0.1 * BASE, 0.01 * BASE]),
            piecewise({0: 1.0, 30: 0.1, 60: 0.01}),
        ),
        "CosineDecay": (k.CosineDecay(BASE, 60, alpha=0.1), cosine(1.0, 0.1, steps=60)),
        "CosineDecay, warm-up": (
            k.CosineDecay(0.03, 60, 0.1, warmup_target=BASE, warmup_steps=20),
            cosine(1.0, 0.1, steps=60).warmup(20, init=0.1),
        ),
        "CosineDecayRestarts": (
            k.CosineDecayRestarts(BASE, 10, m_mul=0.8, alpha=0.1),
            restarts(steps=10, end=0.1, stretch=2, scale=0.8),
        ),
    }


def test_keras_means_the_same():
    found = keras_schedules()
    for name, (schedule, factor) in found.items():
        assert (BASE * factor).table(90) == pytest.approx(keras_values(schedule), rel=1e-6, abs=2e-7 * BASE), name
    assert len(found) == 9


OPTAX = {
    "constant": (optax.constant_schedule(BASE), constant(1.0)),
    "linear": (optax.linear_schedule(BASE, 0.03, 50, 10), linear(1.0, 0.1, steps=50).shift(-10)),
    "polynomial": (optax.polynomial_schedule(BASE, 0.03, 2.0, 50), polynomial(1.0, 0.1, steps=50, power=2.0)),
    "cosine_decay": (
        optax.cosine_decay_schedule(BASE, 50, alpha=0.1, exponent=2.0),
        cosine(1.0, 0.0, steps=50, power=2.0).scaled(0.9).raised(0.1),
    ),
    "exponential_decay": (optax.exponential_decay(BASE, 20, 0.5), exponential(decay=0.5, every=20)),
    "exponential_decay, staircase": (
        optax.exponential_decay(BASE, 20, 0.5, transition_begin=5, staircase=True, end_value=0.1),
        exponential(decay=0.5, every=20, staircase=True).shift(-5).clip(low=1 / 3),
    ),
    "piecewise_constant": (
        optax.piecewise_constant_schedule(BASE, {30: 0.1, 60: 0.1}),
        piecewise({0: 1.0, 30: 0.1, 60: 0.01}),
    ),
    "piecewise_interpolate": (
        optax.piecewise_interpolate_schedule("cosine", BASE, {30: 0.1, 60: 5.0}),
        piecewise({0: 1.0, 30: 0.1, 60: 0.5}, between="cosine"),
    ),
    "cosine_onecycle": (
        optax.cosine_onecycle_schedule(80, BASE),
        piecewise({0: 0.04, 24: 1.0, 80: 4e-6}, between="cosine"),
    ),
    "linear_onecycle": (
        optax.linear_onecycle_schedule(80, BASE),
        piecewise({0: 0.04, 24: 1.0, 68: 0.04, 80: 4e-6}, between="linear"),
    ),
    "warmup_constant": (optax.warmup_constant_schedule(0.0, BASE, 20), constant(1.0).warmup(20)),
    "warmup_cosine_decay": (
        optax.warmup_cosine_decay_schedule(0.03, BASE, 20, 80, 0.03),
        cosine(1.0, 0.1, steps=60).warmup(20, init=0.1),
    ),
    "warmup_exponential_decay": (
        optax.warmup_exponential_decay_schedule(0.0, BASE, 20, 30, 0.5),
        exponential(decay=0.5, every=30).warmup(20),
    ),
    "sgdr": (
        optax.sgdr_schedule(
            [
                {"init_value": 0.0, "peak_value": peak, "warmup_steps": 5, "decay_steps": length}
                for peak, length in ((BASE, 20), (BASE / 2, 40), (BASE / 4, 80))
            ]
        ),
        cosine(steps=15)
        .warmup(5)
        .then(cosine(0.5, 0.0, steps=35).warmup(5))
        .then(cosine(0.25, 0.0, steps=75).warmup(5)),
    ),
    "join": (
        optax.join_schedules([optax.constant_schedule(BASE), optax.linear_schedule(BASE, 0.0, 30)], [40]),
        constant(1.0).then(linear(steps=30), at=40),
    ),
}


@pytest.mark.parametrize("name", OPTAX)
def test_optax_means_the_same(name):
    import jax

    theirs, factor = OPTAX[name]
    found = np.asarray(jax.jit(jax.vmap(theirs))(np.arange(90, dtype=np.int32)))
    assert (BASE * factor).table(90) == pytest.approx([float(value) for value in found], rel=1e-6, abs=2e-7 * BASE)


def hf_warm(length, rest):
    return lambda k: k / length if k < length else rest(k - length)


#: As transformers and timm have them, written from their formulas.
FORMULAS = {
    "linear": (hf_warm(10, lambda k: max(0, (80 - k) / 80)), linear(steps=80).warmup(10)),
    "cosine": (
        hf_warm(10, lambda k: (1 + math.cos(math.pi * k / 60)) / 2),
        cosine(steps=60).after("mirror").warmup(10),
    ),
    "cosine_with_restarts": (
        hf_warm(10, lambda k: 0.0 if k >= 60 else (1 + math.cos(math.pi * (k / 20 % 1))) / 2),
        cosine(steps=20).repeat(3).warmup(10),
    ),
    "polynomial": (
        hf_warm(10, lambda k: (BASE - 1e-7) / BASE * max(1 - k / 60, 0) ** 2 + 1e-7 / BASE),
        polynomial(1.0, 1e-7 / BASE, steps=60, power=2.0).warmup(10),
    ),
    "constant_with_warmup": (hf_warm(10, lambda k: 1.0), constant(1.0).warmup(10)),
    "inverse_sqrt": (hf_warm(10, lambda k: 1 / math.sqrt((k + 10) / 10)), inverse_sqrt(warmup=10)),
    "cosine_with_min_lr": (
        hf_warm(10, lambda k: (1 + math.cos(math.pi * min(k, 80) / 80)) / 2 * 0.9 + 0.1),
        cosine(1.0, 0.1, steps=80).warmup(10),
    ),
    "cosine_warmup_with_min_lr": (
        lambda k: (k + 1) / 10 if k < 10 else (1 + math.cos(math.pi * (k - 9) / 80)) / 2,
        linear(0.0, 1.0, steps=10).shift(1).then(cosine(steps=80).shift(1), at=10),
    ),
    "warmup_stable_decay": (
        hf_warm(10, lambda k: 1.0 if k < 60 else (1 + math.cos(math.pi * min((k - 60) / 20, 1))) / 2),
        wsd(warmup=10, stable=60, decay=20, curve="cosine"),
    ),
    "timm cosine, replaced warm-up": (
        lambda k: 1e-3 + (1 - 1e-3) * k / 10 if k < 10 else (1 + math.cos(math.pi * k / 90)) / 2,
        linear(1e-3, 1.0, steps=10).then(cosine(steps=90).shift(10), at=10),
    ),
    "timm step": (lambda k: 0.5 ** (k // 30), exponential(decay=0.5, every=30, staircase=True)),
    "timm multistep": (
        lambda k: 0.1 ** ((k + 1 >= 30) + (k + 1 >= 60)),
        piecewise({0: 1.0, 29: 0.1, 59: 0.01}),
    ),
    "timm poly": (lambda k: 0.01 + 0.99 * (1 - min(k, 80) / 80) ** 0.5, polynomial(1.0, 0.01, steps=80, power=0.5)),
    "timm cosine, cycles": (
        lambda k: (1 + math.cos(math.pi * (k % 30) / 30)) / 2 * 0.5 ** (k // 30),
        restarts(steps=30, scale=0.5),
    ),
    "noam": (lambda k: 512**-0.5 * min((k + 1) ** -0.5, (k + 1) * 40**-1.5), noam(warmup=40, dimension=512)),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formulas_of_others_mean_the_same(name):
    formula, factor = FORMULAS[name]
    assert factor.table(90) == pytest.approx([formula(k) for k in range(90)], rel=1e-12, abs=1e-15)
