"""``gaitid gallery migrate``: move the galleries of a data directory to another index or engine."""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import closing
from pathlib import Path

from gaitid import registry, settings
from gaitid.gallery.care.doctor import require_galleries
from gaitid.gallery.care.migration import migrate
from gaitid.gallery.index.engine import CONSISTENCIES, SEARCHES
from gaitid.gallery.store.database import Store
from gaitid.local import find_keys
from gaitid.server.app import ServerSettings

_FLAGS = ("address", "search", "consistency", "timeout_s", "unsealed")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery migrate``."""
    parser.add_argument(
        "--data", metavar="DIR", type=Path, required=True, help="data directory that no process has open"
    )
    places = [*registry.names("indexes"), *registry.names("engines")]
    parser.add_argument("--to", choices=places, required=True, help="index in this process, or engine")
    parser.add_argument("--config", metavar="TOML", help="server.toml, for its [engine]; flags override it")
    parser.add_argument("--address", metavar="URI", help="address of the engine, without a password")
    parser.add_argument("--search", choices=SEARCHES, help="scan all rows, or search a graph of them")
    parser.add_argument("--consistency", choices=CONSISTENCIES, help="what a search of Milvus waits for")
    parser.add_argument("--timeout-s", type=float, help="deadline of one request to the engine, seconds")
    parser.add_argument(
        "--unsealed", action="store_true", default=None, help="allow it for encrypted templates"
    )
    parser.add_argument("--key-file", metavar="FILE", type=Path, help="keys of an encrypted directory")
    parser.add_argument(
        "--samples", type=int, default=100, help="searches compared per gallery (default: 100)"
    )


def run(options: argparse.Namespace) -> int:
    """Migrate all galleries; run it again if it was interrupted."""
    base = settings.load(options.config, ServerSettings) if options.config else ServerSettings()
    flags = {key: getattr(options, key) for key in _FLAGS}
    engine = dataclasses.replace(base.engine, **{key: v for key, v in flags.items() if v is not None})
    keys = find_keys(options.key_file)
    require_galleries(options.data)
    with closing(Store(options.data, keys)) as store:
        for done in migrate(store, options.to, engine, sealed=keys is not None, samples=options.samples):
            print(
                f"{done.gallery}: {done.rows} row(s) in {options.to}, {done.added} of them new, all verified;"
                f" {done.equal} of {done.searches} searches equal",
                flush=True,
            )
    print(f'set index = "{options.to}" in server.toml')
    return 0
