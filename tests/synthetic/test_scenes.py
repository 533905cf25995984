"""Scenes: equal seeds give equal frames, ground truth agrees with pixels, perception follows walkers."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.evaluation.scenes import observe
from gaitid.perception.pipeline import watch
from gaitid.synthetic.background import PLACES, draw_place, trace
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.path import Pace
from gaitid.synthetic.scenes import (
    SCENES,
    Light,
    crossing,
    named_scene,
    read_truth,
    scene_source,
    write_scene,
)

SMALL, MEDIUM = (320, 180), (480, 270)


def short(name="crossing", seconds=1.0, *, begin=4.4, **changes):
    """A second in the middle of a named scene, small."""
    scene = named_scene(name, 1, size=SMALL)
    walkers = [replace(w, start_s=w.start_s - begin) for w in scene.walkers]
    return replace(scene, **{"walkers": walkers, "seconds": seconds, **changes})


def digest(scene):
    whole = hashlib.sha256()
    for frame, truth in scene:
        whole.update(frame.image.tobytes())
        for sighting in truth.sightings:
            whole.update(sighting.mask.tobytes() + sighting.keypoints.tobytes() + sighting.box.tobytes())
    return whole.hexdigest()


def test_an_empty_scene_has_frames_without_walkers():
    frames = list(short(walkers=(), seconds=0.2))
    assert [(frame.index, truth.sightings) for frame, truth in frames] == [(k, ()) for k in range(5)]
    assert frames[0][0].image.shape == (180, 320, 3)


def test_same_scene_same_bytes_in_another_process():
    program = (
        "import sys; sys.path.insert(0, 'tests/synthetic'); import test_scenes as t;"
        "print(t.digest(t.short(seconds=0.4)))"
    )
    scene = short(seconds=0.4)
    mine = digest(scene)
    assert mine == digest(scene) == digest(short(seconds=0.4))
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == mine
    assert digest(replace(scene, seed=2)) != mine


def test_masks_cover_what_walkers_change():
    """Without noise and shadow, a pixel differs from the empty place only where a walker covers it."""
    clean = short(noise=0.0, quality=100, light=Light(drift=0.0))
    clean = replace(clean, place=replace(clean.place, shadow=0.0))
    empty = next(iter(replace(clean, walkers=())))[0].image.astype(int)
    for frame, truth in clean:
        changed = np.abs(frame.image - empty).max(2) > 40
        covered = np.zeros(changed.shape, np.uint8)
        for sighting in truth.sightings:
            x, y, right, bottom = sighting.box.astype(int)
            covered[y:bottom, x:right] |= sighting.mask
        near = cv2.dilate(covered, np.ones((5, 5), np.uint8)) > 0
        assert not (changed & ~near).any()
        assert changed[covered > 0].mean() > 0.6  # dark clothes in front of dark things do not differ


def test_the_nearer_walker_hides_the_other():
    shares = {1: [], 2: []}
    for _, truth in short(seconds=2.4, begin=5.5):
        for sighting in truth.sightings:
            inside = sighting.whole_box[0] > 0 and sighting.whole_box[2] < SMALL[0]
            shares[sighting.track] += [sighting.share] if inside else []
    assert min(shares[1]) > 0.99
    assert min(shares[2]) < 0.8


def test_posts_hide_walkers_in_the_ground_truth_too():
    whole, hidden = [], 0
    for _, truth in short("posts", seconds=2.0, begin=4.6):
        for s in truth.sightings:
            whole.append(s.share)
            hidden += int((s.keypoints[:, 2] == 0).sum())
    assert min(whole) < 0.8
    assert max(whole) > 0.99
    assert hidden > 0


def test_a_shadow_darkens_the_ground_and_is_not_part_of_the_body():
    dark = short("shadows", seconds=0.2, noise=0.0)
    plain = replace(dark, place=replace(dark.place, shadow=0.0))
    for (one, truth), (two, _) in zip(dark, plain, strict=True):
        empty = trace(dark.place, dark.camera, dark.size).image.astype(int)
        darker = two.image.astype(int).mean(2) - one.image.astype(int).mean(2)
        x, y, right, bottom = truth.sightings[0].box.astype(int)
        inside = cv2.erode(truth.sightings[0].mask, np.ones((7, 7), np.uint8)) > 0
        assert np.abs(darker[y:bottom, x:right][inside]).mean() < 3
        assert (darker > 12).sum() > 40
        assert empty.shape == one.image.shape


def test_light_jumps_at_its_time():
    scene = short(walkers=(), light=Light(0.0, 5.0, jump_s=0.5, jump=0.7), seconds=0.8)
    means = np.array([frame.image.mean() for frame, _ in scene])
    assert means[13:].mean() / means[:12].mean() == pytest.approx(0.7, abs=0.02)
    assert means[:12].std() < 1


def test_keypoints_of_a_visible_walker_lie_in_the_mask():
    for _, truth in short("single", begin=5.0, seconds=0.6):
        for s in truth.sightings:
            points = s.keypoints[s.keypoints[:, 2] == 1, :2]
            assert len(points) >= 6
            assert (points >= s.box[:2] - 2).all()
            assert (points <= s.box[2:] + 2).all()


def test_a_written_scene_is_read_back(tmp_path):
    scene = short(seconds=0.4)
    write_scene(scene, tmp_path / "scene.avi")
    truths = read_truth(tmp_path / "scene.npz")
    video = cv2.VideoCapture(str(tmp_path / "scene.avi"), cv2.CAP_FFMPEG)
    assert len(truths) == len(scene) == 10
    for (frame, truth), again in zip(scene, truths, strict=True):
        assert np.abs(video.read()[1].astype(int) - frame.image).mean() < 4
        assert again.time == pytest.approx(truth.time)
        for one, two in zip(truth.sightings, again.sightings, strict=True):
            assert (one.track, one.subject) == (two.track, two.subject)
            for field in ("box", "mask", "whole_box", "whole_mask", "keypoints"):
                np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    with pytest.raises(InputError, match=r"\.avi"):
        write_scene(scene, tmp_path / "scene.mp4")


def test_an_empty_scene_can_be_written(tmp_path):
    write_scene(short(walkers=(), seconds=0.2), tmp_path / "empty.avi")
    assert [truth.sightings for truth in read_truth(tmp_path / "empty.npz")] == [()] * 5


def test_a_scene_is_a_source():
    scene = short(seconds=0.4)
    with scene_source(scene) as source:
        assert (source.size, source.fps, source.frame_count) == (SMALL, 25.0, 10)
        views = list(watch(source))
    assert [view.frame.time for view in views[:10]] == [k / 25 for k in range(10)]


@pytest.mark.parametrize("name", SCENES)
def test_every_named_scene_starts(name):
    scene = named_scene(name, 5, size=SMALL)
    frame, truth = next(iter(scene))
    assert frame.image.shape == (180, 320, 3)
    assert truth.sightings == ()  # an extractor sees the empty place first
    assert min(walker.start_s for walker in scene.walkers) >= 2


def test_a_place_is_drawn_without_some_of_its_surfaces_in_view():
    camera = Camera.looking_at((0, -1, 2.6), (0, 5, 1), 800, (160, 90))  # no road, no kerb, no sky
    assert trace(draw_place("street"), camera, SMALL).image.std() > 1


@pytest.mark.parametrize("name", PLACES)
def test_places_have_texture_and_things_that_hide_walkers(name):
    camera = Camera.looking_at((0, -7, 2.6), (0, 1, 1), 260, (160, 90))
    backdrop = trace(draw_place(name, 2), camera, SMALL)
    gray = backdrop.image.mean(2)
    assert np.abs(np.diff(gray, axis=1)).mean() > 1
    assert np.isfinite(backdrop.hiding).mean() > 0.005
    assert 0 <= backdrop.receives.min() <= backdrop.receives.max() <= 1


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda: named_scene("beach"), "beach"),
        (lambda: draw_place("beach"), "beach"),
        (lambda: short(size=(10, 10)), "10x10"),
        (lambda: short(fps=1.0), "1.0 fps"),
        (lambda: short(quality=0), "quality is 0"),
        (lambda: short(noise=-1.0), "Noise is -1.0"),
        (lambda: crossing(named_scene("single").camera, SMALL, -50.0), "-50"),
        (lambda: trace(draw_place("hall"), Camera.beside(90, distortion=-0.1), SMALL), "Distortion"),
    ],
)
def test_wrong_input_is_named(make, got):
    with pytest.raises(InputError, match=got):
        make()


def test_perception_follows_one_walker():
    report = observe(named_scene("single", 1, size=MEDIUM))
    assert report.tracking.mota > 0.9
    assert report.tracking.idf1 > 0.93
    assert report.mask_iou > 0.78
    assert report.clean_taken > 0.85 * report.clean > 100
    assert report.spoilt_refused == report.spoilt > 0


def test_perception_refuses_walkers_who_cross():
    report = observe(named_scene("crossing", 1, size=MEDIUM))
    assert report.tracking.mota > 0.8
    assert report.tracking.idf1 > 0.85
    assert report.mask_iou > 0.75
    assert report.spoilt > 10
    assert report.spoilt_refused > 0.9 * report.spoilt
    assert report.clean_taken > 0.8 * report.clean


def test_a_walker_with_a_standing_pause_stays_in_the_truth():
    scene = short("single", seconds=0.8)
    walker = replace(scene.walkers[0], start_s=-0.4, pace=Pace.steady(0.0))
    middle = replace(walker, path=type(walker.path).straight((0.0, 1.0)))
    boxes = [t.sightings[0].box for _, t in replace(scene, walkers=[middle])]
    assert len(boxes) == 20
    assert np.ptp(np.array(boxes), axis=0).max() < 4
