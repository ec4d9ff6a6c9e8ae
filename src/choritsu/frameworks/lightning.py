"""How a trial is trained by Lightning's `Trainer`. Importing this imports Lightning."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import CombinedLoader

from choritsu.frameworks.seeding import seed_everything
from choritsu.frameworks.torch import put_back_scheduler
from choritsu.running import PausedError, RunningTrial, as_number
from choritsu.states import Progress


class TrialCallback(Callback):  # type: ignore[misc]  # Lightning is not checked here
    """Lets a Lightning `Trainer` train a trial: reports each epoch, stops when told to, and goes on where it was.

    Once per epoch, after its validation, it reports those of ``trainer.callback_metrics`` that this epoch logged.
    Before each epoch all random numbers are seeded from the trial and the epoch; after it, all that Lightning puts in
    a checkpoint is saved, but for hyperparameters. A trial that was killed goes on with the same bits.

    The best epoch's weights are kept: ``model.load_state_dict(tuner.best_state()["model"])``. ``max_epochs`` is the
    length of a whole training, also where a trial is trained for some epochs first and promoted later; with
    ``horizon="rung"`` it is ``trial.horizon``.
    ``enable_checkpointing=False, logger=False`` spare what a search does not need.

    What it cannot bring back: random numbers in persistent data-loader workers, which are seeded only when the workers
    begin, and what a module or callback changes and does not put in Lightning's checkpoints. A training runs in one
    process: several devices are refused.

    Args:
        trial: what a function of (hp, trial) got as its second argument.

    Raises:
        ValueError: when training begins, if it runs in several processes.
        CheckpointError: when a callback's or module's state holds what is neither tensors nor plain values.

    Example:
        >>> def train(hp, trial):
        ...     trainer = lightning.Trainer(max_epochs=20, callbacks=[TrialCallback(trial)])
        ...     trainer.fit(Classifier(hp.Float("rate", 1e-4, 1e-1)), loader, validation_loader)
    """

    def __init__(self, trial: RunningTrial) -> None:
        super().__init__()
        self._trial = trial
        self._last = _Last(self)
        self._progress = Progress()
        self._seen: dict[str, Any] = {}
        self._ended_early = False

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Stand before all other callbacks, and behind them."""
        if stage != "fit":
            return
        if trainer.world_size > 1:
            raise ValueError(f"a trial trains in one process, and this Trainer in {trainer.world_size}: devices=1")
        # A new list: the old one is being walked through.
        trainer.callbacks = [self, *self._others(trainer), self._last]

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Leave the other callbacks as they were."""
        trainer.callbacks = [self, *self._others(trainer)]

    def _others(self, trainer: Any) -> list[Any]:
        return [callback for callback in trainer.callbacks if callback is not self and callback is not self._last]

    # -- the beginning -----------------------------------------------------------------------------

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Put back the model and the callbacks, before other callbacks begin."""
        self._progress = self._trial.resume_fit()
        self._seen = {}
        if self._progress.state is None:
            return
        checkpoint = self._progress.state["checkpoint"]
        pl_module.on_load_checkpoint(checkpoint)
        trainer.strategy.load_model_state_dict(checkpoint, strict=pl_module.strict_loading)
        for stateful in (trainer.datamodule, trainer.precision_plugin):
            if type(stateful).__qualname__ in checkpoint:
                stateful.load_state_dict(checkpoint[type(stateful).__qualname__])
        for callback in trainer.callbacks:
            callback.on_load_checkpoint(trainer, pl_module, checkpoint)
            if state := checkpoint["callbacks"].get(callback.state_key):
                callback.load_state_dict(copy.deepcopy(state))

    def restore_training(self, trainer: Any) -> None:
        """Put back the loops' progress, the optimizers and their schedulers, after other callbacks have begun."""
        kept, trial = self._progress.state, self._trial
        if kept is None:
            return
        checkpoint = kept["checkpoint"]
        trainer.precision_plugin.on_load_checkpoint(checkpoint)
        trainer.fit_loop.load_state_dict(checkpoint["loops"]["fit_loop"])
        # An epoch begins here, and none is in its middle: it is to go as every other one, and draw its data there.
        trainer.fit_loop.epoch_loop.restarting = False
        trainer.fit_loop._restarting = False
        trainer.fit_loop._resuming_from_checkpoint = False
        trainer.strategy.load_optimizer_state_dict(checkpoint)
        with trial.stretching():
            for config, state in zip(trainer.lr_scheduler_configs, checkpoint["lr_schedulers"], strict=True):
                put_back_scheduler(config.scheduler, state)
        trainer.callback_metrics.update(kept["metrics"])
        self._seen = dict(kept["metrics"])
        epochs = self._progress.epochs
        if trial.leaves_off(epochs, complete=self._is_complete(trainer, epochs)):
            trial.cut = True
            _end(trainer)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Save what the epoch before came to, now that its schedulers are stepped; then seed this one."""
        epoch = trainer.current_epoch
        if epoch > self._progress.epochs:
            self._trial.keep(epoch, lambda: self._taken(trainer))
        elif self._progress.state is not None:
            for generator, state in zip(_generators(trainer), self._progress.state["generators"], strict=False):
                generator.set_state(state)
        seed_everything(self._trial.epoch_seed(epoch))

    # -- the end -----------------------------------------------------------------------------------

    def conclude_epoch(self, trainer: Any) -> None:
        """Report the epoch, after other callbacks, and end the training where the trial is to be left."""
        trial, epoch = self._trial, trainer.current_epoch
        self._ended_early = _ends(trainer, epoch + 1)
        metrics = self._fresh(trainer)
        if metrics:
            best = trial.is_best(metrics)
            trial.report(metrics, epoch=epoch)
            if best:
                trial.keep_best({"model": trainer.strategy.lightning_module_state_dict()})
        ended = self._ended_early or trial.stopped
        trial.cut = not ended and trial.leaves_off(epoch + 1, complete=self._is_complete(trainer, epoch + 1))
        if trial.cut or trial.stopped or trial.pausing:
            _end(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Save the state of a training that has come to its end, or is to go on another time."""
        trial = self._trial
        if trial.stopped or self._ended_early:
            return
        trial.keep(trainer.current_epoch, lambda: self._taken(trainer), at_once=True)
        if trial.pausing:
            raise PausedError

    def _is_complete(self, trainer: Any, epochs: int) -> bool:
        return bool(epochs == trainer.max_epochs or trainer.global_step >= trainer.max_steps > 0)

    def _fresh(self, trainer: Any) -> dict[str, float]:
        """Give the metrics that were logged since the last epoch; Lightning goes on showing older ones."""
        metrics = dict(trainer.callback_metrics)
        fresh = {name: value for name, value in metrics.items() if value is not self._seen.get(name)}
        self._seen = metrics
        return {name: as_number(name, value) for name, value in fresh.items()}

    def _taken(self, trainer: Any) -> dict[str, Any]:
        checkpoint = _dumped(trainer)
        for owner in (trainer.lightning_module, trainer.datamodule):
            for word in ("KEY", "NAME", "TYPE"):
                # What a model was made of may be anything, and is not needed to go on.
                checkpoint.pop(getattr(owner, f"CHECKPOINT_HYPER_PARAMS_{word}", ""), None)
        progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
        for count in progress.values():
            # The next epoch has been announced, and not begun.
            count["ready"] = count["completed"]
        checkpoint["loops"] = {"fit_loop": checkpoint["loops"]["fit_loop"]}
        return {
            "checkpoint": checkpoint,
            "metrics": dict(trainer.callback_metrics),
            "generators": [generator.get_state() for generator in _generators(trainer)],
        }


class _Last(Checkpoint):  # type: ignore[misc]  # Lightning is not checked here
    """Calls a `TrialCallback` when all other callbacks are done: Lightning calls a `Checkpoint` after them."""

    def __init__(self, owner: TrialCallback) -> None:
        super().__init__()
        self._owner = owner

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  # Lightning's signature
        self._owner.restore_training(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002  # Lightning's signature
        self._owner.conclude_epoch(trainer)


class _Held(CheckpointIO):  # type: ignore[misc]  # Lightning is not checked here
    """Holds what Lightning would write to a file."""

    def __init__(self) -> None:
        self.checkpoint: dict[str, Any] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        self.checkpoint = checkpoint

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> Any:
        raise NotImplementedError

    def remove_checkpoint(self, path: Any) -> None:
        raise NotImplementedError


def _dumped(trainer: Any) -> dict[str, Any]:
    """Give what Lightning puts in a checkpoint."""
    held, files = _Held(), trainer.strategy.checkpoint_io
    trainer.strategy.checkpoint_io = held
    try:
        trainer.save_checkpoint("held", weights_only=False)
    finally:
        trainer.strategy.checkpoint_io = files
    return held.checkpoint


def _ends(trainer: Any, epochs: int) -> bool:
    """Tell whether another callback has ended the training."""
    enough = epochs >= (trainer.min_epochs or 0) and trainer.global_step >= (trainer.min_steps or 0)
    return bool(trainer.should_stop and enough)


def _end(trainer: Any) -> None:
    """End the training, however long it was to be at least."""
    trainer.should_stop = True
    trainer.fit_loop.min_epochs = 0
    trainer.fit_loop.epoch_loop.min_steps = None


def _generators(trainer: Any) -> list[torch.Generator]:
    """Find the random generators that the data loaders were given."""

    def found() -> Iterator[Any]:
        for loader in CombinedLoader(trainer.train_dataloader).flattened:
            for owner in (loader, getattr(loader, "sampler", None)):
                yield getattr(owner, "generator", None)

    return list({id(thing): thing for thing in found() if isinstance(thing, torch.Generator)}.values())
