"""How hard the synthetic task is: GEI nearest neighbour across days, with shape or motion taken away."""

from __future__ import annotations

import numpy as np

from gaitid.synthetic import Camera, Cohort

KINDS = {"full": (1.0, 1.0), "shape only": (1.0, 0.0), "motion only": (0.0, 1.0)}


def energy(
    cohort: Cohort, identity: int, session: int, number: int, condition: str, view: float
) -> np.ndarray:
    """Mean silhouette of one noisy walk."""
    camera = Camera.beside(view, distance=6.0, height=1.5, focal=330.0)
    walk = cohort.sequence(identity, session, number, condition=condition, view=view, camera=camera)
    good = walk.silhouettes[walk.silhouettes.any((1, 2))]
    return good.mean(0).ravel().astype(np.float32)


def rank_one(gallery: np.ndarray, probe: np.ndarray) -> float:
    """Share of probes (N, D) whose nearest gallery row (G * N, D) is of the same person."""
    people = len(probe)
    distance = ((probe[:, None] - gallery[None]) ** 2).sum(2)
    return float((distance.argmin(1) % people == np.arange(people)).mean())


def table(identities: int, view: float = 90.0, numbers: int = 2) -> dict[str, dict[str, float]]:
    """Rank-1 of every control: gallery day 0 in normal clothes, probes of day 1 (and of day 0 once)."""
    out: dict[str, dict[str, float]] = {}
    for kind, (shape, motion) in KINDS.items():
        cohort = Cohort(0, "test", shape=shape, motion=motion)
        people = range(identities)
        gallery = np.stack([energy(cohort, i, 0, n, "nm", view) for n in range(numbers) for i in people])
        row = {}
        for condition in ("nm", "bg", "cl"):
            for apart in (0, 18, 36):
                probe = np.stack([energy(cohort, i, 1, 0, condition, view - apart) for i in people])
                row[f"{condition} {apart}"] = rank_one(gallery, probe)
        same_day = np.stack([energy(cohort, i, 0, numbers, "nm", view) for i in people])
        row["nm 0, same day"] = rank_one(gallery, same_day)
        out[kind] = row
    return out


if __name__ == "__main__":
    import sys

    found = table(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
    keys = list(next(iter(found.values())))
    print(f"{'':12s}", *(f"{key:>9s}" for key in keys))
    for kind, row in found.items():
        print(f"{kind:12s}", *(f"{row[key]:9.2f}" for key in keys))
