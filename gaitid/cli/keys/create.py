"""``gaitid keys create``: a new key that encrypts templates."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from gaitid.gallery.store.keys import append_key


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid keys create``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="key file; created if it does not exist")
    parser.add_argument("--name", help="name of the key (default: the current time, UTC)")


def run(options: argparse.Namespace) -> int:
    """Append a key; it takes effect at the next start or rotation."""
    name = options.name or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    append_key(options.file, name)
    print(f"key {name} added to {options.file}; keep a copy: without it the templates are lost")
    return 0
