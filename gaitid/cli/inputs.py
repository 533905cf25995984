"""What several verbs read: sequences from ``.npz`` files or video, and the matcher they talk to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import gaitid
from gaitid.errors import InputError, SequenceError
from gaitid.matcher import Matcher
from gaitid.modalities import npz
from gaitid.quality import assess
from gaitid.records import GaitSequence


def add_matcher_flags(parser: argparse.ArgumentParser) -> None:
    """Flags that choose a server or a local data directory, and a gallery."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--server", metavar="HOST:PORT", help="address of a gaitid server")
    where.add_argument("--data", metavar="DIR", help="data directory of galleries on this machine")
    parser.add_argument("--encoder", default="gei", help="encoder of a local data directory (default: gei)")
    parser.add_argument("--gallery", default="main", help="gallery name (default: main)")
    add_tls_flags(parser)


def add_tls_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of a TLS connection to a server."""
    parser.add_argument("--tls-ca", metavar="PEM", help="authority that signed the server's certificate")
    parser.add_argument("--tls-cert", metavar="PEM", help="own certificate, for mutual TLS")
    parser.add_argument("--tls-key", metavar="PEM", help="key of the own certificate")


def open_matcher(options: argparse.Namespace) -> Matcher:
    """The matcher that the flags name."""
    if options.data:
        return gaitid.connect(f"local:{options.data}", encoder=options.encoder)
    from gaitid.client import RemoteMatcher, TlsFiles

    tls = TlsFiles(options.tls_ca, options.tls_cert, options.tls_key) if options.tls_ca else None
    return RemoteMatcher(options.server, tls=tls)


def add_sequence_arguments(parser: argparse.ArgumentParser, many: str) -> None:
    """Positional inputs and the track to take from a video."""
    parser.add_argument("inputs", nargs=many, metavar="INPUT", help=".npz of 'gaitid extract', or a video")
    parser.add_argument("--track", type=int, help="track to take when a video shows several people")


def sequences(options: argparse.Namespace) -> list[GaitSequence]:
    """One sequence per input; a video must show one usable walk, or --track must name one."""
    return [
        npz.load(Path(name)) if name.endswith(".npz") else _from_video(name, options.track)
        for name in options.inputs
    ]


def walks(source: str, camera: str = "") -> Iterator[GaitSequence]:
    """All sequences of a video that have at least one good frame, in the order they end."""
    from gaitid.perception.pipeline import watch
    from gaitid.perception.sources import open_source

    with open_source(source, camera=camera) as video:
        for view in watch(video):
            for walk in view.walks:
                if walk.sequence is not None:
                    yield walk.sequence


def _from_video(name: str, track: int | None) -> GaitSequence:
    found = list(walks(name))
    if track is not None:
        chosen = [sequence for sequence in found if sequence.origin.track == track]
    else:
        chosen = [sequence for sequence in found if assess(sequence).usable]
    if len(chosen) == 1:
        return chosen[0]
    tracks = ", ".join(str(sequence.origin.track) for sequence in (chosen or found)) or "none"
    if track is not None or not chosen:
        raise SequenceError(
            f"{name} has no usable walk" + (f" with track {track}" if track is not None else ""),
            f"one; tracks with good frames are: {tracks}",
            f"look at 'gaitid analyse {name}', or record a longer walk",
        )
    raise InputError(f"{name} shows {len(chosen)} usable walks", "one", f"choose with --track from {tracks}")
