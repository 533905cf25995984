"""Names that resolve to code on use: ``"gei"`` -> ``gaitid.encoders.gei:GEI``.

A registry is a plain dict of strings, so listing names imports nothing. Other packages add
entries through the entry-point group ``gaitid.<kind>``; they cannot replace built-in names.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from gaitid.errors import ConfigError, MissingDependency, UnknownName

ENCODERS: Mapping[str, str] = {
    "gei": "gaitid.encoders.gei:GEI",
    "strider": "gaitid.encoders.learned:strider",
    "stickman": "gaitid.encoders.learned:stickman",
    "stickman3d": "gaitid.encoders.learned:stickman3d",
    "fused": "gaitid.encoders.learned:fused",
}
EXTRACTORS: Mapping[str, str] = {
    "auto": "gaitid.perception.auto:AutoExtractor",
    "motion": "gaitid.perception.motion:MotionExtractor",
    "motion+pose": "gaitid.perception.motion_pose:MotionPoseExtractor",
    "person": "gaitid.perception.person:PersonExtractor",
    "precomputed": "gaitid.perception.precomputed.extractor:PrecomputedExtractor",
    "rcnn": "gaitid.perception.rcnn:RcnnExtractor",
    "yolo": "gaitid.perception.yolo:YoloExtractor",
}
INDEXES: Mapping[str, str] = {
    "exact": "gaitid.gallery.index.exact:ExactIndex",
    "faiss": "gaitid.gallery.index.faiss_index:FaissIndex",
}
ENGINES: Mapping[str, str] = {
    "milvus": "gaitid.gallery.index.milvus:MilvusEngine",
    "pgvector": "gaitid.gallery.index.pgvector:PgvectorEngine",
}
DATASETS: Mapping[str, str] = {
    "casia-b": "gaitid.datasets.casia_b:CasiaB",
    "ccpg": "gaitid.datasets.ccpg:Ccpg",
    "folder": "gaitid.datasets.folder:Folder",
    "gait3d": "gaitid.datasets.gait3d:Gait3D",
    "grew": "gaitid.datasets.grew:Grew",
    "ou-mvlp": "gaitid.datasets.ou_mvlp:OuMvlp",
    "sustech1k": "gaitid.datasets.sustech1k:Sustech1K",
}

_KINDS: Mapping[str, Mapping[str, str]] = {
    "encoders": ENCODERS,
    "extractors": EXTRACTORS,
    "indexes": INDEXES,
    "engines": ENGINES,
    "datasets": DATASETS,
}

# Extra that installs a package which one of the built-in entries imports.
_EXTRAS = {
    "cv2": "edge",
    "scipy": "edge",
    "faiss": "server",
    "pymilvus": "milvus",
    "psycopg": "pgvector",
    "matplotlib": "report",
    "torch": "torch",
    "torchvision": "rcnn",
    "ultralytics": "yolo",
    "cryptography": "server",
    "onnx": "onnx",
    "onnxruntime": "person",
}


def names(kind: str) -> tuple[str, ...]:
    """All names of a kind (``encoders``, ``extractors``, ``indexes``, ``engines``, ``datasets``), sorted."""
    return tuple(sorted(_table(kind)))


def resolve(kind: str, name: str) -> Any:
    """Import the module of a name and return the attribute it stands for.

    Raises:
        UnknownName: The registry has no such name; the message suggests the nearest one.
        MissingDependency: The entry needs a package that is not installed.
        ConfigError: Another package registered something that does not exist.
    """
    table = _table(kind)
    if name not in table:
        raise UnknownName(
            f"The {kind[:-1]} {name!r} is unknown", f"one of {', '.join(sorted(table))}", nearest(name, table)
        )
    module, _, attribute = table[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise missing(error, f"{kind[:-1]} {name}") from error
    except AttributeError as error:
        raise ConfigError(
            f"The {kind[:-1]} {name!r} is registered as {table[name]} ({error})",
            "a module and an attribute that it has",
            f"Report this to the authors of {name}",
        ) from error


def missing(error: ModuleNotFoundError, what: str) -> MissingDependency:
    """Make a `MissingDependency` that names the package and the extra that installs it."""
    package = (error.name or "?").partition(".")[0]
    extra = _EXTRAS.get(package)
    remedy = f"Run pip install 'gaitid[{extra}]'" if extra else f"Run pip install {package}"
    return MissingDependency(f"Package {package} is not installed", f"this package for {what}", remedy)


def nearest(name: str, candidates: object) -> str:
    """Remedy that suggests the nearest spelling, or one of the list."""
    close = difflib.get_close_matches(name, list(candidates), n=1)  # type: ignore[call-overload]
    return f"Write {close[0]!r}" if close else "Choose a name from this list"


def _table(kind: str) -> dict[str, str]:
    found = {point.name: point.value for point in entry_points(group=f"gaitid.{kind}")}
    return {**found, **_KINDS[kind]}
