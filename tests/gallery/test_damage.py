"""Power cuts, flipped bits, full disks, clocks that jump: detected or harmless, never a wrong answer."""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gaitid.errors import GaitIdError, StoreCorrupt, StoreError, StoreRolledBack
from gaitid.gallery.care.backup import back_up, verify
from gaitid.gallery.care.doctor import examining, repair
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.scoring.calibration import learn
from gaitid.gallery.store.database import DATABASE, Store
from gaitid.gallery.store.keys import KeyRing
from gaitid.gallery.store.mark import check as check_mark
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.records import Fusion, OperatingPoint, Origin, Quality, Terms
from tests.impostors import DIMENSION, names, people

LOG = f"{DATABASE}-wal"


def sample(seed: int) -> EnrolmentSample:
    return EnrolmentSample(people(1, 1, seed)[0], Quality(70.0, 30), Origin("gate", 3))


def ignore(_: object) -> None:
    """Follow a change by doing nothing."""


def make_gallery(store: Store):
    return store.galleries.create("g", "gei", "c0ffee", DIMENSION, OperatingPoint(0.5))


def facts(store: Store) -> object:
    """Return everything that can be read from a store, for comparison."""
    found = []
    for row in store.galleries.all():
        held = store.galleries.contents(row)
        calibration = None if held.policy.calibration is None else held.policy.calibration.dumps()
        found.append((row, held.ids.tolist(), held.subjects, held.enrolled_at, held.vectors.tobytes()))
        found.append((held.terms, held.revision, held.policy.operating_point, calibration))
    with store._commits.mutex:  # an export would be recorded
        statement = "SELECT id, quality, camera, track, enrolled_at FROM templates ORDER BY id"
        found.extend(store._db.execute(statement).fetchall())
    return found


def opened(folder: Path, keys: KeyRing | None = None) -> Store:
    return Store(folder / "data", keys, mark=folder / "mark")


@pytest.fixture(scope="module", params=["plain", "sealed"])
def history(tmp_path_factory, request):
    """A killed process's files, and what could be read after each of its commits (the last is the newest)."""
    folder = tmp_path_factory.mktemp("history")
    keys = None if request.param == "plain" else KeyRing(lambda: {"a": bytes(32)})
    store = opened(folder, keys)
    states = [facts(store)]
    row = make_gallery(store)
    states.append(facts(store))
    for n in range(5):
        store.subjects.add(row, f"s{n}", [sample(n), sample(n + 50)], ignore)
        states.append(facts(store))
    store.subjects.set_terms(row, "s3", Terms("consent", "door", "form", 2e9), ignore)
    states.append(facts(store))
    store.galleries.set_calibration(row, learn(people(60, 2, 9), names(60, 2), Fusion.MAX), ignore)
    states.append(facts(store))
    store.galleries.set_operating_point(row, OperatingPoint(0.75, fpir=0.01), ignore)
    states.append(facts(store))
    (folder / "killed").mkdir()
    for name in (DATABASE, LOG):
        shutil.copy(folder / "data" / name, folder / "killed" / name)
    store.close()
    return folder, keys, states


def copied(history, target: Path) -> Path:
    """The files of the killed process and their mark."""
    folder = history[0]
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "killed", target / "data")
    shutil.copy(folder / "mark", target / "mark")
    return target


def frames(log: bytes) -> list[int]:
    """Where each frame of a write-ahead log ends."""
    size = 24 + struct.unpack(">I", log[8:12])[0]
    return list(range(32, len(log) + 1, size))


# -- the log cut short -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_log_cut_at_any_frame_is_a_clean_prefix_and_detected_by_the_mark(history, tmp_path):
    _, keys, states = history
    log = (history[0] / "killed" / LOG).read_bytes()
    ends = frames(log)
    assert len(ends) > 30
    reached = []
    for end in (0, *ends):
        folder = copied(history, tmp_path / "cut")
        (folder / "data" / LOG).write_bytes(log[:end])
        store = Store(folder / "data", keys)
        found = facts(store)
        assert found in states, end
        reached.append(states.index(found))
        name, secret, told = store._db.execute("SELECT name, secret, marked FROM state").fetchone()
        mark = folder / "mark", name, secret, told, store._connection.audit.hash_at
        assert store.trail.verify() == store._connection.audit.head
        if reached[-1] == len(states) - 1:
            assert check_mark(*mark) is not None
        else:
            with pytest.raises(StoreRolledBack):
                check_mark(*mark)
        store.close()
    assert reached == sorted(reached)
    assert set(reached) == set(range(len(states)))


# -- flipped bits ----------------------------------------------------------------------------------


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def outcome(folder: Path, keys: KeyRing | None, newest: object) -> str:
    """Return how a start reacts to these files: refused, harmless, or wrong."""
    try:
        store = opened(folder, keys)
    except GaitIdError:
        return "refused"
    try:
        return "harmless" if facts(store) == newest else "wrong"
    except GaitIdError:
        return "refused"
    finally:
        store.close()


def flips(history, tmp_path: Path, name: str, count: int) -> dict[str, int]:
    _, keys, states = history
    size = 8 * (history[0] / "killed" / name).stat().st_size
    found = {"refused": 0, "harmless": 0, "wrong": 0}
    chance = random.Random(count)
    for _ in range(count):
        folder = copied(history, tmp_path / "flipped")
        flip(folder / "data" / name, chance.randrange(size))
        found[outcome(folder, keys, states[-1])] += 1
    return found


def closed(history) -> None:
    """Bring the log of the killed process into its database."""
    folder, keys, _ = history
    shutil.copytree(folder / "killed", folder / "closing")
    Store(folder / "closing", keys).close()
    shutil.rmtree(folder / "killed")
    (folder / "closing").rename(folder / "killed")
    (folder / "killed" / LOG).touch()


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_a_flipped_bit_in_the_log_never_answers_wrongly(history, tmp_path, count):
    found = flips(history, tmp_path, LOG, count)
    print(found)
    assert found["wrong"] == 0
    assert found["refused"] > count // 2


@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=pytest.mark.long)])
def test_a_flipped_bit_in_the_database_never_answers_wrongly(history, tmp_path, count):
    folder = tmp_path / "closed"
    shutil.copytree(history[0], folder)
    closed((folder, *history[1:]))
    found = flips((folder, *history[1:]), tmp_path, DATABASE, count)
    print(found)
    assert found["wrong"] == 0
    assert found["refused"] > count // 5


@pytest.mark.parametrize("byte", [0xC7, 0x00, 0x27])
def test_a_damaged_layout_is_reported(history, tmp_path, byte):
    """Also where the message of SQLite quotes text that is not UTF-8."""
    folder = tmp_path / "closed"
    shutil.copytree(history[0], folder)
    closed((folder, *history[1:]))
    path = folder / "killed" / DATABASE
    path.write_bytes(path.read_bytes().replace(b"revision INTEGER", b"revision INTE" + bytes([byte]) + b"ER"))
    assert outcome(copied((folder,), tmp_path / "changed"), history[1], None) == "refused"
    with pytest.raises(StoreCorrupt):
        examine(tmp_path / "changed", history[1])


HARMS = {
    "a name": "UPDATE subjects SET name = 'eve' WHERE id = 2",
    "a vector": "UPDATE templates SET vector = zeroblob(length(vector)) WHERE id = 3",
    "a quality": "UPDATE templates SET quality = replace(quality, '70.0', '71.0') WHERE id = 3",
    "a threshold": "UPDATE galleries SET threshold = 0.1",
    "an expiry": "UPDATE subjects SET expires_at = NULL",
    "a calibration": "UPDATE calibrations SET law = replace(law, 'tail', 'tial')",
    "a new row": "INSERT INTO subjects (gallery, name, enrolled_at) VALUES (1, 'eve', 0)",
    "an index that lacks rows": None,
}


def change_elsewhere(database: Path, statement: str | None) -> None:
    """As another program would."""
    db = sqlite3.connect(database, isolation_level=None)
    if statement is not None:
        db.execute(statement)
    db.close()
    if statement is None:
        forget_in_index(database)


def forget_in_index(database: Path) -> None:
    """Delete the rows of subject 2 from the index of templates by subject, and from nothing else."""
    db = sqlite3.connect(database, isolation_level=None)
    rows = db.execute("SELECT * FROM templates WHERE subject = 2").fetchall()
    db.execute("PRAGMA writable_schema = ON")
    (entry,) = db.execute("SELECT * FROM sqlite_master WHERE name = 'templates_by_subject'").fetchall()
    db.execute("DELETE FROM templates WHERE subject = 2")
    db.execute("DELETE FROM sqlite_master WHERE name = 'templates_by_subject'")
    db.close()
    db = sqlite3.connect(database, isolation_level=None)  # which knows of no index
    marks = ", ".join("?" * len(rows[0]))
    db.executemany(f"INSERT INTO templates VALUES ({marks})", rows)  # noqa: S608
    db.execute("PRAGMA writable_schema = ON")
    db.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", entry)
    db.close()


def examine(folder: Path, keys: KeyRing | None) -> None:
    with examining(folder / "data", keys, folder / "mark") as checks:
        for _, check in checks:
            check()


@pytest.mark.parametrize("statement", HARMS.values(), ids=HARMS)
def test_what_something_else_changed_is_found_at_the_start_and_by_the_doctor(history, tmp_path, statement):
    _, keys, _ = history
    folder = copied(history, tmp_path / "changed")
    examine(folder, keys)
    change_elsewhere(folder / "data" / DATABASE, statement)
    with pytest.raises(StoreCorrupt):
        examine(folder, keys)
    with pytest.raises(StoreCorrupt):
        opened(folder, keys)


def test_only_an_index_is_repaired(history, tmp_path):
    _, keys, states = history
    folder = copied(history, tmp_path / "changed")
    assert repair(folder / "data") == []
    forget_in_index(folder / "data" / DATABASE)
    assert repair(folder / "data") == ["rebuilt the indexes of the database"]
    examine(folder, keys)
    store = opened(folder, keys)
    assert facts(store) == states[-1]
    store.close()
    change_elsewhere(folder / "data" / DATABASE, HARMS["a name"])
    forget_in_index(folder / "data" / DATABASE)
    before = (folder / "data" / DATABASE).read_bytes()
    with pytest.raises(StoreCorrupt, match="row 2 of subjects"):
        repair(folder / "data")
    assert (folder / "data" / DATABASE).read_bytes() == before


# -- a full disk -----------------------------------------------------------------------------------


@pytest.fixture
def limit():
    """Limit the size of files, as a full disk does, until the test ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or before[0], before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 24, 4096, 30_000])
def test_a_full_disk_acknowledges_nothing_and_is_survived(tmp_path, limit, room):
    store = opened(tmp_path)
    row = make_gallery(store)
    gallery = Gallery(store, row, ExactIndex)
    for n in range(5):
        gallery.add_subject(f"s{n}", [sample(n)])
    before, size = facts(store), (tmp_path / "data" / LOG).stat().st_size
    limit(size + room)
    for n in range(5):
        with pytest.raises(StoreError, match=r"full|I/O") as caught:
            gallery.add_subject(f"big{n}", [sample(m) for m in range(400)])
        assert type(caught.value) is StoreError
    assert facts(store) == before
    assert gallery.describe().revision == 5
    limit(None)
    gallery.add_subject("late", [sample(9)])
    gallery.delete_subject("s0")
    after = facts(store)
    store.close()
    again = opened(tmp_path)
    assert facts(again) == after
    again.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user cannot mount")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_an_erasure_on_a_full_disk_says_that_traces_remain_until_there_is_room(small_disk):
    filler = small_disk / "filler"
    store = Store(small_disk / "data")
    row = make_gallery(store)
    store.subjects.add(row, "zebra", [sample(n) for n in range(2000)], ignore)
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(free - 1_000_000))  # room for the commit of a deletion, none to empty the log
    with pytest.raises(StoreError, match="traces remain"):
        store.subjects.delete(row, "zebra", ignore)
    assert store.galleries.contents(row).subjects == []
    with pytest.raises(StoreError, match=r"full|I/O"):
        store.subjects.add(row, "bob", [sample(n) for n in range(2000)], ignore)
    filler.unlink()
    store.subjects.add(row, "bob", [sample(1)], ignore)
    store.galleries.delete(row, ignore)
    assert b"zebra" not in b"".join(path.read_bytes() for path in (small_disk / "data").iterdir())
    store.close()


def test_a_backup_on_a_full_disk_leaves_nothing(small_disk, tmp_path):
    store = Store(tmp_path / "data")
    row = make_gallery(store)
    store.subjects.add(row, "ann", [sample(1)] * 12_000, ignore)
    with pytest.raises(StoreError, match=r"full|I/O|No space"):
        back_up(store, small_disk)
    assert list(small_disk.iterdir()) == []
    store.subjects.delete(row, "ann", ignore)
    made = back_up(store, tmp_path / "roomy")
    assert verify(tmp_path / "roomy" / made.name) == made
    store.close()


# -- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [-1e9, 0.0, 1.0, 2**31 - 0.5, 2**32 + 0.5, 2.5e11])
def test_a_clock_that_jumps_changes_times_only(tmp_path, monkeypatch, now):
    store = opened(tmp_path)
    gallery = Gallery(store, make_gallery(store), ExactIndex)
    gallery.add_subject("ann", [sample(0)])
    monkeypatch.setattr("time.time", lambda: now)
    gallery.add_subject("bob", [sample(1)])
    gallery.add_templates("ann", [sample(2)])
    monkeypatch.undo()
    gallery.add_subject("cyd", [sample(3)])
    assert [len(info.templates) for info in gallery.subjects()] == [2, 1, 1]
    assert [info.enrolled_at == now for info in gallery.subjects()] == [False, True, False]
    assert gallery.search(sample(1).vector, 1).candidates[0].subject == "bob"
    before = facts(store)
    store.close()
    again = opened(tmp_path)
    assert facts(again) == before
    assert np.all(np.diff(again.galleries.contents(again.galleries.all()[0]).ids) > 0)
    again.close()
