"""Checks that records share."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
Choice = TypeVar("Choice", bound=Enum)


def check_choice(kind: type[Choice], value: object) -> Choice:
    """Return the member of `kind` that `value` is, or names.

    Raises:
        InputError: It is none.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(
            f"{kind.__name__} is {value!r:.60}",
            f"one of {', '.join(member.value for member in kind)}",
            "choose one",
        ) from error


def check_name(value: str, what: str) -> str:
    """Return `value` if it may name a gallery, subject or camera.

    Raises:
        InputError: It is empty, longer than 128, or has letters outside ``A-Z a-z 0-9 . _ @ -``.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(
            f"{what} {value!r:.140}",
            "1 to 128 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit",
            "rename it, or keep the readable name in your own records",
        )
    return value


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only view of an array."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_array(
    array: Any,
    dtype: Any,
    shape: tuple[int | None, ...],
    what: str,
    error: type[InputError] = InputError,
) -> None:
    """Raise `error` unless `array` has this dtype and shape; None in `shape` is any length."""
    if (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and len(array.shape) == len(shape)
        and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    ):
        return
    got = (
        f"{array.shape} {array.dtype.name}" if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
    )
    wanted = ", ".join("any" if n is None else str(n) for n in shape)
    raise error(f"{what} is {got}", f"expected a numpy array ({wanted}) {np.dtype(dtype).name}", "convert it")
