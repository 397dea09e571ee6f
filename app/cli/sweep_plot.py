"""A threshold sweep as a picture: in letters for the terminal, as SVG for a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.screening.evaluate.measure import Figures

#: Lines of the plot in letters: one for every tenth and the half between.
_ROWS = 20
_COLUMNS_EACH = 3

_Curve = Callable[["Figures"], float | None]
#: What is drawn: its letter, its colour (told apart by the colour-blind too), how to read it.
_CURVES: Mapping[str, tuple[str, str, _Curve]] = {
    "precision": ("p", "#0072b2", lambda figures: figures.precision),
    "recall": ("r", "#d55e00", lambda figures: figures.recall),
    "F1": ("f", "#009e73", lambda figures: figures.f1),
}
_SEVERAL = "*"

_WIDTH, _HEIGHT, _MARGIN = 640, 400, 50


def text_plot(swept: Sequence[Figures], threshold: float) -> str:
    """Draw a column for each threshold; `^` is under the one that was asked about."""
    columns = [[" "] * (_ROWS + 1) for _ in swept]
    for column, figures in zip(columns, swept, strict=True):
        for letter, _, read in _CURVES.values():
            value = read(figures)
            if value is not None:
                row = round(value * _ROWS)
                column[row] = letter if column[row] == " " else _SEVERAL
    lines = []
    for row in range(_ROWS, -1, -1):
        label = f"{row / _ROWS:.1f}" if row % 2 == 0 else "   "
        drawn = "".join(column[row].rjust(_COLUMNS_EACH) for column in columns)
        lines.append(f"{label} |{drawn}".rstrip())
    mark = "".join(
        ("^" if figures.threshold == threshold else " ").rjust(_COLUMNS_EACH) for figures in swept
    )
    legend = ", ".join(f"{letter} {name}" for name, (letter, _, _) in _CURVES.items())
    first, last = swept[0].threshold, swept[-1].threshold
    lines += [
        "    +" + "-" * (_COLUMNS_EACH * len(swept)),
        f"     {mark}".rstrip(),
        f"     {legend}, {_SEVERAL} several; threshold {first:g} to {last:g}, ^ {threshold:g}",
    ]
    return "\n".join(lines)


def svg_plot(swept: Sequence[Figures], threshold: float) -> str:
    """Draw the curves over the threshold, with a line at the one that was asked about."""
    low, high = swept[0].threshold, swept[-1].threshold
    span = (high - low) or 1.0

    def across(value: float) -> float:
        return round(_MARGIN + (value - low) / span * (_WIDTH - 2 * _MARGIN), 1)

    def up(value: float) -> float:
        return round(_HEIGHT - _MARGIN - value * (_HEIGHT - 2 * _MARGIN), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="12" role="img">',
        "<title>Precision, recall and F1 over the threshold</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for tenth in range(0, 11, 2):
        y = up(tenth / 10)
        parts.append(f'<path d="M{across(low)} {y}H{across(high)}" stroke="#ddd"/>')
        parts.append(f'<text x="{_MARGIN - 8}" y="{y + 4}" text-anchor="end">{tenth / 10}</text>')
    for figures in swept[:: max(1, len(swept) // 8)]:
        x = across(figures.threshold)
        label = f"{figures.threshold:g}"
        parts.append(f'<text x="{x}" y="{up(0) + 18}" text-anchor="middle">{label}</text>')
    x = across(threshold)
    parts.append(f'<path d="M{x} {up(0)}V{up(1)}" stroke="#888" stroke-dasharray="4 3"/>')
    for number, (name, (_, colour, read)) in enumerate(_CURVES.items()):
        points = " ".join(
            f"{across(figures.threshold)},{up(value)}"
            for figures in swept
            if (value := read(figures)) is not None
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(f'<text x="{_MARGIN + 90 * number}" y="30" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 10}" text-anchor="middle">threshold</text>')
    return "\n".join([*parts, "</svg>", ""])
