"""gaitid: identify people by their gait.

The public names are imported on first use, so that ``import gaitid`` is fast.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gaitid.caller import calling as calling
    from gaitid.encoders.base import load_encoder as load_encoder
    from gaitid.errors import GaitIdError as GaitIdError
    from gaitid.local import LocalMatcher as LocalMatcher
    from gaitid.matcher import Matcher as Matcher
    from gaitid.quality import assess as assess
    from gaitid.records import Decision as Decision
    from gaitid.records import Embedding as Embedding
    from gaitid.records import GaitSequence as GaitSequence
    from gaitid.records import OperatingPoint as OperatingPoint
    from gaitid.records import Outcome as Outcome
    from gaitid.remote import RemoteMatcher as RemoteMatcher

__version__ = "0.1.0"

_NAMES = {
    "Decision": "gaitid.records",
    "Embedding": "gaitid.records",
    "GaitIdError": "gaitid.errors",
    "GaitSequence": "gaitid.records",
    "LocalMatcher": "gaitid.local",
    "Matcher": "gaitid.matcher",
    "OperatingPoint": "gaitid.records",
    "Outcome": "gaitid.records",
    "RemoteMatcher": "gaitid.remote",
    "assess": "gaitid.quality",
    "calling": "gaitid.caller",
    "load_encoder": "gaitid.encoders.base",
}

__all__ = ["__version__", "connect", *sorted(_NAMES)]


def connect(
    target: str, *, encoder: str = "strider", key_file: Path | None = None, backups: Path | None = None
) -> Matcher:
    """Open the matcher at `target`; local and remote matchers give equal answers.

    A server erases expired subjects once a minute. A local matcher erases them when it is opened and before
    each change of their gallery; either way they are in no answer once they have expired.

    Args:
        target: ``local:DIRECTORY`` for galleries in this process, or ``host:port`` of a server.
        encoder: Name of the encoder of a local matcher; ignored for a server.
        key_file: Keys that encrypt the templates of a local matcher; None = the keys in the environment
            variable GAITID_KEYS, or no encryption if it is not set. Ignored for a server.
        backups: Backup folder of a local matcher; ignored for a server.

    Raises:
        GaitIdError: The directory cannot be used, or the address is malformed.
    """
    matcher: Matcher
    if target.startswith("local:"):
        local = import_module("gaitid.local")
        loaded = import_module("gaitid.encoders.base").load_encoder(encoder)
        index, engine = import_module("gaitid.gallery.placement").recall(Path(target[6:]))
        keys = local.find_keys(key_file)
        matcher = local.LocalMatcher(
            loaded, target[6:], index=index, engine=engine, keys=keys, backups=backups
        )
    else:
        matcher = import_module("gaitid.remote").RemoteMatcher(target)
    return matcher


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'gaitid' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return __all__
