"""Random changes of a matcher and of a dict; each answer equals brute force over the dict."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gaitid import registry
from gaitid.errors import GaitIdError, SubjectExists, SubjectHeld, SubjectNotFound
from gaitid.gallery.store.keys import KeyRing
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, EnrolmentCheck, Fusion, OperatingPoint, Outcome, Terms

D = 12
NAMES = st.sampled_from([f"s{n}" for n in range(8)])
SEEDS = st.integers(0, 40)  # few, so that vectors come twice and scores are equal
SAMPLES = st.lists(SEEDS, min_size=1, max_size=5)
steps: Counter[str] = Counter()


class Ready:
    """Stands for an encoder; all samples and probes are ready embeddings."""

    name, modalities, min_frames, dimension, threshold, contract = "ready", ("silhouette",), 1, D, 0.25, "c"


def vector(seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal(D)
    return (made / np.linalg.norm(made)).astype(np.float32)


def stored(seed: int) -> np.ndarray:
    """Return the vector as stored: norm 1 to float32 precision, here in float64."""
    wide = vector(seed).astype(np.float64)
    return (wide / np.linalg.norm(wide)).astype(np.float32).astype(np.float64)


def embedding(seed: int) -> Embedding:
    return Embedding(vector(seed), Ready.contract)


class Person:
    """A subject in the dict: its template ids with their seeds, and its terms."""

    def __init__(self) -> None:
        self.templates: dict[str, int] = {}
        self.terms = Terms()


class Galleries(RuleBasedStateMachine):
    """A matcher over its own directory, and the dict that it must equal."""

    @initialize(
        index=st.sampled_from(registry.names("indexes")), fusion=st.sampled_from(Fusion), seals=st.booleans()
    )
    def begin(self, index, fusion, seals):
        self.folder = Path(tempfile.mkdtemp(prefix="gaitid-state-"))
        self.index, self.fusion, self.keys = index, fusion, {"first": bytes(32)} if seals else None
        self.now, self.revision, self.operating_point = 1_900_000_000.0, 0, OperatingPoint(Ready.threshold)
        self.clock = patch("gaitid.local.time.time", lambda: self.now)
        self.clock.start()
        self.people: dict[str, Person] = {}
        self.open()
        self.matcher.create_gallery("g", fusion=fusion)

    def open(self) -> None:
        ring = KeyRing(lambda: self.keys) if self.keys else None
        self.matcher = LocalMatcher(
            Ready(), self.folder / "data", index=self.index, keys=ring, mark=self.folder / "mark",
            backups=self.folder / "backups",
        )  # fmt: skip

    def teardown(self) -> None:
        if hasattr(self, "matcher"):
            self.matcher.close()
            self.clock.stop()
            shutil.rmtree(self.folder)

    def expired(self) -> list[str]:
        """Subjects that no answer may have."""
        return [
            name
            for name, person in self.people.items()
            if person.terms.expires_at is not None
            and person.terms.expires_at <= self.now
            and not person.terms.legal_hold
        ]

    def expire(self) -> None:
        """Do what a change does first."""
        for name in self.expired():
            del self.people[name]
            self.revision += 1

    def living(self) -> dict[str, Person]:
        """Subjects that answers have."""
        expired = self.expired()
        return {name: person for name, person in self.people.items() if name not in expired}

    def refused(self, error: type[GaitIdError], act) -> None:
        with pytest.raises(error):
            act()

    def added(self, name: str, seeds: list[int], done) -> None:
        self.revision += 1
        assert done.revision == self.revision
        self.people.setdefault(name, Person()).templates.update(zip(done.templates, seeds, strict=True))

    @rule(name=NAMES, seeds=SAMPLES)
    def enrol(self, name, seeds):
        steps["enrol"] += 1
        self.expire()

        def act():
            return self.matcher.enrol("g", name, list(map(embedding, seeds)), check=EnrolmentCheck.OFF)

        if name in self.people:
            self.refused(SubjectExists, act)
        else:
            self.added(name, seeds, act())

    @rule(name=NAMES, seeds=SAMPLES)
    def add(self, name, seeds):
        steps["add"] += 1
        self.expire()

        def act():
            return self.matcher.add_samples("g", name, list(map(embedding, seeds)))

        if name in self.people:
            self.added(name, seeds, act())
        else:
            self.refused(SubjectNotFound, act)

    @rule(people=st.dictionaries(NAMES, SAMPLES, max_size=4))
    def enrol_many(self, people):
        steps["enrol_many"] += 1
        self.expire()

        def act():
            return self.matcher.enrol_many("g", {n: list(map(embedding, s)) for n, s in people.items()})

        if set(people) & set(self.people):
            self.refused(SubjectExists, act)
            return
        self.revision += bool(people)
        assert act() == self.revision
        held = {info.id: info.templates for info in self.matcher.list_subjects("g")}
        for name, seeds in people.items():
            person = self.people[name] = Person()
            person.templates.update(zip(held[name], seeds, strict=True))

    @rule(name=NAMES, how=st.sampled_from(["delete_subject", "erase_subject"]))
    def delete(self, name, how):
        steps[how] += 1
        self.expire()

        def act():
            return getattr(self.matcher, how)("g", name)

        if name not in self.people:
            self.refused(SubjectNotFound, act)
        elif self.people[name].terms.legal_hold:
            self.refused(SubjectHeld, act)
        else:
            act()
            del self.people[name]
            self.revision += 1

    @rule(name=NAMES, days=st.none() | st.integers(0, 5), hold=st.booleans())
    def set_terms(self, name, days, hold):
        steps["set_terms"] += 1
        self.expire()
        terms = Terms(
            "consent", expires_at=None if days is None else self.now + 86400.0 * days, legal_hold=hold
        )

        def act():
            return self.matcher.set_terms("g", name, terms)

        if name not in self.people:
            self.refused(SubjectNotFound, act)
            return
        self.revision += 1
        assert act() == self.revision
        self.people[name].terms = terms

    @rule(days=st.integers(-1, 4))
    def time_passes(self, days):
        steps["time_passes"] += 1
        self.now += 86400.0 * days

    @rule(threshold=st.sampled_from([-1.0, 0.0, 0.25, 0.75]), band=st.sampled_from([0.0, 0.3]))
    def set_operating_point(self, threshold, band):
        steps["set_operating_point"] += 1
        self.expire()
        self.operating_point = OperatingPoint(threshold, band)
        self.revision += 1
        assert self.matcher.set_operating_point("g", self.operating_point).revision == self.revision

    @rule()
    def reopen(self):
        steps["reopen"] += 1
        self.matcher.close()
        self.open()
        self.expire()

    @rule()
    def expire_all(self):
        steps["expire_all"] += 1
        self.matcher.expire()
        self.expire()

    @precondition(lambda self: self.keys)
    @rule()
    def rotate_keys(self):
        steps["rotate_keys"] += 1
        self.keys[f"key{len(self.keys)}"] = bytes([len(self.keys) % 256]) * 32
        held = {info.id for info in self.matcher.list_subjects("g")}
        assert held == set(self.living())
        self.expire()
        assert self.matcher.rotate_keys() == len(held)

    @precondition(lambda self: self.keys)
    @rule()
    def renew(self):
        steps["renew"] += 1
        held = self.matcher.describe("g")
        self.expire()
        assert self.matcher.renew_templates("g") == held.templates
        self.revision += 1
        assert self.matcher.describe("g").renewals == held.renewals + 1

    @rule()
    def back_up(self):
        steps["back_up"] += 1
        self.expire()
        made = self.matcher.back_up()
        assert made.subjects == len(self.people)
        assert made.templates == sum(len(person.templates) for person in self.people.values())
        shutil.rmtree(self.folder / "backups")

    @rule(seed=st.integers(0, 60), wanted=st.integers(1, 9))
    def identify(self, seed, wanted):
        steps["identify"] += 1
        decision = self.matcher.identify("g", embedding(seed), max_candidates=wanted)
        right = self.brute_force(stored(seed))
        assert decision.revision == self.revision
        assert [c.score for c in decision.candidates] == pytest.approx(
            [s for s, _ in right[:wanted]], abs=1e-6
        )
        scores = {name: score for score, name in right}
        assert all(scores[c.subject] == pytest.approx(c.score, abs=1e-6) for c in decision.candidates)
        assert len({c.subject for c in decision.candidates}) == len(decision.candidates)
        if self.fusion is Fusion.MAX and not self.matcher.describe("g").renewals:  # a renewal rounds
            self.compare_exactly(seed, decision)
        assert decision.outcome is self.outcome(right)

    def compare_exactly(self, seed: int, decision) -> None:
        """Scores bit for bit, and equal ones by template id."""
        probe = stored(seed)
        best = {}
        for name, person in self.living().items():
            scored = [(-(stored(s) * probe).sum(), int(key)) for key, s in person.templates.items()]
            best[name] = min(scored)
        order = sorted(best, key=best.get)[: len(decision.candidates)]
        assert [c.subject for c in decision.candidates] == order
        assert [(c.score, c.template) for c in decision.candidates] == [
            (max(-1.0, min(1.0, -best[name][0])), str(best[name][1])) for name in order
        ]

    def brute_force(self, probe: np.ndarray) -> list[tuple[float, str]]:
        """Score and name of each subject, best first, over all its templates."""
        found = []
        for name, person in self.living().items():
            rows = np.stack([stored(seed) for seed in person.templates.values()])
            found.append((fused(rows, probe, self.fusion), name))
        return sorted(found, reverse=True)

    def outcome(self, right: list[tuple[float, str]]) -> Outcome:
        if not right:
            return Outcome.EMPTY_GALLERY
        if right[0][0] >= self.operating_point.threshold:
            return Outcome.MATCH
        near = (
            self.operating_point.review_band
            and right[0][0] >= self.operating_point.threshold - self.operating_point.review_band
        )
        return Outcome.REVIEW if near else Outcome.NO_MATCH

    @rule(name=NAMES, seed=st.integers(0, 60))
    def verify(self, name, seed):
        steps["verify"] += 1

        def act():
            return self.matcher.verify("g", name, embedding(seed))

        if name not in self.living():
            self.refused(SubjectNotFound, act)
            return
        (candidate,) = act().candidates
        right = {other: score for score, other in self.brute_force(stored(seed))}
        assert candidate.score == pytest.approx(right[name], abs=1e-6)

    @invariant()
    def what_is_listed_is_what_the_dict_holds(self):
        if not hasattr(self, "matcher"):
            return
        steps["all"] += 1
        held = self.matcher.list_subjects("g")
        assert {info.id: (info.templates, info.terms) for info in held} == {
            name: (tuple(person.templates), person.terms) for name, person in self.living().items()
        }
        info = self.matcher.describe("g")
        assert (info.revision, info.operating_point) == (self.revision, self.operating_point)
        assert info.subjects == len(self.living())
        assert info.templates == sum(len(person.templates) for person in self.living().values())


def fused(rows: np.ndarray, probe: np.ndarray, fusion: Fusion) -> float:
    if fusion is Fusion.MAX:
        return float((rows @ probe).max())
    mean = rows.mean(axis=0)
    if fusion is Fusion.CENTROID:
        mean = mean / np.linalg.norm(mean)
    return float(mean @ probe)


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def run(examples: int, length: int) -> int:
    """Run the machine; return the number of checked steps."""
    steps.clear()
    chosen = settings(
        max_examples=examples, stateful_step_count=length, deadline=None, suppress_health_check=QUIET
    )
    run_state_machine_as_test(Galleries, settings=chosen)
    return steps["all"]


def test_a_few_steps():
    assert run(2, 10) > 10


@pytest.mark.long
def test_ten_thousand_steps():
    total = 0
    counts: Counter[str] = Counter()
    while total < 10_000:
        total += run(60, 50)
        counts.update(steps)
    print(dict(counts))
    assert set(counts) >= {
        "enrol", "add", "enrol_many", "delete_subject", "erase_subject", "set_terms", "time_passes",
        "set_operating_point", "reopen", "expire_all",
        "rotate_keys", "renew", "back_up", "identify", "verify",
    }  # fmt: skip
