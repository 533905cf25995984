"""Fields that several messages share: enums, reasons, times and arrays of float32."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, TypeVar

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray

from gaitid.errors import MessageError
from gaitid.records import Reason

README = "See protos/README.md"
UPDATE = "Update gaitid on this side"
Choice = TypeVar("Choice", bound=Enum)
Record = TypeVar("Record")


def values_of(message_enum: Any, kind: type[Choice], prefix: str) -> dict[int, Choice]:
    """Members of a Python enum by the number of the protobuf value ``{prefix}_{name}``."""
    return {message_enum.Value(f"{prefix}_{member.name}"): member for member in kind}


def choice(known: Mapping[int, Choice], value: int, what: str) -> Choice:
    """Look up the member of an enum number.

    Raises:
        MessageError: The number is not in `known`.
    """
    if value not in known:
        raise MessageError(f"Field {what} is {value}", "a value that this version knows", UPDATE)
    return known[value]


def reasons(codes: Iterable[str]) -> tuple[Reason, ...]:
    """Convert reason codes.

    Raises:
        MessageError: A code is unknown.
    """
    try:
        return tuple(Reason(code) for code in codes)
    except ValueError as error:
        raise MessageError(
            f"A reason code is unknown ({error})", "a code that this version knows", UPDATE
        ) from error


def floats(data: bytes, shape: tuple[int, ...], what: str) -> NDArray[np.float32]:
    """Read a little-endian float32 array.

    Raises:
        MessageError: The number of bytes does not fit the shape, or is 0.
    """
    expected = 4 * int(np.prod(shape))
    if len(data) != expected or not data:
        raise MessageError(
            f"Field {what} has {len(data)} bytes", f"{expected or 'at least 4'}, 4 per float32 value", README
        )
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32, copy=False)


def fields_of(record: Any, **renamed: str) -> dict[str, Any]:
    """Fields of a record by the names of the message, for records of plain values.

    Args:
        record: A dataclass.
        renamed: Name in the message by name in the record, where they differ.
    """
    return {renamed.get(field.name, field.name): getattr(record, field.name) for field in fields(record)}


def record_of(kind: type[Record], message: Any, **renamed: str) -> Record:
    """Build a record of plain values from the fields of a message; the inverse of `fields_of`."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: getattr(message, renamed.get(name, name)) for name in names})


def pack_time(seconds: float) -> Timestamp:
    """Timestamp of a Unix time in seconds, rounded to nanoseconds."""
    whole = int(seconds // 1)
    nanos = round((seconds - whole) * 1e9)
    return Timestamp(seconds=whole + nanos // 10**9, nanos=nanos % 10**9)


def unpack_time(time: Timestamp) -> float:
    """Unix time in seconds of a timestamp."""
    return time.seconds + time.nanos / 1e9
