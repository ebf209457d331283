"""A plot as inline SVG: axes with titles, units and round ticks, and the few marks that the report needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import pairwise

from training.report.style import FAINT, INK, MUTED, PAPER

Range = tuple[float, float]
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 22.0, 66.0, 48.0
_LEGEND_CHAR = 6.6  # mean width of a character at 12 px


def percent(value: float) -> str:
    """0.25 as 25 %."""
    return f"{100 * value:.0f} %"


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers inside [low, high], about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


class Plot:
    """One picture, drawn from the back to the front.

    plot = Plot("ROC", x=("…", (0, 1)), y=("…", (0, 1)))
    plot.line(xs, ys, "#0b62a4", label="ebbtide")
    plot.render()
    """

    def __init__(
        self,
        title: str,
        *,
        x: tuple[str, Range],
        y: tuple[str, Range],
        width: float = 520,
        height: float = 400,
        left: float = _LEFT,
        top: float = _TOP,
    ) -> None:
        self._title, (self._x_title, self._x), (self._y_title, self._y) = title, x, y
        self._width, self._height = width, height
        self._x0, self._x1 = left, width - _RIGHT
        self._y0, self._y1 = height - _BOTTOM, top
        self._axes: list[str] = []
        self._marks: list[str] = []
        self._legend: list[tuple[str, str, str]] = []

    def place_x(self, value: float) -> float:
        low, high = self._x
        return self._x0 + (min(max(value, low), high) - low) / (high - low) * (self._x1 - self._x0)

    def place_y(self, value: float) -> float:
        low, high = self._y
        return self._y0 + (min(max(value, low), high) - low) / (high - low) * (self._y1 - self._y0)

    def ticks_x(self, values: Iterable[float], say: Callable[[float], str], *, grid: bool = True) -> None:
        for value in values:
            at = self.place_x(value)
            if grid:
                self._axes.append(_stroke(at, self._y0, at, self._y1, FAINT))
            self._axes.append(_text(at, self._y0 + 17, say(value), anchor="middle"))

    def ticks_y(self, values: Iterable[float], say: Callable[[float], str], *, grid: bool = True) -> None:
        for value in values:
            at = self.place_y(value)
            if grid:
                self._axes.append(_stroke(self._x0, at, self._x1, at, FAINT))
            self._axes.append(_text(self._x0 - 8, at + 4, say(value), anchor="end"))

    def line(
        self,
        xs: Iterable[float],
        ys: Iterable[float],
        colour: str,
        *,
        label: str | None = None,
        width: float = 2.0,
        dash: str = "",
    ) -> None:
        points = " ".join(f"{self.place_x(x):.1f},{self.place_y(y):.1f}" for x, y in zip(xs, ys, strict=True))
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._marks.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" '
            f'stroke-linejoin="round" stroke-linecap="round"{dashed}/>'
        )
        if label is not None:
            self._legend.append((label, colour, "dash" if dash else "line"))

    def steps(self, edges: Sequence[float], heights: Sequence[float], colour: str, *, label: str) -> None:
        """A histogram as a filled outline."""
        base = self.place_y(self._y[0])
        points = [(self.place_x(edges[0]), base)]
        for (start, stop), height in zip(pairwise(edges), heights, strict=True):
            points += [(self.place_x(start), self.place_y(height)), (self.place_x(stop), self.place_y(height))]
        points.append((self.place_x(edges[-1]), base))
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._marks.append(f'<polygon points="{text}" fill="{colour}" fill-opacity="0.28" stroke="{colour}" stroke-width="1.6"/>')
        self._legend.append((label, colour, "box"))

    def bar(self, start: float, stop: float, height: float, colour: str, *, text: str = "", label: str | None = None) -> None:
        """A bar from the axis up, between two places on x, with a text above."""
        left, right = self.place_x(start), self.place_x(stop)
        top, base = self.place_y(height), self.place_y(max(0.0, self._y[0]))
        self._marks.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{max(base - top, 0.5):.1f}" rx="2" '
            f'fill="{colour}"/>'
        )
        if text:
            self._marks.append(_text((left + right) / 2, top - 5, text, anchor="middle", size=11.5, colour=INK))
        if label is not None:
            self._legend.append((label, colour, "box"))

    def dot(self, x: float, y: float, colour: str, *, radius: float = 4.2) -> None:
        self._marks.append(
            f'<circle cx="{self.place_x(x):.1f}" cy="{self.place_y(y):.1f}" r="{radius}" fill="{colour}" stroke="{PAPER}" '
            'stroke-width="1.2"/>'
        )

    def reach_y(self, x: float, low: float, high: float, colour: str) -> None:
        """An interval along y."""
        at = self.place_x(x)
        self._marks.append(_stroke(at, self.place_y(low), at, self.place_y(high), colour, 1.8))

    def reach_x(self, y: float, low: float, high: float, colour: str) -> None:
        """An interval along x."""
        at = self.place_y(y)
        self._marks.append(_stroke(self.place_x(low), at, self.place_x(high), at, colour, 2.4))

    def rule_x(self, value: float, colour: str = MUTED, *, dash: str = "") -> None:
        """A line across the plot at a place on x."""
        at = self.place_x(value)
        self._marks.append(_stroke(at, self._y0, at, self._y1, colour, 1.2, dash))

    def rule_y(self, value: float, colour: str = MUTED, *, dash: str = "") -> None:
        at = self.place_y(value)
        self._marks.append(_stroke(self._x0, at, self._x1, at, colour, 1.2, dash))

    def band(self, start: float, stop: float, colour: str, text: str) -> None:
        """A strip along the foot of the plot, with a text in it where it fits."""
        left, right = self.place_x(start), self.place_x(stop)
        self._marks.append(
            f'<rect x="{left + 0.5:.1f}" y="{self._y0 - 13:.1f}" width="{max(right - left - 1, 0.5):.1f}" height="13" '
            f'fill="{colour}" fill-opacity="0.85"/>'
        )
        if right - left > 7.0 * len(text):
            self._marks.append(_text((left + right) / 2, self._y0 - 3, text, anchor="middle", size=9.5, colour=PAPER))

    def note(
        self, x: float, y: float, text: str, *, colour: str = INK, anchor: str = "start", dx: float = 8, dy: float = 4
    ) -> None:
        self._marks.append(_text(self.place_x(x) + dx, self.place_y(y) + dy, text, anchor=anchor, size=12, colour=colour))

    def key(self, label: str, colour: str) -> None:
        """A line of the legend without a mark of its own."""
        self._legend.append((label, colour, "box"))

    def render(self) -> str:
        """The SVG element."""
        frame = [
            _stroke(self._x0, self._y0, self._x1, self._y0, MUTED, 1.2),
            _text(self._x0 - self._x0 + 4, 20, self._title, size=15, colour=INK, weight=600),
            _text((self._x0 + self._x1) / 2, self._height - 10, self._x_title, anchor="middle", size=12.5, colour=MUTED),
        ]
        if self._y_title:
            middle = (self._y0 + self._y1) / 2
            frame.append(
                f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle" font-size="12.5" '
                f'fill="{MUTED}">{escape(self._y_title)}</text>'
            )
        body = "".join([*self._axes, *frame, *self._draw_legend(), *self._marks])
        return (
            f'<svg viewBox="0 0 {self._width:g} {self._height:g}" role="img" aria-label="{escape(self._title, quote=True)}" '
            f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
        )

    def _draw_legend(self) -> list[str]:
        parts, x, y = [], 4.0, 42.0
        for label, colour, shape in self._legend:
            needed = 26 + _LEGEND_CHAR * len(label) + 14
            if x + needed > self._width and x > 4.0:
                x, y = 4.0, y + 16
            if shape == "box":
                parts.append(f'<rect x="{x}" y="{y - 9}" width="12" height="10" rx="2" fill="{colour}"/>')
            else:
                dash = "4 3" if shape == "dash" else ""
                parts.append(_stroke(x, y - 4, x + 16, y - 4, colour, 2.6, dash))
            parts.append(_text(x + 21, y, label, size=12, colour=INK))
            x += needed
        return parts


def _stroke(x0: float, y0: float, x1: float, y1: float, colour: str, width: float = 1.0, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: float = 11.5, colour: str = MUTED, weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
