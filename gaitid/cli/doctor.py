"""``gaitid doctor``: check this installation and, on request, a data directory."""

from __future__ import annotations

import argparse
import platform
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import gaitid
from gaitid import registry
from gaitid.encoders.base import load_encoder
from gaitid.errors import GaitIdError, InputError, MissingDependency, StoreReadOnly
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence

_PACKAGES = {
    "client": ("numpy", "grpcio", "protobuf", "googleapis-common-protos", "grpcio-health-checking"),
    "edge": ("opencv-python-headless", "scipy"),
    "server": ("faiss-cpu",),
    "report": ("matplotlib",),
    "torch": ("torch",),
    "rcnn": ("torchvision",),
    "yolo": ("ultralytics",),
}

# x, y and confidence of the COCO joints of a standing figure: head, shoulders to wrists, hips to ankles.
_JOINTS = [
    *((22, 8, 1), (23, 7, 1), (21, 7, 1), (24, 8, 1), (20, 8, 1)),
    *((26, 15, 1), (18, 15, 1), (27, 24, 1), (17, 24, 1), (27, 32, 1), (17, 32, 1)),
    *((24, 35, 1), (20, 35, 1), (24, 47, 1), (20, 47, 1), (24, 58, 1), (20, 58, 1)),
]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid doctor``."""
    parser.add_argument("--data", metavar="DIR", type=Path, help="also check this data directory")
    parser.add_argument("--key-file", metavar="FILE", type=Path, help="keys of that directory")
    parser.add_argument("--mark-file", metavar="FILE", type=Path, help="mark file of that directory")
    parser.add_argument(
        "--repair", action="store_true", help="first rebuild everything that can be derived from its database"
    )


def run(options: argparse.Namespace) -> int:
    """Print one line per check; returns 1 if any failed."""
    if options.data is None and (options.repair or options.mark_file or options.key_file):
        raise InputError(
            "Flags --repair, --key-file and --mark-file are given without --data",
            "a data directory",
            "Add --data DIR",
        )
    print(f"gaitid {gaitid.__version__}, Python {platform.python_version()}, {platform.platform()}")
    for extra, packages in _PACKAGES.items():
        print(f"  {extra:8} {', '.join(f'{name} {_version(name)}' for name in packages)}")
    failed = sum(not _passes(name, check) for name, check in _checks())
    if options.data is not None:
        failed += _data_failures(options.data, options.key_file, options.mark_file, repairs=options.repair)
    print("all checks passed" if not failed else f"{failed} check(s) failed")
    return 1 if failed else 0


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _passes(name: str, check: Callable[[], str]) -> bool:
    try:
        print(f"  ok       {name}: {check()}")
    except MissingDependency as error:
        print(f"  skipped  {name}: {error}")
    except GaitIdError as error:
        print(f"  FAILED   {name}: {error}")
        return False
    return True


def _checks() -> Iterator[tuple[str, Callable[[], str]]]:
    for name in registry.names("encoders"):
        yield f"encoder {name}", lambda name=name: _check_encoder(name)  # type: ignore[misc]
    yield "round trip", _check_round_trip
    yield "temporary directory", lambda: _check_writable(Path(tempfile.gettempdir()))


def _check_encoder(name: str) -> str:
    encoder = load_encoder(name)
    embedding = encoder(_walk())
    return f"{embedding.vector.size}-D, contract {encoder.contract}"


def _check_round_trip() -> str:
    """Enrol and identify through a server on a loopback port."""
    try:
        from gaitid.remote import RemoteMatcher
        from gaitid.server.app import ServerSettings, running
    except ModuleNotFoundError as error:
        raise registry.missing(error, "the server") from error
    embedding = load_encoder("strider")(_walk())
    with (
        tempfile.TemporaryDirectory() as folder,
        running(ServerSettings(address="127.0.0.1:0", data=Path(folder))) as address,
    ):
        matcher = RemoteMatcher(address)
        matcher.create_gallery("doctor")
        matcher.enrol("doctor", "drawn", [embedding])
        decision = matcher.identify("doctor", embedding)
        matcher.close()
    return str(decision)


def _check_writable(folder: Path) -> str:
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            database = sqlite3.connect(Path(name) / "probe.db")
            mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            database.close()
    except (OSError, sqlite3.Error) as error:
        raise StoreReadOnly(
            f"Folder {folder} cannot be written ({error})",
            "a writable disk",
            "Free space or mount it writable",
        ) from error
    return f"{folder} is writable, SQLite {sqlite3.sqlite_version} journal {mode}"


def _data_failures(data: Path, key_file: Path | None, mark: Path | None, *, repairs: bool) -> int:
    """Check a data directory, one line per check; returns how many failed."""
    try:
        from gaitid.gallery.care.doctor import examining, repair
        from gaitid.local import find_keys

        for done in repair(data) if repairs else ():
            print(f"  repaired {data}: {done}")
        with examining(data, find_keys(key_file), mark) as checks:
            return sum(not _passes(f"{data}: {name}", check) for name, check in checks)
    except GaitIdError as error:
        print(f"  FAILED   {data}: {error}")
        return 1


def _walk() -> GaitSequence:
    """A drawn walker with two swinging legs: 30 frames at 25 frames/s."""
    frames = np.zeros((30, 64, 44), np.uint8)
    frames[:, 4:36, 17:27] = 1
    joints = np.tile(np.array(_JOINTS, np.float32), (30, 1, 1))
    for index, frame in enumerate(frames):
        swing = round(8 * np.sin(2 * np.pi * index / 25))
        frame[36:60, 19 + swing : 23 + swing] = 1
        frame[36:60, 21 - swing : 25 - swing] = 1
        joints[index, 13:17, 0] += np.array([1, -1, 2, -2]) * swing / 2
    return GaitSequence(
        {SILHOUETTE: frames, SKELETON: joints, SKELETON_3D: _in_space(joints)}, np.arange(30) / 25
    )


def _in_space(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """The drawn walker in metres, 1.7 m tall: the legs swing along x, left is +y."""
    still, metres = np.array(_JOINTS, np.float32), np.float32(0.033)
    ahead, aside, up = joints[..., 0] - still[:, 0], still[:, 0] - 22, 60 - joints[..., 1]
    places = [ahead, np.broadcast_to(aside, ahead.shape), up]
    return np.stack([*(metres * place for place in places), joints[..., 2]], axis=2)
