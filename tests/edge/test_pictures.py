import cv2
import numpy as np
import pytest

from gaitid.edge.pictures import (
    GREEN,
    RED,
    Label,
    SheetRow,
    VideoFile,
    annotate,
    contact_sheet,
    drawn,
    save_picture,
)
from gaitid.errors import SourceError
from gaitid.records import GaitSequence
from tests.drawn import skeletons

GREY_IMAGE = np.full((90, 160, 3), 128, np.uint8)

BOXES = {
    "inside": (40, 30, 60, 70),
    "at the top": (40, 0, 60, 40),
    "at the right": (150, 30, 160, 70),
    "beyond all borders": (-20, -20, 400, 300),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
def test_a_label_is_drawn_inside_and_leaves_the_original(box):
    before = GREY_IMAGE.copy()
    labelled = annotate(GREY_IMAGE, [Label(box, "walk-7", GREEN)])
    assert np.array_equal(GREY_IMAGE, before)
    assert labelled.shape == GREY_IMAGE.shape
    assert (labelled == 255).all(axis=2).any()  # white text
    assert (labelled == GREEN).all(axis=2).any()


def test_no_label_no_change():
    assert np.array_equal(annotate(GREY_IMAGE, []), GREY_IMAGE)


def row(frames, size=(64, 44)):
    return SheetRow(np.ones((frames, *size), np.uint8), ["one", "two"], RED)


def test_a_sheet_has_one_row_a_sequence():
    sheet = contact_sheet([row(3), row(30)], columns=8, margin=100)
    assert sheet.shape == (2 * 70, 100 + 8 * 47, 3)
    dark = (sheet < 60).all(axis=2)
    assert dark[:70].sum() == 3 * 64 * 44  # three frames, not stretched to eight
    assert dark[70:].sum() == 8 * 64 * 44


def test_an_empty_sheet():
    assert contact_sheet([]).size > 0


def test_pictures_and_videos_can_be_read_again(tmp_path, capfd):
    save_picture(tmp_path / "a.png", GREY_IMAGE)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png")), GREY_IMAGE)
    with VideoFile(tmp_path / "a.webm", (160, 90), 10.0) as video:
        for _ in range(5):
            video.write(GREY_IMAGE)
    again = cv2.VideoCapture(str(tmp_path / "a.webm"))
    assert again.get(cv2.CAP_PROP_FRAME_WIDTH) == 160
    frames = 0
    while again.read()[0]:
        frames += 1
    assert frames == 5
    assert capfd.readouterr().err == ""


def test_a_video_that_cannot_be_written(tmp_path):
    with pytest.raises(SourceError, match=r"a\.webm cannot be written"):
        VideoFile(tmp_path / "none" / "a.webm", (160, 90), 10.0)


def test_silhouettes_are_drawn_as_they_are():
    silhouettes = np.ones((2, 64, 44), np.uint8)
    sequence = GaitSequence({"silhouette": silhouettes}, np.arange(2.0))
    assert np.array_equal(drawn(sequence), silhouettes)


@pytest.mark.parametrize("seen", [17, 1, 0])
def test_skeletons_are_drawn_as_stick_figures_and_blank_without_joints(seen):
    joints = skeletons(np.linspace(0, 1, 5))
    joints[:, seen:] = 0
    pictures = drawn(GaitSequence({"skeleton": joints}, np.arange(5.0)))
    assert pictures.shape == (5, 64, 44)
    assert set(np.unique(pictures)) == ({0, 1} if seen > 1 else {0})
    if seen == 17:
        rows = np.flatnonzero(pictures[0].any(axis=1))
        assert rows[0] <= 3
        assert rows[-1] >= 60


def test_a_sequence_in_space_alone_is_drawn_blank():
    sequence = GaitSequence({"skeleton3d": np.ones((3, 17, 4), np.float32)}, np.arange(3.0))
    assert not drawn(sequence).any()
