"""gaitid: identify people by their gait.

The public names below are loaded on first use, so that importing `gaitid` costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gaitid.errors import GaitIdError as GaitIdError
    from gaitid.records import Decision as Decision
    from gaitid.records import Embedding as Embedding
    from gaitid.records import GaitSequence as GaitSequence
    from gaitid.records import OperatingPoint as OperatingPoint
    from gaitid.records import Outcome as Outcome

__version__ = "0.1.0"

_NAMES = {
    "Decision": "gaitid.records",
    "Embedding": "gaitid.records",
    "GaitIdError": "gaitid.errors",
    "GaitSequence": "gaitid.records",
    "OperatingPoint": "gaitid.records",
    "Outcome": "gaitid.records",
}

__all__ = ["__version__", *sorted(_NAMES)]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'gaitid' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return __all__
