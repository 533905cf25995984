"""Weight files of networks that find people: named in a configuration with their SHA-256, never fetched."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from gaitid.errors import ConfigError, WeightsError


def read_weights(path: Path, sha256: str, table: str) -> bytes:
    """Return the content of a weight file; the bytes that are checked are those that are used.

    Args:
        path: The file.
        sha256: Its SHA-256, 64 hexadecimal digits.
        table: Table of the configuration that names both, for errors.

    Raises:
        ConfigError: The SHA-256 is missing or no SHA-256.
        WeightsError: The file is missing, or has another SHA-256.
    """
    if not path.is_file():
        raise WeightsError(
            f"Weight file {path} does not exist",
            f"the file that the table {table} names",
            "Fetch it yourself and check the path; gaitid downloads nothing",
        )
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(
            f"The SHA-256 of {path} is {sha256!r}",
            "64 hexadecimal digits",
            f"Compare {found} with its publisher, and set it in the table {table}",
        )
    if found != sha256.lower():
        raise WeightsError(
            f"Weight file {path} has the SHA-256 {found}",
            f"{sha256.lower()}, as the table {table} says",
            "Fetch the file again, or compare both with its publisher",
        )
    return content
