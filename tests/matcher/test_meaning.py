"""Calibration, target rates and suspicious enrolments."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.errors import EnrolmentSuspect, NotCalibrated
from gaitid.local import LocalMatcher
from gaitid.records import (
    CalibrationSource,
    Embedding,
    EnrolmentCheck,
    OperatingPoint,
    Outcome,
    Suspicion,
)
from tests.impostors import Ready, people


def embeddings(count: int, seed: int) -> list[Embedding]:
    return [Embedding(vector, Ready.contract) for vector in people(count, 1, seed)]


@pytest.fixture
def matcher(tmp_path):
    made = LocalMatcher(Ready(), tmp_path)
    yield made
    made.close()


@pytest.fixture
def town(matcher):
    """100 subjects with two walks each, calibrated on themselves."""
    matcher.create_gallery("town")
    walks = [Embedding(vector, Ready.contract) for vector in people(100, 2, seed=1)]
    for n in range(100):
        matcher.enrol("town", f"s{n}", walks[2 * n : 2 * n + 2], check=EnrolmentCheck.OFF)
    assert matcher.calibrate("town").source is CalibrationSource.GALLERY
    return matcher


def test_candidates_carry_their_rate_and_a_verification_its_fmr(town):
    (impostor,) = embeddings(1, seed=9)
    searched = town.identify("town", impostor).candidates
    rates = [candidate.fpir_at_score for candidate in searched]
    assert rates == sorted(rates)
    claimed = town.verify("town", searched[0].subject, impostor).candidates[0]
    assert claimed.score == searched[0].score
    assert 0 < claimed.fpir_at_score < searched[0].fpir_at_score <= 1


def test_a_target_rate_holds_for_impostors_and_survives_a_restart(town, tmp_path):
    town.set_operating_point("town", OperatingPoint(fpir=0.05))
    impostors = embeddings(1_000, seed=9)
    passed = sum(town.identify("town", probe).outcome is Outcome.MATCH for probe in impostors)
    assert 15 < passed < 120
    before = town.identify("town", impostors[0])
    described = town.describe("town")
    town.close()
    again = LocalMatcher(Ready(), tmp_path)
    assert again.identify("town", impostors[0]) == before
    assert again.describe("town") == described
    again.close()


def test_the_threshold_of_a_target_follows_the_size_of_the_gallery(town):
    operating_point = OperatingPoint(fpir=0.01)
    before = town.set_operating_point("town", operating_point).operating_point.threshold
    for n in range(50):
        town.delete_subject("town", f"s{n}")
    after = town.describe("town").operating_point
    assert after.threshold < before
    assert after.fpir == 0.01
    (probe,) = embeddings(1, seed=3)
    assert town.identify("town", probe).operating_point == after


def test_a_refused_operating_point_changes_nothing(matcher):
    matcher.create_gallery("g")
    for act in (
        lambda: matcher.set_operating_point("g", OperatingPoint(fpir=0.01)),
        lambda: matcher.calibrate("g"),
        lambda: matcher.create_gallery("h", operating_point=OperatingPoint(fmr=0.01)),
    ):
        with pytest.raises(NotCalibrated):
            act()
    (info,) = matcher.list_galleries()
    assert (info.revision, info.operating_point, info.calibration) == (0, OperatingPoint(0.9), None)


def test_one_person_under_two_ids_is_suspected(town):
    town.set_operating_point("town", OperatingPoint(0.95))
    again = Embedding(people(100, 2, seed=1)[20], Ready.contract)
    (impostor,) = embeddings(1, seed=9)
    with pytest.raises(EnrolmentSuspect, match="Sample 0 is similar to subject 's10'"):
        town.enrol("town", "alias", [again], check=EnrolmentCheck.REFUSE)
    assert town.describe("town").subjects == 100
    done = town.enrol("town", "alias", [impostor, again])
    (warning,) = [found for found in done.warnings if found.suspicion is Suspicion.DUPLICATE]
    assert (warning.sample, warning.subject) == (1, "s10")
    assert warning.score == pytest.approx(1.0)
    assert town.enrol("town", "bis", [again], check=EnrolmentCheck.OFF).warnings == ()


def test_two_people_under_one_id_are_suspected(town):
    town.set_operating_point("town", OperatingPoint(1.0))
    walks = people(3, 3, seed=30)
    own, others = walks[:3], [vector for vector in walks[3:] if float(vector @ walks[0]) < 0.3]
    assert town.enrol("town", "one", [Embedding(v, Ready.contract) for v in own[:2]]).warnings == ()
    assert town.add_samples("town", "one", [Embedding(own[2], Ready.contract)]).warnings == ()
    stray = Embedding(others[0], Ready.contract)
    with pytest.raises(EnrolmentSuspect, match="unlike the subject's other samples"):
        town.add_samples("town", "one", [stray], check=EnrolmentCheck.REFUSE)
    (warning,) = town.add_samples("town", "one", [stray]).warnings
    assert (warning.suspicion, warning.subject) == (Suspicion.INCONSISTENT, "one")
    assert warning.score == pytest.approx(float(np.max(own @ others[0])), abs=1e-5)
