"""The rasteriser against pixel-by-pixel geometry, the camera against the pinhole formula."""

import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.synthetic import Camera, Population
from gaitid.synthetic.dress import solid
from gaitid.synthetic.render import edges_of, masks, snap


def reference(pixels: np.ndarray, faces: np.ndarray, height: int, width: int) -> np.ndarray:
    """Union of front-facing triangles by half-plane tests of every pixel centre."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    out = np.zeros((height, width), bool)
    for a, b, c in pixels.astype(np.float64)[faces]:
        if (b[0] - a[0]) * (c[1] - a[1]) >= (b[1] - a[1]) * (c[0] - a[0]):
            continue
        inside = np.ones_like(out)
        for p, q in ((a, b), (b, c), (c, a)):
            inside &= (q[0] - p[0]) * (y - p[1]) <= (q[1] - p[1]) * (x - p[0])
        out |= inside
    return out


MESHES = {
    "empty": np.zeros((0, 3), np.int32),
    "triangle": np.array([[0, 2, 1]], np.int32),
    "seen from behind": np.array([[0, 1, 2]], np.int32),
    "ball": solid(np.zeros(3), np.ones(3))[1],
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("faces", MESHES.values(), ids=MESHES)
def test_masks_are_the_union_of_front_faces(faces, seed):
    rng = np.random.default_rng(seed)
    if len(faces) > 1:
        turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        points = solid(np.zeros(3), rng.uniform(5, 25, 3), 0.7)[0] @ (turned * np.linalg.det(turned)).T
        flat = points[:, :2] + [20, 30]  # x right, y down, z away: a right-handed picture seen from -z
        pixels = snap(np.stack([flat, flat + rng.normal(size=2) * 6]))
    else:
        corners = np.array([[5.0, 5], [30, 12], [12, 40]])
        pixels = snap(np.stack([corners, corners + rng.uniform(-30, 30, 2)]))  # may leave the picture
    found = masks(pixels, faces, edges_of(faces), 60, 40)
    for frame, mask in zip(pixels, found, strict=True):
        wanted = reference(frame, faces, 60, 40)
        assert (wanted != mask).sum() <= 2  # centres that lie exactly on an edge
    if len(faces) > 1 or (len(faces) and faces[0, 1] == 2):
        assert found[0].any()


def test_every_edge_of_a_closed_mesh_has_two_faces():
    faces = solid(np.zeros(3), np.ones(3))[1]
    edges = edges_of(faces)
    assert len(edges) == len(faces) * 3 // 2
    assert (edges[:, 3] >= 0).all()
    assert (edges_of(faces[:1])[:, 3] == -1).all()


def test_painting_covers_the_mask():
    actor = Population(0, "test").actor(3, condition="cl", frames=2)
    camera = Camera.beside(60, distance=6, focal=500)
    mask, corners = actor.masks(camera)
    labels, bright, (x, y) = actor.painted(1, camera)
    full = np.zeros_like(mask[1])
    left, top = x - corners[1, 0], y - corners[1, 1]
    full[top : top + labels.shape[0], left : left + labels.shape[1]] = labels > 0
    assert (full & mask[1]).sum() / (full | mask[1]).sum() > 0.93  # painted triangles include their border
    assert len(np.unique(labels)) >= 9
    assert bright[labels > 0].std() > 10


def test_a_body_before_the_lens_is_not_drawn():
    actor = Population(0, "test").actor(0, frames=2)
    camera = Camera.looking_at((0.3, 0.3, 1.0), (5.0, 0.0, 1.0), 400)
    assert not actor.masks(camera)[0].any()
    assert actor.painted(0, camera)[0].size == 0
    near = Camera.looking_at((1.5, 1.5, 1.0), (0.0, 0.0, 1.0), 20_000)
    with pytest.raises(InputError, match="Move the camera away"):
        actor.masks(near)


def test_camera_projects_as_a_pinhole():
    camera = Camera.looking_at((0.0, -5.0, 1.0), (0.0, 0.0, 1.0), 100.0, (320.0, 240.0))
    pixels, depth = camera.project(np.array([[0.0, 0, 1], [1, 0, 1], [0, 0, 2], [0, 5, 1]]))
    assert np.allclose(pixels, [[320, 240], [340, 240], [320, 220], [320, 240]])
    assert np.allclose(depth, [5, 5, 5, 10])


def test_a_barrel_pulls_the_border_inwards_without_folding():
    far = np.stack([np.linspace(0, 40, 50), np.zeros(50), np.ones(50)], 1)
    straight = Camera.looking_at((0.0, -5.0, 1.0), (0.0, 0.0, 1.0), 100.0)
    barrel = Camera.looking_at((0.0, -5.0, 1.0), (0.0, 0.0, 1.0), 100.0, distortion=-0.2)
    x, y = (camera.project(far)[0][:, 0] for camera in (straight, barrel))
    assert (y[1:] < x[1:]).all()
    assert (np.diff(y) > 0).all()


@pytest.mark.parametrize("view", [0, 90, 180, 270])
def test_views_look_from_the_side_they_name(view):
    camera = Camera.beside(view, distance=6.0)
    side = {0: (6, 0), 90: (0, 6), 180: (-6, 0), 270: (0, -6)}[view]
    assert np.allclose(camera.position[:2], side, atol=1e-9)
    assert np.allclose(camera.rotation @ camera.rotation.T, np.eye(3))
    up = camera.project(np.array([[0, 0, 0.0], [0, 0, 1.8]]))[0]
    assert up[1, 1] < up[0, 1]


@pytest.mark.parametrize("aside", [-25, 0, 25])
def test_walkers_lean_for_a_camera_that_looks_down_and_past_them(aside):
    camera = Camera.beside(90, distance=7.0, height=4.0, aside=aside)
    feet, head = camera.project(np.array([[0, 0, 0.0], [0, 0, 1.8]]))[0]
    offset = camera.focal * np.tan(np.deg2rad(aside))
    assert -(feet[0] + head[0]) / 2 == pytest.approx(offset, rel=0.15)
    lean = np.rad2deg(np.arctan2(head[0] - feet[0], feet[1] - head[1]))
    assert lean == pytest.approx(0, abs=1e-9) if aside == 0 else 5 < -np.sign(aside) * lean < 20


@pytest.mark.parametrize(
    "make",
    [
        lambda: Camera.beside(0, focal=0),
        lambda: Camera.beside(0, distortion=2.0),
        lambda: Camera.looking_at((0, 0, 5), (0, 0, 0), 100),
    ],
)
def test_bad_cameras_are_refused(make):
    with pytest.raises(InputError):
        make()
