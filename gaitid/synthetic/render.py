"""Masks and painted pictures of triangle meshes, without a graphics card.

Vertices are snapped to 1/16 pixel. Every later step is exact (integers, or single IEEE operations), so equal
snapped vertices give equal bits on every machine.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]

SUBPIXEL = 16
"""Steps per pixel to which vertices are snapped."""


def snap(pixels: Floats) -> NDArray[np.float32]:
    """Round pixel coordinates to 1/16 pixel, which float32 represents exactly."""
    return (np.rint(pixels * SUBPIXEL) / SUBPIXEL).astype(np.float32)


def edges_of(faces: Ints) -> Ints:
    """(E, 4) rows a, b, f, g: the edge from a to b of face f, and the other face g there or -1."""
    if not len(faces):
        return np.zeros((0, 4), np.int32)
    half = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    owner = np.repeat(np.arange(len(faces)), 3)
    low, high = half.min(1).astype(np.int64), half.max(1).astype(np.int64)
    key = low * (int(faces.max(initial=0)) + 1) + high
    order = np.argsort(key, kind="stable")
    first = np.r_[True, np.diff(key[order]) != 0]
    start = np.flatnonzero(first)
    pair = np.minimum(start + 1, len(order) - 1)
    shared = np.where((start + 1 < len(order)) & ~first[pair], owner[order[pair]], -1)
    head = order[start]
    return np.column_stack([half[head], owner[head], shared]).astype(np.int32)


def masks(pixels: NDArray[np.float32], faces: Ints, edges: Ints, height: int, width: int) -> Bytes:
    """Rasterise the union of the front-facing triangles of a mesh, for all frames at once.

    A pixel belongs to a triangle if its centre does. Only edges between a front-facing and another face
    are used: their sum along a row is the number of front layers at each pixel.

    Args:
        pixels: (T, V, 2) snapped coordinates, x right and y down; see `snap`.
        faces: (F, 3), anticlockwise as seen from outside, so clockwise in an image with y down.
        edges: (E, 4) of `edges_of`.
        height: Rows.
        width: Columns.

    Returns:
        (T, height, width) uint8, 0 or 1.
    """
    frames = len(pixels)
    x, y = np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])
    frame, begin, end = _contours(x, y, faces, edges)
    base = frame * x.shape[1]
    x0, y0, x1, y1 = (grid.ravel()[base + vertex] for vertex in (begin, end) for grid in (x, y))
    rows = np.ceil(np.stack([np.minimum(y0, y1), np.maximum(y0, y1)]) - np.float32(0.5)).clip(0, height)
    top = rows[0].astype(np.int32)
    count = rows[1].astype(np.int32) - top
    some = np.flatnonzero(count)
    slope = (x1[some] - x0[some]) / (y1[some] - y0[some])
    count, top = count[some], top[some]
    at = np.repeat(np.arange(len(some), dtype=np.int32), count)
    row = np.arange(len(at), dtype=np.int32) + (top - (np.cumsum(count) - count))[at]
    start = x0[some] - (y0[some] - np.float32(0.5)) * slope - np.float32(0.5)
    column = np.ceil(start[at] + row * slope[at]).clip(0, width).astype(np.int32)
    # Columns first, so that the running sum over columns adds long rows.
    layers = np.zeros((width + 1, frames * height), np.int8)
    cell = column * (frames * height) + ((frame[some] * height)[at] + row)
    np.add.at(layers.ravel(), cell, np.where(y1 > y0, np.int8(1), np.int8(-1))[some][at])
    for before, here in pairwise(layers[:width]):
        here += before
    inside = np.asarray(cv2.transpose((layers[:width] != 0).view(np.uint8)))
    return inside.reshape(frames, height, width)


def _contours(
    x: NDArray[np.float32], y: NDArray[np.float32], faces: Ints, edges: Ints
) -> tuple[NDArray[np.intp], Ints, Ints]:
    """Frame, first and last vertex of each edge between a front-facing and another face."""
    a, b, c = (np.ascontiguousarray(column) for column in faces.T)
    xa, ya = x.take(a, 1), y.take(a, 1)
    turn = (x.take(b, 1) - xa) * (y.take(c, 1) - ya) < (y.take(b, 1) - ya) * (x.take(c, 1) - xa)
    front = np.zeros((len(x), len(faces) + 1), bool)  # the last entry is "no face" (-1)
    front[:, :-1] = turn
    mine = front.take(edges[:, 2], 1)
    frame, edge = np.divmod(np.flatnonzero(mine != front.take(edges[:, 3], 1)), len(edges))
    forward = mine.ravel()[frame * len(edges) + edge]
    first, last = edges[edge, 0], edges[edge, 1]
    return frame, np.where(forward, first, last), np.where(forward, last, first)


def paint(
    pixels: NDArray[np.float32],
    depth: Floats,
    faces: Ints,
    labels: Bytes,
    light: tuple[float, float, float],
    points: Floats,
    height: int,
    width: int,
) -> tuple[Bytes, Bytes]:
    """Paint one frame of a mesh as labels and flat shading, from far to near.

    Args:
        pixels: (V, 2) snapped coordinates.
        depth: (V,) metres from the camera.
        faces: (F, 3).
        labels: (F,) label of each face, 1..255.
        light: Direction towards the light in the world, any length.
        points: (V, 3) the same vertices in the world, metres.
        height: Rows.
        width: Columns.

    Returns:
        (height, width) uint8 labels, 0 outside; (height, width) uint8 brightness, 255 in full light.
    """
    corner = pixels[faces]
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    shown = (one[:, 0] * two[:, 1] < one[:, 1] * two[:, 0]) & (depth[faces].min(1) > 0.1)
    order = np.flatnonzero(shown)
    order = order[np.argsort(-depth[faces[order]].mean(1), kind="stable")]
    world = points[faces[order]]
    normal = np.cross(world[:, 1] - world[:, 0], world[:, 2] - world[:, 0])
    lamp = np.asarray(light, np.float64) / np.linalg.norm(light)
    lit = (normal @ lamp) / (np.linalg.norm(normal, axis=1) + 1e-12)
    bright = np.rint(255 * (0.55 + 0.45 * lit).clip(0, 1)).astype(int).tolist()
    canvas = np.zeros((height, width, 2), np.uint8)
    fixed = np.rint(corner[order] * SUBPIXEL).astype(np.int32) - SUBPIXEL // 2
    for triangle, label, value in zip(fixed, labels[order].tolist(), bright, strict=True):
        cv2.fillConvexPoly(canvas, triangle, (label, value), lineType=cv2.LINE_8, shift=4)
    return canvas[..., 0].copy(), canvas[..., 1].copy()
