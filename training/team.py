"""Processes of a training run: one, or several under ``torchrun``, each with its own device.

    torchrun --nproc-per-node 4 -m gaitid.training.train RECIPE RUN --device cuda

Every process makes the same batch and passes its share of it through the network. Embeddings are gathered,
so the losses see the whole batch, and gradients are averaged. Batch normalisation uses only the share of
its own process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed.nn
from torch import Tensor, distributed, nn

from gaitid.errors import ConfigError


@dataclass(frozen=True)
class Team:
    """The processes that train together.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        device: Device of this process.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - immutable

    @classmethod
    @contextmanager
    def join(cls, device: str) -> Iterator[Team]:
        """Join the processes that ``torchrun`` started, or train alone.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for a GPU if there is one.

        Raises:
            ConfigError: The device does not exist.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            yield cls(device=_device(device))
            return
        place = _device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device)
        if place.type == "cuda":
            torch.cuda.set_device(place)
        distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
        try:
            yield cls(distributed.get_rank(), size, place)
        finally:
            distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Select the clips of a batch of `count` that pass through the network of this process.

        Raises:
            ConfigError: `count` cannot be divided equally.
        """
        if count % self.size:
            raise ConfigError(
                f"A batch has {count} clips",
                f"a multiple of {self.size}, the number of processes",
                "Change batch.subjects or batch.each",
            )
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, mine: Tensor) -> Tensor:
        """Concatenate the rows of all processes in order; gradients flow back to their process."""
        if self.size == 1:
            return mine
        rows: tuple[Tensor, ...] = torch.distributed.nn.all_gather(mine)  # type: ignore[no-untyped-call]
        return torch.cat(rows)

    def average_gradients(self, network: nn.Module) -> None:
        """Replace gradients by their mean over the processes.

        Each process computes the loss of the whole batch, and gathering sums the gradients of all of them, so
        the mean is the gradient of that loss.
        """
        if self.size == 1:
            return
        for parameter in network.parameters():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= self.size


def _device(name: str) -> torch.device:
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ConfigError(
            f"Argument device is {name!r}", "auto, cpu, cuda or cuda:N", "Pass one of these as --device"
        )
    there = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= there:
        raise ConfigError(
            f"Argument device is {name!r}, but torch finds {there} GPUs",
            "an existing device",
            "Check the driver, or pass --device cpu",
        )
    return torch.device(name)
