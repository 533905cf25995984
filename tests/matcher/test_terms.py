"""Terms are kept, a hold keeps, and time ends what it should."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from gaitid.errors import InputError, SubjectHeld, SubjectNotFound
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.store.rows import Change
from gaitid.local import LocalMatcher
from gaitid.records import Fusion, Outcome, Terms
from gaitid.server import app
from tests.impostors import Ready, embedding

CONSENT = Terms("consent", "door of house 4", "form 2026-17", 2_000_000_000.0)


@pytest.fixture
def clock(monkeypatch):
    """The matcher's wall clock, to be set."""
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


def test_a_hold_keeps_a_subject_from_everybody_and_from_time(matcher, clock):
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
    assert matcher.describe("g").subjects == 2  # the hold was all that kept it
    matcher.delete_gallery("g")


def test_who_has_expired_is_in_no_answer_and_in_no_file(matcher, clock, tmp_path):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    matcher.set_terms("g", "zebra-bob", Terms(expires_at=1_900_000_200.0))
    clock[0] = 1_900_000_099.9
    assert matcher.identify("g", embedding(0)).subject == "zebra-ann"
    clock[0] = 1_900_000_100.0
    decision = matcher.identify("g", embedding(0))
    assert decision.outcome is Outcome.NO_MATCH
    assert sorted(c.subject for c in decision.candidates) == ["zebra-bob", "zebra-cyd"]
    content = everything(tmp_path)
    assert b"zebra-ann" not in content
    vector = embedding(0).vector.tobytes()
    assert not any(vector[at : at + 12] in content for at in range(0, len(vector) - 11, 12))
    clock[0] = math.nextafter(1_900_000_200.0, math.inf)
    with pytest.raises(SubjectNotFound):
        matcher.verify("g", "zebra-bob", embedding(1))
    (info,) = matcher.list_galleries()
    assert (info.subjects, info.revision) == (1, 7)


def test_time_that_ran_out_while_nobody_was_there_is_noticed_at_once(matcher, clock, tmp_path):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    matcher.close()
    clock[0] += 1e6
    again = LocalMatcher(Ready(), tmp_path)
    assert again.identify("g", embedding(0)).outcome is Outcome.NO_MATCH
    assert b"zebra-ann" not in everything(tmp_path)
    again.close()


def test_a_longer_term_can_be_agreed_in_time(matcher, clock):
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_100.0))
    matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_300.0))
    clock[0] += 200
    assert matcher.describe("g").subjects == 3
    clock[0] += 100
    assert matcher.describe("g").subjects == 2


def enrolled_anew(matcher: LocalMatcher) -> None:
    matcher.delete_subject("g", "zebra-ann")
    matcher.enrol("g", "zebra-ann", [embedding(0)])


@pytest.mark.parametrize(
    "change",
    [
        lambda matcher: matcher.set_terms("g", "zebra-ann", Terms(expires_at=1_900_000_300.0)),
        lambda matcher: matcher.set_terms("g", "zebra-ann", Terms()),
        lambda matcher: matcher.set_terms("g", "zebra-ann", Terms(legal_hold=True)),
        enrolled_anew,
    ],
    ids=["a longer term", "no term", "a hold", "enrolled anew"],
)
def test_what_is_agreed_while_an_expiry_is_under_way_holds(matcher, clock, monkeypatch, change):
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


def test_nobody_has_no_terms(matcher):
    with pytest.raises(SubjectNotFound):
        matcher.set_terms("g", "nobody", CONSENT)
    with pytest.raises(InputError):
        matcher.set_terms("g", "zebra-ann", "consent")
    assert matcher.describe("g").revision == 3
