"""One request_id, one change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gaitid.errors import MessageError
from gaitid.server import replay as module
from gaitid.server.replay import Digest, Replay
from gaitid.v1.gallery_service_pb2 import DeleteGalleryRequest, GetGalleryResponse

REQUEST = Digest(DeleteGalleryRequest(gallery="home")).value()


class Work:
    """Counts how often it runs."""

    def __init__(self):
        self.done = 0

    def __call__(self):
        self.done += 1
        return GetGalleryResponse()


def test_without_an_id_nothing_is_kept():
    replay, work = Replay(), Work()
    replay("", REQUEST, work)
    replay("", REQUEST, work)
    assert work.done == 2


def test_one_id_is_done_once():
    replay, work = Replay(), Work()
    assert replay("a", REQUEST, work) is replay("a", REQUEST, work)
    replay("b", REQUEST, work)
    assert work.done == 2


def test_another_body_is_refused():
    replay, work = Replay(), Work()
    replay("a", REQUEST, work)
    with pytest.raises(MessageError, match="another request"):
        replay("a", DeleteGalleryRequest(gallery="other"), work)
    assert work.done == 1


def test_an_answer_is_forgotten_after_a_day():
    now = [0.0]
    replay, work = Replay(lambda: now[0]), Work()
    replay("a", REQUEST, work)
    now[0] = module.KEEP_S - 1
    replay("a", REQUEST, work)
    assert work.done == 1
    now[0] = module.KEEP_S + 1
    replay("a", REQUEST, work)
    assert work.done == 2


def test_the_oldest_answer_goes_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWERS", 2)
    replay, work = Replay(), Work()
    for name in ("a", "b", "c"):
        replay(name, REQUEST, work)
    replay("c", REQUEST, work)
    assert work.done == 3
    replay("a", REQUEST, work)
    assert work.done == 4


def test_a_repeat_waits_for_the_work_under_way():
    replay, begun, go = Replay(), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go.wait(5)
        return GetGalleryResponse()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(replay, "a", REQUEST, slow)
        assert begun.wait(5)
        second = pool.submit(replay, "a", REQUEST, slow)
        go.set()
        assert first.result(5) is second.result(5)


def test_a_failure_is_not_kept():
    replay, work = Replay(), Work()

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        replay("a", REQUEST, fail)
    replay("a", REQUEST, work)
    assert work.done == 1
