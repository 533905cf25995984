"""People in pictures of masks, white on black."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceError
from gaitid.perception.align import MOST_GRAY, gray_share
from gaitid.perception.precomputed.person import Person

Bytes = NDArray[np.uint8]

_WHITE = 127
"""Value above which a pixel is white."""
_BORDER = 0.5
"""Share of white pixels at the border from which a picture is black on white."""


def people_in(picture: Bytes, *, min_height_px: int, gap_px: int) -> list[Person]:
    """Return the white pieces of a picture, one person each.

    Args:
        picture: (H, W) or (H, W, 3) uint8, 0 for background and 255 or 1 for people; in colour, any
            channel counts.
        min_height_px: Least height of a person, pixels.
        gap_px: Pieces one above the other with a gap of at most this many pixels are one person.

    Raises:
        SourceError: The picture is no mask.
    """
    white = _white(picture)
    joined = cv2.dilate(white, np.ones((gap_px + 1, 1), np.uint8), anchor=(0, gap_px)) if gap_px else white
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found = []
    for label, (x, y, width, height) in enumerate(stats[1:, :4].tolist(), start=1):
        if height < min_height_px:
            continue
        part = (slice(y, y + height), slice(x, x + width))
        person = cut_out(white[part] & (labels[part] == label), x, y)
        if person is not None and len(person.mask) >= min_height_px:  # type: ignore[arg-type]
            found.append(person)
    return found


def cut_out(
    mask: NDArray[np.bool_] | Bytes, x: int = 0, y: int = 0, track: int | None = None
) -> Person | None:
    """Return a person from a mask (h, w) whose corner is at (x, y); None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    box = np.array([x + left, y + top, x + right, y + bottom], np.float32)
    return Person(mask=np.ascontiguousarray(mask[top:bottom, left:right], np.uint8), box=box, track=track)


def _white(picture: Bytes) -> Bytes:
    """Return the white pixels as 1."""
    flat = picture if picture.ndim == 2 else picture.max(axis=2)
    if flat.max(initial=0) <= 1:
        return flat
    share = gray_share([flat])
    if share > MOST_GRAY:
        raise SourceError(
            f"In a picture of masks {share:.0%} of the pixels are gray",
            "white people on black",
            "Pass pictures of masks, or leave out --extractor precomputed for ordinary video",
        )
    white = (flat > _WHITE).astype(np.uint8)
    border = np.concatenate([white[[0, -1]].ravel(), white[1:-1, [0, -1]].ravel()])
    if border.mean() > _BORDER:
        raise SourceError(
            f"A picture of masks is white along {border.mean():.0%} of its border",
            "white people on black",
            "Invert the pictures",
        )
    return white
