import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from gaitid import connect, load_encoder
from gaitid.cli import GROUPS, MOVED, VERBS
from gaitid.records import Embedding, Fusion, GaitSequence, npz
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running


def test_extract_writes_sequences_and_their_table(extracted):
    with (extracted[0].parent / "tracks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [path.name for path in extracted]
    assert [float(row["cadence"]) for row in rows] == pytest.approx([120, 108], abs=6)
    assert all(row["reasons"] == "" for row in rows)
    walk = npz.load(extracted[0])
    assert walk.silhouettes.shape[1:] == (64, 44)
    assert walk.origin.camera == "gate"


def test_analyse_prints_and_draws(gaitid, extracted, tmp_path):
    status, out, _ = gaitid("analyse", extracted[0].parent, "--out", tmp_path / "pictures")
    assert status == 0
    assert len(out.splitlines()) == 3
    pictures = sorted((tmp_path / "pictures").glob("*.png"))
    assert [path.stem for path in pictures] == [path.stem for path in extracted]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_enrol_identify_verify_list_delete(gaitid, halves, target):
    status, _, err = gaitid("enrol", "slim", halves["a1"], *target)
    assert (status, "Add --create-gallery" in err) == (1, True)
    status, out, _ = gaitid("enrol", "slim", halves["a1"], *target, "--create-gallery")
    assert (status, out) == (0, "slim: 1 template(s) enrolled in main\n")
    assert gaitid("enrol", "stout", halves["b1"], *target)[0] == 0
    assert gaitid("enrol", "stout", halves["b1"], *target)[0] == 0  # adds a sample

    status, out, _ = gaitid("identify", halves["a2"], *target, "--threshold", 0.5)
    assert status == 0
    assert out.startswith("match: slim")
    assert [line.split()[1] for line in out.splitlines()[1:-1]] == ["slim", "stout"]
    out = gaitid("identify", halves["a2"], *target, "--max-candidates", 1)[1]
    assert [line.split()[1] for line in out.splitlines()[1:-1]] == ["slim"]
    assert gaitid("identify", halves["b2"], *target, "--threshold", 1.0)[0] == 3
    assert gaitid("verify", "stout", halves["b2"], *target, "--threshold", 0.5)[0] == 0
    assert gaitid("verify", "slim", halves["b2"], *target, "--threshold", 0.99)[0] == 3

    status, out, _ = gaitid("list", *target)
    assert status == 0
    assert "slim               1 template(s)" in out
    assert "stout              2 template(s)" in out
    status, _, err = gaitid("verify", "nobody", halves["b2"], *target)
    assert (status, "nobody" in err) == (1, True)
    assert gaitid("delete", "slim", *target)[0] == 0
    status, out, _ = gaitid("identify", halves["a2"], *target, "--threshold", 0.5)
    assert "slim" not in out
    assert gaitid("delete", *target)[0] == 2
    assert gaitid("delete", "stout", "--all", *target)[0] == 2
    assert gaitid("delete", "--all", *target)[0] == 0
    assert "main" not in gaitid("list", *target)[1]


def test_a_gallery_learns_what_its_scores_mean(gaitid, extracted, tmp_path):
    target = ["--data", tmp_path / "data", "--encoder", "gei"]  # whose threshold has no card behind it
    matcher = connect(f"local:{tmp_path / 'data'}", encoder="gei")
    matcher.create_gallery("main", fusion=Fusion.MEAN)
    random = np.random.default_rng(0)
    for n in range(50):
        vector = random.standard_normal(matcher.info().dimension)
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        matcher.enrol("main", f"s{n}", [Embedding(vector, matcher.info().contract)])
    matcher.close()
    status, _, err = gaitid("gallery", "operating-point", "--fpir", 0.01, *target)
    assert (status, "Calibrate the gallery" in err) == (1, True)
    assert " nothing measured\n" in gaitid("list", *target)[1]
    status, _, err = gaitid("gallery", "normalise", extracted[0], *target)
    assert (status, "The cohort has 1 walks" in err) == (1, True)
    status, out, _ = gaitid("gallery", "normalise", "--off", *target)
    assert (status, "scores are plain" in out) == (0, True)
    status, out, _ = gaitid("gallery", "calibrate", *target)
    assert status == 0
    assert " 1,225 comparisons of 50 own subjects\n" in gaitid("list", *target)[1]
    assert out.startswith("main: 1,225 comparisons of 50 own subjects; misfit of the tail ")
    assert "To improve it: Walks of people who are not enrolled" in out
    status, out, _ = gaitid("gallery", "operating-point", "--fpir", 0.01, "--margin", 0.02, *target)
    assert (status, "resting on 1,225 comparisons of 50 own subjects" in out) == (0, True)
    status, out, _ = gaitid("identify", extracted[0], *target)
    rates = [line for line in out.splitlines() if "impostors reach it" in line]
    assert len(rates) == out.count("impostors")
    assert all("(1,225 comparisons of 50 own subjects)" in line for line in rates)
    status, out, _ = gaitid("identify", extracted[0], *target, "--json")
    assert json.loads(out)["basis"] == "1,225 comparisons of 50 own subjects"
    assert gaitid("identify", extracted[0], *target, "--fmr", 0.5)[0] == 0
    status, _, err = gaitid("identify", extracted[0], *target, "--margin", 0.1)
    assert (status, "--margin" in err) == (2, True)
    assert gaitid("enrol", "slim", extracted[0], *target)[0] == 0
    status, out, _ = gaitid("enrol", "alias", extracted[0], *target)
    assert (status, "like slim (score 1.000)" in out) == (0, True)
    status, _, err = gaitid("enrol", "bis", extracted[0], *target, "--check", "refuse")
    assert (status, "is similar to subject" in err) == (1, True)
    assert gaitid("enrol", "new", extracted[1], *target, "--check", "off")[1].count("\n") == 1


def test_a_sealed_directory_needs_its_key(gaitid, extracted, tmp_path, monkeypatch):
    target = ["--data", tmp_path / "data"]
    keys = ["--key-file", tmp_path / "keys"]
    assert gaitid("keys", "create", tmp_path / "keys", "--name", "one")[0] == 0
    assert gaitid("enrol", "slim", extracted[0], *target, *keys, "--create-gallery")[0] == 0
    status, _, err = gaitid("list", *target)
    assert (status, "key 'one'" in err) == (1, True)
    assert gaitid("doctor", *target)[0] == 1
    status, out, _ = gaitid("keys", "create", tmp_path / "keys", "--name", "two")
    assert (status, "key two added" in out) == (0, True)
    assert gaitid("doctor", *target, *keys)[0] == 0
    status, out, _ = gaitid("keys", "rotate", *target, *keys)
    assert (status, out) == (0, "0 subject(s) re-encrypted with the newest key\n")
    status, out, _ = gaitid("gallery", "renew", *target, *keys)
    assert (status, out) == (0, "main: 1 template(s) under a new projection\n")
    monkeypatch.setenv("GAITID_KEYS", (tmp_path / "keys").read_text().splitlines()[1])
    assert gaitid("identify", extracted[0], *target)[1].startswith("match: slim")
    status, _, err = gaitid("keys", "rotate", "--data", tmp_path / "data", "--key-file", tmp_path / "none")
    assert (status, "cannot be read" in err) == (2, True)


def test_a_backup_of_a_directory_and_of_a_server_is_restored(gaitid, extracted, tmp_path):
    gaitid("enrol", "slim", extracted[0], "--data", tmp_path / "data", "--create-gallery")
    assert gaitid("backup", "create", "--data", tmp_path / "data")[0] == 2
    status, out, _ = gaitid("backup", "create", "--data", tmp_path / "data", "--out", tmp_path / "one")
    assert (status, "1 subjects, 1 templates" in out) == (0, True)
    chosen = ServerSettings("127.0.0.1:0", tmp_path / "data", backup_dir=tmp_path / "two")
    with running(chosen) as address:
        assert gaitid("backup", "create", "--server", address, "--out", tmp_path / "three")[0] == 2
        assert gaitid("backup", "create", "--server", address)[0] == 0
        assert gaitid("doctor", "--data", tmp_path / "data")[0] == 1  # it is in use
    for folder in ("one", "two"):
        (backup,) = (tmp_path / folder).iterdir()
        assert gaitid("backup", "restore", backup, "--check")[1].startswith("intact: gaitid-")
        status, out, _ = gaitid("backup", "restore", backup, "--data", tmp_path / f"again-{folder}")
        assert (status, "mark file" in out) == (0, True)
        assert gaitid("identify", extracted[0], "--data", tmp_path / f"again-{folder}")[0] == 0
        assert gaitid("backup", "restore", backup, "--data", tmp_path / f"again-{folder}")[0] == 1
    (backup / "gaitid.db").write_bytes(b"garbage")
    assert gaitid("backup", "restore", backup, "--check")[0] == 1


def test_all_subjects_of_a_file_are_imported_or_none(gaitid, tmp_path):
    encoder = load_encoder("gei")
    vectors = np.random.default_rng(0).standard_normal((6, encoder.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    arrays = {"subjects": np.array(list("aabbcc")), "vectors": vectors, "contract": encoder.contract}
    target = ["--data", tmp_path / "data", "--encoder", "gei"]
    np.savez(tmp_path / "all.npz", **arrays)
    assert gaitid("gallery", "import", tmp_path / "all.npz", *target)[0] == 1
    status, out, _ = gaitid("gallery", "import", tmp_path / "all.npz", *target, "--create-gallery")
    assert (status, out) == (0, "3 subjects, 6 templates imported into main; revision 1\n")
    status, _, err = gaitid("gallery", "import", tmp_path / "all.npz", *target)
    assert (status, "already has subject 'a'" in err) == (1, True)
    np.savez(tmp_path / "bad.npz", **arrays | {"contract": "another"})
    assert gaitid("gallery", "import", tmp_path / "bad.npz", *target)[0] == 1
    np.savez(tmp_path / "bad.npz", **arrays | {"subjects": np.array(list("ab"))})
    assert gaitid("gallery", "import", tmp_path / "bad.npz", *target)[0] == 2
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    assert gaitid("gallery", "import", tmp_path / "bad.npz", *target)[0] == 2
    assert "      3         6" in gaitid("list", *target)[1]


def test_a_subject_is_exported_and_erased_with_a_receipt(gaitid, extracted, tmp_path):
    target = ["--data", tmp_path / "data"]
    gaitid("enrol", "slim", *extracted, *target, "--create-gallery")
    assert gaitid("subject", "export", "slim", *target, "--out", tmp_path / "slim")[0] == 0
    described = json.loads((tmp_path / "slim" / "subject.json").read_text())
    with np.load(tmp_path / "slim" / "templates.npz") as file:
        assert file["vectors"].shape == (2, load_encoder("strider").dimension)
    assert [template["camera"] for template in described["templates"]] == ["gate", "gate"]
    assert described["templates"][0]["quality"]["frames"] > 10
    for path in (tmp_path / "slim", tmp_path / "none" / "receipt"):
        assert gaitid("subject", "erase", "slim", *target, "--out", path)[0] == 2
    receipt = tmp_path / "receipt.json"
    held = ["--legal-basis", "court order", "--expires", "2999-01-01", "--hold"]
    assert gaitid("subject", "terms", "slim", *target, *held)[:2] == (0, "slim: terms recorded; revision 2\n")
    status, _, err = gaitid("subject", "erase", "slim", *target, "--out", receipt)
    assert (status, "legal hold" in err, receipt.exists()) == (1, True, False)
    assert gaitid("subject", "terms", "slim", *target, "--expires", "tomorrow")[0] == 2
    assert gaitid("subject", "terms", "slim", *target, "--processing-purpose", "tests")[0] == 0
    status, out, _ = gaitid("subject", "erase", "slim", *target, "--out", receipt)
    assert (status, out.startswith("slim erased from main: 2 template(s); no trace in")) == (0, True)
    status, out, _ = gaitid("subject", "receipt", receipt)
    assert (status, out.startswith("genuine, if")) == (0, True)
    assert gaitid("subject", "receipt", receipt, "--public-key", out.split()[-1])[:2] == (0, "genuine\n")
    assert gaitid("subject", "receipt", receipt, "--public-key", "00")[0] == 2
    receipt.write_text(receipt.read_text().replace('"templates": 2', '"templates": 3'))
    assert gaitid("subject", "receipt", receipt)[0] == 2
    receipt.write_text("{}")
    assert gaitid("subject", "receipt", receipt)[0] == 2


def test_what_was_done_is_listed_verified_and_exported(gaitid, halves, target, tmp_path):
    gaitid("enrol", "slim", halves["a1"], *target, "--create-gallery", "--purpose", "tests")
    status, out, _ = gaitid("identify", halves["b1"], *target, "--threshold", 1, "--review-band", 2)
    assert status == 3
    audit_id = out.partition("needs a human: gaitid audit review ")[2].split()[0]
    status, out, _ = gaitid("audit", "review", audit_id, "rejected", *target)
    assert (status, out) == (0, f"{audit_id} rejected; entry 4 of the audit trail\n")
    assert gaitid("audit", "review", "0" * 16, "rejected", *target)[0] == 1
    status, out, _ = gaitid("audit", "list", *target)
    lines = out.splitlines()
    assert [line.split()[3] for line in lines] == ["create_gallery", "enrol", "identify", "review"]
    assert lines[1].endswith(" for tests")
    assert "slim" not in out
    status, out, _ = gaitid("audit", "list", *target, "--gallery", "main", "--subject", "slim", "--after", 3)
    assert [line.split()[3] for line in out.splitlines()] == ["review"]

    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    assert gaitid("audit", "export", *target, "--out", old)[:2] == (0, f"4 entries in {old}\n")
    assert gaitid("audit", "export", *target, "--out", old)[0] == 2  # nothing is overwritten
    gaitid("identify", halves["a2"], *target)
    status, out, _ = gaitid("audit", "verify", *target, "--anchor", old, "--out", tmp_path / "head.json")
    assert (status, " entries, unbroken; signed by " in out) == (0, True)
    key = out.split()[-1]
    gaitid("audit", "export", *target, "--out", new)
    for anchor in (old, new, tmp_path / "head.json"):
        verify = ("audit", "verify", new, "--anchor", anchor, "--public-key", key)
        assert gaitid(*verify)[:2] == (0, out)
    status, _, err = gaitid("audit", "verify", old, "--anchor", new)
    last = 5 if target[0] == "--data" else 6  # a server has learned the camera
    assert f"Entry {last} of the trail is not the one in" in err
    assert status == 1


def test_a_changed_export_is_detected(gaitid, extracted, tmp_path):
    target = ["--data", tmp_path / "data"]
    gaitid("enrol", "slim", extracted[0], *target, "--create-gallery")
    gaitid("enrol", "stout", extracted[1], *target)
    file = tmp_path / "audit.jsonl"
    gaitid("audit", "export", *target, "--out", file)
    lines = file.read_text().splitlines()
    assert len(lines) == 4
    for name, harmed, expected in (
        ("an entry", [lines[0].replace("main", "mine"), *lines[1:]], 1),
        ("one taken out", [lines[0], *lines[2:]], 1),
        ("cut off at the end", [*lines[:2], lines[3]], 1),
        ("the head", [*lines[:3], lines[3].replace('"number": 3', '"number": 2')], 1),
        ("the signature", [*lines[:3], lines[3].replace('"signed_at": 1', '"signed_at": 2')], 2),
        ("no head", lines[:3], 2),
        ("nothing", [], 2),
        ("no JSON", ["hello"], 2),
        ("another list", ["[1]"], 2),
    ):
        file.write_text("\n".join(harmed))
        assert gaitid("audit", "verify", file)[0] == expected, name
    file.write_text("\n".join(lines))
    assert gaitid("audit", "verify", file)[0] == 0
    assert gaitid("audit", "verify", file, "--public-key", "00")[0] == 2
    assert gaitid("audit", "verify")[0] == 2
    assert gaitid("audit", "verify", file, *target)[0] == 2
    assert gaitid("audit", "verify", tmp_path / "none")[0] == 2
    assert gaitid("audit", "verify", file, "--out", tmp_path / "none" / "head")[0] == 2


def test_a_poor_sample_is_refused_with_reasons(gaitid, extracted, tmp_path):
    npz.save(tmp_path / "short.npz", npz.load(extracted[0]).part(slice(0, 9)))
    data = ["--data", tmp_path / "data"]
    status, out, err = gaitid("enrol", "x", tmp_path / "short.npz", *data, "--create-gallery")
    assert (status, "too_short" in err) == (1, True)
    status, out, _ = gaitid("enrol", "x", tmp_path / "short.npz", extracted[0], *data)
    assert status == 0
    assert "refused" in out
    status, out, _ = gaitid("identify", tmp_path / "short.npz", *data)
    assert (status, out.startswith("insufficient quality: too_short")) == (3, True)


def test_edge_prints_one_decision_per_walk(gaitid, video, extracted, tmp_path):
    with running(ServerSettings(address="127.0.0.1:0", data=tmp_path / "data")) as address:
        flags = ["--source", video, "--server", address, "--camera", "gate"]
        status, _, err = gaitid("edge", *flags)
        assert (status, "gallery 'main'" in err) == (1, True)
        gaitid("enrol", "slim", extracted[0], "--server", address, "--create-gallery")
        gaitid("enrol", "stout", extracted[1], "--server", address)
        status, out, _ = gaitid("edge", *flags, "--json")
        found = [json.loads(line) for line in out.splitlines()]
        assert status == 0
        assert [item["subject"] for item in found if item["outcome"] == "match"] == ["slim", "stout"]


def test_edge_settings_come_from_a_file(gaitid, tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text('source = "none.avi"\nserver = "127.0.0.1:9"\n[quality]\nmin_frames = 500\n')
    status, _, err = gaitid("edge", "--config", config)
    assert (status, "127.0.0.1:9" in err) == (1, True)
    with running(ServerSettings(address="127.0.0.1:0", data=tmp_path / "data")) as address:
        RemoteMatcher(address).create_gallery("main")
        status, _, err = gaitid("edge", "--config", config, "--server", address)
    assert (status, "none.avi" in err) == (2, True)


def test_demo_leaves_a_report(gaitid, video, tmp_path):
    status, out, _ = gaitid("demo", "--video", video, "--out", tmp_path / "out")
    assert status == 0
    assert "rank-1 2/2" in out
    assert "not an accuracy claim" in out
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["annotated.webm", "report.html", "results.json", "silhouettes.png"]
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["summary"]["walks"] == results["summary"]["rank1"] == 2
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "sanity check" in page
    assert (tmp_path / "out" / "annotated.webm").stat().st_size > 10_000


def test_doctor(gaitid, extracted, tmp_path):
    gaitid("enrol", "slim", extracted[0], "--data", tmp_path / "data", "--create-gallery")
    status, out, _ = gaitid("doctor", "--data", tmp_path / "data")
    assert status == 0
    assert "galleries: 1, 1 of them calibrated" in out
    assert "templates: 1, 0 of them sealed" in out
    (tmp_path / "data" / "gaitid.identity.1.2").write_bytes(b"left by a crash")
    status, out, _ = gaitid("doctor", "--data", tmp_path / "data", "--mark-file", tmp_path / "mark")
    assert status == 1
    assert f"FAILED   {tmp_path / 'data'}: left-over files: A crash left gaitid.identity.1.2" in out
    assert "mark: there is none" in out
    status, out, _ = gaitid("doctor", "--data", tmp_path / "data", "--repair")
    assert status == 0
    assert f"repaired {tmp_path / 'data'}: removed gaitid.identity.1.2" in out
    (tmp_path / "data" / "gaitid.db").write_bytes(b"garbage" * 999)
    status, out, _ = gaitid("doctor", "--data", tmp_path / "data")
    assert status == 1
    assert "FAILED" in out
    assert gaitid("doctor", "--data", tmp_path / "none")[0] == 1


BAD = {
    "no verb": ([], 2, "VERB"),
    "no verb of a group": (["gallery"], 2, "VERB"),
    "unknown verb of a group": (["gallery", "enrol"], 2, "calibrate"),
    "unknown verb": (["frobnicate"], 2, "invalid choice"),
    "missing video": (["extract", "none.avi"], 2, "none.avi"),
    "missing sequence": (["identify", "none.npz", "--data", "d"], 2, "none.npz"),
    "no target": (["identify", "a.npz"], 2, "--server"),
    "two targets": (["list", "--data", "d", "--server", "h:1"], 2, "not allowed"),
    "unknown encoder": (["list", "--data", "d", "--encoder", "gie"], 2, "Write 'gei'"),
    "malformed address": (["list", "--server", "nowhere"], 2, "host:port"),
    "nobody there": (["list", "--server", "127.0.0.1:9"], 1, "127.0.0.1:9"),
    "threshold 2": (["identify", "A", "--data", "d", "--threshold", "2"], 2, "cosine"),
    "edge without source": (["edge"], 2, "--source"),
    "edge with a missing config": (["edge", "--config", "none.toml"], 2, "none.toml"),
    "serve on a name": (["serve", "--address", "nowhere"], 2, "host:port"),
    "serve with a bad config": (["serve", "--config", "bad.toml"], 2, "Write 'address'"),
    "serve an unknown encoder": (
        ["serve", "--address", "127.0.0.1:0", "--encoder", "x"],
        2,
        "expected one of",
    ),
    "demo without a clip": (["demo", "--video", "none.mp4"], 2, "none.mp4"),
}


@pytest.mark.parametrize(("arguments", "status", "message"), BAD.values(), ids=BAD)
def test_wrong_usage_is_one_line(gaitid, extracted, tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text('adress = "127.0.0.1:0"\n')
    arguments = [str(extracted[0]) if word == "A" else word for word in arguments]
    got, _, err = gaitid(*arguments)
    assert got == status
    assert message in err
    assert "Traceback" not in err


# verb and flags, with an existing data directory for DATA and a missing one for NONE
MISSING = {
    "migration": (["gallery", "migrate", "--data", "NONE", "--to", "exact"], "has no gaitid.db"),
    "gallery to list": (["list", "--data", "DATA", "--gallery", "none"], "No gallery 'none' exists"),
    "trail of a gallery": (
        ["audit", "list", "--data", "DATA", "--gallery", "none"],
        "No gallery 'none' exists",
    ),
    "gallery of cameras": (
        ["camera", "list", "--data", "DATA", "--gallery", "none"],
        "No gallery 'none' exists",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_an_error(gaitid, tmp_path, arguments, message):
    connect(f"local:{tmp_path / 'data'}", encoder="gei").close()
    places = {"DATA": tmp_path / "data", "NONE": tmp_path / "nowhere"}
    status, out, err = gaitid(*(places.get(word, word) for word in arguments))
    assert (status, out) == (1, "")
    assert message in err
    assert not (tmp_path / "nowhere").exists()


def test_the_trail_of_a_deleted_gallery_is_listed(gaitid, tmp_path):
    matcher = connect(f"local:{tmp_path / 'data'}", encoder="gei")
    matcher.create_gallery("gone")
    matcher.delete_gallery("gone")
    matcher.close()
    status, out, _ = gaitid("audit", "list", "--data", tmp_path / "data", "--gallery", "gone")
    assert (status, out.count("gone")) == (0, 2)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(gaitid, verb):
    status, out, _ = gaitid(*verb.split(), "--help")
    assert status == 0
    assert VERBS[verb] in " ".join(out.split())


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_lists_its_verbs(gaitid, group):
    status, out, _ = gaitid(group, "--help")
    shown = " ".join(out.split())
    verbs = {verb: summary for verb, summary in VERBS.items() if verb.startswith(f"{group} ")}
    assert status == 0
    assert verbs
    assert all(f"{verb.split()[1]} {summary}" in shown for verb, summary in verbs.items())


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=MOVED)
def test_an_old_name_is_refused_with_the_new_one(gaitid, old, new):
    status, _, err = gaitid(*old.split(), "--data", "d")
    assert (status, f"Run 'gaitid {new}'" in err) == (2, True)
    assert new in VERBS


def test_only_the_verb_in_use_is_imported():
    code = (
        "import sys; from gaitid.cli import main\n"
        "try: main(['gallery', 'calibrate', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('gaitid.cli.')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr.strip() == (
        "['gaitid.cli.footage', 'gaitid.cli.gallery', 'gaitid.cli.gallery.calibrate', 'gaitid.cli.inputs']"
    )


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "gaitid", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.startswith("gaitid 0.")


def test_a_closed_pipe_is_no_crash(tmp_path):
    command = f"{sys.executable} -m gaitid list --data {tmp_path} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=30)  # noqa: S602
    assert "Traceback" not in done.stderr


def test_sequences_of_another_size_are_refused(gaitid, tmp_path):
    square = GaitSequence({"silhouette": np.ones((30, 64, 64), np.uint8)}, np.arange(30) / 25)
    npz.save(tmp_path / "square.npz", square)
    status, _, err = gaitid(
        "enrol", "x", tmp_path / "square.npz", "--data", tmp_path / "d", "--create-gallery"
    )
    assert status in (1, 2)
    assert "Traceback" not in err


@pytest.mark.parametrize("verb", [["extract", "a.avi"], ["analyse", "a.npz"], ["dataset", "synth"], ["demo"]])
def test_a_folder_that_cannot_be_made_is_an_error(gaitid, tmp_path, verb):
    (tmp_path / "file").touch()
    status, _, err = gaitid(*verb, "--out", tmp_path / "file" / "out")
    assert status == 2
    assert err.startswith("gaitid: ")
    assert str(tmp_path / "file" / "out") in err
