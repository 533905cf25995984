"""The training loop, from a recipe to weights; stop it any time, the same command goes on.

    python -m gaitid.training.train training/recipes/strider.toml RUN

RUN holds ``checkpoint.pt`` (all that the next step needs), ``metrics.csv`` and ``train.log``, and at the end
``RUN.safetensors``, an encoder that can be evaluated and served. Batches, augmentation and weights depend on
the recipe's seed and the step only, so a run that was killed and resumed ends with the same weights, to the
bit on the same machine and number of threads.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid import settings
from gaitid.encoders import weights
from gaitid.encoders.networks import Network, PartNetwork, build
from gaitid.errors import ConfigError, InputError

from . import losses
from .batches import Arrays, BatchMaker, stream
from .corpus import Corpus, Recorded, recorded
from .curves import plot
from .heldout import Embed, embedder, measure, measure_recorded
from .recipe import Loss, Recipe, Schedule
from .team import Team
from .traits import Traits, trait_table

log = logging.getLogger("training")

WATCHED_VIEWS = (0.0, 36.0, 90.0, 126.0)
HELD_OUT = ("cross_nm", "cross_bg", "cross_cl", "same_nm", "same_bg", "same_cl", "rank_1")
_COLLAPSED = 0.998
"""Mean cosine of different subjects. Networks without normalisation begin at 0.99."""
_OVERFLOWS = 30
"""Steps in a row whose gradients may overflow: the scale of half precision falls from its first value."""


class TrainingFailed(InputError):
    """The loss is no number, or all embeddings became alike."""


class Run:
    """A network, its classifier, its average and its optimiser, with the step they have reached.

    Args:
        recipe: What to train.
        classes: Number of training subjects.
        team: The processes that train together, and the device of this one.
        traits: Of the training subjects, for `Loss.traits`; see `traits.trait_table`.
    """

    def __init__(
        self, recipe: Recipe, classes: int, team: Team | None = None, traits: Traits | None = None
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.team = recipe, team or Team()
        device = self.team.device
        network = build(recipe.network.name, recipe.network.arguments)
        self.network = network.to(
            device, memory_format=torch.channels_last
        )  # GaitSet: a fifth faster on a CPU
        self.classifier = _classifier(recipe, self.network, classes).to(device)
        self.reader = None if traits is None else _reader(recipe, self.network, traits).to(device)
        self.average = build(recipe.network.name, recipe.network.arguments).to(device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval()
        self.optimiser = _optimiser(self._learners, recipe.schedule)
        self._make = _features(recipe, self.network)
        self._amp = recipe.schedule.amp and _half_pays(device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self._half)
        self.step = self._left_out = 0

    @property
    def classifies(self) -> bool:
        """Whether a whole embedding is classified, by one direction a subject."""
        loss = self.recipe.loss
        return bool(loss.cross_entropy) and not loss.per_part

    @property
    def _learners(self) -> list[nn.Module]:
        return [m for m in (self.network, self.classifier, self.reader) if m is not None]

    @property
    def _half(self) -> bool:
        """Whether gradients are scaled; bfloat16 needs no scaling."""
        return self.recipe.schedule.amp and self.team.device.type == "cuda"

    def advance(self, clips: np.ndarray[Any, Any], classes: np.ndarray[Any, Any]) -> dict[str, float]:
        """One optimiser step; gives the losses, the gradient norm and the likeness of strangers.

        With several processes each takes its share of the batch through the network, and all compute the
        losses of the whole batch.
        """
        schedule = self.recipe.schedule
        rate = rate_at(self.step, schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        targets = torch.from_numpy(classes).to(self.team.device)
        mine = torch.from_numpy(clips[self.team.share(len(clips))])
        wide, terms = self._backward(mine, targets)
        self.team.average_gradients(self.network)
        self.scaler.unscale_(self.optimiser)
        parameters = [p for module in self._learners for p in module.parameters()]
        norm = float(nn.utils.clip_grad_norm_(parameters, schedule.clip))
        alike = _likeness(wide, targets)
        values = {name: float(term.detach()) for name, term in terms.items()}
        values["loss"] = sum(values.values())
        overflowed = self._half and not math.isfinite(norm)  # the scaler leaves such a step out and goes on
        self._left_out = self._left_out + 1 if overflowed else 0
        _check(self.step, values["loss"], 0.0 if 0 < self._left_out < _OVERFLOWS else norm, alike)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        if not overflowed:
            self._follow()
        return {**values, "gradient": norm, "strangers": alike, "rate": rate}

    def _backward(self, mine: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Gradients of all weights; gives the whole batch's embeddings and losses."""
        chunks = mine.chunk(self.recipe.schedule.chunks)
        if len(chunks) == 1:
            features = self._features(mine)
            whole = self.team.gather(features)
            terms = self._terms(whole, targets)
            self.scaler.scale(torch.stack(list(terms.values())).sum()).backward()
            return _flat(whole.detach()), terms
        with torch.no_grad():
            features = torch.cat([self._features(chunk) for chunk in chunks])
        features.requires_grad_()
        whole = self.team.gather(features)
        terms = self._terms(whole, targets)
        self.scaler.scale(torch.stack(list(terms.values())).sum()).backward()
        slopes = features.grad.split([len(chunk) for chunk in chunks])  # type: ignore[union-attr]
        for chunk, slope in zip(chunks, slopes, strict=True):
            self._features(chunk).backward(slope)
        return _flat(whole.detach()), terms

    def _features(self, clips: Tensor) -> Tensor:
        """(n, D) wide embeddings, or (n, P, D') parts."""
        batch = clips.to(self.team.device).float()
        # Nothing is padding; but a compiled network must not look whether that is so.
        lengths = [] if self.recipe.schedule.compiled else [torch.full((len(batch),), batch.shape[1])]
        with torch.autocast(self.team.device.type, enabled=self._amp):
            made: Tensor = self._make(batch, *lengths)
        return made.float()

    def _terms(self, features: Tensor, targets: Tensor) -> dict[str, Tensor]:
        how = self.recipe.loss
        if how.per_part:
            return part_terms(how, self.classifier, features, targets)
        features = _necked(how, features)
        terms = loss_terms(how, self.network, self.classifier, features, targets)
        if self.reader is not None:
            terms["traits"] = how.traits * self.reader(features, targets)
        return terms

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "step": self.step,
            "recipe": fingerprint(self.recipe),
            "network": self.network.state_dict(),
            "classifier": self.classifier.state_dict(),
            **({} if self.reader is None else {"reader": self.reader.state_dict()}),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            ConfigError: It belongs to another recipe.
        """
        if state["recipe"] != fingerprint(self.recipe):
            raise ConfigError(
                "the checkpoint was made with another recipe", "the same recipe", "choose a new folder"
            )
        self.step = state["step"]
        for name in ("network", "classifier", "reader", "average", "optimiser", "scaler"):
            if name in state:
                getattr(self, name).load_state_dict(state[name])

    def _follow(self) -> None:
        """Move the average towards the network; quickly at first."""
        keep = min(self.recipe.schedule.ema, (1 + self.step) / (10 + self.step))
        live = self.network.state_dict()
        for name, slow in self.average.state_dict().items():
            if slow.dtype.is_floating_point:
                slow.lerp_(live[name], 1 - keep)
            else:
                slow.copy_(live[name])


def loss_terms(
    how: Loss, network: Network, classifier: nn.Module, wide: Tensor, classes: Tensor
) -> dict[str, Tensor]:
    """The weighted losses by name."""
    terms = {}
    if how.contrastive:
        terms["contrastive"] = how.contrastive * losses.supervised_contrastive(wide, classes, how.temperature)
    if how.cross_entropy:
        terms["cross_entropy"] = how.cross_entropy * classifier(wide, classes)
    if how.triplet:
        terms["triplet"] = how.triplet * losses.batch_all_triplet(wide, classes, how.margin)
    if how.hard_triplet:
        terms["hard_triplet"] = how.hard_triplet * losses.batch_hard_triplet(wide, classes, how.margin)
    if how.projected and network.projection is not None:
        narrow = network.project(wide)
        terms["projected"] = how.projected * losses.supervised_contrastive(narrow, classes, how.temperature)
        if how.open_set:
            terms["open_set"] = how.open_set * losses.open_set(narrow, classes)
    elif how.open_set:
        terms["open_set"] = how.open_set * losses.open_set(wide, classes)
    return terms


def part_terms(how: Loss, classifier: nn.Module, parts: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """The losses of published recipes: triplets of each part (N, P, D') apart, BNNeck cross-entropy."""
    terms = {}
    each = parts.unbind(1)
    for name, triplet in (("triplet", losses.batch_all_triplet), ("hard_triplet", losses.batch_hard_triplet)):
        weight = getattr(how, name)
        if weight:
            terms[name] = weight * torch.stack([triplet(part, classes, how.margin) for part in each]).mean()
    if how.cross_entropy:
        terms["cross_entropy"] = how.cross_entropy * classifier(parts, classes)
    return terms


def _necked(how: Loss, wide: Tensor) -> Tensor:
    """(N, D) embeddings as the losses see them; see `recipe.Loss.neck`."""
    return F.normalize(F.batch_norm(wide, None, None, training=True), dim=1) if how.neck else wide


def _flat(features: Tensor) -> Tensor:
    """(N, D) unit vectors of wide embeddings or parts."""
    return F.normalize(features.flatten(1), dim=1)


def rate_at(step: int, schedule: Schedule) -> float:
    """The learning rate of a step: linear warm-up, then a cosine to zero, or tenths at milestones."""
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    if schedule.milestones:
        return float(schedule.rate * 0.1 ** sum(step >= stone for stone in schedule.milestones))
    share = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return schedule.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def fingerprint(recipe: Recipe) -> str:
    """A digest of all that shapes the weights of a step; folders and intervals do not.

    Fields that have their default are left out where they came later than the first runs, so that those
    can still be resumed.
    """
    table = asdict(recipe)
    table["data"] = {"identities": recipe.data.identities}
    if recipe.data.dataset:
        table["data"] |= {"dataset": recipe.data.dataset, "watched": recipe.data.watched}
    for name in ("check_every", "save_every", "amp", "compiled", "chunks"):
        table["schedule"].pop(name)
    for group, name, usual in _LATER:
        if table[group][name] == usual:
            table[group].pop(name)
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


_LATER = (
    ("batch", "order", "resampled"),
    ("loss", "open_set", 0.0),
    ("loss", "per_part", False),
    ("loss", "traits", 0.0),
    ("loss", "neck", False),
    ("schedule", "optimiser", "adamw"),
    ("schedule", "milestones", ()),
    ("augmentation", "widen", 0.0),
)


def train(recipe: Recipe, folder: Path, *, workers: int = 1, device: str = "cpu") -> Run:
    """Train to the last step of the recipe, from the folder's checkpoint when there is one.

    Under ``torchrun`` the processes share every batch; the first one writes the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)  # numbers near zero would slow every layer down
    try:
        with Team.join(device) as team:
            return _train(recipe, folder, workers, team)
    finally:
        torch.set_flush_denormal(False)


def _train(recipe: Recipe, folder: Path, workers: int, team: Team) -> Run:
    learned, heldout = corpora(recipe)
    traits = trait_table(learned.subjects) if recipe.loss.traits else None
    run = Run(recipe, len(learned.subjects), team, traits)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        run.restore(state_of(checkpoint))
        log.info("resumed at step %d", run.step)
    elif recipe.start and not start_from(run, Path(recipe.start)) and run.classifies:
        imprint(run, BatchMaker(recipe))
    if not team.first:
        logging.disable(logging.INFO)
    metrics = Metrics(folder / "metrics.csv", run.step) if team.first else None
    schedule = recipe.schedule
    clock = _Clock(run.step, schedule.steps)
    batches = stream(recipe, range(run.step, schedule.steps), workers)
    for clips, labels in clock.waiting(batches):
        run.network.train()
        values = run.advance(clips, labels)
        if metrics is None:
            continue
        last = run.step == schedule.steps
        looks = last or run.step % schedule.check_every == 0
        if looks:
            values.update(look(run.average, heldout, recipe))
            log.info("step %d held out: %s", run.step, _words(values, [n for n in HELD_OUT if n in values]))
        metrics.add(run.step, {**values, "seconds": clock.seconds})
        if run.step % 10 == 0:
            log.info("step %d/%d loss %.3f %s", run.step, schedule.steps, values["loss"], clock.eta(run.step))
        if last or run.step % schedule.save_every == 0:
            metrics.flush()
            save(checkpoint, run.state())
        if looks:
            metrics.flush()
            plot(folder / "metrics.csv", folder / "curves.png")
    return run


def corpora(recipe: Recipe) -> tuple[Corpus | Recorded, Corpus | Recorded]:
    """Who is trained on, and who is watched."""
    if recipe.data.dataset:
        return recorded(recipe.data)
    return Corpus(recipe.data.train, recipe.data.identities), Corpus(recipe.data.validation)


def state_of(path: Path) -> dict[str, Any]:
    """What a run left in a checkpoint; of a weight file, the ``average`` alone.

    Raises:
        ConfigError: It is no checkpoint, or damaged.
        WeightsError: The weight file is missing or damaged.
    """
    if path.suffix != ".safetensors":
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            state["average"].keys()
        except Exception as error:  # torch raises many kinds
            raise ConfigError(
                f"{path} is no checkpoint of a run ({type(error).__name__})",
                "one as training writes it, or NAME.safetensors",
                "correct start, or delete a damaged checkpoint to begin anew",
            ) from error
        return state
    tensors = weights.load(path).tensors
    return {"average": {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}}


def start_from(run: Run, path: Path) -> bool:
    """Give a new run the network of a checkpoint or weight file, and the classifier if it fits.

    Returns:
        Whether it did.

    Raises:
        ConfigError: It holds another network.
    """
    state = state_of(path)
    for network in (run.network, run.average):
        try:
            fresh = grow(network, state["average"])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{path} holds another network ({error})", "that of the recipe", "correct network or start"
            ) from error
    if fresh:
        log.info("new beside %s: %s", path, ", ".join(fresh))
    classifier = state.get("classifier", {})
    fits = "weight" in classifier and classifier["weight"].shape == run.classifier.weight.shape
    if fits:
        run.classifier.load_state_dict(classifier)
    return fits


def imprint(run: Run, maker: BatchMaker) -> None:
    """Begin each subject's direction in the classifier as the mean of a few of its walks.

    A random one would pull a trained network apart at first, and with thousands of subjects it takes
    hundreds of steps to learn. Source: Qi et al. 2018, "Low-Shot Learning with Imprinted Weights", section 3.
    """
    count, device = len(maker.corpus.subjects), run.team.device
    run.network.eval()
    with torch.no_grad():
        for first in range(0, count, run.recipe.batch.subjects):
            chosen = range(first, min(first + run.recipe.batch.subjects, count))
            clips, _ = maker(first, chosen)
            batch = torch.from_numpy(clips).to(device).float()
            wide = run.network.wide(batch, torch.full((len(batch),), batch.shape[1]))
            wide = _necked(run.recipe.loss, wide)
            run.classifier.weight[chosen] = F.normalize(wide.reshape(len(chosen), -1, wide.shape[1]).mean(1))
    log.info("classifier begun as the means of %d subjects", count)


def grow(network: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Put tensors into a network that may have more layers and wider ones; what is new keeps its start.

    Returns:
        Names of tensors that are new or wider.

    Raises:
        KeyError: The network lacks one.
        ValueError: One does not fit into the network's.
    """
    own = network.state_dict()
    fresh = sorted(own.keys() - tensors.keys())
    with torch.no_grad():
        for name, tensor in tensors.items():
            target = own[name]
            if target.dim() != tensor.dim() or any(
                a < b for a, b in zip(target.shape, tensor.shape, strict=True)
            ):
                raise ValueError(f"{name} is {tuple(tensor.shape)}, not {tuple(target.shape)}")
            if target.shape != tensor.shape:
                fresh.append(name)
            target[tuple(slice(size) for size in tensor.shape)] = tensor
    return fresh


def look(network: Network, corpus: Corpus | Recorded, recipe: Recipe) -> dict[str, float]:
    """Rank-1 among the held-out people; see `heldout`."""
    if not len(corpus):
        return {}
    return judge(corpus, embedder(network, corpus))


def judge(corpus: Corpus | Recorded, embed: Embed) -> dict[str, float]:
    """Rank-1 among watched people, by their embeddings."""
    if isinstance(corpus, Recorded):
        return measure_recorded(corpus, embed)
    return measure(corpus, embed, WATCHED_VIEWS)


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint under its name at once: a kill leaves the old one or the new one."""
    partial = path.with_suffix(".part")
    torch.save(dict(state), partial)
    partial.replace(path)


class Metrics:
    """``metrics.csv``: a row a step; rows after the checkpoint's step are dropped on resuming.

    Args:
        path: The file.
        step: Last step to keep.
    """

    _COLUMNS = (
        *["step", "loss", "contrastive", "cross_entropy", "triplet", "hard_triplet", "projected"],
        *["open_set", "traits", "gradient", "strangers", "rate", "seconds"],
        *HELD_OUT,
    )

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        old: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as file:
                old = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._COLUMNS)
            writer.writeheader()
            writer.writerows(old)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Note a step."""
        rounded = {k: f"{v:.6g}" for k, v in values.items()}
        self._rows.append({"step": step, **rounded})

    def flush(self) -> None:
        """Write what was noted."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._COLUMNS).writerows(self._rows)
        self._rows.clear()


class _Clock:
    """Seconds since the last resume, the share of them spent waiting for batches, the time to the end."""

    def __init__(self, step: int, steps: int) -> None:
        self._began, self._step, self._steps = time.monotonic(), step, steps
        self._waited = 0.0

    def waiting(self, batches: Iterator[Arrays]) -> Iterator[Arrays]:
        """The batches, while the time they let us wait is counted."""
        while True:
            began = time.monotonic()
            batch = next(batches, None)
            self._waited += time.monotonic() - began
            if batch is None:
                return
            yield batch

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def eta(self, step: int) -> str:
        pace = self.seconds / max(1, step - self._step)
        left = int(pace * (self._steps - step))
        idle = self._waited / max(self.seconds, 1e-9)
        return f"{pace:.2f} s a step, {left // 60} min left, {idle:.0%} waiting for data"


def _optimiser(modules: list[nn.Module], schedule: Schedule) -> torch.optim.Optimizer:
    parameters = [p for module in modules for p in module.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": schedule.decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=schedule.rate, momentum=0.9)
    if schedule.optimiser not in ("adamw", "adam"):
        raise ConfigError(
            f"schedule.optimiser is {schedule.optimiser!r}", "adamw, adam or sgd", "correct the recipe"
        )
    kind = torch.optim.AdamW if schedule.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=schedule.rate)


def _classifier(recipe: Recipe, network: Network, classes: int) -> nn.Module:
    loss = recipe.loss
    if not loss.per_part:
        width = network.wide_dimension
        return losses.CosineClassifier(width, classes, scale=loss.scale, smoothing=loss.smoothing)
    if loss.neck:
        raise ConfigError("loss.neck with loss.per_part", "one of them", "set loss.neck to false")
    if not isinstance(network, PartNetwork):
        raise ConfigError(
            f"loss.per_part with network {recipe.network.name}", "a network with parts", "set it to false"
        )
    parts, _, dimension = network.head.weight.shape
    return losses.PartClassifier(parts, dimension, classes, scale=loss.scale, smoothing=loss.smoothing)


def _half_pays(device: torch.device) -> bool:
    """Whether half precision makes steps cheaper; without instructions for it they take thrice as long."""
    if device.type != "cpu":
        return True
    can: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    pays = not can or any(can.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    if not pays:
        log.info("schedule.amp is left out: this processor has no bfloat16 instructions")
    return pays


def _features(recipe: Recipe, network: Network) -> Callable[..., Tensor]:
    """What the losses read: the parts or the wide embedding of clips, compiled if the recipe says so."""
    make: Callable[..., Tensor] = network.wide
    if recipe.loss.per_part and isinstance(network, PartNetwork):
        make = network.parts
    if not recipe.schedule.compiled:
        return make
    if not network.compiles:
        raise ConfigError(
            f"schedule.compiled with network {recipe.network.name}",
            "one that may be told of no padding, such as strider or stickman",
            "set schedule.compiled to false",
        )
    compiled: Callable[..., Tensor] = torch.compile(make, dynamic=False)
    return compiled


def _reader(recipe: Recipe, network: Network, traits: Traits) -> losses.TraitReader:
    if recipe.loss.per_part:
        raise ConfigError("loss.traits with loss.per_part", "one of them", "set loss.traits to 0")
    width = network.wide_dimension
    return losses.TraitReader(width, *map(torch.from_numpy, traits))


def _likeness(vectors: Tensor, classes: Tensor) -> float:
    """Mean cosine of different subjects."""
    scores = vectors @ vectors.T
    return float(scores[classes[:, None] != classes[None, :]].mean())


def _check(step: int, loss: float, gradient: float, alike: float) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient)):
        raise TrainingFailed(
            f"step {step}: loss is {loss}, gradient {gradient}",
            "finite numbers",
            "lower schedule.rate, and look for damaged sequences; the last checkpoint is good",
        )
    if step > 50 and alike > _COLLAPSED:
        raise TrainingFailed(
            f"step {step}: different subjects have the mean cosine {alike:.3f}",
            f"less than {_COLLAPSED}: the embeddings collapsed",
            "lower schedule.rate or loss.margin, or use loss.contrastive",
        )


def _words(values: Mapping[str, float], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {values[name]:.3f}" for name in names)


def run_recipe(
    recipe: Path, folder: Path, *, workers: int = 1, threads: int = 1, device: str = "cpu"
) -> Path | None:
    """Train as a file says, telling the log how far it is; gives the weight file, None in other processes."""
    from .pack import finish  # it imports this module

    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(folder / "train.log")],
        force=True,
    )
    torch.set_num_threads(threads)
    run = train(settings.load(recipe, Recipe), folder, workers=workers, device=device)
    return finish(run, folder) if run.team.first else None


def main() -> None:
    """Train as the recipe says."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.train")
    parser.add_argument("recipe", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N; torchrun chooses N itself")
    options = vars(parser.parse_args())
    if target := run_recipe(options.pop("recipe"), options.pop("folder"), **options):
        log.info("weights: %s", target)


if __name__ == "__main__":
    main()
