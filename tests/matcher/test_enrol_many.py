"""Imports of many subjects: all or none, in one revision, searched like any other subject."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid import registry
from gaitid.errors import ContractMismatch, GalleryNotFound, InputError, SubjectExists
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, Fusion
from tests.impostors import people
from tests.matcher.test_terms import Ready, embedding


@pytest.fixture(params=list(Fusion))
def matcher(tmp_path, request):
    made = LocalMatcher(Ready(), tmp_path)
    made.create_gallery("g", fusion=request.param)
    yield made
    made.close()


def crowd(count: int) -> dict[str, list[Embedding]]:
    rows = people(count, 3, 1)
    return {
        f"s{n}": [Embedding(row, Ready.contract) for row in rows[3 * n : 3 * n + 1 + n % 3]]
        for n in range(count)
    }


@pytest.mark.parametrize("count", [0, 1, 50])
def test_an_import_equals_single_enrolments(matcher, tmp_path_factory, count):
    single = LocalMatcher(Ready(), tmp_path_factory.mktemp("single"))
    single.create_gallery("g", fusion=matcher.describe("g").fusion)
    for name, embeddings in crowd(count).items():
        single.enrol("g", name, embeddings, check="off")
    assert matcher.enrol_many("g", crowd(count)) == matcher.describe("g").revision == (count > 0)

    def answers(of: LocalMatcher):
        subjects = [(info.id, info.templates) for info in of.list_subjects("g")]
        return subjects, [of.identify("g", embedding(n)).candidates for n in range(5)]

    assert answers(matcher) == answers(single)
    matcher.enrol("g", "late", [embedding(7)], check="off")
    single.enrol("g", "late", [embedding(7)], check="off")
    if count:
        matcher.delete_subject("g", "s0")
        single.delete_subject("g", "s0")
    assert answers(matcher) == answers(single)
    single.close()


def test_an_enrolled_subject_refuses_the_whole_import(matcher):
    matcher.enrol("g", "s7", [embedding(0)])
    with pytest.raises(SubjectExists, match="s7"):
        matcher.enrol_many("g", crowd(9))
    assert [info.id for info in matcher.list_subjects("g")] == ["s7"]
    assert matcher.describe("g").revision == 1


@pytest.mark.parametrize(
    ("people", "error"),
    [
        ({"a": []}, InputError),
        ({"a/b": [embedding(0)]}, InputError),
        ({"a": [np.zeros(4)]}, InputError),
        ({"a": [embedding(0)], "b": [Embedding(embedding(0).vector, "f00")]}, ContractMismatch),
    ],
)
def test_an_invalid_template_refuses_the_whole_import(matcher, people, error):
    with pytest.raises(error):
        matcher.enrol_many("g", people)
    with pytest.raises(GalleryNotFound):
        matcher.enrol_many("none", people)
    assert matcher.list_subjects("g") == []


@pytest.mark.parametrize("index", registry.names("indexes"))
def test_an_import_survives_a_restart(tmp_path, index):
    matcher = LocalMatcher(Ready(), tmp_path, index=index)
    matcher.create_gallery("g")
    matcher.enrol_many("g", crowd(20))
    before = matcher.list_subjects("g"), matcher.identify("g", embedding(1))
    matcher.close()
    again = LocalMatcher(Ready(), tmp_path, index=index)
    assert (again.list_subjects("g"), again.identify("g", embedding(1))) == before
    again.close()
