"""GaitSet, GaitBase and DeepGaitV2: sizes of the papers, set behaviour, and import by the framework's names.

The licence of the originals forbids copying them for comparison. So the same formulas are computed a second
time below, step by step with plain torch functions, directly from the published tensors and their names.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")
F = torch.nn.functional

from gaitid.encoders import foreign, networks  # noqa: E402
from gaitid.encoders.base import PartEncoder, load_encoder  # noqa: E402
from gaitid.encoders.learned import PublishedEncoder  # noqa: E402
from gaitid.errors import UnknownName, WeightsError  # noqa: E402
from gaitid.records import GaitSequence  # noqa: E402


def _gaitset_state(generator, channels=(32, 64, 128)) -> dict[str, torch.Tensor]:
    c1, c2, c3 = channels
    shapes = {
        "set_block1.forward_block.0.conv.weight": (c1, 1, 5, 5),
        "set_block1.forward_block.2.conv.weight": (c1, c1, 3, 3),
        "set_block2.forward_block.0.conv.weight": (c2, c1, 3, 3),
        "set_block2.forward_block.2.conv.weight": (c2, c2, 3, 3),
        "set_block3.forward_block.0.conv.weight": (c3, c2, 3, 3),
        "set_block3.forward_block.2.conv.weight": (c3, c3, 3, 3),
        "gl_block2.0.conv.weight": (c2, c1, 3, 3),
        "gl_block2.2.conv.weight": (c2, c2, 3, 3),
        "gl_block3.0.conv.weight": (c3, c2, 3, 3),
        "gl_block3.2.conv.weight": (c3, c3, 3, 3),
        "Head.fc_bin": (62, c3, 256),
    }
    return {n: torch.randn(s, generator=generator) * 0.1 for n, s in shapes.items()}


def _gaitset_formulas(w, frames):
    def two(x, name):
        for layer in (0, 2):
            weight = w[f"{name}.{layer}.conv.weight"]
            x = F.leaky_relu(F.conv2d(x, weight, padding=weight.shape[-1] // 2), 0.01)
        return x

    a = F.max_pool2d(two(frames[:, None], "set_block1.forward_block"), 2)
    b = F.max_pool2d(two(a, "set_block2.forward_block"), 2)
    c = two(b, "set_block3.forward_block").max(0, keepdim=True).values
    g = F.max_pool2d(two(a.max(0, keepdim=True).values, "gl_block2"), 2) + b.max(0, keepdim=True).values
    g = two(g, "gl_block3") + c
    columns = []
    for x in (c, g):
        for bins in (16, 8, 4, 2, 1):
            for strip in x[0].flatten(1).split(x[0].flatten(1).shape[1] // bins, dim=1):
                columns.append(strip.mean(1) + strip.max(1).values)
    return torch.stack([column @ w["Head.fc_bin"][p] for p, column in enumerate(columns)])


def _gaitbase_state(generator) -> dict[str, torch.Tensor]:
    widths = (64, 128, 256, 512)
    state: dict[str, torch.Tensor] = {}

    def conv(name, outputs, inputs, size):
        state[name] = (
            torch.randn(outputs, inputs, size, size, generator=generator) * (2 / inputs / size**2) ** 0.5
        )

    def norm(name, width):
        for key in ("weight", "running_var"):
            state[f"{name}.{key}"] = torch.rand(width, generator=generator) + 0.5
        for key in ("bias", "running_mean"):
            state[f"{name}.{key}"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    root = "Backbone.forward_block"
    conv(f"{root}.conv1.conv.weight", 64, 1, 3)
    norm(f"{root}.bn1", 64)
    before = 64
    for stage, width in enumerate(widths, 1):
        base = f"{root}.layer{stage}.0"
        conv(f"{base}.conv1.weight", width, before, 3)
        norm(f"{base}.bn1", width)
        conv(f"{base}.conv2.weight", width, width, 3)
        norm(f"{base}.bn2", width)
        if stage > 1:
            conv(f"{base}.downsample.0.weight", width, before, 1)
            norm(f"{base}.downsample.1", width)
        before = width
    state["FCs.fc_bin"] = torch.randn(16, 512, 256, generator=generator) * 0.05
    state["BNNecks.fc_bin"] = torch.randn(16, 256, 74, generator=generator)
    state["BNNecks.bn1d.weight"] = torch.ones(4096)
    return state


def _gaitbase_formulas(w, frames):
    root = "Backbone.forward_block"

    def norm(x, name):
        return F.batch_norm(
            x, w[f"{name}.running_mean"], w[f"{name}.running_var"], w[f"{name}.weight"], w[f"{name}.bias"]
        )

    x = F.relu(norm(F.conv2d(frames[:, None], w[f"{root}.conv1.conv.weight"], padding=1), f"{root}.bn1"))
    for stage, stride in enumerate((1, 2, 2, 1), 1):
        base = f"{root}.layer{stage}.0"
        y = F.relu(norm(F.conv2d(x, w[f"{base}.conv1.weight"], stride=stride, padding=1), f"{base}.bn1"))
        y = norm(F.conv2d(y, w[f"{base}.conv2.weight"], padding=1), f"{base}.bn2")
        if f"{base}.downsample.0.weight" in w:
            x = norm(F.conv2d(x, w[f"{base}.downsample.0.weight"], stride=stride), f"{base}.downsample.1")
        x = F.relu(x + y)
    x = x.max(0).values  # (C, 16, 11)
    columns = [strip.mean(1) + strip.max(1).values for strip in x.unbind(1)]
    return torch.stack([column @ w["FCs.fc_bin"][p] for p, column in enumerate(columns)])


def _deepgaitv2_state(generator, blocks=(1, 2, 1, 1)) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}

    def conv(name, outputs, inputs, *size):
        fan = inputs * int(np.prod(size))
        state[name] = torch.randn(outputs, inputs, *size, generator=generator) * (2 / fan) ** 0.5

    def norm(name, width):
        for key in ("weight", "running_var"):
            state[f"{name}.{key}"] = torch.rand(width, generator=generator) + 0.5
        for key in ("bias", "running_mean"):
            state[f"{name}.{key}"] = torch.randn(width, generator=generator) * 0.1
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    conv("layer0.forward_block.0.weight", 64, 1, 3, 3)
    norm("layer0.forward_block.1", 64)
    for part in (1, 2):
        conv(f"layer1.forward_block.0.conv{part}.weight", 64, 64, 3, 3)
        norm(f"layer1.forward_block.0.bn{part}", 64)
    before = 64
    for layer, width in ((2, 128), (3, 256), (4, 512)):
        for block in range(blocks[layer - 1]):
            base = f"layer{layer}.{block}"
            conv(f"{base}.conv1.forward_block.0.weight", width, before, 3, 3)
            norm(f"{base}.conv1.forward_block.1", width)
            conv(f"{base}.conv2.forward_block.0.weight", width, width, 3, 3)
            norm(f"{base}.conv2.forward_block.1", width)
            conv(f"{base}.shortcut3d.weight", width, width, 3, 1, 1)
            norm(f"{base}.sbn", width)
            if not block:
                conv(f"{base}.downsample.0.weight", width, before, 1, 1, 1)
                norm(f"{base}.downsample.1", width)
            before = width
    state["FCs.fc_bin"] = torch.randn(16, 512, 256, generator=generator) * 0.05
    state["BNNecks.fc_bin"] = torch.randn(16, 256, 74, generator=generator)
    return state


def _deepgaitv2_formulas(w, frames):
    """With 3D convolutions throughout, in (C, T, h, w), an order of axes different from ours."""

    def norm(x, name):
        scale = w[f"{name}.weight"] / (w[f"{name}.running_var"] + 1e-5).sqrt()
        return (x - w[f"{name}.running_mean"].view(-1, 1, 1, 1)) * scale.view(-1, 1, 1, 1) + w[
            f"{name}.bias"
        ].view(-1, 1, 1, 1)

    def flat(x, name, stride=1):
        weight = w[name] if w[name].ndim == 5 else w[name][:, :, None]
        return F.conv3d(
            x[None], weight, stride=(1, stride, stride), padding=[s // 2 for s in weight.shape[2:]]
        )[0]

    x = F.relu(norm(flat(frames[None], "layer0.forward_block.0.weight"), "layer0.forward_block.1"))
    y = F.relu(norm(flat(x, "layer1.forward_block.0.conv1.weight"), "layer1.forward_block.0.bn1"))
    x = F.relu(x + norm(flat(y, "layer1.forward_block.0.conv2.weight"), "layer1.forward_block.0.bn2"))
    for layer, first_stride in ((2, 2), (3, 2), (4, 1)):
        block = 0
        while f"layer{layer}.{block}.sbn.weight" in w:
            base, stride = f"layer{layer}.{block}", first_stride if block == 0 else 1
            y = F.relu(
                norm(flat(x, f"{base}.conv1.forward_block.0.weight", stride), f"{base}.conv1.forward_block.1")
            )
            y = F.relu(y + norm(flat(y, f"{base}.shortcut3d.weight"), f"{base}.sbn"))
            y = norm(flat(y, f"{base}.conv2.forward_block.0.weight"), f"{base}.conv2.forward_block.1")
            if f"{base}.downsample.0.weight" in w:
                x = norm(flat(x, f"{base}.downsample.0.weight", stride), f"{base}.downsample.1")
            x = F.relu(x + y)
            block += 1
    x = x.max(1).values
    columns = [strip.mean(1) + strip.max(1).values for strip in x.unbind(1)]
    return torch.stack([column @ w["FCs.fc_bin"][p] for p, column in enumerate(columns)])


CASES = {
    "gaitset": (_gaitset_state, _gaitset_formulas, 62 * 256, 2.60e6),
    "gaitbase": (_gaitbase_state, _gaitbase_formulas, 16 * 256, 6.99e6),
    "deepgaitv2": (_deepgaitv2_state, _deepgaitv2_formulas, 16 * 256, 8.37e6),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    make, formulas, dimension, parameters = CASES[request.param]
    state = make(torch.Generator().manual_seed(3))
    return request.param, state, formulas, foreign.import_state(request.param, state), dimension, parameters


@pytest.fixture(scope="module")
def frames():
    return (torch.rand(9, 64, 44, generator=torch.Generator().manual_seed(1)) > 0.5).float()


def test_an_imported_network_equals_the_formulas(case, frames):
    _, state, formulas, imported, *_ = case
    exact = {name: value.double() for name, value in state.items()}
    network = copy.deepcopy(imported.network).double()
    with torch.inference_mode():
        ours = network.parts(frames[None].double(), torch.tensor([len(frames)]))[0]
        torch.testing.assert_close(ours, formulas(exact, frames.double()), rtol=1e-8, atol=1e-8)


def test_sizes_are_those_of_the_papers(case, frames):
    *_, imported, dimension, parameters = case
    with torch.inference_mode():
        vector = imported.network(frames[None], torch.tensor([9]))
    assert vector.shape == (1, dimension)
    assert float(vector.norm()) == pytest.approx(1, abs=1e-5)
    assert sum(p.numel() for p in imported.network.parameters()) == pytest.approx(parameters, rel=0.01)


def test_order_padding_and_pieces_do_not_matter(case, frames):
    name, *_, imported, _, _ = case
    network = imported.network
    with torch.inference_mode():
        alone = network(frames[None], torch.tensor([9]))
        if name != "deepgaitv2":  # it convolves over time
            torch.testing.assert_close(network(frames.flip(0)[None], torch.tensor([9])), alone)
            twice = torch.cat([frames, frames])[None]
            torch.testing.assert_close(network(twice, torch.tensor([18])), alone)
        padded = torch.zeros(2, 12, 64, 44)
        padded[0, :9], padded[1] = frames, 1.0
        torch.testing.assert_close(network(padded, torch.tensor([9, 12]))[:1], alone, rtol=1e-4, atol=1e-5)


def test_training_only_tensors_are_named(case):
    name, _, _, imported, *_ = case
    assert bool(imported.unused) == (name != "gaitset")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(colour=torch.zeros(1)), "1 unknown to the architecture: colour"),
        (lambda s: s.pop("gl_block2.0.conv.weight"), "1 missing .by our names.: global2.0.weight"),
        (lambda s: s.pop("Head.fc_bin"), "missing .by our names.: head.weight"),
        (
            lambda s: s.update({"Head.fc_bin": torch.zeros(31, 128, 256)}),
            r"shape: Head.fc_bin \(31, 128, 256\) instead of \(62, 128, 256\)",
        ),
        (lambda s: s.update({"Head.fc_bin": torch.zeros(62, 128)}), r"the head \(62, 128\)"),
        (lambda s: s.clear(), "missing"),
    ],
)
def test_what_does_not_fit_is_listed(change, words):
    state = _gaitset_state(torch.Generator().manual_seed(0))
    change(state)
    with pytest.raises(WeightsError, match=words):
        foreign.import_state("gaitset", state)


def _flat_residual(state):
    """A state with the layer names of DeepGaitV2 in another mode."""
    for name in [name for name in state if name.startswith("layer2.")]:
        state[f"layer2.forward_block{name.removeprefix('layer2')}"] = state.pop(name)


@pytest.mark.parametrize(
    ("make", "change", "architecture", "words"),
    [
        (
            _deepgaitv2_state,
            _flat_residual,
            "deepgaitv2",
            "unknown to the architecture: layer2.forward_block",
        ),
        (_deepgaitv2_state, lambda s: None, "gaitbase", "unknown to the architecture: layer0.forward_block"),
        (
            _gaitbase_state,
            lambda s: s.update({"FCs.fc_bin": torch.zeros(31, 512, 256)}),
            "gaitbase",
            "31 parts",
        ),
        (
            _gaitbase_state,
            lambda s: [s.pop(name) for name in list(s) if "layer4" in name],
            "gaitbase",
            "missing .by our names.: stages.3.0.first.weight",
        ),
        (
            _gaitbase_state,
            lambda s: s.update({n.replace("layer4", "layer5"): s[n] for n in list(s) if "layer4" in n}),
            "gaitbase",
            "surplus: Backbone.forward_block.layer5",
        ),
    ],
)
def test_other_configurations_are_refused_with_their_names(make, change, architecture, words):
    state = make(torch.Generator().manual_seed(0))
    change(state)
    with pytest.raises(WeightsError, match=words):
        foreign.import_state(architecture, state)


def test_many_blocks_and_losses_with_parameters_are_imported():
    state = _gaitbase_state(torch.Generator().manual_seed(0))
    plain = {n: v for n, v in state.items() if "layer1.0." in n and "downsample" not in n}
    for block in range(1, 12):
        state |= {n.replace("layer1.0.", f"layer1.{block}."): v for n, v in plain.items()}
    state["loss_aggregator.losses.softmax.weight"] = torch.zeros(3)
    imported = foreign.import_state("gaitbase", state)
    assert imported.arguments["blocks"] == [12, 1, 1, 1]
    assert "loss_aggregator.losses.softmax.weight" in imported.unused


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(UnknownName, match="gaitset"):
        foreign.import_state("gaitsett", {})


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {"state_dict": s, "epoch": 3}]
)
def test_checkpoints_are_read_in_their_common_wrappings(tmp_path: Path, wrap):
    state = {f"module.{k}": v for k, v in _gaitset_state(torch.Generator().manual_seed(0)).items()}
    torch.save(wrap(state), tmp_path / "c.pt")
    read = foreign.read_checkpoint(tmp_path / "c.pt")
    assert foreign.import_state("gaitset", read).network.dimension == 62 * 256


def test_an_import_becomes_an_encoder(tmp_path: Path, case, frames):
    name, _, _, imported, dimension, _ = case
    foreign.save_imported(tmp_path / "theirs.safetensors", "theirs", name, imported, "c.pt")
    encoder = load_encoder(str(tmp_path / "theirs.safetensors"))
    twice = torch.cat([frames, frames])
    walk = GaitSequence({"silhouette": twice.numpy().astype(np.uint8)}, np.arange(18) / 25)
    with torch.inference_mode():
        expected = imported.network(twice[None], torch.tensor([18]))[0]
    np.testing.assert_allclose(encoder(walk).vector, expected, atol=1e-4)
    assert isinstance(encoder, PublishedEncoder)
    assert encoder.dimension == dimension
    assert encoder.card.licence.startswith("unknown")


def test_an_import_returns_its_parts_as_published_evaluators_compare_them(tmp_path: Path, case, frames):
    name, _, _, imported, dimension, _ = case
    foreign.save_imported(tmp_path / "theirs.safetensors", "theirs", name, imported, "c.pt")
    encoder = load_encoder(str(tmp_path / "theirs.safetensors"))
    assert isinstance(encoder, PartEncoder)
    walks = [torch.cat([frames, frames.flip(2)]), torch.cat([frames.flip(1), frames, frames])]
    with torch.inference_mode():
        expected = [imported.network.parts(walk[None], torch.tensor([len(walk)]))[0] for walk in walks]
    found = encoder.part_vectors(
        [
            GaitSequence({"silhouette": walk.numpy().astype(np.uint8)}, np.arange(len(walk)) / 25)
            for walk in walks
        ]
    )
    assert found[0].size == dimension
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-4)


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


def test_the_trainer_can_build_them():
    for name in CASES:
        network = networks.build(name, {})
        assert network.wide_dimension == network.dimension
        assert network.projection is None
