"""Limits of every string on the wire, checked before anything else reads a request.

Names and texts end up in the data directory, in logs and in exports, so they are short and printable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gaitid.errors import MessageError
from gaitid.records import check_audit_id, check_name
from gaitid.wire.fields import README

Rule = Callable[[str, str], object]
"""Gets a value that is not empty and the name of its field, and raises `InputError` if it is not allowed."""


def _text(value: str, field: str, *, most: int) -> None:
    if len(value) > most or not value.isprintable():
        raise MessageError(
            f"Field {field} has {len(value)} characters: {value!r:.60}",
            f"at most {most} characters, all printable",
            README,
        )


def _audit_id(value: str, field: str) -> None:
    check_audit_id(value)


_CODE, _LINE, _TOKEN = (partial(_text, most=most) for most in (64, 256, 1024))
_CAMERA = partial(_text, most=128)

RULES: Mapping[str, Rule] = {
    "gallery": check_name,
    "subject": check_name,
    "id": check_name,
    "name": _CAMERA,
    "camera": _CAMERA,
    "direction": _CODE,
    "encoder": _CAMERA,
    "contract": _CAMERA,
    "version": _CODE,
    "modalities": _CODE,
    "sha256": _CODE,
    "request_id": _CODE,
    "audit_id": _audit_id,
    "reference": _LINE,
    "template": _CODE,
    "templates": _CODE,
    "reasons": _CODE,
    "dropped": _CODE,
    "legal_basis": _LINE,
    "purpose": _LINE,
    "actor": _LINE,
    "action": _CODE,
    "outcome": _CODE,
    "detail": _TOKEN,
    "page_token": _TOKEN,
    "next_page_token": _TOKEN,
}
"""Name of a field of any message -> its rule; of a map, the rule of its keys. A name means one thing."""


def check_strings(message: Message) -> None:
    """Check all strings of a message, those of inner messages included.

    Raises:
        InputError: One is too long, has characters that cannot be printed, or is not a name.
    """
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.type == FieldDescriptor.TYPE_STRING:
                for text in (value,) if isinstance(value, str) else value:
                    RULES[field.name](text, field.name)
        elif has_strings(field.message_type):
            for one in _inner(field, value):
                check_strings(one)


def _inner(field: FieldDescriptor, value: Any) -> Iterator[Message]:
    """The messages in a field; the keys of a map are checked."""
    if isinstance(value, Mapping):
        for key in value:
            RULES[field.name](key, field.name)
    elif isinstance(value, Message):
        yield value
    else:
        yield from value


@cache
def has_strings(kind: Descriptor) -> bool:
    """Whether a message or one inside it has a string; no message of ours contains itself."""
    return any(
        field.type == FieldDescriptor.TYPE_STRING
        or (field.message_type is not None and has_strings(field.message_type))
        for field in kind.fields
    )
