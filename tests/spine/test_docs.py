"""Commands, settings, the Python example and links of the pages are valid."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from gaitid import cli, settings
from gaitid.edge.node import EdgeSettings
from gaitid.records import GaitSequence
from gaitid.server.app import ServerSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(path for folder in ("docs", "protos", "benchmarks") for path in sorted((ROOT / folder).rglob("*.md"))),
]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in PAGES}


def blocks(language):
    return [
        (name, block)
        for name, text in TEXTS.items()
        for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    ]


COMMANDS = [
    (name, line.strip())
    for name, block in blocks("sh")
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip().startswith("gaitid ")
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_documented_command_has_these_verbs_and_flags(page, line):
    words = [word for word in shlex.split(line, comments=True) if word != "&"]
    assert callable(cli._parse(words[1:]).run)


@pytest.mark.parametrize(("page", "text"), TEXTS.items(), ids=TEXTS)
def test_scripts_and_modules_that_are_named_exist(page, text):
    scripts = re.findall(r"((?:benchmarks|training)/\w+\.py)", text)
    modules = [
        f"{name.replace('.', '/')}.py" for name in re.findall(r"-m ((?:benchmarks|training)\.\w+)", text)
    ]
    recipes = re.findall(r"(training/recipes/[\w/.-]+\.toml)", text)
    assert [name for name in (*scripts, *modules, *recipes) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_a_documented_settings_file_is_one(page, block, tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(block)
    kind = EdgeSettings if "source =" in block else ServerSettings
    assert settings.load(path, kind) != kind()


def test_the_python_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    frames = np.zeros((40, 64, 44), np.uint8)
    frames[:, 4:36, 17:27] = 1
    for index, frame in enumerate(frames):
        swing = round(8 * np.sin(2 * np.pi * index / 25))
        frame[36:60, 19 + swing : 23 + swing] = 1
        frame[36:60, 21 - swing : 25 - swing] = 1
    walk = GaitSequence({"silhouette": frames}, np.arange(40) / 25)
    (code,) = [block for page, block in blocks("python") if page == "README.md"]
    exec(code, {"walk": walk, "another_walk": walk})  # noqa: S102
    assert capsys.readouterr().out.startswith("match: alice (score 1.000")


@pytest.mark.parametrize(("page", "text"), TEXTS.items(), ids=TEXTS)
def test_links_lead_somewhere(page, text):
    for target, anchor in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", text):
        if target.startswith("http"):
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, target + anchor


def test_every_target_of_make_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shell = "\n".join(block for _, block in blocks("sh"))
    named = {word for text in TEXTS.values() for word in re.findall(r"`make ([a-z-]+)", text)}
    named |= set(re.findall(r"^make ([a-z-]+)", shell, re.MULTILINE))
    assert named
    assert named <= targets
