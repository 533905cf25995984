"""Adaptation gives a weight file whose head or layers know the given people, and refuses what cannot help."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.cli import main  # noqa: E402
from gaitid.datasets.opening import open_dataset  # noqa: E402
from gaitid.encoders import networks, onnx, weights  # noqa: E402
from gaitid.encoders.adapted import MATRIX, MEAN, Head, split  # noqa: E402
from gaitid.encoders.base import PREPROCESSING, load_encoder  # noqa: E402
from gaitid.encoders.clips import RATE_HZ  # noqa: E402
from gaitid.encoders.learned import LearnedEncoder  # noqa: E402
from gaitid.errors import InputError, UnknownName, WeightsError  # noqa: E402
from gaitid.records import npz  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from gaitid.training.adapt import RIDGE, Check, People, adapt, default_method, fit, save, validate  # noqa: E402
from gaitid.training.finetune import FinetunePlan, finetune, split_walks  # noqa: E402
from tests.small import STRIDER as SMALL  # noqa: E402

QUICK = FinetunePlan(steps=3, company=3, impostors=3)


def silent(phase: str, done: int, total: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Four people with two walks, each seen by two cameras."""
    root = tmp_path_factory.mktemp("own")
    population = Population(31, "test")
    for person in range(4):
        for number in range(2):
            folder = root / f"p{person}" / f"nm-{number}"
            folder.mkdir(parents=True)
            for name, view in (("door", 70), ("gate", 20)):
                walk = population.sequence(person, number, 0, view=view, frames=25, fps=12.5)
                npz.save(folder / f"{name}.npz", walk.sequence(modalities=("silhouette",)))
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> LearnedEncoder:
    """A small strider with random weights, as a file; its 16 dimensions count as four parts."""
    torch.manual_seed(3)
    network = networks.build("strider", SMALL).eval()
    walk = Population(3).sequence(0, frames=70, fps=12.5).sequence(modalities=("silhouette",))
    clip, times = walk.streams["silhouette"], walk.times
    card = weights.Card(
        name="small",
        architecture="strider",
        modalities=("silhouette",),
        min_frames=8,
        rate_hz=RATE_HZ,
        dimension=16,
        preprocessing=PREPROCESSING,
        threshold=0.5,
        threshold_rule="none",
        licence="Apache-2.0",
        training_data="none",
        date="2026-12-01",
        commit="0" * 40,
        command="none",
        arguments=SMALL,
        parts=4,
    )
    golden = weights.Golden(clip, times, networks.embed(network, [clip], [times])[0])
    target = tmp_path_factory.mktemp("small") / "small.safetensors"
    weights.save(target, card, {k: v.numpy() for k, v in network.state_dict().items()}, golden)
    return LearnedEncoder(target)


def people(count: int, seed: int = 0, *, shift: float = 2.0) -> People:
    """People whose walks differ by a shift of the camera and by noise in half of the 24 dimensions."""
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((count, 24)) * 0.6
    rows = [(p, w, c) for p in range(count) for w in range(4) for c in range(3)]
    cameras = shift * rng.standard_normal((3, 24)) * (np.arange(24) % 4 < 2)
    noise = rng.standard_normal((len(rows), 24)) * np.where(np.arange(24) % 2, 0.1, 1.2)
    vectors = np.array([own[p] + cameras[c] for p, _, c in rows]) + noise
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    columns = np.array([(f"p{p:02d}", f"p{p}/w{w}", f"c{c}") for p, w, c in rows]).T
    return People(unit, *columns)


def _lengths(vectors: np.ndarray, parts: int) -> np.ndarray:
    return np.linalg.norm(vectors.reshape(len(vectors), parts, -1), axis=2)


@pytest.mark.parametrize("method", ["whitening", "lda"])
def test_a_head_separates_people_it_was_not_made_of(method):
    own = people(20)
    before, after, corrected = validate(own, method, 4, silent)
    assert after.d_prime > 1.5 * before.d_prime
    assert after.rank_one > before.rank_one + 0.03
    assert abs(corrected.mean()) < min(0.1, after.impostors.mean())  # the cameras' common direction is gone
    mapped = fit(own, method, 4)(own.vectors)
    np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(_lengths(mapped, 4), _lengths(own.vectors, 4), rtol=1e-4)


def test_whitening_is_the_root_of_the_covariance_within_people_with_a_ridge():
    own = people(10)
    matrix = fit(own, "whitening", 1).matrix.astype(float)
    inner = own.vectors - np.stack([own.vectors[own.subjects == name].mean(0) for name in own.subjects])
    covariance = inner.T @ inner
    wanted = covariance + RIDGE * np.trace(covariance) / 24 * np.eye(24)
    found = np.linalg.inv(matrix @ matrix)
    np.testing.assert_allclose(found / np.trace(found), wanted / np.trace(wanted), atol=1e-6)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)


def test_lda_keeps_all_directions_and_lengthens_those_between_people():
    own = people(6)
    plain, longer = (fit(own, method, 1).matrix for method in ("whitening", "lda"))
    assert np.linalg.matrix_rank(longer) == 24
    means = np.stack([own.vectors[own.subjects == name].mean(0) for name in own.names])

    def share(matrix: np.ndarray) -> float:
        moved = (means - means.mean(0)) @ matrix
        return float(np.linalg.norm(moved) / np.linalg.norm(matrix))

    assert share(longer) > 1.05 * share(plain)


def test_the_default_is_by_the_number_of_people():
    assert [default_method(count) for count in (3, 15, 16, 40)] == ["whitening"] * 2 + ["lda"] * 2


def test_a_check_is_the_figures_of_its_scores():
    scores = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.1]], np.float32)
    mated = np.array([[True, False, False], [True, False, False]])
    found = Check.of(scores, mated, ~mated)
    assert (found.rank_one, found.accepted) == (0.5, 0.5)
    assert sorted(found.impostors.tolist()) == pytest.approx([0.1, 0.1, 0.2, 0.8])


def test_own_people_become_a_weight_file_with_a_head(own, small, tmp_path):
    phases: dict[str, tuple[int, int]] = {}
    result = adapt(small, open_dataset("folder", own), "", lambda phase, *at: phases.update({phase: at}))
    assert phases == {"embedding": (16, 16), "validation": (4, 4)}
    assert (result.method, result.people, result.walks, result.cameras) == ("whitening", 4, 8, 2)
    save(small, result, tmp_path / "mine.safetensors", "own")
    mine = load_encoder(str(tmp_path / "mine.safetensors"))
    assert (mine.name, mine.dimension, mine.parts) == ("mine", small.dimension, small.parts)
    assert mine.contract != small.contract
    assert "whitening on 8 walks of 4 people seen by 2 cameras (own), not centred" in mine.card.training_data
    assert mine.card.impostors.pairs == len(result.after.impostors)
    assert mine.card.corrected.pairs == len(result.corrected) == mine.card.impostors.pairs
    walk = npz.load(own / "p0" / "nm-0" / "door.npz")
    expected = Head(result.tensors[MEAN], result.tensors[MATRIX], 4)(small(walk).vector[None])[0]
    np.testing.assert_allclose(mine(walk).vector, expected, atol=1e-5)  # one clip: 25 frames
    assert not np.allclose(mine(walk).vector, small(walk).vector, atol=1e-3)


@pytest.fixture(scope="module")
def mine(own, small, tmp_path_factory) -> LearnedEncoder:
    """`small` with a head."""
    target = tmp_path_factory.mktemp("mine") / "mine.safetensors"
    save(small, adapt(small, open_dataset("folder", own), "lda", silent), target, "own")
    return LearnedEncoder(target)


def test_torch_and_onnx_compute_the_same_head(mine, tmp_path):
    walk = Population(4).sequence(1, frames=90, fps=12.5).sequence(modalities=("silhouette",))
    stream = walk.streams["silhouette"]  # three clips
    (by_torch,) = networks.embed(mine.network, [stream], [walk.times])
    np.testing.assert_allclose(mine(walk).vector, by_torch, atol=1e-5)
    assert onnx.export(mine, tmp_path / "mine.onnx") < 1e-4
    clips = [clip.astype(np.float32) for clip in mine.architecture.clips(stream, walk.times)]
    found = onnx.run(tmp_path / "mine.onnx", clips)
    np.testing.assert_allclose(found, networks.forward(mine.network, clips), atol=1e-4)


def test_a_head_takes_less_than_half_a_millisecond():
    rng = np.random.default_rng(0)
    head = Head(rng.random(512, np.float32), rng.random((512, 512), np.float32), 16)
    vector = rng.random((1, 512), np.float32)
    best = []
    for _ in range(30):
        began = time.process_time()
        for _ in range(10):
            head(vector)
        best.append((time.process_time() - began) / 10)
    assert min(best) < 0.5e-3


def test_a_head_of_the_wrong_shape_is_damage():
    with pytest.raises(ValueError, match="4 parts"):
        split({MEAN: np.zeros(6, np.float32), MATRIX: np.eye(6, dtype=np.float32)}, 4)


def test_an_adapted_encoder_is_not_adapted_again(mine, own, tmp_path):
    dataset = open_dataset("folder", own)
    with pytest.raises(InputError, match="was adapted before"):
        adapt(mine, dataset, "", silent)
    with pytest.raises(InputError, match="was adapted before"):
        finetune(mine, dataset, tmp_path, QUICK, silent)


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (lambda who, walk, view: who in ("p0", "p1"), "2 people with two usable walks or more, of 2"),
        (lambda who, walk, view: walk == "nm-0", "0 people with two usable walks or more, of 4"),
        (lambda who, walk, view: view == "door", "one camera or view, door"),
    ],
)
def test_too_few_people_walks_or_cameras_are_refused(small, own, tmp_path, kept, words):
    for path in own.glob("*/*/*.npz"):
        who, walk, view = *path.relative_to(own).parts[:2], path.stem
        if kept(who, walk, view):
            target = tmp_path / who / walk / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=words):
        adapt(small, open_dataset("folder", tmp_path), "", silent)


def test_the_verb_writes_what_helps_and_refuses_the_rest(own, small, tmp_path, capsys, monkeypatch):
    target = tmp_path / "mine.safetensors"
    command = ["model", "adapt", "--root", str(own), "--encoder", str(small.path), "--out", str(target)]
    worse = dataclasses.replace(
        adapt(small, open_dataset("folder", own), "", silent),
        after=Check.of(np.eye(2, dtype=np.float32), ~np.eye(2, dtype=bool), np.eye(2, dtype=bool)),
    )
    monkeypatch.setattr("gaitid.training.adapt.adapt", lambda *_: worse)
    assert main(command) == 2
    assert "no better on the validation walks" in capsys.readouterr().err
    assert not target.exists()
    assert main([*command, "--force"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[0])["people"] == 4
    assert "packing" in printed.err
    assert load_encoder(str(target)).name == "mine"


def test_the_old_verb_names_the_new_one(capsys):
    assert main(["model", "finetune", "--root", "people"]) == 2
    assert "gaitid model adapt" in capsys.readouterr().err


def test_closed_form_needs_no_torch():
    code = "import sys; import gaitid.training.adapt; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_gradients_make_a_weight_file_and_show_all_their_work(own, tmp_path):
    encoder = load_encoder("strider")
    phases: dict[str, tuple[int, int]] = {}
    result = finetune(
        encoder,
        open_dataset("folder", own),
        tmp_path / "shards",
        QUICK,
        lambda phase, *at: phases.update({phase: at}),
    )
    assert (result.people, result.walks, result.cameras) == (4, 4, 2)
    assert phases == {"own": (16, 16), "company": (3, 3), "training": (3, 3), "validation": (38, 38)}
    save(encoder, result, tmp_path / "mine.safetensors", "own")
    mine = load_encoder(str(tmp_path / "mine.safetensors"))
    assert (mine.name, mine.dimension) == ("mine", encoder.dimension)
    assert mine.contract != encoder.contract
    walk = npz.load(own / "p0" / "nm-0" / "door.npz")
    assert not np.allclose(mine(walk).vector, encoder(walk).vector)


def test_the_last_quarter_of_each_subjects_walks_is_for_validation(own):
    kept, rest = split_walks(open_dataset("folder", own).entries("test"))
    assert {entry.sequence for entry in kept} == {"nm-1"}
    assert len(rest) == 8


def test_gradients_need_two_walks(tmp_path):
    with pytest.raises(InputError, match="two walks or more"):
        split_walks([])


def test_gradients_are_for_silhouettes(own, tmp_path):
    with pytest.raises(InputError, match="a silhouette encoder"):
        finetune(load_encoder("stickman"), open_dataset("folder", own), tmp_path, QUICK, silent)


@pytest.mark.parametrize(
    ("name", "error"), [("strideer", UnknownName), ("nowhere/mine.safetensors", WeightsError)]
)
def test_an_unknown_encoder_is_named_in_the_error(name, error):
    with pytest.raises(error, match=name.partition("/")[0][:5]):
        load_encoder(name)
