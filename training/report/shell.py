"""What every page has around its parts: one document with its style in it, which fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from training.report.style import STYLE_SHEET


def whole_page(title: str, parts: Iterable[str]) -> str:
    """An HTML document.

    title : text
    parts : HTML, in order
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE_SHEET}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def figure(drawing: str, caption: str, *, is_broad: bool = False) -> str:
    """A picture with a line below.

    drawing : SVG
    caption : text
    is_broad : whether it is as wide as the page: a phone then scrolls it, as its letters would be too small
    """
    kind = "sheet broad" if is_broad else "sheet"
    return f'<figure class="{kind}">{drawing}<figcaption>{escape(caption)}</figcaption></figure>'
