import cv2
import numpy as np
import pytest

from gaitid.edge.pictures import GREEN, RED, Label, SheetRow, VideoFile, annotate, contact_sheet, save_picture
from gaitid.errors import SourceError

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
    drawn = annotate(GREY_IMAGE, [Label(box, "walk-7", GREEN)])
    assert np.array_equal(GREY_IMAGE, before)
    assert drawn.shape == GREY_IMAGE.shape
    assert (drawn == 255).all(axis=2).any()  # white text
    assert (drawn == GREEN).all(axis=2).any()


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
    with pytest.raises(SourceError, match="cannot write"):
        VideoFile(tmp_path / "none" / "a.webm", (160, 90), 10.0)
