"""The range test's hands in PyTorch: a batch at a rate, and everything put back as it was.

Importing this imports PyTorch.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

from choritsu.errors import ScheduleError
from choritsu.schedules.finding.batches import batches_of, is_whole, mapped
from choritsu.schedules.finding.randomness import draw_from, generators_of


class TorchSubject:
    """A PyTorch model that is trained for a while, as if it had not been.

    Args:
        model: a ``torch.nn.Module``.
        optimizer: over its parameters; each group keeps its proportion to the one with the largest rate.
        loss: called as ``loss(model(inputs), targets)``; None where `batch_loss` is given.
        batch_loss: called as ``batch_loss(model, batch)``.
        data: a DataLoader or the like, or tensors.
        targets: tensors, or None.
        batch_size: of tensors.

    Raises:
        ScheduleError: when one of them cannot be used.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss: Callable[..., Any] | None,
        batch_loss: Callable[..., Any] | None,
        data: Any,
        targets: Any,
        batch_size: int,
    ) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ScheduleError(
                "a PyTorch model needs its optimizer: "
                f"find_rate(model, loader, optimizer=optimizer, loss=loss), got optimizer={optimizer!r:.60}"
            )
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ScheduleError("LBFGS takes several steps at each batch, and a range test one; use another optimizer")
        if (loss is None) == (batch_loss is None):
            raise ScheduleError(
                "a PyTorch model needs its loss, called as loss(model(inputs), targets), or for other batches "
                "batch_loss=lambda model, batch: ...; give one of the two"
            )
        if batch_loss is None and targets is None and is_whole(data):
            raise ScheduleError("tensors need their targets: find_rate(model, x, y, optimizer=..., loss=...)")
        for name, function in (("loss", loss), ("batch_loss", batch_loss)):
            if function is not None and not callable(function):
                raise ScheduleError(
                    f"{name} is a function of PyTorch's, such as loss=torch.nn.CrossEntropyLoss(), got {function!r}"
                )
        self.model, self.optimizer = model, optimizer
        self._loss, self._batch_loss = loss, cast(Any, batch_loss)
        self._data, self._targets, self._batch_size = data, targets, batch_size
        self._parameters = _all_parameters(model, optimizer)
        self._ratios = _ratios(optimizer)
        self._batches: Iterator[Any] = iter(())
        self._given = _Given(model, optimizer, self._parameters)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put the model, the optimizer and the data's generators back as they were, whatever happens inside."""
        shuffling = [(one, one.get_state()) for one in generators_of(self._data)]
        # A loader with lasting workers keeps them, and where they are in their random numbers, in its iterator.
        workers = vars(self._data).get("_iterator") if isinstance(self._data, torch.utils.data.DataLoader) else None
        if workers is not None:
            self._data._iterator = None
        try:
            self._given.set_aside()
            yield
        finally:
            self._batches = iter(())
            self._given.restore()
            for generator, state in shuffling:
                generator.set_state(state)
            if isinstance(self._data, torch.utils.data.DataLoader) and "_iterator" in vars(self._data):
                self._data._iterator = workers

    def begin(self, seed: int) -> None:
        """Start from the model and optimizer as they were given, with the data in another order."""
        self._given.start_again()
        # A model in training keeps what was frozen inside it, such as batch statistics, as it is.
        if not self.model.training:
            self.model.train()
        draw_from(seed)
        for generator in generators_of(self._data):
            generator.manual_seed(seed)
        self._batches = batches_of(self._data, self._targets, self._batch_size, seed)

    def step(self, rate: float) -> float:
        """Take one optimizer step at a rate; give the loss before it."""
        for group, ratio in zip(self.optimizer.param_groups, self._ratios, strict=True):
            known = group["lr"]
            group["lr"] = torch.full_like(known, rate * ratio) if isinstance(known, torch.Tensor) else rate * ratio
        with torch.enable_grad():
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._loss_of(next(self._batches))
            value = float(loss.detach())
            loss.backward()
            self.optimizer.step()
        return value

    def _loss_of(self, batch: Any) -> Any:
        batch = mapped(batch, self._moved)
        if self._loss is None:
            return self._batch_loss(self.model, batch)
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            raise ScheduleError(
                f"the loader yields {type(batch).__name__}, not pairs (inputs, targets); say how its loss is computed: "
                "batch_loss=lambda model, batch: ..."
            )
        inputs, targets = batch
        return self._loss(self.model(inputs), targets)

    def _moved(self, value: Any) -> Any:
        return value.to(self._parameters[0].device) if isinstance(value, torch.Tensor) else value


class _Given:
    """What training changes: its state as it was given, and the way back there.

    The very tensors and dictionaries that the user may hold are put back, not copies of them.
    """

    def __init__(self, model: Any, optimizer: Any, parameters: list[Any]) -> None:
        self.model, self.optimizer, self.parameters = model, optimizer, parameters
        self.modules = list(model.modules())
        self.modes = [module.training for module in self.modules]
        self.buffers = [(module, name, buffer) for module in self.modules for name, buffer in module._buffers.items()]
        tensors = [*parameters, *(buffer for *_, buffer in self.buffers if buffer is not None)]
        self.tensors = list({id(tensor): tensor for tensor in tensors}.values())
        self.values = [tensor.detach().clone() for tensor in self.tensors]
        self.gradients = [parameter.grad for parameter in parameters]
        self.attributes = dict(vars(optimizer))
        self.groups = [(group, dict(group)) for group in optimizer.param_groups]

    def set_aside(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def start_again(self) -> None:
        self._restore_values()
        for group, values in self.groups:
            group.clear()
            group.update(values)
        # Copies, since steps change these tensors in place; the keys are the parameters themselves.
        known = {id(parameter): parameter for parameter in self.parameters}
        state: Any = defaultdict(dict)
        state.update({key: copy.deepcopy(value, dict(known)) for key, value in self.attributes["state"].items()})
        self.optimizer.state = state

    def restore(self) -> None:
        self._restore_values()
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        for module, mode in zip(self.modules, self.modes, strict=True):
            module.training = mode
        for group, values in self.groups:
            group.clear()
            group.update(values)
        vars(self.optimizer).clear()
        vars(self.optimizer).update(self.attributes)

    def _restore_values(self) -> None:
        for module, name, buffer in self.buffers:
            module._buffers[name] = buffer
        with torch.no_grad():
            for tensor, value in zip(self.tensors, self.values, strict=True):
                tensor.copy_(value)


def _all_parameters(model: Any, optimizer: Any) -> list[Any]:
    grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    parameters = list({id(one): one for one in [*model.parameters(), *grouped]}.values())
    if not grouped or not parameters:
        raise ScheduleError("the optimizer has no parameters to train")
    if any(isinstance(one, torch.nn.parameter.UninitializedTensorMixin) for one in [*parameters, *model.buffers()]):
        raise ScheduleError("the model has lazy layers without a shape yet; run it on one batch first: model(inputs)")
    if not {id(one) for one in grouped} & {id(one) for one in model.parameters()}:
        raise ScheduleError("the optimizer trains none of the model's parameters; make it of model.parameters()")
    return parameters


def _ratios(optimizer: Any) -> list[float]:
    """Give each group's share of the largest rate, as the user gave it, before any scheduler."""
    given = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    largest = max(given)
    return [one / largest if largest > 0 else 1.0 for one in given]
