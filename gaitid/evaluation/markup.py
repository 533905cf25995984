"""Building blocks of self-contained HTML pages: text, tables and pictures in one file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light; --ink: #1d2430; --soft: #5b6675; --line: #dfe3e8; --mark: #0b6e4f; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { max-width: 46rem; } .lead { color: var(--soft); margin-top: 0; }
.aside { color: var(--soft); font-size: .86rem; margin: .4rem 0; }
.note { border-left: 4px solid #d08700; background: #fff8e8; padding: .6rem .9rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); }
th { text-align: left; font-weight: 600; color: var(--soft); white-space: nowrap; }
th.number, td.number { text-align: right; } td { vertical-align: top; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; white-space: nowrap; }
small { color: var(--soft); white-space: nowrap; } table.facts td { overflow-wrap: anywhere; }
tr.good td:first-child { box-shadow: inset 4px 0 #20a45c; }
tr.bad td:first-child { box-shadow: inset 4px 0 #d63232; }
tr.open td:first-child { box-shadow: inset 4px 0 #e09a00; }
img, video, svg { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .86rem; }
.row { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: flex-start; }
.row figure { margin: .4rem 0; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.4rem; margin: 1.2rem 0; }
.figures div { min-width: 7rem; }
.figures b { display: block; font-size: 1.7rem; line-height: 1.2; }
.figures b.good { color: #0b6e4f; } .figures b.bad { color: #b3261e; } .figures b.open { color: #9a6700; }
"""


def page(title: str, lead: str, body: Iterable[str]) -> str:
    """Build a page; `title` and `lead` are plain text, `body` is HTML from the functions below."""
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><style>{_STYLE}</style>"
    top = f"<h1>{html.escape(title)}</h1><p class='lead'>{html.escape(lead)}</p>"
    return (
        f"<!doctype html><html lang='en'><head><title>{html.escape(title)}</title>{head}</head>"
        f"<body><main>{top}{''.join(body)}</main></body></html>\n"
    )


def heading(text: str) -> str:
    """Build a section heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, *, kind: str = "") -> str:
    """Build a paragraph of plain text; kind ``note`` makes it a warning, ``aside`` small print."""
    return f"<p class='{html.escape(kind)}'>{html.escape(text)}</p>"


def key_figures(figures: Iterable[tuple[str, str] | tuple[str, str, str]]) -> str:
    """Show large figures side by side: value, caption, and the colour of the value.

    Colours are ``good``, ``bad`` or ``open``; a figure without one has the colour of text.
    """
    cells = "".join(
        f"<div><b class='{''.join(kind)}'>{html.escape(v)}</b>{html.escape(what)}</div>"
        for v, what, *kind in figures
    )
    return f"<div class='figures'>{cells}</div>"


class Number(NamedTuple):
    """A right-aligned cell: a formatted number, and small print below it."""

    text: str
    aside: str = ""


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    kinds: Sequence[str] | None = None,
    *,
    caption: str = "",
) -> str:
    """Build a table with right-aligned numbers.

    Args:
        columns: Column headers.
        rows: Cells of each row.
        kinds: Colour of each row: ``good``, ``bad``, ``open`` or empty.
        caption: Caption above the table.
    """
    rows = [list(row) for row in rows]
    numbers = [isinstance(value, (int, float, Number)) for value in rows[0]] if rows else []
    head = "".join(
        f"<th{' class=number' if index < len(numbers) and numbers[index] else ''}>{html.escape(name)}</th>"
        for index, name in enumerate(columns)
    )
    body = ""
    for index, row in enumerate(rows):
        kind = f" class='{kinds[index]}'" if kinds and kinds[index] else ""
        body += f"<tr{kind}>{''.join(map(_cell, row))}</tr>"
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = f"{title}<thead><tr>{head}</tr></thead>"
    return f"<div class='wide'><table>{head}<tbody>{body}</tbody></table></div>"


def facts(values: Mapping[str, object]) -> str:
    """Build a table of names and values."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in values.items()
    )
    return f"<table class='facts'><tbody>{rows}</tbody></table>"


def side_by_side(*pieces: str) -> str:
    """Place pieces in a row that wraps on a narrow screen."""
    return "<div class='row'>" + "".join(f"<div>{piece}</div>" for piece in pieces) + "</div>"


def _cell(value: object) -> str:
    if isinstance(value, Number):
        aside = f"<br><small>{html.escape(value.aside)}</small>" if value.aside else ""
        return f"<td class='number'>{html.escape(value.text)}{aside}</td>"
    if isinstance(value, float):
        return f"<td class='number'>{value:.3g}</td>"
    if isinstance(value, int):
        return f"<td class='number'>{value}</td>"
    return f"<td>{html.escape(str(value))}</td>"


def picture(png: bytes, caption: str) -> str:
    """Embed a PNG; the caption is also its alternative text."""
    data = base64.b64encode(png).decode()
    text = html.escape(caption, quote=True)
    image = f"<img alt='{text}' src='data:image/png;base64,{data}'>"
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def figure(chart: Figure, caption: str) -> str:
    """Embed a matplotlib figure as PNG."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="png", dpi=110)
    return picture(buffer.getvalue(), caption)


def drawing(chart: Figure, alt: str) -> str:
    """Embed a matplotlib figure as SVG in its own width."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(96 * chart.get_figwidth())
    source = f"data:image/svg+xml;base64,{data}"
    return f"<img alt='{html.escape(alt, quote=True)}' width='{width}' src='{source}'>"


def video(name: str, caption: str) -> str:
    """Show a video file in the directory of the page."""
    source = html.escape(name, quote=True)
    return (
        f"<figure><video controls muted preload='metadata' src='{source}'></video>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
