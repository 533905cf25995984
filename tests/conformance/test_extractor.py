"""Every registered extractor keeps the promises of `perception.extractor`; so do scripted ones."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest

from gaitid import registry
from gaitid.demo.scene import plan
from gaitid.errors import ConfigError, UnknownName
from gaitid.perception.extractor import Extractor, extractor_type, load_extractor
from gaitid.perception.pipeline import PerceptionSettings, watch
from gaitid.records import Frame, Observation, Reason
from gaitid.settings import build
from tests.perception import networks
from tests.perception import perception_scenes as painted
from tests.scripted import SIZE, Blank, Scripted, walker


@dataclasses.dataclass(frozen=True)
class DelaySettings:
    """Frames during which a scripted extractor sees nothing."""

    delay: int = 0


class _Walker:
    """Sees one scripted walker; a delay stands for a warm-up."""

    settings = DelaySettings
    brings: ClassVar[dict[str, object]]

    def __init__(self, settings: DelaySettings) -> None:
        self._delay, self._script = settings.delay, walker(**self.brings)

    def __call__(self, frame: Frame) -> list[Observation]:
        return [] if frame.index < self._delay else list(self._script.get(frame.index, ()))

    def reset(self) -> None:
        pass


class Poses(_Walker):
    """Boxes, keypoints and ids, as a pose detector with a tracker."""

    brings: ClassVar = {"mask": False, "track": 41}


class Masks(_Walker):
    """Masks only, as a segmenter."""

    brings: ClassVar = {"keypoints": False}


class Boxes(_Walker):
    """Boxes alone, as a plain detector."""

    brings: ClassVar = {"mask": False, "keypoints": False}


SCRIPTED = {"poses": Poses, "masks": Masks, "boxes": Boxes}
NETWORKS = {"rcnn": networks.rcnn, "yolo": networks.yolo}
"""Extractors that need weights: here random ones, which see people anywhere."""
STREAMS = {
    "motion": {"silhouette"},
    "precomputed": {"silhouette"},
    "person": {"silhouette", "skeleton"},
    "motion+pose": {"silhouette", "skeleton"},
    "auto": {"silhouette", "skeleton"},
    "poses": {"skeleton"},
    "masks": {"silhouette"},
    "boxes": set(),
}
pytestmark = pytest.mark.filterwarnings("ignore:::ultralytics")
NAMES = sorted({*registry.names("extractors"), *SCRIPTED})


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """The scripted extractors as another package would register them."""
    points = [
        EntryPoint(name, f"{__name__}:{kind.__name__}", "gaitid.extractors")
        for name, kind in SCRIPTED.items()
    ]
    monkeypatch.setattr(
        registry, "entry_points", lambda group: points if group == "gaitid.extractors" else []
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Settings with which an extractor can be made; None for its defaults."""
    return cache(lambda name: NETWORKS[name](tmp_path_factory.mktemp(name)) if name in NETWORKS else None)


LOOKS_AT_BODIES = ("person", "motion+pose", "auto")


@cache
def filmed():
    """Pictures of a generated walker, in which a person network sees a person."""
    day = plan(1, 0, 7)[0]
    return [frame.image for frame, _ in itertools.islice(day, 20, 170)]


def source_for(name):
    """A source in which the extractor sees one walker, or anything at all."""
    if name in NETWORKS:
        return painted.PaintedScene(lambda i: painted.noisy(painted.wall(i), i), 2)
    if name in LOOKS_AT_BODIES:
        return painted.PaintedScene(lambda i: filmed()[i], len(filmed()))
    if name in SCRIPTED:
        return Blank()
    if name == "precomputed":  # white on black
        black = np.zeros((painted.SIZE[1], painted.SIZE[0], 3), np.uint8)
        return painted.PaintedScene(
            lambda i: painted.person(black.copy(), 6 * (i - 20), phase=0.8 * i, colour=255), 75
        )
    return painted.PaintedScene(
        lambda i: painted.noisy(painted.person(painted.wall(), 6 * (i - 20), phase=0.8 * i), i), 75
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_are_a_frozen_dataclass_of_defaults(name):
    settings = extractor_type(name).settings
    assert dataclasses.is_dataclass(settings)
    assert settings.__dataclass_params__.frozen
    assert settings() == build(settings, {})
    assert hash(settings()) == hash(settings())


@pytest.mark.parametrize("name", NAMES)
def test_observations_fit_their_frames_and_repeat_after_a_reset(name, made):
    extractor: Extractor = load_extractor(name, made(name))
    frames = [item for item in source_for(name) if isinstance(item, Frame)]
    runs = []
    for _ in range(2):
        runs.append([extractor(frame) for frame in frames])
        extractor.reset()
    assert any(runs[0])
    for frame, one, two in zip(frames, *runs, strict=True):
        height, width = frame.image.shape[:2]
        ids = [seen.track for seen in one if seen.track is not None]
        assert len(ids) == len(set(ids))
        for seen, again in zip(one, two, strict=True):
            np.testing.assert_array_equal(seen.box, again.box)
            assert (seen.box >= 0).all()
            assert seen.box[2] <= width
            assert seen.box[3] <= height
            if seen.mask is not None:
                low, high = np.floor(seen.box[:2]), np.ceil(seen.box[2:])
                assert seen.mask.shape == (high[1] - low[1], high[0] - low[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [SIZE, (32, 24), (1, 1)])
def test_an_empty_picture_of_any_size_is_no_error(name, size, made):
    extractor = load_extractor(name, made(name))
    for index in range(100, 103):  # after the end of every script
        found = extractor(Frame(np.zeros((size[1], size[0], 3), np.uint8), index / 25, index=index))
        assert found == [] or name in NETWORKS


@pytest.mark.parametrize("name", sorted({*NAMES} - {*NETWORKS}))
def test_its_walks_carry_the_streams_that_it_brings(name, caplog):
    settings = PerceptionSettings(extractor=name)
    views = list(watch(source_for(name), settings=settings))
    walks = [walk for view in views for walk in view.walks]
    assert {stream for walk in walks if walk.sequence for stream in walk.sequence.streams} == STREAMS[name]
    if not STREAMS[name]:
        assert walks == []
        assert {why for view in views for track in view.tracks for why in track.reasons} == {Reason.BOX_ONLY}
        assert "without masks or keypoints" in caplog.text


def test_settings_choose_an_extractor_and_fill_its_own():
    settings = build(
        PerceptionSettings, {"extractor": "masks", "masks": {"delay": 20}, "motion": {"shadow": 1}}
    )
    assert settings.extractors["masks"] == DelaySettings(20)
    (walk,) = [walk for view in watch(Blank(), settings=settings) for walk in view.walks]
    assert walk.times[0] == pytest.approx(20 / 25)


BAD = {
    "an unknown extractor": ({"extractor": "moton"}, UnknownName, "motion"),
    "an unknown key": ({"motion": {"shade": 1.0}}, ConfigError, "shadow"),
    "an unknown key of one not chosen": ({"masks": {"dealy": 1}}, ConfigError, "delay"),
    "an ill-typed value": ({"masks": {"delay": "long"}}, ConfigError, "int"),
    "no table": ({"masks": 3}, ConfigError, "DelaySettings"),
    "a misspelt table": ({"mask": {"delay": 1}}, ConfigError, "masks"),
    "the field itself": ({"extractors": {"masks": {"delay": 1}}}, ConfigError, "extractor"),
}


@pytest.mark.parametrize(("table", "kind", "text"), BAD.values(), ids=BAD.keys())
def test_a_wrong_table_is_refused_and_names_the_nearest(table, kind, text):
    with pytest.raises(kind, match=text):
        build(PerceptionSettings, table)


def test_settings_of_another_extractor_are_refused():
    with pytest.raises(ConfigError, match="Settings of extractor motion are of type DelaySettings"):
        PerceptionSettings(extractors={"motion": DelaySettings()})
    with pytest.raises(ConfigError, match="DelaySettings"):
        load_extractor("masks", PerceptionSettings())


def test_an_extractor_without_settings_is_refused_by_name(monkeypatch):
    monkeypatch.delattr(_Walker, "settings")
    with pytest.raises(ConfigError, match="'settings'"):
        build(PerceptionSettings, {"masks": {}})
    with pytest.raises(ConfigError, match="'settings'"):
        load_extractor("masks")


def test_a_scripted_instance_is_an_extractor():
    assert not any(view.tracks for view in watch(Blank(2), extractor=Scripted({})))
