"""The texts of all error messages, read from their call sites, are sentences of one template."""

import ast
import re
from pathlib import Path

import pytest

from gaitid import errors

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("gaitid", "training")
    for path in (ROOT / folder).rglob("*.py")
    if path.relative_to(ROOT).parts[:2] not in (("gaitid", "v1"), ("gaitid", "training"))
)
KINDS = {kind.__name__: kind for kind in errors.all_errors().values()}


def template(node):
    """The text of an argument with ``{}`` where a value goes; None when it is not written at the call."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or "{}" for part in node.values)
    return None


def call_sites(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in KINDS and not any(isinstance(arg, ast.Starred) for arg in node.args):
            named = {word.arg: word.value for word in node.keywords}
            parts = dict(zip(("got", "expected", "remedy"), node.args, strict=False)) | named
            yield (
                node.lineno,
                {key: template(parts[key]) for key in ("got", "expected", "remedy") if key in parts},
            )


def faults(parts):
    got, expected, remedy = (parts.get(key, "") for key in ("got", "expected", "remedy"))
    if got is not None and not re.match(r"[A-Z]", got):
        yield f"got starts without a capital letter: {got!r}"
    for text in filter(None, (got, expected, remedy)):
        if re.search(r"[.,:;!? ]$|^\s", text):
            yield f"a part ends with punctuation or has spaces around it: {text!r}"
    if expected and re.match(r"(expected|must|should|need|needs|it|is|are|use|one that)\b", expected, re.I):
        yield f"expected does not read after 'expected': {expected!r}"
    if remedy and not re.match(r"[A-Z]", remedy):
        yield f"remedy starts without a capital letter: {remedy!r}"
    if remedy and re.match(r"(Correct|Choose one|Convert|Fix) ?(it|them)?$", remedy):
        yield f"remedy does not say what to do: {remedy!r}"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_messages_are_sentences(path):
    found = [f"line {line}: {fault}" for line, parts in call_sites(path) for fault in faults(parts)]
    assert not found, "\n".join(found)


def test_call_sites_are_found():
    assert sum(1 for path in FILES for _ in call_sites(path)) > 300
