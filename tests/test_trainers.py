"""Trials trained by Lightning's and Hugging Face's trainers: killed, promoted, stopped, and going on bit for bit."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import choritsu as ct
from choritsu.decisions import Continue, Done, Promote, Start
from choritsu.decisions import Stop as StopTraining
from choritsu.errors import FatalRuntimeError
from choritsu.schedules import cosine, linear, share
from choritsu.stores import load_checkpoint
from choritsu.trials import RATE, Status

pytestmark = [
    # Lightning still asks torch in the old way whether a batch is nested.
    pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning"),
]

EPOCHS = 4
DATA, BATCH = 24, 8


class Stop(BaseException):
    """Ends a process in a test as a kill would, as far as the search can tell."""


def nothing(trial, epoch, place):
    pass


def in_lightning(hp, trial, *, interrupt=nothing, epochs=EPOCHS, options=None, callbacks=(), scheduler=None):
    """Train a small network on noise: dropout, an order of data, momentum, a schedule of epochs."""
    import lightning.pytorch as pl

    from choritsu.frameworks.lightning import TrialCallback

    class Net(pl.LightningModule):
        def __init__(self, rate, schedule):
            super().__init__()
            self.save_hyperparameters({"rate": rate, "anything": object})
            self.rate, self.schedule = rate, schedule
            self.net = torch.nn.Sequential(
                torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
            )

        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters(), lr=self.rate)
            if scheduler is not None:
                return {"optimizer": optimizer, "lr_scheduler": scheduler(optimizer), "monitor": "val_loss"}
            return {"optimizer": optimizer, "lr_scheduler": self.schedule.to_torch(optimizer)}

        def training_step(self, batch, index):
            if index == 1:
                interrupt(trial, self.current_epoch, "middle")
            loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True)
            return loss

        def validation_step(self, batch, index):
            self.log("val_loss", torch.nn.functional.mse_loss(self.net(batch[0]), batch[1]))

        def on_train_epoch_end(self):
            self.log("late", self.net[0].weight.sum())

    class Interrupting(pl.Callback):
        def on_train_epoch_start(self, trainer, module):
            interrupt(trial, trainer.current_epoch, "begin")

        def on_train_epoch_end(self, trainer, module):
            interrupt(trial, trainer.current_epoch, "end")

    generator = torch.Generator().manual_seed(3)
    data = torch.utils.data.TensorDataset(
        torch.randn(DATA, 4, generator=generator), torch.randn(DATA, 1, generator=generator)
    )
    schedule = cosine(1.0, 0.0, steps=share(1.0)).bind(horizon=epochs)
    module = Net(hp.Float("rate", 1e-3, 1e-1, sampling="log"), schedule)
    plain = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    plain |= {"enable_model_summary": False, "max_epochs": epochs, **(options or {})}
    trainer = pl.Trainer(**plain, callbacks=[Interrupting(), *callbacks, TrialCallback(trial)])
    order = torch.Generator().manual_seed(9)
    trainer.fit(
        module,
        torch.utils.data.DataLoader(data, BATCH, shuffle=True, generator=order),
        torch.utils.data.DataLoader(data, BATCH),
    )


def in_transformers(
    hp, trial, *, interrupt=nothing, epochs=EPOCHS, options=None, callbacks=(), scheduler=None, several=False
):
    """Train a tiny transformer on noise: dropout, an order of data, momentum, a schedule of updates."""
    import transformers

    from choritsu.frameworks.transformers import train

    class Interrupting(transformers.TrainerCallback):
        def on_epoch_begin(self, args, state, control, **kwargs):
            interrupt(trial, round(state.epoch), "begin")

        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step % 3 == 1:
                interrupt(trial, state.global_step // 3, "middle")

        def on_evaluate(self, args, state, control, **kwargs):
            interrupt(trial, round(state.epoch) - 1, "end")

    generator = torch.Generator().manual_seed(3)
    data = [
        {"input_ids": torch.randint(0, 12, (5,), generator=generator), "labels": torch.tensor(index % 2)}
        for index in range(DATA)
    ]
    config = transformers.BertConfig(
        vocab_size=12, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=2
    )
    model = transformers.BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    schedule = cosine(1.0, 0.0, steps=share(1.0)).bind(horizon=epochs * DATA // BATCH)
    arguments = {
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "eval_strategy": "epoch",
    }
    arguments |= {"logging_strategy": "epoch", "dataloader_pin_memory": False, "num_train_epochs": epochs}
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            str(trial.directory / "own"), per_device_train_batch_size=BATCH, **(arguments | (options or {}))
        ),
        train_dataset=data,
        eval_dataset={"a": data, "b": data[:7]} if several else data,
        optimizers=(optimizer, (scheduler or schedule.to_torch)(optimizer)),
        callbacks=[Interrupting(), *callbacks],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    train(trainer, trial)


OBJECTIVES = {in_lightning: "val_loss", in_transformers: "eval_loss"}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Save as if it cost nothing, since the epochs of these tests are shorter than saving; threads only cost time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("choritsu.states.SHARE", 1.0)
        patch.setattr("gc.collect", lambda *_: 0)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(params=[in_lightning, in_transformers], ids=["lightning", "transformers"], scope="module")
def function(request):
    pytest.importorskip("lightning" if request.param is in_lightning else "accelerate")
    pytest.importorskip("lightning.pytorch" if request.param is in_lightning else "transformers")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return request.param


@pytest.fixture(scope="module")
def whole(function, tmp_path_factory):
    tuner = tuned(tmp_path_factory.mktemp("whole"), function)
    tuner.search(verbose=0)
    assert [trial.message for trial in tuner.history] == [""]
    return tuner


def wrapped(function, **options):
    return lambda hp, trial: function(hp, trial, **options)


def objective(function):
    return ct.Objective(OBJECTIVES[function], "min")


def tuned(directory, function, wrapper=None, **options):
    options = {"max_trials": 1, "seed": 5, "objective": objective(function), **options}
    return ct.RandomSearch(wrapper or wrapped(function), directory=directory, **options)


def told(tuner):
    """Give all that came out, to the last bit."""
    reports = tuner._store.reports()
    return [
        (trial.values, trial.status, trial.result, [(r.execution, r.epoch, r.metrics) for r in reports[trial.number]])
        for trial in tuner.history
    ]


def same_states(one, other):
    assert set(one) == set(other)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(("epoch", "place"), [(0, "middle"), (1, "begin"), (EPOCHS - 1, "middle"), (EPOCHS - 1, "end")])
def test_an_interrupted_trial_ends_as_if_nothing_had_happened(tmp_path, function, whole, epoch, place):
    begun = []

    def interrupt(trial, *now):
        begun.append(now[0])
        if trial.attempt == 0 and now == (epoch, place):
            raise Stop

    wrapper = wrapped(function, interrupt=interrupt)
    with pytest.raises(Stop):
        tuned(tmp_path, function, wrapper).search(verbose=0)
    before = len(begun)
    tuner = tuned(tmp_path, function, wrapper)
    tuner.search(verbose=0)
    assert told(tuner) == told(whole)
    # What was saved was not trained again; where the next epoch had been announced, the one before was saved or not.
    assert begun[before] in ((epoch,) if place != "begin" else (epoch - 1, epoch))
    same_states(tuner.best_state()["model"], whole.best_state()["model"])


def test_reports(function, whole):
    first, *_ = whole._store.reports().values()
    assert [report.epoch for report in first] == list(range(EPOCHS))
    names = {
        in_lightning: {"loss", "loss_step", "loss_epoch", "val_loss", "late", RATE},
        in_transformers: {"loss", "grad_norm", "eval_loss", RATE},
    }
    assert {name for report in first for name in report.metrics} == names[function]
    assert len({report.metrics[OBJECTIVES[function]] for report in first}) == EPOCHS
    assert not list(Path(whole.project_dir).rglob("state"))


def declared(function, rate, epochs=EPOCHS, shape=cosine):
    """Give the rate of each epoch's last update."""
    updates = updates_of(function)
    return (rate * shape(1.0, 0.0, steps=epochs * updates)).table(epochs * updates)[updates - 1 :: updates]


def updates_of(function):
    """Give how many steps of its schedule an epoch has."""
    return 1 if function is in_lightning else DATA // BATCH


@pytest.mark.slow
def test_a_killed_process(tmp_path, function, whole):
    """One real SIGKILL, in the middle of the third epoch."""
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import choritsu.states, torch
        torch.set_num_threads(1)
        choritsu.states.SHARE = 1.0
        import test_trainers as tests

        def interrupt(trial, *now):
            if now == (2, "middle"):
                os.kill(os.getpid(), signal.SIGKILL)

        function = tests.{function.__name__}
        tests.tuned({str(tmp_path)!r}, function, tests.wrapped(function, interrupt=interrupt)).search(verbose=0)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    begun = []
    tuner = tuned(tmp_path, function, wrapped(function, interrupt=lambda trial, *now: begun.append(now)))
    tuner.search(verbose=0)
    assert told(tuner) == told(whole)
    assert begun[0] == (2, "begin")
    same_states(tuner.best_state()["model"], whole.best_state()["model"])
    for number, reports in tuner._store.reports().items():
        rates = [report.metrics[RATE] for report in reports]
        assert rates == pytest.approx(declared(function, tuner.history[number].values["rate"]), rel=1e-12)


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


@pytest.mark.parametrize("interrupted", [(1, "middle"), (2, "middle")])
def test_a_promoted_trial_goes_on_along_the_same_curve(tmp_path, function, interrupted):
    seen = []

    def interrupt(trial, *now):
        if now == interrupted and now not in seen:
            seen.append(now)
            raise Stop

    def wrapper(hp, trial):
        function(hp, trial, interrupt=interrupt)

    def make():
        options = {"objective": objective(function), "max_trials": 2, "directory": tmp_path, "seed": 5}
        return ct.Tuner(Steps(), wrapper, **options)

    tuner = make()
    with pytest.raises(Stop):
        tuner.search(verbose=0)
    tuner = make()
    tuner.search(verbose=0)
    best, other = sorted(tuner.history.completed, key=lambda trial: -len(trial.rungs))
    assert ([rung.until for rung in best.rungs], [rung.until for rung in other.rungs]) == ([2, EPOCHS], [2])
    reports = tuner._store.reports()
    assert [len(reports[trial.number]) for trial in (best, other)] == [EPOCHS, 2]
    rates = [report.metrics[RATE] for report in reports[best.number]]
    assert rates == pytest.approx(declared(function, best.values["rate"]), rel=1e-12)

    # Trained in one go, it comes to the same, to the last bit.
    class InOneGo(Steps):
        def suggest(self, history, number):
            return Start({"rate": tuner.history[number].values["rate"]}) if number < 2 else Done("both")

    plain = ct.Tuner(InOneGo(), wrapper, objective=tuner.objective, seed=5, max_trials=2, directory=tmp_path / "plain")
    plain.search(verbose=0)
    assert [r.metrics for r in plain._store.reports()[best.number]] == [r.metrics for r in reports[best.number]]


class Stretched(Steps):
    horizon = "rung"


def ours(function, trial):
    return {}


def torchs_own(function, trial):
    total = trial.horizon * updates_of(function)
    return {"scheduler": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)}


@pytest.mark.parametrize(("schedule", "shape"), [(ours, cosine), (torchs_own, linear)])
def test_a_promoted_trial_goes_on_along_a_curve_that_is_stretched_to_its_rung(tmp_path, function, schedule, shape):
    begun = []

    def note(trial, epoch, place):
        if place == "begin":
            begun.append((trial.number, epoch))

    def wrapper(hp, trial):
        function(hp, trial, interrupt=note, epochs=trial.horizon, **schedule(function, trial))

    tuner = ct.Tuner(Stretched(), wrapper, objective=objective(function), max_trials=2, directory=tmp_path, seed=5)
    tuner.search(verbose=0)
    assert [trial.message for trial in tuner.history] == ["", ""]
    best, other = sorted(tuner.history.completed, key=lambda trial: -len(trial.rungs))
    assert ([rung.until for rung in best.rungs], [rung.until for rung in other.rungs]) == ([2, EPOCHS], [2])
    assert [epoch for number, epoch in begun if number == best.number] == list(range(EPOCHS))
    rates = [report.metrics[RATE] for report in tuner._store.reports()[best.number]]
    first, second = (declared(function, best.values["rate"], epochs, shape) for epochs in (2, EPOCHS))
    assert rates == pytest.approx([*first, *second[2:]], rel=1e-12)


def test_budgets_pause_it_after_an_epoch(tmp_path, function, whole):
    tuner = tuned(tmp_path, function)
    tuner.search(verbose=0, max_epochs_total=3)
    assert sum(map(len, tuner._store.reports().values())) == 3
    assert tuner.history[0].status is Status.INTERRUPTED
    tuner.search(verbose=0, max_epochs_total=EPOCHS)
    tuner.search(verbose=0)
    assert told(tuner) == told(whole)


class AfterTwo:
    """Stops each trial after its second epoch."""

    def decide(self, history, curves, reported):
        return StopTraining("enough") if reported.report.epoch == 1 else Continue()


def test_a_stopper_ends_it(tmp_path, function, whole):
    tuner = tuned(tmp_path, function, stopper=AfterTwo())
    tuner.search(verbose=0)
    (trial,) = tuner.history
    assert trial.result.epochs == 2
    assert told(tuner)[0][3] == told(whole)[0][3][:2]


def interrupted_at(place):
    def interrupt(trial, *now):
        if trial.attempt == 0 and now == place:
            raise Stop

    return interrupt


def both(tmp_path, function, make, place, **options):
    """Train once in one go, and once interrupted; give both tuners."""
    tuners = []
    for name, interrupt in (("plain", nothing), ("again", interrupted_at(place))):
        wrapper = lambda hp, trial, interrupt=interrupt: function(hp, trial, interrupt=interrupt, **make())  # noqa: E731
        if name == "again":
            with pytest.raises(Stop):
                tuned(tmp_path / name, function, wrapper, **options).search(verbose=0)
        tuners.append(tuned(tmp_path / name, function, wrapper, **options))
        tuners[-1].search(verbose=0)
        assert [trial.message for trial in tuners[-1].history] == [""]
    return tuners


def test_a_scheduler_that_looks_at_the_metrics_goes_on_too(tmp_path, function):
    def scheduler(optimizer):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=0)

    options = {"metric_for_best_model": "eval_loss"} if function is in_transformers else {}
    plain, again = both(tmp_path, function, lambda: {"scheduler": scheduler, "options": options}, (2, "middle"))
    assert told(plain) == told(again)
    assert len({report.metrics[RATE] for report in plain._store.reports()[0]}) > 1


@pytest.mark.parametrize(("budget", "oracle"), [(None, None), (2, Steps()), (2, Stretched())])
def test_when_nothing_is_left_nothing_is_trained(tmp_path, function, budget, oracle):
    """It was killed between its last epoch and the end of the user's function."""
    begun = []

    def wrapper(hp, trial):
        begun.append(("trial", trial.attempt))
        epochs = EPOCHS if oracle is None else trial.horizon
        function(hp, trial, interrupt=lambda trial, *now: begun.append(now), epochs=epochs)
        if begun.count(("trial", trial.attempt)) == 1 and trial.until == budget and trial.attempt == 0:
            raise Stop

    def make():
        if oracle is None:
            return tuned(tmp_path, function, wrapper)
        options = {"objective": objective(function), "max_trials": 2, "directory": tmp_path, "seed": 5}
        return ct.Tuner(oracle, wrapper, **options)

    with pytest.raises(Stop):
        make().search(verbose=0)
    last = len(begun)
    tuner = make()
    with suppress(Stop):
        tuner.search(verbose=0)
    trial = make().history[0]
    assert begun[last] == ("trial", 1)
    assert begun[last + 1 :][:1] in ([], [("trial", 0)])
    assert (trial.status, trial.result.epochs) == (Status.COMPLETED, budget or EPOCHS)


class TestLightning:
    @pytest.fixture(autouse=True)
    def there(self):
        pytest.importorskip("lightning.pytorch")

    def test_other_callbacks_go_on_too(self, tmp_path):
        from lightning.pytorch.callbacks import EarlyStopping

        def make():
            stopping = EarlyStopping("val_loss", mode="max", patience=3)
            return {"callbacks": [stopping], "epochs": 8, "options": {"min_epochs": 2}}

        plain, again = both(tmp_path, in_lightning, make, (2, "middle"))
        assert told(plain) == told(again)
        assert 2 < plain.history[0].result.epochs < 8

    def test_a_validation_every_other_epoch_is_reported_once(self, tmp_path):
        plain, again = both(tmp_path, in_lightning, lambda: {"options": {"check_val_every_n_epoch": 2}}, (3, "middle"))
        assert told(plain) == told(again)
        assert ["val_loss" in report.metrics for report in plain._store.reports()[0]] == [False, True, False, True]

    def test_a_number_of_steps(self, tmp_path):
        plain, again = both(
            tmp_path, in_lightning, lambda: {"options": {"max_epochs": None, "max_steps": 10}}, (2, "middle")
        )
        assert told(plain) == told(again)
        assert plain.history[0].result.epochs == 4

    def test_a_training_that_is_to_be_long_is_stopped_all_the_same(self, tmp_path):
        wrapper = wrapped(in_lightning, options={"min_epochs": 4})
        tuner = tuned(tmp_path, in_lightning, wrapper, stopper=AfterTwo())
        tuner.search(verbose=0)
        assert tuner.history[0].result.epochs == 2

    def test_the_files_hold_no_code(self, tmp_path):
        with pytest.raises(Stop):
            tuned(tmp_path, in_lightning, wrapped(in_lightning, interrupt=interrupted_at((2, "middle")))).search(
                verbose=0
            )
        (path,) = tmp_path.rglob("execution-0.safetensors")
        state = load_checkpoint(path)["state"]
        assert set(state) == {"checkpoint", "metrics", "generators"}
        assert not list(tmp_path.rglob("*.ckpt"))


class TestTransformers:
    @pytest.fixture(autouse=True)
    def there(self):
        pytest.importorskip("accelerate")
        pytest.importorskip("transformers")

    def test_other_callbacks_go_on_too(self, tmp_path):
        from transformers import EarlyStoppingCallback

        def make():
            options = {"metric_for_best_model": "eval_loss", "greater_is_better": True}
            return {"callbacks": [EarlyStoppingCallback(3)], "epochs": 8, "options": options}

        plain, again = both(tmp_path, in_transformers, make, (2, "middle"))
        assert told(plain) == told(again)
        assert 2 < plain.history[0].result.epochs < 8

    @pytest.mark.parametrize(
        "options",
        [{"logging_strategy": "steps", "logging_steps": 4}, {"eval_strategy": "no"}],
    )
    def test_however_it_logs(self, tmp_path, options):
        plain, again = both(
            tmp_path,
            in_transformers,
            lambda: {"options": options},
            (1, "middle"),
            objective=ct.Objective("grad_norm", "min"),
        )
        assert told(plain) == told(again)
        assert len(plain._store.reports()[0]) == EPOCHS

    def test_several_evaluations_are_one_report(self, tmp_path):
        tuner = tuned(
            tmp_path,
            in_transformers,
            wrapped(in_transformers, several=True),
            objective=ct.Objective("eval_b_loss", "min"),
        )
        tuner.search(verbose=0, max_epochs_total=2)
        assert [{"eval_a_loss", "eval_b_loss"} <= set(r.metrics) for r in tuner._store.reports()[0]] == [True, True]

    def test_the_files_hold_no_code(self, tmp_path):
        with pytest.raises(Stop):
            tuned(tmp_path, in_transformers, wrapped(in_transformers, interrupt=interrupted_at((2, "middle")))).search(
                verbose=0
            )
        (path,) = tmp_path.rglob("execution-0.safetensors")
        state = load_checkpoint(path)["state"]
        assert set(state) == {"model", "optimizer", "scheduler", "trainer", "callbacks"}
        assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".pth", ".bin")]


def test_a_second_training_of_one_trial_is_refused(tmp_path, function):
    """It would be taken for the first, gone on with."""

    def twice(hp, trial):
        function(hp, trial)
        function(hp, trial)

    tuner = ct.RandomSearch(twice, objective(function), max_trials=1, directory=tmp_path)
    with pytest.raises(FatalRuntimeError, match="a second training was begun with this trial"):
        tuner.search(verbose=0)


def test_a_training_may_be_begun_again_where_the_first_came_to_nothing(tmp_path, function):
    def retried(hp, trial):
        def breaks(trial, epoch, place):
            raise MemoryError

        with suppress(MemoryError):
            function(hp, trial, interrupt=breaks)
        function(hp, trial)

    tuner = ct.RandomSearch(retried, objective(function), max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    assert tuner.history[0].status is Status.COMPLETED
    assert len(tuner._store.reports()[0]) == EPOCHS
