"""How a score came about, as it is stored with a match and shown: JSON from which anybody can do
the sum again, and the same sum on one line for a cell of a spreadsheet.

Six decimals, so that a sum of rounded figures rounds to the four of the score. What does not apply
is left out: a match is stored for years, and there are many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.screening.model import NameCalculation

if TYPE_CHECKING:
    # The web shows what is stored, and never loads an engine.
    from app.screening.match import Match

_DECIMALS = 6


def words(name: NameCalculation | None) -> list[dict[str, Any]]:
    """Which word of the name asked for stands for which word of the listed name."""
    return [
        {
            "query": pair.query,
            "listed": pair.listed,
            "how": pair.how,
            "similarity": _round(pair.similarity),
            "weight": _round(pair.weight),
        }
        for pair in (name.pairs if name else ())
    ]


def calculation(match: Match, name: NameCalculation | None) -> dict[str, Any]:
    """Everything else that the score of the match is made of."""
    shown: dict[str, Any] = {}
    if name is not None:
        if name.rule is not None:
            shown["rule"] = name.rule
        shown["words"] = _round(name.words)
        if name.left_over:
            shown["left_over"] = [
                {
                    "side": left.side,
                    "word": left.word,
                    "weight": _round(left.weight),
                    "cost": _round(left.cost),
                }
                for left in name.left_over
            ]
        if name.factors:
            shown["factors"] = [
                {"factor": factor.name, "value": _round(factor.value)} for factor in name.factors
            ]
    shown["parts"] = []
    for part in match.parts:
        agreement = None if part.agreement is None else _round(part.agreement)
        more = {"takes": _round(part.takes)} if part.takes else {}
        if part.of != 1:
            more["of"] = _round(part.of)
        shown["parts"].append(
            {"feature": part.feature, "agreement": agreement, **more, "part": _round(part.part)}
        )
    return shown


def on_one_line(match: Mapping[str, Any]) -> str:
    """Return the calculation of a stored match as a person would write it; "" if it has none.

    Results of engine versions before 3 have none.
    """
    if "calculation" not in match:
        return ""
    return "; ".join(_clauses(match["matched_words"], match["calculation"]))


def _clauses(pairs: list[dict[str, Any]], told: Mapping[str, Any]) -> Iterator[str]:
    for pair in pairs:
        alike = "" if pair["how"] == "equal" else f" {pair['similarity']:.2f}"
        yield f"{pair['query']} = {pair['listed']} ({pair['how']}{alike})"
    for left in told.get("left_over", ()):
        yield f"{left['word']} ({left['side']} only)"
    if "rule" in told:
        yield f"{_plain(told['rule'])} {told['words']:.2f}"
    for factor in told.get("factors", ()):
        yield f"{_plain(factor['factor'])} x {factor['value']:.2f}"
    for part in told["parts"]:
        what = _plain(part["feature"])
        if "takes" not in part:
            yield f"{what} {part['part']:.4f}"
        elif part["agreement"] == 1:
            yield f"{what} agrees"
        else:
            yield f"{what}{' unknown' if part['agreement'] is None else ''} {part['part']:.4f}"


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _round(value: float) -> float:
    # Adding 0 makes 0.0 of -0.0.
    return round(value, _DECIMALS) + 0.0
