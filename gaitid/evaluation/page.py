"""Self-contained HTML pages: text, tables and pictures in one file that needs no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light; --ink: #1d2430; --soft: #5b6675; --line: #dfe3e8; --mark: #0b6e4f; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
p { max-width: 46rem; } .lead { color: var(--soft); margin-top: 0; }
.note { border-left: 4px solid #d08700; background: #fff8e8; padding: .6rem .9rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); }
th { text-align: left; font-weight: 600; color: var(--soft); } td.number { text-align: right; }
tr.good td:first-child { box-shadow: inset 4px 0 #20a45c; }
tr.bad td:first-child { box-shadow: inset 4px 0 #d63232; }
tr.open td:first-child { box-shadow: inset 4px 0 #e09a00; }
img, video, svg { max-width: 100%; height: auto; } figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .86rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.4rem; margin: 1.2rem 0; }
.figures div { min-width: 7rem; }
.figures b { display: block; font-size: 1.7rem; color: var(--mark); line-height: 1.2; }
"""


def page(title: str, lead: str, body: Iterable[str]) -> str:
    """A whole page; `title` and `lead` are plain text, `body` is HTML made by the functions below."""
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><style>{_STYLE}</style>"
    top = f"<h1>{html.escape(title)}</h1><p class='lead'>{html.escape(lead)}</p>"
    return (
        f"<!doctype html><html lang='en'><head><title>{html.escape(title)}</title>{head}</head>"
        f"<body><main>{top}{''.join(body)}</main></body></html>\n"
    )


def heading(text: str) -> str:
    """A section heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph of plain text; kind ``note`` makes it a warning."""
    return f"<p class='{html.escape(kind)}'>{html.escape(text)}</p>"


def key_figures(figures: Iterable[tuple[str, str]]) -> str:
    """Large figures side by side: (value, what it is)."""
    cells = "".join(f"<div><b>{html.escape(v)}</b>{html.escape(what)}</div>" for v, what in figures)
    return f"<div class='figures'>{cells}</div>"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], kinds: Sequence[str] | None = None
) -> str:
    """A table; numbers are right-aligned; `kinds` colours each row (``good``, ``bad``, ``open`` or empty)."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = ""
    for index, row in enumerate(rows):
        kind = f" class='{kinds[index]}'" if kinds and kinds[index] else ""
        body += f"<tr{kind}>{''.join(map(_cell, row))}</tr>"
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"<td class='number'>{value:.3g}</td>"
    if isinstance(value, int):
        return f"<td class='number'>{value}</td>"
    return f"<td>{html.escape(str(value))}</td>"


def picture(png: bytes, caption: str) -> str:
    """A PNG inside the page; the caption is also its alternative text."""
    data = base64.b64encode(png).decode()
    text = html.escape(caption, quote=True)
    image = f"<img alt='{text}' src='data:image/png;base64,{data}'>"
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def figure(chart: Figure, caption: str) -> str:
    """A matplotlib figure inside the page."""
    buffer = io.BytesIO()
    chart.savefig(buffer, format="png", dpi=110)
    return picture(buffer.getvalue(), caption)


def video(name: str, caption: str) -> str:
    """A video file that lies beside the page."""
    source = html.escape(name, quote=True)
    return (
        f"<figure><video controls muted preload='metadata' src='{source}'></video>"
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )
