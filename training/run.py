"""State of a training run and its optimiser step."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gaitid.encoders.networks import Network, PartNetwork, build
from gaitid.errors import ConfigError, InputError

from .objective import classifier_for, flat, likeness, loss_terms, necked, part_terms, regressor_for
from .recipe import Recipe, Schedule, fingerprint
from .team import Team
from .traits import Traits

log = logging.getLogger("training")

COLLAPSED = 0.998
"""Mean cosine of different subjects from which embeddings count as collapsed.

Networks without normalisation start at 0.99.
"""
COLLAPSE_FROM = 50
"""Steps after which a collapse stops the run."""
MAX_OVERFLOWS = 30
"""Consecutive steps whose gradients may overflow while the scale of half precision adapts."""


class TrainingFailed(InputError):
    """The loss is not finite, or all embeddings became alike."""


class Run:
    """A network, its classifier, its moving average and its optimiser, at the step they have reached.

    Args:
        recipe: Settings of the run.
        classes: Number of training subjects.
        team: Processes that train together; by default this one, on the CPU.
        traits: Traits of the training subjects, for `Loss.traits`; see `traits.trait_table`.

    Attributes:
        schedule: The recipe's, or a shorter one for a run of limited time; see `budget`.
    """

    def __init__(
        self, recipe: Recipe, classes: int, team: Team | None = None, traits: Traits | None = None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.team = recipe, team or Team()
        self.schedule = recipe.schedule
        device, how = self.team.device, recipe.loss
        self.network = build(recipe.network.name, recipe.network.arguments).to(device)
        self.network.to(memory_format=torch.channels_last)  # GaitSet is a fifth faster on a CPU
        self.classifier = classifier_for(how, self.network, classes).to(device)
        self.regressor = None if traits is None else regressor_for(how, self.network, traits).to(device)
        self.average = build(recipe.network.name, recipe.network.arguments).to(device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval()
        self.optimiser = _optimiser(self._parameters, recipe.schedule)
        self._features_of = _feature_method(recipe, self.network)
        self._amp = recipe.schedule.amp and _half_pays(device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._scales)
        self.step = self._overflows = 0

    @property
    def classifies(self) -> bool:
        """Whether whole embeddings are classified, with one direction per subject."""
        loss = self.recipe.loss
        return bool(loss.cross_entropy) and not loss.per_part

    @property
    def _parameters(self) -> list[nn.Parameter]:
        modules = (self.network, self.classifier, self.regressor)
        return [p for module in modules if module is not None for p in module.parameters()]

    @property
    def _scales(self) -> bool:
        """Whether gradients are scaled; float16 needs it, bfloat16 does not."""
        return self.recipe.schedule.amp and self.team.device.type == "cuda"

    def advance(
        self, clips: NDArray[Any], classes: NDArray[np.int64], cameras: NDArray[np.int64] | None = None
    ) -> dict[str, float]:
        """Take one optimiser step.

        With several processes each passes its share of the batch through the network, and all compute the
        losses of the whole batch.

        Args:
            clips: (N, T, ...) clips of the whole batch.
            classes: (N,) their classes.
            cameras: (N,) the cameras that saw them, from 0; None for one.

        Returns:
            The losses by name, ``loss`` (their sum), ``gradient`` (its norm), ``strangers`` (mean cosine of
            different subjects) and ``rate`` (learning rate).

        Raises:
            TrainingFailed: The loss or the gradient is not finite, or the embeddings have collapsed.
        """
        schedule = self.schedule
        rate = rate_at(self.step, schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        device = self.team.device
        targets = torch.from_numpy(classes).to(device)
        seen_by = torch.zeros_like(targets) if cameras is None else torch.from_numpy(cameras).to(device)
        mine = torch.from_numpy(clips[self.team.share(len(clips))])
        wide, terms = self._backward(mine, targets, seen_by)
        self.team.average_gradients(self.network)
        self.scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self._parameters, schedule.clip))
        values = {name: float(term.detach()) for name, term in terms.items()}
        values["loss"] = sum(values.values())
        values |= {"gradient": norm, "strangers": likeness(wide, targets), "rate": rate}
        self._apply(values)
        return values

    def _apply(self, values: Mapping[str, float]) -> None:
        """Update the weights and their average, unless the gradients overflowed."""
        norm = values["gradient"]
        overflows = self._scales and not math.isfinite(norm)  # the scaler skips such a step
        self._overflows = self._overflows + 1 if overflows else 0
        tolerated = 0 < self._overflows < MAX_OVERFLOWS
        _check(self.step, values["loss"], 0.0 if tolerated else norm, values["strangers"])
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        if not overflows:
            self._update_average()

    def _backward(self, mine: Tensor, targets: Tensor, cameras: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the gradients of all weights; returns the embeddings and losses of the whole batch."""
        chunks = mine.chunk(self.recipe.schedule.chunks)
        if len(chunks) == 1:
            return self._backward_terms(self._features(mine), targets, cameras)
        with torch.no_grad():
            features = torch.cat([self._features(chunk) for chunk in chunks])
        features.requires_grad_()
        whole, terms = self._backward_terms(features, targets, cameras)
        assert features.grad is not None  # noqa: S101 - backward has just computed it
        slopes = torch.split(features.grad, [len(chunk) for chunk in chunks])
        for chunk, slope in zip(chunks, slopes, strict=True):
            torch.autograd.backward(self._features(chunk), slope)
        return whole, terms

    def _backward_terms(
        self, mine: Tensor, targets: Tensor, cameras: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute gradients down to the features of this process."""
        whole = self.team.gather(mine)
        terms = self._terms(whole, targets, cameras)
        torch.autograd.backward(self.scaler.scale(torch.stack(list(terms.values())).sum()))
        return flat(whole.detach()), terms

    def _features(self, clips: Tensor) -> Tensor:
        """(n, D) wide embeddings, or (n, P, D') parts."""
        batch = clips.to(self.team.device).float()
        # Clips have no padding, but checking the lengths would break up a compiled network.
        lengths = [] if self.recipe.schedule.compiled else [torch.full((len(batch),), batch.shape[1])]
        with torch.autocast(self.team.device.type, enabled=self._amp):
            features = self._features_of(batch, *lengths)
        return features.float()

    def _terms(self, features: Tensor, targets: Tensor, cameras: Tensor) -> dict[str, Tensor]:
        how = self.recipe.loss
        if how.per_part:
            return part_terms(how, self.classifier, features, targets)
        features = necked(how, features)
        terms = loss_terms(how, self.network, self.classifier, features, targets, cameras)
        if self.regressor is not None:
            terms["traits"] = how.traits * self.regressor(features, targets)
        return terms

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        states = {name: part.state_dict() for name, part in self._stateful.items()}
        return {"step": self.step, "recipe": fingerprint(self.recipe), **states}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            ConfigError: It belongs to another recipe.
        """
        if state["recipe"] != fingerprint(self.recipe):
            raise ConfigError(
                "The checkpoint was made with another recipe", "the same recipe", "Choose a new folder"
            )
        self.step = state["step"]
        for name, part in self._stateful.items():
            if name in state:
                part.load_state_dict(state[name])

    @property
    def _stateful(self) -> dict[str, Any]:
        """Parts with a state, by their names in a checkpoint."""
        parts = {
            "network": self.network,
            "classifier": self.classifier,
            "reader": self.regressor,
            "average": self.average,
            "optimiser": self.optimiser,
            "scaler": self.scaler,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _update_average(self) -> None:
        """Move the average towards the network, faster during the first steps."""
        keep = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        live = self.network.state_dict()
        for name, slow in self.average.state_dict().items():
            if slow.dtype.is_floating_point:
                slow.lerp_(live[name], 1 - keep)
            else:
                slow.copy_(live[name])


def rate_at(step: int, schedule: Schedule) -> float:
    """Learning rate of a step: linear warm-up, then a cosine to zero, or a tenth after each milestone."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    if schedule.milestones:
        return float(schedule.rate * 0.1 ** sum(step >= stone for stone in schedule.milestones))
    share = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _optimiser(parameters: list[nn.Parameter], schedule: Schedule) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": schedule.decay},
        {
            "params": [p for p in parameters if p.ndim < 2],
            "weight_decay": schedule.decay if schedule.decay_all else 0.0,
        },
    ]
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=schedule.rate, momentum=0.9)
    if schedule.optimiser not in ("adamw", "adam"):
        raise ConfigError(
            f"Setting schedule.optimiser is {schedule.optimiser!r}",
            "adamw, adam or sgd",
            "Change it in the recipe",
        )
    kind = torch.optim.AdamW if schedule.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=schedule.rate)


def _feature_method(recipe: Recipe, network: Network) -> Callable[..., Tensor]:
    """The method that gives what the losses work on, compiled if the recipe says so."""
    method: Callable[..., Tensor] = network.wide
    if recipe.loss.per_part and isinstance(network, PartNetwork):
        method = network.parts
    if not recipe.schedule.compiled:
        return method
    if not network.compiles:
        raise ConfigError(
            f"Setting schedule.compiled is true for network {recipe.network.name}",
            "a network that works without the lengths of clips, such as strider or stickman",
            "Set schedule.compiled to false",
        )
    compiled: Callable[..., Tensor] = torch.compile(method, dynamic=False)
    return compiled


def _half_pays(device: torch.device) -> bool:
    """Whether half precision is faster; a step takes three times as long without instructions for it."""
    if device.type != "cpu":
        return True
    can: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    pays = not can or any(can.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    if not pays:
        log.info("schedule.amp is ignored: this processor has no bfloat16 instructions")
    return pays


def _check(step: int, loss: float, gradient: float, alike: float) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient)):
        raise TrainingFailed(
            f"At step {step} the loss is {loss} and the gradient norm is {gradient}",
            "finite numbers",
            "Lower schedule.rate and look for damaged sequences; the last checkpoint is good",
        )
    if step > COLLAPSE_FROM and alike > COLLAPSED:
        raise TrainingFailed(
            f"At step {step} the embeddings collapsed: the mean cosine of different subjects is {alike:.3f}",
            f"at most {COLLAPSED}",
            "Lower schedule.rate or loss.margin, or use loss.contrastive",
        )
