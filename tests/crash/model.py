"""What the galleries must hold after the operations of a journal, and what they do hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gaitid.local import LocalMatcher
from gaitid.records import Embedding, Terms

D = 32
"""Dimension of the embeddings."""
KEEPS_STATE = {"rotate", "renew", "learn", "backup", "restore"}
"""Operations after which the galleries hold what they held before."""


class Ready:
    """Stub of an encoder; all samples are ready embeddings."""

    name, modalities, min_frames, dimension, threshold, contract = "ready", ("silhouette",), 1, D, 0.5, "c"


def vector(seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal(D)
    return (made / np.linalg.norm(made)).astype(np.float32)


def embedding(seed: int) -> Embedding:
    return Embedding(vector(seed), Ready.contract)


@dataclass
class Model:
    """What the galleries hold according to the journal."""

    subjects: dict[str, list[int]] = field(default_factory=dict)
    terms: dict[str, list] = field(default_factory=dict)
    threshold: float = 0.5
    calibrated_at: float | None = None
    revision: int = 0

    def apply(self, said: dict, answer: object = None) -> None:
        """Do one operation; `answer` is what was acknowledged."""
        if answer == "refused" or (said["op"] in KEEPS_STATE and said["op"] != "renew"):
            return
        self.revision += 1
        if said["op"] == "enrol":
            self.subjects[said["subject"]] = list(said["seeds"])
        elif said["op"] == "many":
            self.subjects.update(said["people"])
        elif said["op"] == "add":
            self.subjects[said["subject"]].extend(said["seeds"])
        elif said["op"] in ("delete", "erase"):
            del self.subjects[said["subject"]]
            self.terms.pop(said["subject"], None)
        elif said["op"] == "terms":
            self.terms[said["subject"]] = said["terms"]
        elif said["op"] == "rule":
            self.threshold = said["threshold"]
        elif said["op"] == "calibrate":
            self.calibrated_at = answer


@dataclass
class JournalContents:
    """Contents of a journal: acknowledged operations in order, those under way, and where the child died."""

    done: list[tuple[dict, object]] = field(default_factory=list)
    under_way: list[dict] = field(default_factory=list)
    died: str = "at a random time"


def read_journal(path: Path) -> JournalContents:
    journal, begun = JournalContents(), {}
    for line in path.read_text().splitlines() if path.exists() else ():
        said = json.loads(line)
        if "died" in said:
            journal.died = said["died"]
        elif "ack" in said:
            journal.done.append((begun.pop(said["thread"]), said["ack"]))
        else:
            begun[said["thread"]] = said
    journal.under_way = list(begun.values())
    return journal


class Wrong(Exception):
    """The galleries differ from the journal."""


def expect(claim: bool, what: str) -> None:
    if not claim:
        raise Wrong(what)


class Rows(list):
    """Vectors that compare equal to float32 precision: a renewal rounds them."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and len(self) == len(other) and np.allclose(self, other, 0, 1e-5)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


def state(matcher: LocalMatcher) -> dict[str, tuple]:
    """Return vectors and terms of each subject, from the tables."""
    contents = matcher._store.galleries.contents(matcher._galleries["g"].row)
    turned = contents.space.projection
    plain = contents.vectors if turned is None else turned.undo(contents.vectors)
    vectors: dict[str, Rows] = {}
    for name, row in zip(contents.subjects, plain, strict=True):
        vectors.setdefault(name, Rows()).append(row)
    return {name: (rows, contents.terms.get(name, Terms())) for name, rows in vectors.items()}


def stored(model: Model, name: str) -> tuple | None:
    if name not in model.subjects:
        return None
    terms = model.terms.get(name)
    rows = Rows(unit(vector(seed)) for seed in model.subjects[name])
    return rows, Terms() if terms is None else Terms(*terms)


def unit(made: np.ndarray) -> np.ndarray:
    wide = made.astype(np.float64)
    return (wide / np.linalg.norm(wide)).astype(np.float32)


def touched(model: Model, said: dict) -> object:
    """Return the part of a model that an operation changes."""
    if said["op"] in ("rule", "calibrate"):
        return model.threshold if said["op"] == "rule" else model.calibrated_at
    names = [said["subject"]] if "subject" in said else said["people"]
    return [stored(model, name) for name in names]


def observed(matcher: LocalMatcher, said: dict) -> object:
    """Return the same part of the galleries."""
    info = matcher.describe("g")
    if said["op"] == "rule":
        return info.operating_point.threshold
    if said["op"] == "calibrate":
        return info.calibration and info.calibration.made_at
    held = state(matcher)
    return [held.get(name) for name in ([said["subject"]] if "subject" in said else said["people"])]
