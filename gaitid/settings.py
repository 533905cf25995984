"""TOML files and flags -> frozen dataclasses; unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import ipaddress
import sys
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gaitid.errors import ConfigError
from gaitid.registry import names, nearest, resolve

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

T = TypeVar("T")
_REGISTRY = "gaitid.registry"


def tables(kind: str) -> Any:
    """A dataclass field with one table of settings for each entry of a registry that wants its own.

    `build` puts a table named for an entry, such as ``[perception.motion]``, into this field as
    ``{"motion": MotionSettings(...)}``. An entry names its dataclass in the attribute ``settings``.

    Args:
        kind: See `registry.names`.
    """
    return dataclasses.field(default_factory=dict, metadata={_REGISTRY: kind})


def load(path: str | Path, cls: type[T]) -> T:
    """Read a TOML file into the dataclass `cls`.

    Raises:
        ConfigError: The file is missing or not valid TOML, or has an unknown or ill-typed key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"File {path} cannot be read ({error})", "a TOML file", "Check the path") from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"File {path} is not valid TOML ({error})", "TOML 1.0", "Fix that line") from error
    return build(cls, table, f"file {path}")


def build(cls: type[T], table: Mapping[str, Any], where: str = "the configuration") -> T:
    """Build the dataclass `cls` from a table of values, including nested tables.

    Raises:
        ConfigError: A key is unknown, missing or of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    named = _named_tables(fields, table, where)
    known = [name for name in fields if name not in named]
    known += [name for field in named for name in names(fields[field].metadata[_REGISTRY])]
    for key in table:
        if key not in known:
            raise _unknown_key(key, known, where)
    table = {key: value for key, value in table.items() if key in fields}
    missing = [
        name
        for name, field in fields.items()
        if name not in table
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(
            f"Key {missing[0]!r} is missing in {where}", "a value, because it has no default", "Add the key"
        )
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    return cls(**values, **named)


def settings_class(kind: str, name: str) -> type[Any]:
    """Return the dataclass in the attribute ``settings`` of a registry's entry.

    Raises:
        ConfigError: The entry names none.
        UnknownName: The registry has no such entry.
        MissingDependency: The entry needs a package that is not installed.
    """
    cls = getattr(resolve(kind, name), "settings", None)
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise ConfigError(
            f"The settings of {kind[:-1]} {name} are {cls!r}",
            "a dataclass in its attribute 'settings'",
            f"Report this to the authors of {name}",
        )
    return cls


def split_address(address: str) -> tuple[str, int]:
    """Split ``host:port``.

    Raises:
        ConfigError: The address has another form.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"The address is {address!r}", "host:port", "Write for example 127.0.0.1:7443")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _named_tables(
    fields: Mapping[str, dataclasses.Field[Any]], table: Mapping[str, Any], where: str
) -> dict[str, dict[str, Any]]:
    """Settings of a registry's entries that the table has a table for, by the field of `tables` and name."""
    return {
        home: {
            name: _value(settings_class(kind, name), table[name], f"{where}: {name}")
            for name in names(kind)
            if name in table and name not in fields
        }
        for home, field in fields.items()
        if (kind := field.metadata.get(_REGISTRY))
    }


def _unknown_key(key: str, known: Collection[str], where: str) -> ConfigError:
    return ConfigError(
        f"Key {key!r} of {where} is unknown", f"one of {', '.join(known)}", nearest(key, known)
    )


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
        if type(value) is (typing.get_origin(option) or option):  # dict of dict[str, Any]
            return value
        if option is Path and isinstance(value, str):
            return Path(value)
    expected = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    raise ConfigError(
        f"Setting {where} is {value!r} ({type(value).__name__})",
        expected,
        f"Write a value of type {expected}",
    )


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)
