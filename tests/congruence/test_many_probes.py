"""Calibrations and normalisations by more walks than one message can carry give equal answers."""

from __future__ import annotations

import numpy as np
import pytest
from congruent import check, outcome, vector, walk

from gaitid import errors
from gaitid.encoders.gei import GEI
from gaitid.records import MAX_FRAMES, Embedding, GaitSequence
from gaitid.selection import MAX_PROBES


@pytest.mark.slow
def test_five_thousand_walks_calibrate_alike(pair):
    check(pair, "create_gallery", "home")
    for number in range(3):
        check(pair, "enrol", "home", f"s{number}", [walk(number)])
    walks = [walk(seed, frames=15, track=seed % 3) for seed in range(5000)]
    assert sum(len(one) for one in walks) > 7 * MAX_FRAMES
    assert ("probes", 1000) in check(pair, "calibrate", "home", walks)[1]
    check(pair, "describe", "home")
    check(pair, "identify", "home", walk(7))


@pytest.mark.slow
def test_many_walks_and_embeddings_normalise_alike(pair):
    check(pair, "create_gallery", "home")
    for number in range(60):
        samples = [near(number, noise) for noise in range(2)]
        check(pair, "enrol", "home", f"s{number:02}", samples, check="off")
    walks = [walk(1000 + seed, frames=15, track=seed % 3) for seed in range(750)]
    assert sum(len(one) for one in walks) > MAX_FRAMES
    cohort = walks + [vector(2000 + seed) for seed in range(50)]
    assert ("cohort", 300) in check(pair, "normalise", "home", cohort, fpir=0.1)[1]
    check(pair, "describe", "home")
    check(pair, "identify", "home", near(3, 2))


def near(seed, noise):
    """An embedding close to the one of a seed."""
    numbers = np.random.default_rng([seed, noise]).standard_normal(GEI.dimension)
    made = vector(seed).vector + 0.01 * numbers
    return Embedding((made / np.linalg.norm(made)).astype(np.float32), GEI.contract)


def test_an_iterator_is_read_once_and_lazily(pair):
    check(pair, "create_gallery", "home")
    check(pair, "enrol", "home", "ada", [vector(0)])
    answers = []
    for matcher in pair:
        probes = iter([vector(seed) for seed in range(1100)])
        answers.append(outcome(matcher, "calibrate", "home", probes))
        assert next(probes, None) is None
    assert answers[0] == answers[1]
    assert ("comparisons", 1000) in answers[0][1]


def faulty(good, fault):
    """Yield good probes and then fail, or yield a fault."""
    yield from good
    if isinstance(fault, Exception):
        raise fault
    yield fault


FAULTS = {
    "an exception of the caller": (lambda: KeyError("walk 7"), KeyError),
    "a string": (lambda: "walk", errors.InputError),
    "a foreign embedding": (lambda: vector(0, contract="f00"), errors.ContractMismatch),
    "a short embedding": (lambda: vector(0, dimension=3), errors.InputError),
}


@pytest.mark.parametrize("call", ["calibrate", "normalise"])
@pytest.mark.parametrize(("fault", "kind"), FAULTS.values(), ids=FAULTS)
def test_a_fault_among_the_probes_changes_nothing(pair, call, fault, kind):
    check(pair, "create_gallery", "home")
    check(pair, "enrol", "home", "ada", [vector(0)])
    before = check(pair, "describe", "home")
    for matcher in pair:
        with pytest.raises(kind) as caught:
            getattr(matcher, call)("home", faulty([vector(seed) for seed in range(300)], fault()))
        assert type(caught.value) is kind
        with pytest.raises(errors.GalleryNotFound):  # the gallery comes before its probes
            getattr(matcher, call)("none", faulty([], fault()))
    assert check(pair, "describe", "home") == before


def test_too_many_probes_are_refused_alike(pair, monkeypatch):
    monkeypatch.setattr("gaitid.selection.MAX_PROBES", 100)
    check(pair, "create_gallery", "home")
    refused = check(pair, "calibrate", "home", [vector(0)] * 101)
    assert refused[0] is errors.InputError
    assert MAX_PROBES == 10_000


@pytest.mark.parametrize("probes", [None, 5, np.zeros(3), walk(1), vector(1)])
def test_anything_but_a_list_of_probes_is_refused(pair, probes):
    check(pair, "create_gallery", "home")
    for matcher in pair:
        for call in ("calibrate", "normalise"):
            assert issubclass(outcome(matcher, call, "home", probes)[0], errors.InputError)


def test_walks_of_low_quality_are_left_out_even_if_the_encoder_refuses_them(pair):
    check(pair, "create_gallery", "home")
    check(pair, "enrol", "home", "ada", [vector(0)])
    blank = GaitSequence({"silhouette": np.zeros((40, 64, 44), np.uint8)}, np.arange(40) / 25)
    with pytest.raises(errors.SequenceError):
        GEI()(blank)
    walks = [*(vector(seed) for seed in range(1000)), blank]
    assert ("comparisons", 1000) in check(pair, "calibrate", "home", walks)[1]
    assert "EnrolmentRejected" in str(check(pair, "calibrate", "home", [blank]))
