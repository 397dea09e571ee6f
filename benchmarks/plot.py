"""Points on two logarithmic axes, as SVG: enough for one picture, and no library to install."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

_WIDTH, _HEIGHT = 640, 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 70, 50, 45, 60
#: Told apart by the colour-blind too.
_POINT, _LINE = "#0072b2", "#d55e00"


def log_log(
    points: Sequence[Point], *, title: str, line: tuple[Point, Point], across: str, up: str
) -> str:
    """Draw the points, the line, and a grid of powers of ten. All numbers must be above zero."""
    xs, ys = _powers([x for x, _ in points]), _powers([y for _, y in points])

    def place(point: Point) -> Point:
        share = [
            (math.log10(value) - powers[0]) / (powers[-1] - powers[0])
            for value, powers in zip(point, (xs, ys), strict=True)
        ]
        return (
            round(_LEFT + share[0] * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - share[1] * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    parts = [_text(_WIDTH / 2, 25, title, size=15)]
    for power in xs:
        x, bottom = place((10.0**power, 10.0 ** ys[0]))
        parts += [_stroke((x, _TOP), (x, bottom)), _text(x, bottom + 18, f"{10.0**power:,.0f}")]
    for power in ys:
        left, y = place((10.0 ** xs[0], 10.0**power))
        label = f"{10.0**power:,g}"
        parts += [_stroke((left, y), (_WIDTH - _RIGHT, y)), _text(left - 8, y + 4, label, "end")]
    start, end = map(place, line)
    parts.append(_stroke(start, end, colour=_LINE, width=2))
    parts += [f'<circle cx="{x}" cy="{y}" r="5" fill="{_POINT}"/>' for x, y in map(place, points)]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts += [
        _text(_WIDTH / 2, _HEIGHT - 15, across),
        f'<g transform="translate(18 {middle}) rotate(-90)">{_text(0, 0, up)}</g>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' font-family="sans-serif">\n<title>{escape(title)}</title>\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _powers(values: Sequence[float]) -> list[int]:
    """Return the powers of ten between which all values are, two of them at least."""
    low = math.floor(math.log10(min(values)))
    return list(range(low, max(math.ceil(math.log10(max(values))), low + 1) + 1))


def _stroke(start: Point, end: Point, colour: str = "#ccc", width: float = 1) -> str:
    return (
        f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}"'
        f' stroke="{colour}" stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
