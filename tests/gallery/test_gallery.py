"""A gallery in memory: right candidates, and never behind the store."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid import registry
from gaitid.errors import SubjectNotFound
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.index.faiss_index import FaissIndex
from gaitid.gallery.lock import ReadersWriterLock
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.keys import KeyRing
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.records import Fusion, OperatingPoint, Origin

D = 8


def unit(*numbers: float) -> np.ndarray:
    vector = np.zeros(D, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.float32(np.linalg.norm(vector))


def samples(*vectors: np.ndarray) -> list[EnrolmentSample]:
    return [EnrolmentSample(vector, None, Origin()) for vector in vectors]


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    yield made
    made.close()


def make(store: Store, index=ExactIndex) -> Gallery:
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5))
    return Gallery(store, row, index)


@pytest.mark.parametrize("index", registry.names("indexes"))
def test_one_subject_with_hundreds_of_templates_hides_nobody(store, index):
    gallery = make(store, registry.resolve("indexes", index))
    gallery.add_subject("crowd", samples(*(unit(1, n / 1e4) for n in range(400))))
    for n, name in enumerate(("b", "c", "d")):
        gallery.add_subject(name, samples(unit(1, 1 + n)))
    candidates, revision, *_ = gallery.search(unit(1), 3)
    assert [c.subject for c in candidates] == ["crowd", "b", "c"]
    assert candidates[0].score == pytest.approx(1.0, abs=1e-6)
    assert candidates[1].score == pytest.approx(2**-0.5, abs=1e-6)
    assert revision == 4
    assert len(gallery.search(unit(1), 99)[0]) == 4


def test_a_subject_scores_as_its_best_template(store):
    gallery = make(store)
    change = gallery.add_subject("ann", samples(unit(0, 1), unit(1, 1), unit(-1)))
    (candidate,) = gallery.search(unit(1), 5).candidates
    assert candidate.template == str(change.ids[1])
    assert gallery.compare("ann", unit(1)).candidates == (candidate,)


def test_a_hasty_index_is_corrected_by_scoring_all_templates(store):
    """An approximate index may return any template of the right subjects; the answer is exact."""

    class Hasty(ExactIndex):
        def search(self, vectors, k):
            ids, scores = super().search(vectors, len(self))
            return ids[:, ::-1][:, :k], scores[:, ::-1][:, :k]

    gallery = make(store, Hasty)
    gallery.add_subject("ann", samples(unit(1), unit(-1)))
    gallery.add_subject("bob", samples(unit(1, 1), unit(-1, -1)))
    candidates = gallery.search(unit(1), 2).candidates
    assert [(c.subject, round(c.score, 6)) for c in candidates] == [("ann", 1.0), ("bob", 0.707107)]


def test_equal_scores_come_by_template_id(store):
    gallery = make(store)
    for name in ("zoe", "ann", "mia"):
        gallery.add_subject(name, samples(unit(1)))
    assert [c.subject for c in gallery.search(unit(1), 2)[0]] == ["zoe", "ann"]


def test_a_sloppy_norm_does_not_bend_the_cosine(store):
    gallery = make(store)
    gallery.add_subject("ann", samples(unit(1) * np.float32(1.0009)))
    (candidate,) = gallery.compare("ann", unit(1, 1) * np.float32(0.9991)).candidates
    assert candidate.score == pytest.approx(2**-0.5, abs=1e-6)


def test_scores_stay_within_the_range_of_a_cosine(store):
    gallery = make(store)
    vectors = [unit(*np.random.default_rng(n).standard_normal(D)) for n in range(50)]
    for n, vector in enumerate(vectors):
        gallery.add_subject(f"s{n}", samples(vector))
    assert max(gallery.compare(f"s{n}", v).candidates[0].score for n, v in enumerate(vectors)) <= 1.0
    assert min(gallery.compare(f"s{n}", -v).candidates[0].score for n, v in enumerate(vectors)) >= -1.0


def test_a_failed_application_costs_a_reload_and_no_data(store, caplog):
    class Fragile(ExactIndex):
        failures = 0

        def add(self, ids, vectors):
            if Fragile.failures:
                Fragile.failures -= 1
                raise MemoryError
            super().add(ids, vectors)

    gallery = make(store, Fragile)
    gallery.add_subject("ann", samples(unit(1)))
    Fragile.failures = 1
    assert gallery.add_subject("bob", samples(unit(0, 1))).revision == 2  # committed: acknowledged
    assert gallery.delete_subject("ann").revision == 3  # skipped by the gallery, which is behind
    candidates, revision, *_ = gallery.search(unit(1), 5)
    assert ([c.subject for c in candidates], revision) == (["bob"], 3)
    assert "will be reloaded" in caplog.text
    assert "bob" not in caplog.text
    assert gallery.add_subject("cyd", samples(unit(1))).revision == 4
    assert gallery.search(unit(1), 1)[0][0].subject == "cyd"


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    counts=st.lists(st.integers(1, 12), max_size=12),
    wanted=st.integers(1, 15),
    index=st.sampled_from(registry.names("indexes")),
)
def test_search_equals_brute_force(tmp_path_factory, seed, counts, wanted, index):
    random = np.random.default_rng(seed)
    store = Store(tmp_path_factory.mktemp("brute"))
    gallery = make(store, registry.resolve("indexes", index))
    best: list[tuple[float, str]] = []
    probe = unit(*random.standard_normal(D))
    for n, count in enumerate(counts):
        vectors = [unit(*random.standard_normal(D)) for _ in range(count)]
        gallery.add_subject(f"s{n}", samples(*vectors))
        best.append((max(float(v.astype(float) @ probe.astype(float)) for v in vectors), f"s{n}"))
    found = gallery.search(probe, wanted).candidates
    expected = sorted(best, key=lambda pair: -pair[0])[:wanted]
    assert [c.subject for c in found] == [name for _, name in expected]
    assert [c.score for c in found] == pytest.approx([score for score, _ in expected], abs=1e-6)
    store.close()


def test_a_waiting_writer_goes_before_new_readers():
    lock, order = ReadersWriterLock(), []
    reading = threading.Event()
    leave = threading.Event()

    def first_reader() -> None:
        with lock.reading():
            reading.set()
            leave.wait(5)
            order.append("reader")

    def writer() -> None:
        with lock.writing():
            order.append("writer")

    def late_reader() -> None:
        with lock.reading():
            order.append("late")

    threads = [threading.Thread(target=first_reader)]
    threads[0].start()
    assert reading.wait(5)
    threads.append(threading.Thread(target=writer))
    threads[1].start()
    while not lock._writers_waiting:
        time.sleep(0.001)
    threads.append(threading.Thread(target=late_reader))
    threads[2].start()
    leave.set()
    for thread in threads:
        thread.join(5)
    assert order == ["reader", "writer", "late"]


def compressing(dimension, fetch):
    """The default index above its switch point."""
    return FaissIndex(dimension, fetch, exact_up_to=30, tail=16)


def settle(gallery: Gallery) -> None:
    gallery._state.index.settle()


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("sealed", [False, True])
def test_a_compressed_gallery_scores_exactly_over_all_templates(tmp_path, fusion, sealed):
    ring = KeyRing(lambda: {"k": bytes(32)}) if sealed else None
    store = Store(tmp_path, ring)
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=fusion)
    gallery = Gallery(store, row, compressing)
    random = np.random.default_rng(0)
    centres = random.standard_normal((150, D))
    walks = [[unit(*(centre + random.standard_normal(D) / 4)) for _ in "ab"] for centre in centres]
    gallery.add_subjects({f"s{n}": vectors for n, vectors in enumerate(walks)})
    for n in range(0, 150, 5):
        gallery.delete_subject(f"s{n}")
    settle(gallery)
    assert not gallery._state.index.is_exact
    exact, again = Gallery(store, row, ExactIndex), Gallery(store, row, compressing)
    settle(again)
    for _ in range(30):
        probe = unit(*random.standard_normal(D))
        assert gallery.search(probe, 1) == again.search(probe, 1) == exact.search(probe, 1)
        assert gallery.compare("s7", probe) == exact.compare("s7", probe)
    store.close()


def test_a_template_erased_in_the_middle_of_a_search_is_in_no_answer(store):
    """The store deletes at once; the gallery follows when the search is over, and searches again."""
    gallery = make(store, compressing)
    for n in range(40):
        gallery.add_subject(f"s{n}", samples(unit(1, n / 50)))
    settle(gallery)
    assert gallery.search(unit(1), 1)[0][0].subject == "s0"
    fetch, erased = gallery._state.index._fetch, threading.Event()
    eraser = threading.Thread(target=gallery.delete_subject, args=("s0",))

    def late(ids):
        if not erased.is_set():
            erased.set()
            eraser.start()
            while len(fetch(ids)[0]) == len(ids):  # committed, and waiting for the search to end
                time.sleep(0.001)
        return fetch(ids)

    gallery._state.index._fetch = late
    found = gallery.search(unit(1), 1)
    eraser.join(10)
    assert (found.candidates[0].subject, found.revision) == ("s1", 41)


def test_what_the_store_lost_without_a_change_is_lost_here_too(store):
    """As after a manual repair: the gallery is reloaded, and does not retry for ever."""
    gallery = make(store, compressing)
    for n in range(40):
        gallery.add_subject(f"s{n}", samples(unit(1, n / 50)))
    settle(gallery)
    store._db.execute("DELETE FROM subjects WHERE name = 's0'")
    assert gallery.search(unit(1), 1)[0][0].subject == "s1"
    assert gallery.describe().subjects == 39


@pytest.mark.parametrize("index", [ExactIndex, FaissIndex, compressing])
def test_a_probe_never_sees_another_gallery(store, index):
    """Two galleries of one store hold different people with equal names, and the same walk."""
    galleries = []
    for name in ("a", "b"):
        row = store.galleries.create(name, "gei", "c0ffee", D, OperatingPoint(0.5))
        galleries.append(Gallery(store, row, index))
    random = np.random.default_rng(3)
    for n in range(60):
        for at, gallery in enumerate(galleries):
            gallery.add_subject(f"s{n}", samples(unit(*random.standard_normal(D))))
            gallery.add_subject(f"{'ab'[at]}{n}", samples(unit(1, n / 100)))
    galleries[1].delete_subject("b0")
    for gallery in galleries:
        getattr(gallery._state.index, "settle", lambda: None)()
    held = [{name for info in gallery.subjects() for name in info.templates} for gallery in galleries]
    assert not held[0] & held[1]
    for gallery, templates, foreign in zip(galleries, held, "ba", strict=True):
        for probe in (unit(1), unit(*random.standard_normal(D))):
            found = gallery.search(probe, 200).candidates
            assert len(found) == len(gallery.subjects())
            assert {candidate.template for candidate in found} <= templates
            assert not [one for one in found if one.subject.startswith(foreign)]
        with pytest.raises(SubjectNotFound):
            gallery.compare(f"{foreign}1", unit(1))
    assert galleries[0].search(unit(1), 1).candidates[0].subject == "a0"
    assert galleries[1].search(unit(1), 1).candidates[0].subject == "b1"
