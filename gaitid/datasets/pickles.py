"""Reading pickled numpy arrays without unpickling: nothing that the file names is ever called.

Published gait sets are pickles, and `pickle.load` runs whatever a pickle names. Here `pickletools.genops` of
the standard library decodes the opcodes, which executes nothing. A small stack machine replays them; it knows
lists, tuples, dicts, numbers, text, bytes and numpy arrays of plain numbers (or of such objects). Arrays are
rebuilt from their bytes with `numpy.frombuffer`; numpy's own unpickling code never sees the file. Any other
global or opcode raises a `DatasetError` that names it.

The size of the file bounds the memory: an array must come with all its bytes, and memo numbers are keys of a
dict, not sizes.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import DatasetError

MAX_BYTES = 256 * 2**20
"""Largest pickle that is read; 10,000 frames of 128x128 are 156 MiB."""

_PLAIN_KINDS = "biuf"


class _Refused(Exception):
    """The pickle contains something that is not allowed; the text says what."""


def load(path: Path) -> Any:
    """Read the arrays and plain containers of a pickle file.

    Raises:
        DatasetError: The file is empty, too large, damaged, or names anything but numpy arrays.
    """
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise DatasetError(
            f"File {path} has {size} bytes", f"a pickle of 1 to {MAX_BYTES}", "Fetch or convert it again"
        )
    return loads(path.read_bytes(), str(path))


def loads(data: bytes, where: str = "memory") -> Any:
    """Read a pickle from bytes as `load` does; `where` names them in errors."""
    try:
        return _Machine().run(pickletools.genops(io.BytesIO(data)))
    except _Refused as error:
        raise DatasetError(
            f"The pickle in {where} contains {error}",
            "only numpy arrays and plain containers",
            "Fetch it again from its source or convert it to .npz, and do not open it with pickle",
        ) from error
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DatasetError(
            f"The pickle in {where} cannot be read ({error})",
            "an undamaged pickle",
            "Fetch or convert it again",
        ) from error


class _Global:
    """An allowed name, before it is applied to arguments."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build


class _Dtype:
    """A dtype of plain numbers or objects; BUILD sets its byte order."""

    __slots__ = ("code",)

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str):
            raise _Refused("a dtype other than plain numbers")
        self.code = code

    def state(self, state: tuple[Any, ...]) -> _Dtype:
        """Apply (version, byte order, subarray, names, fields, ...)."""
        if any(part is not None for part in state[2:5]):
            raise _Refused(f"a structured dtype ({self.code})")
        if state[1] in ("<", ">"):
            self.code = state[1] + self.code.lstrip("<>=|")
        return self

    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype: numbers of at most 8 bytes, or object."""
        name = self.code.lstrip("<>=|")
        if name in ("O", "O8"):
            return np.dtype(object)
        kind, width = name[:1], name[1:]
        if kind not in _PLAIN_KINDS or not (width.isdigit() and int(width) <= 8):
            raise _Refused(f"dtype {self.code}")
        return np.dtype(self.code)


class _Array:
    """An array announced by `_reconstruct`; BUILD brings its content."""

    __slots__ = ()

    def state(self, state: tuple[Any, ...]) -> NDArray[Any]:
        """The array of (version, shape, dtype, fortran order, content)."""
        shape, dtype, fortran, content = state[-4:]
        return _filled(content, dtype, shape, "F" if fortran else "C")


def _filled(content: Any, dtype: Any, shape: Any, order: str) -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not all(type(n) is int and n >= 0 for n in shape):
        raise _Refused("an array without a plain dtype and shape")
    kind, count = dtype.numpy(), math.prod(shape)
    if kind.hasobject:
        if not isinstance(content, list) or len(content) != count:
            raise _Refused(f"an object array of shape {tuple(shape)} without its items")
        items = np.empty(count, object)
        for index, item in enumerate(content):
            items[index] = item
        return items.reshape(shape, order="F" if order == "F" else "C")
    raw = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(raw, bytes | bytearray) or len(raw) != count * kind.itemsize:
        raise _Refused(f"an array of shape {tuple(shape)} {kind.name} without its bytes")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise _Refused("an array of another class than numpy.ndarray")
    return _Array()


def _scalar(dtype: Any, content: Any) -> Any:
    return _filled(content, dtype, (), "C")[()]


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    return _filled(content, dtype, shape, order)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _Refused(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _refuse_call(*_: Any) -> Any:
    raise _Refused("a call of numpy.ndarray")


_NDARRAY = _Global(_refuse_call)


def _admitted() -> Mapping[tuple[str, str], _Global]:
    table = {("numpy", "ndarray"): _NDARRAY, ("numpy", "dtype"): _Global(_Dtype)}
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = _Global(_reconstruct)
        table[f"{core}.multiarray", "scalar"] = _Global(_scalar)
        table[f"{core}.numeric", "_frombuffer"] = _Global(_frombuffer)
    # Protocols 0 to 2 have no opcode for bytes and write them as calls.
    table["_codecs", "encode"] = _Global(_encode)
    table["__builtin__", "bytes"] = table["builtins", "bytes"] = _Global(_no_bytes)
    return table


_ADMITTED = _admitted()
_VALUES = frozenset(
    (
        "INT",
        "LONG",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
    )
)
_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _Machine:
    """Replays decoded opcodes on a stack of inert values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, opcodes: Iterator[tuple[Any, Any, Any]]) -> Any:
        """Replay the opcodes, and return the value that they leave."""
        for opcode, argument, _ in opcodes:
            name = opcode.name
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name not in ("PROTO", "FRAME", "STOP"):
                step = getattr(self, f"_{name.lower()}", None)
                if step is None:
                    raise _Refused(f"the opcode {name}")
                step(argument)
        (value,) = self.stack
        if isinstance(value, _Array | _Dtype | _Global):
            raise _Refused("no data")
        return value

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _empty_list(self, _: Any) -> None:
        self.stack.append([])

    def _empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def _empty_tuple(self, _: Any) -> None:
        self.stack.append(())

    def _list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self.stack[-1:] = [tuple(self.stack[-1:])]

    def _tuple2(self, _: Any) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def _tuple3(self, _: Any) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def _dict(self, _: Any) -> None:
        items = self._since_mark()
        self.stack.append(dict(zip(items[::2], items[1::2], strict=True)))

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._top(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._since_mark()
        self._top(list).extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._top(dict)[key] = value

    def _setitems(self, _: Any) -> None:
        items = self._since_mark()
        self._top(dict).update(zip(items[::2], items[1::2], strict=True))

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise _Refused(f"items for a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def _put(self, key: Any) -> None:
        self.memo[int(key)] = self.stack[-1]

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, key: Any) -> None:
        self.stack.append(self.memo[int(key)])

    _binput = _long_binput = _put
    _binget = _long_binget = _get

    def _global(self, name: Any) -> None:
        module, _, attribute = name.partition(" ")
        self._admit(module, attribute)

    def _stack_global(self, _: Any) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self._admit(module, attribute)

    def _admit(self, module: Any, attribute: Any) -> None:
        if (module, attribute) not in _ADMITTED:
            raise _Refused(f"the global {module}.{attribute}")
        self.stack.append(_ADMITTED[module, attribute])

    def _reduce(self, _: Any) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        if not isinstance(target, _Global) or not isinstance(arguments, tuple):
            raise _Refused("a call of a name that is not allowed")
        self.stack.append(target.build(*arguments))

    def _build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack.pop()
        if not isinstance(target, _Array | _Dtype) or not isinstance(state, tuple):
            raise _Refused("state for something other than an array")
        built = target.state(state)
        self.stack.append(built)
        for key, value in self.memo.items():
            if value is target:
                self.memo[key] = built
