"""A range test finds the rates at which a model learns, says when it cannot, and leaves no trace."""

from __future__ import annotations

import copy
import itertools
import math
import os
import random
import subprocess
import sys
import textwrap
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from choritsu.errors import ScheduleError
from choritsu.schedules.finding.batches import batches_of
from choritsu.schedules.finding.rate_range import Divergence, RateRange, read_range
from choritsu.schedules.finding.sweeping import find_rate


def rates(count=100, low=1e-7, high=10.0):
    return [low * (high / low) ** (k / (count - 1)) for k in range(count)]


def loss_at(rate, edge=0.01, cliff=0.5):
    """Falls from 2.3 to 0.8 around `edge`, and rises again at `cliff`."""
    return 2.3 - 1.5 / (1 + (edge / rate) ** 1.5) + (rate / cliff) ** 3


def noisy(seed, count=100, noise=0.05, spikes=0.0, **curve):
    chance = random.Random(seed)
    losses = []
    for rate in rates(count):
        loss = loss_at(rate, **curve)
        if loss > 8:
            break
        losses.append(loss + chance.gauss(0, noise) + (chance.random() < spikes) * 50)
    return losses


class TestTheRule:
    def test_the_edges_of_a_known_curve(self):
        found = read_range(rates(), [[loss_at(rate) for rate in rates()]])
        # A tenth of the fall is done at 0.0023, nine tenths at about 0.04; the steepest place is at 0.01.
        assert 0.0008 < found.low < 0.0025
        assert 0.02 < found.high < 0.06
        assert found.low < found.suggested <= 0.0101
        assert 0.5 < found.diverged < 1.5

    @pytest.mark.parametrize("count", [40, 100, 400])
    @pytest.mark.parametrize("seed", range(5))
    def test_noise_and_bad_batches_do_not_fool_it(self, count, seed):
        losses = [noisy(100 * seed + one, count, noise=0.15, spikes=0.02) for one in range(3)]
        losses[0][:2] = [400.0, 90.0]
        found = read_range(rates(count), losses)
        assert 1e-4 < found.low < 0.004
        assert 0.001 < found.suggested < 0.011
        assert 0.01 < found.high < 0.1

    def test_one_seed_that_diverges_early_does_not_decide(self):
        good = [noisy(1), noisy(2)]
        found = read_range(rates(), [*good, noisy(3)[:50]])
        assert found.by_seed[2] is None
        assert found.suggested == pytest.approx(read_range(rates(), [*good, noisy(3)]).suggested, rel=1)

    def test_a_cliff_does_not_hide_the_fall_before_it(self):
        losses = [2.3 - 0.6 * max(math.log10(rate), -1) - 0.6 if rate < 0.8 else 10.0 + rate for rate in rates()]
        found = read_range(rates(), [losses])
        assert 0.05 < found.low < found.suggested < found.high < 0.8
        assert 0.8 < found.diverged < 2.0

    @given(st.floats(0.01, 1000.0), st.floats(-1000.0, 1000.0))
    def test_the_scale_and_level_of_the_loss_do_not_matter(self, scale, level):
        # A fall is measured against the level of a loss that is far above it.
        level = level * scale
        losses = [[scale * loss + level for loss in noisy(seed, noise=0.02)] for seed in range(3)]
        here, there = read_range(rates(), losses), read_range(rates(), [noisy(seed, noise=0.02) for seed in range(3)])
        assert here.bounds == pytest.approx(there.bounds, rel=1e-6)

    @given(st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=60))
    def test_any_curve_gives_a_range_in_order_or_a_reason(self, losses):
        tried = rates(len(losses))
        with suppress(ScheduleError):
            found = read_range(tried, [losses])
            assert tried[0] <= found.low < found.suggested <= found.high <= tried[-1]
            assert found.by_seed == (found.suggested,)

    def test_noise_alone_is_refused(self):
        refused = 0
        for seed in range(50):
            chance = random.Random(seed)
            try:
                read_range(rates(), [[2 + chance.gauss(0, 0.2) for _ in rates()] for _ in range(3)])
            except ScheduleError:
                refused += 1
        assert refused >= 49

    @pytest.mark.parametrize(
        ("losses", "reason"),
        [
            ([2.0] * 19, "at least 20 rates, got 19"),
            ([2.0] * 100, "did not fall up to a rate of 10 .*raise high, to 1e\\+03"),
            ([2.0] * 15, "diverged at a rate of 1.6e-06, after 15 of 100 steps, and 20 are wanted: lower low"),
            ([], "not finite at the first rate, 1e-07: look at the data"),
            (
                [loss_at(rate, edge=1e9) for rate in rates()],
                "did not fall before it diverged at a rate of .*: take larger batches",
            ),
            ([2.0 if rate < 3e-6 else 99.0 for rate in rates()], "20 are wanted: lower low, to 1e-09"),
            (
                [2.0 if rate < 2e-5 else 99.0 for rate in rates()],
                "did not fall before it diverged at a rate of 2.2e-05 .*lower low",
            ),
            ([2 + 1e6 * rate * rate for rate in rates()], "did not fall before .*: take larger batches"),
            ([loss_at(rate, edge=1e-9) for rate in rates()], "did not fall"),
            ([loss_at(rate, edge=2e-7) for rate in rates()], "falls fastest at the lowest .*lower low"),
            ([loss_at(rate, edge=8.0, cliff=1e9) for rate in rates()], "falls fastest at the highest .*raise high"),
        ],
    )
    def test_a_curve_that_says_nothing_is_refused_with_a_reason(self, losses, reason):
        tried = rates(19) if len(losses) == 19 else rates()
        with pytest.raises(ScheduleError, match=reason):
            read_range(tried, [losses])

    def test_it_reads_well(self):
        from rich.console import Console

        found = read_range(rates(), [noisy(0), noisy(1)])
        console = Console(width=70)
        with console.capture() as captured:
            console.print(found)
        assert f"{found.low:.2g} to {found.high:.2g}" in captured.get()
        assert "geometric" in captured.get()
        assert repr(found).startswith("RateRange(low=")
        assert found.rate(0) == found.suggested
        assert found == read_range(rates(), [noisy(0), noisy(1)])
        assert hash(found) == hash(read_range(rates(), [noisy(0), noisy(1)]))


class TestDivergence:
    def test_losses_below_zero_may_fall(self):
        watch = Divergence()
        assert not any(watch.add(-float(k)) for k in range(100))

    def test_a_loss_that_is_gone_ends_the_sweep(self):
        watch = Divergence()
        assert not any(watch.add(2.0) for _ in range(10))
        assert any(watch.add(9.0) for _ in range(5))
        assert len(watch.losses) < 15

    def test_a_bad_batch_does_not(self):
        watch = Divergence()
        assert not any(watch.add(500.0 if k % 7 == 1 else 2.0) for k in range(50))


class TestBatches:
    def test_every_sample_comes_once_in_a_pass_in_another_order(self):
        x = np.arange(12)
        made = batches_of(x, 2 * x, 4, seed=0)
        first, second = ([next(made) for _ in range(3)] for _ in range(2))
        assert sorted(np.concatenate([inputs for inputs, _ in first])) == list(range(12))
        assert [list(inputs) for inputs, _ in first] != [list(inputs) for inputs, _ in second]
        assert all((2 * inputs == targets).all() for inputs, targets in first)

    def test_structures_and_tables_are_cut_alike(self):
        import pandas as pd

        x = {"a": np.arange(8), "b": pd.DataFrame({"c": range(8), "d": range(8)})}
        inputs, targets = next(batches_of(x, np.arange(8), 3, seed=1))
        assert list(inputs["a"]) == list(targets) == list(inputs["b"]["d"])

    @pytest.mark.parametrize(
        ("data", "targets", "reason"),
        [
            (np.zeros(3), np.zeros(4), "same number of samples, got 3, 4"),
            (np.zeros(0), np.zeros(0), "same number of samples, got 0"),
            ([], None, "list yields no batches"),
            (iter([1]), None, "iterated once only"),
            ([np.zeros(3)], [1, 2], "arrays or tensors are wanted"),
        ],
    )
    def test_what_cannot_be_cut_is_refused(self, data, targets, reason):
        with pytest.raises(ScheduleError, match=reason):
            next(batches_of(data, targets, 2, seed=0))


class Interrupting:
    """A loss that stops the sweep on its way."""

    def __init__(self, loss, error, after=30):
        self.loss, self.error, self.after = loss, error, after

    def __call__(self, *values):
        self.after -= 1
        if self.after < 0:
            raise self.error
        return self.loss(*values)


class TestTorch:
    @pytest.fixture
    def torch(self):
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        threads = torch.get_num_threads()
        # So small a model is slower on many of them.
        torch.set_num_threads(1)
        yield torch
        torch.set_num_threads(threads)

    def made(self, torch, digits, *, warm=True):
        """A model with batch statistics and dropout, an optimizer in the middle of its work, and a loader."""
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        layers = torch.nn
        model = layers.Sequential(
            layers.Flatten(), layers.Linear(64, 32), layers.BatchNorm1d(32), layers.ReLU(), layers.Dropout(0.2),
            layers.Linear(32, 10),
        )  # fmt: skip
        model[4].eval()
        groups = [{"params": model[1].parameters()}, {"params": [*model[2].parameters(), *model[5].parameters()],
                                                     "lr": 0.005}]  # fmt: skip
        optimizer = torch.optim.AdamW(groups, lr=0.01)
        data = torch.utils.data.TensorDataset(torch.from_numpy(digits.x), torch.from_numpy(digits.y).long())
        generator = torch.Generator().manual_seed(5)
        loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, generator=generator)
        if warm:
            self.train(torch, model, optimizer, loader, 1)
        return model, optimizer, loader

    def train(self, torch, model, optimizer, loader, epochs):
        losses = []
        for _ in range(epochs):
            for x, y in loader:
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(float(loss.detach()))
        return losses

    def state(self, torch, model, optimizer):
        return copy.deepcopy(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "modes": [module.training for module in model.modules()],
                "gradients": [one.grad for one in model.parameters()],
                "drawn": (random.random(), np.random.random(), float(torch.rand(1))),
            }
        )

    def same(self, torch, one, other):
        flat = [torch.utils._pytree.tree_flatten(state) for state in (one, other)]
        assert str(flat[0][1]) == str(flat[1][1])
        for here, there in zip(flat[0][0], flat[1][0], strict=True):
            assert torch.equal(here, there) if isinstance(here, torch.Tensor) else here == there

    def test_a_training_after_it_is_the_same_to_the_last_bit(self, torch, digits):
        model, optimizer, loader = self.made(torch, digits)
        expected = self.train(torch, model, optimizer, loader, 2), self.state(torch, model, optimizer)
        model, optimizer, loader = self.made(torch, digits)
        held = optimizer.param_groups[0], optimizer.state[model[1].weight]["exp_avg"], model[2].running_mean
        found = find_rate(model, loader, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), low=1e-6, seeds=2)
        assert isinstance(found, RateRange)
        # Not only equal: the very objects that others may hold.
        assert held[0] is optimizer.param_groups[0]
        assert held[1] is optimizer.state[model[1].weight]["exp_avg"]
        assert held[2] is model[2].running_mean
        assert self.train(torch, model, optimizer, loader, 2) == expected[0]
        self.same(torch, self.state(torch, model, optimizer), expected[1])

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")], ids=["stop", "error"])
    @pytest.mark.parametrize("warm", [True, False], ids=["warm", "new"])
    def test_also_when_it_is_interrupted(self, torch, digits, error, warm):
        model, optimizer, loader = self.made(torch, digits, warm=warm)
        before = self.state(torch, model, optimizer)
        model, optimizer, loader = self.made(torch, digits, warm=warm)
        loss = Interrupting(torch.nn.CrossEntropyLoss(), error)
        with pytest.raises(type(error)):
            find_rate(model, loader, optimizer=optimizer, loss=loss)
        self.same(torch, self.state(torch, model, optimizer), before)

    def test_two_runs_agree_whatever_random_numbers_were_drawn_before(self, torch, digits):
        found = []
        for draws in (1, 2):
            model, optimizer, loader = self.made(torch, digits)
            torch.rand(draws)
            loss = torch.nn.CrossEntropyLoss()
            found.append(find_rate(model, loader, optimizer=optimizer, loss=loss, low=1e-5, steps=60, seeds=2))
        assert found[0] == found[1]
        assert found[0].losses[0] != found[0].losses[1]

    def test_what_it_finds_learns(self, torch, digits):
        model, optimizer, _ = self.made(torch, digits, warm=False)
        x, y = torch.from_numpy(digits.x), torch.from_numpy(digits.y).long()
        found = find_rate(model, x, y, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), low=1e-6)
        ends = {}
        for name, rate in (("tiny", found.low / 100), ("good", found.suggested), ("huge", 100 * found.high)):
            model, optimizer, loader = self.made(torch, digits, warm=False)
            for group in optimizer.param_groups:
                group["lr"] = rate
            ends[name] = sum(self.train(torch, model, optimizer, loader, 5)[-6:]) / 6
        assert ends["good"] < 0.5 * min(ends["tiny"], ends["huge"])

    def test_groups_keep_their_proportion(self, torch, digits):
        model, optimizer, loader = self.made(torch, digits)
        seen = []

        def watched(output, target):
            seen.append(tuple(group["lr"] for group in optimizer.param_groups))
            return torch.nn.functional.cross_entropy(output, target)

        find_rate(model, loader, optimizer=optimizer, loss=watched, seeds=1)
        assert seen[0][0] == pytest.approx(1e-7)
        assert all(first == pytest.approx(2 * second) for first, second in seen)

    def test_modes_are_kept_in_training_and_a_model_in_use_is_trained(self, torch, digits):
        model, optimizer, loader = self.made(torch, digits, warm=False)
        seen = set()

        def watched(output, target):
            seen.add((model.training, model[2].training))
            return torch.nn.functional.cross_entropy(output, target)

        for change in (model.train, model[2].eval, model.eval):
            change()
            find_rate(model, loader, optimizer=optimizer, loss=watched, low=1e-6, seeds=1)
            assert model.training == (change != model.eval)
            assert model[2].training == (change == model.train)
        assert seen == {(True, True), (True, False)}

    def test_a_scheduler_that_has_lowered_the_rate_does_not_matter(self, torch, digits):
        model, optimizer, loader = self.made(torch, digits, warm=False)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: k / 10)
        assert optimizer.param_groups[0]["lr"] == 0.0
        find_rate(model, loader, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), low=1e-6, seeds=1)
        assert optimizer.param_groups[0]["lr"] == 0.0
        self.train(torch, model, optimizer, loader, 1)
        scheduler.step()
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)

    def test_a_rate_that_is_a_tensor_is_given_back(self, torch, digits):
        model, _, loader = self.made(torch, digits, warm=False)
        rate = torch.tensor(0.01)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        find_rate(model, loader, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), low=1e-6, seeds=1)
        assert optimizer.param_groups[0]["lr"] is rate
        assert float(rate) == pytest.approx(0.01)

    def test_batches_of_any_form_with_a_loss_of_their_own(self, torch, digits):
        model, optimizer, loader = self.made(torch, digits, warm=False)
        batches = [{"pixels": x, "digit": y} for x, y in loader]
        assert find_rate(
            model,
            batches,
            optimizer=optimizer,
            batch_loss=lambda model, batch: torch.nn.functional.cross_entropy(model(batch["pixels"]), batch["digit"]),
            low=1e-6,
            seeds=1,
        )
        with torch.no_grad(), pytest.raises(ScheduleError, match="yields dict, not pairs"):
            find_rate(model, batches, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss())

    def test_labels_that_nobody_can_learn_are_refused(self, torch, digits):
        model, optimizer, loader = self.made(torch, digits, warm=False)
        noise = [(x, torch.randint(0, 10, (len(x),))) for _ in range(30) for x, _ in loader]
        with pytest.raises(ScheduleError, match="did not fall"):
            find_rate(model, noise, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), low=1e-6)

    def test_a_loader_with_lasting_workers_goes_on_as_before(self, torch, digits):
        def run(tested):
            model, optimizer, loader = self.made(torch, digits, warm=False)
            # Forked from this process, with all the threads that JAX has in it, they might never begin.
            loader = torch.utils.data.DataLoader(
                loader.dataset,
                64,
                shuffle=True,
                num_workers=1,
                persistent_workers=True,
                multiprocessing_context="forkserver",
            )
            losses = self.train(torch, model, optimizer, loader, 1)
            iterator = loader._iterator
            if tested:
                find_rate(model, loader, optimizer=optimizer, loss=torch.nn.CrossEntropyLoss(), low=1e-3, high=1e3,
                          steps=40, seeds=1)  # fmt: skip
            assert loader._iterator is iterator
            return losses + self.train(torch, model, optimizer, loader, 1)

        assert run(tested=True) == run(tested=False)

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"optimizer": None}, "needs its optimizer"),
            ({"optimizer": "adam"}, "needs its optimizer"),
            ({"loss": "ce"}, "loss is a function of PyTorch's, such as loss=torch.nn.CrossEntropyLoss"),
            ({"loss": None}, "needs its loss"),
            ({"batch_loss": print}, "give one of the two"),
            ({"low": 0.0}, "low, above 0"),
            ({"high": 1e-8}, "low, above 0"),
            ({"steps": 19}, "at least 20 rates"),
            ({"seeds": 0}, "at least 1, got 0"),
            ({"batch_size": 0}, "batch_size must be at least 1"),
            ({"sample_weight": [1]}, "for Keras"),
            ({"data": "x"}, "need their targets"),
            ({"model": "x"}, "a Keras model or a PyTorch module, got str"),
        ],
    )
    def test_what_cannot_be_is_refused(self, torch, digits, arguments, reason):
        model, optimizer, loader = self.made(torch, digits, warm=False)
        if arguments.get("data") == "x":
            arguments = {"data": torch.zeros(3)}
        given = {"model": model, "data": loader, "optimizer": optimizer, "loss": torch.nn.CrossEntropyLoss()}
        with pytest.raises(ScheduleError, match=reason):
            find_rate(**{**given, **arguments})

    def test_models_and_optimizers_that_do_not_fit_are_refused(self, torch):
        model, other, lazy = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1), torch.nn.LazyLinear(1)
        x, loss, sgd = torch.zeros(4, 2), torch.nn.MSELoss(), torch.optim.SGD
        for used, optimizer, reason in (
            (model, sgd(other.parameters(), 0.1), "trains none of the model's"),
            (model, torch.optim.LBFGS(model.parameters()), "LBFGS"),
            (lazy, sgd([*model.parameters()], 0.1), "lazy layers"),
        ):
            with pytest.raises(ScheduleError, match=reason):
                find_rate(used, x, x[:, :1], optimizer=optimizer, loss=loss)


#: Everything that a training leaves behind, with and without a range test before it.
BIT_BY_BIT = """
import random

import keras
import numpy as np
from choritsu.schedules.finding.sweeping import find_rate
from choritsu.schedules.finding.rate_range import RateRange


def made(rate, built):
    keras.utils.set_random_seed(4)
    layers = keras.layers
    model = keras.Sequential([
        *([layers.Input((8, 8))] if built else []),
        layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.Activation("relu"), layers.Dropout(0.3),
        layers.Dense(10, kernel_regularizer="l2"),
    ])
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    return model


def left(model, history):
    keras_draw = keras.ops.convert_to_numpy(keras.random.normal((2,)))
    variables = [*model.variables, *model.optimizer.variables]
    return [
        *(keras.ops.convert_to_numpy(one) for one in variables), np.asarray(history["loss"]), keras_draw,
        np.asarray([random.random(), np.random.random()]),
    ]


def check(rate, built, warm):
    ends = []
    for tested in (False, True):
        model = made(rate, built)
        if warm:
            model.fit(x, y, verbose=0)
        optimizer, train_function = model.optimizer, model.train_function
        if tested:
            found = find_rate(model, x, y, low=1e-5, steps=STEPS, seeds=SEEDS)
            assert found.low < found.suggested <= found.high, found
            assert model.optimizer is optimizer
            assert model.train_function is train_function
            assert optimizer.built == bool(warm)
        ends.append(left(model, model.fit(x, y, epochs=2, verbose=0).history))
    for without, with_it in zip(*ends, strict=True):
        np.testing.assert_array_equal(without, with_it)
"""


class TestKeras:
    @pytest.fixture
    def keras(self):
        return pytest.importorskip("keras")

    @pytest.fixture
    def program(self, digits):
        namespace = {"x": digits.x, "y": digits.y, "STEPS": 40, "SEEDS": 1}
        exec(BIT_BY_BIT, namespace)
        return namespace

    @pytest.mark.slow
    def test_a_training_after_it_is_the_same_to_the_last_bit(self, keras, program):
        program["check"](1e-3, built=True, warm=True)

    def test_also_of_a_model_that_is_not_built_and_follows_a_schedule(self, keras, program):
        rate = keras.optimizers.schedules.CosineDecay(1e-3, 100)
        program["check"](rate, built=False, warm=False)

    def test_a_warm_optimizer_that_follows_a_schedule_goes_on(self, keras, program, digits):
        model = program["made"](keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5), True)
        model.fit(digits.x, digits.y, verbose=0)
        before = [keras.ops.convert_to_numpy(one) for one in (*model.variables, *model.optimizer.variables)]
        find_rate(model, digits.x, digits.y, low=1e-5, steps=50, seeds=1)
        after = [keras.ops.convert_to_numpy(one) for one in (*model.variables, *model.optimizer.variables)]
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no such file")], ids=["stop", "error"])
    def test_also_when_it_is_interrupted(self, keras, program, digits, error):
        counter = itertools.count()

        class Batches(keras.utils.PyDataset):
            def __len__(self):
                return 6

            def __getitem__(self, index):
                if next(counter) == 30:
                    raise error
                place = slice(32 * index, 32 * index + 32)
                return digits.x[place], digits.y[place]

        model = program["made"](1e-3, True)
        before = [keras.ops.convert_to_numpy(one) for one in (*model.variables, *model.metrics_variables)]
        state = random.getstate()
        with pytest.raises(type(error)):
            find_rate(model, Batches())
        assert random.getstate() == state
        after = [keras.ops.convert_to_numpy(one) for one in (*model.variables, *model.metrics_variables)]
        assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=False))
        assert not model.optimizer.built
        assert model.train_function is None

    def test_a_loader_of_pytorch_feeds_any_backend(self, keras, program, digits):
        torch = pytest.importorskip("torch")
        data = torch.utils.data.TensorDataset(torch.from_numpy(digits.x), torch.from_numpy(digits.y))
        model, state = program["made"](1e-3, False), torch.get_rng_state()
        loader = torch.utils.data.DataLoader(data, 32, shuffle=True)
        assert find_rate(model, loader, low=1e-5, steps=50, seeds=1)
        assert torch.equal(torch.get_rng_state(), state)

    def test_sample_weights_count(self, keras, program, digits):
        model, wrong = program["made"](1e-3, True), digits.y.copy()
        wrong[::2] = 0
        weights = (np.arange(len(wrong)) % 2).astype("float32")
        found = find_rate(model, digits.x, wrong, sample_weight=weights, low=1e-5, steps=40, seeds=1)
        half = find_rate(model, digits.x, digits.y, sample_weight=weights, low=1e-5, steps=40, seeds=1)
        # What has no weight teaches nothing, be it right or wrong.
        assert found == half

    def test_what_cannot_be_is_refused(self, keras, program, digits):
        with pytest.raises(ScheduleError, match=r"call model.compile\(...\) first"):
            find_rate(keras.Sequential([keras.layers.Dense(1)]), digits.x, digits.y)
        model = program["made"](1e-3, True)
        with pytest.raises(ScheduleError, match="leave out optimizer"):
            find_rate(model, digits.x, digits.y, optimizer=model.optimizer)
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), "mse")
        with pytest.raises(ScheduleError, match="float16"):
            find_rate(model, digits.x, digits.y)

    @pytest.mark.slow
    @pytest.mark.parametrize("backend", ["tensorflow"])
    def test_on_other_backends(self, backend, tmp_path):
        program = (
            "from sklearn.datasets import load_digits\n"
            "pixels, y = load_digits(return_X_y=True)\n"
            "x, y, STEPS, SEEDS = (pixels[:192] / 16).reshape(-1, 8, 8).astype('float32'), y[:192], 40, 1\n"
            f"{textwrap.dedent(BIT_BY_BIT)}\n"
            "check(1e-3, built=True, warm=True)\n"
            "check(keras.optimizers.schedules.CosineDecay(1e-3, 100), built=False, warm=False)\n"
        )
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, run.stdout + run.stderr
