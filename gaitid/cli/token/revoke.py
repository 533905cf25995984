"""``gaitid token revoke``: refuse a token from now on."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.server.tokens import TokenFile


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid token revoke``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="token_file of the server")
    parser.add_argument("id", metavar="ID", help="id of the token, as 'gaitid token list' prints it")


def run(options: argparse.Namespace) -> int:
    """Append the revocation; a running server refuses the token at its next call."""
    token = TokenFile(options.file).revoke(options.id)
    print(f"token {token.id} of {token.name} is revoked")
    return 0
