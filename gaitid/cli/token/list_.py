"""``gaitid token list``: the tokens in a file, without their secrets."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from gaitid.server.tokens import TokenFile


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid token list``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="token_file of the server")


def run(options: argparse.Namespace) -> int:
    """Print a line for each token, oldest first."""
    now = time.time()
    for token in TokenFile(options.file).tokens():
        until = time.strftime("%Y-%m-%d", time.gmtime(token.expires_at))
        places = ",".join(token.galleries)
        print(f"{token.id} {token.state(now):<8} until {until} {token.role:<9} in {places} for {token.name}")
    return 0
