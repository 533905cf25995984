"""``gaitid subject erase``: delete a subject and write a signed receipt."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from gaitid.cli import inputs
from gaitid.cli.files import require_new, write_text
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid subject erase``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", help="subject id")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, required=True, help="receipt to write; must not exist"
    )


def run(options: argparse.Namespace) -> int:
    """Erase the subject; the path of the receipt is checked first, since there is no second one."""
    require_new(options.out)
    with closing(inputs.open_matcher(options)) as matcher:
        receipt = matcher.erase_subject(options.gallery, options.subject)
    binary = {"public_key": receipt.public_key.hex(), "signature": receipt.signature.hex()}
    text = json.dumps(asdict(receipt) | binary, indent=1) + "\n"
    try:
        write_text(options.out, text)
    except InputError:
        print(text)  # the receipt cannot be issued again
        raise
    print(
        f"{receipt.subject} erased from {receipt.gallery}: {receipt.templates} template(s);"
        f" no trace in {receipt.scanned_bytes} bytes; receipt in {options.out}"
    )
    return 0
