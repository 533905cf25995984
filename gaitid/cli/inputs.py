"""Inputs that several verbs share: sequences from ``.npz`` files or video, and the matcher they talk to."""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gaitid
from gaitid import settings
from gaitid.errors import InputError, SequenceError
from gaitid.quality import assess
from gaitid.records import GaitSequence, npz
from gaitid.remote import RemoteMatcher, Tls

if TYPE_CHECKING:
    from gaitid.matcher import Matcher
    from gaitid.perception.pipeline import PerceptionSettings


def add_matcher_flags(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the flags that choose a server or a local data directory, and a gallery."""
    add_place_flags(parser, required=required)
    parser.add_argument("--gallery", default="main", help="gallery name (default: main)")


def add_place_flags(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the flags that choose a server or a local data directory, and name the purpose of the call."""
    where = parser.add_mutually_exclusive_group(required=required)
    where.add_argument("--server", metavar="HOST:PORT", help="address of a gaitid server")
    where.add_argument("--data", metavar="DIR", help="data directory of galleries on this machine")
    parser.add_argument(
        "--encoder", default="strider", help="encoder of a local data directory (default: strider)"
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        type=Path,
        help="keys of a sealed local directory ('gaitid keys create')",
    )
    parser.add_argument(
        "--purpose", default="", metavar="TEXT", help="what this call is for; recorded in the audit trail"
    )
    add_tls_flags(parser)


def add_tls_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a TLS connection to a server."""
    parser.add_argument("--tls", action="store_true", default=None, help="connect with TLS")
    for name, what in (
        ("ca", "authority of the server's certificate (default: the system's)"),
        ("certificate", "own certificate, for mutual TLS"),
        ("key", "key of the own certificate"),
    ):
        parser.add_argument(f"--tls-{name}", metavar="PEM", type=Path, help=what)


def add_perception_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose an extractor and the file with its settings."""
    parser.add_argument("--config", metavar="TOML", help="edge.toml; its [perception] table is used")
    add_extractor_flag(parser)


def add_extractor_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that chooses an extractor by name."""
    parser.add_argument("--extractor", metavar="NAME", help="extractor that finds people (default: motion)")


def perception_of(options: argparse.Namespace) -> PerceptionSettings:
    """Return the settings of perception from the flags and the file that they name.

    Raises:
        ConfigError: The file is missing or has a wrong key.
        UnknownName: The registry has no such extractor.
    """
    from gaitid.edge.node import EdgeSettings

    edge = settings.load(options.config, EdgeSettings) if options.config else EdgeSettings()
    return with_extractor(edge.perception, options.extractor)


def with_extractor(perception: PerceptionSettings, extractor: str | None) -> PerceptionSettings:
    """Return the settings with another extractor; None keeps theirs."""
    return perception if extractor is None else dataclasses.replace(perception, extractor=extractor)


def named(sequences: Iterable[GaitSequence]) -> Iterator[tuple[str, GaitSequence]]:
    """Yield each sequence with its track as a name, ``0003``, and later walks of the track as ``0003-2``."""
    counts: Counter[int] = Counter()
    for sequence in sequences:
        track = sequence.origin.track
        counts[track] += 1
        yield f"{track:04d}" + (f"-{counts[track]}" if counts[track] > 1 else ""), sequence


def tls_of(options: Any) -> Tls | None:
    """Return the TLS files that flags or settings name; None without TLS."""
    if not (options.tls or options.tls_ca or options.tls_certificate):
        return None
    return Tls(options.tls_ca, options.tls_certificate, options.tls_key)


def open_matcher(options: argparse.Namespace, *, timeout_s: float = 5.0) -> Matcher:
    """Open the matcher that the flags name.

    Args:
        options: Parsed flags.
        timeout_s: Deadline of each call to a server, seconds.
    """
    if options.data:
        return gaitid.connect(f"local:{options.data}", encoder=options.encoder, key_file=options.key_file)
    return RemoteMatcher(options.server, timeout_s=timeout_s, tls=tls_of(options))


def add_sequence_arguments(parser: argparse.ArgumentParser, count: int | str) -> None:
    """Add positional inputs and the flag that chooses a track of a video.

    Args:
        parser: Parser of the verb.
        count: Number of inputs, or "+" or "*".
    """
    parser.add_argument("inputs", nargs=count, metavar="INPUT", help=".npz of 'gaitid extract', or a video")
    parser.add_argument("--track", type=int, help="track to take when a video shows several people")


def add_camera_name(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names the camera of a video; sequences in files name their own."""
    parser.add_argument("--camera", default="", metavar="NAME", help="name of the camera of a video")


def sequences(options: argparse.Namespace) -> list[GaitSequence]:
    """Return one sequence per input; a video must show one usable walk, or --track must name one."""
    return [
        npz.load(Path(name)) if name.endswith(".npz") else _from_video(name, options)
        for name in options.inputs
    ]


def walks(
    source: str, camera: str = "", perception: PerceptionSettings | None = None
) -> Iterator[GaitSequence]:
    """Yield the sequences of a video that have at least one good frame, in the order they end."""
    from gaitid.perception.pipeline import watch
    from gaitid.perception.sources import open_source

    with open_source(source, camera=camera) as video:
        for view in watch(video, settings=perception):
            for walk in view.walks:
                if walk.sequence is not None:
                    yield walk.sequence


def _from_video(name: str, options: argparse.Namespace) -> GaitSequence:
    track, found = options.track, list(walks(name, getattr(options, "camera", "")))
    if track is not None:
        chosen = [sequence for sequence in found if sequence.origin.track == track]
    else:
        chosen = [sequence for sequence in found if assess(sequence).usable]
    if len(chosen) == 1:
        return chosen[0]
    tracks = ", ".join(str(sequence.origin.track) for sequence in (chosen or found)) or "none"
    if track is not None or not chosen:
        raise SequenceError(
            f"Video {name} has no usable walk" + (f" with track {track}" if track is not None else ""),
            f"one usable walk (tracks with good frames: {tracks})",
            f"Run 'gaitid analyse {name}' to see why walks were refused, or record a longer walk",
        )
    raise InputError(
        f"Video {name} shows {len(chosen)} usable walks", "one", f"Pass --track with one of {tracks}"
    )
