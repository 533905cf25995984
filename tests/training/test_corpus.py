"""Shards store walks exactly; batches are P x K, balanced over sessions and repeatable."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from gaitid.errors import ConfigError, DatasetError
from gaitid.synthetic import Population, WalkPlan
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.frames import align_all
from gaitid.training import augment
from gaitid.training.cameras import BatchCamera
from gaitid.training.corpus import Corpus, Sampler
from gaitid.training.shards import synthetic_entries, write_shard

_NAMES = ("speed", "drop", "flip", "shift_px", "scale", "shear", "morphology", "coarse", "rough")
OFF = augment.Augmentation(**dict.fromkeys((*_NAMES, "erase", "blink", "cut"), 0.0))


def test_an_empty_folder_and_an_empty_shard_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="no shards"):
        Corpus(tmp_path)
    with pytest.raises(DatasetError, match="no sequences"):
        write_shard(tmp_path / "none", [])


def test_shards_hold_the_walks(shards):
    corpus = Corpus(shards)
    item = WalkPlan(2, 0, 0, "nm", 60.0, 24)
    entries = list(synthetic_entries(Population(5), [item], 2, (0.5, 1.0)))
    numbers = [i for i, label in enumerate(corpus.labels) if label == entries[0].label]
    assert len(corpus) == 16
    assert len(corpus.subjects) == 4
    assert len(numbers) == 2
    for number, entry in zip(numbers, entries, strict=True):
        np.testing.assert_array_equal(corpus.silhouettes(number), entry.sequence.silhouettes)
        np.testing.assert_array_equal(corpus.skeletons(number), entry.sequence.skeletons)
        np.testing.assert_array_equal(corpus.times(number), entry.sequence.times)
        np.testing.assert_allclose(corpus.joints(number), entry.joints, atol=2e-3)


def test_more_subjects_than_there_are_is_an_error(shards):
    with pytest.raises(DatasetError, match="4 subjects"):
        Corpus(shards, 5)
    with pytest.raises(DatasetError, match="at least 5"):
        Sampler(Corpus(shards), 5, 2, 0)


def test_a_batch_has_p_subjects_k_sequences_and_all_days(shards):
    corpus = Corpus(shards)
    sampler = Sampler(corpus, 3, 2, seed=7)
    for step in range(20):
        numbers, classes, _ = sampler.batch(step)
        assert sorted(Counter(classes).values()) == [2, 2, 2]
        for first, second in zip(numbers[::2], numbers[1::2], strict=True):
            a, b = corpus.labels[first], corpus.labels[second]
            assert a.subject == b.subject
            assert a.session != b.session
        assert [corpus.subjects[c] for c in classes] == [corpus.labels[n].subject for n in numbers]


def test_a_batch_depends_on_seed_and_step_only(shards):
    corpus = Corpus(shards)
    one, two = Sampler(corpus, 3, 4, seed=7), Sampler(corpus, 3, 4, seed=7)
    one.batch(0)
    assert one.batch(5) == two.batch(5)
    assert one.batch(5) != one.batch(6)
    assert one.batch(5) != Sampler(corpus, 3, 4, seed=8).batch(5)


@pytest.mark.parametrize("fps", [8, 10, 12.5, 25, 30])
def test_chosen_frames_follow_the_clock_of_any_camera(fps):
    still = augment.Augmentation(speed=1.0, drop=0.0)
    times = np.arange(80) / fps
    places = augment.choose_frames(np.random.default_rng(0), times, 16, still)
    gaps = np.diff(times[places])
    assert len(places) == 16
    assert gaps.mean() == pytest.approx(0.08, abs=1 / fps / 15 + 1e-6)


def test_a_short_walk_is_repeated():
    places = augment.choose_frames(
        np.random.default_rng(0), np.arange(4) / 12.5, 12, augment.Augmentation(speed=1.0, drop=0.0)
    )
    assert places.tolist() == [0, 1, 2, 3] * 3


def test_augmentation_keeps_the_shape_and_changes_the_content(shards):
    corpus = Corpus(shards)
    clip = corpus.silhouettes(0)[:12]
    changed = [augment.silhouettes(np.random.default_rng(i), clip, augment.Augmentation()) for i in range(30)]
    for one in changed:
        assert one.shape == clip.shape
        assert one.dtype == np.uint8
        assert set(np.unique(one)) <= {0, 1}
    assert all((one != clip).any() for one in changed)
    again = augment.silhouettes(np.random.default_rng(3), clip, augment.Augmentation())
    np.testing.assert_array_equal(again, changed[3])


def test_no_augmentation_changes_nothing(shards):
    clip = Corpus(shards).silhouettes(0)
    np.testing.assert_array_equal(augment.silhouettes(np.random.default_rng(0), clip, OFF), clip)


def test_a_drifting_distortion_grows_over_a_clip(shards):
    frame = Corpus(shards).silhouettes(0)[0]
    clip = augment.distort(np.random.default_rng(0), np.repeat(frame[None], 21, 0), 0.0, drift=2.0)
    away = (clip != clip[10]).mean((1, 2))
    assert away[0] > 0.01
    assert away[20] > 0.01
    assert away[[9, 11]].max() < 0.5 * away[[0, 20]].min()


def test_distortion_moves_outlines_by_pixels_without_bias(shards):
    clip = Corpus(shards).silhouettes(0)[:8]
    rng = np.random.default_rng(0)
    changed = np.stack([augment.distort(rng, clip, 1.0) for _ in range(300)])
    assert changed.dtype == np.uint8
    assert set(np.unique(changed)) <= {0, 1}
    columns = np.arange(clip.shape[2])
    heads = changed[:, :, 2:8].mean((1, 2))
    heads = heads @ columns / heads.sum(1)
    head = clip[:, 2:8].mean((0, 1))
    head = head @ columns / head.sum()
    assert heads.mean() == pytest.approx(head, abs=0.3)
    assert 0.7 < heads.std() < 2.0
    chests = changed[:, :, 16:24].sum(3).mean((1, 2))
    assert chests.mean() == pytest.approx(clip[:, 16:24].sum(2).mean(), rel=0.05)
    assert 0.05 < chests.std() / chests.mean() < 0.2


def test_leaning_resembles_a_subject_beside_the_centre_of_a_camera_that_looks_down():
    population = Population(3, "test")
    straight, aside = (
        align_all(
            population.sequence(
                2, frames=20, camera=Camera.beside(90, distance=7, height=4, focal=500, aside=past)
            ).clean
        )
        for past in (0.0, 25.0)
    )

    def alike(one: np.ndarray) -> float:
        return float((one & aside).sum() / (one | aside).sum())

    assert alike(straight) < 0.6
    assert max(alike(augment.lean(straight, angle, angle)) for angle in range(-20, 21, 2)) > 0.82
    assert alike(augment.lean(straight, 0.0, 0.0)) == pytest.approx(alike(straight), abs=0.01)


def test_leaning_grows_over_a_clip_and_cuts_nothing_off(shards):
    frame = Corpus(shards).silhouettes(1)[3]
    clip = augment.lean(np.repeat(frame[None], 11, 0), 0.0, 14.0)
    changed = (clip != frame).mean((1, 2))
    assert (np.diff(changed[[0, 3, 6, 10]]) > 0).all()
    assert clip[:, 0].any(1).all()
    assert clip[:, -1].any(1).all()


def test_flip_mirrors(shards):
    clip = Corpus(shards).silhouettes(0)
    names = ("drop", "shift_px", "scale", "shear", "morphology", "coarse", "rough", "erase", "blink", "cut")
    how = augment.Augmentation(speed=1.0, flip=1.0, **dict.fromkeys(names, 0.0))
    np.testing.assert_array_equal(augment.silhouettes(np.random.default_rng(0), clip, how), clip[:, :, ::-1])


def test_each_camera_of_a_batch_has_its_view_and_sees_a_subject_once(shards):
    sampler = Sampler(Corpus(shards), 4, 2, seed=7, cameras=3)
    corpus = Corpus(shards)
    nearer = 0
    for step in range(20):
        numbers, classes, cameras = sampler.batch(step)
        assert max(cameras) < 3
        assert len(set(zip(classes, cameras, strict=True))) == len(numbers)
        views = np.array([corpus.labels[number].view for number in numbers])
        spread = [views[np.array(cameras) == camera].std() for camera in set(cameras)]
        nearer += np.mean(spread) < views.std()
    assert nearer >= 15
    with pytest.raises(ConfigError, match=r"batch\.cameras is 1"):
        Sampler(Corpus(shards), 4, 2, seed=7, cameras=1)


def test_a_garment_widens_the_trunk_alike_in_all_frames_and_leaves_the_feet(shards):
    corpus, rng = Corpus(shards), np.random.default_rng(1)
    clip = corpus.silhouettes(0)
    wider = np.stack([augment.garment(rng, clip).astype(int) - clip for _ in range(40)]).sum(3)
    assert (wider >= 0).all()
    assert 1 < wider[:, :, 16:32].mean() < 3.5
    assert not wider[:, :, 52:].any()
    of_frames = wider[:, :, 20:30].mean(2).std(1)
    assert of_frames.mean() < wider[:, :, 20:30].mean((1, 2)).std()
    assert not augment.garment(rng, np.zeros_like(clip)).any()


def test_bands_change_apart_and_bursts_are_short(shards):
    clip = Corpus(shards).silhouettes(0)
    how = replace(OFF, bands=1.0)
    rng = np.random.default_rng(2)
    changes = [
        augment.silhouettes(rng, clip, how).astype(int).sum((0, 2)) - clip.sum((0, 2)) for _ in range(30)
    ]
    head, legs = np.array([c[:11].sum() for c in changes]), np.array([c[34:].sum() for c in changes])
    assert (head != 0).all()
    assert (legs != 0).all()
    assert abs(np.corrcoef(np.sign(head), np.sign(legs))[0, 1]) < 0.6
    bad = [(augment.silhouettes(rng, clip, replace(OFF, burst=1.0)) != clip).any((1, 2)) for _ in range(30)]
    assert all(1 <= frames.sum() <= 7 for frames in bad)
    assert all(np.diff(np.flatnonzero(frames)).max(initial=1) == 1 for frames in bad)


def test_a_camera_of_a_batch_treats_all_clips_alike(shards):
    corpus = Corpus(shards)
    one, other = corpus.silhouettes(0), corpus.silhouettes(2)
    cameras = [BatchCamera.draw(np.random.default_rng(seed), 1.0, (64, 44)) for seed in range(12)]
    rng = np.random.default_rng(0)
    widths = np.array(
        [
            [camera(rng, clip).sum(2).mean(0) - clip.sum(2).mean(0) for clip in (one, other)]
            for camera in cameras
        ]
    )
    assert np.corrcoef(widths[:, 0].ravel(), widths[:, 1].ravel())[0, 1] > 0.8
    assert not cameras[0](rng, np.zeros_like(one)).any()
