"""Every fusion over an index is the fusion over all templates, now and after a restart."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid import registry
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.records import Fusion, OperatingPoint, Origin

D = 8


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def samples(vectors: list[np.ndarray]) -> list[EnrolmentSample]:
    return [EnrolmentSample(vector, None, Origin()) for vector in vectors]


def score(fusion: Fusion, probe: np.ndarray, vectors: list[np.ndarray]) -> float:
    wide = np.stack(vectors).astype(np.float64)
    mean = wide.mean(axis=0)
    return {
        Fusion.MAX: float((wide @ probe).max()),
        Fusion.MEAN: float((wide @ probe).mean()),
        Fusion.CENTROID: float(mean @ probe / np.linalg.norm(mean)),
    }[fusion]


@pytest.mark.parametrize("index", registry.names("indexes"))
@pytest.mark.parametrize("fusion", list(Fusion))
def test_search_and_comparison_equal_brute_force_through_a_history(tmp_path, fusion, index):
    random = np.random.default_rng(7)
    store = Store(tmp_path)
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=fusion)
    kind = registry.resolve("indexes", index)
    gallery = Gallery(store, row, kind)
    alive: dict[str, list[np.ndarray]] = {}
    for step in range(120):
        name = f"s{random.integers(25)}"
        fresh = [unit(random.standard_normal(D)) for _ in range(random.integers(1, 4))]
        if name not in alive:
            alive[name] = fresh
            gallery.add_subject(name, samples(fresh))
        elif step % 3:
            alive[name] += fresh
            gallery.add_templates(name, samples(fresh))
        else:
            del alive[name]
            gallery.delete_subject(name)
        probe = unit(random.standard_normal(D))
        expected = sorted(((score(fusion, probe, v), n) for n, v in alive.items()), reverse=True)
        found = gallery.search(probe, 3).candidates
        assert [c.subject for c in found] == [n for _, n in expected[:3]]
        assert [c.score for c in found] == pytest.approx([s for s, _ in expected[:3]], abs=1e-6)
        if expected:
            (claimed,) = gallery.compare(expected[0][1], probe).candidates
            assert claimed == found[0]
    assert gallery.describe().templates == sum(map(len, alive.values()))
    assert [len(info.templates) for info in gallery.subjects()] == [len(alive[n]) for n in sorted(alive)]
    again = Gallery(store, store.galleries.all()[0], kind)
    assert again.row.fusion is fusion
    assert again.search(probe, 99) == gallery.search(probe, 99)  # bit for bit
    store.close()


def test_templates_that_cancel_out_match_nobody(tmp_path):
    store = Store(tmp_path)
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=Fusion.CENTROID)
    gallery = Gallery(store, row, registry.resolve("indexes", "faiss"))
    one = unit(np.eye(D)[0])
    gallery.add_subject("janus", samples([one, -one]))
    assert gallery.search(one, 1).candidates[0].score == 0.0
    store.close()
