from dataclasses import dataclass, field

import pytest

from gaitid import settings
from gaitid.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    ratio: float = 0.5
    inner: Inner = field(default_factory=Inner)
    tags: tuple[str, ...] = ()
    limit: int | None = None
    on: bool = False


GOOD = {
    'name = "a"': Outer("a"),
    'name = "a"\nratio = 1': Outer("a", 1.0),
    'name = "a"\ntags = ["x", "y"]\nlimit = 3': Outer("a", tags=("x", "y"), limit=3),
    'name = "a"\n[inner]\ndepth = 4': Outer("a", inner=Inner(4)),
}


@pytest.mark.parametrize(("text", "expected"), GOOD.items())
def test_a_good_file(tmp_path, text, expected):
    path = tmp_path / "a.toml"
    path.write_text(text)
    assert settings.load(path, Outer) == expected


BAD = {
    "": "Key 'name' is missing",
    'nome = "a"': "Write 'name'",
    'name = "a"\n[inner]\ndepht = 4': "Write 'depth'",
    "name = 3": "expected str",
    'name = "a"\nratio = "high"': "expected float",
    'name = "a"\non = 1': "expected bool",
    'name = "a"\nlimit = true': "expected int",
    'name = "a"\ntags = [1]': "expected str",
    "name = ": "not valid TOML",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_a_bad_file_names_file_key_and_remedy(tmp_path, text, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        settings.load(path, Outer)
    assert message in str(caught.value)
    assert "a.toml" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        settings.load(tmp_path / "none.toml", Outer)
