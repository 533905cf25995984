"""``gaitid keygen``: a fresh key for sealing galleries."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from gaitid.gallery.store.keys import append_key


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid keygen``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="key file; made when it does not exist")
    parser.add_argument("--name", help="name of the key (default: the time)")


def run(options: argparse.Namespace) -> int:
    """Append a key; it is in use from the next start or rotation on."""
    name = options.name or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    append_key(options.file, name)
    print(f"key {name} added to {options.file}; keep a copy: without it the templates are lost")
    return 0
