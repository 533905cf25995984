"""Normalised scores follow the formula, are searched exactly, must not do harm, and can be erased."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid import registry
from gaitid.errors import InputError, NormalisationRefused, NotCalibrated
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.index.ranking import SHORTLIST_TOLERANCE
from gaitid.gallery.scoring.cohort import Walks
from gaitid.gallery.scoring.normalisation import FEWEST, Normaliser, gain
from gaitid.gallery.scoring.profiles import NOWHERE
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import EnrolmentSample
from gaitid.local import LocalMatcher
from gaitid.records import CalibrationSource, Embedding, Fusion, OperatingPoint, Origin, Outcome
from tests.gallery.test_gallery import compressing, settle
from tests.gallery.test_keys import NEW, OLD, everything, ring
from tests.gallery.test_renewal import check_same

D = 32
_SHARED = np.eye(D)[0]


def people(count: int, walks: int, seed: int, shared: float = 1.0) -> np.ndarray:
    """(count * walks, D) float32: by chance some walks resemble everybody's more than others."""
    random = np.random.default_rng(seed)
    selves = np.repeat(random.standard_normal((count, D)), walks, axis=0)
    made = selves + 0.7 * random.standard_normal(selves.shape)
    made += shared * random.gamma(1.0, 4.0, (len(made), 1)) * _SHARED
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def names(count: int, walks: int) -> list[str]:
    return [f"s{n:03}" for n in range(count) for _ in range(walks)]


def walks_of(vectors: np.ndarray) -> Walks:
    """Vectors of walks whose cameras are not known."""
    return Walks(vectors, [NOWHERE] * len(vectors))


COHORT, HOME = people(300, 1, seed=1), people(150, 2, seed=2)
PROBES = people(60, 1, seed=3)


def reference(row: np.ndarray, probe: np.ndarray, cohort: np.ndarray) -> float:
    """The score of one row by the definition."""

    def judge(vector: np.ndarray) -> tuple[float, float]:
        cosines = sorted(float(one.astype(float) @ vector.astype(float)) for one in cohort)
        near = [cosine for cosine in cosines if cosine < 0.9999][-(len(cohort) // 2) :]
        return float(np.mean(near)), float(np.std(near))

    own = [judge(one) for one in cohort]
    mean, deviation = np.mean([m for m, _ in own]), np.mean([d for _, d in own])
    halves = []
    for vector in (row, probe):
        m, d = judge(vector)
        halves.append((float(row.astype(float) @ probe.astype(float)) - m) / max(d, deviation / 2))
    return float(mean + deviation * sum(halves) / 2)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data", ring(a=OLD))
    yield made
    made.close()


def filled(store: Store, fusion: Fusion = Fusion.MAX, index=ExactIndex, home=HOME, walks: int = 2) -> Gallery:
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5), fusion=fusion)
    gallery = Gallery(store, row, index)
    count = len(home) // walks
    gallery.add_subjects({f"s{n:03}": list(home[walks * n : walks * (n + 1)]) for n in range(count)})
    return gallery


def answers(gallery: Gallery, probes: np.ndarray = PROBES[:8]) -> list[list[tuple[str, str, float]]]:
    return [
        [(c.subject, c.template, c.score) for c in gallery.search(probe, 9).candidates] for probe in probes
    ]


def test_a_score_follows_the_formula():
    cohort = np.concatenate([COHORT[:120], PROBES[:1]])  # who is in it herself does not count
    normaliser = Normaliser.of(cohort)
    ready, offsets = normaliser.probes(PROBES[:2])
    products = normaliser.rows(HOME[:2]) @ ready.T
    found = normaliser.scores(products, offsets[None])
    wanted = [[reference(row, probe, cohort) for probe in PROBES[:2]] for row in HOME[:2]]
    assert np.abs(wanted).max() < 0.9
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_products_stay_within_what_an_index_expects():
    normaliser = Normaliser.of(COHORT)
    rows, (ready, _) = normaliser.rows(HOME), normaliser.probes(PROBES)
    reach = np.linalg.norm(rows, axis=1).max() * np.linalg.norm(ready, axis=1).max()
    assert reach < 1
    exact = rows.astype(float) @ ready.T.astype(float)
    assert np.abs(exact - rows @ ready.T).max() < SHORTLIST_TOLERANCE


def test_scores_stay_between_minus_one_and_one_in_the_same_order():
    normaliser = Normaliser.of(COHORT)
    raw = np.linspace(-0.5, 0.5, 4001)
    bent = normaliser.scores(raw, 0.0)
    assert (np.diff(bent) > 0).all()
    assert -1 < bent[0] < -0.99
    inner = np.abs(4 * raw) < 0.9
    np.testing.assert_allclose(bent[inner], 4 * raw[inner])


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("index", registry.names("indexes"))
def test_the_best_by_normalised_score_are_found(store, index, fusion):
    """However low their plain cosines rank."""
    gallery = filled(store, fusion, registry.resolve("indexes", index))
    plain = answers(gallery)
    gallery.normalise(walks_of(COHORT), 0.05)
    normaliser = Normaliser.of(COHORT)
    groups = HOME.reshape(-1, 2, D)
    if fusion is Fusion.MAX:
        rows, each = HOME, 2
    else:
        rows, each = groups.astype(float).mean(axis=1), 1
        if fusion is Fusion.CENTROID:
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows = normaliser.rows(rows.astype(np.float32))
    differ = 0
    for probe, old, new in zip(PROBES[:8], plain, answers(gallery), strict=True):
        (ready,), (offset,) = normaliser.probes(probe[None])
        scores = normaliser.scores((rows @ ready).reshape(-1, each).max(axis=1), offset)
        order = np.argsort(-scores)[:9]
        assert [c[0] for c in new] == [f"s{n:03}" for n in order]
        assert [c[2] for c in new] == pytest.approx(scores[order], abs=1e-5)
        (candidate,) = gallery.compare(new[3][0], probe).candidates
        assert candidate.score == new[3][2]
        differ += [c[0] for c in old] != [c[0] for c in new]
    assert differ > 4


def test_it_survives_a_restart_and_a_renewal_sealed(tmp_path):
    store = Store(tmp_path / "data", ring(a=OLD))
    gallery = filled(store)
    info = gallery.normalise(walks_of(COHORT), 0.05)
    before = answers(gallery)
    check_same(answers(Gallery(store, gallery.row, ExactIndex)), before)
    assert not any(vector.tobytes()[:16] in everything(tmp_path / "data") for vector in COHORT)
    gallery.renew_templates()
    check_same(answers(gallery), before)
    turned = store.galleries.contents(gallery.row).space.normaliser.cohort
    assert np.abs(turned - COHORT).max() > 0.1
    store.close()
    store = Store(tmp_path / "data", ring(a=OLD, b=NEW))
    gallery = Gallery(store, gallery.row, ExactIndex)
    check_same(answers(gallery), before)
    assert gallery.describe().normalisation == info
    keys = {name for (name,) in store._db.execute("SELECT key_name FROM cohorts")}
    assert keys == {"b"}
    store.close()


def test_a_plain_cohort_is_sealed_when_keys_come(tmp_path):
    store = Store(tmp_path)
    gallery = filled(store)
    gallery.normalise(walks_of(COHORT), 0.05)
    before = answers(gallery)
    store.close()
    assert COHORT.tobytes()[:64] in everything(tmp_path)
    store = Store(tmp_path, ring(a=OLD))
    assert COHORT.tobytes()[:64] not in everything(tmp_path)
    check_same(answers(Gallery(store, gallery.row, ExactIndex)), before)
    store.close()


@pytest.mark.parametrize("end", ["stop", "delete"])
def test_a_cohort_leaves_no_byte(tmp_path, end):
    store = Store(tmp_path)
    gallery = filled(store)
    plain = answers(gallery)
    gallery.normalise(walks_of(COHORT), 0.05)
    assert COHORT.tobytes()[400:464] in everything(tmp_path)
    if end == "stop":
        gallery.stop_normalising()
        assert answers(gallery) == plain
        assert gallery.describe().normalisation is None
        gallery.stop_normalising()
    else:
        store.galleries.delete(gallery.row, lambda _: None)
    content = everything(tmp_path)
    assert not any(vector.tobytes()[:16] in content for vector in COHORT)
    store.close()


def test_changes_keep_step_with_a_reload(store):
    gallery = filled(store)
    gallery.normalise(walks_of(COHORT), 0.05)
    fresh = people(5, 3, seed=9)
    gallery.add_subject("one", [EnrolmentSample(v, None, Origin()) for v in fresh[:2]])
    gallery.add_templates("one", [EnrolmentSample(fresh[2], None, Origin())])
    gallery.add_subjects({"two": list(fresh[3:6])})
    gallery.delete_subject("s003")
    check_same(answers(gallery), answers(Gallery(store, gallery.row, ExactIndex)))
    assert gallery.search(fresh[2], 1).candidates[0].subject == "one"


def test_the_check_measures_what_a_search_would_find():
    normaliser = Normaliser.of(COHORT)
    before, after, probes = gain(HOME, names(150, 2), Fusion.MAX, normaliser, 0.05)
    assert probes == 300
    scores = HOME.astype(float) @ HOME.T.astype(float)
    owners = np.repeat(np.arange(150), 2)
    same = owners[:, None] == owners
    own = np.where(same & ~np.eye(300, dtype=bool), scores, -9).max(axis=1)
    others = np.where(same, -9, scores).max(axis=1)
    bar = np.sort(others)[300 - 15]  # 5 % of 300 impostors pass
    assert before == pytest.approx(((own >= bar) & (own > others)).mean(), abs=0.02)
    assert after > before + 0.05


def test_a_cohort_from_elsewhere_is_refused_with_figures(store):
    gallery = filled(store, home=people(150, 2, seed=2, shared=0.0))
    plain, info = answers(gallery), gallery.describe()
    elsewhere = np.roll(people(300, 1, seed=8), 1, axis=1)
    with pytest.raises(NormalisationRefused, match=r"[\d.]+ % of 300 .* at least the [\d.]+ %"):
        gallery.normalise(walks_of(elsewhere), 0.05)
    assert (answers(gallery), gallery.describe()) == (plain, info)


@pytest.mark.parametrize(
    ("cohort", "walks", "fpir", "match"),
    [
        (COHORT[: FEWEST - 1], 2, 0.05, "The cohort has 99 walks"),
        (COHORT, 1, 0.05, "There are 0 templates of subjects with several"),
        (COHORT, 2, 0.001, "at least 2000 for a check at FPIR 0.001"),
    ],
)
def test_too_few_data_for_the_check_are_refused(store, cohort, walks, fpir, match):
    gallery = filled(store, walks=walks)
    with pytest.raises(NotCalibrated, match=match):
        gallery.normalise(walks_of(cohort), fpir)
    assert gallery.describe().normalisation is None


def test_an_empty_gallery_cannot_check_a_cohort(store):
    row = store.galleries.create("g", "gei", "c0ffee", D, OperatingPoint(0.5))
    with pytest.raises(NotCalibrated, match="0 templates"):
        Gallery(store, row, ExactIndex).normalise(walks_of(COHORT), 0.05)


def test_a_cohort_of_one_walk_over_and_over_does_not_break_arithmetic():
    normaliser = Normaliser.of(np.repeat(COHORT[:1], 200, axis=0))
    ready, offsets = normaliser.probes(PROBES)
    assert np.isfinite(normaliser.scores(normaliser.rows(HOME) @ ready.T, offsets[None])).all()


class Ready:
    """Stands in for an encoder; all probes are embeddings."""

    name, modalities, min_frames, dimension, threshold = "ready", ("silhouette",), 5, D, 0.9
    contract = "c0ffee"


def embeddings(vectors: np.ndarray) -> list[Embedding]:
    return [Embedding(vector, Ready.contract) for vector in vectors]


def test_target_rates_hold_for_normalised_scores(tmp_path):
    matcher = LocalMatcher(Ready(), tmp_path)
    matcher.create_gallery("town")
    matcher.enrol_many("town", {f"s{n:03}": embeddings(HOME[2 * n : 2 * n + 2]) for n in range(150)})
    plain = matcher.calibrate("town", embeddings(COHORT))
    cohort = people(900, 1, seed=20)
    done = matcher.normalise("town", embeddings(cohort), fpir=0.05)
    info = matcher.describe("town")
    assert info.normalisation == done
    assert (done.cohort, done.fpir, done.probes) == (900, 0.05, 300)
    assert done.after > done.before
    assert (info.calibration.source, info.calibration.normalised) == (CalibrationSource.IMPOSTORS, True)
    operating_point = matcher.set_operating_point("town", OperatingPoint(fpir=0.05)).operating_point
    impostors = embeddings(people(1_500, 1, seed=21))
    passed = sum(matcher.identify("town", probe).outcome is Outcome.MATCH for probe in impostors)
    assert 0.025 < passed / 1_500 < 0.1
    again = matcher.calibrate("town")
    assert (again.source, again.normalised) == (CalibrationSource.GALLERY, True)
    assert matcher.describe("town").operating_point.threshold != operating_point.threshold
    back = matcher.stop_normalising("town")
    assert (back.normalisation, back.calibration) == (None, plain)
    matcher.close()


def test_a_rate_that_only_the_cohort_gives_keeps_it(tmp_path):
    matcher = LocalMatcher(Ready(), tmp_path)
    matcher.create_gallery("town")
    matcher.enrol_many("town", {f"s{n:03}": embeddings(HOME[2 * n : 2 * n + 2]) for n in range(150)})
    matcher.normalise("town", embeddings(COHORT), fpir=0.5)
    matcher.set_operating_point("town", OperatingPoint(fpir=0.01))
    before = matcher.describe("town")
    with pytest.raises(NotCalibrated, match="plain scores are not calibrated"):
        matcher.stop_normalising("town")
    assert matcher.describe("town") == before
    matcher.set_operating_point("town", OperatingPoint(0.5))
    assert matcher.stop_normalising("town").normalisation is None
    with pytest.raises(NotCalibrated):
        matcher.set_operating_point("town", OperatingPoint(fpir=0.01))
    matcher.close()


def test_an_operating_point_is_checked_against_what_the_store_holds(store):
    """A target rate is refused when another caller erased the cohort after the first check."""
    gallery = filled(store)
    with pytest.raises(NotCalibrated, match=r"[Cc]alibrate"):
        store.galleries.set_operating_point(gallery.row, OperatingPoint(fpir=0.01), lambda _: None)
    assert gallery.describe().operating_point == OperatingPoint(0.5)


def test_a_gallery_that_lost_its_calibration_is_described_and_can_be_repaired(tmp_path):
    matcher = LocalMatcher(Ready(), tmp_path)
    for name in ("town", "village"):
        matcher.create_gallery(name)
    matcher.close()
    store = Store(tmp_path)
    store._db.execute("UPDATE galleries SET target_fpir = 0.01 WHERE name = 'town'")
    store.close()
    matcher = LocalMatcher(Ready(), tmp_path)
    assert [info.operating_point.fpir for info in matcher.list_galleries()] == [0.01, None]
    with pytest.raises(NotCalibrated):
        matcher.identify("town", embeddings(PROBES)[0])
    matcher.set_operating_point("town", OperatingPoint(0.5))
    assert matcher.identify("town", embeddings(PROBES)[0]).outcome is Outcome.EMPTY_GALLERY
    matcher.close()


@pytest.mark.parametrize("fpir", [0.0, 0.6, "much", float("nan")])
def test_a_malformed_rate_is_refused(tmp_path, fpir):
    matcher = LocalMatcher(Ready(), tmp_path)
    matcher.create_gallery("town")
    with pytest.raises(InputError, match="fpir"):
        matcher.normalise("town", embeddings(COHORT), fpir=fpir)
    matcher.close()


def test_a_member_of_the_cohort_scores_as_if_it_were_not():
    members = COHORT[:5]
    alone = np.array(
        [
            Normaliser(np.delete(COHORT, n, axis=0), 0.3, 0.1).against(HOME)(probe[None])[0]
            for n, probe in enumerate(members)
        ]
    )
    normaliser = Normaliser(COHORT, 0.3, 0.1)
    np.testing.assert_allclose(normaliser.against(HOME)(members), alone, atol=1e-5)
    ready, offsets = normaliser.probes(PROBES)
    searched = normaliser.scores(ready @ normaliser.rows(HOME).T, offsets[:, None])
    np.testing.assert_allclose(normaliser.against(HOME)(PROBES), searched, atol=1e-5)
    itself = np.concatenate([HOME[:3], members[:1]])
    assert np.isfinite(normaliser.against(itself)(members)).all()


@pytest.mark.parametrize("renews", [False, True])
def test_a_compressed_gallery_finds_the_best_by_normalised_score(store, renews):
    gallery = filled(store, index=compressing)
    gallery.normalise(walks_of(COHORT), 0.05)
    if renews:
        gallery.renew_templates()
    gallery.describe()  # loads it
    settle(gallery)
    assert not gallery._state.index.is_exact
    exact = Gallery(store, gallery.row, ExactIndex)
    equal = sum(
        new[0][:2] == old[0][:2]
        for new, old in zip(answers(gallery, PROBES), answers(exact, PROBES), strict=True)
    )
    assert equal >= len(PROBES) - 1
