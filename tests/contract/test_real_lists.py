"""The lists as their publishers wrote them: how many entries, and what is known of some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.screening.lists.detect import detect
from app.screening.lists.readers import READERS
from app.screening.model import EntityType, Entry

_CONS = tuple(f"ofac/cons_{part}.csv" for part in ("prim", "alt", "add", "comments"))
_SDN_2022 = ("ofac/sdn_202201.csv", "ofac/alt_202201.csv", "ofac/add_202201.csv")

#: Format, files, entries, and of those: people, organisations, vessels, aircraft.
_COUNTS = [
    ("ofac", _SDN_2022, 9044, (4643, 3701, 420, 280)),
    ("ofac", ("ofac/sdn_20230121.csv",), 11443, None),
    ("ofac", _CONS, 442, (79, 363, 0, 0)),
    ("ofac", ("ofac/cons_sample.xml",), 8, (6, 2, 0, 0)),
    ("un", ("un/consolidated_20260227.xml",), 1003, (730, 273, 0, 0)),
    ("csl", ("csl/consolidated.csv",), 14048, None),
    ("eu", ("eu/fsf_sample.xml",), 7, (7, 0, 0, 0)),
    ("uk", ("uk/hmt_conlist_sample.csv",), 6, (6, 0, 0, 0)),
    ("targets", ("opensanctions/targets.simple.csv",), 5600, (1543, 2717, 1340, 0)),
    ("ftm", ("opensanctions/entities.ftm.json",), 14, (6, 8, 0, 0)),
    ("senzing", ("opensanctions/us_congress_senzing.json",), 1317, (1317, 0, 0, 0)),
]


@pytest.fixture(scope="module")
def real(shared_data):
    def read(format: str, *files: str) -> Mapping[str, Entry]:
        found = list(READERS[format].read(_paths(shared_data, *files)))
        entries = {entry.id: entry for entry in found}
        assert len(entries) == len(found)
        return entries

    return read


def _paths(shared_data: Path, *files: str) -> list[Path]:
    return [shared_data / "watchlists" / file for file in files]


@pytest.mark.parametrize(("format", "files", "count", "by_type"), _COUNTS, ids=str)
def test_a_real_list_is_read_whole(real, format, files, count, by_type):
    entries = real(format, *files)

    assert len(entries) == count
    if by_type is not None:
        types = Counter(entry.entity_type for entry in entries.values())
        assert tuple(types[each] for each in EntityType) == by_type


@pytest.mark.parametrize(
    ("files", "known"),
    [
        ("ofac/cons_sample.xml", "ofac"),
        ("un/consolidated_20260227.xml", "un"),
        ("csl/consolidated.csv", "csl"),
        ("eu/fsf_sample.xml", "eu"),
        ("uk/hmt_conlist_sample.csv", "uk"),
        ("opensanctions/targets.simple.csv", "targets"),
        ("opensanctions/entities.ftm.json", "ftm"),
        ("opensanctions/us_congress_senzing.json", "senzing"),
    ],
)
def test_a_real_list_shows_its_format(shared_data, files, known):
    assert detect(_paths(shared_data, files)) == known


def _values(entry: Entry) -> set[str]:
    return {each.value for each in entry.identifiers}


def test_ofac_consolidated_joins_aliases_remarks_and_comments(real):
    entries = real("ofac", *_CONS)

    zahhar = entries["ofac-9647"]
    assert zahhar.birth_dates == ("1945",)
    assert zahhar.aliases == ("AL ZAHAR, Mahmoud Khaled",)
    assert zahhar.weak_aliases == ("ZAHAR, Mahmoud", "AL-ZAHAR, Mahmoud")
    # The remarks of this bank are cut off, and go on in the comments.
    assert "RUSAG" in entries["ofac-17014"].weak_aliases


def test_ofac_xml_tells_what_is_known_of_hafiz_saeed(real):
    saeed = real("ofac", "ofac/cons_sample.xml")["ofac-10689"]

    assert (saeed.name, saeed.birth_dates, saeed.countries) == (
        "SAEED, Muhammad",
        ("1950-06-05",),
        ("PK",),
    )
    assert saeed.weak_aliases == ("HAFIZ SAHIB", "TATA JI")
    assert "BE5978421" in _values(saeed)


def test_csl_tells_what_is_known_of_people_banks_and_ships(real):
    entries = real("csl", "csl/consolidated.csv")

    razek = entries["csl-9935"]
    assert (razek.birth_dates, razek.countries) == (("1962-08-06",), ("CA", "SD"))
    assert "BC166787" in _values(razek)
    # On three lists, and one entry.
    belveb = entries["csl-18291"]
    assert belveb.programs[:3] == ("CAP", "SDN", "SSI")
    assert "BELBBY2X" in _values(belveb)
    assert belveb.countries == ("BY",)
    ship = entries["csl-23156"]
    assert (ship.entity_type, ship.countries) == (EntityType.VESSEL, ("KP",))
    assert "IMO 8898831" in _values(ship)
    # No gender, website or legal ground has become a number that decides.
    assert not {"Male", "Female"} & {v for entry in entries.values() for v in _values(entry)}


def test_eu_tells_what_is_known_of_khalid_shaikh_mohammed(real):
    entries = real("eu", "eu/fsf_sample.xml")

    ksm = entries["eu-EU.3579.2"]
    assert "Khalid Shaikh MOHAMMED" in ksm.aliases
    assert ksm.birth_dates == ("1965-04-14", "1964-03-01")
    assert entries["eu-EU.2026.82"].countries == ("DZ",)
    assert entries["eu-EU.3734.6"].birth_dates == ("1954", "1953")


def test_uk_gathers_rows_and_reads_dates_with_unknown_parts(real):
    entries = real("uk", "uk/hmt_conlist_sample.csv")

    assert entries["uk-13063"].birth_dates == ("1983-07-05", "1983", "1984-04")
    assert entries["uk-11039"].name == "Sang-kuk SO"
    assert entries["uk-11039"].aliases == ("Sang Kuk SO",)
    assert set(entries["uk-11039"].birth_dates) == {str(year) for year in range(1932, 1939)}
    assert entries["uk-9215"].countries == ("PK",)


def test_opensanctions_formats_tell_what_is_known(real):
    targets = real("targets", "opensanctions/targets.simple.csv")
    assert targets["NK-24cf2zYe7LEKhr2zFck73j"].aliases == ("Ceram Sea", "Gold Sun", "Nurkez")
    assert _values(targets["NK-24cf2zYe7LEKhr2zFck73j"]) == {"IMO9253325"}

    graph = real("ftm", "opensanctions/entities.ftm.json")
    osetrova = graph["NK-2Tbri3s6GgNtAwsSXh4qpL"]
    assert (osetrova.birth_dates, osetrova.countries) == (("1988-01-07",), ("RU",))
    assert "183116181362" in _values(osetrova)
    assert "NK-56Edov9bas9puzaChH5pBy" not in graph  # Not a target.

    congress = real("senzing", "opensanctions/us_congress_senzing.json")
    assert congress["Q101428652"].name == "Jasmine Crockett"
    assert congress["Q101428652"].birth_dates == ("1981",)
    assert "Q13218630" not in congress  # The office of a representative is nobody.
