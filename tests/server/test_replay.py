"""One request_id, one change."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gaitid.encoders.gei import GEI
from gaitid.errors import MessageError, StoreError
from gaitid.gallery.store.database import Store
from gaitid.local import LocalMatcher
from gaitid.records import Embedding
from gaitid.server import replay as module
from gaitid.server.replay import Digest, Replay
from gaitid.server.service import Service
from gaitid.v1.gallery_service_pb2 import DeleteGalleryRequest, GetGalleryResponse
from gaitid.v1.subject_service_pb2 import AddSamplesRequest, EnrolResponse
from gaitid.wire import pack_probe

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


def restarted(directory):
    """A replay over a data directory that is opened again, and the function that closes it."""
    store = Store(directory)
    return Replay(answers=store.answers), store.close


def test_an_answer_survives_a_restart(tmp_path):
    enrolled, work = EnrolResponse(enrolment={"subject": "zebra-ann", "templates": ["7"]}), Work()
    replay, close = restarted(tmp_path)
    assert replay("a", REQUEST, lambda: enrolled) == enrolled
    close()
    for path in tmp_path.iterdir():
        assert b"zebra-ann" not in path.read_bytes()
    replay, close = restarted(tmp_path)
    assert replay("a", REQUEST, work) == enrolled
    assert replay("a", REQUEST, work) == enrolled
    assert work.done == 0
    with pytest.raises(MessageError, match="another request"):
        replay("a", Digest(DeleteGalleryRequest(gallery="other")).value(), work)
    replay("b", REQUEST, work)
    assert work.done == 1
    close()
    replay, close = restarted(tmp_path)
    with pytest.raises(MessageError, match="another request"):
        replay("a", Digest(DeleteGalleryRequest(gallery="other")).value(), work)
    close()


def test_a_failed_change_is_not_kept_over_a_restart(tmp_path):
    replay, close = restarted(tmp_path)
    with pytest.raises(ZeroDivisionError):
        replay("a", REQUEST, lambda: 1 / 0)
    close()
    replay, close = restarted(tmp_path)
    work = Work()
    replay("a", REQUEST, work)
    assert work.done == 1
    close()


def test_kept_answers_are_forgotten_after_a_day_and_are_bounded(tmp_path, monkeypatch):
    now = [1.9e9]
    monkeypatch.setattr("gaitid.gallery.store.answers.time.time", lambda: now[0])
    monkeypatch.setattr("gaitid.gallery.store.answers.MAX_ANSWERS", 3)
    store = Store(tmp_path)
    for number in range(5):
        store.answers.keep(b"%d" % number, b"digest", b"answer")
    assert [store.answers.find(b"%d" % number) is not None for number in range(5)] == [False] * 2 + [True] * 3
    store.answers.keep(b"4", b"digest", b"newer")
    assert store.answers.find(b"4").answer == b"newer"
    now[0] += module.KEEP_S
    assert store.answers.find(b"4") is None
    store.answers.keep(b"9", b"digest", b"answer")
    with store._commits.mutex:
        assert store._db.execute("SELECT count(*) FROM answers").fetchone() == (1,)
    store.close()


def test_an_answer_that_cannot_be_kept_is_given(tmp_path, monkeypatch, caplog):
    store = Store(tmp_path)

    def fail(*_):
        raise StoreError("full")

    monkeypatch.setattr(store.answers, "keep", fail)
    work = Work()
    replay = Replay(answers=store.answers)
    replay("a", REQUEST, work)
    replay("a", REQUEST, work)
    assert work.done == 1
    assert "is not kept over a restart: STORE_ERROR" in caplog.text
    store.close()


def test_samples_are_not_added_twice_by_a_retry_after_a_restart(tmp_path):
    vector = np.zeros(GEI.dimension, np.float32)
    vector[0] = 1
    samples = [pack_probe(Embedding(vector, GEI.contract))]
    request = AddSamplesRequest(gallery="home", subject="ada", samples=samples, request_id="a")
    answers = []
    for turn in range(2):
        matcher = LocalMatcher(GEI(), tmp_path, index="exact")
        if not turn:
            matcher.create_gallery("home")
            matcher.enrol("home", "ada", [Embedding(vector, GEI.contract)])
        answers.append(Service(matcher, matcher.answers).AddSamples(request))
        assert matcher.describe("home").templates == 2
        matcher.close()
    assert answers[0] == answers[1]
