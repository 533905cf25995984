"""Every shipped weight file is sound, small, registered, described, and better than its rivals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gaitid import registry
from gaitid.encoders import weights
from gaitid.encoders.base import load_encoder
from gaitid.encoders.fused import FusedEncoder
from gaitid.encoders.learned import LearnedEncoder, MeasuredEncoder
from gaitid.encoders.measures import LENGTHS, MEASURES
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence
from gaitid.synthetic import Population
from gaitid.synthetic.depth import Sensor

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "gaitid" / "encoders" / "weights").glob("*.safetensors"))
MAX_BYTES = 12_000_000


def test_weight_files_exist_and_are_small():
    assert FILES
    assert sum(file.stat().st_size for file in FILES) <= MAX_BYTES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_loads_by_its_registered_name_and_gives_the_golden_vector(file: Path):
    held = weights.load(file)
    assert held.card.name == file.stem
    assert file.stem in registry.names("encoders")
    encoder = load_encoder(file.stem)
    assert isinstance(encoder, LearnedEncoder | FusedEncoder)
    assert encoder.card == held.card
    assert "synthetic" in held.card.training_data
    assert held.card.licence == "Apache-2.0"
    assert held.card.impostors is not None
    assert held.golden.vector.shape[-1] == encoder.dimension
    assert encoder.dimension <= 1024


def test_the_model_card_is_fresh():
    from gaitid.training.model_card import model_card

    text = (ROOT / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text == model_card()
    assert "synthetic walkers" in text.splitlines()[0]


def _walks(*modalities: str):
    """A gallery of 24 subjects from the left, and probes of them on another day, 36 degrees further."""
    population = Population(77, "test")

    def walk(person: int, day: int, view: float):
        return population.sequence(person, day, view=view, frames=40).sequence(modalities=modalities)

    return [walk(i, 0, 90.0) for i in range(24)], [walk(i, 1, 54.0) for i in range(24)]


def _rank(encoder, gallery, probes) -> float:
    """Mean reciprocal rank of the correct subject."""
    one = np.array([e.vector for e in encoder.batch(gallery)])
    two = np.array([e.vector for e in encoder.batch(probes)])
    scores = two @ one.T
    return float((1 / (scores >= scores.diagonal()[:, None]).sum(1)).mean())


def test_strider_beats_the_gait_energy_image_across_views_and_days():
    gallery, probes = _walks(SILHOUETTE)
    ours, gei = _rank(load_encoder("strider"), gallery, probes), _rank(load_encoder("gei"), gallery, probes)
    assert ours > 1.5 * gei


def test_stickman_is_far_above_chance_across_views_and_days():
    gallery, probes = _walks(SKELETON)
    chance = float((1 / np.arange(1, 25)).mean())
    assert _rank(load_encoder("stickman"), gallery, probes) > 2 * chance


def test_stickman3d_identifies_most_subjects_across_views_and_days():
    gallery, probes = _walks(SKELETON_3D)
    assert _rank(load_encoder("stickman3d"), gallery, probes) > 0.8


def test_stickman3d_tolerates_errors_that_last_a_walk():
    population, poor = Population(77, "test"), replace(Sensor.usual(), bias=0.04)

    def told(person: int, walk: int) -> GaitSequence:
        made = population.sequence(person, 0, walk, frames=60)
        return GaitSequence({SKELETON_3D: made.measured(poor, draw=walk)}, made.times)

    gallery, probes = ([told(i, walk) for i in range(24)] for walk in (0, 1))
    assert _rank(load_encoder("stickman3d"), gallery, probes) > 0.7


def test_measures_of_the_body_identify_beside_the_network():
    encoder = load_encoder("stickman3d")
    assert isinstance(encoder, MeasuredEncoder)
    gallery, probes = _walks(SKELETON_3D)
    one, two = (np.array([e.vector for e in encoder.batch(walks)]) for walks in (gallery, probes))
    ends = np.cumsum([encoder.dimension - len(LENGTHS) - MEASURES, 2 * len(LENGTHS)])
    chance = float((1 / np.arange(1, 25)).mean())
    for a, b in zip(np.split(one, ends, 1), np.split(two, ends, 1), strict=True):
        scores = b @ a.T
        rank = (scores >= scores.diagonal()[:, None]).sum(1)
        assert (1 / rank).mean() > 2 * chance


@pytest.mark.parametrize("leg", [(11, 13), (12, 14)])
def test_stickman3d_finds_people_by_hip_and_knee_of_one_leg(leg):
    def partial(walk: GaitSequence) -> GaitSequence:
        seen = np.isin(np.arange(17), leg)[:, None]
        return GaitSequence(
            {SKELETON_3D: np.where(seen, walk.skeletons_3d, 0).astype(np.float32)}, walk.times
        )

    walks = [[partial(walk) for walk in side] for side in _walks(SKELETON_3D)]
    chance = float((1 / np.arange(1, 25)).mean())
    assert _rank(load_encoder("stickman3d"), *walks) > 1.5 * chance


def test_fused_is_better_with_both_streams_than_its_experts_with_one():
    gallery, probes = _walks(SILHOUETTE, SKELETON)
    both = _rank(load_encoder("fused"), gallery, probes)
    assert both > _rank(load_encoder("strider"), gallery, probes)
    assert both > _rank(load_encoder("stickman"), gallery, probes)
