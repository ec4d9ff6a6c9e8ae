"""A search that is left in the middle goes on from there: pauses, budgets, Ctrl-C, states of any kind of training."""

from __future__ import annotations

import _thread
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import choritsu as ct
from choritsu.decisions import Done, Promote, Start
from choritsu.errors import CheckpointError, FatalRuntimeError, FatalTypeError
from choritsu.schedules import cosine, share
from choritsu.states import Keeper, Progress
from choritsu.stores import MemoryStore, load_checkpoint, open_store, packed, save_checkpoint
from choritsu.trials import Report, Reported, Status

EPOCHS = 6


class Stop(BaseException):
    """Ends a process in a test as a kill would, as far as the search can tell."""


def train(hp, trial, *, interrupt=lambda epoch, place: None, epochs=EPOCHS):
    """Train a small network on noise, with all that has a state: momentum, dropout, a schedule, an order of data."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(64, 8, generator=generator)
    y = x @ torch.randn(8, 1, generator=generator)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.3), torch.nn.Linear(16, 1)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    scheduler = cosine(1.0, 0.0, steps=share(1.0)).bind(horizon=trial.horizon or epochs).to_torch(optimizer)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=16, shuffle=True)
    state = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    for epoch in trial.epochs(epochs, state=state):
        rate = optimizer.param_groups[0]["lr"]
        interrupt(epoch, "begin")
        total = 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * (1 + 1e-3 * random.random() + 1e-3 * np.random.random())
        interrupt(epoch, "middle")
        trial.report(loss=total, rate=rate)
        interrupt(epoch, "end")
        scheduler.step()


def tuned(directory, function=train, **options):
    options = {"max_trials": 3, "seed": 5, "objective": ct.Objective("loss", "min"), **options}
    return ct.RandomSearch(function, directory=directory, **options)


def told(tuner):
    """Give all that came out, to the last bit."""
    reports = tuner._store.reports()
    return [
        (trial.values, trial.status, trial.result, [(r.execution, r.epoch, r.metrics) for r in reports[trial.number]])
        for trial in tuner.history
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    tuner = tuned(tmp_path_factory.mktemp("whole"))
    tuner.search(verbose=0)
    return tuner


@pytest.fixture
def saved_each_epoch(monkeypatch):
    """Save as if it cost nothing: the epochs of these tests are shorter than saving."""
    monkeypatch.setattr("choritsu.states.SHARE", 1.0)


@pytest.mark.usefixtures("saved_each_epoch")
class TestAnyLoop:
    @pytest.mark.parametrize(("epoch", "place"), [(0, "begin"), (1, "end"), (4, "middle"), (5, "begin"), (5, "end")])
    def test_an_interrupted_trial_ends_as_if_nothing_had_happened(self, tmp_path, whole, epoch, place):
        begun = []

        def interrupted(hp, trial):
            def interrupt(*now):
                begun.append((trial.number, now[0]))
                if trial.number == 1 and trial.attempt == 0 and now == (epoch, place):
                    raise Stop

            train(hp, trial, interrupt=interrupt)

        with pytest.raises(Stop):
            tuned(tmp_path, interrupted).search(verbose=0)
        tuner = tuned(tmp_path, interrupted)
        before = len(begun)
        tuner.search(verbose=0)
        assert told(tuner) == told(whole)
        # What was saved was not trained again.
        assert begun[before] == (1, epoch)
        for name, value in tuner.best_state()["model"].items():
            assert torch.equal(value, whole.best_state()["model"][name])

    def test_a_state_that_does_not_last_is_not_left_behind(self, whole):
        assert not list(Path(whole.project_dir).rglob("execution-*"))

    def test_the_best_state_is_that_of_the_best_epoch(self, whole):
        hp, model = whole.get_best_hyperparameters()[0], whole.best_state()["model"]
        assert set(model) >= {"0.weight", "3.bias"}
        assert hp.get("rate") == whole.history.best.values["rate"]

    def test_each_execution_goes_on_by_itself(self, tmp_path):
        def function(hp, trial):
            def interrupt(epoch, place):
                if (trial.execution, epoch, place, trial.attempt) == (1, 3, "middle", 0):
                    raise Stop

            train(hp, trial, interrupt=interrupt, epochs=4)

        options = {"max_trials": 1, "executions_per_trial": 3}
        with pytest.raises(Stop):
            tuned(tmp_path / "a", function, **options).search(verbose=0)
        again = tuned(tmp_path / "a", function, **options)
        again.search(verbose=0)
        plain = tuned(tmp_path / "b", lambda hp, trial: train(hp, trial, epochs=4), **options)
        plain.search(verbose=0)
        assert told(again) == told(plain)
        assert again.history[0].result.executions == 3

    def test_a_retry_begins_anew_with_a_seed_of_its_own(self, tmp_path):
        epochs = []

        def function(hp, trial):
            def interrupt(epoch, place):
                epochs.append(epoch)
                if (epoch, place, trial.attempt) == (2, "begin", 0):
                    raise ValueError("once")

            train(hp, trial, interrupt=interrupt)

        tuner = tuned(tmp_path, function, max_trials=1, max_retries_per_trial=1)
        tuner.search(verbose=0)
        assert [epoch for epoch, following in zip(epochs, [*epochs[1:], None], strict=True) if epoch != following] == [
            *range(3),
            *range(6),
        ]
        assert tuner.history[0].result.epochs == 6

    def test_what_has_no_state_is_refused_at_once(self, tmp_path):
        def function(hp, trial):
            hp.Float("x", 0, 1)
            for _ in trial.epochs(3, state={"model": object()}):
                trial.report(loss=1.0)

        tuner = tuned(tmp_path, function, max_trials=1)
        tuner.search(verbose=0)
        assert tuner.history[0].status is Status.FAILED
        assert "state_dict() and load_state_dict()" in tuner.history[0].message

    def test_every_kind_of_object_that_has_a_state(self, tmp_path):
        def function(hp, trial):
            hp.Float("x", 0, 1)
            state = {
                "numpy": np.random.default_rng(1),
                "python": random.Random(2),
                "torch": torch.Generator().manual_seed(3),
                "nested": {"old": np.random.RandomState(4)},
            }
            for epoch in trial.epochs(4, state=state):
                if epoch == 2 and trial.attempt == 0:
                    raise Stop
                drawn = torch.rand(1, generator=state["torch"]).item()
                trial.report(
                    loss=state["numpy"].random() + state["python"].random() + drawn + state["nested"]["old"].rand()
                )

        with pytest.raises(Stop):
            tuned(tmp_path / "a", function, max_trials=1).search(verbose=0)
        again = tuned(tmp_path / "a", function, max_trials=1)
        again.search(verbose=0)
        plain = tuned(tmp_path / "b", lambda hp, trial: function(hp, Attempted(trial)), max_trials=1)
        plain.search(verbose=0)
        assert told(again) == told(plain)

    @pytest.mark.parametrize("arguments", [(0,), (-1,), ()])
    def test_epochs_are_checked(self, tmp_path, arguments):
        def function(hp, trial):
            hp.Float("x", 0, 1)
            for _ in trial.epochs(*arguments):
                pass

        tuner = tuned(tmp_path, function, max_trials=1)
        tuner.search(verbose=0)
        assert "whole numbers of at least 1" in tuner.history[0].message


class Attempted:
    """A trial that says it was attempted before."""

    def __init__(self, trial):
        self._trial, self.attempt = trial, 1

    def __getattr__(self, name):
        return getattr(self._trial, name)


# -- budgets ---------------------------------------------------------------------------------------


class Steps:
    """Trains each trial for two epochs, then the better one to the end."""

    fill, max_epochs, horizon = "draw", EPOCHS, "full"

    def suggest(self, history, number):
        if len(history) < 2:
            return Start({}, until=2)
        for trial in sorted(history.completed, key=lambda trial: trial.score):
            if history.having(Status.RUNNING) or len(trial.rungs) > 1:
                break
            return Promote(trial.number, EPOCHS)
        return Done("that was it")

    def promotable(self, history):
        return frozenset(trial.number for trial in history.completed if len(trial.rungs) == 1)


def test_a_promoted_trial_goes_on_along_the_same_curve(tmp_path, capsys):
    tuner = ct.Tuner(Steps(), train, objective=ct.Objective("loss", "min"), max_trials=2, directory=tmp_path)
    tuner.search(verbose=0)
    best, other = tuner.history.best, tuner.history.completed[1]
    assert [rung.until for rung in best.rungs] == [2, EPOCHS]
    assert [rung.until for rung in other.rungs] == [2]
    reports = tuner._store.reports()
    assert [len(reports[trial.number]) for trial in (best, other)] == [EPOCHS, 2]
    assert (tuner.summary.epochs, tuner.summary.epochs_in_full) == (EPOCHS + 2, 2 * EPOCHS)
    tuner.results_summary()
    assert "8 epochs (trained to the end: 12; 33% saved)" in capsys.readouterr().out
    declared = (best.values["rate"] * cosine(1.0, 0.0, steps=EPOCHS)).table(EPOCHS)
    assert [report.metrics["rate"] for report in reports[best.number]] == pytest.approx(declared, rel=1e-12)
    whole = tuned(tmp_path / "whole", max_trials=1, hyperparameters=ct.Space((ct.Fixed("rate", best.values["rate"]),)))
    assert whole.seed is not None

    # Trained in one go, it comes to the same, to the last bit.
    class InOneGo(Steps):
        def suggest(self, history, number):
            return Start({"rate": tuner.history[number].values["rate"]}) if number < 2 else Done("both")

    plain = ct.Tuner(
        InOneGo(), train, objective=tuner.objective, seed=tuner.seed, max_trials=2, directory=tmp_path / "plain"
    )
    plain.search(verbose=0)
    assert [r.metrics for r in plain._store.reports()[best.number]] == [r.metrics for r in reports[best.number]]


def test_budgets_of_epochs(tmp_path, whole):
    tuner = tuned(tmp_path)
    tuner.search(verbose=0, max_epochs_total=8)
    assert sum(map(len, tuner._store.reports().values())) == 8
    assert [trial.status for trial in tuner.history] == [Status.COMPLETED, Status.INTERRUPTED]
    tuner.search(verbose=0, max_epochs_total=11)
    assert sum(map(len, tuner._store.reports().values())) == 11
    tuner.search(verbose=0)
    assert told(tuner) == told(whole)


def test_patience(tmp_path):
    scores = iter([5.0, 3.0, 4.0, 2.0, 2.0, 9.0, 2.5, 1.0])

    def function(hp):
        hp.Float("x", 0, 1)
        return next(scores)

    tuner = ct.RandomSearch(function, max_trials=20, seed=0, directory=tmp_path)
    tuner.search(verbose=0, patience=3)
    assert [trial.score for trial in tuner.history] == [5.0, 3.0, 4.0, 2.0, 2.0, 9.0, 2.5]


@contextmanager
def ctrl_c(handler):
    """Have Ctrl-C taken by `handler` before a search begins, whatever started the tests."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class TestTime:
    def test_the_limit_is_kept_between_epochs(self, tmp_path):
        def function(hp, trial):
            hp.Float("x", 0, 1)
            state = {"random": random.Random(0)}
            for _ in trial.epochs(1000, state=state):
                time.sleep(0.02)
                trial.report(loss=state["random"].random())

        tuner = tuned(tmp_path, function, max_trials=1)
        begun = time.monotonic()
        tuner.search(verbose=0, time_limit=0.5)
        assert 0.4 < time.monotonic() - begun < 5
        (trial,) = tuner.history
        assert trial.status is Status.INTERRUPTED
        done = len(tuner._store.reports()[0])
        assert done > 3
        tuner.search(verbose=0, time_limit=0.3)
        assert tuner.history[0].attempt == 1
        assert len(tuner._store.reports()[0]) > done

    @pytest.mark.parametrize("listens", [signal.default_int_handler, signal.SIG_IGN])
    def test_also_in_the_middle_of_a_long_one(self, tmp_path, monkeypatch, listens):
        """A shell lets its background jobs ignore Ctrl-C; the clock counts there, too."""
        monkeypatch.setattr("choritsu.halting.GRACE", 0.1)

        def function(hp):
            hp.Float("x", 0, 1)
            # In one call, which has to be woken up.
            time.sleep(30)
            return 0.0

        tuner = ct.RandomSearch(function, max_trials=1, directory=tmp_path)
        with ctrl_c(listens):
            begun = time.monotonic()
            tuner.search(verbose=0, time_limit=0.3)
            assert time.monotonic() - begun < 10
            assert signal.getsignal(signal.SIGINT) is listens
        assert tuner.history[0].status is Status.INTERRUPTED

    @pytest.mark.parametrize(
        "wrong", [{"time_limit": 0}, {"time_limit": "1"}, {"patience": 0}, {"max_epochs_total": 1.5}]
    )
    def test_wrong_budgets(self, tmp_path, wrong):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} "):
            tuned(tmp_path).search(verbose=0, **wrong)


class TestCtrlC:
    @pytest.fixture(autouse=True)
    def listening(self):
        """The tests may run in the background of a shell, where Ctrl-C is ignored."""
        with ctrl_c(signal.default_int_handler):
            yield

    def test_the_first_lets_the_epoch_end(self, tmp_path, whole, capsys):
        def function(hp, trial):
            def interrupt(epoch, place):
                if (trial.number, epoch, place, trial.attempt) == (1, 2, "begin", 0):
                    _thread.interrupt_main()

            train(hp, trial, interrupt=interrupt)

        tuner = tuned(tmp_path, function)
        with pytest.raises(KeyboardInterrupt):
            tuner.search(verbose=2)
        assert "press Ctrl-C again" in capsys.readouterr().out
        assert len(tuner._store.reports()[1]) == 3
        tuner.search(verbose=0)
        assert told(tuner) == told(whole)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_the_second_does_not(self, tmp_path, whole):
        def function(hp, trial):
            def interrupt(epoch, place):
                if (trial.number, epoch, place, trial.attempt) == (1, 2, "begin", 0):
                    for _ in range(2):
                        _thread.interrupt_main()
                        time.sleep(0.01)

            train(hp, trial, interrupt=interrupt)

        tuner = tuned(tmp_path, function)
        with pytest.raises(KeyboardInterrupt):
            tuner.search(verbose=0)
        assert len(tuner._store.reports()[1]) == 2
        tuner.search(verbose=0)
        assert told(tuner) == told(whole)

    def test_where_it_is_ignored_it_stays_so(self, tmp_path):
        def function(hp):
            os.kill(os.getpid(), signal.SIGINT)
            return hp.Float("x", 0, 1)

        tuner = tuned(tmp_path, function)
        with ctrl_c(signal.SIG_IGN):
            tuner.search(verbose=0, time_limit=60)
        assert len(tuner.history.completed) == 3

    def test_a_training_that_cannot_be_kept_is_at_least_allowed_to_end(self, tmp_path):
        def function(hp, trial):
            if trial.number == 1:
                _thread.interrupt_main()
                time.sleep(0.01)
            return hp.Float("x", 0, 1)

        tuner = tuned(tmp_path, function)
        with pytest.raises(KeyboardInterrupt):
            tuner.search(verbose=0)
        assert [trial.status for trial in tuner.history] == [Status.COMPLETED] * 2

    def test_elsewhere_than_in_the_main_thread(self, tmp_path):
        tuner = tuned(tmp_path)
        thread = threading.Thread(target=lambda: tuner.search(verbose=0))
        thread.start()
        thread.join()
        assert len(tuner.history.completed) == 3


def test_a_trial_that_gets_on_between_its_deaths_is_not_given_up(tmp_path):
    """Five kills, each after two epochs more: it is the machine that fails, and not the trial."""
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import os, random, signal
            import choritsu as ct

            def train(hp, trial):
                hp.Float("x", 0, 1)
                state = {"random": random.Random(0)}
                for epoch in trial.epochs(10, state=state):
                    if trial.attempt < 5 and epoch == 2 * trial.attempt + 2 - (trial.attempt == 4):
                        os.kill(os.getpid(), signal.SIGKILL)
                    trial.report(loss=state["random"].random())

            ct.RandomSearch(train, ct.Objective("loss", "min"), max_trials=1, seed=0).search(verbose=0)
            """
        )
    )
    for _ in range(5):
        run = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=False)
        assert run.returncode == -signal.SIGKILL
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=True)
    with closing(open_store(tmp_path / "untitled_project")) as store:
        (trial,) = store.history()
        assert (trial.status, trial.attempt, trial.result.epochs) == (Status.COMPLETED, 5, 10)
        drawn = random.Random(0)
        assert [report.metrics["loss"] for report in store.reports()[0]] == [drawn.random() for _ in range(10)]


# -- checkpoints -----------------------------------------------------------------------------------

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.builds(lambda n: np.arange(n, dtype="float32"), st.integers(0, 5))
    | st.builds(lambda n: torch.full((n, 2), 1.5, dtype=torch.bfloat16), st.integers(0, 3))
)
keys = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
trees = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner), max_leaves=12
)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray | np.generic):
        return type(one) is type(other) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(map(repr, one)) == list(map(repr, other)) and all(
            same(a, b) for a, b in zip(one.values(), other.values(), strict=True)
        )
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


class TestCheckpoints:
    @given(trees)
    def test_what_is_saved_comes_back(self, tmp_path_factory, tree):
        path = tmp_path_factory.getbasetemp() / "tree"
        save_checkpoint(path, tree)
        assert same(load_checkpoint(path), tree)

    def test_special_values(self, tmp_path):
        import ml_dtypes

        tree = {
            "floats": [float("inf"), float("-inf")],
            "number": np.float32(0.1),
            "short": np.array([1.5, 2.5], ml_dtypes.bfloat16),
            "scalar": torch.tensor(3),
            "text": "\ud800 half a letter",
        }
        save_checkpoint(tmp_path / "x", tree)
        assert same(load_checkpoint(tmp_path / "x"), tree)

    @pytest.mark.parametrize(
        "wrong", [object(), {1, 2}, np.array([object()]), lambda: 0, type], ids=lambda thing: type(thing).__name__
    )
    def test_what_cannot_be_kept_is_refused_and_nothing_is_written(self, tmp_path, wrong):
        save_checkpoint(tmp_path / "x", 1)
        with pytest.raises(CheckpointError, match=r"state\['deep'\]\[0\]"):
            save_checkpoint(tmp_path / "x", {"deep": [wrong]})
        assert load_checkpoint(tmp_path / "x") == 1
        assert os.listdir(tmp_path) == ["x"]

    @given(st.integers(0, 400), st.binary(min_size=1, max_size=8), st.booleans())
    def test_damage_is_told_or_harmless(self, tmp_path_factory, place, bytes_, cut):
        path = tmp_path_factory.getbasetemp() / "damaged"
        save_checkpoint(path, {"step": 3, "weights": np.ones(20), "nested": [(1, {"a": None})]})
        data = path.read_bytes()
        path.write_bytes(data[:place] if cut else data[:place] + bytes_ + data[place + len(bytes_) :])
        with suppress(CheckpointError):
            load_checkpoint(path)

    def test_other_files_are_not_taken_for_one(self, tmp_path):
        from safetensors.numpy import save_file

        save_file({"weights": np.ones(3)}, tmp_path / "x")
        with pytest.raises(CheckpointError, match="no checkpoint"):
            load_checkpoint(tmp_path / "x")
        with pytest.raises(FileNotFoundError):
            load_checkpoint(tmp_path / "y")

    def test_hostile_files_run_nothing(self, tmp_path):
        import pickle

        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "evil"),)

        (tmp_path / "x").write_bytes(pickle.dumps(Evil()))
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path / "x")
        assert not (tmp_path / "evil").exists()


class TestKeeper:
    def keeper(self, path, seconds, token=7):
        return Keeper(path, token, lambda: next(seconds))

    def test_only_its_own_token_counts(self, tmp_path):
        keeper = Keeper(tmp_path / "x", 7)
        report = Report(0, 0, {"loss": 0.1}, 5.0)
        keeper.save(lambda: Progress(3, False, {"a": 1}, (report,)))
        assert Keeper(tmp_path / "x", 7).load() == Progress(3, False, {"a": 1}, (report,))
        assert Keeper(tmp_path / "x", 8).load() == Progress()

    def test_what_is_dear_is_done_seldom(self, tmp_path):
        now = [0.0]
        keeper = Keeper(tmp_path / "x", 7, lambda: now[0])
        assert keeper.due()

        class Slow:
            def __array__(self, dtype=None, copy=None):
                now[0] += 1.0
                return np.ones(1)

        keeper.save(lambda: Progress(1, False, Slow()))
        saved = 0
        for _ in range(1000):
            now[0] += 0.25
            if keeper.due():
                saved += 1
                keeper.save(lambda: Progress(1, False, Slow()))
        # A second each, and at most a twentieth of the time.
        assert 0 < saved <= now[0] / 20 + 1

    def test_a_full_disk_only_warns(self, tmp_path, monkeypatch):
        keeper = Keeper(tmp_path / "x", 7)
        assert keeper.save(lambda: Progress(1))

        def full(path, tree):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("choritsu.states.save_checkpoint", full)
        with pytest.warns(RuntimeWarning, match="No space left"):
            assert not keeper.save(lambda: Progress(2))
        assert not keeper.save(lambda: Progress(3))
        assert keeper.load().epochs == 1

    def test_a_damaged_one_is_as_good_as_none(self, tmp_path):
        (tmp_path / "x").write_bytes(b"damaged")
        with pytest.warns(RuntimeWarning, match="begins anew"):
            assert Keeper(tmp_path / "x", 7).load() == Progress()


def test_a_store_of_the_first_version_is_taken_over(tmp_path):
    tuner = ct.RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=2, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    path = Path(tuner.project_dir) / "search.db"
    tuner._store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE claims DROP COLUMN until")
        connection.execute("ALTER TABLE claims DROP COLUMN executions")
        connection.execute("ALTER TABLE search DROP COLUMN parts")
        connection.execute("ALTER TABLE search DROP COLUMN pareto")
        connection.execute("PRAGMA user_version = 1")
    again = ct.RandomSearch(lambda hp: hp.Float("x", 0, 1), max_trials=4, seed=0, directory=tmp_path)
    again.search(verbose=0)
    assert len(again.history.completed) == 4
    assert json.dumps([trial.until for trial in again.history]) == "[null, null, null, null]"


# -- one loop, one report an epoch ------------------------------------------------------------------


def test_a_second_loop_with_a_state_is_refused_before_it_trains(tmp_path):
    epochs = []

    def folds(hp, trial):
        hp.Float("x", 0, 1)
        for fold in range(3):
            for epoch in trial.epochs(2, state={"random": random.Random(0)}):
                epochs.append((fold, epoch))
                trial.report(loss=1.0)

    tuner = ct.RandomSearch(folds, "loss", max_trials=3, directory=tmp_path)
    with pytest.raises(FatalRuntimeError, match="a second time"):
        tuner.search(verbose=0)
    assert epochs == [(0, 0), (0, 1)]


@pytest.mark.parametrize(
    ("state", "error"),
    [(torch.nn.Linear(1, 1), "state is a dict by name, got Linear"), ({"n": 3}, "'n' is a int, which has no state")],
)
def test_a_state_that_is_none_is_refused_before_an_epoch_is_trained(tmp_path, state, error):
    epochs = []

    def train(hp, trial):
        hp.Float("x", 0, 1)
        for epoch in trial.epochs(2, state=state):
            epochs.append(epoch)
            trial.report(loss=1.0)

    tuner = ct.RandomSearch(train, "loss", max_trials=1, max_consecutive_failed_trials=9, directory=tmp_path)
    with suppress(FatalTypeError):
        tuner.search(verbose=0)
    assert error in tuner.history[0].message
    assert epochs == []


@pytest.mark.parametrize("second", ["val_loss", "loss"])
def test_an_epoch_is_reported_once(tmp_path, second):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        for _ in trial.epochs(2):
            trial.report(loss=1.0)
            trial.report({second: 1.0})

    tuner = ct.RandomSearch(train, "loss", max_trials=1, max_consecutive_failed_trials=9, directory=tmp_path)
    tuner.search(verbose=0)
    assert "epoch 0 was reported already; report once in each round of trial.epochs" in tuner.history[0].message


def every_third(hp, trial):
    x = hp.Float("x", 0, 1)
    for epoch in trial.epochs(9, state={"random": random.Random(0)}):
        trial.hyperparameters.trained.append(epoch)
        if epoch % 3 == 2 or epoch + 1 == trial.until:
            trial.report(loss=x - epoch)


class TestWhoReportsSomeEpochs:
    @pytest.fixture
    def trained(self, monkeypatch):
        """Note each epoch that is trained."""
        epochs = []
        monkeypatch.setattr(ct.HyperParameters, "trained", epochs, raising=False)
        return epochs

    def test_they_are_those_epochs(self, tmp_path, trained):
        tuner = tuned(tmp_path, every_third, max_trials=2)
        tuner.search(verbose=0)
        assert trained == [*range(9)] * 2
        assert [report.epoch for report in tuner._store.reports()[0]] == [2, 5, 8]
        assert (tuner.history[0].best_step, tuner.history[0].result.epochs, tuner.summary.epochs) == (8, 9, 18)

    def test_all_that_were_trained_are_counted(self, tmp_path, trained):
        tuner = tuned(tmp_path, every_third, max_trials=9)
        tuner.search(verbose=0, max_epochs_total=12)
        assert len(trained) == 12

    def test_under_hyperband_the_last_one_is_enough(self, tmp_path, trained):
        tuner = ct.Hyperband(every_third, "loss", max_epochs=9, seed=0, directory=tmp_path)
        tuner.search(verbose=0)
        assert len(tuner.history.completed) == 17
        assert len(trained) == tuner.summary.epochs == 75

    def test_who_reports_nothing_of_a_budget_is_told_so(self, tmp_path):
        def train(hp, trial):
            x = hp.Float("x", 0, 1)
            for epoch in trial.epochs(9, state={"random": random.Random(0)}):
                if epoch % 3 == 2:
                    trial.report(loss=x)

        tuner = ct.Hyperband(train, "loss", max_epochs=9, seed=0, directory=tmp_path)
        with pytest.raises(ct.errors.TooManyFailuresError, match="was given 1 epoch in all, and nothing was reported"):
            tuner.search(verbose=0)


def test_epochs_that_are_used_up_are_used_up(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        for _ in trial.epochs(4, state={"random": random.Random(0)}):
            trial.report(loss=1.0)

    for _ in range(3):
        tuner = ct.RandomSearch(train, "loss", max_trials=5, seed=0, directory=tmp_path)
        tuner.search(max_epochs_total=6, verbose=0)
        assert tuner.summary.epochs == 6


def test_a_loop_that_an_error_has_left_may_begin_again(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        place = random.Random(0)
        for fails in (True, False):
            with suppress(MemoryError):
                for epoch in trial.epochs(3, state={"random": place}):
                    if epoch == 1 and fails:
                        raise MemoryError
                    trial.report(loss=1.0)

    tuner = ct.RandomSearch(train, "loss", max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.history[0].result.epochs == 3


def test_executions_counted_within_an_epoch_are_told_apart(tmp_path):
    def train(hp, trial):
        hp.Float("x", 0, 1)
        counter = Counter()
        for _ in trial.epochs(2, state={"counter": counter}):
            counter.value += 1
            for execution in range(3):
                trial.execution = execution
                trial.report(loss=1.0 + execution)
            trial.execution = 0

    tuner = ct.RandomSearch(train, "loss", max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert (tuner.history[0].result.executions, tuner.history[0].result.epochs) == (3, 6)
    assert tuner.best_state()["counter"]["value"] == 1


# -- which weights are the best ones ---------------------------------------------------------------


class Counter:
    """Something whose state tells how long it was trained."""

    def __init__(self):
        self.value = 0

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


LOSSES = [4.0, 1.0, 0.0, 1.0, 4.0]


def looped(trial, *, leave=None, inside=True):
    """Train for as many epochs; the state after epoch k is k + 1."""
    counter = Counter()
    for epoch in trial.epochs(len(LOSSES), state={"counter": counter}):
        counter.value += 1
        if inside:
            trial.report(loss=LOSSES[epoch])
        if epoch == leave:
            break
    return counter


def breaks(hp, trial):
    looped(trial, leave=2)


def breaks_at_once(hp, trial):
    looped(trial, leave=0)


def returns_another_score(hp, trial):
    looped(trial)
    return 0.5


def returns_the_best_score_again(hp, trial):
    looped(trial)
    return {"loss": 0.0, "test": 1.0}


def reports_after_the_loop(hp, trial):
    looped(trial, inside=False)
    trial.report(loss=0.5)


def returns_after_the_loop(hp, trial):
    looped(trial, inside=False)
    return 0.5


@pytest.mark.parametrize(
    ("function", "score", "trained"),
    [
        (lambda hp, trial: looped(trial) and None, 0.0, 3),
        (breaks, 0.0, 3),
        (breaks_at_once, 4.0, 1),
        (returns_another_score, 0.5, 5),
        (returns_the_best_score_again, 0.0, 3),
        (reports_after_the_loop, 0.5, 5),
        (returns_after_the_loop, 0.5, 5),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_best_state_belongs_to_the_score(tmp_path, function, score, trained):
    tuner = tuned(tmp_path, function, max_trials=1)
    tuner.search(verbose=0)
    assert tuner.history.best.score == score
    assert tuner.best_state()["counter"]["value"] == trained


def test_of_several_executions_the_best_ones_state_is_kept(tmp_path):
    def function(hp, trial):
        counter = looped(trial, inside=False)
        counter.value = trial.execution
        return [2.0, 1.0, 3.0][trial.execution]

    tuner = tuned(tmp_path, function, max_trials=1, executions_per_trial=3)
    tuner.search(verbose=0)
    assert tuner.best_state()["counter"]["value"] == 1


def test_an_error_in_an_epoch_leaves_no_state_behind(tmp_path):
    def function(hp, trial):
        counter = Counter()
        for _ in trial.epochs(3, state={"counter": counter}):
            counter.value += 1
            trial.report(loss=1.0)
            raise ValueError("after the report")

    tuner = tuned(tmp_path, function, max_trials=1)
    with suppress(ct.errors.TooManyFailuresError):
        tuner.search(verbose=0)
    assert not list(tmp_path.rglob("best.safetensors"))


# -- a function that has changed while its trial was left ------------------------------------------


@pytest.mark.usefixtures("saved_each_epoch")
class TestAChangedFunction:
    @staticmethod
    def left(directory, changed, tuner=ct.BayesianOptimization):
        """Leave a trial after its second epoch, and go on with another function."""
        seen = []

        def function(hp, trial, make, prior, interrupt):
            x = hp.Float("x", 0, 1, prior=prior)
            things = make()
            for epoch in trial.epochs(4, state=things):
                if epoch == 2 and interrupt:
                    raise Stop
                seen.append(x)
                for thing in things.values():
                    with torch.no_grad():
                        thing.weight += 1
                trial.report(loss=x + epoch)

        def run(*arguments):
            search = tuner(
                lambda hp, trial: function(hp, trial, *arguments), "loss", max_trials=1, seed=0, directory=directory
            )
            search.search(verbose=0)
            return search

        with pytest.raises(Stop):
            run(lambda: {"model": torch.nn.Linear(2, 1)}, 0.5, True)
        make, prior = changed
        return lambda: run(make, prior, False), seen

    def test_other_values_begin_anew(self, tmp_path):
        go_on, seen = self.left(tmp_path, (lambda: {"model": torch.nn.Linear(2, 1)}, 0.2))
        with pytest.warns(RuntimeWarning, match=r"trial 0000 begins anew: when it was left, x was 0.5 and is 0.2"):
            search = go_on()
        assert seen == [0.5, 0.5, 0.2, 0.2, 0.2, 0.2]
        assert search.history[0].values == {"x": 0.2}
        assert len(search._store.reports()[0]) == 4

    @pytest.mark.parametrize(
        "make",
        [
            lambda: {"model": torch.nn.Linear(3, 1)},
            lambda: {"network": torch.nn.Linear(2, 1)},
            # The first fits, the second does not, and nothing of the first may stay.
            lambda: {"model": torch.nn.Linear(2, 1), "other": torch.nn.Linear(2, 1)},
        ],
        ids=["another width", "another name", "one more"],
    )
    def test_another_state_begins_anew(self, tmp_path, make):
        torch.manual_seed(0)
        go_on, seen = self.left(tmp_path, (make, 0.5))
        with pytest.warns(RuntimeWarning, match="trial 0000 begins anew: what was saved of it does not fit"):
            search = go_on()
        assert seen == [0.5] * 6
        assert search.history[0].status is Status.COMPLETED
        assert [trial.attempt for trial in search.history] == [2]
        assert len(search._store.reports()[0]) == 4


def test_what_is_told_for_the_first_time_after_the_time_is_up_counts(tmp_path):
    def function(hp, trial):
        x = hp.Float("x", 0, 1)
        time.sleep(1.0)
        trial.report(loss=x)

    tuner = tuned(tmp_path, function, max_trials=2)
    tuner.search(verbose=0, time_limit=0.3)
    assert [trial.status for trial in tuner.history] == [Status.COMPLETED]


def test_best_states_are_written_no_more_often_than_is_cheap(tmp_path):
    place, seen = tmp_path / "search" / "trials" / "0000" / "best.safetensors", set()

    class Weight:
        def __init__(self):
            self.value = np.zeros(300_000)

        def state_dict(self):
            return {"value": self.value}

        def load_state_dict(self, state):
            self.value = state["value"]

    def improving(hp, trial):
        hp.Float("x", 0, 1)
        weight = Weight()
        for epoch in trial.epochs(40, state={"weight": weight}):
            # In place, as frameworks do it: what is kept must not change with it.
            weight.value += 1.0
            trial.report(loss=40.0 - epoch if epoch < 30 else 100.0)
            if place.exists():
                seen.add(place.stat().st_mtime_ns)

    tuner = tuned(tmp_path, improving)
    tuner.search(verbose=0)
    assert len(seen) <= 10
    assert tuner.history[0].best_step == 29
    assert tuner.best_state()["weight"]["value"][0] == 30.0


def test_time_is_up_for_a_search_in_a_thread_and_for_nobody_else(tmp_path):
    script = textwrap.dedent(f"""
        import threading, time
        import choritsu as ct

        def train(hp, trial):
            hp.Float("x", 0, 1)
            time.sleep(5)
            trial.report(loss=1.0)

        tuner = ct.RandomSearch(train, "loss", max_trials=1, directory={str(tmp_path)!r})
        searching = threading.Thread(target=tuner.search, kwargs=dict(verbose=0, time_limit=0.2))
        searching.start()
        time.sleep(4)
        print("nobody came")
        searching.join()
        print(tuner.history[0].status.value)
    """)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == ("nobody came\nCOMPLETED\n", "")


@pytest.mark.parametrize(
    "array",
    [
        np.array([1.0, 2.0], ">f8"),
        np.array([1, 2], ">i2"),
        np.array([b"ab", b"c"]),
        np.array(["2020-01-01"], "M8[D]"),
        np.array([[1.0, 2.0], [3.0, 4.0]]).T,
        np.arange(6)[::2],
        np.array(3.5),
        np.zeros((0, 3), "int8"),
    ],
    ids=str,
)
def test_arrays_of_every_kind_come_back(tmp_path, array):
    for tree in ({"a": array}, packed({"a": array})):
        save_checkpoint(tmp_path / "kept", tree)
        back = load_checkpoint(tmp_path / "kept")["a"]
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert (back == array).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_machine_that_is_taken_back_again_and_again_gives_no_trial_up(tmp_path, workers):
    script = textwrap.dedent(f"""
        import time
        import choritsu as ct

        def train(hp):
            x = hp.Float("x", 0, 1)
            print("begun", flush=True)
            time.sleep(0.0 if ENDS else 30.0)
            return x

        ENDS = False
        if __name__ == "__main__":
            tuner = ct.RandomSearch(train, max_trials=1, seed=0, directory={str(tmp_path)!r}, project_name="search")
            tuner.search(verbose=0, workers={workers})
    """)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "begun\n"
            process.terminate()
            assert process.wait(timeout=20) == -signal.SIGTERM
    ran = subprocess.run([sys.executable, "-c", script.replace("ENDS = False", "ENDS = True")], check=False)
    assert ran.returncode == 0
    with closing(open_store(tmp_path / "search")) as store:
        (trial,) = store.history()
    assert (trial.status, trial.losses, trial.attempt) == (Status.COMPLETED, 0, 3)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("plain_workers")
def test_a_combination_that_ends_its_process_is_known_and_not_tried_again(tmp_path, workers):
    def train(hp):
        x = hp.Choice("x", [1, 2, 3])
        if x == 1:
            sys.exit(9)
        return x

    tuner = ct.GridSearch(train, directory=tmp_path, project_name="search")
    for _ in range(4):
        with suppress(SystemExit):
            tuner.search(verbose=0, workers=workers)
    assert sorted((trial.values["x"], trial.status.value) for trial in tuner.history) == [
        (1, "FAILED"),
        (2, "COMPLETED"),
        (3, "COMPLETED"),
    ]


def test_a_message_that_holds_a_whole_array_is_cut_short(tmp_path):
    def train(hp):
        hp.Float("x", 0, 1)
        raise ValueError("a" * 1_000_000 + " is the end")

    tuner = tuned(tmp_path, train, max_trials=1)
    tuner.search(verbose=0)
    trace = tuner.history[0].traceback
    assert len(trace) < 25_000
    assert trace.startswith("Traceback")
    assert trace.endswith("is the end")
    assert "characters left out" in trace


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("plain_workers")
def test_a_trial_that_takes_too_long_fails_in_the_middle_of_what_it_does(tmp_path, workers):
    def train(hp):
        x = hp.Int("x", 0, 3)
        if x == 1:
            time.sleep(100)
        if x == 2:
            subprocess.run(["sleep", "100"], check=True)
        return float(x)

    tuner = ct.GridSearch(train, directory=tmp_path)
    begun = time.monotonic()
    tuner.search(verbose=0, workers=workers, trial_time_limit=0.7)
    assert time.monotonic() - begun < 20
    assert [trial.status.value for trial in tuner.history] == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
    assert {trial.message for trial in tuner.history.having(Status.FAILED)} == {
        "it took longer than the trial_time_limit of 0.7 seconds"
    }


def test_a_trial_in_a_thread_that_takes_too_long_fails_when_it_reports(tmp_path):
    epochs = []

    def train(hp, trial):
        hp.Float("x", 0, 1)
        for epoch in trial.epochs(100):
            epochs.append(epoch)
            time.sleep(0.3)
            trial.report(loss=1.0)

    tuner = tuned(tmp_path, train, max_trials=1)
    searching = threading.Thread(target=tuner.search, kwargs={"verbose": 0, "trial_time_limit": 1.0})
    searching.start()
    searching.join()
    assert len(epochs) in (3, 4)
    assert tuner.history[0].status is Status.FAILED
    assert len(tuner._store.reports()[0]) == len(epochs)


def test_what_a_trial_tells_is_written_to_its_end_though_its_time_is_up(tmp_path):
    """The alarm rings while the store writes."""
    store = MemoryStore()

    class Slow:
        def __getattr__(self, name):
            return getattr(store, name)

        def record(self, event):
            if isinstance(event, Reported):
                time.sleep(0.5)
            return store.record(event)

    def train(hp, trial):
        hp.Float("x", 0, 1)
        trial.report(loss=1.0)
        raise AssertionError("its time is up")

    tuner = ct.RandomSearch(train, "loss", max_trials=1, directory=tmp_path, store=Slow())
    tuner.search(verbose=0, trial_time_limit=0.2)
    assert tuner.history[0].message == "it took longer than the trial_time_limit of 0.2 seconds"
    assert len(store.reports()[0]) == 1


def test_a_loop_that_goes_on_whatever_is_raised_is_left_when_the_time_is_up(tmp_path):
    def train(hp):
        hp.Float("x", 0, 1)
        while True:
            with suppress(Exception):
                time.sleep(0.05)

    tuner = tuned(tmp_path, train, max_trials=1)
    tuner.search(verbose=0, trial_time_limit=0.5)
    assert tuner.history[0].message == "it took longer than the trial_time_limit of 0.5 seconds"
    assert "time.sleep(0.05)" in tuner.history[0].traceback


def test_an_alarm_of_the_programs_own_rings_after_all(tmp_path):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 2.0)
        tuned(tmp_path, lambda hp: hp.Float("x", 0, 1), max_trials=2).search(verbose=0, trial_time_limit=60)
        assert signal.getsignal(signal.SIGALRM) is not None
        time.sleep(2.2)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(rung) == 1


def test_processes_that_a_trial_has_forked_end_as_ever(tmp_path):
    script = textwrap.dedent(f"""
        import multiprocessing, time
        import choritsu as ct

        def sleep():
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                time.sleep(60)

        def train(hp):
            hp.Float("x", 0, 1)
            child = multiprocessing.get_context("fork").Process(target=sleep)
            child.start()
            time.sleep(0.5)
            child.terminate()
            child.join(10)
            print(child.exitcode)
            return 1.0

        ct.RandomSearch(train, max_trials=1, directory={str(tmp_path)!r}).search(verbose=0)
    """)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == (f"{-signal.SIGTERM}\n", "")
