"""Encrypted templates: unreadable without the key, bound to their row, and rotated while in use."""

from __future__ import annotations

import base64
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gaitid.errors import ConfigError, InputError, KeyMissing, StoreCorrupt
from gaitid.gallery.care.doctor import examining
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.store import checksums, failpoints
from gaitid.gallery.store import keys as keys_module
from gaitid.gallery.store.database import DATABASE, Store
from gaitid.gallery.store.keys import (
    DataKey,
    KeyRing,
    append_key,
    parse,
    ring_from_environment,
    ring_from_file,
)
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.gallery.store.sealing import WRAPPED, Sealing
from gaitid.records import OperatingPoint, Origin

D = 64
OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def ring(**keys: bytes) -> KeyRing:
    return KeyRing(lambda: keys)


def sample(seed: int) -> EnrolmentSample:
    vector = np.random.default_rng(seed).standard_normal(D)
    return EnrolmentSample((vector / np.linalg.norm(vector)).astype(np.float32), None, Origin())


def ignore(_: object) -> None:
    """Follow a change by doing nothing."""


def fill(store: Store, subjects: int, name: str = "g"):
    row = store.galleries.create(name, "gei", "c0ffee", D, OperatingPoint(0.5))
    for n in range(subjects):
        store.subjects.add(row, f"s{n:03}", [sample(n), sample(1000 + n)], ignore)
    return row


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def traces(subjects: range, content: bytes) -> int:
    """Places of plain templates in the content: any 12 bytes in a row of a vector."""
    raws = [sample(n + more).vector.tobytes() for n in subjects for more in (0, 1000)]
    return sum(raw[at : at + 12] in content for raw in raws for at in range(0, 4 * D - 12, 12))


def state(store: Store):
    (row,) = store.galleries.all()
    contents = store.galleries.contents(row)
    return contents.ids.tolist(), contents.subjects, contents.vectors.tobytes(), contents.revision


def read(store: Store) -> None:
    for row in store.galleries.all():
        store.galleries.contents(row)


def open_and_read(directory: Path, given: dict[str, bytes] | None) -> None:
    store = Store(directory, None if given is None else ring(**given))
    try:
        read(store)
    finally:
        store.close()


def key_names(store: Store) -> set[str | None]:
    return {row[0] for row in store._db.execute("SELECT key_name FROM subjects")}


# -- key text --------------------------------------------------------------------------------------


def line(name: str, size: int = 32) -> str:
    return f"{name} {base64.b64encode(bytes(size)).decode()}"


@pytest.mark.parametrize(
    ("text", "names"),
    [("", []), ("# none\n\n", []), (line("a"), ["a"]), (f"{line('a')} # first\n{line('b')}\n", ["a", "b"])],
)
def test_key_text_is_read(text, names):
    assert list(parse(text)) == names


@pytest.mark.parametrize(
    "text", ["a", "a b c", "a !!!!", f"{line('a')} more", f"{line('a')}\n{line('a')}", f"{line('a')}\nsecret"]
)
def test_malformed_key_text_is_refused_and_not_shown(text):
    with pytest.raises(ConfigError, match="of the key text is malformed") as caught:
        parse(text)
    assert "AAAA" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "error"), [({}, ConfigError), ({"a": bytes(16)}, ConfigError), ({"a b": OLD}, InputError)]
)
def test_a_ring_without_a_good_key_is_refused(given, error):
    with pytest.raises(error):
        ring(**given)


def test_a_key_file_grows_and_stays_private(tmp_path):
    path = tmp_path / "keys"
    append_key(path, "one")
    assert path.stat().st_mode & 0o777 == 0o600
    held = ring_from_file(path)
    append_key(path, "two")
    assert held.current == "one"
    held.reload()
    assert held.current == "two"
    with pytest.raises(ConfigError, match="has a key 'two'"):
        append_key(path, "two")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="open to all"):
        ring_from_file(path)
    for harm in (path.unlink, lambda: path.write_bytes(b"\xff\xfe")):
        harm()
        with pytest.raises(ConfigError):
            ring_from_file(path)


def test_keys_come_from_the_environment(monkeypatch):
    monkeypatch.delenv(keys_module.ENVIRONMENT, raising=False)
    with pytest.raises(ConfigError, match="no key"):
        ring_from_environment()
    monkeypatch.setenv(keys_module.ENVIRONMENT, f"{line('a')}\n{line('b')}")
    assert ring_from_environment().current == "b"


@pytest.mark.parametrize("plain", [b"", b"x", bytes(1024)])
def test_what_is_sealed_opens_only_whole_and_in_its_place(plain):
    key = DataKey(OLD, b"ann")
    sealed = key.seal(plain)
    assert key.unseal(sealed) == plain
    assert key.seal(plain) != sealed
    flipped = bytearray(sealed)
    flipped[-1] ^= 1
    for other, text in (
        (DataKey(OLD, b"bob"), sealed),
        (DataKey(NEW, b"ann"), sealed),
        (key, bytes(flipped)),
    ):
        with pytest.raises(StoreCorrupt):
            other.unseal(text)
    for cut in (b"", sealed[:12], sealed[:-1]):
        with pytest.raises(StoreCorrupt):
            key.unseal(cut)


# -- the store -------------------------------------------------------------------------------------


def test_no_plain_template_reaches_the_disk(tmp_path):
    store = Store(tmp_path, ring(a=OLD))
    row = fill(store, 30)
    store.subjects.add_templates(row, "s003", [sample(3)], ignore)
    assert traces(range(30), everything(tmp_path)) == 0
    before = state(store)
    store.close()
    assert traces(range(30), everything(tmp_path)) == 0
    again = Store(tmp_path, ring(a=OLD))
    assert state(again) == before
    again.close()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (None, "sealed under key 'a'"),
        ({"b": NEW}, "sealed under key 'a'"),
        ({"a": NEW}, "does not open"),
        ({"a": NEW, "b": OLD}, "does not open"),
    ],
)
def test_without_the_key_nothing_opens_and_nothing_changes(tmp_path, given, match):
    store = Store(tmp_path, ring(a=OLD))
    fill(store, 5)
    before = state(store)
    store.close()
    with pytest.raises(KeyMissing, match=match):
        open_and_read(tmp_path, given)
    again = Store(tmp_path, ring(a=OLD))
    assert state(again) == before
    again.close()


MOVES = {
    "a template to another subject": (
        "UPDATE templates SET vector = (SELECT vector FROM templates WHERE id = 1) WHERE id = 9",
        StoreCorrupt,
    ),
    "a data key to another subject": (
        "UPDATE subjects SET data_key = (SELECT data_key FROM subjects WHERE id = 1) WHERE id = 4",
        KeyMissing,
    ),
    "a subject to another gallery": ("UPDATE subjects SET gallery = 2 WHERE id = 1", KeyMissing),
    "a gallery to another contract": ("UPDATE galleries SET contract = 'f00'", KeyMissing),
    "a flipped bit": ("UPDATE templates SET vector = zeroblob(length(vector)) WHERE id = 2", StoreCorrupt),
}


@pytest.mark.parametrize(("move", "error"), MOVES.values(), ids=MOVES)
def test_what_was_moved_or_changed_does_not_open(tmp_path, move, error):
    store = Store(tmp_path, ring(a=OLD))
    fill(store, 5)
    store.galleries.create("h", "gei", "c0ffee", D, OperatingPoint(0.5))
    read(store)
    store._db.execute(move)
    with pytest.raises(error):
        read(store)
    store.close()


def test_a_plain_directory_is_sealed_at_the_next_opening(tmp_path):
    store = Store(tmp_path)
    fill(store, 110)  # more than one commit's worth
    before = state(store)
    store.close()
    assert traces(range(110), everything(tmp_path)) == 110 * 2 * 21
    store = Store(tmp_path, ring(a=OLD))
    assert state(store) == before
    assert key_names(store) == {"a"}
    assert traces(range(110), everything(tmp_path)) == 0
    store.close()


def forge(db: sqlite3.Connection) -> None:
    """Replace a template by a plain one with the right checksum, which takes no key."""
    checksums.install(db)
    db.execute("UPDATE subjects SET key_name = NULL, data_key = NULL WHERE id = 2")
    db.execute("UPDATE templates SET vector = ? WHERE subject = 2", (sample(77).vector.tobytes(),))


def altered(directory: Path, change: Callable[[sqlite3.Connection], None]) -> None:
    db = sqlite3.connect(directory / DATABASE, isolation_level=None)
    change(db)
    db.close()


def loosen(db: sqlite3.Connection) -> None:
    """Do as `forge`, and mark the keys of all others as not final."""
    forge(db)
    db.execute("UPDATE subjects SET data_key = substr(data_key, 2)")


def test_a_plain_template_in_a_sealed_directory_is_refused(tmp_path):
    store = Store(tmp_path, ring(a=OLD))
    fill(store, 5)
    store.close()
    altered(tmp_path, forge)
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="was sealed, but holds templates that are plain"):
            open_and_read(tmp_path, {"a": OLD})
    with examining(tmp_path, ring(a=OLD)) as checks, pytest.raises(StoreCorrupt, match="that are plain"):
        dict(checks)["templates"]()


def test_sealed_keys_are_not_taken_for_those_of_an_older_version(tmp_path):
    store = Store(tmp_path, ring(a=OLD))
    fill(store, 5)
    store.close()
    altered(tmp_path, loosen)
    with pytest.raises(KeyMissing, match="does not open"):
        open_and_read(tmp_path, {"a": OLD})


def test_a_plain_template_is_refused_while_the_store_is_open(tmp_path):
    known = {"a": OLD}
    store = Store(tmp_path, KeyRing(lambda: known))
    row = fill(store, 5)
    altered(tmp_path, forge)
    known["b"] = NEW
    for act in (
        lambda: read(store),
        lambda: store.galleries.vectors(row, np.array([3])),
        lambda: store.subjects.export(row, "s001"),
        lambda: store.subjects.add_templates(row, "s001", [sample(9)], ignore),
        store.rotate_keys,
    ):
        with pytest.raises(StoreCorrupt, match="that are plain"):
            act()
    store.close()


def test_a_directory_that_an_older_version_sealed_is_sealed_for_good_once(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(Sealing, "update_rest", lambda _: 0)
        store = Store(tmp_path, ring(a=OLD))
        fill(store, 110)
        before = state(store)
        assert wrapped_sizes(store) == {WRAPPED}
        store.close()
    store = Store(tmp_path, ring(a=OLD))
    assert state(store) == before
    assert wrapped_sizes(store) == {WRAPPED + 1}
    assert store.rotate_keys() == 0
    store.close()


def wrapped_sizes(store: Store) -> set[int]:
    return {row[0] for row in store._db.execute("SELECT length(data_key) FROM subjects")}


def test_a_sealing_cut_short_is_finished_at_the_next_opening(tmp_path, monkeypatch):
    store = Store(tmp_path)
    fill(store, 250)
    before = state(store)
    store.close()
    for point in ("between rotation commits", "before commit"):

        def kill(reached: str, point: str = point) -> None:
            if reached == point:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(failpoints, "armed", kill)
            with pytest.raises(KeyboardInterrupt):
                Store(tmp_path, ring(a=OLD))
    store = Store(tmp_path, ring(a=OLD))
    assert state(store) == before
    assert wrapped_sizes(store) == {WRAPPED + 1}
    assert traces(range(250), everything(tmp_path)) == 0
    store.close()


def test_a_rotation_goes_on_while_others_write_and_old_keys_can_go(tmp_path):
    known = {"a": OLD}
    store = Store(tmp_path, KeyRing(lambda: known))
    row = fill(store, 350)
    gallery = Gallery(store, row, ExactIndex)
    wrapped = [row[0] for row in store._db.execute("SELECT data_key FROM subjects")]
    known["b"] = NEW
    done: list[int] = []

    def write() -> None:
        for n in range(40):
            gallery.add_subject(f"new{n}", [sample(5000 + n)])
            gallery.delete_subject(f"s{n:03}")
            done.append(n)

    writer = threading.Thread(target=write)
    writer.start()
    count = store.rotate_keys()
    writer.join(30)
    assert len(done) == 40
    assert 300 <= count <= 390
    assert store.rotate_keys() == 0
    assert key_names(store) == {"b"}
    content = everything(tmp_path)
    assert not any(key in content for key in wrapped)
    before = state(store)
    store.close()
    again = Store(tmp_path, ring(b=NEW))
    assert state(again) == before
    again.close()


def test_a_rotation_cut_short_is_finished_at_the_next_opening(tmp_path):
    known = {"a": OLD}
    store = Store(tmp_path / "one", KeyRing(lambda: known))
    fill(store, 250)
    before = state(store)
    known["b"] = NEW
    some = store._connection.sealing.update_some

    def killed(last: int) -> list[int]:
        if last:
            raise KeyboardInterrupt
        return some(last)

    store._connection.sealing.update_some = killed
    with pytest.raises(KeyboardInterrupt):
        store.rotate_keys()
    assert key_names(store) == {"a", "b"}
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    store.close()
    with pytest.raises(KeyMissing):
        Store(tmp_path / "two", ring(b=NEW))
    again = Store(tmp_path / "two", ring(a=OLD, b=NEW))
    assert key_names(again) == {"b"}
    assert state(again) == before
    again.close()


def test_a_deleted_subject_takes_its_data_key_along(tmp_path):
    store = Store(tmp_path, ring(a=OLD))
    row = fill(store, 5)
    sealed = [row[0] for row in store._db.execute("SELECT vector FROM templates WHERE subject = 1")]
    (key,) = store._db.execute("SELECT data_key FROM subjects WHERE id = 1").fetchone()
    assert key in everything(tmp_path)
    store.subjects.delete(row, "s000", ignore)
    content = everything(tmp_path)
    assert key not in content
    assert not any(vector in content for vector in sealed)
    store.close()


def test_without_keys_there_is_nothing_to_rotate(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KeyMissing, match="without keys"):
        store.rotate_keys()
    store.close()


def test_a_ring_that_cannot_be_read_again_changes_nothing(tmp_path):
    path = tmp_path / "keys"
    append_key(path, "one")
    store = Store(tmp_path / "data", ring_from_file(path))
    fill(store, 2)
    path.unlink()
    with pytest.raises(ConfigError):
        store.rotate_keys()
    store.subjects.add(store.galleries.all()[0], "late", [sample(7)], ignore)
    assert key_names(store) == {"one"}
    store.close()
    assert (tmp_path / "data" / DATABASE).exists()
