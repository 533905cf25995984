"""A reader of plain YAML: nested mappings, lists and scalars, as configurations of networks are written.

Tags, anchors, aliases, multi-line texts and several documents are refused, so nothing in a file can run or
grow. It reads the subset as YAML 1.1 readers do and needs no further package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gaitid.errors import ConfigError

MAX_CHARACTERS = 1_000_000
_MAX_DEPTH = 20
_KEY = re.compile(r"""(?P<key>[\w.\-+]+|"[^"]*"|'[^']*')\s*:(?:\s+(?P<value>.*))?$""")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_QUOTED = re.compile(r"""("[^"\\]*"|'[^']*')""")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+\.?[0-9]*(?=[eE]))([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "yes": True, "no": False, "null": None, "~": None}


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str


def parse(text: str, name: str) -> Any:
    """The mappings, lists, texts, numbers and truth values of a plain YAML document; None if it is empty.

    Args:
        text: The document.
        name: Its name, for messages.

    Raises:
        ConfigError: It is too large, malformed, or more than plain YAML.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"File {name} has {len(text)} characters", f"at most {MAX_CHARACTERS}", "Pass a configuration"
        )
    return _Reader(text, name).document()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self._name, self._at = name, 0
        self._lines: list[_Line] = []
        for number, raw in enumerate(text.splitlines(), 1):
            line = _without_comment(raw).rstrip()
            body = line.lstrip(" ")
            if body.startswith("\t") or (body == "---" and self._lines):
                raise self._refusal(number, raw)
            if body and body != "---":
                self._lines.append(_Line(number, len(line) - len(body), body))

    def document(self) -> Any:
        if not self._lines:
            return None
        value = self._block(self._lines[0].indent, 0)
        if self._at < len(self._lines):
            raise self._refusal(self._lines[self._at].number, self._lines[self._at].text)
        return value

    def _block(self, indent: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self._refusal(self._lines[self._at].number, "nested too deep")
        first = self._lines[self._at].text
        return self._list(indent, depth) if _is_item(first) else self._mapping(indent, depth)

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        table: dict[str, Any] = {}
        while self._at < len(self._lines) and self._lines[self._at].indent == indent:
            line = self._lines[self._at]
            found = _KEY.match(line.text)
            if found is None or _is_item(line.text):
                raise self._refusal(line.number, line.text)
            key = found["key"].strip("\"'")
            if key in table:
                raise self._refusal(line.number, f"{key} a second time")
            self._at += 1
            value = found["value"]
            table[key] = self._scalar(value, line) if value else self._below(indent, depth)
        self._check_dedent(indent)
        return table

    def _below(self, indent: int, depth: int) -> Any:
        """The value of a key that has nothing on its line: the block below it, or None."""
        if self._at == len(self._lines):
            return None
        after = self._lines[self._at]
        deeper = after.indent > indent or (after.indent == indent and _is_item(after.text))
        return self._block(after.indent, depth + 1) if deeper else None

    def _list(self, indent: int, depth: int) -> list[Any]:
        items: list[Any] = []
        while self._at < len(self._lines) and self._lines[self._at].indent == indent:
            line = self._lines[self._at]
            if not _is_item(line.text):
                break
            body = line.text[1:].lstrip(" ")
            if not body:
                self._at += 1
                items.append(self._below(indent, depth) if self._deeper(indent) else None)
            elif _is_item(body) or _KEY.match(body):
                inner = indent + len(line.text) - len(body)
                self._lines[self._at] = _Line(line.number, inner, body)
                items.append(self._block(inner, depth + 1))
            else:
                self._at += 1
                items.append(self._scalar(body, line))
        self._check_dedent(indent)
        return items

    def _deeper(self, indent: int) -> bool:
        return self._at < len(self._lines) and self._lines[self._at].indent > indent

    def _check_dedent(self, indent: int) -> None:
        if self._deeper(indent):
            raise self._refusal(self._lines[self._at].number, self._lines[self._at].text)

    def _scalar(self, text: str, line: _Line) -> Any:
        if text[0] == "[":
            return self._flow(text, line)
        if text[0] in "\"'":
            if not _QUOTED.fullmatch(text):
                raise self._refusal(line.number, text)
            return text[1:-1]
        if text[0] in "{}]&*!|>%@`," or ": " in text or text.endswith(":"):
            raise self._refusal(line.number, text)
        return _plain(text)

    def _flow(self, text: str, line: _Line) -> list[Any]:
        """A list on one line: ``[1, 2, [3, x]]``."""
        stack: list[list[Any]] = [[]]
        for mark in re.findall(r"""\[|\]|,|"[^"\\]*"|'[^']*'|[^\[\],]+""", text):
            if mark == "[":
                stack.append([])
            elif mark == "]" and len(stack) > 1:
                stack[-2].append(stack.pop())
            elif mark == "]":
                raise self._refusal(line.number, text)
            elif mark != "," and mark.strip():
                stack[-1].append(self._scalar(mark.strip(), line))
        if len(stack) != 1 or len(stack[0]) != 1 or not isinstance(stack[0][0], list):
            raise self._refusal(line.number, text)
        return list(stack[0][0])

    def _refusal(self, number: int, what: str) -> ConfigError:
        return ConfigError(
            f"Line {number} of {self._name} is {what.strip()[:60]!r}",
            "plain YAML: mappings and lists with even indentation, numbers and words",
            "Correct the line, or leave out what is not about the network",
        )


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _without_comment(line: str) -> str:
    """The line up to a ``#`` outside quotes that starts it or follows a blank."""
    kept = _QUOTED.sub(lambda found: found[0].replace("#", "\0"), line)
    return _COMMENT.sub("", kept).replace("\0", "#")


def _plain(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
