"""A run becomes an encoder: its card has the measurements, and the encoder gives the same vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.encoders import networks, weights  # noqa: E402
from gaitid.encoders.learned import LearnedEncoder  # noqa: E402
from gaitid.errors import ConfigError  # noqa: E402
from gaitid.records import SILHOUETTE, SKELETON, GaitSequence  # noqa: E402
from gaitid.training import pack  # noqa: E402
from gaitid.training.corpus import Corpus  # noqa: E402
from gaitid.training.recipe import Batch, Data, Loss, Network, Recipe, Schedule  # noqa: E402
from gaitid.training.train import train  # noqa: E402
from tests.small import STRIDER  # noqa: E402

STICKMAN = {"width": 8, "dilations": [1], "hidden": 16, "projection": 8}


@pytest.mark.parametrize(
    ("network", "stream"),
    [(Network("strider", STRIDER), SILHOUETTE), (Network("stickman", STICKMAN), SKELETON)],
    ids=["strider", "stickman"],
)
def test_a_run_becomes_an_encoder(tmp_path: Path, shards, validation, network, stream, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no checkout
    schedule = Schedule(steps=2, warmup=1, check_every=5)
    recipe = Recipe(Data(shards, validation), network, Batch(3, 2, (8,)), schedule=schedule)
    train(recipe, tmp_path / "run", workers=0)
    test, target = Corpus(validation), tmp_path / "out" / "mine.safetensors"
    views = sorted({label.view for label in test.labels})
    pack.VIEWS, kept = views, pack.VIEWS
    try:
        made = pack.pack(
            recipe, tmp_path / "run", test, target, pack.WeightOrigin("mine", "synthetic", "none")
        )
    finally:
        pack.VIEWS = kept
    encoder = LearnedEncoder(target)
    assert encoder.name == "mine"
    assert encoder.modalities == (stream,)
    assert encoder.card == made.card
    assert made.card.commit
    impostors = made.card.impostors
    assert impostors is not None
    assert 0 < len(impostors.fmr) == len(impostors.scores)
    assert list(impostors.scores) == sorted(impostors.scores)
    corrected = made.card.corrected
    assert corrected is not None
    assert corrected.people == impostors.people == 3
    assert 0 < corrected.clustering <= 1
    average, step = pack.load_average(recipe, tmp_path / "run")
    assert step == 2
    pack.halved(average)
    frames = test.silhouettes(1) if stream == SILHOUETTE else test.skeletons(1)
    vector = networks.embed(average, [frames], [test.times(1)])[0]
    sequence = GaitSequence({stream: frames}, test.times(1))
    np.testing.assert_allclose(encoder(sequence).vector, vector, atol=1e-6)
    figures = {figure.measure: figure.value for figure in made.card.metrics}
    assert figures["optimiser steps"] == 2
    assert ("rank-1, CL, cross view: gei" in figures) == (stream == SILHOUETTE)
    assert all(0 <= f.value <= 1 for f in made.card.metrics[1:])


def test_the_card_of_a_finished_run_has_its_validation_results(tmp_path: Path, shards, validation):
    recipe = Recipe(
        Data(shards, validation),
        Network("strider", STRIDER),
        Batch(3, 2, (8,)),
        schedule=Schedule(steps=2, warmup=1),
    )
    run = train(recipe, tmp_path / "mine", workers=0)
    card = weights.load(pack.finish(run, tmp_path / "mine")).card
    assert card.name == "mine"
    assert card.licence == "Apache-2.0"
    assert card.training_data == "4 synthetic walkers"
    assert {"rank-1 (cross_nm)", "rank-1 (same_cl)"} < {figure.measure for figure in card.metrics}
    assert card.impostors is not None
    assert card.impostors.pairs == 2 * 4 * 12 * 3  # nm walks of day 0 with 12 walks of day 1 of the others


def test_a_run_can_be_mixed_with_the_network_it_started_with(tmp_path: Path, shards, validation):
    data, network, batch = Data(shards, validation), Network("strider", STRIDER), Batch(3, 2, (8,))
    first = Recipe(data, network, batch, schedule=Schedule(steps=2, warmup=1, check_every=5))
    train(first, tmp_path / "first", workers=0)
    last = replace(first, start=str(tmp_path / "first" / "checkpoint.pt"), seed=2)
    train(last, tmp_path / "last", workers=0)
    name = "frame.0.weight"
    weight = {
        share: pack.load_average(last, tmp_path / "last", share)[0].state_dict()[name]
        for share in (0.0, 0.25, 1.0)
    }
    before = pack.load_average(first, tmp_path / "first")[0].state_dict()[name]
    torch.testing.assert_close(weight[0.0], before)
    assert not torch.equal(weight[1.0], before)
    torch.testing.assert_close(weight[0.25], 0.75 * before + 0.25 * weight[1.0])
    with pytest.raises(ConfigError, match="has no start"):
        pack.load_average(first, tmp_path / "first", 0.5)
    with pytest.raises(ConfigError, match="share is 2"):
        pack.load_average(last, tmp_path / "last", 2.0)
    grown = replace(last, start=str(tmp_path / "grown.pt"))
    torch.save({"average": {name: before[:1]}}, grown.start)
    with pytest.raises(ConfigError, match="another network"):
        pack.load_average(grown, tmp_path / "last", 0.5)


def test_impostor_scores_are_of_other_subjects_on_another_day(validation):
    corpus = Corpus(validation)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(corpus), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = pack.impostor_scores(corpus, lambda numbers: vectors[numbers])
    labels = corpus.labels
    expected = [
        float(vectors[i] @ vectors[j])
        for i, a in enumerate(labels)
        for j, b in enumerate(labels)
        if a.session != "0" and b.session == "0" and a.subject != b.subject
    ]
    np.testing.assert_allclose(np.sort(scores), np.sort(expected), atol=1e-6)


def test_corrected_scores_lose_what_a_camera_adds(validation):
    corpus = Corpus(validation)
    rng = np.random.default_rng(3)
    cameras = {label.view: rng.normal(size=32) for label in corpus.labels}
    people = {name: rng.normal(size=32) for name in corpus.subjects}
    vectors = np.stack([3 * cameras[one.view] + people[one.subject] for one in corpus.labels])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = pack.corrected_scores(corpus, vectors, 1)
    assert found is not None
    scores, clustering = found
    assert clustering == 1  # too few probes to measure it
    assert len(scores) == 3 * 2 * 4 * 12  # profiles of each of the three, pairs of the other two
    plain = pack.impostor_scores(corpus, vectors.__getitem__)
    same_view = np.sort(plain)[-len(plain) // 4 :]
    assert same_view.mean() > 0.8
    assert abs(scores).mean() < plain[plain > 0.5].mean()


def test_a_network_can_be_written_up_to_its_parts(tmp_path: Path, shards, validation):
    lengths = tuple(float(1 + i % 2) for i in range(16))
    arguments = {**STRIDER, "mix": 4, "projection": 8}
    schedule = Schedule(steps=2, warmup=1, check_every=5)
    data = Data(shards, validation)
    recipe = Recipe(
        data,
        Network("strider", arguments, lengths),
        Batch(3, 2, (8,), cameras=2),
        Loss(centred=1.0),
        schedule,
    )
    run = train(recipe, tmp_path / "run", workers=0)
    encoder = LearnedEncoder(pack.finish(run, tmp_path / "run"))
    assert encoder.parts == 16
    corpus = Corpus(validation)
    (vector,) = encoder.batch([GaitSequence({SILHOUETTE: corpus.silhouettes(0)}, corpus.times(0))])
    found = np.linalg.norm(vector.vector.reshape(16, -1), axis=1)
    np.testing.assert_allclose(found / found[0], lengths, rtol=1e-3)
    with pytest.raises(ConfigError, match="15 lengths for 16 parts"):
        pack.shipped(replace(recipe, network=replace(recipe.network, part_lengths=lengths[:15])), run.average)
    stickman = Recipe(data, Network("stickman", STICKMAN, lengths))
    with pytest.raises(ConfigError, match="for 0 parts"):
        pack.shipped(stickman, networks.build("stickman", STICKMAN))
