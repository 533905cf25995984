"""An older copy of a database is detected, and nothing else is taken for one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gaitid.errors import StoreCorrupt, StoreError, StoreRolledBack
from gaitid.gallery.store.database import DATABASE, Store
from gaitid.records import OperatingPoint
from gaitid.server import app


def make(store: Store, name: str):
    return store.galleries.create(name, "gei", "c0ffee", 16, OperatingPoint(0.5))


def opened(tmp_path: Path) -> Store:
    return Store(tmp_path / "data", mark=tmp_path / "mark")


@pytest.fixture
def store(tmp_path):
    made = opened(tmp_path)
    make(made, "one")
    yield made
    made.close()


def test_the_newest_database_opens_again_and_again(store, tmp_path):
    store.close()
    for name in ("two", "three"):
        again = opened(tmp_path)
        make(again, name)
        again.close()
    assert (tmp_path / "mark").stat().st_mode & 0o777 == 0o600


def test_an_older_copy_is_refused_until_the_loss_is_accepted(store, tmp_path):
    store.close()
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    again = opened(tmp_path)
    make(again, "two")
    again.close()
    shutil.rmtree(tmp_path / "data")
    shutil.copytree(tmp_path / "backup", tmp_path / "data")
    for _ in range(2):  # a refusal changes nothing
        with pytest.raises(StoreRolledBack, match="older copy"):
            opened(tmp_path)
    (tmp_path / "mark").unlink()
    again = opened(tmp_path)
    assert [row.name for row in again.galleries.all()] == ["one"]
    again.close()


def test_a_mark_behind_the_database_is_no_alarm(store, tmp_path):
    """Leave what a power cut leaves."""
    behind = (tmp_path / "mark").read_bytes()
    make(store, "two")
    store.close()
    (tmp_path / "mark").write_bytes(behind)
    opened(tmp_path).close()
    assert (tmp_path / "mark").read_bytes() != behind


def test_each_commit_moves_the_mark_before_it_is_acknowledged(store, tmp_path):
    seen = [(tmp_path / "mark").read_bytes()]
    for n in range(3):
        row = make(store, f"more{n}")
        seen.append((tmp_path / "mark").read_bytes())
    store.galleries.delete(row, lambda _: seen.append((tmp_path / "mark").read_bytes()))
    assert len(set(seen)) == 5
    assert len({len(line) for line in seen}) == 1


def test_a_killed_process_leaves_a_mark_that_fits(store, tmp_path):
    make(store, "two")
    shutil.copytree(tmp_path / "data", tmp_path / "killed" / "data")
    shutil.copy(tmp_path / "mark", tmp_path / "killed" / "mark")
    opened(tmp_path / "killed").close()


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: b"nonsense",
        lambda text: text[:-2],
        lambda text: text.replace(b"0001 ", b"0000 ").replace(b"0002 ", b"0000 "),
        lambda text: text + b"more",
    ],
)
def test_a_mark_that_was_changed_is_refused(store, tmp_path, harm):
    store.close()
    text = (tmp_path / "mark").read_bytes()
    (tmp_path / "mark").write_bytes(harm(text))
    assert harm(text) != text
    with pytest.raises(StoreCorrupt, match="not a mark of this database"):
        opened(tmp_path)
    (tmp_path / "mark").write_bytes(text)
    opened(tmp_path).close()


def test_a_mark_of_another_database_is_refused(store, tmp_path):
    with pytest.raises(StoreCorrupt):
        Store(tmp_path / "other", mark=tmp_path / "mark")


def test_a_mark_that_cannot_be_written_is_an_error_at_the_start(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        Store(tmp_path / "data", mark=tmp_path)
    Store(tmp_path / "data").close()  # the refused opening kept no lock


def test_a_mark_that_fails_later_loses_no_change(store, tmp_path, caplog, monkeypatch):
    def full(*_: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr("gaitid.gallery.store.mark.os.pwrite", full)
    make(store, "two")
    assert "stays behind" in caplog.text
    assert len(store.galleries.all()) == 2


def test_a_server_refuses_an_older_copy(tmp_path):
    settings = app.ServerSettings("127.0.0.1:0", tmp_path / "data", mark_file=tmp_path / "mark")
    with app.running(settings):
        pass
    database = (tmp_path / "data" / DATABASE).read_bytes()
    made = opened(tmp_path)
    make(made, "late")
    made.close()
    (tmp_path / "data" / DATABASE).write_bytes(database)
    with pytest.raises(StoreRolledBack), app.running(settings):
        pass
