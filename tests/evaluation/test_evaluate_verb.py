"""``gaitid evaluate`` from a data set on disk to its files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaitid.cli import main
from gaitid.datasets.base import DatasetEntry
from gaitid.datasets.opening import open_dataset
from gaitid.encoders.base import load_encoder
from gaitid.encoders.gei import GEI
from gaitid.errors import DatasetError, InputError
from gaitid.evaluation.embedding import embed
from gaitid.evaluation.experiment import evaluate
from gaitid.evaluation.profiles import learned
from gaitid.gallery.scoring.profiles import corrected
from gaitid.synthetic.layouts import LayoutWalk, write_layout

_CASIA = [("nm", n) for n in range(1, 7)] + [(kind, n) for kind in ("bg", "cl") for n in (1, 2)]


def draw(subject: int, number: int, view: int, frames: int = 12) -> Any:
    """(T, 120, 100) 0/1: head, a trunk and a stride of the subject's own widths, a little noise."""
    random = np.random.default_rng((subject, number, view))
    masks = np.zeros((frames, 120, 100), np.uint8)
    wide, head = 8 + subject % 7, 12 + subject % 5
    for frame in range(frames):
        swing = int((5 + subject % 4) * np.sin(frame * 0.9 + number))
        masks[frame, 15 : 15 + head, 45:55] = 1
        masks[frame, 25:70, 50 - wide : 50 + wide] = 1
        masks[frame, 70:110, 44 + swing : 50 + swing] = 1
        masks[frame, 70:110, 50 - swing : 56 - swing] = 1
        masks[frame, 60 + int(random.integers(10)), 40:60] ^= 1
    return masks


@pytest.fixture(scope="module")
def casia(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CASIA-B in miniature: six test subjects, ten walks, two views; one file of zero bytes."""
    root = tmp_path_factory.mktemp("casia")
    walks = [
        LayoutWalk(s, kind, n, view, draw(s, n, view))
        for s in range(75, 81)
        for kind, n in _CASIA
        for view in (0, 90)
    ]
    write_layout("casia-b-pkl", root, walks)
    (root / "077" / "nm-05" / "090" / "090.pkl").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def result(casia: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    command = [
        "evaluate",
        "--dataset",
        "casia-b",
        "--root",
        str(casia),
        "--encoder",
        "gei",
        "--out",
        str(out),
    ]
    assert main(command) == 0
    return out


def test_the_document_states_what_was_measured_and_how(result: Path, casia: Path) -> None:
    document = json.loads((result / "result.json").read_text())
    what, how = document["what"], document["how"]
    assert document["protocol"]["name"] == "casia-b/view-matrix"
    assert [group["name"] for group in document["groups"]] == ["NM", "BG", "CL"]
    assert (what["dataset"], what["encoder"], what["contract"]) == ("casia-b", "gei", GEI.contract)
    assert what["embedded"] == 6 * 10 * 2 - 1
    assert what["problems"]["empty_file"] == 1
    assert how["command"].startswith("gaitid evaluate --dataset casia-b")
    assert {"gaitid", "commit", "python", "numpy", "machine", "processor", "date", "cpu_seconds"} <= set(how)
    rank = document["groups"][0]["identification"]["rank"]["1"]
    assert rank > 3 / 6  # chance is one in six


def test_the_page_shows_the_data_sets_problems_and_the_confusions(result: Path) -> None:
    page = (result / "report.html").read_text()
    assert "empty_file 1" in page
    document = json.loads((result / "result.json").read_text())
    found = any(group["confusions"] for group in document["groups"])
    assert ("Hardest confusions" in page) == found


def test_the_published_convention_and_another_protocol(casia: Path, tmp_path: Path, capsys: Any) -> None:
    command = ["evaluate", "--dataset", "casia-b", "--root", str(casia), "--encoder", "gei"]
    command += ["--protocol", "cross-view", "--convention", "opengait", "--metric", "euc", "--seed", "1"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["protocol"]["name"] == "casia-b/cross-view"
    plan = document["plan"]
    assert (plan["convention"], plan["metric"], plan["seed"]) == ("opengait", "euc", 1)
    said = capsys.readouterr().out
    assert "convention opengait, metric euc" in said
    assert "mAP" in said


def test_an_imported_network_is_measured_as_published(casia: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")
    from gaitid.encoders import foreign, networks

    small = {"channels": [4, 6, 8], "part_dimension": 5}
    network = foreign.Imported(networks.build("gaitset", small).eval(), small, ())
    theirs = tmp_path / "theirs.safetensors"
    foreign.save_imported(theirs, "theirs", "gaitset", network, "c.pt")
    command = ["evaluate", "--dataset", "casia-b", "--root", str(casia), "--encoder", str(theirs)]
    command += ["--convention", "opengait", "--metric", "euc", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["what"]["encoder"] == "theirs"
    assert document["parts"] == 62


def test_two_results_are_compared(result: Path, tmp_path: Path, capsys: Any) -> None:
    one = str(result / "result.json")
    assert main(["evaluate", "--compare", one, one, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert all("no significant difference" in line for line in said[:-1])
    assert len(json.loads((tmp_path / "comparison.json").read_text())) == len(said) - 1 == 12
    assert "no significant difference" in (tmp_path / "comparison.html").read_text()


WRONG = {
    "nothing given": ([], "Flags --dataset, --root, --encoder, --out are missing"),
    "no such encoder": (
        ["--dataset", "folder", "--root", ".", "--encoder", "stridder", "--out", "x"],
        "strider",
    ),
    "no such weights": (
        ["--dataset", "folder", "--root", ".", "--encoder", "mine.safetensors", "--out", "x"],
        "mine.safetensors",
    ),
    "no such root": (["--dataset", "casia-b", "--root", "/nowhere", "--encoder", "gei", "--out", "x"], ""),
    "no result": (["--compare", "/nowhere/a.json", "/nowhere/b.json"], "cannot be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_status_two(name: str, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    flags, message = WRONG[name]
    assert main(["evaluate", *flags]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_sequences_the_encoder_rejects_are_listed(tmp_path: Path) -> None:
    walks = [
        LayoutWalk(s, "nm", n, 0, draw(s, n, 0, 5 if (s, n) == (75, 2) else 12))
        for s in (75, 76)
        for n in (1, 2)
    ]
    dataset = open_dataset("casia-b", write_layout("casia-b-pkl", tmp_path, walks))
    seen: list[tuple[int, int]] = []
    found = embed(dataset, GEI(), progress=lambda done, total: seen.append((done, total)))
    assert len(found.entries) == len(found.vectors) == len(found.labels) == 3
    ((entry, reason),) = found.left_out
    assert (entry.subject, entry.sequence) == ("075", "nm-02")
    assert "at least 10" in reason
    assert seen[-1] == (4, 4)


def test_a_data_set_that_cannot_be_embedded_is_an_error(tmp_path: Path) -> None:
    walks = [LayoutWalk(s, "nm", 1, 0, draw(s, 1, 0, 5)) for s in (75, 76)]
    dataset = open_dataset("casia-b", write_layout("casia-b-pkl", tmp_path, walks))
    with pytest.raises(DatasetError, match="None of 2 sequences of casia-b could be embedded"):
        embed(dataset, GEI())


def test_hidden_answers_become_a_submission(tmp_path: Path, capsys: Any) -> None:
    # GREW: 21 subjects with two gallery walks; a third walk of each is a probe without a name.
    walks = [LayoutWalk(s, "", n, 0, draw(s, 1, 0)) for s in range(1, 22) for n in (1, 2, 3)]
    root = write_layout("grew-pkl", tmp_path / "grew", walks)
    command = ["evaluate", "--dataset", "grew", "--root", str(root), "--encoder", "gei"]
    assert main([*command, "--protocol", "official", "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "submission.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["videoId", "rank1"]
    assert len(rows) == 22
    assert all(len(row) == len(set(row[1:])) + 1 == 21 for row in rows[1:])
    assert "21 probes" in capsys.readouterr().out


@pytest.fixture(scope="module")
def both_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CASIA-B in miniature with three train subjects, four test subjects and two views."""
    walks = [
        LayoutWalk(s, kind, n, view, draw(s, n, view))
        for s in (1, 2, 3, 75, 76, 77, 78)
        for kind, n in _CASIA
        for view in (0, 90)
        if s > 3 or view == 0 or kind == "nm"
    ]
    return Path(write_layout("casia-b-pkl", tmp_path_factory.mktemp("both"), walks))


def test_camera_profiles_give_a_second_table(both_parts: Path, tmp_path: Path, capsys: Any) -> None:
    command = ["evaluate", "--dataset", "casia-b", "--root", str(both_parts), "--encoder", "gei"]
    assert main([*command, "--camera-profiles", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    heads = [line for line in said.splitlines() if line.startswith("casia-b/view-matrix")]
    assert len(heads) == 2
    assert heads[1] == heads[0] + ", with camera profiles of 2 other subjects"
    plain, profiled = (
        json.loads((tmp_path / name).read_text()) for name in ("result.json", "result-profiles.json")
    )
    assert "camera_profiles" not in plain["what"]
    used = profiled["what"]["camera_profiles"]
    assert set(used["subjects"]) < {"001", "002", "003"}
    assert (used["walks"], used["views"], used["missing"]) == (2 * (10 + 6), 2, [])
    page = (tmp_path / "report-profiles.html").read_text()
    assert "with camera profiles of 2 other subjects" in page
    assert f"means of 32 walks of 2 subjects of the train part ({', '.join(used['subjects'])})" in page
    assert "camera profiles" not in (tmp_path / "report.html").read_text()
    pair = [str(tmp_path / name) for name in ("result.json", "result-profiles.json")]
    assert main(["evaluate", "--compare", *pair, "--out", str(tmp_path)]) == 0
    assert "gei and gei, with camera profiles of 2" in (tmp_path / "comparison.html").read_text()


def test_the_table_with_profiles_is_that_of_corrected_vectors(both_parts: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--dataset", "casia-b", "--root", str(both_parts), "--encoder", "gei"]
    assert main([*command, "--camera-profiles", "3", "--out", str(tmp_path)]) == 0
    dataset = open_dataset("casia-b", both_parts)
    tested, others = embed(dataset, GEI()), embed(dataset, GEI(), part="train")
    means = np.stack([others.vectors[others.labels.view == view].mean(0) for view in tested.labels.view])
    vectors = corrected(tested.vectors, means)
    wanted = evaluate(vectors, tested.labels, dataset.protocol())
    found = json.loads((tmp_path / "result-profiles.json").read_text())
    assert found["groups"] == json.loads(json.dumps(wanted["groups"]))


REFUSED = {
    "more subjects than there are": (["--camera-profiles", "4"], "1 to 3, the subjects in the train part"),
    "fewer than one subject": (["--camera-profiles", "-1"], "1 to 3, the subjects in the train part"),
    "raw parts": (["--camera-profiles", "2", "--metric", "euc"], "used with metric euc"),
}


@pytest.mark.parametrize(("flags", "message"), REFUSED.values(), ids=REFUSED)
def test_profiles_that_cannot_be_had_are_refused(
    flags: list[str], message: str, both_parts: Path, tmp_path: Path, capsys: Any
) -> None:
    command = ["evaluate", "--dataset", "casia-b", "--root", str(both_parts), "--encoder", "gei"]
    assert main([*command, *flags, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_profiles_need_views() -> None:
    class Viewless:
        name = "viewless"

        def entries(self, part: str) -> list[DatasetEntry]:
            return [DatasetEntry(name, "", "1", "", part, Path()) for name in "ab"]

    with pytest.raises(InputError, match="Data set viewless has no views"):
        learned(Viewless(), GEI(), 2)  # type: ignore[arg-type]


def test_the_console_and_the_page_show_one_open_set_figure(result: Path, casia: Path, capsys: Any) -> None:
    command = ["evaluate", "--dataset", "casia-b", "--root", str(casia), "--encoder", "gei"]
    assert main([*command, "--out", str(result)]) == 0
    said = capsys.readouterr().out
    for group in json.loads((result / "result.json").read_text())["groups"]:
        (point,) = [p for p in group["open_set"]["points"] if (p["fpir"], p["rank"]) == (0.01, 1)]
        assert f"FNIR@FPIR 1 % rank 1 {100 * point['fnir']:.2f} %" in said
    assert "FNIR % at FPIR 1 %, rank 1" in (result / "report.html").read_text()


def test_euc_is_refused_for_an_encoder_without_parts(casia: Path) -> None:
    class Whole(GEI):
        part_vectors = None

    with pytest.raises(InputError, match="an encoder with parts for metric euc"):
        embed(open_dataset("casia-b", casia), Whole(), raw=True)
    with pytest.raises(InputError, match="an encoder with parts for metric euc"):
        embed(open_dataset("casia-b", casia), load_encoder("strider"), raw=True)
