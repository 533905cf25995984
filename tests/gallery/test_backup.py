"""A backup is complete, equals the galleries, and can be restored."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from gaitid.errors import ConfigError, StoreCorrupt, StoreError, StoreLocked, StoreReadOnly, StoreRolledBack
from gaitid.gallery.care.backup import MANIFEST, UNFINISHED, back_up, publish, restore, verify
from gaitid.gallery.care.doctor import examining, repair
from gaitid.gallery.care.identity import FILE, sign
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.database import DATABASE, LOCK, Store
from gaitid.gallery.store.keys import KeyRing
from gaitid.gallery.store.schema import SCHEMA
from gaitid.records import ErasureReceipt, OperatingPoint
from tests.gallery.test_damage import DIMENSION, facts, ignore, opened, sample

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
RECEIPT = ErasureReceipt("home", "ann", 3, 7, 1795388466.25, 4096)


def ring(*letters: bytes) -> KeyRing:
    return KeyRing(lambda: {letter.decode(): letter * 32 for letter in letters})


@pytest.fixture(params=["plain", "sealed"])
def keys(request):
    return None if request.param == "plain" else ring(b"a")


@pytest.fixture
def store(tmp_path, keys):
    made = opened(tmp_path, keys)
    row = made.galleries.create("g", "gei", "c0ffee", DIMENSION, OperatingPoint(0.5))
    for n in range(20):
        made.subjects.add(row, f"subject-{n:02}", [sample(n), sample(n + 50)], ignore)
    yield made
    made.close()


def test_an_empty_store_has_a_backup(tmp_path):
    store = Store(tmp_path / "data")
    made = back_up(store, tmp_path / "backups")
    assert (made.subjects, made.templates) == (0, 0)
    assert restore(tmp_path / "backups" / made.name, tmp_path / "again") == made
    assert facts(Store(tmp_path / "again")) == []
    store.close()


def test_a_backup_becomes_what_the_galleries_were(store, keys, tmp_path):
    sign(RECEIPT, tmp_path / "data")
    before = facts(store)
    made = back_up(store, tmp_path / "backups")
    store.subjects.delete(store.galleries.all()[0], "subject-03", ignore)
    folder = tmp_path / "backups" / made.name
    assert (made.subjects, made.templates) == (20, 40)
    assert made.size_bytes == sum((folder / name).stat().st_size for name in (DATABASE, FILE))
    assert verify(folder) == made
    assert restore(folder, tmp_path / "again") == made
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [DATABASE, FILE, LOCK]
    again = Store(tmp_path / "again", keys)
    assert facts(again) == before
    assert sign(RECEIPT, tmp_path / "again").public_key == sign(RECEIPT, tmp_path / "data").public_key
    again.close()
    assert verify(folder) == made  # restoring has not touched it


def test_a_backup_is_private_and_its_manifest_says_what_it_is(store, tmp_path):
    made = back_up(store, tmp_path / "backups")
    folder = tmp_path / "backups" / made.name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    manifest = json.loads((folder / MANIFEST).read_text())
    changes, name = store._db.execute("SELECT changes, name FROM state").fetchone()
    assert (manifest["schema"], manifest["changes"], manifest["database"]) == (SCHEMA, changes, name.hex())
    assert (manifest["created_at"], made.changes) == (made.created_at, changes)
    assert sorted(path.name for path in folder.iterdir()) == [DATABASE, MANIFEST]


def test_what_was_sealed_is_sealed_in_a_backup(tmp_path):
    store = opened(tmp_path, ring(b"a"))
    row = store.galleries.create("g", "gei", "c0ffee", DIMENSION, OperatingPoint(0.5))
    store.subjects.add(row, "ann", [sample(1)], ignore)
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    raw = sample(1).vector.tobytes()
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(raw[at : at + 12] in content for at in range(0, len(raw) - 12, 12))
    store.close()


def test_changes_and_erasures_go_on_during_a_backup_and_reach_it(store, keys, tmp_path, monkeypatch):
    """The copy yields after each page; what is erased meanwhile is in none of its pages."""
    row = store.galleries.all()[0]
    monkeypatch.setattr("gaitid.gallery.store.database._PAGES", 1)
    monkeypatch.setattr("gaitid.gallery.store.database._PAUSE_S", 0.0)
    turns, steps = iter(range(10)), []

    def change(point: str) -> None:
        if point != "within backup copy":
            return
        steps.append(point)
        n = next(turns, None)
        if n is not None:
            thread = threading.Thread(target=act, args=(n,))
            thread.start()
            threads.append(thread)

    def act(n: int) -> None:
        store.subjects.delete(row, f"subject-{n:02}", ignore)
        store.subjects.add(row, f"new{n:02}", [sample(n + 900)], ignore)

    threads: list[threading.Thread] = []
    monkeypatch.setattr(failpoints, "armed", change)
    monkeypatch.setattr("gaitid.gallery.store.database.time.sleep", lambda _: [one.join() for one in threads])
    made = back_up(store, tmp_path / "backups")
    monkeypatch.undo()
    assert len(steps) > 10
    assert not any(thread.is_alive() for thread in threads)
    folder = tmp_path / "backups" / made.name
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(f"subject-{n:02}".encode() in content for n in range(10))
    assert b"new07" in content
    if keys is None:
        assert sample(907).vector.tobytes() in content
        assert not any(sample(n).vector.tobytes()[:16] in content for n in range(10))
    restore(folder, tmp_path / "again")
    again = Store(tmp_path / "again", keys)
    assert facts(again) == facts(store)
    again.close()


def test_a_store_that_is_closed_during_a_backup_leaves_none(store, tmp_path, monkeypatch):
    monkeypatch.setattr("gaitid.gallery.store.database._PAGES", 1)
    monkeypatch.setattr("gaitid.gallery.store.database.time.sleep", lambda _: store.close())
    with pytest.raises(StoreError, match="closed"):
        back_up(store, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_cut_short_is_none(store, tmp_path, monkeypatch):
    """What a killed process leaves does not have the name of a backup."""

    class Killed(BaseException):
        pass

    def kill(point: str) -> None:
        if point == "before backup rename":
            raise Killed

    monkeypatch.setattr(failpoints, "armed", kill)
    monkeypatch.setattr("gaitid.gallery.care.backup.shutil.rmtree", lambda *_, **__: None)
    with pytest.raises(Killed):
        back_up(store, tmp_path / "backups")
    assert [path.name.startswith(UNFINISHED) for path in (tmp_path / "backups").iterdir()] == [True]


@pytest.mark.parametrize("inside", ["", "backups", "a/b"])
def test_a_folder_inside_of_the_data_directory_is_refused(store, tmp_path, inside):
    with pytest.raises(ConfigError, match="inside"):
        back_up(store, tmp_path / "data" / inside)


def test_a_folder_that_cannot_be_made_is_refused(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        back_up(store, tmp_path / "file" / "backups")


def test_a_damaged_database_gives_no_backup(store, tmp_path):
    store._db.execute("DROP TRIGGER temp.checksum_templates_UPDATE")
    store._db.execute("UPDATE templates SET track = 9 WHERE id = 3")
    with pytest.raises(StoreCorrupt, match="row 3 of templates"):
        back_up(store, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


# -- what is no backup -----------------------------------------------------------------------------


def harm_middle(folder: Path) -> None:
    content = bytearray((folder / DATABASE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / DATABASE).write_bytes(content)


def cut(folder: Path) -> None:
    (folder / DATABASE).write_bytes((folder / DATABASE).read_bytes()[:-4096])


def manifest_with(**changes: object):
    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(manifest | changes))

    return change


def another_name(folder: Path) -> None:
    """A manifest that would write outside."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../out"] = manifest["files"][DATABASE]
    (folder / MANIFEST).write_text(json.dumps(manifest))


HARMS = {
    "a flipped bit": harm_middle,
    "cut short": cut,
    "no database": lambda folder: (folder / DATABASE).unlink(),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "half a manifest": lambda folder: (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:99]),
    "a manifest of something else": lambda folder: (folder / MANIFEST).write_text("[]"),
    "another count": manifest_with(changes=1),
    "another time": manifest_with(created_at="yesterday"),
    "a newer format": manifest_with(format=2),
    "a file elsewhere": another_name,
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_backup_that_was_changed_is_refused(store, tmp_path, harm):
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    harm(folder)
    for act in (lambda: verify(folder), lambda: restore(folder, tmp_path / "again")):
        with pytest.raises((StoreCorrupt, StoreError)):
            act()
    assert not (tmp_path / "again" / DATABASE).exists()


# -- restoring -------------------------------------------------------------------------------------


def test_only_an_empty_directory_is_restored_into(store, tmp_path):
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    with pytest.raises(StoreLocked):
        restore(folder, tmp_path / "data")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes").write_text("mine")
    with pytest.raises(StoreError, match="holds notes"):
        restore(folder, tmp_path / "other")
    (tmp_path / "empty").mkdir()
    restore(folder, tmp_path / "empty")
    with pytest.raises(StoreError, match="holds gaitid"):
        restore(folder, tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreReadOnly):
        restore(folder, tmp_path / "file")


@pytest.mark.parametrize("renamed", [0, 1])
def test_a_restoration_cut_short_is_tried_again(store, keys, tmp_path, monkeypatch, renamed):
    sign(RECEIPT, tmp_path / "data")
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    points: list[str] = []

    def cut_power(point: str) -> None:
        points.append(point)
        if len(points) > renamed:
            raise OSError("power is gone")

    monkeypatch.setattr(failpoints, "armed", cut_power)
    with pytest.raises(StoreError, match="power is gone"):
        restore(folder, tmp_path / "again")
    monkeypatch.undo()
    assert (tmp_path / "again" / FILE).exists() == renamed
    assert not (tmp_path / "again" / DATABASE).exists()
    restore(folder, tmp_path / "again")
    again = Store(tmp_path / "again", keys)
    assert facts(again) == facts(store)
    again.close()
    with examining(tmp_path / "again", keys) as checks:
        assert [check() for name, check in checks if name == "left-over files"] == ["none"]


def test_a_signing_key_of_somebody_else_is_not_overwritten(store, tmp_path):
    sign(RECEIPT, tmp_path / "data")
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / FILE).write_bytes(bytes(32))
    with pytest.raises(StoreError, match=r"holds gaitid\.identity"):
        restore(folder, tmp_path / "again")
    assert (tmp_path / "again" / FILE).read_bytes() == bytes(32)


def test_a_restored_older_state_is_detected_by_the_mark(store, keys, tmp_path):
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    store.subjects.delete(store.galleries.all()[0], "subject-00", ignore)
    store.close()
    restore(folder, tmp_path / "again")
    with pytest.raises(StoreRolledBack):
        Store(tmp_path / "again", keys, mark=tmp_path / "mark")
    (tmp_path / "mark").unlink()
    Store(tmp_path / "again", keys, mark=tmp_path / "mark").close()
    Store(tmp_path / "again", keys, mark=tmp_path / "mark").close()


def test_the_newest_state_restored_passes_the_mark(store, keys, tmp_path):
    folder = tmp_path / "backups" / back_up(store, tmp_path / "backups").name
    before = facts(store)
    store.close()
    restore(folder, tmp_path / "again")
    again = Store(tmp_path / "again", keys, mark=tmp_path / "mark")
    assert facts(again) == before
    again.close()


@pytest.mark.parametrize("version", range(1, SCHEMA))
def test_a_backup_of_an_older_version_is_restored_and_brought_up_to_date(tmp_path, version):
    fresh = tmp_path / "backups" / f"{UNFINISHED}old"
    fresh.mkdir(parents=True)
    db = sqlite3.connect(fresh / DATABASE)
    db.executescript((FIXTURES / f"store-{version}.sql").read_text())
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    made = publish(fresh)
    folder = tmp_path / "backups" / made.name
    assert json.loads((folder / MANIFEST).read_text())["schema"] == version
    assert (made.subjects, made.templates) == (2, 3)
    assert restore(folder, tmp_path / "data") == made
    with examining(tmp_path / "data") as checks:
        assert f"the next start migrates it to {SCHEMA}" in dict(checks)["database"]()
    store = Store(tmp_path / "data")
    assert store.galleries.contents(store.galleries.all()[0]).subjects == ["ann", "bob", "ann"]
    store.close()
    assert repair(tmp_path / "data") == []
