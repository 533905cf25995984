"""Terms are stored, legal holds prevent deletion, and expired subjects are erased."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gaitid import registry
from gaitid.errors import InputError, SubjectExists, SubjectHeld, SubjectNotFound
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.store.rows import Change, EnrolmentSample
from gaitid.local import LocalMatcher
from gaitid.records import Fusion, OperatingPoint, Origin, Outcome, Terms
from gaitid.server import app
from tests.impostors import Ready, embedding

CONSENT = Terms("consent", "front door 4", "form 2026-17", 2_000_000_000.0)


@pytest.fixture
def clock(monkeypatch):
    """A settable wall clock of the matcher."""
    times = [1_900_000_000.0]
    monkeypatch.setattr("gaitid.local.time.time", lambda: times[0])
    return times


@pytest.fixture(params=list(Fusion))
def matcher(tmp_path, request, clock):
    made = LocalMatcher(Ready(), tmp_path)
    made.create_gallery("g", fusion=request.param)
    for n, name in enumerate(("zebra-ann", "zebra-bob", "zebra-cyd")):
        made.enrol("g", name, [embedding(n)])
    yield made
    made.close()


def everything(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def terms(matcher: LocalMatcher) -> list[Terms]:
    return [info.terms for info in matcher.list_subjects("g")]


def test_terms_are_kept_over_a_restart_and_replaced_as_a_whole(matcher, tmp_path):
    assert terms(matcher) == [Terms()] * 3
    assert matcher.set_terms("g", "zebra-bob", CONSENT) == 4
    assert matcher.set_terms("g", "zebra-cyd", Terms(legal_hold=True)) == 5
    assert terms(matcher) == [Terms(), CONSENT, Terms(legal_hold=True)]
    assert matcher.export_subject("g", "zebra-bob").terms == CONSENT
    matcher.close()
    again = LocalMatcher(Ready(), tmp_path)
    assert terms(again) == [Terms(), CONSENT, Terms(legal_hold=True)]
    again.set_terms("g", "zebra-bob", Terms(purpose="tests"))
    assert terms(again)[1] == Terms(purpose="tests")
    again.close()


def test_a_legal_hold_prevents_deletion_and_expiry(matcher, clock):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0, legal_hold=True))
    for act in (
        lambda: matcher.delete_subject("g", "zebra-ann"),
        lambda: matcher.erase_subject("g", "zebra-ann"),
        lambda: matcher.delete_gallery("g"),
    ):
        with pytest.raises(SubjectHeld, match="zebra-ann"):
            act()
    clock[0] += 1e6
    assert matcher.identify("g", embedding(0)).subject == "zebra-ann"
    assert matcher.describe("g").revision == 4
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    assert matcher.describe("g").subjects == 2  # only the hold kept it
    matcher.delete_gallery("g")


def is_erased(directory: Path) -> bool:
    """Whether no file contains zebra-ann, who is enrolled with embedding 0."""
    content, vector = everything(directory), embedding(0).vector.tobytes()
    return b"zebra-ann" not in content and not any(
        vector[at : at + 12] in content for at in range(0, len(vector) - 11, 12)
    )


def test_an_expired_subject_is_in_no_answer_before_it_is_erased(matcher, clock, tmp_path):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    clock[0] = math.nextafter(1_900_000_100.0, 0.0)
    assert matcher.identify("g", embedding(0)).subject == "zebra-ann"
    clock[0] = 1_900_000_100.0
    decision = matcher.identify("g", embedding(0), max_candidates=2)
    assert decision.outcome is Outcome.NO_MATCH
    assert sorted(c.subject for c in decision.candidates) == ["zebra-bob", "zebra-cyd"]
    assert [info.id for info in matcher.list_subjects("g")] == ["zebra-bob", "zebra-cyd"]
    (info,) = matcher.list_galleries()
    assert (info.subjects, info.templates, info.revision) == (2, 2, 4)
    assert matcher.describe("g") == info
    for ask in (
        lambda: matcher.verify("g", "zebra-ann", embedding(0)),
        lambda: matcher.export_subject("g", "zebra-ann"),
        lambda: matcher.list_audit(gallery="g", subject="zebra-ann"),
    ):
        with pytest.raises(SubjectNotFound):
            ask()
    assert not is_erased(tmp_path)  # no getter erases
    assert "expire_subject" not in [entry.action for entry in matcher.list_audit()]


def test_a_gallery_whose_subjects_have_all_expired_answers_as_an_empty_one(matcher, clock):
    for name in ("zebra-ann", "zebra-bob", "zebra-cyd"):
        matcher.set_terms("g", name, Terms(expires_at=1_900_000_100.0))
    clock[0] += 100
    decision = matcher.identify("g", embedding(0))
    assert (decision.outcome, decision.candidates) == (Outcome.EMPTY_GALLERY, ())


@pytest.mark.parametrize("index", registry.names("indexes"))
def test_expired_subjects_do_not_take_the_place_of_others(clock, tmp_path, index):
    matcher = LocalMatcher(Ready(), tmp_path, index=index)
    matcher.create_gallery("g")
    matcher.enrol_many("g", {f"s{n:03}": [embedding(0)] * 8 for n in range(200)})
    for n in range(190):
        matcher.set_terms("g", f"s{n:03}", Terms(expires_at=1_900_000_100.0))
    clock[0] += 100
    found = matcher.identify("g", embedding(0), max_candidates=20).candidates
    assert [candidate.subject for candidate in found] == [f"s{n}" for n in range(190, 200)]
    matcher.close()


def test_an_enrolment_is_not_compared_with_expired_subjects(matcher, clock):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    held = matcher._galleries["g"]
    sample = EnrolmentSample(embedding(0).vector, None, Origin())
    assert [w.subject for w in held.suspicions("zebra-eve", [(0, sample)])] == ["zebra-ann"]
    clock[0] += 100
    assert held.suspicions("zebra-eve", [(0, sample)]) == ()


ERASE = {
    "expire": lambda matcher: matcher.expire(),
    "enrol": lambda matcher: matcher.enrol("g", "zebra-dan", [embedding(7)]),
    "enrol_many": lambda matcher: matcher.enrol_many("g", {"zebra-dan": [embedding(7)]}),
    "add_samples": lambda matcher: matcher.add_samples("g", "zebra-bob", [embedding(8)]),
    "delete_subject": lambda matcher: matcher.delete_subject("g", "zebra-bob"),
    "erase_subject": lambda matcher: matcher.erase_subject("g", "zebra-bob"),
    "set_terms": lambda matcher: matcher.set_terms("g", "zebra-bob", CONSENT),
    "set_operating_point": lambda matcher: matcher.set_operating_point("g", OperatingPoint(0.5)),
    "delete_gallery": lambda matcher: matcher.delete_gallery("g"),
}


@pytest.mark.parametrize("erase", ERASE.values(), ids=ERASE)
def test_expired_subjects_are_erased_by_expire_and_by_changes(matcher, clock, tmp_path, erase):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    clock[0] += 100
    erase(matcher)
    assert is_erased(tmp_path)
    expiries = [entry for entry in matcher.list_audit() if entry.action == "expire_subject"]
    assert [(entry.actor, entry.count) for entry in expiries] == [("gaitid", 1)]


@pytest.mark.parametrize("many", [False, True])
def test_the_name_of_an_expired_subject_can_be_enrolled_before_it_is_erased(matcher, clock, tmp_path, many):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    clock[0] += 100
    held = matcher._galleries["g"]
    held.require_new("zebra-ann")
    if many:
        change = held.add_subjects({"zebra-dan": [embedding(4).vector], "zebra-ann": [embedding(5).vector]})
    else:
        change = held.add_subject("zebra-ann", [EnrolmentSample(embedding(5).vector, None, Origin())])
    assert (change.revision, change.expired) == (5, ("zebra-ann",))
    assert matcher.describe("g").subjects == 3 + many
    assert matcher.identify("g", embedding(5)).subject == "zebra-ann"
    assert matcher.identify("g", embedding(0)).outcome is Outcome.NO_MATCH
    vector = embedding(0).vector.tobytes()
    content = everything(tmp_path)
    assert not any(vector[at : at + 12] in content for at in range(0, len(vector) - 11, 12))
    expiry, *enrolments = matcher.list_audit(after=5)[: 2 + many]
    assert (expiry.action, expiry.actor, expiry.revision) == ("expire_subject", "gaitid", 5) or many
    assert {entry.action for entry in enrolments} <= {"enrol", "expire_subject"}
    (info,) = [info for info in matcher.list_subjects("g") if info.id == "zebra-ann"]
    assert (info.terms, info.templates) == (Terms(), tuple(map(str, change.ids[-1:])))
    clock[0] -= 100  # the old subject does not come back
    assert matcher.describe("g").subjects == 3 + many


def test_a_change_of_an_expired_subject_is_refused(matcher, clock):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    clock[0] += 100
    held = matcher._galleries["g"]  # without the expiry that the matcher runs first
    sample = EnrolmentSample(embedding(5).vector, None, Origin())
    for change in (
        lambda: held.add_templates("zebra-ann", [sample]),
        lambda: held.set_terms("zebra-ann", Terms()),
    ):
        with pytest.raises(SubjectNotFound):
            change()
    assert matcher.describe("g").revision == 4


def test_an_expiry_while_the_directory_was_closed_is_made_up_at_opening(matcher, clock, tmp_path):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    matcher.close()
    clock[0] += 8e4
    again = LocalMatcher(Ready(), tmp_path)
    assert is_erased(tmp_path)
    assert again.identify("g", embedding(0)).outcome is Outcome.NO_MATCH
    again.close()


def test_an_expiry_that_fails_at_opening_is_logged_and_does_not_prevent_it(matcher, clock, tmp_path, caplog):
    for name in ("zebra-ann", "zebra-bob"):
        matcher.set_terms("g", name, Terms(expires_at=1_900_000_100.0))
    matcher.close()
    clock[0] += 100
    with closing(sqlite3.connect(tmp_path / "gaitid.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM subjects").fetchone()  # while it lasts, no log can be emptied
        again = LocalMatcher(Ready(), tmp_path)
        assert "expired subjects could not be erased at opening: STORE_ERROR" in caplog.text
        assert [info.id for info in again.list_subjects("g")] == ["zebra-cyd"]
    again.expire()
    again.close()
    assert is_erased(tmp_path)


def test_a_backup_has_no_expired_subject(clock, tmp_path):
    matcher = LocalMatcher(Ready(), tmp_path / "data", backups=tmp_path / "backups")
    matcher.create_gallery("g")
    matcher.enrol("g", "zebra-ann", [embedding(0)])
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    clock[0] += 100
    assert matcher.back_up().subjects == 0
    assert b"zebra-ann" not in b"".join(p.read_bytes() for p in (tmp_path / "backups").rglob("gaitid.db"))
    matcher.close()


def test_a_longer_term_can_be_agreed_in_time(matcher, clock):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_300.0))
    clock[0] += 200
    assert matcher.describe("g").subjects == 3
    clock[0] += 100
    assert matcher.describe("g").subjects == 2


def enrolled_again(matcher: LocalMatcher) -> None:
    matcher.delete_subject("g", "zebra-ann")
    matcher.enrol("g", "zebra-ann", [embedding(0)])


@pytest.mark.parametrize(
    "change",
    [
        lambda matcher: matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_300.0)),
        lambda matcher: matcher.set_terms("g", "zebra-ann", Terms()),
        lambda matcher: matcher.set_terms("g", "zebra-ann", Terms(legal_hold=True)),
        enrolled_again,
    ],
    ids=["a longer term", "no term", "a hold", "enrolled again"],
)
def test_terms_that_change_during_an_expiry_apply(matcher, clock, monkeypatch, change):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    delete = Gallery.delete_subject

    def late(gallery: Gallery, *args: object) -> Change:
        monkeypatch.setattr(Gallery, "delete_subject", delete)
        clock[0] -= 200
        change(matcher)
        clock[0] += 200
        return delete(gallery, *args)

    monkeypatch.setattr(Gallery, "delete_subject", late)
    clock[0] += 200
    matcher.expire()
    assert matcher.identify("g", embedding(0)).subject == "zebra-ann"
    assert matcher.describe("g").subjects == 3


def test_a_server_erases_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "EXPIRY_S", 0.02)
    held = LocalMatcher(Ready(), tmp_path)
    held.create_gallery("g")
    held.enrol("g", "zebra-ann", [embedding(0)])
    held.set_terms("g", "zebra-ann", Terms(expires_at=1.0))
    with app.running(app.ServerSettings("127.0.0.1:0", shutdown_grace_s=1.0), held):
        for _ in range(500):
            if b"zebra-ann" not in everything(tmp_path):
                break
            time.sleep(0.01)
    assert b"zebra-ann" not in everything(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {"legal_basis": "x" * 257},
        {"purpose": "two\nlines"},
        {"reference": None},
        {"expires_at": -1.0},
        {"expires_at": math.nan},
        {"expires_at": math.inf},
    ],
    ids=str,
)
def test_malformed_terms_are_refused(fields):
    with pytest.raises(InputError):
        Terms(**fields)


def test_an_unknown_subject_has_no_terms(matcher):
    with pytest.raises(SubjectNotFound):
        matcher.set_terms("g", "nobody", CONSENT)
    with pytest.raises(InputError):
        matcher.set_terms("g", "zebra-ann", "consent")
    assert matcher.describe("g").revision == 3


DAY = 86_400.0


def test_a_clock_that_jumps_for_a_moment_erases_nobody(matcher, clock, tmp_path, caplog):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=clock[0] + 365 * DAY))
    clock[0] += 400 * DAY
    assert [info.id for info in matcher.list_subjects("g")] == ["zebra-bob", "zebra-cyd"]
    for act in (
        matcher.expire,
        lambda: matcher.set_terms("g", "zebra-bob", Terms(purpose="tests")),  # erases what has expired, too
        matcher.expire,  # the trail has an entry of this time now
    ):
        act()
    with pytest.raises(SubjectExists):
        matcher.enrol("g", "zebra-ann", [embedding(7)])
    assert caplog.text.count("ahead of the audit trail") == 1
    matcher.close()
    again = LocalMatcher(Ready(), tmp_path)  # an opening erases, too
    clock[0] -= 400 * DAY
    assert again.verify("g", "zebra-ann", embedding(0)).subject == "zebra-ann"
    again.close()


def test_a_time_that_the_trail_has_known_for_an_hour_is_trusted(matcher, clock, tmp_path):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=clock[0] + 10 * DAY))
    clock[0] += 30 * DAY  # a hub that was off for a month
    matcher.set_terms("g", "zebra-bob", Terms(purpose="tests"))
    assert not is_erased(tmp_path)
    clock[0] += 3601
    matcher.expire()
    assert is_erased(tmp_path)


def test_a_process_that_runs_for_an_hour_trusts_its_clock(matcher, clock, tmp_path, monkeypatch):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=clock[0] + 10 * DAY))
    begun = time.monotonic()
    clock[0] += 11 * DAY  # without a single call
    monkeypatch.setattr("gaitid.gallery.store.clock.time.monotonic", lambda: begun + 11 * DAY)
    matcher.expire()
    assert is_erased(tmp_path)
