"""TOML files and flags -> frozen dataclasses; a wrong key or type is an error, never a guess."""

from __future__ import annotations

import dataclasses
import ipaddress
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gaitid.errors import ConfigError
from gaitid.registry import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

T = TypeVar("T")


def load(path: str | Path, cls: type[T]) -> T:
    """Read a TOML file into the dataclass `cls`.

    Raises:
        ConfigError: The file is missing, no TOML, or has an unknown or ill-typed key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", "a TOML file", "check the path") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no valid TOML ({error})", "TOML 1.0", "correct that line") from error
    return build(cls, table, str(path))


def build(cls: type[T], table: Mapping[str, Any], where: str = "configuration") -> T:
    """Make the dataclass `cls` from a table of values, nested tables included.

    Raises:
        ConfigError: A key is unknown, missing or of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise ConfigError(
                f"{where} has the unknown key {key!r}", f"known are {', '.join(fields)}", nearest(key, fields)
            )
    missing = [
        name
        for name, field in fields.items()
        if name not in table
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where} lacks the key {missing[0]!r}", "it has no default", "add it")
    return cls(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()})


def split_address(address: str) -> tuple[str, int]:
    """Host and port of ``host:port``.

    Raises:
        ConfigError: It is no such address.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"address is {address!r}", "host:port", "write 127.0.0.1:7443, say")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _value(kind: Any, value: Any, where: str) -> Any:
    options = typing.get_args(kind) if _is_union(kind) else (kind,)
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(option, type) and isinstance(value, dict):
            return build(option, value, where)
        if typing.get_origin(option) is tuple and isinstance(value, list):
            inner = typing.get_args(option)[0]
            return tuple(_value(inner, item, where) for item in value)
        if option is float and type(value) in (int, float):
            return float(value)
        if isinstance(option, type) and type(value) is option:
            return value
        if option is Path and isinstance(value, str):
            return Path(value)
    expected = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise ConfigError(f"{where} is {value!r} ({type(value).__name__})", f"expected {expected}", "correct it")


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)
