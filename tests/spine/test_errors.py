import re
from pathlib import Path

import pytest

from gaitid import errors


@pytest.mark.parametrize("kind", errors.all_errors().values(), ids=lambda kind: kind.__name__)
def test_every_error_survives_its_wire_form(kind):
    extra = {"reasons": ("too_short",)} if kind is errors.EnrolmentRejected else {}
    error = kind("The sequence has 9 frames", "at least 10", "Record a longer walk", **extra)
    again = errors.from_code(error.code, error.got, error.expected, error.remedy, extra.get("reasons", ()))
    assert type(again) is kind
    assert (
        str(again) == str(error) == "The sequence has 9 frames; expected at least 10. Record a longer walk."
    )
    assert getattr(again, "reasons", ()) == extra.get("reasons", ())


def test_an_unknown_code_is_an_internal_error():
    assert type(errors.from_code("NO_SUCH_CODE", "got")) is errors.InternalError


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = {word for line in errors.__doc__.splitlines() for word in line.split()}
    ours = [kind for kind in errors.all_errors().values() if kind.__module__ == errors.__name__]
    assert {kind.__name__ for kind in ours} <= drawn


def test_the_table_of_the_protos_page_has_the_status_of_each_code():
    page = (Path(__file__).resolve().parents[2] / "protos" / "README.md").read_text()
    kinds = errors.all_errors()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", page, re.MULTILINE)
    listed = [(status, code) for status, cell in rows for code in re.findall(r"`([A-Z_]+)`", cell)]
    assert len(listed) > 20
    assert [(kinds[code].status, code) for _, code in listed] == listed


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("A",), "A."),
        (("A", "b"), "A; expected b."),
        (("A", "b", "C"), "A; expected b. C."),
        (("A", "", "C"), "A. C."),
    ],
)
def test_message(parts, text):
    assert str(errors.InputError(*parts)) == text
