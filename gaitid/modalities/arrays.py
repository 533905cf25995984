"""Checks of arrays that streams and records share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError

MAX_FRAMES = 10_000
"""Most frames of a sequence."""


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view of an array."""
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
    """Raise `error` unless `array` has this dtype and shape; None in `shape` allows any length."""
    if (
        isinstance(array, np.ndarray)
        and array.dtype == dtype
        and len(array.shape) == len(shape)
        and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    ):
        return
    wanted = ", ".join("any" if n is None else str(n) for n in shape)
    name = np.dtype(dtype).name
    raise error(
        f"Array {what} is {description(array)}",
        f"a numpy array ({wanted}) {name}",
        f"Convert it with numpy.asarray(..., numpy.{name}) and check its axes",
    )


def check_finite(array: NDArray[Any], what: str, remedy: str, error: type[InputError] = InputError) -> None:
    """Raise `error` if a value of an array (T, ...) is NaN or infinite."""
    if not np.isfinite(array).all():
        first = int(np.argwhere(~np.isfinite(array))[0][0])
        raise error(f"Array {what} has NaN or infinity, first in row {first}", "finite values", remedy)


def description(value: Any) -> str:
    """Return the shape and dtype of an array, or the type of something else."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype.name}"
    return f"a {type(value).__name__}"
