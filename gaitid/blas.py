"""Keeps numpy's matrix products on the thread that asks for them.

On a busy machine a product that is split over threads waits for the slowest of them, and its threads spin
meanwhile (benchmarks/busy.py). Several calls at a time use the cores better.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_held = 0
_before: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit numpy's BLAS to one thread within this context, in the whole process.

    Contexts may overlap in any number of threads. The first to begin sets the limit, and the last to end
    restores the number of threads that was set before. Environment variables do not matter.
    """
    _begin()
    try:
        yield
    finally:
        _end()


def _begin() -> None:
    global _held, _before
    with _lock:
        if not _held:
            _before = [library.num_threads for library in _libraries()]
            _set([1] * len(_before))
        _held += 1


def _end() -> None:
    global _held
    with _lock:
        _held -= 1
        if not _held:
            _set(_before)


def _set(numbers: list[int]) -> None:
    for library, number in zip(_libraries(), numbers, strict=True):
        # threadpoolctl 3.7 ignores all threads but the first that sets a number, until that one lets go.
        let_go = getattr(library, "clear_controlling_thread", lambda force: None)
        let_go(force=True)
        library.set_num_threads(number)
        let_go(force=True)


@cache
def _libraries() -> list[Any]:
    """Controllers of the BLAS libraries in this process that share threads; a scan takes a millisecond."""
    # FAISS's own BLAS takes its number from OpenMP, which has one for each thread; FAISS sets it.
    return [
        library
        for library in ThreadpoolController().lib_controllers
        if library.user_api == "blas" and getattr(library, "threading_layer", "") != "openmp"
    ]
