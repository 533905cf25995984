"""GaitSet, GaitBase and DeepGaitV2: sizes of the papers, set behaviour, import by the framework's names."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from published import (  # noqa: E402
    DIMENSION,
    deepgaitv2,
    deepgaitv2_state,
    gaitbase,
    gaitbase_state,
    gaitset,
    gaitset_state,
)

from gaitid.encoders import foreign, networks  # noqa: E402
from gaitid.encoders.base import PartEncoder, load_encoder  # noqa: E402
from gaitid.encoders.learned import PublishedEncoder  # noqa: E402
from gaitid.errors import ConfigError, UnknownName, WeightsError  # noqa: E402
from gaitid.records import GaitSequence  # noqa: E402

CASES = {
    "gaitset": ("gaitset", gaitset_state, gaitset),
    "gaitbase": ("gaitbase", gaitbase_state, gaitbase),
    "deepgaitv2 p3d": ("deepgaitv2", deepgaitv2_state, deepgaitv2),
    "deepgaitv2 3d": ("deepgaitv2", lambda: deepgaitv2_state(mode="3d"), deepgaitv2),
    "deepgaitv2 2d": ("deepgaitv2", lambda: deepgaitv2_state(mode="2d", blocks=(2, 1, 2, 1)), deepgaitv2),
}
TIMELESS = ("gaitset", "gaitbase", "deepgaitv2 2d")


@pytest.fixture(params=CASES, scope="module")
def case(request):
    architecture, make, formulas = CASES[request.param]
    state = make()
    return request.param, architecture, state, formulas, foreign.import_state(architecture, state)


@pytest.fixture(scope="module")
def frames():
    """Nine gray silhouettes."""
    return torch.randint(0, 256, (9, 64, 44), generator=torch.Generator().manual_seed(1)).float() / 255


def _walk(frames: torch.Tensor) -> GaitSequence:
    """A walk of gray silhouettes, with the binary ones beside them."""
    gray = (frames.numpy() * 255).round().astype(np.uint8)
    streams = {"silhouette": (gray > 127).astype(np.uint8), "silhouette_gray": gray}
    return GaitSequence(streams, np.arange(len(frames)) / 25)


@pytest.mark.parametrize("count", [1, 5, 9])
def test_an_imported_network_equals_the_formulas(case, frames, count):
    _, _, state, formulas, imported = case
    exact = {name: value.double() for name, value in state.items()}
    network, some = copy.deepcopy(imported.network).double(), frames[:count].double()
    with torch.inference_mode():
        ours = network.parts(some[None], torch.tensor([count]))[0]
    torch.testing.assert_close(ours, formulas(exact, some), rtol=1e-8, atol=1e-8)


# Parameters without the heads, in millions, as the papers print them.
SIZES = {
    "gaitset": ("gaitset", {}, 62 * 256, 0.563),
    "gaitbase": ("gaitbase", {}, 4096, 4.90),
    "deepgaitv2 p3d": ("deepgaitv2", {}, 4096, 11.1),
    "deepgaitv2 3d": ("deepgaitv2", {"mode": "3d"}, 4096, 27.5),
    "deepgaitv2 2d": ("deepgaitv2", {"mode": "2d"}, 4096, 9.3),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_papers(name):
    architecture, arguments, dimension, millions = SIZES[name]
    with torch.device("meta"):
        network = networks.build(architecture, arguments)
    body = sum(p.numel() for p in network.parameters()) - network.head.weight.numel()
    assert body / 1e6 == pytest.approx(millions, rel=0.01)
    assert network.dimension == network.wide_dimension == dimension
    assert network.projection is None


def test_order_padding_and_pieces_do_not_matter(case, frames):
    name, _, _, _, imported = case
    network = imported.network
    with torch.inference_mode():
        alone = network(frames[None], torch.tensor([9]))
        if name in TIMELESS:
            torch.testing.assert_close(network(frames.flip(0)[None], torch.tensor([9])), alone)
            twice = torch.cat([frames, frames])[None]
            torch.testing.assert_close(network(twice, torch.tensor([18])), alone)
        padded = torch.zeros(2, 12, 64, 44)
        padded[0, :9], padded[1] = frames, 1.0
        torch.testing.assert_close(network(padded, torch.tensor([9, 12]))[:1], alone, rtol=1e-4, atol=1e-5)
    assert float(alone.norm()) == pytest.approx(1, abs=1e-5)


def test_training_only_tensors_are_named(case):
    name, *_, imported = case
    assert bool(imported.unused) == (name != "gaitset")
    assert all(tensor.startswith("BNNecks.") for tensor in imported.unused)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(colour=torch.zeros(1)), "1 unknown to the architecture: colour"),
        (lambda s: s.pop("gl_block2.0.conv.weight"), "1 missing .by our names.: global2.0.weight"),
        (lambda s: s.pop("Head.fc_bin"), "missing .by our names.: head.weight"),
        (
            lambda s: s.update({"Head.fc_bin": torch.zeros(31, 10, 7)}),
            r"shape: Head.fc_bin \(31, 10, 7\) instead of \(62, 10, 7\)",
        ),
        (lambda s: s.update({"Head.fc_bin": torch.zeros(62, 128)}), r"the head \(62, 128\)"),
        (lambda s: s.clear(), "missing"),
    ],
)
def test_what_does_not_fit_is_listed(change, words):
    state = gaitset_state()
    change(state)
    with pytest.raises(WeightsError, match=words):
        foreign.import_state("gaitset", state)


@pytest.mark.parametrize(
    ("make", "change", "architecture", "words"),
    [
        (deepgaitv2_state, lambda s: None, "gaitbase", "unknown to the architecture: layer0.forward_block"),
        (
            gaitbase_state,
            lambda s: s.update({"FCs.fc_bin": torch.zeros(31, 12, 7)}),
            "gaitbase",
            "31 parts",
        ),
        (
            gaitbase_state,
            lambda s: [s.pop(name) for name in list(s) if "layer4" in name],
            "gaitbase",
            "missing .by our names.: stages.3.0.first.weight",
        ),
        (
            gaitbase_state,
            lambda s: s.update({n.replace("layer4", "layer5"): s[n] for n in list(s) if "layer4" in n}),
            "gaitbase",
            "surplus: Backbone.forward_block.layer5",
        ),
    ],
)
def test_other_networks_are_refused_with_their_names(make, change, architecture, words):
    state = make()
    change(state)
    with pytest.raises(WeightsError, match=words):
        foreign.import_state(architecture, state)


LIKELY = {
    "GaitGL": ["conv3d.0.conv3d.weight", "GLConvA0.global_conv3d.conv3d.weight", "Head0.fc_bin"],
    "GaitEdge": ["Backbone.inc.conv.weight", "GLConvA0.global_conv3d.conv3d.weight"],
    "GaitPart": [
        "Backbone.forward_block.feature.0.conv.weight",
        "TFA.pooling_func.conv1d3x1.0.0.conv.weight",
    ],
    "GLN": ["sil_stage_0.forward_block.0.conv.weight", "lateral_layer1.weight"],
    "GaitSSB": ["Backbone.forward_block.layer1.0.conv1.weight", "projector.0.fc_bin"],
    "ParsingGait": ["Backbone.forward_block.layer1.0.conv1.weight", "gcn_fine.gc1.weight"],
    "SMPLGait": ["Backbone.forward_block.feature.0.conv.weight", "fc3.weight"],
    "BigGait": ["Mask_Branch.down_sampling.weight", "gait_net.FCs.fc_bin"],
    "SwinGait": ["layer0.forward_block.0.weight", "transformer.patch_embed.proj.weight"],
    "SkeletonGait++": ["sil_layer0.forward_block.0.weight", "map_layer0.forward_block.0.weight"],
    "MultiGait++": ["part1_layer0.forward_block.0.weight", "part2_layer0.forward_block.0.weight"],
    "GaitGraph2": ["ResGCN.head.0.bn.weight", "ResGCN.head.2.bn.weight"],
    "GaitGraph": ["ResGCN.head.0.bn.weight"],
    "GaitTR": ["data_bn.weight", "backbone.0.tcn.conv.weight"],
    "the first release of GaitSet (2019)": ["set_layer1.conv.weight", "fc_bin"],
    "a plain backbone": ["Backbone.forward_block.feature.0.conv.weight", "FCs.fc_bin"],
}


@pytest.mark.parametrize("architecture", ["gaitset", "gaitbase", "deepgaitv2"])
@pytest.mark.parametrize("network", LIKELY)
def test_a_refusal_names_the_likely_network(network, architecture):
    state = {name: torch.zeros(1) for name in LIKELY[network]}
    with pytest.raises(WeightsError, match=rf"look like .*{re.escape(network)}, which cannot be"):
        foreign.import_state(architecture, state)


@pytest.mark.parametrize(
    ("name", "channels", "network"),
    [
        ("layer0.forward_block.0.weight", 2, "SkeletonGait"),
        ("Backbone.forward_block.conv1.conv.weight", 3, "LidarGait"),
    ],
)
def test_a_network_of_other_pictures_is_named(name, channels, network):
    state = deepgaitv2_state() if name.startswith("layer0") else gaitbase_state()
    state[name] = torch.zeros(6, channels, 3, 3)
    architecture = "deepgaitv2" if name.startswith("layer0") else "gaitbase"
    with pytest.raises(WeightsError, match=f"look like {network}"):
        foreign.import_state(architecture, state)


def test_a_refusal_names_the_architecture_to_pass(case):
    _, architecture, state, *_ = case
    other = "gaitset" if architecture != "gaitset" else "gaitbase"
    with pytest.raises(WeightsError, match=f"pass --architecture {architecture}"):
        foreign.import_state(other, state)


def test_the_modes_of_deepgaitv2_are_told_apart():
    for mode in ("2d", "3d", "p3d"):
        state = deepgaitv2_state(mode=mode)
        likely = foreign.recognise(state)
        assert likely is not None
        assert likely.network == f"DeepGaitV2 ({mode.upper()})"
        assert foreign.import_state("deepgaitv2", state).arguments["mode"] == mode
    with pytest.raises(ConfigError, match="4d"):
        networks.build("deepgaitv2", {"mode": "4d"})


def test_many_blocks_and_losses_with_parameters_are_imported(frames):
    state = gaitbase_state(blocks=(12, 1, 1, 2))
    state["loss_aggregator.losses.softmax.weight"] = torch.zeros(3)
    imported = foreign.import_state("gaitbase", state)
    assert imported.arguments["blocks"] == [12, 1, 1, 2]
    assert "loss_aggregator.losses.softmax.weight" in imported.unused
    with torch.inference_mode():
        parts = imported.network.parts(frames[None], torch.tensor([9]))[0]
    torch.testing.assert_close(parts, gaitbase(state, frames), rtol=1e-4, atol=1e-4)


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(UnknownName, match="gaitset"):
        foreign.import_state("gaitsett", {})


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict": s, "epoch": 3}]
)
def test_checkpoints_are_read_in_their_common_wrappings(tmp_path: Path, wrap):
    state = {f"module.{k}": v for k, v in gaitset_state().items()}
    torch.save(wrap(state), tmp_path / "c.pt")
    read = foreign.read_checkpoint(tmp_path / "c.pt")
    assert foreign.import_state("gaitset", read).network.dimension == 62 * DIMENSION


def _encoder(case, tmp_path: Path) -> PublishedEncoder:
    _, architecture, *_, imported = case
    foreign.save_imported(tmp_path / "theirs.safetensors", "theirs", architecture, imported, "c.pt")
    encoder = load_encoder(str(tmp_path / "theirs.safetensors"))
    assert isinstance(encoder, PublishedEncoder)
    return encoder


def test_an_import_becomes_an_encoder_of_gray_silhouettes(tmp_path: Path, case, frames):
    encoder, network = _encoder(case, tmp_path), case[-1].network
    assert encoder.card.gray
    assert encoder.card.licence.startswith("unknown")
    walk = _walk(frames)
    with torch.inference_mode():
        gray = network(frames[None], torch.tensor([9]))[0]
        hard = network((frames > 0.5).float()[None], torch.tensor([9]))[0]
    np.testing.assert_allclose(encoder(walk).vector, gray, atol=1e-5)
    binary = GaitSequence({"silhouette": walk.silhouettes}, walk.times)
    np.testing.assert_allclose(encoder(binary).vector, hard, atol=1e-5)
    assert float((gray - hard).abs().max()) > 1e-3  # the edges matter


@pytest.mark.parametrize("count", [1, 5, 9])
def test_an_import_embeds_short_walks(tmp_path: Path, case, frames, count):
    """The framework embeds walks of any length."""
    encoder, (_, _, state, formulas, _) = _encoder(case, tmp_path), case
    parts = formulas(state, frames[:count])
    expected = torch.nn.functional.normalize(parts, dim=1).flatten() / len(parts) ** 0.5
    np.testing.assert_allclose(encoder(_walk(frames[:count])).vector, expected, atol=1e-5)


def test_an_import_returns_its_parts_as_published_evaluators_compare_them(tmp_path: Path, case, frames):
    encoder, (_, _, state, formulas, _) = _encoder(case, tmp_path), case
    assert isinstance(encoder, PartEncoder)
    walks = [torch.cat([frames, frames.flip(2)]), torch.cat([frames.flip(1), frames, frames])]
    found = encoder.part_vectors([_walk(walk) for walk in walks])
    assert found[0].size == encoder.dimension
    for one, walk in zip(found, walks, strict=True):
        np.testing.assert_allclose(one, formulas(state, walk), rtol=1e-4, atol=1e-4)


class _Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap-was-sprung"),))


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": _Trap()}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match="safely"):
        foreign.read_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "trap-was-sprung").exists()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({1: torch.zeros(1)}, "no named tensors"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "no named tensors"),
        ({"a": torch.eye(2).to_sparse()}, "no named tensors|read safely"),
        ({"a": torch.tensor([1.0, float("nan")])}, "NaN or infinity in 1 tensors: a"),
    ],
)
def test_tensors_other_than_finite_numbers_are_refused(tmp_path: Path, state, words):
    torch.save(state, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match=words):
        foreign.read_checkpoint(tmp_path / "c.pt")


def test_a_missing_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match="is not a file"):
        foreign.read_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(WeightsError):
        foreign.read_checkpoint(tmp_path / "c.pt")
