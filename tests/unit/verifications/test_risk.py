"""The rules of docs/verifications.md, rule by rule."""

from __future__ import annotations

import pytest

from app.verifications import risk
from app.verifications.risk import Found


def found(*hits: tuple[str, float], stakeholder: str | None = None, complete: bool = True) -> Found:
    """The findings of a subject with a hit of each category and score."""
    return Found(
        stakeholder,
        {
            "isComplete": complete,
            "matchedSources": [
                {"source": "x", "category": category, "records": [{"id": "1", "score": score}]}
                for category, score in hits
            ],
        },
    )


def assess(*subjects: Found, given: str = "unknown", before: dict | None = None) -> dict:
    return risk.assess(subjects, input_risk=given, before=before or risk.UNDEFINED)


@pytest.mark.parametrize(
    ("category", "score", "points", "level"),
    [
        ("sanctions", 0.99, 100, "Critical"),
        ("sanctions", 0.9, 80, "Critical"),
        ("criminal", 0.95, 70, "High"),
        ("criminal", 0.9, 50, "Medium"),
        ("pep", 1.0, 55, "Medium"),
        ("pep", 0.86, 40, "Medium"),
        ("adverse_media", 1.0, 40, "Medium"),
        ("internal", 0.9, 25, "Low"),
    ],
)
def test_a_hit_counts_by_its_category_and_its_strength(category, score, points, level):
    assessed = assess(found((category, score)))

    assert (assessed["score"], assessed["description"]) == (points, level)
    (reason,) = assessed["reasons"]
    assert (reason["category"], reason["score"]) == (category, score)


@pytest.mark.parametrize(
    ("given", "score", "level"),
    [("unknown", 0, "Low"), ("low", 0, "Low"), ("medium", 30, "Medium"), ("high", 60, "High")],
)
def test_without_a_hit_the_risk_is_what_the_client_says(given, score, level):
    assessed = assess(found(), given=given)

    assert (assessed["score"], assessed["description"]) == (score, level)
    assert assessed["reasons"] == []


def test_a_stakeholders_hit_counts_nine_tenths():
    assert assess(found(), found(("sanctions", 0.9), stakeholder="s"))["score"] == 72.0


def test_the_worst_hit_of_a_subject_counts_and_no_other():
    assert assess(found(("pep", 1.0), ("sanctions", 0.9), ("internal", 1.0)))["score"] == 80


def test_every_further_subject_with_a_hit_adds_a_little_and_ten_at_the_most():
    others = [found(("pep", 0.9), stakeholder=str(n)) for n in range(5)]

    assert assess(found(("pep", 1.0)), others[0])["score"] == 60
    assert assess(found(("pep", 1.0)), *others)["score"] == 65
    assert assess(found(("sanctions", 1.0)), *others)["score"] == 100


def test_where_a_source_did_not_answer_the_risk_is_provisional_and_does_not_fall():
    before = {"description": "High", "score": 72.0}

    assessed = assess(found(complete=False), before=before)

    assert (assessed["description"], assessed["score"]) == ("High", 72.0)
    assert assessed["isProvisional"]
    assert assess(found(), before=before)["score"] == 0


def test_a_source_whose_hits_are_only_counted_has_at_least_a_weak_one():
    counted = {"source": "ofac", "category": "sanctions", "hits": 3, "records": []}
    of_peps = found(("pep", 0.99)).findings["matchedSources"]
    both = Found(None, {"isComplete": True, "matchedSources": [*of_peps, counted]})

    assessed = assess(both)

    assert (assessed["score"], assessed["description"]) == (80.0, "Critical")
    (reason,) = assessed["reasons"]
    assert (reason["source"], reason["recordId"], reason["score"]) == ("ofac", None, None)
