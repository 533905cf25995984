"""One sentence for each way in which a source gives nothing usable: what was seen, and what to change."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.perception.account import _REMEDIES, Account
from gaitid.perception.pipeline import FrameView, TrackView
from gaitid.perception.walks import Walk
from gaitid.records import Frame, GaitSequence, Origin, Reason

SIZE = (192, 144)
WALL = np.random.default_rng(0).integers(60, 200, (SIZE[1], 4 * SIZE[0], 3)).astype(np.uint8)


def scene(
    count=150, fps=25.0, picture=lambda i: WALL[:, : SIZE[0]], track=None, walks=(), static_camera=True
):
    """An account of a source; the walks end with the last frame."""
    account = Account(static_camera=static_camera)
    shown = (TrackView(1, np.array([0, 0, 9, 9], np.float32), ()),) if track else ()
    for i in range(count):
        frame = Frame(np.ascontiguousarray(picture(i)), i / fps, "gate", i)
        account.note(FrameView(frame, shown, tuple(walks) if i == count - 1 else ()))
    return account.finding("Video rtsp://anna:s3cret@cam/1")


def spot(i):
    """A small light that wanders through the picture."""
    image = WALL[:, : SIZE[0]].copy()
    image[60:84, i % 160 : i % 160 + 24] = 255
    return image


def limbs(i):
    """A patch that flickers in one place."""
    image = WALL[:, : SIZE[0]].copy()
    image[60:84, 90:110] = 255 if i // 12 % 2 else 0
    return image


def walk(reason, *, good=False, travel=150.0, height=40.0, seconds=6.0):
    """A walk whose frames all have one reason, or are good and too short."""
    times = np.linspace(0, seconds, 150)
    x = np.linspace(0, travel, 150)
    feet = np.full(150, 130.0)
    boxes = np.stack([x, feet - height, x + height / 3, feet], axis=1).astype(np.float32)
    sequence = None
    if good:
        sequence = GaitSequence(
            {"silhouette": np.ones((5, 64, 44), np.uint8)}, times[:5], boxes[:5], {}, Origin("gate", 1)
        )
    reasons = tuple(() if good and i < 140 else (reason,) for i in range(150))
    return Walk(1, times, boxes, reasons, sequence)


SEEN = {
    "no frames": (lambda: Account().finding("Video a"), "still of 0 frame", "Record some seconds"),
    "a still": (lambda: scene(1), "still of 1 frame", "Record some seconds"),
    "1 fps": (lambda: scene(30, fps=1.0), "has 1 frames a second; expected at least 8", "10 to 30 frames"),
    "too short": (lambda: scene(40), "lasts 1.6 s; expected at least 3 s", "Record longer"),
    "black": (lambda: scene(picture=lambda i: WALL[:, : SIZE[0]] // 20), "is black", "Uncover the lens"),
    "one colour": (lambda: scene(picture=lambda i: np.full_like(spot(0), 99)), "a single colour", "player"),
    "a pan": (lambda: scene(picture=lambda i: WALL[:, 2 * i : 2 * i + SIZE[0]]), "moves during", "firmly"),
    "nothing moves": (lambda: scene(), "Nothing moves in the 6 s", "Record while somebody walks"),
    "a cat": (lambda: scene(picture=spot), "in the size and shape of a person", "nearer"),
    "limbs on a treadmill": (lambda: scene(picture=limbs), "stays in one place for 6 s", "--extractor"),
    "pieces on a treadmill": (
        lambda: scene(picture=limbs, track=1, walks=[walk(Reason.FRAGMENTED, travel=20)] * 26),
        "as on a treadmill, and gives 26 pieces",
        "--extractor",
    ),
    "small people": (
        lambda: scene(picture=spot, track=1, walks=[walk(Reason.TOO_SMALL)]),
        "None of the 1 walks of Video rtsp://***@cam/1 is usable: most show bodies too few pixels tall "
        "(40 pixels); expected at least 48 pixels",
        "nearer",
    ),
    "few good frames": (
        lambda: scene(picture=spot, track=1, walks=[walk(Reason.CUT_OFF, good=True)]),
        "have too few good frames",
        "longer walks",
    ),
}


@pytest.mark.parametrize(("make", "got", "remedy"), SEEN.values(), ids=SEEN)
def test_what_was_seen_and_what_to_change(make, got, remedy):
    finding = make()
    assert got in str(finding)
    assert remedy in finding.remedy
    assert "anna" not in str(finding)


NOT_STATIC = {
    "a pan": (
        lambda: scene(picture=lambda i: WALL[:, 2 * i : 2 * i + SIZE[0]], static_camera=False),
        "No person",
    ),
    "a still scene": (lambda: scene(static_camera=False), "No person is tracked in the 6 s"),
    "limbs": (lambda: scene(picture=limbs, static_camera=False), "No person is tracked"),
    "a treadmill": (
        lambda: scene(picture=limbs, track=1, walks=[walk(Reason.STANDING, travel=20)], static_camera=False),
        "most stand or hardly move",
    ),
    "black": (lambda: scene(picture=lambda i: WALL[:, : SIZE[0]] // 20, static_camera=False), "is black"),
}


@pytest.mark.parametrize(("make", "got"), NOT_STATIC.values(), ids=NOT_STATIC)
def test_an_extractor_that_needs_no_static_camera_does_not_blame_it(make, got):
    text = str(make())
    assert got in text
    assert not any(
        word in text for word in ("camera moves", "moves during", "becomes background", "no background")
    )


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_remedy(reason):
    what, expected, remedy = _REMEDIES[reason]
    text = str(scene(picture=spot, track=1, walks=[walk(reason)]))
    assert f"most {what}" in text
    assert f"expected {expected}. {remedy}." in text


def test_the_reason_of_most_frames_counts():
    many, few = walk(Reason.MERGED), walk(Reason.CUT_OFF)
    assert "several people as one" in str(scene(picture=spot, track=1, walks=[few, many, many]))
