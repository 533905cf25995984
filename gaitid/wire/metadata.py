"""Purpose of a call <-> gRPC metadata."""

from __future__ import annotations

from urllib.parse import quote, unquote

from gaitid.errors import MessageError
from gaitid.wire.fields import README

PURPOSE = "gaitid-purpose"
AUTHORIZATION, BEARER = "authorization", "Bearer "
"""Metadata that carries a token, and what precedes the token (RFC 6750, sec. 2.1)."""
"""Name of the metadata with the purpose of a call."""


def pack_purpose(purpose: str) -> str:
    """Encode a purpose as percent-encoded UTF-8."""
    return quote(purpose, safe=" ")


def unpack_purpose(text: str) -> str:
    """Decode a purpose.

    Raises:
        MessageError: It is not percent-encoded UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise MessageError(f"Metadata {PURPOSE} is {text!r:.60}", "percent-encoded UTF-8", README) from error
