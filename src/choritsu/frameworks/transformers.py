"""How a trial is trained by the `Trainer` of Hugging Face's transformers. Importing this imports transformers."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import TrainOutput
from transformers.utils import SAFE_WEIGHTS_NAME

from choritsu.frameworks.seeding import seed_everything
from choritsu.frameworks.torch import put_back_scheduler
from choritsu.running import PausedError, RunningTrial, as_number
from choritsu.states import Progress

#: The ends of the names that tell how long something took, which is no result.
_SPEEDS = ("_runtime", "_per_second", "_preparation_time", "_compilation_time")


def train(trainer: Any, trial: RunningTrial, **options: Any) -> TrainOutput:
    """Train a trial by a Hugging Face `Trainer`; write it in place of ``trainer.train()``.

    Once per epoch, after its evaluation, it reports the numbers that the epoch logged: ``eval_loss`` and its kin, and
    ``loss``, which is the mean since the last log before (with ``logging_strategy="epoch"``, of the epoch). Before each
    epoch all random numbers are seeded from the trial and the epoch; after it the model, the optimizer, the scheduler,
    the gradient scaler, the trainer's state and that of its callbacks are saved as tensors and JSON. A trial that was
    killed goes on with the same bits, and the trainer's own ``save_strategy`` may be "no".

    The best epoch's weights are kept: ``model.load_state_dict(tuner.best_state()["model"])``. ``num_train_epochs`` is
    the length of a whole training, also where a trial is trained for some epochs first and promoted later; with
    ``horizon="rung"`` it is ``trial.horizon``.

    What it cannot bring back: the ``train_loss`` that is returned, which the trainer counts from where it was taken
    up; random numbers in persistent data-loader workers; the order of the data with ``use_seedable_sampler=False``. An
    epoch that another callback cuts short is not saved, and neither are those after it.

    Args:
        trainer: ready to train, in one process, a dataset that has a length.
        trial: what a function of (hp, trial) got as its second argument.
        options: further arguments of ``trainer.train``.

    Returns:
        What ``trainer.train()`` returns; its loss is NaN where nothing was left to train.

    Raises:
        ValueError: when the trainer runs in several processes, or its dataset has no length.
        CheckpointError: when a state holds what is neither tensors nor plain values.

    Example:
        >>> def function(hp, trial):
        ...     arguments = TrainingArguments(num_train_epochs=5, learning_rate=hp.Float("rate", 1e-5, 1e-3))
        ...     train(Trainer(model, arguments, train_dataset=data, eval_dataset=held_out), trial)
    """
    if trainer.args.world_size > 1:
        raise ValueError(f"a trial trains in one process, and this Trainer in {trainer.args.world_size}")
    callback = _Recorder(trial, trainer, trial.resume_fit())
    trainer.add_callback(callback)
    try:
        return trainer.train(resume_from_checkpoint=callback.written(), **options)
    except _NothingLeftError:
        trainer.is_in_train = False
        return TrainOutput(trainer.state.global_step, math.nan, {})
    finally:
        trainer.remove_callback(callback)
        shutil.rmtree(callback.directory, ignore_errors=True)


class _NothingLeftError(BaseException):
    """Leaves a training that was saved at its end; no ``except Exception`` of another callback catches it."""


class _Recorder(TrainerCallback):  # type: ignore[misc]  # transformers is not checked here
    """Reports each epoch to the trial, and saves and restores all that changes while training.

    It stands behind all other callbacks. The trainer logs and evaluates after the end of an epoch is announced, and
    steps some schedulers after that: so the epoch is reported at the last of its logs and evaluations, while the
    training can still be ended, and saved when the next epoch, or the summary of the training, begins.
    """

    def __init__(self, trial: RunningTrial, trainer: Any, progress: Progress) -> None:
        self.directory: Path = trial.directory / "state" / f"transformers-{trial.execution}"
        self._trial = trial
        self._trainer = trainer
        self._progress = progress
        self._epochs = progress.epochs
        self._metrics: dict[str, float] = {}
        self._logged_at = -1
        self._logs_to_come = False
        self._evaluations_to_come = 0
        self._concluded = False
        self._best = False
        self._ended_early = False

    # -- the beginning -----------------------------------------------------------------------------

    def written(self) -> str | None:
        """Write what the trainer itself must read to begin at a later epoch; None where it begins at the first."""
        kept = self._progress.state
        if kept is None:
            return None
        self.directory.mkdir(parents=True, exist_ok=True)
        save_file(kept["model"], self.directory / SAFE_WEIGHTS_NAME, {"format": "pt"})
        TrainerState(**kept["trainer"]).save_to_json(str(self.directory / TRAINER_STATE_NAME))
        return str(self.directory)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        try:
            len(kwargs["train_dataloader"])
        except TypeError:
            raise ValueError(
                "a dataset without a length has no epochs that a trial could be reported and taken up by; give one "
                "with __len__"
            ) from None
        kept = self._progress.state
        if kept is None:
            return
        (self.directory / SAFE_WEIGHTS_NAME).unlink(missing_ok=True)
        for name, thing in self._stateful().items():
            if name not in ("model", "scheduler"):
                thing.load_state_dict(kept[name])
        with self._trial.stretching():
            put_back_scheduler(self._trainer.lr_scheduler, kept["scheduler"])
        for callback, attributes in zip(self._exportable(), kept["callbacks"], strict=True):
            for name, value in attributes.items():
                setattr(callback, name, value)
        if self._trial.leaves_off(self._epochs, complete=self._is_complete(state)):
            self._trial.cut = True
            raise _NothingLeftError

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if self._concluded:
            self._keep(state)
        self._concluded = False
        self._metrics = {}
        seed_everything(self._trial.epoch_seed(self._epochs))

    # -- the end -----------------------------------------------------------------------------------

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: ARG002
        if self._concluded:
            self._finish(state)
            return
        self._metrics |= _results(logs or {})
        if "loss" in (logs or {}):
            self._logged_at = state.global_step
            if self._logs_to_come:
                self._logs_to_come = False
                self._conclude_if_all_is_told(state, control)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if self._evaluations_to_come:
            self._evaluations_to_come -= 1
            self._conclude_if_all_is_told(state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if args.logging_strategy != "no":
            # The trainer's running mean of the loss is not to reach over the end of an epoch.
            control.should_log = True
        self._logs_to_come = control.should_log and state.global_step > self._logged_at
        datasets = self._trainer.eval_dataset
        several = len(datasets) if isinstance(datasets, dict) else 1
        self._evaluations_to_come = several if control.should_evaluate else 0
        self._conclude_if_all_is_told(state, control)

    def _conclude_if_all_is_told(self, state: Any, control: Any) -> None:
        if self._logs_to_come or self._evaluations_to_come:
            return
        trial = self._trial
        self._ended_early = control.should_training_stop and not self._is_complete(state)
        if self._metrics:
            self._best = trial.is_best(self._metrics)
            trial.report(self._metrics, epoch=self._epochs)
        self._epochs += 1
        self._concluded = True
        ended = self._ended_early or trial.stopped
        trial.cut = not ended and trial.leaves_off(self._epochs, complete=self._is_complete(state))
        if self._best:
            trial.keep_best({"model": self._trainer.model.state_dict()})
            self._best = False
        if trial.cut or trial.stopped or trial.pausing:
            control.should_training_stop = True

    def _finish(self, state: Any) -> None:
        """Save the state of a training that has come to its end, or is to go on another time."""
        self._concluded = False
        if self._trial.stopped or self._ended_early:
            return
        self._keep(state, at_once=True)
        if self._trial.pausing:
            raise PausedError

    # -- the state ---------------------------------------------------------------------------------

    def _keep(self, state: Any, *, at_once: bool = False) -> None:
        loader = self._trainer.callback_handler.train_dataloader
        steps = math.ceil(len(loader) / self._trainer.args.gradient_accumulation_steps)
        if state.global_step == self._epochs * steps:
            # Only then does the trainer find the epoch by the number of updates.
            self._trial.keep(self._epochs, lambda: self._taken(state), at_once=at_once)

    def _taken(self, state: Any) -> dict[str, Any]:
        taken = {name: thing.state_dict() for name, thing in self._stateful().items()}
        callbacks = [callback.state()["attributes"] for callback in self._exportable()]
        return {**taken, "trainer": dataclasses.asdict(state), "callbacks": callbacks}

    def _stateful(self) -> dict[str, Any]:
        trainer = self._trainer
        scaler = getattr(trainer.accelerator, "scaler", None)
        found = {"model": trainer.model, "optimizer": trainer.optimizer, "scheduler": trainer.lr_scheduler}
        return found | ({} if scaler is None else {"scaler": scaler})

    def _exportable(self) -> list[Any]:
        return [item for item in self._trainer.callback_handler.callbacks if isinstance(item, ExportableState)]

    def _is_complete(self, state: Any) -> bool:
        return bool(state.global_step >= state.max_steps)


def _results(logs: Mapping[str, Any]) -> dict[str, float]:
    """Keep what is a number, and the same each time."""
    results = {}
    for name, value in logs.items():
        if name == "epoch" or name.endswith(_SPEEDS):
            continue
        try:
            results[name] = as_number(name, value)
        except TypeError:
            continue
    return results
