"""What a published configuration says about a network beyond the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaitid.encoders.foreign import plain_yaml
from gaitid.errors import ConfigError

Table = Mapping[str, Any]

_CUTS = (None, 10)
"""Columns that `BaseSilCuttingTransform` cuts from each side of 64; 10 is its default for that width."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The network of a configuration.

    Attributes:
        architecture: Our name of it.
        arguments: Arguments of our network that the configuration states.
        unit_head: Whether the columns of the head have unit length (``norm`` of ``SeparateFCs``).
    """

    architecture: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unit_head: bool = False


def read_configuration(path: Path) -> Configuration:
    """Read the YAML configuration with which a checkpoint was trained.

    Raises:
        ConfigError: It cannot be read, is of another network, or asks for what our networks do not do.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"File {path} cannot be read ({error})", "a YAML configuration", "Check the path"
        ) from error
    document = plain_yaml.parse(text, path.name)
    reader = _Reader(path.name, document if isinstance(document, dict) else {})
    model = reader.value("model_cfg.model", str)
    if model not in _NETWORKS:
        raise reader.refusal("model_cfg.model", model, f"one of {', '.join(_NETWORKS)}")
    _check_input(reader)
    return _NETWORKS[model](reader)


class _Reader:
    """Values of a configuration by dotted path, with the errors for those that are missing or wrong."""

    def __init__(self, name: str, table: Table) -> None:
        self._name, self._table = name, table

    def find(self, path: str, default: Any = None) -> Any:
        value: Any = self._table
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return default
            value = value[key]
        return value

    def value(self, path: str, kind: type, default: Any = None) -> Any:
        value = self.find(path, default)
        if type(value) is not kind:
            raise self.refusal(path, value, f"a value of type {kind.__name__}")
        return value

    def numbers(self, path: str, count: int = 0) -> list[int]:
        value = self.find(path)
        fits = isinstance(value, list) and value and all(type(one) is int and one > 0 for one in value)
        if not fits or (count and len(value) != count):
            raise self.refusal(path, value, f"a list of {count or 'one or more'} numbers above 0")
        return list(value)

    def only(self, path: str, wanted: Any, default: Any = None) -> None:
        value = self.find(path, default)
        if value != wanted:
            raise self.refusal(path, value, f"{wanted}, which is all that can be imported")

    def refusal(self, path: str, got: Any, expected: str) -> ConfigError:
        return ConfigError(
            f"Key {path} of {self._name} is {got!r}",
            expected,
            "Pass the configuration that the checkpoint was trained with",
        )


def _check_input(reader: _Reader) -> None:
    """Refuse networks that see something else than silhouettes of 64x44, gray 0..1."""
    path = "evaluator_cfg.transform"
    for one in reader.find(path) or []:
        kind = one.get("type") if isinstance(one, dict) else one
        if kind not in ("BaseSilCuttingTransform", "BaseSilTransform"):
            raise reader.refusal(path, kind, "BaseSilCuttingTransform or BaseSilTransform")
        if one.get("divsor", 255) != 255 or one.get("cutting") not in _CUTS:
            raise reader.refusal(path, one, "divsor 255 and cutting 10")


def _gaitset(reader: _Reader) -> Configuration:
    inputs, *channels = reader.numbers("model_cfg.in_channels", 4)
    if inputs != 1:
        raise reader.refusal("model_cfg.in_channels", [inputs, *channels], "1 channel of input")
    arguments = {"channels": channels, "bins": reader.numbers("model_cfg.bin_num")}
    return Configuration("gaitset", arguments, reader.value("model_cfg.SeparateFCs.norm", bool, False))


def _gaitbase(reader: _Reader) -> Configuration:
    backbone = "model_cfg.backbone_cfg"
    reader.only(f"{backbone}.type", "ResNet9")
    reader.only(f"{backbone}.block", "BasicBlock")
    reader.only(f"{backbone}.in_channel", 1, 1)
    arguments = {
        "channels": reader.numbers(f"{backbone}.channels", 4),
        "blocks": reader.numbers(f"{backbone}.layers", 4),
        "strides": reader.numbers(f"{backbone}.strides", 4),
        "maxpool": reader.value(f"{backbone}.maxpool", bool, True),  # theirs pools unless told not to
        "bins": reader.numbers("model_cfg.bin_num"),
    }
    return Configuration("gaitbase", arguments, reader.value("model_cfg.SeparateFCs.norm", bool, False))


def _deepgaitv2(reader: _Reader) -> Configuration:
    backbone = "model_cfg.Backbone"
    reader.only(f"{backbone}.in_channels", 1)
    arguments = {
        "channels": reader.numbers(f"{backbone}.channels", 4),
        "blocks": reader.numbers(f"{backbone}.layers", 4),
        "mode": reader.value(f"{backbone}.mode", str),
        "neck": reader.value("model_cfg.use_emb2", bool, False),
    }
    return Configuration("deepgaitv2", arguments)


_NETWORKS: Mapping[str, Callable[[_Reader], Configuration]] = {
    "GaitSet": _gaitset,
    "Baseline": _gaitbase,
    "DeepGaitV2": _deepgaitv2,
}
"""Readers by the framework's names."""
