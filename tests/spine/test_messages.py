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
KINDS = {kind.__name__ for kind in errors.all_errors().values()} | {"TrainingFailed"}
FACTORIES = {"error", "kind"}
"""Parameters whose value is an error class, raised by shared checks."""


def templates(node):
    """The texts an argument may have, with ``{}`` where a value goes; none if it is written elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join((*templates(part), "{}")[0] for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*templates(node.body), *templates(node.orelse)]
    return []


def call_sites(path):
    tree = ast.parse(path.read_text())
    raised = {id(node.exc) for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(isinstance(arg, ast.Starred) for arg in node.args):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in KINDS or (name in FACTORIES and id(node) in raised):
            named = {word.arg: word.value for word in node.keywords}
            parts = dict(zip(("got", "expected", "remedy"), node.args, strict=False)) | named
            yield node.lineno, {key: templates(value) for key, value in parts.items()}


def faults(parts):
    for got in parts.get("got", [""]):
        if not re.match(r"[A-Z]", got):
            yield f"got starts without a capital letter: {got!r}"
    for text in (text for key in ("got", "expected", "remedy") for text in parts.get(key, ())):
        if re.search(r"[.,:;!? ]$|^\s", text):
            yield f"a part ends with punctuation or has spaces around it: {text!r}"
    for expected in parts.get("expected", ()):
        if re.match(r"(expected|must|should|need|needs|it|is|are|use|one that)\b", expected, re.I):
            yield f"expected does not read after 'expected': {expected!r}"
    for remedy in filter(None, parts.get("remedy", ())):
        if not re.match(r"[A-Z]", remedy):
            yield f"remedy starts without a capital letter: {remedy!r}"
        if re.match(r"(Correct|Choose one|Convert|Fix) ?(it|them)?$", remedy):
            yield f"remedy does not say what to do: {remedy!r}"


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_messages_are_sentences(path):
    found = [f"line {line}: {fault}" for line, parts in call_sites(path) for fault in faults(parts)]
    assert not found, "\n".join(found)


def test_call_sites_are_found():
    assert sum(1 for path in FILES for _ in call_sites(path)) > 300


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("InputError('walk is empty', 'a walk', 'Record it again')", "got starts"),
        ("errors.InputError(f'{name} is empty', 'a walk')", "got starts"),
        ("InputError('A is 1' if a else 'b is 1', '2')", "got starts"),
        ("InputError('A is 1.', '2')", "ends with punctuation"),
        ("InputError('A is 1', 'must be 2')", "after 'expected'"),
        ("InputError('A is 1', '2', remedy='pass 2')", "remedy starts"),
        ("InputError('A is 1', '2', 'Correct it')", "what to do"),
        ("kind('a is 1', '2')", "got starts"),
        ("TrainingFailed('loss is nan', 'a number')", "got starts"),
    ],
)
def test_a_bad_message_is_found(call, fault, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(f"raise {call}\n")
    (found,) = [text for _, parts in call_sites(path) for text in faults(parts)]
    assert fault in found
