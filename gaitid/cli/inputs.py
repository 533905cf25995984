"""Flags that several verbs share, and the matcher and the settings that they choose."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gaitid
from gaitid import registry, settings
from gaitid.errors import ConfigError
from gaitid.remote import RemoteMatcher, Tls

_PRECOMPUTED = "precomputed"

if TYPE_CHECKING:
    from gaitid.matcher import Matcher
    from gaitid.perception.pipeline import PerceptionSettings

TOKEN = "GAITID_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable that holds a token."""


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
    parser.add_argument(
        "--token-file", metavar="FILE", type=Path, help=f"file with a token (default: variable {TOKEN})"
    )


def add_perception_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose an extractor, the file with its settings, and the frame rate."""
    parser.add_argument("--config", metavar="TOML", help="edge.toml; its [perception] table is used")
    add_extractor_flags(parser)


def add_extractor_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose an extractor by name and state what an input does not say."""
    parser.add_argument(
        "--extractor",
        metavar="NAME",
        help=f"extractor that finds people: {', '.join(registry.names('extractors'))} (default: motion); "
        "yolo uses ultralytics, which is licensed under AGPL-3.0",
    )
    parser.add_argument(
        "--fps",
        type=float,
        metavar="RATE",
        help="true frames a second, of an input that declares none or a wrong one",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="WIDTHxHEIGHT",
        help="pixels of the camera's pictures, for keypoints of --extractor precomputed that lack it",
    )


def perception_of(options: argparse.Namespace) -> PerceptionSettings:
    """Return the settings of perception from the flags and the file that they name.

    Raises:
        ConfigError: The file is missing or has a wrong key.
        UnknownName: The registry has no such extractor.
    """
    from gaitid.edge.node import EdgeSettings

    edge = settings.load(options.config, EdgeSettings) if options.config else EdgeSettings()
    return with_flags(edge.perception, options)


def with_flags(perception: PerceptionSettings, options: argparse.Namespace) -> PerceptionSettings:
    """Return the settings with the extractor and the size of pictures that the flags name, if they do."""
    if options.extractor is not None:
        perception = dataclasses.replace(perception, extractor=options.extractor)
    if options.size is None:
        return perception
    width, height = options.size
    own = perception.extractors.get(_PRECOMPUTED) or settings.settings_class("extractors", _PRECOMPUTED)()
    sized = dataclasses.replace(own, width=width, height=height)
    return dataclasses.replace(perception, extractors={**perception.extractors, _PRECOMPUTED: sized})


def _size(text: str) -> tuple[int, int]:
    """Parse a width and a height such as 1920x1080."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no WIDTHxHEIGHT, such as 1920x1080")
    return int(width), int(height)


def tls_of(options: Any) -> Tls | None:
    """Return the TLS files that flags or settings name; None without TLS."""
    if not (options.tls or options.tls_ca or options.tls_certificate):
        return None
    return Tls(options.tls_ca, options.tls_certificate, options.tls_key)


def token_of(options: Any) -> str:
    """Return the token in the file that flags or settings name, else in the environment; empty for none.

    Raises:
        ConfigError: The file cannot be read.
    """
    if options.token_file is None:
        return os.environ.get(TOKEN, "").strip()
    try:
        return str(options.token_file.read_text()).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Token file {options.token_file} cannot be read ({error})",
            "a file with a token",
            "Check the path",
        ) from error


def remote(server: str, options: Any, timeout_s: float) -> RemoteMatcher:
    """Open the server at an address with the certificates and the token of flags or settings."""
    return RemoteMatcher(server, timeout_s=timeout_s, tls=tls_of(options), token=token_of(options))


def open_matcher(options: argparse.Namespace, *, timeout_s: float = 5.0) -> Matcher:
    """Open the matcher that the flags name.

    Args:
        options: Parsed flags.
        timeout_s: Deadline of each call to a server, seconds.
    """
    if options.data:
        return gaitid.connect(f"local:{options.data}", encoder=options.encoder, key_file=options.key_file)
    return remote(options.server, options, timeout_s)


def add_sequence_arguments(parser: argparse.ArgumentParser, count: int | str) -> None:
    """Add positional inputs, the flag that chooses walks of a video, and those of perception.

    Args:
        parser: Parser of the verb.
        count: Number of inputs, or "+" or "*".
    """
    parser.add_argument("inputs", nargs=count, metavar="INPUT", help=".npz of 'gaitid extract', or a video")
    parser.add_argument(
        "--track",
        metavar="WALK",
        help="walk to take when a video shows several: 3, or 3-2 for the second walk of track 3; "
        "several as 3,3-2 or all, where more than one is wanted",
    )
    add_perception_flags(parser)


def add_camera_name(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names the camera of a video; sequences in files name their own."""
    parser.add_argument("--camera", default="", metavar="NAME", help="name of the camera of a video")
