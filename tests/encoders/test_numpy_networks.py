"""Our networks in numpy compute what they compute in torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.encoders import architectures, networks  # noqa: E402

SMALL = {"stem": 4, "frame": 6, "trunk": [8, 8, 10], "part_dimension": 4, "projection": 16}
TIME = {"width": 8, "hidden": 16, "projection": 8}
CASES = {
    "strider": ("strider", SMALL),
    "strider, one part for two rows, no projection": ("strider", {**SMALL, "parts": 8, "projection": 0}),
    "strider, no residual": ("strider", {**SMALL, "trunk": [8, 10, 8]}),
    "strider with later layers": ("strider", {**SMALL, "later": 2}),
    "strider, scaled parts": ("strider", {**SMALL, "projection": 0, "scaled": True}),
    "strider, all parts mixed": ("strider", {**SMALL, "mix": 6}),
    "stickman": ("stickman", TIME),
    "stickman, other dilations": ("stickman", {**TIME, "dilations": [1, 3], "projection": 0}),
    "stickman3d": ("stickman3d", {**TIME, "features": 11}),
}


@pytest.mark.parametrize(("name", "arguments"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("frames", [1, 2, 3, 20])
def test_numpy_equals_torch(name, arguments, frames):
    torch.manual_seed(0)
    network = networks.build(name, arguments)
    shape = architectures.find(name).clips.frame_shape
    for _ in range(3):  # gives normalisation layers statistics, and signs that differ
        network(torch.randn(6, 9, *shape))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(
                0.3 * torch.randn_like(parameter) * parameter.std() if parameter.numel() > 1 else 0
            )
    network.eval()
    clip = np.random.default_rng(frames).normal(0, 1, (frames, *shape)).astype(np.float32)
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    found = architectures.find(name).numpy(tensors, arguments)(clip)
    np.testing.assert_allclose(found, networks.forward(network, [clip])[0], atol=2e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "lie"),
    [
        ("strider", SMALL, {"projection": 8}),
        ("strider", SMALL, {"later": 1}),
        ("strider", SMALL, {"trunk": [8, 8, 8]}),
        ("strider", SMALL, {"depth": 3}),
        ("stickman", TIME, {"width": 9}),
        ("stickman", TIME, {"features": 11}),
    ],
)
def test_tensors_of_other_arguments_are_refused(name, arguments, lie):
    tensors = {key: value.numpy() for key, value in networks.build(name, arguments).state_dict().items()}
    with pytest.raises(ValueError, match=f"{next(iter(lie))} is"):
        architectures.find(name).numpy(tensors, {**arguments, **lie})
    with pytest.raises(KeyError):
        architectures.find(name).numpy({}, arguments)
