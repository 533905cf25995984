"""The local and the remote matcher give equal answers and raise equal errors."""

from __future__ import annotations

import contextlib
import inspect
from dataclasses import replace

import numpy as np
import pytest
from congruent import check, outcome, vector, walk

from gaitid import errors
from gaitid.caller import calling
from gaitid.encoders.gei import GEI
from gaitid.gallery.store.keys import append_key
from gaitid.local import LocalMatcher
from gaitid.matcher import Matcher
from gaitid.records import (
    Embedding,
    EnrolmentCheck,
    Fusion,
    GaitSequence,
    OperatingPoint,
    Outcome,
    Terms,
    Verdict,
)
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running

SKELETONS = GaitSequence({"skeleton": np.zeros((20, 17, 3), np.float32)}, np.arange(20.0))
TERMS = [Terms("consent", "door", "form 7", 4e9), Terms(legal_hold=True), Terms(expires_at=1.0), Terms()]
POINT = OperatingPoint(0.5, 0.2)


def test_both_are_matchers():
    for name, method in inspect.getmembers(Matcher, inspect.isfunction):
        if not name.startswith("_"):
            wanted = inspect.signature(method)
            for kind in (LocalMatcher, RemoteMatcher):
                assert inspect.signature(getattr(kind, name)) == wanted, (kind, name)


def test_empty_galleries_agree(pair):
    check(pair, "info")
    check(pair, "list_galleries")
    check(pair, "create_gallery", "home")
    check(pair, "create_gallery", "other", operating_point=POINT)
    for probe in (vector(0), walk(0), walk(0, track=1)):
        check(pair, "identify", "home", probe)
    check(pair, "list_subjects", "home")
    check(pair, "list_galleries")


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_agree(pair, seed):
    rng = np.random.default_rng(seed)
    names = ["ada", "bob", "cid", "dan"]
    galleries = ["home", "gate"]

    def probe():
        number = int(rng.integers(0, 600))
        if rng.random() < 0.7:
            return vector(number % 7) if rng.random() < 0.5 else vector(number)
        return walk(number, frames=int(rng.integers(5, 20)), track=int(rng.integers(0, 3)))

    def rule():
        threshold, band, margin = (float(rng.uniform(*span)) for span in ((-1, 1), (0, 1), (0, 0.2)))
        kinds = [
            None,
            OperatingPoint(threshold, band),
            OperatingPoint(threshold, band, margin=margin, max_matches=int(rng.integers(0, 3))),
            OperatingPoint(fpir=0.05),
        ]
        return kinds[rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])]

    def choice(kind):
        return list(kind)[rng.integers(len(kind))]

    seen = set()
    check(pair, "create_gallery", "home")
    for _ in range(60):
        gallery, subject = str(rng.choice(galleries)), str(rng.choice(names))
        samples = [probe() for _ in range(rng.integers(1, 4))]
        steps = {
            "create_gallery": (
                (gallery,),
                {
                    "operating_point": rule(),
                    "fusion": choice(Fusion),
                    "profiles": bool(rng.random() < 0.8),
                },
            ),
            "calibrate": ((gallery, [vector(n) for n in range(int(rng.integers(0, 3)) * 300)]), {}),
            "set_operating_point": ((gallery, rule() or OperatingPoint(fmr=0.01)), {}),
            "describe": ((gallery,), {}),
            "enrol": ((gallery, subject, samples), {"check": choice(EnrolmentCheck)}),
            "add_samples": ((gallery, subject, samples), {"check": choice(EnrolmentCheck)}),
            "list_subjects": ((gallery,), {}),
            "identify": (
                (gallery, samples[0]),
                {"max_candidates": int(rng.integers(0, 5)), "operating_point": rule()},
            ),
            "verify": ((gallery, subject, samples[0]), {"operating_point": rule()}),
            "delete_subject": ((gallery, subject), {}),
            "set_terms": ((gallery, subject, choice(TERMS)), {}),
            "erase_subject": ((gallery, subject), {}),
            "export_subject": ((gallery, subject), {}),
            "delete_gallery": ((gallery,), {}),
            "embed": ((walk(int(rng.integers(0, 600))),), {}),
            "normalise": ((gallery, [vector(n) for n in range(int(rng.integers(0, 3)) * 60)]), {"fpir": 0.5}),
            "stop_normalising": ((gallery,), {}),
            "renew_templates": ((gallery,), {}),
            "set_profiles": ((gallery, bool(rng.random() < 0.8)), {}),
            "learn_camera": (
                (gallery, "gate", [probe() for _ in range(int(rng.integers(0, 6)))]),
                {"direction": str(rng.choice(["", "left"]))},
            ),
            "cameras": ((gallery,), {}),
            "forget_camera": ((gallery, str(rng.choice(["gate", "door"]))), {}),
        }
        shares = [0.1, 0.05, 0.04, 0.04, 0.2, 0.1, 0.03, 0.11, 0.05, 0.03, 0.04, 0.03, 0.03, 0.02, 0.02]
        shares += [0.01, 0.01, 0.02, 0.01, 0.03, 0.02, 0.01]
        name = str(rng.choice(list(steps), p=shares))
        arguments, options = steps[name]
        with calling(purpose=str(rng.choice(["", "door 4", "100 % Haust\u00fcr"]))):
            check(pair, name, *arguments, **options)
        seen.add(name)
    assert len(seen) > 6
    assert check(pair, "list_audit")
    for gallery in galleries:
        check(pair, "list_audit", 3, count=4, gallery=gallery)
        check(pair, "list_audit", gallery=gallery, subject="ada")
    assert check(pair, "verify_audit")[1][0][1] > 5
    for gallery in galleries:
        check(pair, "describe", gallery)
        check(pair, "list_subjects", gallery)


# name: (call, arguments, expected error)
ERRORS = {
    "gallery taken": ("create_gallery", ("home",), errors.GalleryExists),
    "gallery name empty": ("create_gallery", ("",), errors.InputError),
    "gallery name with a slash": ("create_gallery", ("a/b",), errors.InputError),
    "gallery name too long": ("create_gallery", ("a" * 129,), errors.InputError),
    "describe unknown": ("describe", ("none",), errors.GalleryNotFound),
    "describe umlaut": ("describe", ("h\u00f6me",), errors.InputError),
    "delete unknown": ("delete_gallery", ("none",), errors.GalleryNotFound),
    "list unknown": ("list_subjects", ("none",), errors.GalleryNotFound),
    "enrol in unknown": ("enrol", ("none", "eve", [vector(0)]), errors.GalleryNotFound),
    "enrol twice": ("enrol", ("home", "ada", [vector(0)]), errors.SubjectExists),
    "enrol nobody": ("enrol", ("home", "", [vector(0)]), errors.InputError),
    "enrol nothing": ("enrol", ("home", "eve", []), errors.InputError),
    "enrol a bare sequence": ("enrol", ("home", "eve", walk(1)), errors.InputError),
    "enrol poor": ("enrol", ("home", "eve", [walk(1, track=1), walk(2, track=2)]), errors.EnrolmentRejected),
    "enrol short": ("enrol", ("home", "eve", [walk(1, frames=3)]), errors.EnrolmentRejected),
    "enrol skeletons": ("enrol", ("home", "eve", [SKELETONS]), errors.SequenceError),
    "enrol another size": ("enrol", ("home", "eve", [walk(1, size=(64, 64))]), errors.SequenceError),
    "enrol foreign": ("enrol", ("home", "eve", [vector(0, contract="f00")]), errors.ContractMismatch),
    "add to unknown": ("add_samples", ("home", "eve", [vector(0)]), errors.SubjectNotFound),
    "add poor": ("add_samples", ("home", "ada", [walk(1, track=1)]), errors.EnrolmentRejected),
    "identify in unknown": ("identify", ("none", vector(0)), errors.GalleryNotFound),
    "identify foreign": ("identify", ("home", vector(0, contract="f00")), errors.ContractMismatch),
    "identify short vector": ("identify", ("home", vector(0, dimension=3)), errors.InputError),
    "identify skeletons": ("identify", ("home", SKELETONS), errors.SequenceError),
    "verify unknown": ("verify", ("home", "eve", vector(0)), errors.SubjectNotFound),
    "verify in unknown": ("verify", ("none", "ada", vector(0)), errors.GalleryNotFound),
    "delete subject unknown": ("delete_subject", ("home", "eve"), errors.SubjectNotFound),
    "calibrate unknown": ("calibrate", ("none",), errors.GalleryNotFound),
    "calibrate one subject": ("calibrate", ("home",), errors.NotCalibrated),
    "calibrate on few": ("calibrate", ("home", [vector(1)]), errors.NotCalibrated),
    "calibrate on poor": ("calibrate", ("home", [walk(1, track=1)]), errors.EnrolmentRejected),
    "calibrate on a bare sequence": ("calibrate", ("home", walk(1)), errors.InputError),
    "calibrate on foreign": ("calibrate", ("home", [vector(0, contract="f00")]), errors.ContractMismatch),
    "target without calibration": (
        "set_operating_point",
        ("home", OperatingPoint(fpir=0.01)),
        errors.NotCalibrated,
    ),
    "rule of unknown": ("set_operating_point", ("none", POINT), errors.GalleryNotFound),
    "erase unknown": ("erase_subject", ("home", "eve"), errors.SubjectNotFound),
    "export unknown": ("export_subject", ("home", "eve"), errors.SubjectNotFound),
    "export nobody": ("export_subject", ("home", ""), errors.InputError),
    "terms of unknown": ("set_terms", ("home", "eve", Terms()), errors.SubjectNotFound),
    "rotate without keys": ("rotate_keys", (), errors.KeyMissing),
    "renew without keys": ("renew_templates", ("home",), errors.KeyMissing),
    "renew unknown": ("renew_templates", ("none",), errors.GalleryNotFound),
    "normalise unknown": ("normalise", ("none", [vector(1)]), errors.GalleryNotFound),
    "normalise by few": ("normalise", ("home", [vector(1)]), errors.NotCalibrated),
    "normalise by nobody": ("normalise", ("home", []), errors.InputError),
    "normalise by poor": ("normalise", ("home", [walk(1, track=1)]), errors.EnrolmentRejected),
    "normalise by foreign": ("normalise", ("home", [vector(0, contract="f00")]), errors.ContractMismatch),
    "stop normalising unknown": ("stop_normalising", ("none",), errors.GalleryNotFound),
    "back up without a folder": ("back_up", (), errors.ConfigError),
    "review in unknown": ("review", ("none", "0" * 16, Verdict.CONFIRMED), errors.GalleryNotFound),
    "review of nothing": ("review", ("home", "0" * 16, Verdict.REJECTED), errors.DecisionNotFound),
    "review of an empty id": ("review", ("home", "", Verdict.REJECTED), errors.InputError),
    "review of a long id": ("review", ("home", "0" * 999, Verdict.REJECTED), errors.InputError),
    "review without a verdict": ("review", ("home", "0" * 16, "perhaps"), errors.InputError),
    "audit before the first": ("list_audit", (-1,), errors.InputError),
    "embed short": ("embed", (walk(1, frames=3),), errors.SequenceTooShort),
    "embed skeletons": ("embed", (SKELETONS,), errors.SequenceError),
}


def test_each_error_is_the_same(pair):
    check(pair, "create_gallery", "home")
    check(pair, "enrol", "home", "ada", [vector(0)])
    for name, (call, arguments, kind) in ERRORS.items():
        assert check(pair, call, *arguments)[0] is kind, name
    target = OperatingPoint(fmr=0.01)
    for call, arguments, options, kind in (
        ("create_gallery", ("new",), {"operating_point": target}, errors.NotCalibrated),
        ("create_gallery", ("new",), {"fusion": "median"}, errors.InputError),
        ("identify", ("home", vector(0)), {"operating_point": target}, errors.NotCalibrated),
        ("verify", ("home", "ada", vector(0)), {"operating_point": target}, errors.NotCalibrated),
        ("enrol", ("home", "eve", [vector(0)]), {"check": "perhaps"}, errors.InputError),
        ("enrol", ("home", "eve", [vector(0)]), {"check": "refuse"}, errors.EnrolmentSuspect),
    ):
        assert check(pair, call, *arguments, **options)[0] is kind
    for options, kind in (
        ({"gallery": "a/b"}, errors.InputError),
        ({"subject": "ada"}, errors.InputError),
        ({"gallery": "none", "subject": "ada"}, errors.GalleryNotFound),
        ({"gallery": "home", "subject": "eve"}, errors.SubjectNotFound),
        ({"count": 0}, errors.InputError),
    ):
        assert check(pair, "list_audit", **options)[0] is kind
    for count in (0, -1):
        assert check(pair, "identify", "home", vector(0), max_candidates=count)[0] is errors.InputError


# Faults that the client finds before it sends: the words may differ, the class must not.
UNSENDABLE = {
    "gallery is a number": ("describe", (5,)),
    "gallery is None": ("describe", (None,)),
    "gallery is no Unicode": ("describe", ("\ud800",)),
    "probe is None": ("identify", ("home", None)),
    "probe is an array": ("identify", ("home", np.zeros(4))),
    "operating point is None": ("set_operating_point", ("home", None)),
    "terms are a text": ("set_terms", ("home", "ada", "consent")),
    "sample is a string": ("enrol", ("home", "eve", ["walk"])),
    "sequence is an embedding": ("embed", (vector(0),)),
}


def test_unsendable_arguments_are_input_errors(pair):
    check(pair, "create_gallery", "home")
    for name, (call, arguments) in UNSENDABLE.items():
        for matcher in pair:
            assert issubclass(outcome(matcher, call, *arguments)[0], errors.InputError), (name, matcher)


def test_a_calibrated_gallery_agrees(pair):
    check(pair, "create_gallery", "home", fusion=Fusion.CENTROID)
    for number in range(60):
        check(pair, "enrol", "home", f"s{number:02}", [vector(number), vector(1000 + number)], check="off")
    learnt = check(pair, "calibrate", "home")
    assert ("comparisons", 3540) in learnt[1]
    for rule in (OperatingPoint(fpir=0.02, margin=0.05), OperatingPoint(fmr=0.001, review_band=0.01), POINT):
        check(pair, "set_operating_point", "home", rule)
        for probe in (vector(3), vector(5000)):
            check(pair, "identify", "home", probe, max_candidates=1)
            check(pair, "identify", "home", probe, operating_point=OperatingPoint(fpir=0.5))
            check(pair, "verify", "home", "s04", probe)
        check(pair, "describe", "home")
    suspect = check(pair, "enrol", "home", "twin", [vector(7), vector(9999)])
    assert "EnrolmentWarning" in repr(suspect)
    assert check(pair, "enrol", "home", "more", [vector(8)], check="refuse")[0] is errors.EnrolmentSuspect


def test_a_normalised_gallery_agrees(pair):
    check(pair, "create_gallery", "home")
    rng = np.random.default_rng(0)

    def near(seed):
        made = vector(seed).vector + 0.01 * rng.standard_normal(GEI.dimension)
        return Embedding((made / np.linalg.norm(made)).astype(np.float32), GEI.contract)

    for number in range(30):
        check(pair, "enrol", "home", f"s{number:02}", [near(number), near(number)], check="off")
    cohort = [vector(number) for number in range(2000, 2110)]
    refused = check(pair, "normalise", "home", cohort, fpir=0.01)
    assert (refused[0], "at least 200" in refused[1]) == (errors.NotCalibrated, True)
    assert check(pair, "normalise", "home", cohort, fpir=0.7)[0] is errors.InputError
    done = check(pair, "normalise", "home", cohort, fpir=0.1)
    assert ("cohort", 110) in done[1]
    for probe in (near(3), vector(5000)):
        check(pair, "identify", "home", probe)
        check(pair, "verify", "home", "s04", probe)
    check(pair, "set_operating_point", "home", OperatingPoint(fpir=0.05))
    for call in ("describe", "stop_normalising", "describe"):
        check(pair, call, "home")


def test_keys_are_rotated_behind_a_server(tmp_path):
    append_key(tmp_path / "keys", "one")
    settings = ServerSettings("127.0.0.1:0", tmp_path / "data", encoder="gei", key_file=tmp_path / "keys")
    with running(settings) as address, contextlib.closing(RemoteMatcher(address, timeout_s=60)) as remote:
        remote.create_gallery("home")
        remote.enrol("home", "ada", [vector(0)])
        append_key(tmp_path / "keys", "two")
        assert (remote.rotate_keys(), remote.rotate_keys()) == (1, 0)
        assert (remote.renew_templates("home"), remote.describe("home").renewals) == (1, 1)
        assert remote.identify("home", vector(0)).subject == "ada"
    with pytest.raises(errors.KeyMissing, match="'two'"):
        LocalMatcher(GEI(), tmp_path / "data")


def test_a_decision_is_reviewed_by_both(pair):
    check(pair, "create_gallery", "home", operating_point=OperatingPoint(1.0, 2.0))
    check(pair, "enrol", "home", "ada", [vector(0)])
    numbers = []
    for matcher in pair:
        decision = matcher.identify("home", vector(1))
        assert decision.outcome is Outcome.REVIEW
        numbers += [matcher.review("home", decision.audit_id, verdict) for verdict in Verdict]
        found = matcher.list_audit(2)
        assert {entry.reference for entry in found} == {decision.audit_id}
        assert len({entry.subject for entry in found}) == 1
    assert numbers == [4, 5, 4, 5]
    check(pair, "list_audit")


def test_a_purpose_with_a_subject_id_is_refused(pair):
    check(pair, "create_gallery", "home")
    check(pair, "enrol", "home", "zebra-1", [vector(0)])
    with calling("look for zebra-1"):
        assert check(pair, "identify", "home", vector(0))[0] is errors.InputError
    with calling("look for zebra-2"):
        check(pair, "identify", "home", vector(0))
    assert check(pair, "enrol", "home", "zebra-2", [vector(1)])[0] is errors.InputError


def test_times_survive(pair):
    for matcher in pair:
        made = matcher.create_gallery("home")
        assert matcher.describe("home").created_at == made.created_at > 1.7e9
        matcher.enrol("home", "ada", [vector(0)])
        assert replace(matcher.list_subjects("home")[0], enrolled_at=0.0).id == "ada"
        assert matcher.list_subjects("home")[0].enrolled_at >= made.created_at - 1e-6


def test_many_subjects_are_listed_over_pages(pair, monkeypatch):
    monkeypatch.setattr("gaitid.server.service.MAX_PAGE", 7)
    check(pair, "create_gallery", "home")
    for number in range(15):
        check(pair, "enrol", "home", f"s{number:02}", [vector(number)])
    assert len(check(pair, "list_subjects", "home")) == 15


def test_a_closed_matcher_says_so(pair):
    for matcher in pair:
        matcher.close()
        with pytest.raises(errors.GaitIdError, match="closed"):
            matcher.info() if isinstance(matcher, RemoteMatcher) else matcher.describe("home")
        matcher.close()
