"""Purpose of a call <-> gRPC metadata."""

from __future__ import annotations

from urllib.parse import quote, unquote

from gaitid.errors import MessageError
from gaitid.wire.fields import README

PURPOSE = "gaitid-purpose"
"""Name of the metadata that says what a call is for."""


def pack_purpose(purpose: str) -> str:
    """A purpose as metadata: percent-encoded UTF-8."""
    return quote(purpose, safe=" ")


def unpack_purpose(text: str) -> str:
    """The purpose of metadata.

    Raises:
        MessageError: It is no percent-encoded UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise MessageError(f"{PURPOSE} is {text!r:.60}", "percent-encoded UTF-8", README) from error
