"""Delta files change the version in force into a new one, or are refused as somebody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import WatchlistRejected
from app.screening import store
from app.screening.lists import load_delta as module
from app.screening.lists.load import load_list
from app.screening.lists.load_delta import load_delta

pytestmark = pytest.mark.integration

PEOPLE = ("Amara Oduya", "Boris Ketterling", "Chen Daiyu", "Dalia Farsakh", "Emil Grabowski")


def entity(number: int, name: str, schema: str = "Person", **properties: list[str]) -> dict:
    return {
        "id": f"Q-{number}",
        "caption": name,
        "schema": schema,
        "properties": {"name": [name], **properties},
        "datasets": ["xx_test"],
        "target": True,
    }


def lines(path: Path, *records: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def op(name: str, what: dict) -> dict:
    return {"op": name, "entity": what}


@pytest.fixture
def loaded(database, tmp_path):
    passport = {
        "id": "P-1",
        "schema": "Passport",
        "properties": {"holder": ["Q-0"], "number": ["XK1234567"]},
        "target": False,
    }
    people = [entity(number, name) for number, name in enumerate(PEOPLE)]
    path = lines(tmp_path / "entities.ftm.json", *people, passport)
    load_list(database, "opensanctions", path, version="20260101010101-aaa")
    return database


def entries(database) -> dict:
    with database.transaction() as tx:
        version = store.current_versions(tx)["opensanctions"]
        return {entry.id: entry for entry in store.load_entries(tx, version.id)}


def in_force(database) -> str:
    with database.transaction() as tx:
        return store.current_versions(tx)["opensanctions"].version


def test_a_delta_adds_modifies_and_removes(loaded, tmp_path):
    delta = lines(
        tmp_path / "20260102010101-bbb" / "entities.delta.json",
        op("ADD", entity(9, "Fen Hua", birthDate=["1970"])),
        op("MOD", entity(0, "Amara Oduya-Lind")),
        op("DEL", {"id": "Q-4"}),
        op("DEL", {"id": "addr-that-nobody-lists"}),
    )

    report = load_delta(loaded, "opensanctions", [delta])

    assert (report.entries, report.added, report.removed, report.changed) == (5, 1, 1, 1)
    found = entries(loaded)
    assert found["Q-9"].birth_dates == ("1970",)
    assert found["Q-0"].name == "Amara Oduya-Lind"
    assert "Q-4" not in found
    # What the passport said is not in the delta, and still true.
    assert [each.value for each in found["Q-0"].identifiers] == ["XK1234567"]
    assert in_force(loaded) == "20260102010101-bbb"
    with loaded.transaction() as tx:
        new, old = store.list_versions(tx, "opensanctions")
    assert new.source == "entities.delta.json on version 20260101010101-aaa"
    assert new.published_at.date().isoformat() == "2026-01-02"
    assert old.entries == 5


def test_several_deltas_are_applied_in_the_order_of_their_editions(loaded, tmp_path):
    later = lines(tmp_path / "20260103010101-ccc" / "d.json", op("DEL", {"id": "Q-9"}))
    sooner = lines(tmp_path / "20260102010101-bbb" / "d.json", op("ADD", entity(9, "Fen Hua")))

    report = load_delta(loaded, "opensanctions", [later, sooner])

    assert (report.unchanged, "Q-9" in entries(loaded)) == (True, False)


def test_a_passport_in_a_delta_reaches_its_holder(loaded, tmp_path):
    passport = {
        "id": "P-2",
        "schema": "Passport",
        "properties": {"holder": ["Q-1", "Q-9"], "number": ["ZZ7654321"]},
    }
    delta = lines(tmp_path / "d.json", op("ADD", passport), op("ADD", entity(9, "Fen Hua")))

    load_delta(loaded, "opensanctions", [delta])

    for entry_id in ("Q-1", "Q-9"):
        assert [each.value for each in entries(loaded)[entry_id].identifiers] == ["ZZ7654321"]


def test_who_is_a_target_no_longer_leaves_the_list(loaded, tmp_path):
    delta = lines(tmp_path / "d.json", op("MOD", {**entity(0, "Amara Oduya"), "target": False}))

    report = load_delta(loaded, "opensanctions", [delta])

    assert (report.removed, "Q-0" in entries(loaded)) == (1, False)


@pytest.mark.parametrize("folder", ["20260102010101-bbb", "somewhere"])
def test_a_delta_that_was_applied_changes_nothing(loaded, tmp_path, folder):
    delta = lines(
        tmp_path / folder / "entities.delta.json",
        op("ADD", entity(9, "Fen Hua")),
        op("MOD", entity(0, "Amara Oduya-Lind")),
        op("DEL", {"id": "Q-4"}),
    )
    load_delta(loaded, "opensanctions", [delta])
    before = entries(loaded)

    report = load_delta(loaded, "opensanctions", [delta])

    assert report.unchanged
    assert entries(loaded) == before
    with loaded.transaction() as tx:
        assert len(store.list_versions(tx, "opensanctions")) == 2


def test_an_empty_delta_changes_nothing(loaded, tmp_path):
    assert load_delta(loaded, "opensanctions", [lines(tmp_path / "d.json")]).unchanged


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([op("ADD", entity(0, "Somebody Else"))], r"d\.json, line 1: this adds an entry that is"),
        ([op("MOD", entity(8, "Gil Oyelaran"))], "1 of the 1 entries that the delta modifies"),
        ([op("DEL", {"id": "Q-1"}), op("PUT", entity(8, "A B"))], r"d\.json, line 2: this is not"),
        ([op("ADD", {"id": "Q-8"})], r"d\.json, line 1: this operation has no entity"),
        ([op("DEL", {"id": f"Q-{n}"}) for n in range(2)], "more than a fifth is gone"),
        ([op("DEL", {"id": f"Q-{n}"}) for n in range(5)], "not one entry"),
    ],
)
def test_a_delta_that_does_not_fit_leaves_the_list_as_it_was(loaded, tmp_path, records, told):
    before = entries(loaded)

    with pytest.raises(WatchlistRejected, match=told):
        load_delta(loaded, "opensanctions", [lines(tmp_path / "d.json", *records)])

    assert entries(loaded) == before
    assert in_force(loaded) == "20260101010101-aaa"


def test_a_delta_cut_short_is_refused_by_line(loaded, tmp_path):
    delta = lines(tmp_path / "d.json", op("DEL", {"id": "Q-1"}), op("DEL", {"id": "Q-2"}))
    delta.write_bytes(delta.read_bytes()[:-10])

    with pytest.raises(WatchlistRejected, match=r"d\.json, line 2"):
        load_delta(loaded, "opensanctions", [delta])


def test_a_delta_older_than_the_version_in_force_is_refused(loaded, tmp_path):
    delta = lines(tmp_path / "20251231010101-zzz" / "d.json", op("ADD", entity(9, "Fen Hua")))

    with pytest.raises(WatchlistRejected, match="not newer than the version in force"):
        load_delta(loaded, "opensanctions", [delta])


def test_a_delta_of_a_named_base_changes_no_other(loaded, tmp_path):
    delta = lines(tmp_path / "d.json", op("ADD", entity(9, "Fen Hua")))

    with pytest.raises(WatchlistRejected, match="is '20260101010101-aaa', and not 'another'"):
        load_delta(loaded, "opensanctions", [delta], base="another")

    assert load_delta(loaded, "opensanctions", [delta], base="20260101010101-aaa").added == 1


def test_a_delta_needs_a_list_read_from_the_same_format(database, tmp_path):
    delta = lines(tmp_path / "d.json", op("ADD", entity(9, "Fen Hua")))
    with pytest.raises(WatchlistRejected, match=r"load entities\.ftm\.json first"):
        load_delta(database, "internal", [delta])
    load_list(database, "internal", lines(tmp_path / "p.jsonl", {"id": "1", "name": "Chen Daiyu"}))

    with pytest.raises(WatchlistRejected, match="was read from the format 'plain'"):
        load_delta(database, "internal", [delta])


def test_a_version_loaded_while_a_delta_is_applied_is_not_lost(loaded, tmp_path, monkeypatch):
    delta = lines(tmp_path / "d.json", op("ADD", entity(9, "Fen Hua")))
    people = [entity(number, name) for number, name in enumerate((*PEOPLE, "Fen Hua"))]
    whole = lines(tmp_path / "whole.ftm.json", *people)
    put = module.put_in_force

    def put_later(*args, **options):
        load_list(loaded, "opensanctions", whole, version="the whole")
        return put(*args, **options)

    monkeypatch.setattr(module, "put_in_force", put_later)
    with pytest.raises(WatchlistRejected, match="another version has been loaded meanwhile"):
        load_delta(loaded, "opensanctions", [delta])

    assert in_force(loaded) == "the whole"


def test_the_real_deltas_follow_one_another(database, shared_data, tmp_path):
    folder = shared_data / "watchlists" / "opensanctions"
    load_list(database, "opensanctions", folder / "entities.ftm.json", version="20240527014702-old")
    deltas = sorted((folder / "delta").glob("*/entities.delta.json"))

    reports = [load_delta(database, "opensanctions", [delta]) for delta in deltas]

    told = [(r.entries, r.added, r.removed, r.changed, r.unchanged) for r in reports]
    assert told == [
        (14, 0, 0, 0, True),
        (16, 2, 0, 0, False),
        (17, 1, 0, 1, False),
        (16, 0, 1, 0, False),
        (17, 1, 0, 0, False),
    ]
    assert in_force(database) == "20240528134729-3iv"
    found = entries(database)
    assert found["Q4365364"].birth_dates == ("1961-11-30",)
    assert found["NK-2T3S8Hu29ktYnKSTgQp2wL"].name == "Foobar Foobargroup"
    assert "NK-500Poltergeist" not in found
