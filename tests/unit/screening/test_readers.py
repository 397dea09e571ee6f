"""Files as publishers write them become entries, or are refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import WatchlistRejected
from app.screening.lists import ofac, plain, un
from app.screening.lists.catalogue import CATALOGUE, find
from app.screening.lists.ofac_remarks import parse_remarks
from app.screening.lists.readers import READERS
from app.screening.model import EntityType, Identifier


def written(folder: Path, **files: str | bytes) -> list[Path]:
    paths = []
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        path = folder / f"{stem}.{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(path)
    return paths


# -- plain ---------------------------------------------------------------------------------------


def test_plain_reads_json_lines_with_every_field(tmp_path):
    paths = written(
        tmp_path,
        list_jsonl='{"id": "a-1", "type": "company", "name": "Acme  Holding", "aliases": ["ACME"],'
        ' "weak_aliases": ["AH"], "countries": ["Iran"], "birth_dates": ["circa 1965"],'
        ' "identifiers": [{"type": "Tax ID", "value": "123 456"}], "programs": ["SDGT] [IRGC"],'
        ' "source_url": "https://example.org/a-1"}\n\n',
    )

    (entry,) = plain.read(paths)

    assert (entry.id, entry.entity_type, entry.name) == (
        "a-1",
        EntityType.ORGANISATION,
        "Acme Holding",
    )
    assert (entry.aliases, entry.weak_aliases) == (("ACME",), ("AH",))
    assert (entry.countries, entry.birth_dates) == (("IR",), ("1965",))
    assert entry.identifiers == (Identifier("Tax ID", "123 456"),)
    assert entry.programs == ("SDGT", "IRGC")
    assert entry.source_url == "https://example.org/a-1"


def test_plain_reads_topics_and_refuses_words_that_are_none(tmp_path):
    content = "id,name,topics\n1,Ann Bell,PEP; crime\n2,Cy Dent,\n3,Eve Fox,gossip\n"
    (path,) = written(tmp_path, **{"list.csv": content})

    (_, first), (_, second), (line, wrong) = plain.read_lines(path)

    assert (first.topics, second.topics) == (("pep", "crime"), ())
    assert line == 4
    assert wrong.startswith("topics must be of: sanction, pep")
    with pytest.raises(WatchlistRejected, match=r"list\.csv, line 4"):
        list(plain.read([path]))


def test_plain_reads_csv_with_several_values_in_a_cell(tmp_path):
    paths = written(
        tmp_path,
        list_csv="\ufeffid,type,name,aliases,identifiers\r\n"
        '1,person,"Haddad, Karim","K. Haddad; Abu Ali","Passport:AB1234567; 998877"\r\n'
        '2,,"Some\nCompany Ltd",,\r\n',
    )

    first, second = plain.read(paths)

    assert first.aliases == ("K. Haddad", "Abu Ali")
    assert first.identifiers == (
        Identifier("Passport", "AB1234567"),
        Identifier("unknown", "998877"),
    )
    assert (second.name, second.entity_type) == ("Some Company Ltd", EntityType.ORGANISATION)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("list_jsonl", '{"id": "1", "name": "A"}\n[1]\n', "line 2: expected a JSON object"),
        ("list_jsonl", '{"id": "1"}\n', "line 1: an entry needs an id and a name"),
        ("list_jsonl", '{"id": "1", "name": 1.5}\n', "line 1: name must be a text"),
        ("list_jsonl", '{"id": "1", "name": "A", "aliases": [1]}', "line 1: aliases must be"),
        ("list_jsonl", '{"id": "1", "name": "A", "type": "robot"}', "line 1: type must be one of"),
        ("list_jsonl", b'{"id": "1", "name": "\xff"}', "line 1: this line is not UTF-8"),
        ("list_jsonl", '{"id":"1","name":"\\ud800"}', "line 1: this is not a JSON object"),
        ("list_jsonl", "[" * 100_000, "line 1: this is not a JSON object"),
        ("list_csv", "number,name\n1,A\n", "line 1: the first line must name the columns"),
        ("list_csv", 'id,name\n1,"A\n', "a quote is left open"),
        ("list_csv", "id,name\n1,A\n2,B,C\n", "line 3: this row has 3 cells and the first line 2"),
    ],
)
def test_plain_refuses_a_broken_file_by_line_and_quotes_nothing_of_it(
    tmp_path, name, content, told
):
    with pytest.raises(WatchlistRejected, match=told) as refused:
        list(plain.read(written(tmp_path, **{name: content})))

    assert "stays in force" in str(refused.value)


# -- ofac ----------------------------------------------------------------------------------------

_SDN = (
    "ent_num,SDN_Name,SDN_Type,Program,Title,Call_Sign,a,b,c,Flag,d,Remarks\r\n"
    '36,"AEROCARIBBEAN AIRLINES",-0- ,"CUBA",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n'
    '7,"HADDAD, Karim","individual","SDGT] [IFSR",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,'
    '"DOB circa 1965; alt. DOB 1970 to 1971; nationality Lebanon; Passport 0877677 (Leb"\r\n'
    '9,"SONIA I","vessel","IRAN",-0- ,"9HNY9",-0- ,-0- ,-0- ,"Panama",-0- ,'
    "\"Vessel Registration Identification IMO 9357365; f.k.a. 'ALPHA'.\"\r\n\x1a\r\n"
)


def test_ofac_joins_what_its_files_say_of_one_entry(tmp_path):
    paths = written(
        tmp_path,
        SDN_CSV=_SDN,
        ALT_CSV='7,1,"aka","HADAD, Karim",-0- \r\n36,12,"aka","AERO-CARIBBEAN",-0- \r\n\x1a',
        ADD_CSV='36,25,-0- ,"Havana","Cuba",-0- \r\n7,26,-0- ,-0- ,"Syria",-0- \r\n\x1a,,,,,\r\n',
        SDN_COMMENTS_CSV="7,\"anon); a.k.a. 'ABU ALI'.\"\r\n",
    )

    airline, person, ship = ofac.read(paths)

    assert (airline.id, airline.entity_type) == ("ofac-36", EntityType.ORGANISATION)
    assert (airline.aliases, airline.countries) == (("AERO-CARIBBEAN",), ("CU",))
    assert person.birth_dates == ("1965", "1970", "1971")
    assert (person.aliases, person.weak_aliases) == (("HADAD, Karim",), ("ABU ALI",))
    assert person.countries == ("LB",)
    assert person.identifiers == (Identifier("Passport", "0877677"),)
    assert person.programs == ("SDGT", "IFSR")
    assert (ship.entity_type, ship.aliases, ship.countries) == (
        EntityType.VESSEL,
        ("ALPHA",),
        ("PA",),
    )
    assert {i.value for i in ship.identifiers} == {"IMO 9357365", "9HNY9"}


def test_ofac_keeps_an_entry_whose_number_stands_twice(tmp_path):
    nothing = ",".join(["-0- "] * 10)
    paths = written(tmp_path, sdn_csv=f"7,A B,{nothing}\n7,C D,{nothing}\n")

    assert [(e.id, e.name) for e in ofac.read(paths)] == [("ofac-7", "A B"), ("ofac-7~2", "C D")]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"sdn_csv": "7,A,-0- \n"}, "sdn.csv, line 1: a row has at least 12 cells"),
        ({"sdn_csv": "<html>\n<body>\n"}, "sdn.csv, line 2: a row begins with the number"),
        ({"alt_csv": "7,1,aka,A,-0- \n"}, "the main file is missing"),
        ({"sdn_csv": "", "sdn_old_csv": ""}, "sdn.csv is of the same kind"),
        ({"list_csv": ""}, "the name must say what it is"),
        ({"sdn_json": "{}"}, "expected a JSON object with a list of entries"),
        ({"sdn_json": '{"entries": [{"name": "A"}]}'}, "entry 1 lacks a uid"),
    ],
)
def test_ofac_refuses_what_is_not_its_list(tmp_path, files, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(ofac.read(written(tmp_path, **files)))


def test_remarks_are_sorted_by_what_they_tell():
    remarks = parse_remarks(
        "DOB 07 Jun 1943; alt. DOB Feb 1943; POB Beirut, Lebanon; alt. citizen United Kingdom;"
        " alt. Passport 0877677 (Venezuela) issued 10 Dec 2001 expires 2004;"
        " National ID No. V-6.919.272 (Venezuela); Passport C234897(0) (United Kingdom);"
        " a.k.a. 'LI, Jiachao'; MMSI 572469210; Digital Currency Address - XBT bc1q9zexample;"
        " Executive Order 13645 Determination; Government Gazette Number 12345;"
        " Linked To: SOME COMPANY 12345."
    )

    assert remarks.birth_dates == ["1943-06-07", "1943-02"]
    assert remarks.countries == ["United Kingdom"]
    assert remarks.weak_aliases == ["LI, Jiachao"]
    assert [(each.type, each.value) for each in remarks.identifiers] == [
        ("Passport", "0877677"),
        ("National ID No.", "V-6.919.272"),
        ("Passport", "C234897(0)"),
        ("MMSI", "572469210"),
        ("Digital Currency Address - XBT", "bc1q9zexample"),
    ]


# -- un ------------------------------------------------------------------------------------------

_UN = """<?xml version="1.0" encoding="UTF-8"?>
<CONSOLIDATED_LIST dateGenerated="2026-02-27T00:00:09.554Z"><INDIVIDUALS><INDIVIDUAL>
<FIRST_NAME>KARIM</FIRST_NAME><SECOND_NAME>HADDAD</SECOND_NAME><UN_LIST_TYPE>DRC</UN_LIST_TYPE>
<REFERENCE_NUMBER>CDi.999</REFERENCE_NUMBER><NATIONALITY><VALUE>Lebanon</VALUE></NATIONALITY>
<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>K. HADAD</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Abu Ali</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS>
<INDIVIDUAL_DATE_OF_BIRTH><DATE>1970-05-06</DATE></INDIVIDUAL_DATE_OF_BIRTH>
<INDIVIDUAL_DATE_OF_BIRTH><FROM_YEAR>1971</FROM_YEAR><TO_YEAR>1972</TO_YEAR>
</INDIVIDUAL_DATE_OF_BIRTH>
<INDIVIDUAL_DOCUMENT><TYPE_OF_DOCUMENT>Passport</TYPE_OF_DOCUMENT><NUMBER>X123456</NUMBER>
</INDIVIDUAL_DOCUMENT><INDIVIDUAL_DOCUMENT/></INDIVIDUAL></INDIVIDUALS><ENTITIES><ENTITY>
<FIRST_NAME>SOME FRONT</FIRST_NAME><REFERENCE_NUMBER>CDe.998</REFERENCE_NUMBER>
<ENTITY_ADDRESS><COUNTRY>Uganda</COUNTRY></ENTITY_ADDRESS></ENTITY></ENTITIES>
</CONSOLIDATED_LIST>
"""


def test_un_reads_people_and_organisations(tmp_path):
    paths = written(tmp_path, un_xml=_UN)

    person, front = un.read(paths)

    assert (person.id, person.name, person.countries) == ("un-CDi.999", "KARIM HADDAD", ("LB",))
    assert (person.aliases, person.weak_aliases) == (("K. HADAD",), ("Abu Ali",))
    assert person.birth_dates == ("1970-05-06", "1971", "1972")
    assert person.identifiers == (Identifier("Passport", "X123456"),)
    assert (front.entity_type, front.countries) == (EntityType.ORGANISATION, ("UG",))
    assert un.published(paths).date().isoformat() == "2026-02-27"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_UN[:900], "not well-formed XML"),
        (_UN.encode().replace(b"HADDAD", b"HAD\x01DAD"), "line 3: this is not well-formed"),
        ("<html></html>", "line 1: a UN list begins with CONSOLIDATED_LIST"),
        (
            '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><CONSOLIDATED_LIST>&b;'
            "</CONSOLIDATED_LIST>",
            "declares entities",
        ),
    ],
)
def test_un_refuses_xml_that_is_broken_or_hostile(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(un.read(written(tmp_path, un_xml=content)))


# -- catalogue -----------------------------------------------------------------------------------


def test_every_known_list_has_a_reader_and_whoever_is_fetched_is_fetched_securely():
    assert {known.format for known in CATALOGUE} <= set(READERS)
    assert len({known.name for known in CATALOGUE}) == len(CATALOGUE)
    assert all(address.startswith("https://") for k in CATALOGUE for address in k.addresses)
    assert len(find("ofac").addresses) == 4
    fetched = {known.name for known in CATALOGUE if known.addresses}
    assert fetched == {
        *("ofac", "ofac_cons", "un", "eu", "uk", "us_csl"),
        *("opensanctions", "opensanctions_default"),
    }
    assert {other for known in CATALOGUE for other in known.also} <= set(READERS)
    assert all("CC BY-NC" in k.title for k in CATALOGUE if k.format == "ftm")
    assert find("nobody") is None
