"""Backups: a folder with a copy of the database, the signing key, and a manifest with their checksums.

    <folder>/gaitid.db         as it was at the end of the copy, one file, without a log
    <folder>/gaitid.identity   when receipts were signed
    <folder>/gaitid.engine     when an engine held the galleries; what it holds is compared after a restore
    <folder>/manifest.json     sizes, SHA-256, schema version, changes seen

A backup appears under its name when it is whole and on the disk, by one renaming; before, it is a
hidden folder that a crash may leave and that nobody takes for a backup. What was sealed stays sealed
in it, and the keys are not part of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gaitid.errors import ConfigError, StoreCorrupt, StoreError
from gaitid.gallery.index.placement import RECORD, is_engine, recall, record
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.database import DATABASE, IDENTITY, LOCK, Store
from gaitid.gallery.store.schema import FAILURES, check_health, force, take_lock, typed
from gaitid.records import Backup

MANIFEST = "manifest.json"
UNFINISHED = ".gaitid-backup-"
"""How the names of unfinished backups begin."""

RESTORING = ".restoring"
"""How the names of files end that a restoration has not finished."""

_FORMAT = 1
_BLOCK = 2**20


def back_up(store: Store, folder: Path) -> Backup:
    """Make a backup in a new folder of `folder`, while searches and changes go on.

    Raises:
        ConfigError: `folder` is inside of the data directory, where erasures look for traces.
        StoreError: It cannot be written; nothing is left of it.
        StoreCorrupt: The database is damaged.
    """
    if folder.resolve().is_relative_to(store.directory.resolve()):
        raise ConfigError(f"{folder} is inside of the data directory", "a folder elsewhere", "choose another")
    fresh = folder / f"{UNFINISHED}{secrets.token_hex(6)}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.mkdir(mode=0o700)
        try:
            _copy(store, fresh)
            return publish(fresh)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    except OSError as error:
        raise typed(error, folder) from error


def publish(fresh: Path) -> Backup:
    """Make a folder that holds a closed database a backup: checked, described, forced to the disk, named.

    Raises:
        StoreCorrupt: The database is damaged.
        OSError: It cannot be written.
    """
    facts = _facts(fresh / DATABASE)
    now = time.time()
    files = {path.name: _measure(path) for path in sorted(fresh.iterdir())}
    manifest = {"format": _FORMAT, "created_at": now, **facts, "files": files}
    with _created(fresh / MANIFEST) as file:
        file.write((json.dumps(manifest, indent=1) + "\n").encode())
    for path in fresh.iterdir():
        force(path)
    force(fresh)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    final = fresh.with_name(f"gaitid-{stamp}-{secrets.token_hex(3)}")
    failpoints.reached("before backup rename")
    fresh.rename(final)
    failpoints.reached("after backup rename")
    force(final.parent)
    return _described(final.name, manifest)


def verify(backup: Path) -> Backup:
    """Read all of a backup and compare it with its manifest.

    Raises:
        StoreCorrupt: It is not whole, was changed, or is of a newer gaitid.
        StoreError: It cannot be read.
    """
    try:
        manifest = _manifest(backup)
        for name, said in manifest["files"].items():
            if _measure(backup / name) != said:
                raise _not_whole(backup, f"{name} is not as the manifest says")
        facts = _facts(backup / DATABASE)
        if any(manifest[key] != value for key, value in facts.items()):
            raise _not_whole(backup, "the database is another than the manifest says")
        return _described(backup.name, manifest)
    except OSError as error:
        raise typed(error, backup) from error


def restore(backup: Path, directory: Path) -> Backup:
    """Make a data directory of a backup; one that was cut short may be tried again.

    Args:
        backup: Its folder.
        directory: Made when it does not exist; else it must be empty.

    Raises:
        StoreCorrupt: See `verify`.
        StoreLocked: A server has the directory open.
        StoreError: It is not empty, or cannot be written.
    """
    found = verify(backup)
    lock = take_lock(directory / LOCK)
    try:
        files = _manifest(backup)["files"]
        _require_empty(directory, files)
        for name in sorted(files, reverse=True):  # the database last: without it there is no data directory
            fresh = directory / (name + RESTORING)
            _copy_file(backup / name, fresh)
            if _measure(fresh) != files[name]:
                raise _not_whole(backup, f"{name} changed while it was copied")
            failpoints.reached("before restore rename")
            fresh.rename(directory / name)
            force(directory)
        return found
    except OSError as error:
        raise typed(error, directory) from error
    finally:
        os.close(lock)


def _copy(store: Store, fresh: Path) -> None:
    with _created(fresh / DATABASE):
        pass  # private from the beginning
    store.copy(fresh / DATABASE)
    with contextlib.suppress(FileNotFoundError):
        _copy_file(store.directory / IDENTITY, fresh / IDENTITY)
    index, engine = recall(store.directory)
    if is_engine(index):
        record(fresh, index, engine, compare=True)


def _facts(path: Path) -> dict[str, Any]:
    """What a closed database says of itself, once it was found healthy."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            schema = check_health(db, path)
            name, changes = (b"", 0)
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
                name, changes = db.execute("SELECT name, changes FROM state").fetchone()
            counts = {
                table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in ("subjects", "templates")
            }
            return {"schema": schema, "database": name.hex(), "changes": changes, **counts}
    except FAILURES as error:
        raise typed(error, path) from error


def _manifest(backup: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((backup / MANIFEST).read_bytes())
        names = set(manifest["files"])
        if manifest["format"] != _FORMAT or not {DATABASE} <= names <= {DATABASE, IDENTITY, RECORD}:
            raise _not_whole(backup, "its manifest is of a newer gaitid")
        return dict(manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _not_whole(backup, f"it has no {MANIFEST}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise _not_whole(backup, "its manifest is damaged") from error


def _described(name: str, manifest: dict[str, Any]) -> Backup:
    try:
        return Backup(
            name,
            float(manifest["created_at"]),
            manifest["changes"],
            manifest["subjects"],
            manifest["templates"],
            sum(file["bytes"] for file in manifest["files"].values()),
            manifest["files"][DATABASE]["sha256"],
        )
    except (ValueError, TypeError, LookupError) as error:
        raise StoreCorrupt(f"the manifest of {name} is damaged", "a whole one", "take another") from error


def _not_whole(backup: Path, what: str) -> StoreCorrupt:
    return StoreCorrupt(f"{backup} is no whole backup ({what})", "one as it was made", "take another")


def _require_empty(directory: Path, files: dict[str, Any]) -> None:
    """Nothing is there but what a restoration of the same files, cut short, has left."""

    def is_ours(path: Path) -> bool:
        if path.name == LOCK or path.suffix == RESTORING:
            return True
        return path.name in {IDENTITY, RECORD} & set(files) and _measure(path) == files[path.name]

    rest = [path.name for path in directory.iterdir() if not is_ours(path)]
    if rest:
        raise StoreError(
            f"{directory} holds {rest[0]}",
            "an empty or a new directory",
            "choose another, or move what is there away",
        )


def _measure(path: Path) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _copy_file(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    with source.open("rb") as reader, _created(target) as writer:
        shutil.copyfileobj(reader, writer, _BLOCK)
        writer.flush()
        os.fsync(writer.fileno())


@contextlib.contextmanager
def _created(path: Path) -> Iterator[Any]:
    """A new file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        yield file
