"""``gaitid import``: many subjects at once, from a file of embeddings."""

from __future__ import annotations

import argparse
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np

from gaitid.encoders.base import load_encoder
from gaitid.errors import InputError
from gaitid.local import LocalMatcher, find_keys
from gaitid.records import Embedding


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid import``."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="NPZ",
        help="arrays subjects (N,) of text, vectors (N, D) float32, contract",
    )
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="data directory")
    parser.add_argument("--encoder", default="strider", help="encoder of the directory (default: strider)")
    parser.add_argument("--key-file", metavar="FILE", type=Path, help="keys of a sealed directory")
    parser.add_argument("--gallery", default="main", help="gallery name (default: main)")
    parser.add_argument("--create-gallery", action="store_true", help="make the gallery when missing")


def run(options: argparse.Namespace) -> int:
    """Import all subjects of the file, or none."""
    people = _people(options.file)
    encoder = load_encoder(options.encoder)
    with closing(LocalMatcher(encoder, options.data, keys=find_keys(options.key_file))) as matcher:
        if options.create_gallery and options.gallery not in {i.name for i in matcher.list_galleries()}:
            matcher.create_gallery(options.gallery)
        revision = matcher.enrol_many(options.gallery, people)
    count = sum(map(len, people.values()))
    print(f"{len(people)} subjects, {count} templates imported into {options.gallery}; revision {revision}")
    return 0


def _people(path: Path) -> dict[str, list[Embedding]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            subjects, vectors, contract = file["subjects"], file["vectors"], str(file["contract"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read ({error})",
            "an .npz with subjects, vectors, contract",
            "see 'docs/formats.md'",
        ) from error
    if subjects.shape != vectors.shape[:1]:
        raise InputError(f"{len(subjects)} subjects, {len(vectors)} vectors", "one each", "correct the file")
    people: dict[str, list[Embedding]] = {}
    for subject, vector in zip(subjects.tolist(), vectors, strict=True):
        people.setdefault(subject, []).append(Embedding(vector, contract))
    return people
