"""Eight threads search, add, remove and so rebuild; every answer is checked against brute force.

An answer names the revision that it belongs to, and every change the one that it made. So what a search
should have said is known afterwards: the changes are replayed, and at each revision all answers of it are
compared with a scan of what was enrolled then. ``make test-race`` runs this for ten minutes.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from gaitid.errors import SubjectNotFound
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.faiss_index import FaissIndex
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.keys import KeyRing
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.records import Candidate, Fusion, OperatingPoint, Origin

D, K = 32, 3
PEOPLE = 400
"""Subjects that come and go."""


def rebuilding(dimension, fetch):
    """Small enough that the switch, sealing, merging and burying happen all the time."""
    return FaissIndex(dimension, fetch, exact_up_to=300, tail=64)


@dataclass
class Log:
    """What the threads did and saw in one round."""

    changes: dict[int, tuple[str, list[np.ndarray] | None]] = field(default_factory=dict)
    answers: list[tuple[int, np.ndarray, tuple[Candidate, ...]]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


class People:
    """Subjects of fixed directions, whose walks are near them."""

    def __init__(self) -> None:
        self.centres = np.random.default_rng(0).standard_normal((PEOPLE, D))

    def walk(self, random: np.random.Generator, n: int) -> np.ndarray:
        made = self.centres[n] + 0.5 * random.standard_normal(D)
        return (made / np.linalg.norm(made)).astype(np.float32)


def race(gallery: Gallery, people: People, seconds: float, seed: int) -> Log:
    """Four threads search, three enrol, add and delete subjects of their own, one lets it all settle."""
    log, stop = Log(), threading.Event()

    def search(random: np.random.Generator, _: int) -> None:
        probe = people.walk(random, int(random.integers(PEOPLE)))
        found = gallery.search(probe, K)
        log.answers.append((found.revision, probe, found.candidates))

    def change(random: np.random.Generator, who: int) -> None:
        n = 3 * int(random.integers(PEOPLE // 3)) + who
        name = f"s{n}"
        walks = [people.walk(random, n) for _ in range(random.integers(1, 4))]
        samples = [EnrolmentSample(walk, None, Origin()) for walk in walks]
        act = random.random()
        try:
            if act < 0.3:
                log.changes[gallery.delete_subject(name).revision] = (name, None)
            else:
                log.changes[gallery.add_templates(name, samples).revision] = (name, walks)
        except SubjectNotFound:
            log.changes[gallery.add_subject(name, samples).revision] = (name, walks)

    def settle(_: np.random.Generator, __: int) -> None:
        gallery._state.index.settle()
        time.sleep(0.01)

    def run(act, number: int, who: int) -> None:
        random = np.random.default_rng([seed, number])
        while not stop.is_set():
            try:
                act(random, who)
            except BaseException as error:
                log.errors.append(error)
                return

    acts = [(search, 0)] * 4 + [(change, who) for who in range(3)] + [(settle, 0)]
    threads = [threading.Thread(target=run, args=(act, n, who)) for n, (act, who) in enumerate(acts)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return log


def check(log: Log, held: dict[str, list[np.ndarray]], revision: int) -> tuple[int, int]:
    """Replay the changes on `held`, the content at `revision`; gives the last revision and the misses."""
    answers: dict[int, list[tuple[np.ndarray, tuple[Candidate, ...]]]] = {}
    for at, probe, candidates in log.answers:
        answers.setdefault(at, []).append((probe, candidates))
    misses = 0
    last = revision + len(log.changes)
    assert sorted(log.changes) == list(range(revision + 1, last + 1)), "a change is lost"
    assert set(answers) <= set(range(revision, last + 1)), "an answer of a revision that never was"
    for at in range(revision, last + 1):
        if at > revision:
            name, walks = log.changes[at]
            if walks is None:
                del held[name]
            else:
                held.setdefault(name, []).extend(walks)
        if at in answers:
            misses += judge(answers[at], held)
    return last, misses


def judge(answers: list[tuple[np.ndarray, tuple[Candidate, ...]]], held: dict[str, list[np.ndarray]]) -> int:
    """Every candidate was enrolled then and has its exact score; gives how many best ones were missed."""
    names = [name for name, walks in held.items() for _ in walks]
    rows = np.array([walk for walks in held.values() for walk in walks], np.float64).reshape(-1, D)
    misses = 0
    for probe, candidates in answers:
        best: dict[str, float] = {}
        for name, score in zip(names, (rows @ probe.astype(np.float64)).tolist(), strict=True):
            best[name] = max(best.get(name, -2.0), score)
        assert len(candidates) == min(K, len(best))
        for candidate in candidates:
            assert candidate.subject in best, "a subject that was not enrolled"
            assert candidate.score == pytest.approx(best[candidate.subject], abs=1e-6)
        misses += bool(best) and candidates[0].score < max(best.values()) - 1e-6
    return misses


def run_rounds(tmp_path, seconds: float, rounds: int, *, sealed: bool) -> dict[str, int]:
    store = Store(tmp_path, KeyRing(lambda: {"k": bytes(32)}) if sealed else None)
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=Fusion.MAX)
    gallery, people = Gallery(store, row, rebuilding), People()
    held: dict[str, list[np.ndarray]] = {}
    random = np.random.default_rng(1)
    for n in range(0, PEOPLE, 2):
        held[f"s{n}"] = [people.walk(random, n) for _ in range(2)]
    revision = gallery.add_subjects(held).revision
    total = {"answers": 0, "changes": 0, "misses": 0, "compressed": 0}
    for number in range(rounds):
        log = race(gallery, people, seconds, number)
        if log.errors:
            raise log.errors[0]
        revision, misses = check(log, held, revision)
        total["answers"] += len(log.answers)
        total["changes"] += len(log.changes)
        total["misses"] += misses
        total["compressed"] += not gallery._state.index.is_exact
    gallery._state.index.settle()
    assert len(gallery._state.index) == sum(map(len, held.values()))
    store.close()
    return total


@pytest.mark.slow
@pytest.mark.parametrize("sealed", [False, True])
def test_eight_threads_never_get_a_wrong_answer(tmp_path, sealed):
    total = run_rounds(tmp_path, 1.0, 2, sealed=sealed)
    assert total["answers"] > 50
    assert total["changes"] > 20
    assert total["compressed"] == 2
    assert total["misses"] <= 0.001 * total["answers"]


@pytest.mark.long
def test_eight_threads_for_minutes(tmp_path):
    seconds = float(os.environ.get("RACE_S", "600"))
    totals = [
        run_rounds(tmp_path / str(sealed), 5.0, max(1, round(seconds / 10)), sealed=sealed)
        for sealed in (False, True)
    ]
    print("plain, sealed:", totals)
    for total in totals:
        assert total["misses"] <= 0.001 * total["answers"]
