"""Renewal: new templates of the same subjects while the gallery works, however it is interrupted."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest

from gaitid import registry
from gaitid.errors import GalleryNotFound, KeyMissing, StoreCorrupt, StoreError
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.store import failpoints
from gaitid.gallery.store import renewal as projections
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.sealing import SealedRow
from gaitid.records import Fusion, OperatingPoint
from tests.gallery.test_gallery import compressing, settle
from tests.gallery.test_keys import NEW, OLD, D, everything, fill, ignore, key_names, ring, sample
from tests.gallery.test_projection import area


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data", ring(a=OLD))
    yield made
    made.close()


def answers(gallery: Gallery) -> list[list[tuple[str, str, float]]]:
    """The whole lists of candidates of some probes."""
    return [
        [(c.subject, c.template, c.score) for c in gallery.search(sample(seed).vector, 99).candidates]
        for seed in (0, 3, 1003, 7777)
    ]


def check_same(found, wanted):
    for now, before in zip(found, wanted, strict=True):
        assert [c[:2] for c in now] == [c[:2] for c in before]
        assert [c[2] for c in now] == pytest.approx([c[2] for c in before], abs=1e-6)


def stored(store: Store) -> np.ndarray:
    """Return the decrypted vectors as stored."""
    rows = store._db.execute(
        "SELECT t.vector, s.key_name, s.data_key, s.id FROM templates t JOIN subjects s ON s.id = t.subject"
        " ORDER BY t.id"
    )
    rows = [SealedRow(*row) for row in rows]
    (gallery,) = store.galleries.all()
    plain = store._connection.sealing.unsealed(gallery.key, gallery.contract, rows)
    return np.frombuffer(b"".join(plain), "<f4").reshape(len(rows), -1)


def generations(store: Store) -> set[int]:
    return {row[0] for row in store._db.execute("SELECT generation FROM templates")}


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("index", registry.names("indexes"))
def test_scores_stay_and_templates_do_not(store, index, fusion):
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=fusion)
    gallery = Gallery(store, row, registry.resolve("indexes", index))
    gallery.add_subjects({f"s{n:03}": [sample(n).vector, sample(1000 + n).vector] for n in range(30)})
    before, plain = answers(gallery), stored(store)
    revision = gallery.describe().revision
    for number in (1, 2, 3):
        held = stored(store)
        assert gallery.renew_templates() == 60
        assert gallery.describe().renewals == number
        check_same(answers(gallery), before)
        now = stored(store)
        for older in (held, plain):
            scores = older @ now.T
            assert 0.2 < area(scores.diagonal(), scores[~np.eye(60, dtype=bool)]) < 0.8  # keys are random
    assert gallery.describe().revision == revision + 3  # what holds projected rows must fetch them again
    check_same(answers(Gallery(store, row, ExactIndex)), before)


def test_an_empty_gallery_is_renewed_and_filled(store):
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5))
    gallery = Gallery(store, row, ExactIndex)
    assert gallery.renew_templates() == 0
    gallery.add_subject("ann", [sample(1)])
    gallery.add_subjects({"bob": [sample(2).vector], "cid": [sample(3).vector, sample(4).vector]})
    gallery.add_templates("ann", [sample(5)])
    assert np.abs(stored(store)[0] - sample(1).vector).max() > 0.01
    for seed, name in ((1, "ann"), (2, "bob"), (4, "cid"), (5, "ann")):
        best = gallery.search(sample(seed).vector, 1).candidates[0]
        assert (best.subject, best.score) == (name, pytest.approx(1.0, abs=1e-6))
    check_same(answers(Gallery(store, row, ExactIndex)), answers(gallery))


def test_an_export_gives_what_was_enrolled(store):
    row = fill(store, 3)
    gallery = Gallery(store, row, ExactIndex)
    gallery.renew_templates()
    held = gallery.export("s001").templates
    for template, seed in zip(held, (1, 1001), strict=True):
        np.testing.assert_allclose(template.embedding.vector, sample(seed).vector, atol=1e-6)


def test_without_keys_nothing_is_renewed(tmp_path):
    store = Store(tmp_path)
    row = fill(store, 3)
    with pytest.raises(KeyMissing, match="without keys"):
        store.galleries.renew_templates(row, ignore)
    assert generations(store) == {0}
    store.galleries.delete(row, ignore)
    with pytest.raises(GalleryNotFound):
        store.galleries.renew_templates(row, ignore)
    store.close()


def test_a_projection_needs_its_key(tmp_path):
    store = Store(tmp_path, ring(a=OLD))
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5))
    store.galleries.renew_templates(row, ignore)
    store.close()
    for given in (None, ring(b=NEW)):
        with pytest.raises(KeyMissing, match="key 'a'"):
            Store(tmp_path, given).contents(row)


def test_two_galleries_of_the_same_people_cannot_be_linked(store):
    rows = [store.galleries.create(name, "gei", "c0ffee", D, OperatingPoint(0.5)) for name in ("g", "h")]
    for row in rows:
        store.subjects.add_many(row, {f"s{n:03}": [sample(n)] for n in range(300)}, ignore)
        store.galleries.renew_templates(row, ignore)
    one, two = (store.galleries.contents(row).vectors for row in rows)
    scores = one @ two.T
    assert 0.3 < area(scores.diagonal(), scores[~np.eye(300, dtype=bool)]) < 0.7  # keys are random
    one, two = (
        store.galleries.contents(row).space.projection.undo(v)
        for row, v in zip(rows, (one, two), strict=True)
    )
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_cut_short_it_is_right_and_the_next_call_finishes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(projections, "AT_ONCE", 10)
    store = Store(tmp_path / "one", ring(a=OLD))
    row = fill(store, 30)
    gallery = Gallery(store, row, ExactIndex)
    before = answers(gallery)
    gallery.renew_templates()
    passes = iter(range(3))

    def killed(point: str) -> None:
        if point == "between renewal commits" and next(passes, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(failpoints, "armed", killed)
    with pytest.raises(KeyboardInterrupt):
        store.galleries.renew_templates(row, ignore)
    monkeypatch.setattr(failpoints, "armed", None)
    assert generations(store) == {1, 2}
    gallery.add_subject("late", [sample(5000)])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    store.close()
    again = Store(tmp_path / "two", ring(a=OLD))
    gallery = Gallery(again, row, ExactIndex)
    assert gallery.search(sample(5000).vector, 1).candidates[0].subject == "late"
    gallery.delete_subject("late")
    check_same(answers(gallery), before)
    assert gallery.renew_templates() == 20
    assert (generations(again), gallery.describe().renewals) == ({2}, 2)
    check_same(answers(gallery), before)
    assert gallery.renew_templates() == 60
    assert generations(again) == {3}
    again.close()


def test_searches_and_changes_go_on_meanwhile(store, monkeypatch):
    monkeypatch.setattr(projections, "AT_ONCE", 10)
    row = fill(store, 60)
    gallery = Gallery(store, row, ExactIndex)
    stop, faults = threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            best = gallery.search(sample(50).vector, 1).candidates[0]
            if best.subject != "s050" or abs(best.score - 1) > 1e-6:
                faults.append(best)

    def write() -> None:
        for n in range(15):
            gallery.add_subject(f"new{n}", [sample(5000 + n)])
            gallery.delete_subject(f"s{n:03}")

    threads = [threading.Thread(target=act) for act in (look, look, write)]
    for thread in threads:
        thread.start()
    gallery.renew_templates()
    threads[2].join(60)
    gallery.renew_templates()
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not faults
    assert generations(store) == {2}
    for n in range(15):
        assert gallery.search(sample(5000 + n).vector, 1).candidates[0].subject == f"new{n}"
    assert gallery.describe().subjects == 60


def test_old_keys_are_gone_and_new_ones_follow_a_rotation(tmp_path):
    known = {"a": OLD}
    store = Store(tmp_path, ring(**known))
    store._connection.sealing._ring._load = lambda: known
    row = fill(store, 5)
    store.galleries.renew_templates(row, ignore)
    (old,) = store._db.execute("SELECT data_key FROM projections").fetchone()
    assert old in everything(tmp_path)
    store.galleries.renew_templates(row, ignore)
    assert old not in everything(tmp_path)
    known["b"] = NEW
    assert store.rotate_keys() == 5
    assert store.rotate_keys() == 0
    assert {name for (name,) in store._db.execute("SELECT key_name FROM projections")} == {"b"}
    assert key_names(store) == {"b"}
    before = store.galleries.contents(row).vectors
    store.close()
    again = Store(tmp_path, ring(b=NEW))
    np.testing.assert_array_equal(again.galleries.contents(row).vectors, before)
    (last,) = again._db.execute("SELECT data_key FROM projections").fetchone()
    again.galleries.delete(row, ignore)
    assert last not in everything(tmp_path)
    again.close()


def test_a_projection_of_another_gallery_does_not_open(store):
    rows = [store.galleries.create(name, "gei", "c0ffee", D, OperatingPoint(0.5)) for name in ("g", "h")]
    for row in rows:
        store.galleries.renew_templates(row, ignore)
    first, second = rows
    store._connection.projections._made.clear()
    store._db.execute(
        "UPDATE projections SET data_key = (SELECT data_key FROM projections WHERE gallery = ?)"
        " WHERE gallery = ?",
        (first.key, second.key),
    )
    store.galleries.contents(first)
    with pytest.raises(KeyMissing):
        store.galleries.contents(second)


def test_a_lost_projection_is_reported(store):
    row = fill(store, 2)
    store.galleries.renew_templates(row, ignore)
    store._db.execute("DELETE FROM projections")
    with pytest.raises(StoreCorrupt, match="projection 1, which is missing"):
        store.galleries.contents(row)


def test_a_renewal_that_was_rolled_back_leaves_no_matrix_behind(store, monkeypatch):
    """The next one has the same number and another key."""
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5))
    gallery = Gallery(store, row, ExactIndex)

    def full(point: str) -> None:
        if point == "before commit":
            store._connection.projections.of(row)  # as an enrolment of the same commit would
            raise OSError("no space left")

    monkeypatch.setattr(failpoints, "armed", full)
    with pytest.raises(StoreError):
        gallery.renew_templates()
    monkeypatch.setattr(failpoints, "armed", None)
    gallery.renew_templates()
    gallery.add_subject("ann", [sample(1)])
    store._connection.projections._made.clear()
    np.testing.assert_allclose(
        gallery.export("ann").templates[0].embedding.vector, sample(1).vector, atol=1e-6
    )


@pytest.mark.parametrize("fusion", list(Fusion))
def test_an_index_that_reads_vectors_from_the_store_goes_on_with_its_own_projection(
    store, fusion, monkeypatch
):
    """Whatever generation the rows are of when it asks."""
    monkeypatch.setattr(projections, "AT_ONCE", 30)
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=fusion)
    gallery = Gallery(store, row, compressing)
    gallery.add_subjects({f"s{n:03}": [sample(n).vector, sample(1000 + n).vector] for n in range(60)})
    settle(gallery)
    assert not gallery._state.index.is_exact
    before = answers(gallery)
    gallery.renew_templates()
    settle(gallery)
    check_same(answers(gallery), before)
    seen = []

    def look(point: str) -> None:
        if point == "template under new projection" and len(generations(store)) == 2 and len(seen) < 3:
            seen.append(answers(gallery))

    failpoints.armed = look
    try:
        gallery.renew_templates()
    finally:
        failpoints.armed = None
    for found in [*seen, answers(gallery)]:
        check_same([scored[:3] for scored in found], [scored[:3] for scored in before])
    assert seen
    store.galleries.renew_templates(row, ignore)  # the gallery does not follow this change
    check_same(answers(gallery), before)
