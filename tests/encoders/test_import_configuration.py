"""Configurations of published networks: plain YAML, and what they settle that shapes do not show."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from published import (  # noqa: E402
    DIMENSION,
    WIDTHS,
    deepgaitv2,
    deepgaitv2_state,
    gaitbase,
    gaitbase_state,
    gaitset,
    gaitset_state,
)

from gaitid.cli import main  # noqa: E402
from gaitid.encoders import foreign  # noqa: E402
from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.encoders.foreign.plain_yaml import MAX_CHARACTERS, parse  # noqa: E402
from gaitid.errors import ConfigError, WeightsError  # noqa: E402

PLAIN = {
    "empty": ("", None),
    "comments only": ("# nothing\n\n   # here\n", None),
    "scalars": (
        "a: 1\nb: -2.5\nc: 1e-3\nd: true\ne: No\nf: null\ng:\nh: word # said\n"
        "i: 'a # b'\nj: \"x: y\"\nk: None\n",
        {
            "a": 1,
            "b": -2.5,
            "c": 1e-3,
            "d": True,
            "e": False,
            "f": None,
            "g": None,
            "h": "word",
            "i": "a # b",
            "j": "x: y",
            "k": "None",
        },
    ),
    "nested": ("a:\n  b:\n    c: 1\n  d: 2\ne: 3\n", {"a": {"b": {"c": 1}, "d": 2}, "e": 3}),
    "lists": (
        "a:\n  - 1\n  - x\nb:\n- 2\nc: [1, [2, y], 'z']\n",
        {"a": [1, "x"], "b": [2], "c": [1, [2, "y"], "z"]},
    ),
    "lists of mappings": (
        "- type: Compose\n  trf_cfg:\n    - type: Cut\n    - type: Turn\n      prob: 0.3\n- weight: 1.0\n",
        [{"type": "Compose", "trf_cfg": [{"type": "Cut"}, {"type": "Turn", "prob": 0.3}]}, {"weight": 1.0}],
    ),
    "a start of document": ("---\na: 1\n", {"a": 1}),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_yaml_is_read(name):
    text, expected = PLAIN[name]
    assert parse(text, "c.yaml") == expected


REFUSED = {
    "a tag": "a: !!python/object/apply:os.system ['x']\n",
    "an anchor": "a: &x 1\nb: *x\n",
    "an alias": "b: *x\n",
    "a text of many lines": "a: |\n  one\n  two\n",
    "a mapping in braces": "a: {b: 1}\n",
    "a tab": "a:\n\tb: 1\n",
    "a key twice": "a: 1\na: 2\n",
    "uneven indentation": "a:\n    b: 1\n  c: 2\n",
    "a deeper key below a value": "type: ResNet9\n  block: BasicBlock\n",
    "a sentence": "a: 1\nno key here\n",
    "an open list": "a: [1, 2\n",
    "an open quote": "a: 'x\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "nesting": "\n".join(f"{' ' * i}a:" for i in range(40)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_more_than_plain_yaml_is_refused_with_its_line(name):
    with pytest.raises(ConfigError, match=r"^Line \d+ of c.yaml is"):
        parse(REFUSED[name], "c.yaml")


def test_a_large_file_is_refused():
    with pytest.raises(ConfigError, match="characters"):
        parse("#" * (MAX_CHARACTERS + 1), "c.yaml")


GAITSET = f"""
model_cfg:
  model: GaitSet
  in_channels: [1, {WIDTHS[0]}, {WIDTHS[1]}, {WIDTHS[2]}]
  SeparateFCs:
    parts_num: 62
  bin_num: [1, 2, 4, 8, 16] # another order
"""
GAITBASE = f"""
evaluator_cfg:
  transform:
    - type: BaseSilCuttingTransform
model_cfg:
  model: Baseline
  backbone_cfg:
    type: ResNet9
    block: BasicBlock
    channels: # of each stage
      - {WIDTHS[0]}
      - {WIDTHS[1]}
      - {WIDTHS[2]}
      - {WIDTHS[3]}
    layers: [1, 1, 1, 1]
    strides: [1, 2, 1, 1]
    maxpool: true
  SeparateFCs:
    in_channels: {WIDTHS[3]}
    out_channels: {DIMENSION}
    parts_num: 31
    norm: true
  bin_num: [16, 8, 4, 2, 1]
"""
DEEP = f"""
model_cfg:
  model: DeepGaitV2
  use_emb2: true
  Backbone:
    mode: p3d
    in_channels: 1
    layers: [1, 2, 1, 1]
    channels: [{", ".join(map(str, WIDTHS))}]
  SeparateBNNecks:
    class_num: 74
"""


@pytest.fixture(scope="module")
def frames():
    return torch.rand(7, 64, 44, generator=torch.Generator().manual_seed(1)).double()


def _configuration(tmp_path: Path, text: str) -> foreign.Configuration:
    (tmp_path / "their.yaml").write_text(text)
    return foreign.read_configuration(tmp_path / "their.yaml")


def _parts(imported: foreign.Imported, frames: torch.Tensor) -> torch.Tensor:
    network = imported.network.double()
    with torch.inference_mode():
        return network.parts(frames[None], torch.tensor([len(frames)]))[0]


def _exact(state):
    return {name: value.double() for name, value in state.items()}


def test_bins_of_gaitset(tmp_path, frames):
    state = gaitset_state()
    imported = foreign.import_state("gaitset", state, _configuration(tmp_path, GAITSET))
    expected = gaitset(_exact(state), frames, (1, 2, 4, 8, 16))
    torch.testing.assert_close(_parts(imported, frames), expected, rtol=1e-8, atol=1e-8)


def test_strides_pooling_pyramid_and_norm_of_gaitbase(tmp_path, frames):
    state = gaitbase_state(strides=(1, 2, 1, 1), parts=31)
    imported = foreign.import_state("gaitbase", state, _configuration(tmp_path, GAITBASE))
    how = {"strides": (1, 2, 1, 1), "maxpool": True, "bins": (16, 8, 4, 2, 1), "unit_head": True}
    expected = gaitbase(_exact(state), frames, **how)
    torch.testing.assert_close(_parts(imported, frames), expected, rtol=1e-6, atol=1e-6)
    others = [gaitbase(_exact(state), frames, **{**how, "unit_head": False})]
    others.append(gaitbase(_exact(state), frames, **{**how, "strides": (1, 2, 2, 1)}))
    assert all(float((other - expected).abs().max()) > 1e-2 for other in others)


@pytest.mark.parametrize("mode", ["p3d", "3d", "2d"])
def test_use_emb2_takes_the_embedding_behind_the_neck(tmp_path, frames, mode):
    state = deepgaitv2_state(mode=mode)
    configuration = _configuration(tmp_path, DEEP.replace("p3d", mode))
    imported = foreign.import_state("deepgaitv2", state, configuration)
    assert imported.unused == ("BNNecks.fc_bin",)
    expected = deepgaitv2(_exact(state), frames, neck=True)
    torch.testing.assert_close(_parts(imported, frames), expected, rtol=1e-6, atol=1e-6)
    before = torch.nn.functional.normalize(deepgaitv2(_exact(state), frames), dim=1)
    assert float((before - expected).abs().max()) > 0.05  # what was returned while use_emb2 was ignored


def test_published_settings_are_those_of_the_configuration(tmp_path):
    """The configuration as it is published gives the same network as none."""
    text = GAITBASE.replace("maxpool: true", "maxpool: false").replace("[1, 2, 1, 1]", "[1, 2, 2, 1]")
    text = text.replace("norm: true", "norm: false").replace("bin_num: [16, 8, 4, 2, 1]", "bin_num: [16]")
    state = gaitbase_state()
    one = foreign.import_state("gaitbase", state).network.state_dict()
    two = foreign.import_state("gaitbase", state, _configuration(tmp_path, text)).network.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


WRONG = {
    "another network": (GAITSET.replace("GaitSet", "GaitGL"), "model_cfg.model of their.yaml is 'GaitGL'"),
    "no network": ("a: 1\n", "model_cfg.model of their.yaml is None"),
    "another backbone": (GAITBASE.replace("ResNet9", "Plain"), "backbone_cfg.type of their.yaml is 'Plain'"),
    "other blocks": (GAITBASE.replace("BasicBlock", "Bottleneck"), "is 'Bottleneck'"),
    "other pictures": (DEEP.replace("in_channels: 1", "in_channels: 2"), "in_channels of their.yaml is 2"),
    "other transforms": (
        GAITBASE.replace("BaseSilCuttingTransform", "BaseRgbTransform"),
        "evaluator_cfg.transform of their.yaml is 'BaseRgbTransform'",
    ),
    "another divisor": (
        GAITBASE.replace("BaseSilCuttingTransform", "BaseSilCuttingTransform\n      divsor: 1"),
        "divsor 255",
    ),
    "no strides": (GAITBASE.replace("strides", "steps"), "strides of their.yaml is None"),
    "three strides": (GAITBASE.replace("[1, 2, 1, 1]", "[1, 2, 1]"), "a list of 4 numbers"),
    "a switch that is none": (GAITBASE.replace("maxpool: true", "maxpool: 3"), "maxpool of their.yaml is 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_configurations_that_cannot_be_followed_are_refused(tmp_path, name):
    text, words = WRONG[name]
    with pytest.raises(ConfigError, match=words):
        _configuration(tmp_path, text)


def test_a_missing_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        foreign.read_configuration(tmp_path / "their.yaml")


CONTRADICTIONS = {
    "blocks": (
        "deepgaitv2",
        deepgaitv2_state,
        DEEP.replace("[1, 2, 1, 1]", "[1, 1, 1, 1]"),
        "blocks .1, 1, 1, 1.*not .1, 2",
    ),
    "mode": ("deepgaitv2", deepgaitv2_state, DEEP.replace("p3d", "2d"), "mode 2d, not p3d"),
    "architecture": ("gaitbase", gaitbase_state, DEEP, "deepgaitv2, not gaitbase"),
    "bins": (
        "gaitset",
        gaitset_state,
        GAITSET.replace("16]", "32]"),
        "bin_num .1, 2, 4, 8, 32., not strips for 62 parts",
    ),
    "rows": (
        "gaitset",
        lambda: gaitset_state(parts=14),
        GAITSET.replace("[1, 2, 4, 8, 16]", "[7]"),
        "bin_num 7, not a divisor of 16x11",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_tensors_that_contradict_the_configuration_are_refused(tmp_path, name):
    architecture, make, text, words = CONTRADICTIONS[name]
    with pytest.raises(WeightsError, match=f"settings that the tensors contradict: {words}"):
        foreign.import_state(architecture, make(), _configuration(tmp_path, text))


def test_the_verb_reads_the_configuration(tmp_path, capsys):
    torch.save({"model": deepgaitv2_state()}, tmp_path / "theirs.pt")
    (tmp_path / "their.yaml").write_text(DEEP)
    target = tmp_path / "deep.safetensors"
    line = ["model", "import", str(tmp_path / "theirs.pt"), "--out", str(target)]
    assert main([*line, "--config", str(tmp_path / "their.yaml")]) == 0
    shown = capsys.readouterr()
    assert "'neck': True" in shown.out
    assert "published settings are assumed" not in shown.err
    encoder = load_encoder(str(target))
    assert encoder.dimension == 16 * DIMENSION
    assert encoder.min_frames == 1


def test_the_verb_recognises_the_architecture(tmp_path, capsys):
    torch.save({"model": gaitbase_state()}, tmp_path / "theirs.pt")
    line = ["model", "import", str(tmp_path / "theirs.pt"), "--out", str(tmp_path / "base.safetensors")]
    assert main(line) == 0
    shown = capsys.readouterr()
    assert "encoder base, gaitbase, 112 dimensions" in shown.out
    assert "published settings are assumed" in shown.err
    torch.save({"TFA.x": torch.zeros(1)}, tmp_path / "theirs.pt")
    assert main(line) == 2
    assert "look like GaitPart" in capsys.readouterr().err
