"""Waiting searches are joined, and each gets its own answer."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gaitid.gallery.index.batching import Batcher


class Slow:
    """Answers a probe x with ids x, x + 1, ... when released; records the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.error: Exception | None = None

    def __call__(self, probes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        self.sizes.append(len(probes))
        self.begun.release()
        assert self.go_on.wait(10)
        if self.error:
            raise self.error
        ids = probes[:, :1].astype(np.int64) + np.arange(k)
        return ids, ids.astype(np.float64)


def ask(batcher: Batcher, answers: dict, n: int) -> threading.Thread:
    def run() -> None:
        try:
            answers[n] = batcher(np.full((1, 4), n, np.float32), 1 + n % 3)[0].tolist()
        except Exception as error:
            answers[n] = error

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for(batcher: Batcher, count: int) -> None:
    while len(batcher._waiting) < count:
        pass


@pytest.mark.parametrize(
    ("name", "waiting", "sizes"),
    [
        ("nobody", 0, [1]),
        ("one goes alone", 1, [1, 1]),
        ("three are no cheaper together", 3, [1, 1, 1, 1]),
        ("four are joined", 4, [1, 4]),
        ("so many at most", 40, [1, 32, 8]),
    ],
)
def test_waiting_searches_are_joined(name, waiting, sizes):
    slow = Slow()
    batcher, answers = Batcher(slow, 1), {}
    threads = [ask(batcher, answers, 0)]
    slow.begun.acquire()
    for n in range(1, waiting + 1):
        threads.append(ask(batcher, answers, n))
    wait_for(batcher, waiting)
    slow.go_on.set()
    for thread in threads:
        thread.join(10)
    assert slow.sizes == sizes
    assert answers == {n: [list(range(n, n + 1 + n % 3))] for n in range(waiting + 1)}
    assert batcher._free == 1


def test_a_search_with_a_free_core_does_not_wait():
    slow = Slow()
    batcher, answers = Batcher(slow, 2), {}
    threads = [ask(batcher, answers, n) for n in range(2)]
    for _ in threads:
        assert slow.begun.acquire(timeout=10)
    slow.go_on.set()
    for thread in threads:
        thread.join(10)
    assert slow.sizes == [1, 1]


def test_a_failure_reaches_the_whole_batch_and_no_other():
    slow = Slow()
    batcher, answers = Batcher(slow, 1), {}
    threads = [ask(batcher, answers, 0)]
    slow.begun.acquire()
    threads += [ask(batcher, answers, n) for n in range(1, 6)]
    wait_for(batcher, 5)
    slow.error = MemoryError()
    slow.go_on.set()
    for thread in threads:
        thread.join(10)
    assert all(isinstance(answers[n], MemoryError) for n in range(6))
    slow.error = None
    assert batcher(np.full((1, 4), 9, np.float32), 1)[0].tolist() == [[9]]
