"""Masks and keypoints of other programs: every format gives the walks that were written in it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from gaitid.errors import ConfigError, GaitIdError, SourceEmpty, SourceError, SourceNotFound
from gaitid.perception.account import Account
from gaitid.perception.pipeline import PerceptionSettings, watch
from gaitid.perception.precomputed.coco import _decoded
from gaitid.perception.precomputed.extractor import PrecomputedExtractor, PrecomputedSettings
from gaitid.records import Frame
from tests import recorded
from tests.recorded import SIZE
from tests.scripted import FPS, FRAMES


def settings(**own):
    return PerceptionSettings("precomputed", {"precomputed": PrecomputedSettings(**own)})


SIZED = {"width": SIZE[0], "height": SIZE[1]}


def walks_of(path, fps=FPS, **own):
    """The walks of a recording, the longest first."""
    chosen = settings(**own)
    with chosen.open(str(path), camera="gate", fps=fps) as source:
        walks = [walk for view in watch(source, settings=chosen) for walk in view.walks]
    return sorted(walks, key=lambda walk: -len(walk.times))


KEYPOINTS = {
    "OpenPose BODY_25": (recorded.openpose, "kp", {}, 0.01),
    "OpenPose BODY_25 with ids": (partial(recorded.openpose, ids=True), "kp", {}, 0.01),
    "OpenPose COCO-18": (recorded.openpose18, "kp", {}, 0.01),
    "MediaPipe, one file": (recorded.mediapipe, "kp.json", SIZED, 0.01),
    "MediaPipe, a file a frame": (recorded.mediapipe_folder, "kp", SIZED, 0.01),
    "YOLO-pose": (recorded.yolo, "kp", SIZED, 0.01),
    "YOLO-pose without scores": (partial(recorded.yolo, score=False), "kp", SIZED, 0.01),
    "YOLO-pose with ids": (partial(recorded.yolo, ids=True), "kp", SIZED, 0.01),
    "YOLO-pose with ids only": (partial(recorded.yolo, score=False, ids=True), "kp", SIZED, 0.01),
    "AlphaPose with its tracker": (recorded.alphapose, "kp.json", {}, 1e-4),
    "AlphaPose without": (partial(recorded.alphapose, tracked=False), "kp.json", {}, 1e-4),
    "COCO data set": (recorded.coco, "kp.json", {}, 1e-4),
    "COCO results": (recorded.coco_results, "kp.json", {}, 1e-4),
    "npz": (recorded.arrays, "kp.npz", {}, 1e-4),
}


@pytest.mark.parametrize(("write", "name", "own", "precision"), KEYPOINTS.values(), ids=KEYPOINTS)
def test_keypoints_of_every_format_are_the_walks_that_were_written(write, name, own, precision, tmp_path):
    people = recorded.scene()
    walks = walks_of(write(tmp_path / name, people), **own)
    assert [len(walk.times) for walk in walks] == [FRAMES] * 2
    walks.sort(key=lambda walk: walk.boxes[0, 0])
    for i, walk in enumerate(walks):
        assert set(walk.sequence.streams) == {"skeleton"}
        assert walk.sequence.origin.camera == "gate"
        frames = np.round(walk.sequence.times * FPS).astype(int)
        assert len(frames) == FRAMES
        np.testing.assert_allclose(walk.sequence.times, frames / FPS)
        truth = np.stack([people[n][i] for n in frames])
        np.testing.assert_allclose(walk.sequence.skeletons, truth, atol=precision)


MASKS = {
    "images": (recorded.mask_images, "masks", 1.0),
    "jpeg images": (partial(recorded.mask_images, suffix=".jpg"), "masks", 0.97),
    "video": (recorded.mask_video, "masks.avi", 0.97),
    "npz": (recorded.mask_arrays, "masks.npz", 1.0),
}


@pytest.mark.parametrize(("write", "name", "agreement"), MASKS.values(), ids=MASKS)
def test_masks_of_every_kind_are_the_walks_that_were_written(write, name, agreement, tmp_path):
    truth = recorded.pictures()
    walks = walks_of(write(tmp_path / name))
    assert [len(walk.times) for walk in walks] == [FRAMES] * 2
    for walk in walks:
        assert set(walk.sequence.streams) == {"silhouette"}
        assert len(walk.sequence) > 0.9 * FRAMES
        for time, box in zip(walk.times, walk.boxes, strict=True):
            x0, y0, x1, y1 = box.astype(int)
            inside = truth[round(time * FPS)][y0:y1, x0:x1] > 0
            assert inside.any(axis=1).mean() >= agreement
            assert inside.any(axis=0).mean() >= agreement


def both(folder: Path, keypoints, masks) -> Path:
    folder.mkdir()
    keypoints(folder / "keypoints", recorded.scene())
    masks(folder / "masks")
    return folder


def test_masks_and_keypoints_in_one_folder_make_both_streams(tmp_path):
    folder = both(
        tmp_path / "walk", recorded.yolo, recorded.mask_images
    )  # the masks say how large a share is
    one, two = walks_of(folder)
    assert set(one.sequence.streams) == set(two.sequence.streams) == {"silhouette", "skeleton"}
    assert len(one.sequence) > 0.9 * FRAMES
    recorded.mask_video(tmp_path / "walk" / "masks.avi")
    with pytest.raises(SourceError, match=r"masks, masks\.avi, keypoints; expected one of each kind"):
        walks_of(folder)


def test_a_video_of_masks_with_keypoints_of_its_frames(tmp_path):
    (tmp_path / "walk").mkdir()
    recorded.mask_video(tmp_path / "walk" / "masks.avi")
    recorded.coco(tmp_path / "walk" / "keypoints.json", recorded.scene())
    walks = walks_of(tmp_path / "walk", fps=None)
    assert [set(walk.sequence.streams) for walk in walks] == [{"silhouette", "skeleton"}] * 2


def test_labels_are_track_ids(tmp_path):
    pictures = np.stack(recorded.pictures(1))
    labels = np.where(pictures > 0, 41, 0)
    labels[:, :, 400:] = np.where(np.stack(recorded.pictures())[:, :, 400:] > 0, 7, 0)
    labels[20:25][labels[20:25] == 7] = 0  # hidden for a moment
    np.savez_compressed(tmp_path / "labels.npz", labels=labels.astype(np.uint8))
    walks = walks_of(tmp_path / "labels.npz")
    assert sorted(len(walk.times) for walk in walks) == [FRAMES - 5, FRAMES]


def polygon(picture: np.ndarray) -> list[list[float]]:
    contours, _ = cv2.findContours(picture, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour.ravel().tolist() for contour in contours if len(contour) > 2]


def run_lengths(picture: np.ndarray) -> dict:
    """An uncompressed run-length code."""
    flat = (picture > 0).T.ravel().astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, len(flat)]).tolist()
    return {"size": list(picture.shape), "counts": runs if flat[0] == 0 else [0, *runs]}


def as_text(code: dict) -> dict:
    """The same as COCO's text, written from its description."""
    counts, text = code["counts"], ""
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 * more))
            if not more:
                break
    return {**code, "counts": text}


OUTLINES = {
    "polygons": polygon,
    "run lengths": run_lengths,
    "text": lambda picture: as_text(run_lengths(picture)),
}


@pytest.mark.parametrize("outline", OUTLINES.values(), ids=OUTLINES)
def test_outlines_of_coco_make_silhouettes(outline, tmp_path):
    truth = recorded.pictures(1)
    more = {(n, 0): {"segmentation": outline(picture)} for n, picture in enumerate(truth)}
    (walk,) = walks_of(recorded.coco(tmp_path / "a.json", recorded.scene(1), more))
    assert set(walk.sequence.streams) == {"silhouette", "skeleton"}
    (same,) = walks_of(recorded.mask_images(tmp_path / "masks", people=1))
    # A contour leaves out tips that are one pixel wide.
    np.testing.assert_allclose(walk.boxes, same.boxes, atol=1 if outline is polygon else 0)
    assert (walk.sequence.silhouettes != same.sequence.silhouettes[: len(walk.sequence)]).mean() < 0.01


def test_a_text_of_run_lengths_of_the_documentation():
    assert _decoded("0", Path("a")).tolist() == [0]
    code = {"counts": [6, 1, 40, 4, 5, 4, 5, 4, 21]}
    assert _decoded(as_text(code)["counts"], Path("a")).tolist() == code["counts"]


def test_frames_are_numbered_by_names_and_gaps_stay_gaps(tmp_path):
    people = {n: row for n, row in recorded.scene(1, first=7).items() if n % 20 > 2}
    (walk,) = walks_of(recorded.openpose(tmp_path / "kp", people))
    assert np.round(walk.times * FPS).astype(int).tolist() == sorted(people)


def test_every_fifth_frame_is_a_fifth_of_the_rate(tmp_path):
    people = {5 * n: row for n, row in recorded.scene(1).items()}
    (walk,) = walks_of(recorded.coco_results(tmp_path / "kp.json", people), fps=5 * FPS)
    assert len(walk.times) == FRAMES
    assert np.diff(walk.times) == pytest.approx(1 / FPS)


def test_frames_without_people_and_people_without_joints_are_nobody(tmp_path):
    people = dict(recorded.scene(1))
    people[30] = []
    people[31] = [np.zeros((17, 3), np.float32)]
    for number in range(FRAMES, FRAMES + 40):
        people[number] = []
    for i, (write, name, own, _) in enumerate(KEYPOINTS.values()):
        folder = tmp_path / str(i)
        folder.mkdir()
        (walk,) = walks_of(write(folder / name, people), **own)
        assert len(walk.times) == FRAMES - 2


def test_a_joint_of_confidence_0_is_not_seen(tmp_path):
    people = recorded.scene(1)
    for row in people.values():
        row[0] = row[0].copy()
        row[0][9:11] = (0, 0, 0)  # the wrists
    (walk,) = walks_of(recorded.openpose(tmp_path / "kp", people))
    assert (walk.sequence.skeletons[:, 9:11] == 0).all()
    assert walk.boxes[:, 0].min() > 100  # the box does not reach to 0, 0


def test_a_hidden_joint_of_coco_has_half_the_confidence(tmp_path):
    people = recorded.scene(1)
    for row in people.values():
        row[0] = row[0] * np.array([1, 1, 0.5], np.float32)
        row[0][0, 2] = 1.0
    (walk,) = walks_of(recorded.coco(tmp_path / "kp.json", people))
    assert np.unique(walk.sequence.skeletons[..., 2]).tolist() == [0.5, 1.0]


def test_only_people_of_a_data_set_are_read(tmp_path):
    more = {(n, 1): {"category_id": 8} for n in range(FRAMES)}
    more |= {(n, 2): {"iscrowd": 1} for n in range(FRAMES)}
    people = {n: [*row, row[1]] for n, row in recorded.scene().items()}
    assert len(walks_of(recorded.coco(tmp_path / "kp.json", people, more))) == 1


def test_times_of_an_npz_take_the_place_of_the_rate(tmp_path):
    path = recorded.arrays(tmp_path / "a.npz", recorded.scene(1), times=3.0 + np.arange(FRAMES) / 20)
    (walk,) = walks_of(path, fps=None)
    np.testing.assert_allclose(walk.times, 3.0 + np.arange(FRAMES) / 20)
    (walk,) = walks_of(path, fps=10)
    np.testing.assert_allclose(walk.times, np.arange(FRAMES) / 10)


def test_landmarks_of_an_npz_have_their_size_beside_them(tmp_path):
    marks = np.zeros((FRAMES, 33, 4))
    for n, row in recorded.scene(1).items():
        shares = recorded.laid_out(row[0], recorded.MEDIAPIPE33) / [*SIZE, 1]
        marks[n] = shares[:, [0, 1, 2, 2]]
    np.savez(tmp_path / "a.npz", landmarks=marks, size=np.array(SIZE))
    (walk,) = walks_of(tmp_path / "a.npz")
    np.testing.assert_allclose(
        walk.sequence.skeletons, np.stack([r[0] for r in recorded.scene(1).values()]), atol=0.01
    )


def test_at_the_border_of_a_known_picture_a_body_is_cut_off_and_of_an_unknown_one_it_is_not(tmp_path):
    path = recorded.openpose(tmp_path / "kp", recorded.scene(1))
    (unknown,) = walks_of(path)
    (known,) = walks_of(path, width=200, height=200)
    assert len(unknown.sequence) == FRAMES
    assert len(known.sequence) < FRAMES / 2
    assert known.sequence.dropped["cut_off"] > 0


def test_other_layouts_that_start_with_coco(tmp_path):
    people = {
        n: [np.concatenate([row[0], np.zeros((9, 3), np.float32)])] for n, row in recorded.scene(1).items()
    }
    (walk,) = walks_of(recorded.coco_results(tmp_path / "halpe26.json", people))
    assert walk.sequence.skeletons.shape == (FRAMES, 17, 3)


# What is wrong: content of a.json, or a function that writes the recording; flags; text of the error.
FLAT = [1.0] * 51
BROKEN = {
    "no json": ("{", {}, "cannot be read as JSON"),
    "a number": ("3", {}, "has a int"),
    "other keys": ('{"frames": [], "info": 1}', {}, "has the keys frames, info"),
    "a list of numbers": ("[1, 2]", {}, "has a int"),
    "15 joints": ({"people": [{"pose_keypoints_2d": [1.0] * 45}]}, {}, "has 15 joints a person"),
    "two of three": ({"people": [{"pose_keypoints_2d": [1.0] * 50}]}, {}, "keypoints of 50 values"),
    "no keypoints": ({"people": [{"face": []}]}, {}, "a person without pose_keypoints_2d"),
    "text for numbers": (
        {"people": [{"pose_keypoints_2d": ["x"] * 75}]},
        {},
        "keypoints that are no numbers",
    ),
    "not finite": ('{"people": [{"pose_keypoints_2d": [NaN, 1, 1]}]}', {}, "no list of finite numbers"),
    "shares without a size": ({"people": [{"pose_keypoints_2d": [0.5] * 75}]}, {}, "Pass --size"),
    "shares of -1 to 1": (
        {"people": [{"pose_keypoints_2d": [-0.5, 0.5, 1] * 25}]},
        {},
        "coordinates of -1 to 1",
    ),
    "32 landmarks": ([[{"x": 0.5, "y": 0.5}] * 32], SIZED, "has 32 landmarks a person"),
    "landmarks without a size": ([[{"x": 0.5, "y": 0.5}] * 33], {}, "Pass --size WIDTHxHEIGHT"),
    "COCO of 16 joints": ([{"image_id": 1, "keypoints": [1.0] * 48}], {}, "has 16 joints a person"),
    "a result without image": (
        [{"image_id": 1, "keypoints": FLAT}, {"keypoints": FLAT}],
        {},
        "image_id is None",
    ),
    "no images": ({"annotations": []}, {}, "annotations without images"),
    "an unlisted image": (
        {"images": [{"id": 1}], "annotations": [{"image_id": 2}]},
        {},
        "annotations of image 2",
    ),
    "two videos": (
        {"images": [{"id": 1, "video_id": 1}, {"id": 2, "video_id": 2}], "annotations": []},
        {},
        "has 2 videos",
    ),
    "two sizes": (
        {"images": [{"id": i, "width": 9 * i, "height": 9} for i in (1, 2)], "annotations": []},
        {},
        "images of 2 sizes",
    ),
    "an id that is none": ([{"image_id": 1, "keypoints": FLAT, "track_id": "a"}], {}, "the track id 'a'"),
    "an id twice": ([{"image_id": 1, "keypoints": FLAT, "track_id": 5}] * 2, {}, "2 people with track id 5"),
    "a short box": ([{"image_id": 1, "keypoints": FLAT, "bbox": [1, 2]}], {}, "a box of 2 values"),
    "too few pixels": (
        [{"image_id": 1, "category_id": 1, "segmentation": {"size": [4, 4], "counts": [3, 4]}}],
        {},
        "a run-length code of 7 pixels",
    ),
    "a bad text": (
        [{"image_id": 1, "category_id": 1, "segmentation": {"size": [4, 4], "counts": "é"}}],
        {},
        "a damaged run-length code",
    ),
    "a vast mask": (
        [{"image_id": 1, "category_id": 1, "segmentation": {"size": [1e6, 1e6], "counts": [1]}}],
        {},
        "a mask of 1000000x1000000 pixels",
    ),
    "a line for a polygon": (
        [{"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 3, 4]]}],
        {},
        "a polygon of 4 values",
    ),
    "another size": (
        {"images": [{"id": 1, "width": 640, "height": 480}], "annotations": []},
        SIZED,
        "is of 640x480 pixels; expected 800x200",
    ),
    "far away": ([{"image_id": 1, "keypoints": [1e9, 1.0, 1.0] * 17}], {}, "Check --size"),
}


@pytest.mark.parametrize(("content", "own", "text"), BROKEN.values(), ids=BROKEN)
def test_a_wrong_file_is_an_error_that_says_what_is_wrong(content, own, text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(SourceError) as raised:
        walks_of(path, **own)
    assert text in str(raised.value)
    assert raised.value.expected
    assert raised.value.remedy


JUNK = (
    None,
    True,
    -1,
    1e308,
    2**70,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    {},
    [[]],
    [1],
    {"a": 1},
    [None],
)


def places(value, place=()):
    """The places of all values in a JSON document, of lists the first ones."""
    yield place
    pairs = (
        value.items() if isinstance(value, dict) else enumerate(value[:5]) if isinstance(value, list) else ()
    )
    for key, inner in pairs:
        yield from places(inner, (*place, key))


def spoilt(document, place, junk):
    """The document with junk at a place."""
    if not place:
        return junk
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[place[0]] = spoilt(copy[place[0]], place[1:], junk)
    return copy


def rich_coco(path, people):
    more = {
        (0, 0): {"segmentation": run_lengths(recorded.pictures(1)[0]), "track_id": 4, "score": 0.5},
        (1, 0): {"segmentation": [[1, 1, 50, 1, 50, 90]], "bbox": [1, 2, 3, 4]},
    }
    return recorded.coco(path, people, more)


DOCUMENTS = {
    "COCO": rich_coco,
    "AlphaPose": recorded.alphapose,
    "MediaPipe": recorded.mediapipe,
    "OpenPose": lambda path, people: next(recorded.openpose(path.with_suffix(""), people).iterdir()),
}


@pytest.mark.parametrize("write", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_damaged_document_is_read_or_refused_and_nothing_else(write, tmp_path):
    document = json.loads(write(tmp_path / "a.json", dict(list(recorded.scene().items())[:3])).read_text())
    random, found = np.random.default_rng(0), list(places(document))
    path, refused = tmp_path / "b.json", 0
    for _ in range(150):
        damage = spoilt(document, found[random.integers(len(found))], JUNK[random.integers(len(JUNK))])
        path.write_text(json.dumps(damage))
        try:
            walks_of(path, **SIZED)
        except GaitIdError as error:
            refused += bool(error.expected and error.remedy)
    assert refused > 30


ARRAYS = {
    "nothing": ({"other": np.zeros(3)}, "the arrays other"),
    "nothing known": ({"times": np.arange(3.0)}, "the arrays times"),
    "12 joints": ({"keypoints": np.ones((3, 12, 3))}, "keypoints of shape (3, 12, 3)"),
    "one frame": ({"keypoints": np.ones((17, 3))}, "keypoints of shape (17, 3)"),
    "no frames": ({"keypoints": np.ones((0, 17, 3))}, "at least 1"),
    "unequal": ({"keypoints": np.ones((3, 17, 3)), "times": np.arange(2.0)}, "one number of frames"),
    "times that fall": ({"keypoints": np.ones((2, 17, 3)), "times": np.array([1.0, 0.0])}, "do not grow"),
    "tracks": ({"keypoints": np.ones((2, 17, 3)), "tracks": np.zeros((2, 2), int)}, "tracks of shape (2, 2)"),
    "an id twice": (
        {"keypoints": np.ones((1, 2, 17, 3)), "tracks": np.zeros((1, 2), int)},
        "2 people with track id 0",
    ),
    "landmarks": ({"landmarks": np.ones((2, 33, 3)), "size": np.array([4, 4])}, "(T, 33, 4)"),
    "landmarks without size": ({"landmarks": np.ones((2, 33, 4))}, "Add it, or pass --size"),
    "a size of shares": ({"landmarks": np.ones((2, 33, 4)), "size": np.ones(2)}, "size [1.0, 1.0]"),
    "negative masks": ({"masks": -np.ones((1, 4, 4))}, "masks of float64"),
    "masks of nothing": ({"masks": np.full((1, 4, 4), np.nan)}, "masks of float64"),
    "beyond all pictures": ({"keypoints": np.full((1, 17, 3), 1e300)}, "coordinates up to 1e+300"),
    "flat masks": ({"masks": np.ones((4, 4))}, "(T, H, W)"),
    "labels of floats": ({"labels": np.ones((1, 4, 4))}, "labels of float64"),
    "objects": ({"masks": np.array([None, None])}, "cannot be read"),
}


@pytest.mark.parametrize(("content", "text"), ARRAYS.values(), ids=ARRAYS)
def test_a_wrong_array_is_an_error_that_says_what_is_wrong(content, text, tmp_path):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(SourceError) as raised:
        walks_of(tmp_path / "a.npz")
    assert text in str(raised.value)


def write_lines(folder, *lines):
    folder.mkdir()
    for i, line in enumerate(lines):
        (folder / f"{i}.txt").write_text(line + "\n")


TEXTS = {
    "boxes": ((["0 0.5 0.5 0.1 0.2"]), SIZED, "lines of 5 columns"),
    "outlines": ((["0 " + "0.5 " * 80]), SIZED, "lines of 81 columns"),
    "words": ((["person 0.5"]), SIZED, "lines that cannot be read"),
    "two layouts": (["0 " + "0.5 " * 55, "0 " + "0.5 " * 56], SIZED, "lines of 56 and 57 columns"),
    "not finite": ((["0 " + "nan " * 55]), SIZED, "no finite numbers"),
    "beyond all pictures": ((["0 " + "1e300 " * 55]), SIZED, "no finite numbers"),
    "no size": ((["0 " + "0.5 " * 55]), {}, "Pass --size"),
}


@pytest.mark.parametrize(("lines", "own", "text"), TEXTS.values(), ids=TEXTS)
def test_a_wrong_line_is_an_error_that_says_what_is_wrong(lines, own, text, tmp_path):
    write_lines(tmp_path / "kp", *lines)
    with pytest.raises(SourceError) as raised:
        walks_of(tmp_path / "kp", **own)
    assert text in str(raised.value)


def images(folder, *pictures):
    folder.mkdir()
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{i}.png"), picture)


NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
BLACK = np.zeros((40, 60), np.uint8)
PICTURES = {
    "ordinary video": ([BLACK, NOISE], "of the pixels are gray"),
    "inverted": ([255 - BLACK], "Invert the pictures"),
    "cut out": ([BLACK, BLACK[:20]], "Mask 1 of"),
}


@pytest.mark.parametrize(("pictures", "text"), PICTURES.values(), ids=PICTURES)
def test_pictures_that_are_no_masks_are_refused(pictures, text, tmp_path):
    images(tmp_path / "masks", *pictures)
    with pytest.raises(SourceError, match=text):
        walks_of(tmp_path / "masks")


PATHS = {
    "nothing there": (lambda path: None, SourceNotFound, "does not exist"),
    "an empty folder": (lambda path: path.mkdir(), SourceEmpty, "has neither masks nor keypoints"),
    "both in one folder": (
        lambda path: (recorded.mask_images(path), (path / "a.json").write_text("[]")),
        SourceEmpty,
        "has both masks and keypoints",
    ),
    "a damaged image": (
        lambda path: (path.mkdir(), (path / "0.png").write_bytes(b"no png")),
        SourceError,
        r"0\.png is no readable image",
    ),
}


@pytest.mark.parametrize(("make", "kind", "text"), PATHS.values(), ids=PATHS)
def test_a_path_without_a_recording_is_refused(make, kind, text, tmp_path):
    make(tmp_path / "there")
    with pytest.raises(kind, match=text):
        walks_of(tmp_path / "there")


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.txt", "a.PKL"])
def test_a_file_of_another_kind_is_refused_by_what_is_read(name, tmp_path):
    (tmp_path / name).write_bytes(b"1,2,3")
    with pytest.raises(SourceError, match=r"OpenPose, COCO, AlphaPose or MediaPipe JSON, an \.npz file"):
        walks_of(tmp_path / name)


@pytest.mark.parametrize("fps", [None, 0.0, -25.0, float("nan")])
def test_the_frame_rate_is_asked_for(fps, tmp_path):
    path = recorded.coco_results(tmp_path / "a.json", recorded.scene(1))
    with pytest.raises(SourceError, match="--fps" if fps is None else "positive"):
        walks_of(path, fps=fps)


@pytest.mark.parametrize("own", [{"width": -1}, {"width": 640}, {"height": 480}, {"gap_px": -1}])
def test_wrong_settings_are_refused(own):
    with pytest.raises(ConfigError):
        PrecomputedSettings(**own)


def masks_in(picture, **own):
    return PrecomputedExtractor(PrecomputedSettings(**own))(Frame(np.stack([picture] * 3, axis=2), 0.0))


def test_pieces_of_a_body_are_one_and_bodies_side_by_side_are_two():
    picture = np.zeros((120, 200), np.uint8)
    picture[20:60, 40:60] = picture[64:100, 42:58] = 255  # cut at the waist
    picture[30:90, 120:140] = picture[30:90, 144:160] = 255
    picture[5:10, 5:10] = 255  # a speck
    boxes = sorted(one.box.tolist() for one in masks_in(picture))
    assert boxes == [[40, 20, 60, 100], [120, 30, 140, 90], [144, 30, 160, 90]]
    (body, *_) = sorted(masks_in(picture), key=lambda one: one.box[0])
    np.testing.assert_array_equal(body.mask, picture[20:100, 40:60] // 255)
    assert len(masks_in(picture, gap_px=0)) == 4
    assert len(masks_in(picture, min_height_px=70)) == 1
    assert len(masks_in(picture // 255)) == 3  # 0 and 1


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: recorded.coco(path, {n: [] for n in range(100)}), "shows nobody"),
        (lambda path: recorded.coco_results(path, dict(list(recorded.scene(1).items())[:5])), "lasts 0.2 s"),
    ],
)
def test_what_is_missing_is_said_without_a_word_about_pictures(write, text, tmp_path):
    chosen, account = settings(), Account(static_camera=settings().static_camera)
    with chosen.open(str(write(tmp_path / "a.json")), fps=FPS) as source:
        for _ in account.over(watch(source, settings=chosen)):
            pass
    finding = str(account.finding("Recording a"))
    assert text in finding
    assert not {"black", "lens", "camera moves"} & set(finding.split())
