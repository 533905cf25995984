"""Docstrings, comments and pages keep to plain English: no private vocabulary, no endless sentences."""

import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if (ROOT / name).is_file() and not (ROOT / name).is_symlink()
]
HISTORY = ("docs/history/", "CHANGELOG.md", "MODEL_CARD.md")
SOURCES = [p for p in TRACKED if p.suffix == ".py" and "gaitid/v1" not in str(p) and p != Path(__file__)]
PAGES = [p for p in TRACKED if p.suffix == ".md" and not str(p.relative_to(ROOT)).startswith(HISTORY)]
PROTOS = [p for p in TRACKED if p.suffix == ".proto"]
LONGEST_SENTENCE = 40
"""Words."""

BANNED = {
    r"\banew\b": "again",
    r"\bby hand\b": "manually",
    r"\bpeople who do not exist\b": "synthetic subjects",
    r"\bare no matter\b": "are ignored",
    r"\b(is|are|was|were) told\b": "is reported",
    r"\bof (their|its|his|one's) own accord\b": "automatically",
    r"\bof (itself|themselves)\b": "automatically",
    r"\bto the bit\b": "bit for bit",
    r"\bwhoever\b": "the caller",
    r"\bthe like\b": "and similar",
    r"\b\d+ letters\b|\bletters at most\b": "characters",
    r"\bcan better\b": "can improve",
    r"\bwould do well\b": "should",
    r"\bis on record\b": "is recorded",
    r"\bdear(er)?\b": "slow",
    r"\bhouse\b": "project",
    r"\b(of|as|for) which there (is|are) none\b": "without",
}


def prose_of(path):
    """The comments and docstrings of a source file, the text of a page without code and tables."""
    text = path.read_text()
    if path.suffix == ".py":
        kinds = (tokenize.COMMENT, tokenize.STRING)
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return "\n".join(token.string for token in tokens if token.type in kinds)
    return text


def ids(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", [*SOURCES, *PAGES, *PROTOS], ids=ids([*SOURCES, *PAGES, *PROTOS]))
def test_no_private_vocabulary(path):
    text = prose_of(path)
    found = [
        f"{match.group(0)!r}: say {instead!r}"
        for pattern, instead in BANNED.items()
        for match in re.finditer(pattern, text, re.IGNORECASE)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=ids(PAGES))
def test_sentences_of_pages_are_short(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    text = re.sub(r"^(\||#).*$", "", text, flags=re.MULTILINE)
    sentences = re.split(r"(?<=[.!?:;])\s|\n\s*\n|\n\s*[-*\d]", text)
    long = [sentence for sentence in sentences if len(sentence.split()) > LONGEST_SENTENCE]
    assert not long, "\n\n".join(long)
