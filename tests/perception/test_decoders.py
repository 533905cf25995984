"""Interlaced video, other codecs, bare streams, addresses of files, standard input and folders of frames."""

from __future__ import annotations

import functools
import http.server
import io
import sys
import threading

import cv2
import numpy as np
import pytest

from gaitid.errors import SourceEmpty, SourceError
from gaitid.perception import decoders
from gaitid.perception.sources import Discontinuity, open_source
from gaitid.records import Frame

av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'gaitid[video]'")
SIZE, COUNT = (128, 96), 30


def picture(index):
    """A disc that moves by two pixels a frame over a gradient."""
    image = np.repeat(np.linspace(40, 120, SIZE[1], dtype=np.uint8)[:, None], SIZE[0], 1)
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    cv2.circle(image, (20 + 2 * index, 48), 14, (230, 200, 220), -1)
    return image


def encode(path, codec, options=None, *, interlaced=False, rate=25):
    """Write a video; an interlaced frame has its odd lines from half a frame later."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.width, stream.height, stream.pix_fmt = *SIZE, layout
        if interlaced:
            stream.codec_context.flags |= (1 << 18) | (1 << 29)  # interlaced DCT and motion estimation
        for index in range(COUNT):
            image = picture(2 * index)
            if interlaced:
                image[1::2] = picture(2 * index + 1)[1::2]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=layout)
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def frames(path, **arguments):
    with open_source(str(path), **arguments) as source:
        return [item for item in source if isinstance(item, Frame)]


INTERLACED = {
    "h264.mp4": ("libx264", {"x264-params": "interlaced=1:tff=1"}),
    "mpeg2.mpg": ("mpeg2video", {"b": "4000000"}),
}


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_video_is_read_as_progressive(tmp_path, name):
    codec, options = INTERLACED[name]
    whole = frames(encode(tmp_path / f"progressive-{name}", codec, {"b": "4000000"}))
    found = frames(encode(tmp_path / name, codec, options, interlaced=True))
    assert len(found) == len(whole) == COUNT
    assert [round(one.time, 3) for one in found] == [round(one.time, 3) for one in whole]
    for one, other in zip(found[1:], whole[1:], strict=True):
        assert np.abs(one.image.astype(int) - other.image).mean() < 4
    comb = np.abs(np.diff(found[10].image[:, 40:80].astype(int), 2, axis=0)).mean()
    assert comb < 2 * np.abs(np.diff(whole[10].image[:, 40:80].astype(int), 2, axis=0)).mean() + 2


def test_a_codec_that_opencv_does_not_decode(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mp4", "libsvtav1", {"preset": "12"})
    assert len(frames(path)) == COUNT
    assert abs(int(frames(path)[5].image[48, 40, 0]) - 230) < 20
    monkeypatch.setattr(decoders, "_is_installed", lambda: False)
    with pytest.raises(SourceError, match=r"gaitid\[video\]"):
        frames(path)


def test_what_opencv_shows_is_decoded_by_it(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264")
    assert isinstance(decoders.open_capture(path), cv2.VideoCapture)
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"junk" * 500)
    assert not decoders.open_capture(junk).isOpened()


def test_damage_ends_the_video_without_a_crash(tmp_path):
    path = encode(tmp_path / "a.mpg", "mpeg2video", interlaced=True)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    assert 5 <= len(frames(path)) <= COUNT


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.mjpeg", "mjpeg")])
def test_a_bare_stream_needs_a_frame_rate(tmp_path, name, codec):
    path = encode(tmp_path / name, codec)
    with pytest.raises(SourceError, match=r"The frame rate of file .* is not known.*--fps"):
        frames(path)
    found = frames(path, fps=10.0)
    assert len(found) == COUNT
    assert found[10].time == pytest.approx(1.0)


@pytest.fixture
def served(tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_behind_an_address_ends(tmp_path, served):
    encode(tmp_path / "a.avi", "mjpeg")
    with open_source(f"{served}/a.avi") as source:
        assert (source.live, source.frame_count) == (False, COUNT)
        assert len([item for item in source if isinstance(item, Frame)]) == COUNT


def test_a_video_on_standard_input(tmp_path, monkeypatch):
    content = encode(tmp_path / "a.mp4", "libx264").read_bytes()

    def piped(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return frames("-")

    found = piped(content)
    assert len(found) == COUNT
    with pytest.raises(SourceEmpty, match="Standard input has 0 bytes"):
        piped(b"")
    with pytest.raises(SourceError, match="standard input"):
        piped(b"junk" * 100)
    with pytest.raises(SourceError, match="The frame rate of standard input"):
        piped(b"\xff\xd8\xff\xe0" * 100)


def test_a_folder_is_read_by_the_numbers_in_its_names(tmp_path):
    for number in (1, 2, 9, 10, 11):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((8, 8, 3), number, np.uint8))
    with pytest.raises(SourceError, match="The frame rate of directory"):
        open_source(str(tmp_path))
    found = frames(tmp_path, fps=10.0)
    assert [int(one.image[0, 0, 0]) for one in found] == [1, 2, 9, 10, 11]
    assert [one.time for one in found] == pytest.approx([0.0, 0.1, 0.8, 0.9, 1.0])
    cv2.imwrite(str(tmp_path / "frame41.png"), np.full((8, 8, 3), 41, np.uint8))
    with open_source(str(tmp_path), fps=10.0) as source:
        items = list(source)
    assert isinstance(items[5], Discontinuity)
    assert items[6].time == pytest.approx(4.0)
