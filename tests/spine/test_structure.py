"""The shape of the code: no file is too long, no two modules import each other."""

from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 600
FILES = [
    path
    for folder in ("gaitid", "training", "tests", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.relative_to(ROOT).parts[:2] not in (("gaitid", "v1"), ("gaitid", "training"))
]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_no_file_is_too_long(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_no_modules_import_each_other():
    graph = grimp.build_graph("gaitid", exclude_type_checking_imports=True)
    reach = {module: graph.find_upstream_modules(module) for module in graph.modules}
    circles = {(a, b) for a in reach for b in reach[a] if a < b and a in reach[b]}
    assert circles == set()
