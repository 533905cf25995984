"""``gaitid gallery migrate``: move the indexes of a data directory into an engine, or back."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from gaitid import registry, settings
from gaitid.gallery.care.migration import migrate
from gaitid.gallery.index.engine import CONSISTENCIES, SEARCHES
from gaitid.gallery.store.database import Store
from gaitid.local import find_keys
from gaitid.server.app import ServerSettings

_FLAGS = ("address", "search", "consistency", "timeout_s", "unsealed")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery``."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    summary = "move the galleries of a data directory into an engine, or back; repeat it when cut short"
    act = acts.add_parser("migrate", help=summary, description=summary)
    act.add_argument("--data", metavar="DIR", type=Path, required=True, help="data directory, not in use")
    places = [*registry.names("indexes"), *registry.names("engines")]
    act.add_argument("--to", choices=places, required=True, help="index in this process, or engine")
    act.add_argument("--config", metavar="TOML", help="server.toml; its [engine] is used, flags override it")
    act.add_argument("--address", metavar="URI", help="address of the engine, without a password")
    act.add_argument("--search", choices=SEARCHES, help="look at all rows, or at a graph of them")
    act.add_argument("--consistency", choices=CONSISTENCIES, help="what a search of Milvus waits for")
    act.add_argument("--timeout-s", type=float, help="how long one request may take, seconds")
    act.add_argument("--unsealed", action="store_true", default=None, help="allow it for sealed templates")
    act.add_argument("--key-file", metavar="FILE", type=Path, help="keys of a sealed directory")
    act.add_argument("--samples", type=int, default=100, help="searches of each gallery to compare")


def run(options: argparse.Namespace) -> int:
    """Run the act."""
    base = settings.load(options.config, ServerSettings) if options.config else ServerSettings()
    flags = {key: getattr(options, key) for key in _FLAGS}
    engine = dataclasses.replace(base.engine, **{key: v for key, v in flags.items() if v is not None})
    keys = find_keys(options.key_file)
    store = Store(options.data, keys)
    try:
        for done in migrate(store, options.to, engine, sealed=keys is not None, samples=options.samples):
            print(
                f"{done.gallery}: {done.rows} row(s) in {options.to}, {done.added} of them new, all verified;"
                f" {done.equal} of {done.searches} searches equal",
                flush=True,
            )
    finally:
        store.close()
    print(f'set index = "{options.to}" in server.toml')
    return 0
