"""Checks of names and enumerations that records share."""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeVar

from gaitid.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_AUDIT_ID = re.compile("[0-9a-f]{16}")
Choice = TypeVar("Choice", bound=Enum)


def check_choice(kind: type[Choice], value: object) -> Choice:
    """Return the member of `kind` that `value` is or names.

    Raises:
        InputError: `kind` has no such member.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(
            f"Value {value!r:.60} is no {kind.__name__}",
            f"one of {', '.join(member.value for member in kind)}",
            f"Pass a member of gaitid.records.{kind.__name__} or its value",
        ) from error


def check_name(value: str, what: str) -> str:
    """Return `value` if it may name a gallery, subject or camera.

    Raises:
        InputError: The name is empty, longer than 128 characters, or has characters outside
            ``A-Z a-z 0-9 . _ @ -``.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(
            f"Name of the {what} is {value!r:.140}",
            "1 to 128 characters of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit",
            "Rename it, or keep the readable name in your own records",
        )
    return value


def check_audit_id(value: str) -> str:
    """Return `value` if it has the form of `Decision.audit_id`.

    Raises:
        InputError: It is not 16 hexadecimal digits.
    """
    if not isinstance(value, str) or not _AUDIT_ID.fullmatch(value):
        raise InputError(
            f"Argument audit_id is {value!r:.60}", "16 hexadecimal digits", "Pass Decision.audit_id"
        )
    return value
