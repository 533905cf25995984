"""Each check of a data directory finds its fault; an undamaged directory passes, and nothing is written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gaitid.errors import GaitIdError, KeyMissing, StoreCorrupt, StoreError, StoreLocked, StoreRolledBack
from gaitid.gallery.care.doctor import examining, repair
from gaitid.gallery.care.identity import FILE, sign
from gaitid.gallery.scoring.calibration import learn
from gaitid.gallery.store import checksums
from gaitid.gallery.store.database import DATABASE
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.records import Fusion, OperatingPoint, Origin, Terms
from tests.gallery.test_backup import RECEIPT, ring
from tests.gallery.test_damage import DIMENSION, ignore, opened, sample
from tests.impostors import names, people


@pytest.fixture(params=["plain", "sealed"])
def place(tmp_path, request):
    """A closed directory with everything in it, and its keys."""
    keys = None if request.param == "plain" else ring(b"a")
    store = opened(tmp_path, keys)
    row = store.galleries.create("g", "gei", "c0ffee", DIMENSION, OperatingPoint(0.5))
    for n in range(3):
        store.subjects.add(
            row, f"s{n}", [sample(n), EnrolmentSample(sample(n).vector, None, Origin())], ignore
        )
    store.subjects.set_terms(row, "s1", Terms("consent", expires_at=2e9), ignore)
    store.galleries.set_calibration(row, learn(people(60, 2, 9), names(60, 2), Fusion.MAX), ignore)
    store.close()
    sign(RECEIPT, tmp_path / "data")
    return tmp_path, keys


def results(folder: Path, keys=None) -> dict[str, str | GaitIdError]:
    found: dict[str, str | GaitIdError] = {}
    with examining(folder / "data", keys, folder / "mark") as checks:
        for name, check in checks:
            try:
                found[name] = check()
            except GaitIdError as error:
                found[name] = error
    return found


def test_a_sound_directory_passes_all_checks_and_is_not_written(place):
    folder, keys = place
    before = {path.name: path.read_bytes() for path in (folder / "data").iterdir()}
    found = results(folder, keys)
    assert {path.name: path.read_bytes() for path in (folder / "data").iterdir()} == before
    assert not [error for error in found.values() if isinstance(error, GaitIdError)]
    assert list(found) == [
        "database", "galleries", "subjects", "templates", "camera profiles", "audit trail", "mark",
        "signing key", "left-over files",
    ]  # fmt: skip
    assert found["galleries"].startswith("1, 1 of them calibrated")
    assert found["templates"].startswith(f"6, {0 if keys is None else 6} of them sealed")


def test_an_empty_directory_passes_without_mark_and_key(tmp_path):
    opened(tmp_path).close()
    with examining(tmp_path / "data") as checks:
        assert [name for name, check in checks if check()] == [
            "database", "galleries", "subjects", "templates", "camera profiles", "audit trail",
            "left-over files",
        ]  # fmt: skip


def test_a_killed_process_leaves_a_directory_that_passes(tmp_path):
    """With a log that is not in the database yet."""
    store = opened(tmp_path)
    row = store.galleries.create("g", "gei", "c0ffee", DIMENSION, OperatingPoint(0.5))
    store.subjects.add(row, "ann", [sample(1)], ignore)
    (tmp_path / "killed" / "data").mkdir(parents=True)
    for name in (DATABASE, f"{DATABASE}-wal"):
        (tmp_path / "killed" / "data" / name).write_bytes((tmp_path / "data" / name).read_bytes())
    (tmp_path / "killed" / "mark").write_bytes((tmp_path / "mark").read_bytes())
    store.close()
    log = (tmp_path / "killed" / "data" / f"{DATABASE}-wal").read_bytes()
    assert results(tmp_path / "killed")["subjects"].startswith("1,")
    assert (tmp_path / "killed" / "data" / f"{DATABASE}-wal").read_bytes() == log


def consistently(statement: str):
    """Change rows and their checksums, as a fault of gaitid itself would."""

    def change(folder: Path) -> None:
        db = sqlite3.connect(folder / "data" / DATABASE, isolation_level=None)
        checksums.install(db)
        assert db.execute(statement).rowcount
        db.close()

    return change


def audited(statement: str):
    """Change the audit trail, whose triggers are removed for that time."""

    def change(folder: Path) -> None:
        db = sqlite3.connect(folder / "data" / DATABASE, isolation_level=None)
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        assert db.execute(statement).rowcount
        for _, text in triggers:
            db.execute(text)
        db.close()

    return change


HARMS = {
    "a checksum": ("database", lambda folder: sqlite_change(folder, "UPDATE templates SET track = 5")),
    "a fusion": ("galleries", consistently("UPDATE galleries SET fusion = 'sum'")),
    "a threshold": ("galleries", consistently("UPDATE galleries SET threshold = 7")),
    "a revision": ("galleries", consistently("UPDATE galleries SET revision = -1")),
    "a law": ("galleries", consistently("UPDATE calibrations SET law = '{}'")),
    "a name": ("subjects", consistently("UPDATE subjects SET name = 'a b' WHERE id = 1")),
    "terms": ("subjects", consistently("UPDATE subjects SET expires_at = -5 WHERE id = 1")),
    "half a key": ("subjects", consistently("UPDATE subjects SET key_name = 'a', data_key = NULL")),
    "no template": ("subjects", consistently("DELETE FROM templates WHERE subject = 2")),
    "a length": ("templates", consistently("UPDATE templates SET vector = x'00' WHERE id = 1")),
    "an entry": ("audit trail", audited("UPDATE audit SET outcome = 'none' WHERE number = 2")),
    "a missing entry": ("audit trail", audited("DELETE FROM audit WHERE number = 2")),
    "the last entries": ("mark", audited("DELETE FROM audit WHERE number > 2")),
    "a norm": ("templates", consistently("UPDATE templates SET vector = zeroblob(192) WHERE id = 1")),
    "a projection": ("templates", consistently("UPDATE templates SET generation = 3 WHERE id = 1")),
    "a quality": ("templates", consistently("UPDATE templates SET quality = '{' WHERE id = 1")),
    "a key": ("signing key", lambda folder: (folder / "data" / FILE).write_bytes(b"short")),
    "a mark": ("mark", lambda folder: (folder / "mark").write_bytes(b"nonsense")),
}


def sqlite_change(folder: Path, statement: str) -> None:
    db = sqlite3.connect(folder / "data" / DATABASE, isolation_level=None)
    db.execute(statement)
    db.close()


@pytest.mark.parametrize(("where", "harm"), HARMS.values(), ids=HARMS)
def test_each_harm_is_found_where_it_is(place, where, harm):
    folder, keys = place
    harm(folder)
    found = results(folder, keys)
    assert isinstance(found[where], StoreCorrupt)
    others = {name for name, said in found.items() if isinstance(said, GaitIdError)} - {where}
    assert others <= {"templates", "camera profiles"}  # of a subject whose key is gone
    assert "Traceback" not in str(found[where])


def test_a_rolled_back_database_is_detected(place):
    folder, keys = place
    before = (folder / "data" / DATABASE).read_bytes()
    store = opened(folder, keys)
    store.subjects.delete(store.galleries.all()[0], "s0", ignore)
    store.close()
    (folder / "data" / DATABASE).write_bytes(before)
    assert isinstance(results(folder, keys)["mark"], StoreRolledBack)


def test_without_its_keys_a_sealed_directory_fails_at_what_is_sealed_alone(tmp_path):
    store = opened(tmp_path, ring(b"a"))
    row = store.galleries.create("g", "gei", "c0ffee", DIMENSION, OperatingPoint(0.5))
    store.subjects.add(row, "ann", [sample(1)], ignore)
    store.close()
    for keys in (None, ring(b"b")):
        failed = {name for name, said in results(tmp_path, keys).items() if isinstance(said, KeyMissing)}
        assert {"templates"} <= failed <= {"templates", "camera profiles"}


def test_who_has_it_open_is_not_disturbed(tmp_path):
    store = opened(tmp_path)
    for act in (lambda: results(tmp_path), lambda: repair(tmp_path / "data")):
        with pytest.raises(StoreLocked):
            act()
    store.close()


def test_what_is_no_data_directory_is_refused_and_stays_as_it_is(tmp_path):
    for act in (lambda: results(tmp_path), lambda: repair(tmp_path)):
        with pytest.raises(StoreError, match="has no gaitid"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_is_found_and_removed(place):
    folder, keys = place
    left = [f"{FILE}.123.456", f"{DATABASE}.restoring"]
    for name in left:
        (folder / "data" / name).write_bytes(b"half")
    (folder / "data" / "notes").write_text("mine")
    found = results(folder, keys)
    assert all(name in str(found["left-over files"]) for name in left)
    assert sorted(repair(folder / "data")) == sorted(f"removed {name}" for name in left)
    assert results(folder, keys)["left-over files"] == "none"
    assert (folder / "data" / "notes").read_text() == "mine"


@pytest.mark.parametrize("bytes_left", [0, 100])
def test_a_database_that_was_cut_off_is_damaged(place, bytes_left):
    folder, keys = place
    path = folder / "data" / DATABASE
    path.write_bytes(path.read_bytes()[:bytes_left])
    found = results(folder, keys)
    assert isinstance(found["database"], StoreCorrupt)
    assert "galleries" not in found
