"""The learning-rate range test: train a little at growing rates, and see where the loss falls."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from choritsu.errors import ScheduleError
from choritsu.schedules.finding.randomness import randomness_kept
from choritsu.schedules.finding.rate_range import FEWEST, Divergence, RateRange, read_range
from choritsu.schedules.values import Rate


class Subject(Protocol):
    """A model, its optimizer and its data, in some framework."""

    def kept(self) -> AbstractContextManager[None]:
        """Put everything back as it was at the end of the block."""
        ...

    def begin(self, seed: int) -> None:
        """Start from the model as it was given, with the data in the order of a seed."""
        ...

    def step(self, rate: float) -> float:
        """Take one optimizer step; give the loss before it."""
        ...


def find_rate(
    model: Any,
    data: Any,
    targets: Any = None,
    *,
    optimizer: Any = None,
    loss: Callable[..., Any] | None = None,
    batch_loss: Callable[..., Any] | None = None,
    sample_weight: Any = None,
    batch_size: int = 32,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    seeds: int = 3,
) -> RateRange:
    """Find the learning rates at which a model learns, by training it a little at growing ones.

    At step k the rate is low (high/low)^(k/(steps - 1)); a sweep ends early where the loss diverges, which is more than
    four times its best, or not finite. Each sweep begins with the model and the optimizer's state as they are given,
    and sees the data in an order of its own. Of the curves `read_range` reads the range, and says by what rule.

    Afterwards everything is as it was, to the last bit, also when it ends in an error or is interrupted: weights and
    buffers, the optimizer with its rate and state, gradients, training modes, metrics, and the random numbers of
    Python, NumPy, PyTorch, Keras and a DataLoader's generator. Not so what a data set or sampler of your own, or a
    shuffling ``tf.data.Dataset``, draws and keeps for itself. Gradient scaling for float16 is not supported, nor are
    gradients clipped outside the optimizer.

    Args:
        model: a compiled Keras model, on any backend, or a PyTorch module.
        data: a DataLoader, PyDataset or whatever yields batches each time it is iterated; or arrays or tensors.
        targets: the arrays that belong to arrays.
        optimizer: PyTorch only, and needed there. Where its parameter groups have several rates, the swept rate is the
            largest one's, and the others keep their proportion to it.
        loss: PyTorch only: called as ``loss(model(inputs), targets)``.
        batch_loss: PyTorch only, in place of `loss` where batches are no pairs: called as ``batch_loss(model, batch)``.
        sample_weight: Keras only; an array, beside `targets`.
        batch_size: of arrays, in samples.
        low: the first rate, where nothing is learnt yet.
        high: the last one, where training has diverged.
        steps: how many rates in a sweep, at least 20.
        seeds: how many sweeps, at least 1.

    Returns:
        The range with a suggestion, the rule, and the curves; ``found.plot()`` draws them.

    Raises:
        ScheduleError: when the arguments do not fit, or the curves say nothing; the message has the reason and what to
            change.

    Example:
        >>> import torch
        >>> x = torch.linspace(-1.0, 1.0, 256).reshape(-1, 1)
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> found = find_rate(model, x, 3 * x, optimizer=optimizer, loss=torch.nn.MSELoss(), low=1e-5)
        >>> found.low < found.suggested <= found.high < 10.0
        True
        >>> optimizer.param_groups[0]["lr"], len(optimizer.state)
        (0.1, 0)

    Reference:
        Smith, Cyclical Learning Rates, WACV 2017, section 3.3.
    """
    sweep, seeds = _sweep(low, high, steps), operator.index(seeds)
    if seeds < 1:
        raise ScheduleError(f"seeds is the number of sweeps, at least 1, got {seeds}")
    if operator.index(batch_size) < 1:
        raise ScheduleError(f"batch_size must be at least 1, got {batch_size}")
    if _is_keras(model):
        for name, value in (("optimizer", optimizer), ("loss", loss), ("batch_loss", batch_loss)):
            if value is not None:
                raise ScheduleError(f"a Keras model is swept as it is compiled; leave out {name}, or compile it anew")
        subject = _keras_subject(model, data, targets, sample_weight, batch_size)
    elif _is_torch(model):
        if sample_weight is not None:
            raise ScheduleError("sample_weight is for Keras models; in PyTorch weigh the samples in loss or batch_loss")
        subject = _torch_subject(model, optimizer, loss, batch_loss, data, targets, batch_size)
    else:
        raise ScheduleError(f"find_rate takes a Keras model or a PyTorch module, got {type(model).__name__}")
    with subject.kept(), randomness_kept():
        losses = [_swept(subject, sweep, seed) for seed in range(seeds)]
    return read_range(sweep.table(), losses)


def _sweep(low: Any, high: Any, steps: Any) -> Rate:
    """Give the rates of a test: exponential from `low` to `high`."""
    if operator.index(steps) < FEWEST:
        raise ScheduleError(f"a range is read from at least {FEWEST} rates, got steps={steps}")
    if not 0 < low < high < math.inf:
        raise ScheduleError(f"the rates grow from low, above 0, to a larger high; got low={low!r}, high={high!r}")
    return Rate.exponential(low, decay=high / low, every=steps - 1, steps=steps)


def _swept(subject: Subject, sweep: Rate, seed: int) -> list[float]:
    subject.begin(seed)
    watch = Divergence()
    for rate in sweep.table():
        if watch.add(subject.step(rate)):
            break
    return watch.losses


def _is_keras(model: object) -> bool:
    return "keras" in sys.modules and isinstance(model, sys.modules["keras"].Model)


def _is_torch(model: object) -> bool:
    # Asked after Keras: on its torch backend a Keras model is a torch module too.
    return "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module)


def _keras_subject(*arguments: Any) -> Subject:
    from choritsu.schedules.finding.keras import KerasSubject

    return KerasSubject(*arguments)


def _torch_subject(*arguments: Any) -> Subject:
    from choritsu.schedules.finding.torch import TorchSubject

    return TorchSubject(*arguments)
