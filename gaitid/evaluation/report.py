"""Blocks of one self-contained HTML page, for any report.

A page needs no network and no script: styles are inside it, pictures are embedded.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #f5f6f8; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 25px; margin: 0 0 4px; }
.lead { color: #57606a; margin: 0 0 20px; }
section { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px;
  padding: 16px 20px; margin: 0 0 18px; }
h2 { font-size: 18px; margin: 0 0 8px; }
p { margin: 6px 0; max-width: 82ch; }
.note { color: #57606a; font-size: 13.5px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums; }
caption { white-space: nowrap; text-align: left; font-weight: 600; padding: 4px 0; }
th, td { padding: 4px 12px 4px 0; text-align: right; vertical-align: top; border-bottom: 1px solid #eceff2; }
th { font-weight: 600; color: #424a53; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
table.facts td { text-align: left; overflow-wrap: anywhere; }
small { color: #57606a; white-space: nowrap; }
.row { display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start; }
img { max-width: 100%; height: auto; display: block; }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a page; `body` are pieces of HTML made by the blocks below."""

    title: str
    body: tuple[str, ...]


def page(title: str, sections: Iterable[Section], lead: str = "") -> str:
    """The whole page as HTML text."""
    parts = "\n".join(
        f"<section>\n<h2>{escape(section.title)}</h2>\n" + "\n".join(section.body) + "\n</section>"
        for section in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n<body><main>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{parts}\n</main></body></html>\n'
    )


def text(words: str, *, note: bool = False) -> str:
    """A paragraph; a note is smaller and paler."""
    return f'<p class="note">{escape(words)}</p>' if note else f"<p>{escape(words)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table; first column left, the others right. A cell ``"value | aside"`` shows the aside small."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    rows_of = f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"
    return f'<div class="scroll"><table>{title}{rows_of}</table></div>'


def facts(values: Mapping[str, Any]) -> str:
    """A table of names and values."""
    rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(str(v))}</td></tr>\n" for k, v in values.items())
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def figure(drawn: Figure, alt: str) -> str:
    """A matplotlib figure as an embedded, scalable picture."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="svg", metadata={"Date": None})
    return _image("svg+xml", buffer.getvalue(), alt, drawn.get_figwidth())


def picture(drawn: Figure, alt: str, dpi: int = 150) -> str:
    """A matplotlib figure as an embedded PNG, for figures made of pixels."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=dpi)
    return _image("png", buffer.getvalue(), alt, drawn.get_figwidth())


def side_by_side(*pieces: str) -> str:
    """Pieces in a row that wraps on a narrow screen."""
    return '<div class="row">' + "\n".join(f"<div>{piece}</div>" for piece in pieces) + "</div>"


def percent(rate: float | None, digits: int = 2) -> str:
    """A fraction as a percentage; a dash when it could not be measured."""
    return "-" if rate is None else f"{100 * rate:.{digits}f}"


def between(low: float | None, high: float | None, digits: int = 1) -> str:
    """An interval of fractions in percent; empty when there is none."""
    return "" if low is None or high is None else f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"


def _cell(cell: str) -> str:
    value, _, aside = cell.partition(" | ")
    return escape(value) + (f"<br><small>{escape(aside)}</small>" if aside else "")


def _image(kind: str, data: bytes, alt: str, inches: float) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img alt="{escape(alt)}" width="{round(96 * inches)}" src="{source}">'
