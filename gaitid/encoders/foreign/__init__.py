"""Import of published checkpoints of the common academic framework as weight files.

Only names and shapes of tensors and settings of configurations are used, which are facts; the networks are
our own. Checkpoints are read with `weights_only`, so nothing in them can run. Trained checkpoints carry the
licence of their makers and of the data they were trained on, mostly for academic use only: check it before
any other use.
"""

from __future__ import annotations

from gaitid.encoders.foreign.checkpoint import read_checkpoint
from gaitid.encoders.foreign.configuration import Configuration, read_configuration
from gaitid.encoders.foreign.conversion import Imported, import_state, save_imported
from gaitid.encoders.foreign.telltales import recognise

LICENCE_WARNING = (
    "imported weights carry the licence of their makers and of their training data, mostly academic "
    "use only; the card says 'unknown'"
)

__all__ = [
    "LICENCE_WARNING",
    "Configuration",
    "Imported",
    "import_state",
    "read_checkpoint",
    "read_configuration",
    "recognise",
    "save_imported",
]
