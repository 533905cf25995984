"""Every action of a matcher is recorded, with figures that reveal nothing about anybody."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from gaitid.caller import calling
from gaitid.errors import DecisionNotFound, InputError, SubjectHeld, SubjectNotFound
from gaitid.gallery.care import identity
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.database import DATABASE
from gaitid.gallery.store.keys import KeyRing
from gaitid.local import LocalMatcher
from gaitid.records import AuditAction, OperatingPoint, Outcome, Terms, Verdict
from tests.impostors import Ready, embedding

POINT = OperatingPoint(0.5, 0.1, margin=0.01)


@pytest.fixture
def names():
    """Names of the keys; the last one is active after a rotation."""
    return ["a"]


@pytest.fixture
def matcher(tmp_path, names):
    ring = KeyRing(lambda: {name: bytes(32) for name in names})
    made = LocalMatcher(Ready(), tmp_path / "data", keys=ring, backups=tmp_path)
    yield made
    made.close()


def test_every_action_is_recorded(matcher, monkeypatch):
    now = time.time()
    with calling("tests", actor="ann"):
        matcher.create_gallery("g", operating_point=POINT)
        for n in range(50):
            matcher.enrol("g", f"zebra-{n}", [embedding(n), embedding(100 + n)], check="off")
        matcher.add_samples("g", "zebra-1", [embedding(200)], check="off")
        matcher.set_terms("g", "zebra-1", Terms("consent", "door", "form 7", 4e9))
        match = matcher.identify("g", embedding(1))
        stranger = matcher.identify("g", embedding(999), operating_point=OperatingPoint(0.99))
        claimed = matcher.verify("g", "zebra-2", embedding(1))
        matcher.calibrate("g")
        matcher.set_operating_point("g", OperatingPoint(fpir=0.01))
        matcher.export_subject("g", "zebra-1")
        matcher.review("g", match.audit_id, Verdict.CONFIRMED)
        matcher.erase_subject("g", "zebra-1")
        matcher.delete_subject("g", "zebra-2")
        matcher.set_terms("g", "zebra-3", Terms(expires_at=now + 100))
        matcher.normalise("g", [embedding(1000 + n) for n in range(100)], fpir=0.5)
        matcher.stop_normalising("g")
        matcher.set_profiles("g", True)
        matcher.learn_camera("g", "gate", [embedding(2000 + n) for n in range(3)])
        matcher.forget_camera("g", "gate")
        matcher.renew_templates("g")
        matcher.rotate_keys()
        matcher.back_up()
        matcher.record_refusal("Enrol", 0)
    monkeypatch.setattr("gaitid.local.time.time", lambda: now + 101)
    with calling("tests", actor="ann"):
        matcher.describe("g")
        matcher.delete_gallery("g")
    found = matcher.list_audit()
    assert {entry.action for entry in found} == {action.value for action in AuditAction}
    own = [entry.action for entry in found if entry.actor == "gaitid"]
    assert (own.count("expire_subject"), set(own)) == (1, {"expire_subject", "learn_camera"})
    assert {(e.actor, e.purpose) for e in found if e.actor != "gaitid"} == {("ann", "tests")}
    of = {entry.action: entry for entry in found}
    pseudonyms = [entry.subject for entry in found if entry.action == "enrol"]
    assert len(set(pseudonyms)) == 50
    assert all(len(bytes.fromhex(pseudonym)) == 16 for pseudonym in pseudonyms)
    for action in ("add_samples", "export_subject", "review", "erase_subject"):
        assert of[action].subject == pseudonyms[1], action
    searches = [entry for entry in found if entry.action == "identify"]
    assert match.outcome is Outcome.MATCH
    assert [e.subject for e in searches] == [pseudonyms[1], ""]  # a stranger is nobody
    assert [e.outcome for e in searches] == ["match", "no_match"]
    assert [e.count for e in searches] == [5, 5]
    assert [e.detail for e in searches] == [
        "threshold 0.5000, review band 0.1, margin 0.01",
        "threshold 0.9900",
    ]
    assert [e.reference for e in searches] == [match.audit_id, stranger.audit_id]
    assert (of["verify"].subject, of["verify"].reference) == (pseudonyms[2], claimed.audit_id)
    assert (of["enrol"].count, of["add_samples"].count, of["delete_gallery"].count) == (2, 1, 47)
    assert of["calibrate"].count > 1000
    assert of["normalise"].count == 100
    assert of["normalise"].detail.startswith("fpir 0.5, found 0.")
    assert (of["renew_templates"].count, of["renew_templates"].gallery) == (96, "g")
    assert of["set_operating_point"].detail == "threshold 1.0000, fpir 0.01"
    revisions = [of[name].revision for name in ("add_samples", "erase_subject", "delete_gallery")]
    assert revisions == [51, 55, 65]
    text = json.dumps([asdict(entry) | {"hash": ""} for entry in found])
    assert "zebra" not in text
    assert "form 7" not in text
    assert "score" not in text
    assert matcher.verify_audit().number == len(found)


def test_refused_calls_and_reads_are_not_recorded(matcher):
    matcher.create_gallery("g")
    matcher.enrol("g", "ann", [embedding(1)])
    matcher.set_terms("g", "ann", Terms(legal_hold=True))
    for act, error in (
        (lambda: matcher.delete_subject("g", "ann"), SubjectHeld),
        (lambda: matcher.erase_subject("g", "ann"), SubjectHeld),
        (lambda: matcher.delete_gallery("g"), SubjectHeld),
        (lambda: matcher.verify("g", "bob", embedding(1)), SubjectNotFound),
        (lambda: matcher.export_subject("g", "bob"), SubjectNotFound),
    ):
        with pytest.raises(error):
            act()
    matcher.describe("g")
    matcher.list_galleries()
    matcher.list_subjects("g")
    matcher.info()
    assert [entry.action for entry in matcher.list_audit()] == ["create_gallery", "enrol", "set_terms"]


LONG_ACTS = {
    "backup": lambda matcher: matcher.back_up(),
    "rotation": lambda matcher: matcher.rotate_keys(),
    "renewal": lambda matcher: matcher.renew_templates("g"),
}


def traces(tmp_path: Path) -> object:
    """What an interrupted action may leave: backups, names of keys, numbers of projections."""
    db = sqlite3.connect(tmp_path / "data" / DATABASE)
    rows = [
        db.execute(f"SELECT {what}").fetchall() for what in ("key_name FROM subjects", "* FROM projections")
    ]
    db.close()
    return rows, sorted(tmp_path.glob("gaitid-*"))


@pytest.mark.parametrize("act", LONG_ACTS.values(), ids=LONG_ACTS)
def test_a_change_that_cannot_be_recorded_is_not_made(matcher, names, tmp_path, act):
    matcher.create_gallery("g")
    matcher.enrol("g", "zebra-1", [embedding(1)])
    names.append("b")
    before = traces(tmp_path)
    with calling("for zebra-1"), pytest.raises(InputError, match="Purpose"):
        act(matcher)
    assert traces(tmp_path) == before
    matcher.enrol("g", "zebra-2", [embedding(2)], check="off")
    assert {key for (key,) in traces(tmp_path)[0][0]} == {"a"}


def test_an_opening_that_cannot_be_recorded_encrypts_nothing(tmp_path):
    matcher = LocalMatcher(Ready(), tmp_path / "data")
    matcher.create_gallery("g")
    matcher.enrol("g", "zebra-1", [embedding(1)])
    matcher.close()
    ring = KeyRing(lambda: {"a": bytes(32)})
    with calling("for zebra-1"), pytest.raises(InputError, match="Purpose"):
        LocalMatcher(Ready(), tmp_path / "data", keys=ring)
    assert traces(tmp_path)[0][0] == [(None,)]
    with calling("for all"):
        LocalMatcher(Ready(), tmp_path / "data", keys=ring).close()
    assert traces(tmp_path)[0][0] == [("a",)]


@pytest.mark.parametrize("act", LONG_ACTS.values(), ids=LONG_ACTS)
def test_who_is_enrolled_meanwhile_does_not_end_it(matcher, names, monkeypatch, act):
    matcher.create_gallery("g")
    matcher.enrol("g", "ann", [embedding(1)])
    refused = []

    def enrol(point: str) -> None:
        if point in ("before backup rename", "between rotation commits", "between renewal commits"):
            monkeypatch.setattr(failpoints, "armed", None)
            with calling("of somebody else"), pytest.raises(InputError, match="zebra-9"):
                matcher.enrol("g", "zebra-9", [embedding(2)], check="off")
            refused.append(point)

    monkeypatch.setattr(failpoints, "armed", enrol)
    names.append("b")
    with calling("where is zebra-9"):
        act(matcher)
    assert matcher.list_audit()[-1].purpose == "where is zebra-9"
    assert refused


def test_a_backup_is_recorded_when_it_exists(tmp_path):
    matcher = LocalMatcher(Ready(), tmp_path / "data", backups=tmp_path, audit_within_s=60.0)
    matcher.back_up()
    db = sqlite3.connect(tmp_path / "data" / DATABASE)
    assert db.execute("SELECT action FROM audit").fetchall() == [("back_up",)]
    db.close()
    matcher.close()


def test_searches_without_a_result_are_recorded(matcher):
    matcher.create_gallery("g")
    assert matcher.identify("g", embedding(1)).outcome is Outcome.EMPTY_GALLERY
    entry = matcher.list_audit()[-1]
    assert (entry.action, entry.outcome, entry.count, entry.subject) == ("identify", "empty_gallery", 0, "")


def test_entries_are_listed_by_place_gallery_and_subject(matcher):
    assert matcher.list_audit() == []
    for gallery in ("g", "h"):
        matcher.create_gallery(gallery)
        for name in ("ann", "bob"):
            matcher.enrol(gallery, name, [embedding(len(name))], check="off")
    matcher.verify("g", "ann", embedding(1))
    assert [entry.number for entry in matcher.list_audit(2, count=3)] == [3, 4, 5]
    assert [entry.number for entry in matcher.list_audit(gallery="h")] == [4, 5, 6]
    assert [entry.action for entry in matcher.list_audit(gallery="g", subject="ann")] == ["enrol", "verify"]
    assert matcher.list_audit(7) == []
    matcher.delete_gallery("h")
    assert [entry.number for entry in matcher.list_audit(gallery="h")] == [4, 5, 6, 8]
    for bad in ({"count": 0}, {"after": -1}, {"after": 2**63}, {"count": True}, {"gallery": "a b"}):
        with pytest.raises(InputError):
            matcher.list_audit(**bad)
    with pytest.raises(InputError):
        matcher.list_audit(subject="ann")
    with pytest.raises(SubjectNotFound):
        matcher.list_audit(gallery="g", subject="eve")


def test_a_head_is_signed_by_the_directory(matcher, tmp_path):
    empty = matcher.verify_audit()
    identity.check(empty)
    assert (empty.number, empty.hash) == (0, bytes(32))
    matcher.create_gallery("g")
    head = matcher.verify_audit()
    identity.check(head)
    assert (head.number, head.hash) == (1, matcher.list_audit()[0].hash)
    assert head.public_key == empty.public_key


@pytest.mark.parametrize("audit_id", ["", "0" * 15, "0" * 17, "G" * 16, None, 5])
def test_a_malformed_reference_is_refused(matcher, audit_id):
    matcher.create_gallery("g")
    with pytest.raises(InputError, match="audit_id"):
        matcher.review("g", audit_id, Verdict.CONFIRMED)
    with pytest.raises(DecisionNotFound):
        matcher.review("g", "0" * 16, Verdict.CONFIRMED)


def test_pseudonyms_survive_restarts(matcher, tmp_path):
    matcher.create_gallery("g")
    matcher.enrol("g", "ann", [embedding(1)])
    matcher.close()
    again = LocalMatcher(Ready(), tmp_path / "data", keys=KeyRing(lambda: {"a": bytes(32)}))
    again.identify("g", embedding(1))
    enrolment, search = again.list_audit(gallery="g", subject="ann")
    assert (enrolment.action, search.action, search.outcome) == ("enrol", "identify", "match")
    again.close()
