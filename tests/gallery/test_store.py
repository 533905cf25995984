"""The store: who may open it, what it refuses, and that commits are neither lost nor left half erased."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gaitid.errors import (
    GalleryExists,
    GalleryNotFound,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreReadOnly,
    SubjectExists,
    SubjectNotFound,
)
from gaitid.gallery.store.database import DATABASE, Store
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.gallery.store.schema import SCHEMA
from gaitid.records import OperatingPoint, Origin, Quality, Reason, Terms

RULE = OperatingPoint(0.5, 0.1)


def sample(seed: int = 0, dimension: int = 16) -> EnrolmentSample:
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return EnrolmentSample(vector, Quality(70.0, 30, reasons=(Reason.IRREGULAR,)), Origin("gate", 3))


def ignore(_: object) -> None:
    """Follow a change by doing nothing."""


def make_gallery(store: Store, name: str = "g", dimension: int = 16):
    return store.galleries.create(name, "gei", "c0ffee", dimension, RULE)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data")
    yield made
    made.close()


def test_a_new_store_is_empty_and_private(store):
    assert store.galleries.all() == []
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / DATABASE).stat().st_mode & 0o077 == 0


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    store = Store(tmp_path)
    row = make_gallery(store)
    samples = [sample(1), sample(2)]
    change = store.subjects.add(row, "ann", samples, ignore)
    more = store.subjects.add_templates(row, "ann", [sample(3)], ignore)
    assert (change.revision, more.revision) == (1, 2)
    store.close()
    store = Store(tmp_path)
    assert store.galleries.all() == [row]
    contents = store.galleries.contents(row)
    assert contents.ids.tolist() == [*change.ids, *more.ids]
    assert contents.subjects == ["ann"] * 3
    assert contents.enrolled_at == [change.at] * 3
    assert np.array_equal(contents.vectors, np.stack([sample(n).vector for n in (1, 2, 3)]))
    assert contents.revision == 2
    store.close()


def test_quality_and_origin_are_kept(store):
    store.subjects.add(make_gallery(store), "ann", [sample()], ignore)
    with sqlite3.connect(store.directory / DATABASE) as reader:
        quality, camera, track = reader.execute("SELECT quality, camera, track FROM templates").fetchone()
    reader.close()
    assert '"score": 70.0' in quality
    assert '"reasons": ["irregular"]' in quality
    assert (camera, track) == ("gate", 3)


def test_the_files_are_durable_strict_and_versioned(store):
    def pragma(name):
        return store._db.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2
    assert pragma("secure_delete") == 1
    assert pragma("foreign_keys") == 1
    assert pragma("user_version") == SCHEMA
    assert all(
        "STRICT" in sql
        for (sql,) in store._db.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    )


@pytest.mark.parametrize(
    ("error", "change"),
    [
        (GalleryExists, lambda s, g: make_gallery(s)),
        (SubjectExists, lambda s, g: s.subjects.add(g, "ann", [sample()], ignore)),
        (SubjectNotFound, lambda s, g: s.subjects.add_templates(g, "bob", [sample()], ignore)),
        (SubjectNotFound, lambda s, g: s.subjects.delete(g, "bob", ignore)),
    ],
)
def test_a_refused_change_leaves_the_revision(store, error, change):
    row = make_gallery(store)
    store.subjects.add(row, "ann", [sample()], ignore)
    with pytest.raises(error):
        change(store, row)
    assert store.galleries.contents(row).revision == 1


def test_a_gallery_made_again_is_another(store):
    old = make_gallery(store)
    store.galleries.delete(old, ignore)
    new = make_gallery(store)
    assert new.key != old.key
    for act in (
        lambda: store.subjects.add(old, "ann", [sample()], ignore),
        lambda: store.galleries.delete(old, ignore),
        lambda: store.galleries.contents(old),
    ):
        with pytest.raises(GalleryNotFound):
            act()
    assert store.galleries.contents(new).revision == 0


def test_template_ids_are_never_used_again(store):
    row = make_gallery(store)
    first = store.subjects.add(row, "ann", [sample()], ignore).ids[0]
    store.subjects.delete(row, "ann", ignore)
    assert store.subjects.add(row, "bob", [sample()], ignore).ids[0] > first


def test_deleting_a_gallery_deletes_its_subjects_only(store):
    one, two = make_gallery(store, "one"), make_gallery(store, "two")
    for row in (one, two):
        store.subjects.add(row, "ann", [sample()], ignore)
    store.galleries.delete(one, ignore)
    assert store._db.execute("SELECT count(*) FROM subjects").fetchone() == (1,)
    assert store._db.execute("SELECT count(*) FROM templates").fetchone() == (1,)
    assert store.galleries.contents(two).subjects == ["ann"]


def test_a_draw_of_subjects_leaves_the_expired_out(store):
    row = make_gallery(store)
    for n in range(6):
        store.subjects.add(row, f"s{n}", [sample(n)], ignore)
    store.subjects.set_terms(row, "s1", Terms(expires_at=1.0), ignore)
    store.subjects.set_terms(row, "s2", Terms(expires_at=1.0, legal_hold=True), ignore)
    drawn = store.galleries.contents(row, most_subjects=6)
    assert drawn.subjects == ["s0", "s2", "s3", "s4", "s5"]
    assert store.galleries.contents(row).subjects == [f"s{n}" for n in range(6)]  # until it is erased


# -- who may open it -------------------------------------------------------------------------------


def test_a_second_owner_is_refused_and_the_next_is_not(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(StoreLocked, match="in use"):
        Store(tmp_path)
    store.close()
    store.close()
    Store(tmp_path).close()


def test_a_closed_store_says_so(tmp_path):
    store = Store(tmp_path)
    row = make_gallery(store)
    store.close()
    for act in (store.galleries.all, lambda: store.subjects.delete(row, "ann", ignore)):
        with pytest.raises(StoreError, match="closed"):
            act()


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "data", tmp_path / "file"):
        with pytest.raises(StoreReadOnly, match="cannot be written"):
            Store(path)


def test_a_disk_too_full_for_the_directory_is_not_called_read_only(tmp_path, monkeypatch):
    def no_space(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", no_space)
    with pytest.raises(StoreError, match="No space left") as caught:
        Store(tmp_path)
    assert type(caught.value) is StoreError


@pytest.mark.parametrize("existing", [True, False])
def test_a_database_that_only_opens_for_reading_is_refused(tmp_path, monkeypatch, existing):
    """Act as a read-only mount; permission bits do not stop root."""
    if existing:
        Store(tmp_path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options)
    )
    with pytest.raises(StoreReadOnly):
        Store(tmp_path)
    monkeypatch.undo()
    Store(tmp_path).close()  # the failed opening kept no lock


def damage_header(path: Path) -> None:
    path.write_bytes(b"no database at all, just some text" * 200)


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5 * 4096 : 5 * 4096 + 2000] = b"\xa5" * 2000
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 6 * 4096 + 77])


def newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    db.close()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (title)")
    db.close()


@pytest.mark.parametrize("harm", [damage_header, damage_middle, cut, newer, foreign])
def test_a_damaged_or_foreign_database_is_refused(tmp_path, harm):
    store = Store(tmp_path)
    row = make_gallery(store)
    for n in range(40):
        store.subjects.add(row, f"s{n}", [sample(n, 256)], ignore)
    store.close()
    harm(tmp_path / DATABASE)
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreCorrupt):
        Store(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == before  # the damaged file is not touched


def test_a_vector_of_a_wrong_length_is_damage(store):
    row = make_gallery(store)
    store.subjects.add(row, "ann", [sample()], ignore)
    store._db.execute("UPDATE templates SET vector = x'00'")
    with pytest.raises(StoreCorrupt, match="wrong length"):
        store.galleries.contents(row)


# -- committing ------------------------------------------------------------------------------------


def test_a_full_disk_acknowledges_nothing_and_is_survived(store):
    row = make_gallery(store)
    store.subjects.add(row, "ann", [sample()], ignore)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    told = []
    with pytest.raises(StoreError, match="full"):
        store.subjects.add(row, "bob", [sample(n, 256) for n in range(200)], told.append)
    assert not told
    assert store.galleries.contents(row).revision == 1
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert store.subjects.add(row, "bob", [sample()], told.append).revision == 2
    assert told[0].revision == 2


def test_writers_share_commits_and_are_acknowledged_in_order(store):
    """Changes that arrive during one slow commit are committed together."""
    row = make_gallery(store)
    told: list[int] = []
    groups: list[int] = []
    transact = store._commits._transact
    store._commits._transact = lambda tasks: (groups.append(len(tasks)), transact(tasks))[1]

    def enrol(n: int) -> None:
        store.subjects.add(row, f"s{n}", [sample(n)], lambda change: told.append(change.revision))

    threads = [threading.Thread(target=enrol, args=(n,)) for n in range(20)]
    with store._commits.mutex:  # a commit under way
        for thread in threads:
            thread.start()
        while len(store._commits._waiting) < 20:
            time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert told == list(range(1, 21))
    assert groups == [20]
    assert sorted(store.galleries.contents(row).subjects) == sorted(f"s{n}" for n in range(20))


def share_a_commit(store: Store, *acts: Callable[[], object]) -> list[object]:
    """Return what each change returned or raised when all are committed together."""
    with ThreadPoolExecutor() as pool:
        with store._commits.mutex:  # a commit under way
            futures = [pool.submit(act) for act in acts]
            while len(store._commits._waiting) < len(acts):
                time.sleep(0.001)
        return [future.exception() or future.result() for future in futures]


@pytest.mark.parametrize(("harm", "error"), [("refused", SubjectExists), ("a mistake", OverflowError)])
def test_one_failed_change_does_not_harm_the_others_of_its_group(store, harm, error):
    row = make_gallery(store)
    store.subjects.add(row, "ann", [sample()], ignore)

    def enrol(name: str) -> int:
        return store.subjects.add(row, name, [sample()], ignore).revision

    def mistake() -> None:
        store._connection.grow(row)
        raise OverflowError("Python int too large to convert to SQLite INTEGER")

    fail = partial(enrol, "ann") if harm == "refused" else partial(store._commits.run, mistake)
    bob, failed, cyd = share_a_commit(store, partial(enrol, "bob"), fail, partial(enrol, "cyd"))
    assert isinstance(failed, error)
    assert {bob, cyd} == {2, 3}
    assert store.galleries.contents(row).revision == 3


def test_a_failing_database_and_an_interruption_end_the_whole_group(store):
    row = make_gallery(store)

    def fail(error: BaseException) -> None:
        raise error

    for error, told in (
        (sqlite3.OperationalError("disk I/O error"), StoreError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        found = share_a_commit(
            store,
            lambda: store.subjects.add(row, "bob", [sample()], ignore),
            partial(store._commits.run, partial(fail, error)),
        )
        assert [type(one) for one in found] == [told, told]
    assert store.galleries.contents(row).revision == 0


# -- erasing ---------------------------------------------------------------------------------------


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def traces(vector: np.ndarray, content: bytes) -> int:
    raw = vector.astype("<f4").tobytes()
    return sum(raw[at : at + 12] in content for at in range(0, len(raw) - 12, 12 * max(1, len(raw) // 1024)))


@pytest.mark.parametrize("dimension", [16, 256, 2048])  # many to a page, three to a page, overflow pages
def test_nothing_of_a_deleted_subject_stays_in_any_file(tmp_path, dimension):
    store, random = Store(tmp_path), np.random.default_rng(dimension)
    row = make_gallery(store, dimension=dimension)
    alive: dict[str, list[EnrolmentSample]] = {}
    for n in range(60 if dimension < 2048 else 18):
        name = f"zebra-{random.integers(2**62):016x}"  # in random order, so that index pages split
        alive[name] = [sample(100 * n + m, dimension) for m in range(random.integers(1, 4))]
        store.subjects.add(row, name, alive[name], ignore)
        if n % 3 == 2:
            gone = list(alive)[random.integers(len(alive))]
            samples = alive.pop(gone)
            assert gone.encode() in everything(tmp_path)
            assert all(traces(one.vector, everything(tmp_path)) for one in samples)
            store.subjects.delete(row, gone, ignore)
            content = everything(tmp_path)
            assert gone.encode() not in content
            assert not any(traces(one.vector, content) for one in samples)
    store.galleries.delete(row, ignore)
    assert b"zebra-" not in everything(tmp_path)
    store.close()


def test_a_copy_of_a_row_that_was_moved_is_removed_when_a_scan_finds_it(tmp_path):
    """SQLite leaves traces where it rearranges pages; here one is written there."""
    store = Store(tmp_path)
    row = make_gallery(store)
    store.subjects.add(row, "zebra", [sample(1)], ignore)
    store.subjects.add(row, "ann", [sample(2)], ignore)
    before = everything(tmp_path)
    traces = store.subjects.delete(row, "zebra", ignore).traces
    assert len(traces) == 3
    assert all(trace in before for trace in traces)  # a piece of the vector, the row, the index of names
    size = store.scan(traces)
    for trace in traces:
        with (tmp_path / DATABASE).open("r+b") as file:
            file.seek(file.read().rindex(bytes(64)) + 24)
            file.write(trace)
        assert trace in everything(tmp_path)
        assert 0 < store.scan(traces) <= size
        assert trace not in everything(tmp_path)
    assert store.galleries.contents(row).subjects == ["ann"]
    store.close()
    Store(tmp_path).close()


@pytest.mark.parametrize("name", ["a", "ann", "n" * 57, "n" * 58, "n" * 128])
@pytest.mark.parametrize("subject", [1, 2, 127, 128, 40_000, 2**23, 2**31, 2**40, 2**60])
def test_a_name_is_looked_for_as_sqlite_writes_it(tmp_path, name, subject):
    store = Store(tmp_path)
    row = make_gallery(store)
    if subject > 1:
        first = "INSERT INTO subjects (id, gallery, name, enrolled_at) VALUES (?, 1, 'first', 0)"
        store._db.execute(first, (subject - 1,))
    store.subjects.add(row, name, [sample(2)], ignore)
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = everything(tmp_path)
    traces = store.subjects.delete(row, name, ignore).traces[-2:]
    assert all(trace in before for trace in traces)
    assert store.scan(traces) > 0
    # It takes the same row id; the new row is no trace of the old one.
    store.subjects.add(row, name, [sample(2)], ignore)
    store.scan(traces)
    store.close()


def test_a_deletion_cut_short_is_finished_at_the_next_start(tmp_path):
    """The process is killed after the commit, before the log is emptied."""
    store = Store(tmp_path / "one")
    row = make_gallery(store)
    store.subjects.add(row, "zebra", [sample()], ignore)
    store._commits._empty_log = lambda erasures: None
    store.subjects.delete(row, "zebra", ignore)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    store.close()
    assert b"zebra" in everything(tmp_path / "two")
    Store(tmp_path / "two").close()
    assert b"zebra" not in everything(tmp_path / "two")


def test_an_erasure_that_a_reader_hinders_is_reported(store):
    row = make_gallery(store)
    store.subjects.add(row, "zebra", [sample()], ignore)
    store._db.execute("PRAGMA busy_timeout = 10")
    reader = sqlite3.connect(store.directory / DATABASE, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM subjects").fetchone()
    with pytest.raises(StoreError, match="traces remain"):
        store.subjects.delete(row, "zebra", ignore)
    assert store.galleries.contents(row).subjects == []
    reader.close()
    store.galleries.delete(row, ignore)
    assert b"zebra" not in everything(store.directory)


def test_vectors_are_read_by_id_while_others_write(store):
    row, other = make_gallery(store), make_gallery(store, "other")
    kept = store.subjects.add(row, "ann", [sample(n) for n in range(3)], ignore).ids
    elsewhere = store.subjects.add(other, "ann", [sample(9)], ignore).ids
    assert store.galleries.vectors(row, kept[:0])[1].shape == (0, 16)
    with store._commits.mutex:  # a commit under way
        found, read = store.galleries.vectors(row, np.concatenate((kept[[2, 0]], elsewhere, [99])))
    assert found.tolist() == kept[[0, 2]].tolist()
    assert np.array_equal(read, np.stack([sample(n).vector for n in (0, 2)]))
    store.subjects.delete(row, "ann", ignore)  # the log is emptied although a reader is open
    assert (store.directory / f"{DATABASE}-wal").stat().st_size == 0
    assert store.galleries.vectors(row, kept)[0].tolist() == []


def test_a_reader_cannot_write_and_ends_with_the_store(store):
    row = make_gallery(store)
    kept = store.subjects.add(row, "ann", [sample()], ignore).ids
    with store._connection.readers.one() as db:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM templates")
        store.close()  # while it is read
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")
    with pytest.raises(StoreError, match="closed"):
        store.galleries.vectors(row, kept)


@pytest.mark.parametrize("loss", ["empty", "missing"])
def test_a_directory_that_lost_its_database_says_so(tmp_path, loss):
    Store(tmp_path).close()
    path = tmp_path / "gaitid.db"
    path.unlink()
    if loss == "empty":
        path.touch()
    for _ in range(2):  # it is not made again
        with pytest.raises(StoreCorrupt, match=f"is {loss}, and its directory has held galleries"):
            Store(tmp_path)
    assert path.exists() == (loss == "empty")


def test_a_directory_whose_first_opening_was_interrupted_opens(tmp_path):
    (tmp_path / "gaitid.db").touch()
    Store(tmp_path).close()
    Store(tmp_path).close()
