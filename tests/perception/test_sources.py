from __future__ import annotations

import itertools
import logging
import math
import threading
import time

import cv2
import numpy as np
import pytest

from gaitid.errors import SourceEmpty, SourceError, SourceNotFound, SourceStalled, SourceTruncated
from gaitid.perception import sources
from gaitid.perception.sources import Discontinuity, open_source, redact
from gaitid.records import Frame

SMALL, LARGE = (64, 48), (96, 64)


def picture(index=0, size=SMALL):
    return np.full((size[1], size[0], 3), 40 + index % 150, np.uint8)


def write_video(path, count, fps=12.5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, SMALL)
    for i in range(count):
        writer.write(picture(i))
    writer.release()
    return str(path)


class Script:
    """A capture that plays a list: a picture, a number of seconds to block, or None for a failed read."""

    def __init__(self, script, *, fps=25.0, count=0, stamps=None, opened=True):
        self.script, self.fps, self.count, self.stamps = list(script), fps, count, stamps
        self.opened, self.at, self.released = opened, -1, False

    def isOpened(self):  # noqa: N802
        return self.opened

    def read(self):
        self.at += 1
        if self.at >= len(self.script) or self.script[self.at] is None:
            time.sleep(0.005)
            return False, None
        time.sleep(0.002)
        return True, self.script[self.at]

    def get(self, prop):
        stamp = self.stamps[self.at] if self.stamps and 0 <= self.at < len(self.stamps) else 0.0
        return {
            cv2.CAP_PROP_FPS: self.fps,
            cv2.CAP_PROP_FRAME_COUNT: self.count,
            cv2.CAP_PROP_POS_MSEC: stamp,
        }.get(prop, 0.0)

    def release(self):
        self.released = True


def file_of(script, fps=None):
    return sources._FileSource("clip.avi", "gate", script, fps)


def drain(source):
    """Everything a source gives, and the error that ends it."""
    items = []
    try:
        for item in source:
            items.append(item)
    except SourceError as error:
        return items, error
    return items, None


def times(items):
    return [item.time for item in items if isinstance(item, Frame)]


@pytest.mark.parametrize(
    ("name", "make", "error", "says"),
    [
        ("missing", lambda p: p / "none.avi", SourceNotFound, "does not exist"),
        ("empty file", lambda p: (p / "e.avi").write_bytes(b"") or p / "e.avi", SourceEmpty, "0 bytes"),
        (
            "no video",
            lambda p: (p / "t.avi").write_text("hello" * 99) and p / "t.avi",
            SourceError,
            "no readable",
        ),
        ("directory without images", lambda p: p, SourceEmpty, "no images"),
        ("zero frames", lambda p: write_video(p / "z.avi", 0), SourceError, "no readable|no frames"),
        ("no such camera", lambda p: "usb:97", SourceNotFound, "no picture"),
        ("nobody listens", lambda p: "http://127.0.0.1:9/x.mjpg", SourceNotFound, "no picture"),
    ],
)
def test_each_cause_of_an_unreadable_source_has_its_error(tmp_path, name, make, error, says):
    with pytest.raises(error, match=says) as caught:
        open_source(str(make(tmp_path)))
    assert caught.value.expected
    assert caught.value.remedy


def test_a_container_without_frames_is_empty():
    with pytest.raises(SourceEmpty, match="no frames"):
        file_of(Script([], count=10))


def test_a_video_file(tmp_path):
    with open_source(write_video(tmp_path / "v.avi", 30), camera="gate") as source:
        assert (source.fps, source.size, source.frame_count, source.live) == (12.5, SMALL, 30, False)
        items, error = drain(source)
    assert error is None
    assert len(items) == 30
    np.testing.assert_allclose(times(items), np.arange(30) / 12.5, atol=1e-6)
    assert [item.index for item in items] == list(range(30))
    assert {item.camera for item in items} == {"gate"}


def test_one_frame_is_a_video(tmp_path):
    items, error = drain(open_source(write_video(tmp_path / "one.avi", 1)))
    assert (len(items), error) == (1, None)


def test_a_truncated_file_gives_all_it_has_and_then_says_so(tmp_path):
    path = tmp_path / "cut.avi"
    write_video(path, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items, error = drain(open_source(str(path)))
    assert 10 < len(items) < 50
    assert isinstance(error, SourceTruncated)
    assert "the 60 frames that it announces" in str(error)


@pytest.mark.parametrize(
    ("announced", "truncated"), [(0, False), (-5, False), (20, False), (24, False), (60, True)]
)
def test_wrong_frame_counts(announced, truncated):
    source = file_of(Script([picture(i) for i in range(20)], count=announced))
    assert source.frame_count == (announced if announced > 0 else None)
    items, error = drain(source)
    assert len(items) == 20
    assert isinstance(error, SourceTruncated) == truncated


@pytest.mark.parametrize("fps", [0.0, math.nan, -1.0, math.inf, 90_000.0])
def test_a_frame_rate_that_means_nothing(fps):
    pictures = [picture(i) for i in range(12)]
    with pytest.raises(SourceError, match="neither a frame rate"):
        file_of(Script(pictures, fps=fps))
    stamped = file_of(Script(pictures, fps=fps, stamps=[40.0 * i for i in range(12)]))
    assert stamped.fps == pytest.approx(25)
    given = file_of(Script(pictures, fps=fps), fps=20.0)
    assert times(drain(given)[0]) == pytest.approx([i / 20 for i in range(12)])


@pytest.mark.parametrize("fps", [0.0, -3.0, math.nan, math.inf])
def test_a_bad_frame_rate_of_the_caller_is_refused(tmp_path, fps):
    with pytest.raises(SourceError, match="positive"):
        open_source(str(tmp_path), fps=fps)


def test_a_variable_frame_rate_keeps_its_times():
    stamps = [0.0, 40, 80, 200, 240, 500, 540, 580, 900, 1000, 1040]
    items, _ = drain(file_of(Script([picture(i) for i in range(11)], stamps=stamps)))
    assert times(items) == pytest.approx([s / 1000 for s in stamps])


@pytest.mark.parametrize("jump", [9000.0, 10.0, math.nan])
def test_a_jump_of_the_timestamps_is_a_break_and_time_still_grows(jump):
    stamps = [40.0 * i for i in range(12)] + [jump + 40.0 * i for i in range(8)]
    items, _ = drain(file_of(Script([picture(i) for i in range(20)], stamps=stamps)))
    assert isinstance(items[12], Discontinuity)
    assert "jump" in items[12].reason
    assert len(times(items)) == 20
    assert all(b > a for a, b in itertools.pairwise(times(items)))


def test_a_directory_of_images_in_the_order_of_names_and_a_change_of_size(tmp_path):
    for name, shade, size in (("b.png", 60, SMALL), ("a.png", 50, SMALL), ("c.png", 70, LARGE)):
        cv2.imwrite(str(tmp_path / name), picture(shade, size))
    (tmp_path / "notes.txt").write_text("no image")
    with open_source(str(tmp_path), fps=5.0) as source:
        assert (source.frame_count, source.size, source.fps) == (3, SMALL, 5.0)
        first, second, cut, third = list(source)
    assert (first.image[0, 0, 0], second.image[0, 0, 0], third.image[0, 0, 0]) == (90, 100, 110)
    assert (first.time, second.time, third.time) == (0.0, 0.2, 0.4)
    assert cut == Discontinuity("the picture changes from 64x48 to 96x64", 0.4)


def test_a_damaged_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no png")
    with pytest.raises(SourceError, match=r"a\.png"):
        open_source(str(tmp_path), fps=5.0)


def live(captures, **options):
    """A live source over scripted captures; the last one is opened again and again."""
    made = itertools.chain(captures, itertools.repeat(captures[-1]))
    options = {"give_up_s": 0.5, "backoff_s": (0.001, 0.01), **options}
    return sources._LiveSource("rtsp://***@cam/1", "gate", lambda: next(made), **options)


def test_a_live_source_reconnects_after_a_stall_and_says_so(caplog):
    first = Script([picture(i) for i in range(10)])
    down = Script([], opened=False)
    second = Script([picture(100 + i, LARGE) for i in range(400)])
    with caplog.at_level(logging.WARNING), live([first, down, down, second]) as source:
        assert source.live
        items = list(itertools.islice(source, 14))
    breaks = [item.reason for item in items if isinstance(item, Discontinuity)]
    assert any("opened again" in reason for reason in breaks)
    assert any("64x48 to 96x64" in reason for reason in breaks)
    assert all(b > a for a, b in itertools.pairwise(times(items)))
    assert abs(times(items)[0] - time.time()) < 60
    assert first.released
    assert down.released
    assert "reconnecting" in caplog.text


def test_a_live_source_that_stays_silent_is_given_up():
    with live([Script([picture()]), Script([], opened=False)], give_up_s=0.2) as source:
        items, error = drain(source)
    assert len(items) == 1
    assert isinstance(error, SourceStalled)
    assert not [t for t in threading.enumerate() if t.name == "source"]


def test_a_slow_reader_sees_the_newest_frames_not_a_growing_delay():
    with live([Script([picture(i) for i in range(150)])]) as source:
        iterator = iter(source)
        next(iterator)
        time.sleep(0.2)
        later = next(iterator)
    assert later.image[0, 0, 0] > 60  # about the 100th; nothing waited in a long queue


def test_a_live_source_that_never_delivers_is_not_found():
    with pytest.raises(SourceNotFound, match="no picture"):
        live([Script([None])])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("", ""),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("rtsp://user:p@ss@cam:554/1", "rtsp://***@cam:554/1"),
        ("https://cam/v.mjpg?token=abc&x=1", "https://cam/v.mjpg?***"),
        ("open rtsp://u:p@a/1 and http://b?k=v", "open rtsp://***@a/1 and http://b?***"),
    ],
)
def test_redact(text, clean):
    assert redact(text) == clean


def test_credentials_show_up_nowhere(capfd, caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceNotFound) as caught:
        open_source("http://anna:s3cret@127.0.0.1:9/v.mjpg?key=t0ken")
    out, err = capfd.readouterr()
    for text in (str(caught.value), out, err, caplog.text):
        assert not any(word in text for word in ("anna", "s3cret", "t0ken"))
