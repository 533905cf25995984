"""Backups: a folder with a copy of the database, the signing key, and a manifest with their checksums.

    <folder>/gaitid.db         as at the end of the copy, one file, without a log
    <folder>/gaitid.identity   if receipts were signed
    <folder>/gaitid.engine     if an engine kept the indexes; its rows are compared after a restore
    <folder>/manifest.json     sizes, SHA-256, schema version, number of changes

A backup appears under its name by one rename, once it is complete and on the disk. Until then it is a hidden
folder, which a crash may leave and which is not taken for a backup. Encrypted templates stay encrypted in it;
the keys are not part of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gaitid.errors import ConfigError, StoreCorrupt, StoreError
from gaitid.gallery.placement import RECORD, is_engine, recall, record
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.database import DATABASE, IDENTITY, LOCK, Store
from gaitid.gallery.store.examination import facts
from gaitid.gallery.store.schema import force, take_lock, typed
from gaitid.records import Backup

MANIFEST = "manifest.json"
UNFINISHED = ".gaitid-backup-"
"""Prefix of the names of unfinished backups."""

RESTORING = ".restoring"
"""Suffix of the names of files that a restoration has not finished."""

_FORMAT = 1
_BLOCK = 2**20


def back_up(store: Store, folder: Path) -> Backup:
    """Make a backup in a new subfolder of `folder`, while searches and changes go on.

    Raises:
        ConfigError: `folder` is inside the data directory, where erasures search for traces.
        StoreError: The backup cannot be written; nothing is left of it.
        StoreCorrupt: The database is damaged.
    """
    if folder.resolve().is_relative_to(store.directory.resolve()):
        raise ConfigError(
            f"Backup folder {folder} is inside the data directory",
            "a folder outside it",
            "Set backup_dir to another folder",
        )
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
    """Turn a folder that holds a closed database into a backup: check, describe, force to the disk, rename.

    Raises:
        StoreCorrupt: The database is damaged.
        OSError: It cannot be written.
    """
    content = facts(fresh / DATABASE)._asdict()
    now = time.time()
    files = {path.name: _measure(path) for path in sorted(fresh.iterdir())}
    manifest = {"format": _FORMAT, "created_at": now, **content, "files": files}
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
    """Read a whole backup and compare it with its manifest.

    Raises:
        StoreCorrupt: It is incomplete, was changed, or is of a newer gaitid.
        StoreError: It cannot be read.
    """
    try:
        manifest = _manifest(backup)
        for name, listed in manifest["files"].items():
            if _measure(backup / name) != listed:
                raise _incomplete(backup, f"{name} is not as listed in the manifest")
        content = facts(backup / DATABASE)._asdict()
        if any(manifest[key] != value for key, value in content.items()):
            raise _incomplete(backup, "the database is not the one listed in the manifest")
        return _described(backup.name, manifest)
    except OSError as error:
        raise typed(error, backup) from error


def restore(backup: Path, directory: Path) -> Backup:
    """Restore a backup into a data directory; if interrupted, it can be repeated.

    Args:
        backup: Folder of the backup.
        directory: The data directory; made when it does not exist, else it must be empty.

    Raises:
        StoreCorrupt: See `verify`.
        StoreLocked: A server has the directory open.
        StoreError: The directory is not empty, or cannot be written.
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
                raise _incomplete(backup, f"{name} changed while it was copied")
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
        pass  # readable by its owner only, from the beginning
    store.copy(fresh / DATABASE)
    with contextlib.suppress(FileNotFoundError):
        _copy_file(store.directory / IDENTITY, fresh / IDENTITY)
    index, engine = recall(store.directory)
    if is_engine(index):
        record(fresh, index, engine, compare=True)


def _manifest(backup: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((backup / MANIFEST).read_bytes())
        names = set(manifest["files"])
        if manifest["format"] != _FORMAT or not {DATABASE} <= names <= {DATABASE, IDENTITY, RECORD}:
            raise _incomplete(backup, "its manifest is of a newer gaitid")
        return dict(manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _incomplete(backup, f"it has no {MANIFEST}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise _incomplete(backup, "its manifest is damaged") from error


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
        raise StoreCorrupt(
            f"The manifest of backup {name} is damaged", "an unchanged manifest", "Use another backup"
        ) from error


def _incomplete(backup: Path, what: str) -> StoreCorrupt:
    return StoreCorrupt(
        f"Folder {backup} is not a complete backup ({what})", "an unchanged backup", "Use another backup"
    )


def _require_empty(directory: Path, files: dict[str, Any]) -> None:
    """Return if the directory holds only what an interrupted restoration of the same files left."""

    def is_ours(path: Path) -> bool:
        if path.name == LOCK or path.suffix == RESTORING:
            return True
        return path.name in {IDENTITY, RECORD} & set(files) and _measure(path) == files[path.name]

    rest = [path.name for path in directory.iterdir() if not is_ours(path)]
    if rest:
        raise StoreError(
            f"Directory {directory} already holds {min(rest)}",
            "an empty or a new directory",
            "Choose another directory, or move its files away",
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
    """Create a file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        yield file
