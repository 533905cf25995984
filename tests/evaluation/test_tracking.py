"""Tracking scores against worked examples."""

import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.evaluation.tracking import mask_iou, score_tracks

A, B, FAR = [0, 0, 10, 20], [30, 0, 40, 20], [200, 0, 210, 20]
HALF = [0, 0, 10, 10]  # overlaps A by exactly a half
LESS = [0, 0, 10, 9]


def boxes(**frame):
    return {int(name[1:]): np.array(box, np.float32) for name, box in frame.items()}


CASES = {
    # name: (truth, found, (misses, false, switches, identity hits), mota, idf1)
    "one walker, nothing found": ([boxes(t1=A)], [boxes()], (1, 0, 0, 0), 0.0, 0.0),
    "one walker, found": ([boxes(t1=A)], [boxes(f9=A)], (0, 0, 0, 1), 1.0, 1.0),
    "an overlap of a half counts": ([boxes(t1=A)], [boxes(f9=HALF)], (0, 0, 0, 1), 1.0, 1.0),
    "less does not": ([boxes(t1=A)], [boxes(f9=LESS)], (1, 1, 0, 0), -1.0, 0.0),
    "a ghost beside": ([boxes(t1=A)], [boxes(f9=A, f8=FAR)], (0, 1, 0, 1), 0.0, 2 / 3),
    "a track that ends and starts again": (
        [boxes(t1=A)] * 4, [boxes(f1=A)] * 3 + [boxes(f2=A)], (0, 0, 1, 3), 0.75, 0.75,
    ),
    "a gap is a miss but no switch": (
        [boxes(t1=A)] * 3, [boxes(f1=A), boxes(), boxes(f1=A)], (1, 0, 0, 2), 2 / 3, 0.8,
    ),
    "two walkers exchange their tracks": (
        [boxes(t1=A, t2=B)] * 4,
        [boxes(f1=A, f2=B)] * 2 + [boxes(f1=B, f2=A)] * 2,
        (0, 0, 2, 4), 0.75, 0.5,
    ),
    "an old match is kept while it holds": (
        [boxes(t1=A)] * 2, [boxes(f1=A), boxes(f1=HALF, f2=A)], (0, 1, 0, 2), 0.5, 0.8,
    ),
    "one track with two walkers in turn": (
        [boxes(t1=A), boxes(t1=FAR, t2=A), boxes(t1=A, t2=A)],
        [boxes(f1=A), boxes(f1=A), boxes(f1=A)],
        (2, 0, 0, 2), 0.6, 0.5,
    ),
    "an empty frame with a ghost": (
        [boxes(t1=A), boxes()], [boxes(f1=A), boxes(f1=A)], (0, 1, 0, 1), 0.0, 2 / 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_worked_examples(name):
    truth, found, counts, mota, idf1 = CASES[name]
    scores = score_tracks(truth, found)
    assert (scores.misses, scores.false, scores.switches, scores.identity_hits) == counts
    assert scores.mota == pytest.approx(mota)
    assert scores.idf1 == pytest.approx(idf1)


def test_frames_must_agree_and_contain_a_walker():
    with pytest.raises(InputError, match="2 true and 1 reported"):
        score_tracks([boxes(t1=A)] * 2, [boxes()])
    with pytest.raises(InputError, match="0 true boxes"):
        score_tracks([boxes()], [boxes(f1=A)])


def test_masks_overlap_where_they_lie():
    full = np.ones((4, 4), np.uint8)
    at = lambda x, y: np.array([x, y, x + 4, y + 4], np.float32)  # noqa: E731
    assert mask_iou(full, at(0, 0), full, at(0, 0)) == 1
    assert mask_iou(full, at(0, 0), full, at(2, 0)) == pytest.approx(8 / 24)
    assert mask_iou(full, at(0, 0), full, at(9, 0)) == 0
    assert mask_iou(full, at(-3, 5), 0 * full, at(-3, 5)) == 0
