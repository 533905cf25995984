import numpy as np
import pytest

from gaitid.errors import InputError, SequenceError
from gaitid.records import (
    Candidate,
    Decision,
    Embedding,
    Frame,
    GaitSequence,
    Observation,
    OperatingPoint,
    Origin,
    Outcome,
    Quality,
    Reason,
    check_name,
)


def masks(frames, size=(64, 44)):
    return np.ones((frames, *size), np.uint8)


def times(frames):
    return np.arange(frames, dtype=np.float64)


def skeletons(frames):
    return np.full((frames, 17, 3), 0.5, np.float32)


BAD_SEQUENCES = {
    "no stream": ({}, times(1), "Streams are"),
    "unknown stream": ({"depth": masks(1)}, times(1), "Streams are"),
    "no frame": ({"silhouette": masks(0)}, times(0), "has 0 frames"),
    "too many frames": ({"skeleton": skeletons(10_001)}, times(10_001), "has 10001 frames"),
    "a list": ({"silhouette": [[0]]}, times(1), "is a list"),
    "float masks": ({"silhouette": masks(2).astype(np.float32)}, times(2), "float32"),
    "grey masks": ({"silhouette": masks(2) * 255}, times(2), "value 255"),
    "wrong size": ({"silhouette": masks(2, (44, 64))}, times(2), "44x64"),
    "colour": ({"silhouette": np.ones((2, 64, 44, 3), np.uint8)}, times(2), "(2, 64, 44, 3)"),
    "18 joints": ({"skeleton": np.zeros((2, 18, 3), np.float32)}, times(2), "(2, 18, 3)"),
    "double skeleton": ({"skeleton": np.zeros((2, 17, 3))}, times(2), "float64"),
    "in space without z": ({"skeleton3d": skeletons(2)}, times(2), "(2, 17, 3)"),
    "confidence in space 2": ({"skeleton3d": np.full((2, 17, 4), 2, np.float32)}, times(2), "confidence"),
    "nan joint": ({"skeleton": skeletons(2) * np.float32("nan")}, times(2), "NaN"),
    "confidence 2": ({"skeleton": skeletons(2) * 4}, times(2), "confidence"),
    "lengths differ": ({"silhouette": masks(2)}, times(3), "times 3"),
    "streams differ": ({"silhouette": masks(2), "skeleton": skeletons(3)}, times(2), "skeleton has 3"),
    "time stands": ({"silhouette": masks(3)}, np.array([0.0, 1.0, 1.0]), "do not grow after frame 1"),
    "nan time": ({"silhouette": masks(2)}, np.array([0.0, np.nan]), "NaN"),
    "integer time": ({"silhouette": masks(2)}, np.arange(2), "int64"),
}


@pytest.mark.parametrize(("streams", "clock", "message"), BAD_SEQUENCES.values(), ids=BAD_SEQUENCES)
def test_a_bad_sequence_says_what_is_wrong(streams, clock, message):
    with pytest.raises(SequenceError) as caught:
        GaitSequence(streams, clock)
    assert message in str(caught.value)
    assert caught.value.expected
    assert caught.value.remedy


@pytest.mark.parametrize("dropped", [{"bad": 1}, {"merged": -1}, {"merged": 1.5}])
def test_dropped_frames_are_counted_by_known_reason(dropped):
    with pytest.raises(SequenceError):
        GaitSequence({"silhouette": masks(1)}, times(1), dropped=dropped)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_boxes_are_finite(value):
    with pytest.raises(SequenceError, match="Array boxes has NaN"):
        GaitSequence({"silhouette": masks(1)}, times(1), np.full((1, 4), value, np.float32))


@pytest.mark.parametrize(
    "origin",
    [("gate", 2**63), ("gate", -(2**63) - 1), ("gate", 1.0), ("gate", np.int64(1)), ("\ud800", 1), (7, 1)],
)
def test_an_origin_can_be_stored_and_sent(origin):
    with pytest.raises(InputError, match=r"camera|track"):
        Origin(*origin)
    assert Origin("Tür 4", 2**63 - 1).track == 2**63 - 1


def test_a_sequence_cannot_be_changed():
    sequence = GaitSequence({"silhouette": masks(3)}, times(3), np.ones((3, 4), np.float32), {"merged": 2})
    with pytest.raises(ValueError, match="read-only"):
        sequence.silhouettes[0, 0, 0] = 0
    with pytest.raises(TypeError):
        sequence.streams["skeleton"] = skeletons(3)


def test_a_part_keeps_what_belongs_to_it():
    whole = GaitSequence(
        {"silhouette": masks(4), "skeleton": skeletons(4)},
        times(4),
        np.ones((4, 4), np.float32),
        {"merged": 2},
    )
    part = whole.part(slice(1, 3))
    assert part.times.tolist() == [1.0, 2.0]
    assert part.boxes.shape == (2, 4)
    assert part.dropped == {"merged": 2}
    assert part.skeletons.shape == (2, 17, 3)


BAD_VECTORS = {
    "zero": np.zeros(4, np.float32),
    "nan": np.full(4, np.nan, np.float32),
    "too long": np.ones(4, np.float32),
    "double": np.ones(1),
    "matrix": np.ones((1, 1), np.float32),
    "empty": np.zeros(0, np.float32),
}


@pytest.mark.parametrize("vector", BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_an_embedding_is_a_unit_vector(vector):
    with pytest.raises(InputError):
        Embedding(vector, "c")


def test_an_embedding_has_a_contract():
    with pytest.raises(InputError, match="contract"):
        Embedding(np.ones(1, np.float32), "")


@pytest.mark.parametrize("name", ["", "-a", ".hidden", "a b", "a/b", "ä", "x" * 129, "a\n", None, 7])
def test_bad_names(name):
    with pytest.raises(InputError, match="subject"):
        check_name(name, "subject")


@pytest.mark.parametrize("name", ["a", "A-1", "x" * 128, "gate.3@north"])
def test_good_names(name):
    assert check_name(name, "subject") == name


@pytest.mark.parametrize(
    "make",
    [
        lambda: Frame(np.zeros((4, 4), np.uint8), 0.0),
        lambda: Frame(np.zeros((4, 4, 3), np.uint8), float("nan")),
        lambda: Observation(np.array([5, 0, 5, 9], np.float32)),
        lambda: Observation(np.array([0, 0, np.nan, 9], np.float32)),
        lambda: Observation(np.array([0, 0, 1, 1], np.float32), mask=np.zeros((2, 2))),
        lambda: Observation(np.array([0, 0, 1, 1], np.float32), keypoints=np.zeros((18, 3), np.float32)),
        lambda: OperatingPoint(1.5),
        lambda: OperatingPoint(float("nan")),
        lambda: OperatingPoint(0.5, review_band=-0.1),
    ],
)
def test_other_records_check_themselves(make):
    with pytest.raises(InputError):
        make()


POINT = OperatingPoint(0.8)
BEST = Candidate("alice", 0.91, "t1")
DECISIONS = {
    "match: alice (score 0.910, threshold 0.800)": Decision(Outcome.MATCH, (BEST,), None, POINT, 1),
    "no match (best score 0.910, threshold 0.800)": Decision(Outcome.NO_MATCH, (BEST,), None, POINT, 1),
    "empty gallery": Decision(Outcome.EMPTY_GALLERY, (), None, POINT, 0),
    "insufficient quality: too_short, standing": Decision(
        Outcome.INSUFFICIENT_QUALITY, (), Quality(3, 4, reasons=(Reason.TOO_SHORT, Reason.STANDING)), POINT, 1
    ),
}


@pytest.mark.parametrize(("text", "decision"), DECISIONS.items())
def test_a_decision_reads_as_a_sentence(text, decision):
    assert str(decision) == text
    assert decision.subject == ("alice" if decision.outcome is Outcome.MATCH else None)


@pytest.mark.parametrize(
    "word", [0x7FC00000, 0x7F8B67E2, 0x7F800000], ids=["quiet", "signalling", "infinite"]
)
def test_an_embedding_that_is_no_number_is_refused(word):
    vector = np.array([0x3F800000, word], np.uint32).view(np.float32)
    with pytest.raises(InputError, match="L2 norm"):
        Embedding(vector, "contract")
