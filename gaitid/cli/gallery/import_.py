"""``gaitid gallery import``: enrol many subjects at once, from a file of embeddings."""

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
    """Add the flags of ``gaitid gallery import``."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="NPZ",
        help="file with arrays subjects (N,) text, vectors (N, D) float32, and contract",
    )
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="data directory")
    parser.add_argument("--encoder", default="strider", help="encoder of the directory (default: strider)")
    parser.add_argument("--key-file", metavar="FILE", type=Path, help="keys of an encrypted directory")
    parser.add_argument("--gallery", default="main", help="gallery name (default: main)")
    parser.add_argument("--create-gallery", action="store_true", help="create the gallery if it is missing")


def run(options: argparse.Namespace) -> int:
    """Import all subjects of the file, or none."""
    subjects = _read(options.file)
    encoder = load_encoder(options.encoder)
    with closing(LocalMatcher(encoder, options.data, keys=find_keys(options.key_file))) as matcher:
        if options.create_gallery and options.gallery not in {i.name for i in matcher.list_galleries()}:
            matcher.create_gallery(options.gallery)
        revision = matcher.enrol_many(options.gallery, subjects)
    count = sum(map(len, subjects.values()))
    print(f"{len(subjects)} subjects, {count} templates imported into {options.gallery}; revision {revision}")
    return 0


def _read(path: Path) -> dict[str, list[Embedding]]:
    """Subject -> embeddings, from a file without pickle."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names, vectors, contract = file["subjects"], file["vectors"], str(file["contract"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"File {path} cannot be read ({error})",
            "an .npz file with subjects, vectors and contract",
            "Write it as docs/formats.md describes",
        ) from error
    if names.shape != vectors.shape[:1]:
        raise InputError(
            f"File {path} has {len(names)} subjects and {len(vectors)} vectors",
            "as many of one as of the other",
            "Write one subject name per vector",
        )
    subjects: dict[str, list[Embedding]] = {}
    for name, vector in zip(names.tolist(), vectors, strict=True):
        subjects.setdefault(name, []).append(Embedding(vector, contract))
    return subjects
