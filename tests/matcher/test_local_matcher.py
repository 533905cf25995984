"""LocalMatcher against brute force, with threads, after kill -9, and with every invalid argument."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gaitid import registry
from gaitid.encoders.base import check_input
from gaitid.errors import (
    ContractMismatch,
    EnrolmentRejected,
    GalleryExists,
    GalleryNotFound,
    InputError,
    SequenceError,
    SequenceTooShort,
    StoreError,
    StoreLocked,
    SubjectExists,
    SubjectNotFound,
    UnknownName,
)
from gaitid.local import LocalMatcher
from gaitid.matcher import Matcher
from gaitid.records import (
    Embedding,
    GaitSequence,
    OperatingPoint,
    Origin,
    Outcome,
    Quality,
    Reason,
)

D = 12


class MeanEncoder:
    """A random projection of the mean silhouette: sequences of one shape embed alike."""

    name, modalities, min_frames, dimension, threshold = "mean", ("silhouette",), 5, D, 0.8

    def __init__(self, contract: str = "c0ffee") -> None:
        self.contract = contract
        self._matrix = np.random.default_rng(5).standard_normal((64 * 44, D)).astype(np.float32)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        check_input(self, sequence)
        vector = (sequence.silhouettes.mean(axis=0).ravel() - 0.5) @ self._matrix
        return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), self.contract)

    def batch(self, sequences):
        return [self(sequence) for sequence in sequences]


def assess(sequence: GaitSequence) -> Quality:
    """Good from 8 frames on; an empty image is cut off."""
    reasons = [Reason.TOO_SHORT] if len(sequence) < 8 else []
    if sequence.silhouettes is not None and not sequence.silhouettes.any():
        reasons.append(Reason.CUT_OFF)
    return Quality(10.0 if reasons else 80.0, len(sequence), reasons=tuple(reasons))


def walk(person: int, *, frames: int = 10, noise: int = 0) -> GaitSequence:
    """A subject's blocky pattern with a few flipped pixels."""
    shape = np.random.default_rng(person).integers(0, 2, (8, 4), np.uint8).repeat(8, 0).repeat(11, 1)
    flips = np.random.default_rng(1000 + noise).random((frames, 64, 44)) < 0.02
    return GaitSequence(
        {"silhouette": shape ^ flips.astype(np.uint8)}, np.arange(frames) / 25, origin=Origin("gate", person)
    )


def poor(frames: int = 10) -> GaitSequence:
    return GaitSequence({"silhouette": np.zeros((frames, 64, 44), np.uint8)}, np.arange(frames) / 25)


def embedding(seed: int = 0, dimension: int = D, contract: str = "c0ffee") -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return Embedding(vector / np.linalg.norm(vector), contract)


def open_matcher(path: Path, index: str = "faiss", contract: str = "c0ffee") -> LocalMatcher:
    return LocalMatcher(MeanEncoder(contract), path, index=index, assess=assess)


@pytest.fixture(params=registry.names("indexes"))
def matcher(tmp_path, request):
    made = open_matcher(tmp_path / "data", request.param)
    made.create_gallery("g", profiles=False)  # these tests count revisions
    yield made
    made.close()


# -- the main line ---------------------------------------------------------------------------------


def test_it_is_a_matcher(matcher):
    assert isinstance(matcher, Matcher)
    info = matcher.info()
    assert (info.encoder, info.contract, info.dimension) == ("mean", "c0ffee", D)
    assert (info.modalities, info.min_frames) == (("silhouette",), 5)


def test_empty_gallery_impostor_and_low_quality_are_three_outcomes(matcher):
    assert matcher.identify("g", walk(1)).outcome is Outcome.EMPTY_GALLERY
    assert matcher.identify("g", poor()).outcome is Outcome.EMPTY_GALLERY
    matcher.enrol("g", "ann", [walk(1)])
    impostor = matcher.identify("g", walk(2))
    assert (impostor.outcome, impostor.subject) == (Outcome.NO_MATCH, None)
    assert [c.subject for c in impostor.candidates] == ["ann"]
    decision = matcher.identify("g", poor())
    assert (decision.outcome, decision.candidates) == (Outcome.INSUFFICIENT_QUALITY, ())
    assert decision.quality.reasons == (Reason.CUT_OFF,)
    assert decision.revision == 1


def test_the_right_subject_is_found_and_verified(matcher):
    for person in range(5):
        enrolment = matcher.enrol("g", f"p{person}", [walk(person, noise=n) for n in range(3)])
        assert len(enrolment.templates) == 3
        assert (enrolment.refused, enrolment.revision) == ((), person + 1)
    for person in range(5):
        decision = matcher.identify("g", walk(person, noise=9), max_candidates=2)
        assert (decision.subject, len(decision.candidates)) == (f"p{person}", 2)
        assert decision.quality == assess(walk(person))
        assert decision.operating_point == OperatingPoint(0.8)
        assert matcher.verify("g", f"p{person}", walk(person, noise=9)).outcome is Outcome.MATCH
        other = matcher.verify("g", "p0", walk(person + 1, noise=9))
        assert other.outcome is Outcome.NO_MATCH
        assert [c.subject for c in other.candidates] == ["p0"]


def test_the_gallerys_operating_point_is_the_default(matcher):
    strict, band = OperatingPoint(0.999), OperatingPoint(0.999, 0.5)
    info = matcher.create_gallery("strict", operating_point=strict)
    assert info.operating_point == strict
    matcher.enrol("strict", "ann", [walk(1)])
    probe = walk(1, noise=3)
    assert matcher.identify("strict", probe).outcome is Outcome.NO_MATCH
    assert matcher.identify("strict", probe, operating_point=band).outcome is Outcome.REVIEW
    assert matcher.verify("strict", "ann", probe, operating_point=band).outcome is Outcome.REVIEW
    assert matcher.verify("strict", "ann", probe).operating_point == strict


def test_an_embedding_skips_the_quality_gate(matcher):
    made, quality = matcher.embed(walk(1))
    assert quality == assess(walk(1))
    matcher.enrol("g", "ann", [made])
    decision = matcher.identify("g", made)
    assert (decision.subject, decision.quality) == ("ann", None)
    assert decision.candidates[0].score == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("frames", [1, 4, 7])
def test_a_short_probe_is_a_decision_when_searched_and_an_error_when_embedded(matcher, frames):
    matcher.enrol("g", "ann", [walk(1)])
    for decision in (
        matcher.identify("g", walk(1, frames=frames)),
        matcher.verify("g", "ann", walk(1, frames=frames)),
    ):
        assert decision.outcome is Outcome.INSUFFICIENT_QUALITY
        assert decision.quality.reasons == (Reason.TOO_SHORT,)
    if frames < MeanEncoder.min_frames:
        with pytest.raises(SequenceTooShort):
            matcher.embed(walk(1, frames=frames))


def test_a_sequence_too_short_for_the_encoder_is_refused_even_if_assessed_as_usable(tmp_path):
    matcher = LocalMatcher(MeanEncoder(), tmp_path, assess=lambda s: Quality(90.0, len(s)))
    matcher.create_gallery("g")
    matcher.enrol("g", "ann", [walk(1)])
    assert matcher.identify("g", walk(1, frames=3)).quality.reasons == (Reason.TOO_SHORT,)
    matcher.close()


def test_good_samples_are_enrolled_and_others_are_listed(matcher):
    enrolment = matcher.enrol("g", "ann", [poor(), walk(1), walk(1, frames=2), walk(1, noise=1)])
    assert len(enrolment.templates) == 2
    assert enrolment.refused == ((0, (Reason.CUT_OFF,)), (2, (Reason.TOO_SHORT,)))
    assert matcher.list_subjects("g")[0].templates == enrolment.templates


def test_no_good_sample_rejects_the_enrolment(matcher):
    with pytest.raises(EnrolmentRejected, match="All 2 samples were refused") as caught:
        matcher.enrol("g", "ann", [poor(), poor(3)])
    assert caught.value.reasons == ("cut_off", "too_short")
    matcher.enrol("g", "ann", [walk(1)])
    with pytest.raises(EnrolmentRejected):
        matcher.add_samples("g", "ann", [poor()])
    assert matcher.describe("g").revision == 1


def test_added_samples_count(matcher):
    first = matcher.enrol("g", "ann", [walk(1)])
    matcher.enrol("g", "bob", [walk(2)])
    assert matcher.identify("g", walk(3)).subject is None
    more = matcher.add_samples("g", "ann", [walk(3)])
    assert more.revision == 3
    assert matcher.identify("g", walk(3)).subject == "ann"
    (ann, bob) = matcher.list_subjects("g")
    assert (ann.id, ann.templates, bob.id) == ("ann", (*first.templates, *more.templates), "bob")


def test_a_deleted_subject_is_gone_at_once(matcher):
    matcher.enrol("g", "ann", [walk(1), walk(1, noise=1)])
    matcher.enrol("g", "bob", [walk(2)])
    assert matcher.delete_subject("g", "ann") == 3
    decision = matcher.identify("g", walk(1))
    assert ([c.subject for c in decision.candidates], decision.revision) == (["bob"], 3)
    with pytest.raises(SubjectNotFound):
        matcher.verify("g", "ann", walk(1))
    assert matcher.enrol("g", "ann", [walk(1)]).revision == 4


def test_galleries_do_not_see_each_other(matcher):
    matcher.create_gallery("h")
    matcher.enrol("g", "ann", [walk(1)])
    matcher.enrol("h", "bob", [walk(1)])
    assert matcher.identify("g", walk(1)).subject == "ann"
    assert matcher.identify("h", walk(1)).subject == "bob"
    assert [(i.name, i.subjects, i.templates) for i in matcher.list_galleries()] == [("g", 1, 1), ("h", 1, 1)]
    matcher.delete_gallery("g")
    assert [info.name for info in matcher.list_galleries()] == ["h"]
    with pytest.raises(GalleryNotFound):
        matcher.identify("g", walk(1))
    assert matcher.create_gallery("g").subjects == 0


@pytest.mark.parametrize("index", registry.names("indexes"))
def test_a_restart_keeps_everything(tmp_path, index):
    matcher = open_matcher(tmp_path)
    matcher.create_gallery("g", profiles=False)
    for person in range(4):
        matcher.enrol("g", f"p{person}", [walk(person), walk(person, noise=1)])
    matcher.delete_subject("g", "p2")
    probes = [walk(person, noise=7) for person in range(4)]
    before = (
        [matcher.identify("g", probe) for probe in probes],
        matcher.list_subjects("g"),
        matcher.describe("g"),
    )
    matcher.close()
    matcher = open_matcher(tmp_path, index)
    assert matcher.list_subjects("g") == before[1]
    assert matcher.describe("g") == before[2]
    for probe, old in zip(probes, before[0], strict=True):
        new = matcher.identify("g", probe)
        assert (new.outcome, new.candidates, new.revision) == (old.outcome, old.candidates, old.revision)
    matcher.close()


# -- what a caller can get wrong -------------------------------------------------------------------

SKELETONS = GaitSequence({"skeleton": np.zeros((10, 17, 3), np.float32)}, np.arange(10.0))


@pytest.mark.parametrize(
    ("error", "act"),
    [
        (GalleryExists, lambda m: m.create_gallery("g")),
        (InputError, lambda m: m.create_gallery("")),
        (InputError, lambda m: m.create_gallery("../x")),
        (InputError, lambda m: m.identify("a b", walk(1))),
        (GalleryNotFound, lambda m: m.describe("h")),
        (GalleryNotFound, lambda m: m.delete_gallery("h")),
        (GalleryNotFound, lambda m: m.list_subjects("h")),
        (GalleryNotFound, lambda m: m.identify("h", "no probe")),
        (GalleryNotFound, lambda m: m.verify("h", "nobody", "no probe")),
        (GalleryNotFound, lambda m: m.enrol("h", "bob", [])),
        (GalleryNotFound, lambda m: m.delete_subject("h", "ann")),
        (SubjectExists, lambda m: m.enrol("g", "ann", ["no probe"])),
        (SubjectNotFound, lambda m: m.add_samples("g", "bob", ["no probe"])),
        (SubjectNotFound, lambda m: m.verify("g", "bob", "no probe")),
        (SubjectNotFound, lambda m: m.delete_subject("g", "bob")),
        (InputError, lambda m: m.enrol("g", "", [walk(1)])),
        (InputError, lambda m: m.enrol("g", "b\nb", [walk(1)])),
        (InputError, lambda m: m.enrol("g", "bob", [])),
        (InputError, lambda m: m.enrol("g", "bob", walk(1))),
        (InputError, lambda m: m.enrol("g", "bob", embedding())),
        (InputError, lambda m: m.enrol("g", "bob", [walk(1), None])),
        (InputError, lambda m: m.identify("g", np.zeros(D))),
        (InputError, lambda m: m.identify("g", walk(1), max_candidates=0)),
        (InputError, lambda m: m.identify("g", walk(1), max_candidates=2.0)),
        (InputError, lambda m: m.identify("g", embedding(dimension=D + 1))),
        (InputError, lambda m: m.embed(embedding())),
        (SequenceError, lambda m: m.identify("g", SKELETONS)),
        (SequenceError, lambda m: m.enrol("g", "bob", [walk(1), SKELETONS])),
        (SequenceError, lambda m: m.embed(SKELETONS)),
        (ContractMismatch, lambda m: m.identify("g", embedding(contract="other"))),
        (ContractMismatch, lambda m: m.verify("g", "ann", embedding(contract="other"))),
        (ContractMismatch, lambda m: m.enrol("g", "bob", [walk(1), embedding(contract="other")])),
        (ContractMismatch, lambda m: m.add_samples("g", "ann", [embedding(contract="other")])),
    ],
)
def test_an_invalid_call_changes_nothing(tmp_path, error, act):
    matcher = open_matcher(tmp_path)
    matcher.create_gallery("g")
    matcher.enrol("g", "ann", [walk(1)])
    before = matcher.list_galleries(), matcher.list_subjects("g")
    with pytest.raises(error) as caught:
        act(matcher)
    assert type(caught.value) is error
    assert caught.value.expected
    assert caught.value.remedy
    assert (matcher.list_galleries(), matcher.list_subjects("g")) == before
    matcher.close()


def test_another_encoder_cannot_use_the_gallery_but_its_embeddings_can(tmp_path):
    matcher = open_matcher(tmp_path)
    matcher.create_gallery("g")
    matcher.enrol("g", "ann", [embedding(1)])
    matcher.close()
    matcher = open_matcher(tmp_path, contract="decaf")
    for act in (
        lambda: matcher.identify("g", walk(1)),
        lambda: matcher.verify("g", "ann", walk(1)),
        lambda: matcher.enrol("g", "bob", [walk(1)]),
    ):
        with pytest.raises(ContractMismatch, match=r"decaf of encoder mean .*c0ffee of encoder mean"):
            act()
    assert matcher.identify("g", embedding(1)).subject == "ann"
    matcher.close()


def test_a_second_matcher_is_refused(matcher, tmp_path):
    with pytest.raises(StoreLocked):
        open_matcher(tmp_path / "data")


def test_an_unknown_index_opens_nothing(tmp_path):
    with pytest.raises(UnknownName, match="faiss"):
        open_matcher(tmp_path / "data", "fais")
    assert not (tmp_path / "data").exists()


def test_a_closed_matcher_says_so(matcher):
    matcher.close()
    matcher.close()
    for act in (
        matcher.list_galleries,
        lambda: matcher.identify("g", walk(1)),
        lambda: matcher.enrol("g", "ann", [walk(1)]),
        lambda: matcher.create_gallery("h"),
    ):
        with pytest.raises(StoreError, match="closed"):
            act()


# -- against a dict --------------------------------------------------------------------------------

SUBJECTS = st.sampled_from(["ann", "bob", "cyd", "dan"])
SEEDS = st.integers(0, 30)  # few, so that equal vectors meet


class AgainstDict(RuleBasedStateMachine):
    """Random enrolments, deletions, restarts; after each, every answer equals brute force."""

    @initialize(index=st.sampled_from(registry.names("indexes")))
    def start(self, index: str) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.index = index
        self.matcher = open_matcher(Path(self.directory.name), index)
        self.matcher.create_gallery("g")
        self.model: dict[str, list[tuple[str, Embedding]]] = {}
        self.revision = 0

    @rule(subject=SUBJECTS, seeds=st.lists(SEEDS, min_size=1, max_size=6))
    def enrol(self, subject: str, seeds: list[int]) -> None:
        samples = [embedding(seed) for seed in seeds]
        known = subject in self.model
        enrolment = (self.matcher.add_samples if known else self.matcher.enrol)("g", subject, samples)
        self.revision += 1
        assert enrolment.revision == self.revision
        self.model.setdefault(subject, []).extend(zip(enrolment.templates, samples, strict=True))

    @rule(subject=SUBJECTS)
    def delete(self, subject: str) -> None:
        if self.model.pop(subject, None) is None:
            with pytest.raises(SubjectNotFound):
                self.matcher.delete_subject("g", subject)
        else:
            self.revision += 1
            assert self.matcher.delete_subject("g", subject) == self.revision

    @rule()
    def restart(self) -> None:
        self.matcher.close()
        self.matcher = open_matcher(Path(self.directory.name), self.index)

    @rule(seed=SEEDS, wanted=st.integers(1, 5))
    def identify(self, seed: int, wanted: int) -> None:
        probe = embedding(seed)
        decision = self.matcher.identify("g", probe, max_candidates=wanted)
        assert decision.revision == self.revision
        ranked = sorted(self.score(subject, probe) for subject in self.model)[:wanted]
        assert [(c.subject, c.template) for c in decision.candidates] == [(s, str(t)) for _, t, s in ranked]
        assert [c.score for c in decision.candidates] == pytest.approx([-s for s, _, _ in ranked], abs=1e-6)
        if not self.model:
            assert decision.outcome is Outcome.EMPTY_GALLERY
        for score, _, subject in ranked:
            verified = self.matcher.verify("g", subject, probe)
            assert verified.candidates[0].score == pytest.approx(-score, abs=1e-6)

    def score(self, subject: str, probe: Embedding) -> tuple[float, int, str]:
        """Best score (negative, for sorting), its template, and the subject."""
        scores = [
            (-round(float(made.vector.astype(float) @ probe.vector.astype(float)), 9), int(key))
            for key, made in self.model[subject]
        ]
        return (*min(scores), subject)

    @invariant()
    def lists_are_equal(self) -> None:
        if not hasattr(self, "matcher"):
            return
        listed = {info.id: info.templates for info in self.matcher.list_subjects("g")}
        assert listed == {name: tuple(key for key, _ in held) for name, held in self.model.items()}
        info = self.matcher.describe("g")
        assert (info.subjects, info.revision) == (len(self.model), self.revision)
        assert info.templates == sum(map(len, self.model.values()))

    def teardown(self) -> None:
        if hasattr(self, "matcher"):
            self.matcher.close()
            self.directory.cleanup()


TestAgainstDict = AgainstDict.TestCase
TestAgainstDict.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


# -- under threads and kill -9 ---------------------------------------------------------------------


def test_identifying_while_enrolling_and_deleting_gives_whole_answers(matcher):
    """A steady subject is found at every moment; a passing one is there or not, never in part."""
    matcher.enrol("g", "steady", [embedding(0)])
    stop, wrong, answers = threading.Event(), [], [0]

    def search() -> None:
        while not stop.is_set():
            decision = matcher.identify("g", embedding(0), max_candidates=3)
            answers[0] += 1
            if decision.subject != "steady" or decision.candidates[0].score < 0.999999:
                wrong.append(decision)

    def pass_by(thread: int) -> None:
        for n in range(12):
            name = f"t{thread}-{n}"
            matcher.enrol("g", name, [embedding(100 * thread + n + 1) for _ in range(3)])
            if matcher.verify("g", name, embedding(100 * thread + n + 1)).subject != name:
                wrong.append(name)
            if n % 2:
                matcher.delete_subject("g", name)
                if name in {
                    c.subject for c in matcher.identify("g", embedding(0), max_candidates=99).candidates
                }:
                    wrong.append(name)

    readers = [threading.Thread(target=search) for _ in range(2)]
    writers = [threading.Thread(target=pass_by, args=(thread,)) for thread in range(3)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join(30)
    stop.set()
    for thread in readers:
        thread.join(10)
    assert not wrong
    assert answers[0]
    info = matcher.describe("g")
    assert (info.subjects, info.templates, info.revision) == (1 + 3 * 6, 1 + 3 * 18, 1 + 3 * 18)


def test_one_name_enrolled_by_many_threads_is_enrolled_once(matcher):
    outcomes: list[str] = []

    def enrol(n: int) -> None:
        try:
            matcher.enrol("g", "ann", [embedding(n)])
            outcomes.append("enrolled")
        except SubjectExists:
            outcomes.append("exists")

    threads = [threading.Thread(target=enrol, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(outcomes) == ["enrolled", *["exists"] * 5]
    assert matcher.describe("g").templates == 1


ENROL_FOREVER = """
import sys, threading
sys.path[:0] = sys.argv[2:]
from test_local_matcher import embedding, open_matcher
matcher = open_matcher(sys.argv[1])
if not matcher.list_galleries():
    matcher.create_gallery("g")
said = threading.Lock()
def work(thread):
    for n in range(10**6):
        name = f"{matcher.describe('g').revision}-{thread}-{n}"
        matcher.enrol("g", name, [embedding(n)])
        if n % 5 == 4:
            matcher.delete_subject("g", name)
        with said:
            print(("-" if n % 5 == 4 else "+") + name, flush=True)
for thread in range(3):
    threading.Thread(target=work, args=(thread,)).start()
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    enrolled: set[str] = set()
    deleted: set[str] = set()
    here = Path(__file__).resolve()
    for after in (7, 40, 90):
        process = subprocess.Popen(
            [sys.executable, "-c", ENROL_FOREVER, str(tmp_path), str(here.parent), str(here.parents[2])],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            if count == after:
                os.kill(process.pid, signal.SIGKILL)
            (enrolled if line[0] == "+" else deleted).add(line[1:].strip())  # what was said until the end
        process.stdout.close()
        process.wait(10)
        matcher = open_matcher(tmp_path)
        held = {info.id for info in matcher.list_subjects("g")}
        assert enrolled <= held
        assert not deleted & held
        assert len(held) == matcher.describe("g").subjects
        matcher.close()
    assert len(enrolled) + len(deleted) > 100


# -- with the real encoder and the real assessor ---------------------------------------------------


def striding(seed: int, frames: int = 60, start: int = 0) -> GaitSequence:
    """A body of the seed's width on two legs that swing once a second at 25 frames a second."""
    random = np.random.default_rng(seed)
    half, length, head = 6 + random.random() * 5, 26 + random.random() * 6, 2 + random.random() * 4
    rows, columns = np.mgrid[:64, :44]
    frames_made = []
    for frame in range(start, start + frames):
        swing = np.sin(2 * np.pi * frame / 25) * 10
        body = (np.abs(columns - 22) < half) & (rows > 12) & (rows < 64 - length)
        body |= np.hypot(rows - 7, columns - 22) < 4 + head / 2
        depth = np.clip((rows - (64 - length)) / length, 0, 1)
        for leg in (-1, 1):
            body |= (np.abs(columns - 22 - leg * swing * depth) < 3) & (rows >= 64 - length)
        frames_made.append(body)
    silhouettes = np.stack(frames_made).astype(np.uint8)
    times = np.arange(start, start + frames) / 25
    boxes = np.tile(np.array([100, 50, 220, 290], np.float32), (frames, 1))
    return GaitSequence({"silhouette": silhouettes}, times, boxes)


def test_gei_and_the_real_assessor_find_the_walker(tmp_path):
    matcher = LocalMatcher(registry.resolve("encoders", "gei")(), tmp_path)
    matcher.create_gallery("g")
    for seed in range(4):
        matcher.enrol("g", f"w{seed}", [striding(seed)])
    for seed in range(4):
        decision = matcher.identify("g", striding(seed, start=9))
        assert decision.subject == f"w{seed}"
        assert decision.quality.cycles >= 1
    standing = GaitSequence({"silhouette": striding(0).silhouettes[:1].repeat(60, 0)}, np.arange(60) / 25)
    decision = matcher.identify("g", standing)
    assert decision.outcome is Outcome.INSUFFICIENT_QUALITY
    assert Reason.STANDING in decision.quality.reasons
    assert matcher.identify("g", striding(0, frames=4)).outcome is Outcome.INSUFFICIENT_QUALITY
    with pytest.raises(EnrolmentRejected) as caught:
        matcher.enrol("g", "statue", [standing])
    assert "standing" in caught.value.reasons
    matcher.close()
