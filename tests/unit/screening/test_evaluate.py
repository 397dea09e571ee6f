"""Measuring a screening model on rows that somebody has labelled."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from app.cli.group import cli

LINDQVIST = "Ann Maria Lindqvist"

GOALS = [
    ("nk_name_bench.dev.jsonl", "f1", 0.85),
    ("nk_entity_checks.dev.jsonl", "f1", 0.94),
    ("yente_un_treated_pairs.dev.jsonl", "recall", 0.995),
    ("watchman_cross_script.dev.jsonl", "recall", 0.9),
]


def evaluate(*arguments):
    done = CliRunner().invoke(cli, ["evaluate", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def person(name):
    return {"type": "person", "name": name}


@pytest.fixture
def labelled(tmp_path):
    rows = [
        (LINDQVIST, LINDQVIST, True),
        (LINDQVIST, "Ivan Dragunov", True),
        ("Ivan Dragunov", "Iwan Dragunow", False),
        ("Ivan Dragunov", "Otto Baker", False),
    ]
    rows = [{"query": person(a), "listed": person(b), "match": match} for a, b, match in rows]
    return write(tmp_path / "pairs.jsonl", rows)


def test_pairs_are_counted_as_they_are_labelled(labelled):
    figures = json.loads(evaluate("pairs", labelled, "--threshold", "0.7", "--json"))

    assert (figures["queries"], figures["to_find"], figures["found"]) == (4, 2, 1)
    assert figures["wrong_alerts"] == 1
    assert (figures["precision"], figures["recall"], figures["f1"]) == (0.5, 0.5, 0.5)
    assert figures["alerts_per_query"] == 0.25


def test_the_sweep_is_drawn_for_people_and_into_a_file(labelled, tmp_path):
    shown = evaluate("pairs", labelled, "--plot", tmp_path / "sweep.svg")

    assert "THRESHOLD" in shown
    assert "p precision, r recall, f F1" in shown
    assert (tmp_path / "sweep.svg").read_text(encoding="utf-8").startswith("<svg")


def test_queries_are_screened_against_a_list_from_a_file(tmp_path):
    entries = [
        {"id": "a", "type": "person", "name": "Ann Maria Lindqvist", "aliases": ["Anna Quist"]},
        {"id": "b", "type": "person", "name": "Ivan Dragunov"},
    ]
    queries = [
        {"query": person("Anna Quist"), "expect": "a"},
        {"query": person("Ivan Dragunov"), "expect": "b"},
        {"query": person("Otto Baker"), "expect": None},
        {"query": person("Ivan Dragunov"), "expect": None},
    ]
    listed = write(tmp_path / "list.jsonl", entries)
    asked = write(tmp_path / "queries.jsonl", queries)

    whole = json.loads(evaluate("lists", asked, "--entries", listed, "--json"))
    without = json.loads(
        evaluate("lists", asked, "--entries", listed, "--leave-alias-out", "--json")
    )

    assert (whole["to_find"], whole["found"], whole["wrong_alerts"]) == (2, 2, 1)
    assert whole["negatives_alerted"] == 0.5
    # "Anna Quist" is found by nothing but the alias that is taken out.
    assert without["found"] < whole["found"]


def test_a_wrong_row_is_named_by_its_line_and_not_quoted(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"query": {"name": "Ann Lindqvist"}}\n', encoding="utf-8")

    done = CliRunner().invoke(cli, ["evaluate", "pairs", str(file)])

    assert done.exit_code == 1
    assert "line 1" in done.output
    assert "Lindqvist" not in done.output


@pytest.mark.parametrize(("name", "figure", "least"), GOALS)
def test_real_labelled_names_are_told_apart(shared_data, name, figure, least):
    shown = evaluate("pairs", shared_data / "names" / name, "--threshold", "0.7", "--json")

    assert json.loads(shown)[figure] >= least


def test_mutated_names_are_found_and_shuffled_ones_are_not(shared_data):
    file = shared_data / "names" / "yente_un_treated_pairs.dev.jsonl"

    figures = json.loads(evaluate("pairs", file, "--shuffle", "--threshold", "0.7", "--json"))

    assert figures["recall"] >= 0.995
    assert figures["negatives_alerted"] <= 0.01
