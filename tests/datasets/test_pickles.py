"""The pickle reader returns arrays and containers, and calls nothing."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import tempfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.datasets import pickles
from gaitid.errors import DatasetError

RNG = np.random.default_rng(3)
VALUES = {
    "empty list": [],
    "empty array": np.zeros((0, 64, 64), np.uint8),
    "one scalar": np.float32(2.5),
    "silhouettes": RNG.integers(0, 256, (3, 64, 64)).astype(np.uint8),
    "skeletons": RNG.normal(size=(3, 17, 3)),
    "fortran": np.asfortranarray(RNG.normal(size=(3, 4))),
    "not contiguous": RNG.integers(0, 9, (4, 6))[:, ::2],
    "big endian": np.arange(5, dtype=">i4"),
    "bool": np.array([True, False]),
    "half": np.arange(3, dtype=np.float16),
    "list of arrays": [np.eye(3, dtype=np.uint8)] * 3,
    "containers": {
        "a": [1, -2.5, "é", b"\xff\x00", None, True, (), (1,), (1, 2, 3, 4)],
        7: 12**40,
        "": False,
    },
    "objects": np.array([{"k": [1.0, 2]}, None, "x"], dtype=object),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", VALUES)
def test_round_trip(name, protocol):
    data = pickle.dumps(VALUES[name], protocol)
    np.testing.assert_equal(pickles.loads(data), VALUES[name])


@pytest.mark.parametrize("core", [b"numpy.core", b"numpy._core"])
def test_both_numpy_generations(core):
    data = pickle.dumps(VALUES["silhouettes"], 2)
    module = next(arg.split()[0] for op, arg, _ in pickletools.genops(data) if op.name == "GLOBAL")
    other = data.replace(module.encode(), core + b".multiarray")
    np.testing.assert_array_equal(pickles.loads(other), VALUES["silhouettes"])


def test_python_2_strings():
    """Old pickles store an array's bytes as a str."""
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x03\x85"
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x03\x01\xfe\xfftb."
    )
    np.testing.assert_array_equal(pickles.loads(data), np.array([1, 254, 255], np.uint8))


def _reduce(call, *args):
    class Thing:
        def __reduce__(self):
            return call, args

    return Thing()


MARK = os.path.join(tempfile.gettempdir(), f"gaitid-pickle-ran-{os.getpid()}")  # noqa: PTH118
TOUCH = f"touch {MARK}"
# Objects that must not run: (object, the name in the error).
ATTACKS = {
    "os.system": (_reduce(os.system, TOUCH), "posix.system|nt.system"),
    "subprocess": (_reduce(subprocess.Popen, ["touch", MARK]), "Popen"),
    "eval": (_reduce(eval, f"open({MARK!r}, 'w')"), "eval"),
    "exec": (_reduce(exec, f"open({MARK!r}, 'w')"), "exec"),
    "getattr": (_reduce(getattr, "x", "upper"), "getattr"),
    "import": (_reduce(__import__, "os"), "__import__"),
    "open": (_reduce(open, MARK, "w"), "open"),
    "nested in a list": ([1, [2, {"k": _reduce(os.system, TOUCH)}]], "system"),
    "nested in an object array": (np.array([_reduce(os.system, TOUCH)], object), "system"),
    "as a key": ({(1, 2): _reduce(os.system, TOUCH)}, "system"),
    "numpy.load": (_reduce(np.load, MARK), "load"),
    "numpy.fromfile": (_reduce(np.fromfile, "/etc/hostname"), "fromfile"),
    "numpy.memmap": (_reduce(np.memmap, "/etc/hostname"), "memmap"),
    "numpy.zeros": (_reduce(np.zeros, 10**13), "zeros"),
    "a subclass": (np.ma.masked_array([1], [0]), "numpy.ma"),
    "a class of mine": (OrderedDict(a=1), "collections.OrderedDict"),
    "a set": ({1, 2}, "EMPTY_SET|builtins.set|__builtin__.set"),
    "text array": (np.array(["a"]), "dtype .?U1"),
    "records": (np.zeros(2, [("a", "u1")]), "dtype"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "dtype"),
    "complex": (np.zeros(2, np.complex64), "dtype .?c8"),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_named_and_does_not_run(name, protocol):
    thing, named = ATTACKS[name]
    with pytest.raises(DatasetError, match=f"contains .*(?:{named})"):
        pickles.loads(pickle.dumps(thing, protocol))
    assert not os.path.exists(MARK)  # noqa: PTH110


# Handwritten opcodes: (bytes, text of the error).
OPCODES = {
    "empty": (b"", "cannot be read"),
    "stop": (b".", "cannot be read"),
    "inst": (b"(S'true'\nios\nsystem\n.", "the opcode INST"),
    "obj": (b"(cos\nsystem\nS'true'\no.", "global os.system"),
    "newobj": (b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.", "the opcode NEWOBJ"),
    "newobj_ex": (b"\x80\x04cnumpy\nndarray\nK\x01\x85}\x92.", "the opcode NEWOBJ_EX"),
    "extension": (b"\x80\x02\x82\x01.", "the opcode EXT1"),
    "persistent id": (b"Pabc\n.", "the opcode PERSID"),
    "stack global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "global os.system"),
    "global of a list": (b"\x80\x04]\x8c\x06system\x93.", "cannot be read"),
    "submodule dots": (b"\x80\x04\x8c\x05numpy\x8c\x0bos.system.x\x93.", "global numpy.os.system.x"),
    "ndarray called": (b"cnumpy\nndarray\n(I9999999999\ntR.", "call of numpy.ndarray"),
    "reconstruct of a list": (b"cnumpy.core.multiarray\n_reconstruct\n(](I0\ntS'b'\ntR.", "another class"),
    "array without content": (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.",
        "no data",
    ),
    "only a name": (b"cnumpy\nndarray\n.", "no data"),
    "build on a list": (b"](I1\ntb.", "state for something"),
    "reduce a number": (b"I1\n(tR.", "call of a name that is not allowed"),
    "append to a tuple": (b"(tI1\na.", "items for a tuple"),
    "memo bomb": (b"\x80\x02]r\xff\xff\xff\xffj\xff\xff\xff\xff0.", ""),
    "unknown memo": (b"\x80\x02h\x05.", "cannot be read"),
    "length bomb": (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc.", "cannot be read"),
    "no stop": (b"\x80\x04K\x01", "cannot be read"),
    "codec": (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "rot13"),
}


@pytest.mark.parametrize("name", OPCODES)
def test_opcodes(name):
    data, says = OPCODES[name]
    if name == "memo bomb":  # a memo number of 2**32 - 1 must not become a table of that size
        assert pickles.loads(data) == []
        return
    with pytest.raises(DatasetError, match=says):
        pickles.loads(data)


# State for an array of shape (count,) of a dtype whose content does not match it.
@pytest.mark.parametrize(
    ("shape", "code", "content"),
    [
        ((10**15,), "u1", b"abc"),
        ((-1,), "u1", b"abc"),
        ((3.0,), "u1", b"abc"),
        ((True,), "u1", b"a"),
        ((2,), "u1", b"abc"),
        ((10**15,), "O", []),
        ((2,), "O", [1]),
        ((1,), "V8", b"12345678"),
        ((1,), "u16", b"1" * 16),
        ((1,), "S3", b"abc"),
        ((1,), "u", b"a"),
        ((1,), "i2,i2", b"abcd"),
    ],
)
def test_arrays_need_all_their_bytes(shape, code, content):
    def text(value):
        return pickle.dumps(value, 2)[2:-1]

    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R("
        + (text(1) + text(shape) + b"cnumpy\ndtype\n" + text(code) + b"K\x00K\x01\x87R")
        + (b"\x89" + text(content) + b"tb.")
    )
    with pytest.raises(DatasetError):
        pickles.loads(data)


def test_deep_nesting_does_not_recurse():
    depth = 5000
    value = pickles.loads(b"(l" * depth + b"a" * (depth - 1) + b".")
    for _ in range(depth - 1):
        (value,) = value
    assert value == []


def test_size_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match="0 bytes"):
        pickles.load(path)
    path.write_bytes(pickle.dumps(np.zeros(1000, np.uint8)))
    assert pickles.load(path).shape == (1000,)
    monkeypatch.setattr(pickles, "MAX_BYTES", 100)
    with pytest.raises(DatasetError, match="1 to 100"):
        pickles.load(path)


@pytest.mark.filterwarnings("ignore:.*invalid (octal )?escape sequence:DeprecationWarning")
@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60), st.sampled_from([pickle.dumps(v, p) for v in VALUES.values() for p in (0, 2, 4)])
)
def test_any_bytes_return_a_value_or_raise_a_dataset_error(noise, whole):
    for data in (noise, whole[: len(noise) * 7], whole[: len(noise)] + noise + whole[2 * len(noise) :]):
        try:
            pickles.loads(data)
        except DatasetError:
            continue


def test_the_library_unpickler_is_never_used(monkeypatch):
    def refuse(*_):
        raise AssertionError("unpickled")

    data = pickle.dumps(np.arange(3))
    for name in ("loads", "load", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert pickles.loads(data).tolist() == [0, 1, 2]
