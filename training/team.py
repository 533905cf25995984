"""The processes of one training run: one, or several under ``torchrun``, each with its device.

    torchrun --nproc-per-node 4 -m gaitid.training.train RECIPE RUN --device cuda

Every process makes the same batch and takes its share of it through the network; embeddings are gathered,
so the losses see the whole batch, and gradients are averaged. Batch normalisation uses each process's own
share of the batch.
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
    """Rank of this process, number of processes, and its device."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - immutable

    @classmethod
    @contextmanager
    def join(cls, device: str) -> Iterator[Team]:
        """The team that ``torchrun`` started, or this process alone.

        Raises:
            ConfigError: There is no such device.
        """
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
        """Which of `count` clips go through this process's network."""
        if count % self.size:
            raise ConfigError(
                f"{count} clips a batch for {self.size} processes", "equal shares", "change batch.subjects"
            )
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, mine: Tensor) -> Tensor:
        """All processes' rows, in order; gradients flow back to their owners."""
        if self.size == 1:
            return mine
        return torch.cat(torch.distributed.nn.all_gather(mine))

    def average_gradients(self, network: nn.Module) -> None:
        """Replace gradients by their mean over processes.

        Each computes the loss of the whole batch, and gathering sums what all send back, so the mean is the
        gradient of that loss.
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
        raise ConfigError(f"device {name!r}", "cpu, cuda or cuda:N", "correct --device")
    there = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= there:
        raise ConfigError(
            f"device {name}, where torch sees {there} GPUs",
            "one that is there",
            "check the driver, or take cpu",
        )
    return torch.device(name)
