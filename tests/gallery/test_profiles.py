"""Camera profiles: the correction, what is learned, and searches equal to brute force over raw templates."""

from __future__ import annotations

import json
import sqlite3
import threading

import numpy as np
import pytest
from hypothesis import strategies as st

from gaitid.errors import StoreCorrupt, StoreError
from gaitid.gallery.care.doctor import examining
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.store import checksums, failpoints
from gaitid.gallery.store.database import DATABASE
from gaitid.gallery.store.keys import KeyRing
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, Fusion, Origin

D, PARTS = 12, 3
NUMBERS = st.floats(-1, 1, width=32)


class Ready:
    """Stands for an encoder; all samples and probes are ready embeddings."""

    name, modalities, min_frames, dimension, threshold, contract = "ready", ("silhouette",), 1, D, 0.5, "c"
    parts = PARTS


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def shift(camera: str, direction: str = "") -> np.ndarray:
    """What a camera adds to everybody."""
    return np.random.default_rng(len(camera) + 7 * len(direction)).standard_normal(D)


def walk(person: int, camera: str, *, direction: str = "", track: int = 0, noise: int = 0) -> Embedding:
    own = np.random.default_rng(person).standard_normal(D)
    step = np.random.default_rng(1000 * person + noise).standard_normal(D)
    vector = own + 0.2 * step + (2 * shift(camera, direction) if camera else 0)
    return Embedding(unit(vector), Ready.contract, Origin(camera, track), direction)


def open_matcher(folder, index="exact", keys=None, **options):
    return LocalMatcher(Ready(), folder, index=index, keys=keys, **options)


def crowd(matcher, people=range(100, 108), cameras=("gate", "hall"), gallery="g"):
    """Let people pass that nobody knows."""
    for person in people:
        for camera in cameras:
            matcher.identify(gallery, walk(person, camera, track=person))


@pytest.fixture
def matcher(tmp_path):
    made = open_matcher(tmp_path / "data")
    made.create_gallery("g")
    yield made
    made.close()


# -- a gallery that learns -------------------------------------------------------------------------


def templates_of(matcher, gallery="g"):
    """(subject, raw vector, site) of all templates, from their exports and the sites in the database."""
    db = matcher._store._connection.db
    sites = dict(db.execute("SELECT id, json_array(camera, direction) FROM templates"))
    found = []
    for info in matcher.list_subjects(gallery):
        for one in matcher.export_subject(gallery, info.id).templates:
            found.append((info.id, one.embedding.vector, Site(*json.loads(sites[int(one.id)]))))
    return found


def brute_force(matcher, probe, fusion=Fusion.MAX, gallery="g"):
    """Score of each subject by raw templates and the profiles in the database."""
    held = matcher._galleries[gallery]
    used = matcher._store._connection.profiles.used(held.row)
    (query,) = used.correct(probe.vector[None], [Site(probe.origin.camera, probe.direction)])
    rows = {}
    for name, vector, site in templates_of(matcher, gallery):
        rows.setdefault(name, []).append(used.correct(vector[None], [site])[0].astype(np.float64))
    scores = {}
    for name, some in rows.items():
        if fusion is Fusion.MAX:
            scores[name] = max(float(row @ query) for row in some)
        else:
            mean = np.mean(some, axis=0)
            scores[name] = float((mean / (np.linalg.norm(mean) if fusion is Fusion.CENTROID else 1)) @ query)
    return scores


def check_exact(matcher, fusion=Fusion.MAX, gallery="g", abs=1e-6):
    """Searches by all kinds of probes equal brute force."""
    held = matcher._galleries[gallery]
    for number in range(6):
        for camera, direction in (("gate", ""), ("hall", "left"), ("new", ""), ("", "")):
            probe = walk(number, camera, direction=direction, noise=99)
            site = Site(camera, direction)
            found = held.search(probe.vector, 50, None, site)
            right = brute_force(matcher, probe, fusion, gallery)
            assert {one.subject: one.score for one in found.candidates} == pytest.approx(right, abs=abs)


def people(matcher, count=6, gallery="g"):
    for number in range(count):
        samples = [walk(number, "gate", noise=1), walk(number, "hall", direction="left"), walk(number, "")]
        matcher.enrol(gallery, f"p{number}", samples)


@pytest.mark.parametrize("fusion", Fusion)
@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_search_equals_brute_force_over_raw_templates_and_profiles(tmp_path, index, fusion):
    ring = KeyRing(lambda: {"k": bytes(32)})
    matcher = open_matcher(tmp_path / "data", index, ring)
    matcher.create_gallery("g", fusion=fusion)
    people(matcher, 6)
    crowd(matcher)
    versions = {one.camera: one.version for one in matcher.cameras("g")}
    assert set(versions) == {"gate", "hall"}
    assert min(versions.values()) > 1
    check_exact(matcher, fusion)
    matcher.renew_templates("g")
    check_exact(matcher, fusion, abs=1e-5)  # a renewal rounds
    matcher.add_samples("g", "p1", [walk(1, "new", noise=5)])
    crowd(matcher, range(200, 206), ("new", "gate"))
    check_exact(matcher, fusion, abs=1e-5)
    matcher.close()
    matcher = open_matcher(tmp_path / "data", index, ring)
    check_exact(matcher, fusion, abs=1e-5)
    matcher.close()


def test_strangers_are_no_longer_alike(matcher):
    for number in range(10):
        matcher.enrol("g", f"p{number}", [walk(number, "gate")])
    crowd(matcher, range(100, 120))

    def named():
        """Enrolled people and strangers who are named, of ten each."""
        own = [matcher.identify("g", walk(number, "hall", noise=3)) for number in range(10)]
        others = [
            matcher.identify("g", walk(number, "gate", noise=3, track=number)) for number in range(50, 60)
        ]
        right = sum(one.subject == f"p{number}" for number, one in enumerate(own))
        return right, sum(one.subject is not None for one in others)

    right, wrong = named()
    matcher.set_profiles("g", False)
    plain_right, plain_wrong = named()
    assert (right, plain_right) >= (9, 0)
    assert plain_wrong >= 8
    assert wrong <= plain_wrong - 3


def test_decisions_say_which_profile_was_used(matcher):
    people(matcher)
    crowd(matcher)
    versions = {one.camera: one.version for one in matcher.cameras("g")}
    assert matcher.identify("g", walk(1, "gate", noise=2)).profile_version == versions["gate"]
    assert matcher.verify("g", "p1", walk(1, "hall", noise=2)).profile_version == versions["hall"]
    assert matcher.identify("g", walk(1, "new")).profile_version == 0
    assert matcher.identify("g", walk(1, "")).profile_version == 0


def test_what_was_learned_survives_a_restart(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)
    crowd(matcher)
    before, probe = matcher.cameras("g"), walk(3, "hall", noise=8)
    right = brute_force(matcher, probe)
    matcher.close()
    matcher = open_matcher(tmp_path / "data")
    assert matcher.cameras("g") == before
    found = matcher.identify("g", probe, max_candidates=9)
    assert {one.subject: one.score for one in found.candidates} == pytest.approx(right, abs=1e-6)
    matcher.close()


def test_an_erased_subject_leaves_the_profiles(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)
    before = matcher._galleries["g"]._learner._cameras.mean(Site("gate"))
    receipt = matcher.erase_subject("g", "p2")
    assert receipt.templates == 3
    held = matcher._galleries["g"]
    (known,) = (one for site, one in held._learner._cameras.known.items() if site == Site("gate"))
    others = [walk(number, "gate", noise=1).vector for number in range(6) if number != 2]
    assert known.mean == pytest.approx(np.mean(others, axis=0), abs=1e-6)
    used = matcher._store._connection.profiles.used(held.row)
    assert used.cameras["gate"][""].mean == pytest.approx(held._learner._cameras.mean(Site("gate")))
    assert not np.allclose(used.cameras["gate"][""].mean, before, atol=1e-3)
    assert not matcher._store.cameras.load(held.row)[1]  # nothing is stale
    check_exact(matcher)
    matcher.close()
    held = open_matcher(tmp_path / "data")
    assert [one.people for one in held.cameras("g")] == [5, 5]
    held.close()


def test_a_crash_between_an_erasure_and_the_new_means_is_made_good_at_the_next_start(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)
    matcher.expire()  # stores what was learned
    learner = matcher._galleries["g"]._learner
    learner.renew = lambda: None  # killed here
    matcher.delete_subject("g", "p2")
    assert matcher._store.cameras.load(matcher._galleries["g"].row)[1]  # stale
    matcher._store.close()
    matcher = open_matcher(tmp_path / "data")
    held = matcher._galleries["g"]
    assert not matcher._store.cameras.load(held.row)[1]
    used = matcher._store._connection.profiles.used(held.row)
    others = np.mean([walk(n, "gate", noise=1).vector for n in range(6) if n != 2], axis=0)
    hall = np.mean([walk(n, "hall", direction="left").vector for n in range(6) if n != 2], axis=0)
    general = (others + hall) / 3
    assert used.cameras["gate"][""].mean == pytest.approx((5 * others + general) / 6, abs=1e-5)
    check_exact(matcher)
    matcher.close()


@pytest.mark.parametrize("point", ["profiles published", "before commit"])
def test_a_profile_that_cannot_be_stored_is_not_used_and_the_search_is_answered(tmp_path, point, caplog):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)
    crowd(matcher, range(100, 102))
    before = [one.version for one in matcher.cameras("g")]

    def fail(name):
        if name == point:
            raise StoreError("The disk is full", "free space", "Free some")

    failpoints.armed = fail
    try:
        for number in range(300, 312):
            assert matcher.identify("g", walk(number, "yard", track=number)).candidates
    finally:
        failpoints.armed = None
    assert "could not be stored" in caplog.text
    assert [one.version for one in matcher.cameras("g")] == [*before, 0]
    check_exact(matcher)
    matcher.identify("g", walk(400, "yard", track=400))
    assert [one.version for one in matcher.cameras("g")] == [*before, 1]
    check_exact(matcher)
    matcher.close()


def test_a_kill_after_the_commit_leaves_rows_and_profiles_equal(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)

    class Killed(BaseException):
        pass

    def kill(name):
        if name == "before index apply":
            raise Killed

    failpoints.armed = kill
    try:
        with pytest.raises(Killed):
            crowd(matcher, range(100, 140))
    finally:
        failpoints.armed = None
    matcher._store.close()  # as a kill releases it
    matcher = open_matcher(tmp_path / "data")
    check_exact(matcher)
    matcher.close()


def test_refused_walks_teach_nothing(tmp_path):
    from gaitid.encoders.gei import GEI
    from gaitid.records import GaitSequence, Quality, Reason

    def assess(sequence):
        return Quality(10.0, len(sequence), reasons=(Reason.CUT_OFF,))

    matcher = LocalMatcher(GEI(), tmp_path / "data", index="exact", assess=assess)
    matcher.create_gallery("g")
    masks = (np.random.default_rng(0).random((20, 64, 44)) < 0.5).astype(np.uint8)
    for track in range(1, 9):
        sequence = GaitSequence({"silhouette": masks}, np.arange(20) / 25, origin=Origin("gate", track))
        matcher.identify("g", sequence)
    assert matcher.cameras("g") == []
    matcher.close()


def test_a_gallery_without_profiles_learns_nothing_and_one_switched_on_learns_from_its_templates(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g", profiles=False)
    people(matcher)
    crowd(matcher)
    assert (matcher.cameras("g"), matcher.describe("g").profiles) == ([], False)
    assert matcher.set_profiles("g", True).profiles
    assert [(one.camera, one.people) for one in matcher.cameras("g")] == [("gate", 6), ("hall", 6)]
    check_exact(matcher)
    matcher.close()


def test_a_forgotten_camera_is_corrected_by_what_the_others_have_in_common(matcher):
    people(matcher)
    crowd(matcher)
    assert matcher.forget_camera("g", "gate") == 1
    assert [one.camera for one in matcher.cameras("g")] == ["hall"]
    assert matcher.identify("g", walk(1, "gate")).profile_version == 0
    check_exact(matcher)
    assert matcher.forget_camera("g", "gate") == 1  # one walk since
    assert matcher.forget_camera("g", "hall") == 1
    assert (matcher.cameras("g"), matcher.forget_camera("g", "hall")) == ([], 0)
    assert not matcher._store._connection.profiles.used(matcher._galleries["g"].row)
    check_exact(matcher)


def test_profiles_are_sealed_rotated_and_examined(tmp_path):
    keys = {"first": bytes(32)}
    ring = KeyRing(lambda: keys)
    matcher = open_matcher(tmp_path / "data", keys=ring, backups=tmp_path / "backups")
    matcher.create_gallery("g")
    people(matcher)
    crowd(matcher)
    before = matcher.cameras("g")
    mean = matcher._store._connection.profiles.used(matcher._galleries["g"].row).cameras["gate"][""].mean
    keys["second"] = bytes([2]) * 32
    matcher.rotate_keys()
    matcher.back_up()
    matcher.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert mean.tobytes()[:16] not in content
    del keys["first"]
    with examining(tmp_path / "data", KeyRing(lambda: keys)) as checks:
        said = {name: check() for name, check in checks}
    assert said["camera profiles"].startswith("3;")  # with the general one
    matcher = open_matcher(tmp_path / "data", keys=KeyRing(lambda: keys))
    assert matcher.cameras("g") == before
    check_exact(matcher)
    matcher.close()


def test_a_plain_directory_is_sealed_with_its_profiles(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)
    crowd(matcher)
    before = matcher.cameras("g")
    mean = matcher._store._connection.profiles.used(matcher._galleries["g"].row).cameras["gate"][""].mean
    share = walk(1, "gate", noise=1).vector
    matcher.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert mean.tobytes()[:16] in content
    assert share.tobytes()[:16] in content
    matcher = open_matcher(tmp_path / "data", keys=KeyRing(lambda: {"k": bytes(32)}))
    assert matcher.cameras("g") == before
    check_exact(matcher)
    matcher.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert mean.tobytes()[:16] not in content
    assert share.tobytes()[:16] not in content


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE shares SET vector = x'00' WHERE id = (SELECT min(id) FROM shares)",
        "UPDATE profiles SET vectors = x'00' WHERE camera = 'gate'",
        "UPDATE profiles SET direction = 'up' WHERE camera = 'gate'",
        "UPDATE profiles SET weight = -1 WHERE camera = 'gate'",
    ],
)
def test_the_doctor_finds_a_damaged_profile(tmp_path, harm):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    people(matcher)
    matcher.close()
    db = sqlite3.connect(tmp_path / "data" / DATABASE, isolation_level=None)
    checksums.install(db)
    assert db.execute(harm).rowcount == 1
    db.close()
    with examining(tmp_path / "data") as checks:
        found = dict(checks)
        assert found["templates"]()
        with pytest.raises(StoreCorrupt):
            found["camera profiles"]()


def test_a_single_stranger_is_never_stored(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    stranger = walk(500, "gate", track=1)
    matcher.identify("g", stranger)
    matcher.identify("g", walk(501, "gate", track=2))
    matcher.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert stranger.vector.tobytes()[:16] not in content


def test_profiles_go_with_their_gallery(matcher):
    people(matcher)
    crowd(matcher)
    matcher.delete_gallery("g")
    db = matcher._store._connection.db
    assert db.execute("SELECT count(*) FROM profiles").fetchone() == (0,)
    assert db.execute("SELECT count(*) FROM shares").fetchone() == (0,)


def test_searches_and_enrolments_go_on_while_profiles_change(tmp_path):
    matcher = open_matcher(tmp_path / "data", "faiss")
    matcher.create_gallery("g")
    people(matcher)
    errors, found = [], []

    def work(number):
        try:
            for n in range(25):
                person = 1000 + 100 * number + n
                matcher.identify("g", walk(person, "gate", track=person))
                if n % 5 == 0:
                    matcher.enrol("g", f"t{number}x{n}", [walk(person, "hall")])
                if n % 7 == 0:
                    matcher.delete_subject("g", f"t{number}x{n - n % 5}")
                decision = matcher.identify("g", walk(n % 6, "gate", noise=50 + n))
                found.append(decision.candidates[0].score)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    unexpected = [error for error in errors if "has no subject" not in str(error)]
    assert (unexpected, bool(found)) == ([], True)
    check_exact(matcher)
    matcher.close()


def test_closing_twice_and_learning_after_it(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    crowd(matcher)
    matcher.close()
    matcher.close()
    with pytest.raises(StoreError):
        matcher.identify("g", walk(1, "gate"))


def test_a_calibration_of_plain_scores_gives_no_rates_once_profiles_are_in_use(tmp_path):
    matcher = open_matcher(tmp_path / "data")
    matcher.create_gallery("g")
    matcher.enrol_many("g", {f"q{n}": [walk(2000 + n, "")] for n in range(60)})
    assert not matcher.calibrate("g").corrected
    assert matcher.identify("g", walk(1, "")).candidates[0].fpir_at_score is not None
    crowd(matcher)
    assert matcher.identify("g", walk(1, "")).candidates[0].fpir_at_score is None
    assert matcher.calibrate("g", [walk(3000 + n, "gate") for n in range(40)]).corrected
    assert matcher.identify("g", walk(1, "gate")).candidates[0].fpir_at_score is not None
    matcher.set_profiles("g", False)
    assert matcher.identify("g", walk(1, "gate")).candidates[0].fpir_at_score is None
    matcher.close()
