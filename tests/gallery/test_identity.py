"""Receipts are genuine or refused; the key is made once and kept private."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from gaitid.errors import InputError, StoreCorrupt, StoreError
from gaitid.gallery.care.identity import FILE, check, sign
from gaitid.gallery.store.traces import scan, windows
from gaitid.records import ErasureReceipt

RECEIPT = ErasureReceipt("home", "ann", 3, 7, 1795388466.25, 4096)


def nothing(_: bytes) -> bool:
    """Explains no trace."""
    return False


def test_a_signed_receipt_is_genuine_and_its_key_stays(tmp_path):
    first, second = sign(RECEIPT, tmp_path), sign(replace(RECEIPT, subject="bob"), tmp_path)
    check(first)
    check(second)
    assert first.public_key == second.public_key
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "change",
    [
        {"gallery": "hom"},
        {"subject": "anne"},
        {"templates": 4},
        {"revision": 8},
        {"erased_at": 1795388466.5},
        {"scanned_bytes": 4097},
        {"public_key": bytes(32)},
        {"public_key": b""},
        {"signature": bytes(64)},
        {"signature": b""},
    ],
    ids=str,
)
def test_a_changed_receipt_is_refused(tmp_path, change):
    with pytest.raises(InputError, match="does not match the document"):
        check(replace(sign(RECEIPT, tmp_path), **change))


def test_threads_agree_on_one_key(tmp_path):
    keys = []
    threads = [
        threading.Thread(target=lambda: keys.append(sign(RECEIPT, tmp_path).public_key)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_damaged_or_unusable_key_is_an_error(tmp_path):
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(StoreCorrupt, match="not a signing key"):
        sign(RECEIPT, tmp_path)
    with pytest.raises(StoreError):
        sign(RECEIPT, tmp_path / "missing")


@pytest.mark.parametrize(
    ("blobs", "count"),
    [
        ([], 0),
        ([b""], 0),
        ([bytes(16)], 0),
        ([bytes(range(15))], 0),
        ([bytes(range(16))], 1),
        ([bytes(range(256)) * 2], 1),
        ([bytes(range(256)) * 4, bytes(60), bytes(300) + bytes(range(60))], 3),
        ([bytes(range(256)) * 4000], 63),  # one in 32 of 2,000
    ],
)
def test_windows_cover_the_blobs(blobs, count):
    found = windows(blobs)
    assert len(found) == count
    assert all(any(window in blob for blob in blobs) for window in found)


def test_a_trace_is_found_in_any_file(tmp_path):
    secret = bytes(range(200))
    (tmp_path / "empty").touch()
    (tmp_path / "clean").write_bytes(bytes(1000))
    assert scan(tmp_path, windows([secret]), nothing) == 1000
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(bytes(77) + secret[:20] + bytes(77))
    with pytest.raises(StoreError, match="still holds"):
        scan(tmp_path, windows([secret]), nothing)
    assert scan(tmp_path, windows([secret]), lambda trace: trace in secret) == 1174
    assert scan(tmp_path, (), nothing) == 1174
