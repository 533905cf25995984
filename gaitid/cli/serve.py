"""``gaitid serve``: run the gRPC server until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from pathlib import Path

from gaitid import settings
from gaitid.server.app import ServerSettings, serve


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid serve``."""
    parser.add_argument("--config", metavar="TOML", help="server.toml; flags override it")
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="address to listen on; port 0 picks a free port"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="data directory")
    parser.add_argument("--encoder", help="encoder of all galleries")
    parser.add_argument("--key-file", metavar="FILE", type=Path, help="keys that encrypt templates on disk")
    parser.add_argument("--backup-dir", metavar="DIR", type=Path, help="where 'gaitid backup create' writes")
    parser.add_argument(
        "--mark-file",
        metavar="FILE",
        type=Path,
        help="file on another disk that detects a data directory that was rolled back",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until the process is stopped."""
    base = settings.load(options.config, ServerSettings) if options.config else ServerSettings()
    names = ("address", "data", "encoder", "key_file", "mark_file", "backup_dir")
    flags = {key: getattr(options, key) for key in names}
    chosen = dataclasses.replace(base, **{key: value for key, value in flags.items() if value is not None})
    asyncio.run(serve(chosen, ready=lambda address: print(f"gaitid serves on {address}", flush=True)))
    return 0
