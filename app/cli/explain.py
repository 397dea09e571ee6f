"""A match as the sum that it is, for a person who wants to do it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from app.cli.output import note, print_table, visible

_COLUMNS = ("", "WHAT", "CALCULATION", "RESULT")

_Row = tuple[str, str, str, str]


def print_calculation(match: Mapping[str, Any], asked: str | None = None) -> None:
    """Print how the score of a match comes about, and of which entry of which list version."""
    listed = match["match_data"]
    who = visible(match["matched_name"])
    click.echo()
    click.echo(f"{visible(asked)} = {who}" if asked else who)
    entry = f"{visible(listed['id'])}, {visible(listed['name'])}"
    click.echo(f"{visible(match['list_name'])} {visible(match['list_version'])}, entry {entry}")
    if "calculation" not in match:
        note("The engine that screened this kept no calculation; screen it again to see one.")
        return
    print_table(_COLUMNS, list(_rows(match)))


def _rows(match: Mapping[str, Any]) -> Iterator[_Row]:
    told = match["calculation"]
    pairs, left_over = match["matched_words"], told.get("left_over", ())
    for number, pair in enumerate(pairs):
        alike, weight = pair["similarity"], pair["weight"]
        words = f"{pair['query']} = {pair['listed']} ({pair['how']})"
        sum_ = f"{_short(alike)} x {_short(weight)}"
        yield "" if number else "words", words, sum_, f"{alike * weight:.4f}"
    for number, left in enumerate(left_over):
        words = f"{left['word']} ({left['side']} only, weighs {_short(left['weight'])})"
        yield "" if number else "left over", words, f"costs {_short(left['cost'])}", ""
    yield from _name(told, pairs, left_over)
    yield from _parts(told["parts"], match["confidence_score"])


def _name(told: Mapping[str, Any], pairs: Any, left_over: Any) -> Iterator[_Row]:
    if "words" not in told:
        return
    score = told["words"]
    if "rule" in told:
        yield "mean", f"{_plain(told['rule'])}: they count as one", "", f"{score:.4f}"
    else:
        agreement = sum(pair["similarity"] * pair["weight"] for pair in pairs)
        weight = sum(pair["weight"] for pair in pairs)
        cost = sum(left["cost"] for left in left_over)
        below = f"({_short(weight)} + {_short(cost)})" if cost else _short(weight)
        yield "mean", "of the words", f"{agreement:.4f} / {below}", f"{score:.4f}"
    for factor in told.get("factors", ()):
        before, score = score, score * factor["value"]
        sum_ = f"{before:.4f} x {_short(factor['value'])}"
        yield "factor", _plain(factor["factor"]), sum_, f"{score:.4f}"


def _parts(parts: Any, score: float) -> Iterator[_Row]:
    for part in parts:
        what, agreement = _plain(part["feature"]), part["agreement"]
        sum_ = ""
        if "takes" in part:
            sum_ = f"-{_short(part['takes'])} x (1 - {_short(agreement or 0.0)})"
            if "of" in part:
                sum_ += f" x {part['of']:.4f}"
            what += " is not known" if agreement is None else ""
        elif part["feature"] == "identifiers":
            what = "an equal identifier decides"
        yield "part", what, sum_, f"{part['part']:.4f}"
    yield "score", "the sum of the parts", "", f"{score:.4f}"


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _short(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
