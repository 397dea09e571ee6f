"""Each published format, in small files of our own: what is read, and what is refused by line."""

from __future__ import annotations

import json

import pytest

from app.cli.lists import FORMATS
from app.errors import WatchlistRejected
from app.screening.lists import csl, eu, ftm, ofac, senzing, targets, uk
from app.screening.lists.detect import detect
from app.screening.lists.ofac_documents import identifier
from app.screening.lists.readers import READERS
from app.screening.model import EntityType, Identifier
from tests.unit.screening.test_readers import written

_BOMB = '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'


def test_the_command_line_offers_every_format():
    assert set(READERS) == set(FORMATS)


# -- ofac, as XML --------------------------------------------------------------------------------

_SDN_XML = """<?xml version="1.0" standalone="yes"?>
<sdnList xmlns="http://tempuri.org/sdnList.xsd">
<publshInformation><Publish_Date>04/22/2020</Publish_Date></publshInformation>
<sdnEntry><uid>7</uid><firstName>Karim</firstName><lastName>HADDAD</lastName>
<sdnType>Individual</sdnType><programList><program>SDGT</program><program>IFSR</program>
</programList><idList>
<id><idType>Passport</idType><idNumber>0877677</idNumber><idCountry>Lebanon</idCountry></id>
<id><idType>Gender</idType><idNumber>Male</idNumber></id>
<id><idType>Additional Sanctions Information -</idType><idNumber>See E.O. 13224</idNumber></id>
</idList><akaList>
<aka><type>a.k.a.</type><category>strong</category><lastName>HADAD</lastName>
<firstName>K.</firstName></aka>
<aka><type>a.k.a.</type><category>weak</category><lastName>ABU ALI</lastName></aka></akaList>
<addressList><address><country>Syria</country></address></addressList>
<nationalityList><nationality><country>Lebanon</country></nationality></nationalityList>
<dateOfBirthList><dateOfBirthItem><dateOfBirth>circa 1965</dateOfBirth></dateOfBirthItem>
<dateOfBirthItem><dateOfBirth>01 Jan 1970 to 31 Dec 1971</dateOfBirth></dateOfBirthItem>
</dateOfBirthList></sdnEntry>
<sdnEntry><uid>9</uid><lastName>SONIA I</lastName><sdnType>Vessel</sdnType><idList>
<id><idType>Vessel Registration Identification</idType><idNumber>IMO 9357365</idNumber></id>
</idList><akaList><aka><type>f.k.a.</type><category>weak</category><lastName>ALPHA</lastName></aka>
</akaList><vesselInfo><callSign>9HNY9</callSign><vesselFlag>Panama</vesselFlag></vesselInfo>
</sdnEntry></sdnList>
"""


def test_ofac_reads_its_xml_as_it_reads_its_delimited_files(tmp_path):
    paths = written(tmp_path, sdn_xml=_SDN_XML)

    person, ship = ofac.read(paths)

    assert (person.id, person.name) == ("ofac-7", "HADDAD, Karim")
    assert (person.aliases, person.weak_aliases) == (("HADAD, K.",), ("ABU ALI",))
    assert person.birth_dates == ("1965", "1970", "1971")
    assert person.countries == ("LB",)
    assert person.identifiers == (Identifier("Passport", "0877677"),)
    assert person.programs == ("SDGT", "IFSR")
    assert (ship.entity_type, ship.aliases, ship.weak_aliases) == (
        EntityType.VESSEL,
        ("ALPHA",),
        (),
    )
    assert ship.countries == ("PA",)
    assert {each.value for each in ship.identifiers} == {"IMO 9357365", "9HNY9"}
    assert ofac.published(paths).date().isoformat() == "2020-04-22"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_SDN_XML[:700], r"sdn\.xml, line \d+: this is not well-formed XML"),
        (_SDN_XML.encode().replace(b"HADDAD", b"HAD\xffDAD"), "line 4: this is not well-formed"),
        (_SDN_XML.encode().replace(b"HADDAD", b"HAD\x01DAD"), "line 4: this is not well-formed"),
        (_SDN_XML.replace("1.0", '1.0" encoding="klingon'), "XML"),
        (_BOMB + "<sdnList>&b;</sdnList>", "declares entities or a document type"),
        ('<!DOCTYPE sdnList SYSTEM "http://127.0.0.1/x.dtd"><sdnList/>', "declares entities"),
        ("<Sanctions><a/></Sanctions>", "line 1: OFAC's XML begins with sdnList"),
        (_SDN_XML.replace("<uid>9</uid>", ""), "sdnEntry number 2 has no uid or no name"),
        ("", "line 1: this is not well-formed"),
    ],
)
def test_ofac_refuses_xml_that_is_broken_or_hostile(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told) as refused:
        list(ofac.read(written(tmp_path, sdn_xml=content)))

    assert "HAD" not in str(refused.value)


def test_ofac_is_loaded_from_one_of_its_forms(tmp_path):
    with pytest.raises(WatchlistRejected, match="not from several"):
        list(ofac.read(written(tmp_path, sdn_xml=_SDN_XML, alt_csv="")))


@pytest.mark.parametrize(
    ("kind", "number", "known"),
    [
        ("Passport", "A123456", Identifier("Passport", "A123456")),
        ("RUC #", "991715-1-534344", Identifier("RUC", "991715-1-534344")),
        ("Gender", "Male", None),
        ("Passport", "unknown", None),
        ("Aircraft Manufacture Date", "17 May 1988", None),
        ("Effective Date (CMIC)", "02 Aug 2021", None),
        ("Secondary sanctions risk:", "section 1(b) of Executive Order 13224", None),
        ("Executive Order 14024 Directive Information -", "Directive 1a", None),
        ("Phone Number", "9647800000000", None),
    ],
)
def test_what_ofac_files_under_identification_is_kept_if_it_identifies(kind, number, known):
    assert identifier(kind, number) == known


# -- csl -----------------------------------------------------------------------------------------

_CSL_HEAD = (
    "_id,source,entity_number,type,programs,name,addresses,call_sign,vessel_flag,source_list_url,"
    "alt_names,citizenships,dates_of_birth,nationalities,ids"
)
_SDN = "Specially Designated Nationals (SDN) - Treasury Department"
_SSI = "Sectoral Sanctions Identifications List (SSI) - Treasury Department"
_CSL = f'''{_CSL_HEAD}
7,{_SDN},7,Individual,SDGT; IFSR,"HADDAD, Karim","Basrah, IQ",,,https://example.org/sdn,\
"HADAD, K.; ""ABU ALI""",SY,circa 1965; 1970 to 1971,LB,\
"TN, 1997-09-20, 1990-10-24, G737411, Passport; Male, Gender; www.example.org, Website"
9,{_SSI},9,Entity,UKRAINE,"SOME
BANK, OJSC","1 Street, Minsk, BY; Building 5, 33143",,,,SOME BANK,,,,"BY, 7750004150, Tax ID No."
9,{_SDN},9,Entity,RUSSIA,"SOME BANK, OJSC","1 Street, Minsk, BY",,,,SB BANK,,,,"SB01BY2X, SWIFT/BIC"
11,{_SDN},11,Vessel,IRAN,SONIA I,,9HNY9,Panama,,,,,,\
"IMO 9357365, Vessel Registration Identification"
a1,Denied Persons List (DPL) - Bureau of Industry and Security,,,,GIL OYELARAN,,,,,,,,,
a2,Entity List (EL) - Bureau of Industry and Security,,,,Sevenhill Institute (SHI),,,,,,,,,
a4,Entity List (EL) - Bureau of Industry and Security,,,,Gil (Gilbert) Oyelaran,,,,,,,,,
a5,Entity List (EL) - Bureau of Industry and Security,,,,Ministry of Weather,,,,,,,,,
a3,Unverified List (UVL) - Bureau of Industry and Security,,,,Alma Photonics,,,,,,,,,
'''


def test_csl_joins_the_rows_of_one_entry_and_guesses_what_is_not_said(tmp_path):
    found = {entry.id: entry for entry in csl.read(written(tmp_path, csl_csv="\ufeff" + _CSL))}

    person, bank, ship = found["csl-7"], found["csl-9"], found["csl-11"]
    assert (person.aliases, person.weak_aliases) == (("HADAD, K.",), ("ABU ALI",))
    assert person.birth_dates == ("1965", "1970", "1971")
    assert person.countries == ("LB", "SY")
    assert person.identifiers == (Identifier("Passport", "G737411"),)
    assert person.programs == ("SDN", "SDGT", "IFSR")
    assert person.source_url == "https://example.org/sdn"
    assert (bank.name, bank.aliases) == ("SOME BANK, OJSC", ("SOME BANK", "SB BANK"))
    assert bank.countries == ("BY",)
    assert bank.programs == ("SSI", "SDN", "UKRAINE", "RUSSIA")
    assert {each.value for each in bank.identifiers} == {"7750004150", "SB01BY2X"}
    assert (ship.entity_type, ship.countries) == (EntityType.VESSEL, ("PA",))
    assert {each.value for each in ship.identifiers} == {"IMO 9357365", "9HNY9"}
    assert found["csl-a1"].entity_type is EntityType.PERSON
    assert found["csl-a4"].entity_type is EntityType.PERSON
    for organisation in ("csl-a2", "csl-a5"):
        assert found[organisation].entity_type is EntityType.ORGANISATION
    assert found["csl-a3"].entity_type is EntityType.ORGANISATION


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_CSL[:-40], r"csl\.csv, line 11: this row has \d+ cells and the header 15"),
        (_CSL[: _CSL.index("BANK, OJSC") + 3], "a quote is left open or the file is cut short"),
        (_CSL_HEAD + "\n,x,,,,A B" + "," * 9 + "\n", "line 2: this row has no _id or no name"),
        ("<html>\n<body>\n</body>\n", "line 1: the Consolidated Screening List begins with"),
        ("", "line 1: the Consolidated Screening List begins with"),
        (_CSL.encode().replace(b"GIL", b"G\xffL"), "line 7: this line is not UTF-8"),
    ],
)
def test_csl_refuses_what_is_not_its_list(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(csl.read(written(tmp_path, csl_csv=content)))


# -- eu ------------------------------------------------------------------------------------------

_EU = """<?xml version="1.0" encoding="UTF-8"?>
<export xmlns="http://eu.europa.ec/fpi/fsd/export" generationDate="2026-04-15T15:29:22.497+02:00">
<sanctionEntity euReferenceNumber="EU.1.2" logicalId="5"><regulation programme="TAQA">
<publicationUrl>https://example.org/L97</publicationUrl></regulation>
<subjectType code="person" classificationCode="P"/>
<nameAlias wholeName="Karim Haddad" strong="true"/>
<nameAlias firstName="K." middleName="" lastName="Hadad" wholeName="" strong="true"/>
<nameAlias wholeName="Abu Ali" strong="false"/>
<nameAlias wholeName="Abu Omar" strong="true"><remark>Low quality alias</remark></nameAlias>
<citizenship countryIso2Code="LB" countryDescription="LEBANON"/>
<citizenship countryIso2Code="00" countryDescription="UNKNOWN"/>
<birthdate circa="false" calendarType="GREGORIAN" birthdate="1965-12-12" year="1965"/>
<birthdate circa="true" calendarType="GREGORIAN" birthdate="1967-01-01" year="1967"/>
<birthdate circa="false" calendarType="GREGORIAN" monthOfYear="3" year="1968"/>
<birthdate circa="false" calendarType="GREGORIAN" yearRangeFrom="1970" yearRangeTo="1971"/>
<birthdate circa="false" calendarType="ISLAMIC" year="1954"/>
<address countryIso2Code="SY"/>
<identification number="A0488555" identificationTypeDescription="National passport"/>
<identification number="A0488556" knownFalse="true" identificationTypeDescription="Passport"/>
</sanctionEntity>
<sanctionEntity euReferenceNumber="EU.1.3" logicalId="6">
<subjectType code="enterprise" classificationCode="E"/>
<nameAlias wholeName="Some Front" strong="true"/><address countryIso2Code="UG"/></sanctionEntity>
<sanctionEntity euReferenceNumber="EU.1.3" logicalId="7">
<subjectType code="enterprise"/><nameAlias wholeName="Other Front" strong="true"/></sanctionEntity>
</export>
"""


def test_eu_reads_people_and_organisations(tmp_path):
    paths = written(tmp_path, eu_xml=_EU)

    person, front, other = eu.read(paths)

    assert (person.id, person.name, person.aliases) == ("eu-EU.1.2", "Karim Haddad", ("K. Hadad",))
    assert person.weak_aliases == ("Abu Ali", "Abu Omar")
    assert person.birth_dates == ("1965-12-12", "1967", "1968-03", "1970", "1971")
    assert person.countries == ("LB",)
    assert person.identifiers == (Identifier("National passport", "A0488555"),)
    assert (person.programs, person.source_url) == (("TAQA",), "https://example.org/L97")
    assert (front.entity_type, front.countries) == (EntityType.ORGANISATION, ("UG",))
    # One number on two entries: neither may be lost.
    assert (other.id, other.entity_type) == ("eu-EU.1.3~2", EntityType.ORGANISATION)
    assert eu.published(paths).date().isoformat() == "2026-04-15"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_EU[:900], "not well-formed XML"),
        (_EU.encode().replace(b"Abu Omar", b"Abu \xe9mar"), "line 9: this is not well-formed"),
        (_BOMB + "<export>&b;</export>", "declares entities"),
        ("<html/>", "line 1: the EU's list begins with export"),
        (_EU.replace("Some Front", ""), "sanctionEntity number 2 has no reference or no name"),
    ],
)
def test_eu_refuses_xml_that_is_broken_or_hostile(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(eu.read(written(tmp_path, eu_xml=content)))


# -- uk ------------------------------------------------------------------------------------------

_UKSL_HEAD = (
    "Last Updated,Unique ID,Name 6,Name 1,Name 2,Name 3,Name 4,Name 5,Name type,Alias strength,"
    "Name non-latin script,Regime Name,Designation Type,Address Country,D.O.B,Nationality(/ies),"
    "National Identifier number,Passport number,Business registration number (s),IMO number,"
    "Current believed flag of ship"
)
_UKSL = f"""Report Date: 09-Jan-2026
{_UKSL_HEAD}
,AQD0001,HADDAD,Karim,,,,,Primary name,,كريم حداد,Al-Qaida,Individual,Iraq,dd/mm/1965,\
(1) Syria (2) Lebanese,,(1) A0123456 (Syrian) (2) B7654321,,,
,SHP0001,SONIA I,,,,,,Primary Name,,,Russia,Ship,,,,,,,9357365,Panama
,AQD0001,HADAD,K.,,,,,Alias,Good quality,,Al-Qaida,Individual,,00/03/1966,,,,,,
,AQD0001,ABU ALI,,,,,,Alias,Low quality,,Al-Qaida,Individual,,05/06/1967,,,,,,
,ENT0001,SOME FRONT,,,,,,Primary Name Variation,,,Russia,Entity,"Uganda",,,,,44556677,,
"""


def test_uk_gathers_the_rows_of_one_subject_wherever_they_stand(tmp_path):
    paths = written(tmp_path, uk_csv="\ufeff" + _UKSL)

    person, ship, front = uk.read(paths)

    assert (person.id, person.name) == ("uk-AQD0001", "Karim HADDAD")
    assert (person.aliases, person.weak_aliases) == (("كريم حداد", "K. HADAD"), ("ABU ALI",))
    assert person.birth_dates == ("1965", "1966-03", "1967-06-05")
    assert person.countries == ("SY", "LB")
    assert [each.value for each in person.identifiers] == ["A0123456", "B7654321"]
    assert person.programs == ("Al-Qaida",)
    assert (ship.entity_type, ship.countries) == (EntityType.VESSEL, ("PA",))
    assert ship.identifiers == (Identifier("IMO", "9357365"),)
    assert (front.name, front.entity_type) == ("SOME FRONT", EntityType.ORGANISATION)
    assert front.countries == ("UG",)
    assert uk.published(paths).date().isoformat() == "2026-01-09"


def test_uk_reads_the_list_of_hm_treasury_too(tmp_path):
    paths = written(
        tmp_path,
        uk_csv="Last Updated,27/04/2020,,,,,,,,,,,\n"
        "Name 6,Name 1,Name 2,Name 3,Name 4,Name 5,DOB,Nationality,Group Type,Alias Type,"
        "Alias Quality,Regime,Group ID\n"
        "HADDAD,Karim,,,,,10/00/1983,Lebanon,Individual,AKA,,Syria,77\n"
        "HADDAD,Abdul Karim,,,,,24/06/1964,,Individual,Prime Alias,,Syria,77\n",
    )

    (person,) = uk.read(paths)

    assert (person.id, person.name, person.aliases) == (
        "uk-77",
        "Abdul Karim HADDAD",
        ("Karim HADDAD",),
    )
    assert person.birth_dates == ("1983", "1964-06-24")
    assert uk.published(paths).date().isoformat() == "2020-04-27"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_UKSL[:-10], r"uk\.csv, line 7: this row has \d+ cells and the header 21"),
        (_UKSL.replace("Ship", "Submarine"), "line 4: this row has no number of a subject, or"),
        (_UKSL.replace("SONIA I", ""), "line 4: this row has no name"),
        ("We moved.\n" * 9, "line 1: the UK's list begins with the names of its columns"),
    ],
)
def test_uk_refuses_what_is_not_its_list(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(uk.read(written(tmp_path, uk_csv=content)))


# -- opensanctions -------------------------------------------------------------------------------

_TARGETS_HEAD = (
    '"id","schema","name","aliases","birth_date","countries","identifiers","program_ids"'
)
_TARGETS = f'''{_TARGETS_HEAD}
"Q-1","Person","Karim Haddad","K. Hadad;""Haddad; the Elder""","1965;1970-03","lb;sy",\
"A0123456","XX-1;XX-2"
"Q-2","Vessel","Sonia I","","","pa","IMO9357365;9HNY9",""
"Q-3","LegalEntity","Some ""Front""","","","","",""
"Q-4","Security","A Bond","","","","",""
'''


def test_targets_reads_every_row_that_is_somebody(tmp_path):
    person, ship, front = targets.read(written(tmp_path, targets_csv=_TARGETS))

    assert person.aliases == ("K. Hadad", "Haddad; the Elder")
    assert person.birth_dates == ("1965", "1970-03")
    assert person.countries == ("LB", "SY")
    assert person.programs == ("XX-1", "XX-2")
    assert person.source_url == "https://www.opensanctions.org/entities/Q-1/"
    assert ship.entity_type is EntityType.VESSEL
    assert ship.identifiers == (Identifier("IMO", "IMO9357365"), Identifier("unknown", "9HNY9"))
    assert (front.name, front.entity_type) == ('Some "Front"', EntityType.ORGANISATION)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_TARGETS[:-20], "a quote is left open or the file is cut short"),
        (_TARGETS.replace('"Q-2"', '""'), "line 3: this row has no id or no name"),
        (_TARGETS.replace('"schema"', '"kind"'), "line 1: targets.simple.csv begins with"),
    ],
)
def test_targets_refuses_what_is_not_its_list(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(targets.read(written(tmp_path, targets_csv=content)))


def _line(entity_id: str, schema: str, target: bool = False, **properties: list[str]) -> str:
    caption = properties.get("name", [schema])[0]
    body = {"id": entity_id, "caption": caption, "schema": schema, "target": target}
    return json.dumps({**body, "properties": properties, "datasets": ["xx_test"]}) + "\n"


_FTM = (
    _line("P-1", "Passport", holder=["Q-1"], number=["A0123456"])
    + _line(
        *("Q-1", "Person", True),
        name=["Karim Haddad", "كريم حداد"],
        alias=["K. Hadad"],
        weakAlias=["Abu Ali"],
        birthDate=["1965"],
        nationality=["lb"],
        addressEntity=["addr-1"],
        idNumber=["77665544"],
        programId=["XX-1"],
    )
    + "\n"
    + _line("Q-2", "Company", True, name=["Some Front"], addressEntity=["addr-1"], kppCode=["183"])
    + _line("Q-3", "Company", name=["Owned By Somebody Ltd"])
    + _line("Q-4", "Vessel", True, name=["Sonia I"], imoNumber=["IMO9357365"], flag=["pa"])
    + _line("own-1", "Ownership", owner=["Q-1"], asset=["Q-3"])
    + _line("addr-1", "Address", country=["ug"], full=["1 Street"])
    + _line("P-2", "Identification", holder=["Q-1", "Q-9"], number=["ID998877"])
    + _line("W-1", "CryptoWallet", True, holder=["Q-1"], publicKey=["bc1q9zexample0"])
)


def test_ftm_makes_entries_of_targets_and_of_what_hangs_on_them(tmp_path):
    person, front, ship = ftm.read(written(tmp_path, ftm_json=_FTM))

    assert (person.aliases, person.weak_aliases) == (("كريم حداد", "K. Hadad"), ("Abu Ali",))
    assert (person.birth_dates, person.countries) == (("1965",), ("LB",))
    assert person.identifiers == (
        Identifier("ID number", "77665544"),
        Identifier("Passport document", "A0123456"),
        Identifier("Identity document", "ID998877"),
        Identifier("Crypto wallet", "bc1q9zexample0"),
    )
    assert person.programs == ("XX-1",)
    # A company that says no country sits where its address is; a KPP is shared by many.
    assert (front.countries, front.identifiers) == (("UG",), ())
    assert (ship.entity_type, ship.countries) == (EntityType.VESSEL, ("PA",))
    assert ship.identifiers == (Identifier("IMO", "IMO9357365"),)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_FTM[:-20], r"ftm\.json, line 10: this is not a JSON object"),
        ("[1]\n", "line 1: this is not an entity of entities.ftm.json"),
        ('{"id": "1", "schema": "Person", "properties": {"name": [{"id": "2"}]}}\n', "line 1: "),
        ('{"schema": "Person", "properties": {"name": ["A B"]}}\n', "line 1: this is not an"),
        ('{"id": " ", "schema": "Person", "properties": {"name": ["A B"]}}', "no id or no name"),
        ('{"id": "1", "schema": "Person", "properties": {}}', "line 1: this entity has no id or"),
        (b'{"id": "\xff", "schema": "Person"}\n', "line 1: this line is not UTF-8"),
    ],
)
def test_ftm_refuses_what_is_not_its_list(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told) as refused:
        list(ftm.read(written(tmp_path, ftm_json=content)))

    assert "A B" not in str(refused.value)


# -- senzing -------------------------------------------------------------------------------------

_SENZING = (
    '{"DATA_SOURCE": "XX_TEST", "RECORD_ID": "Q-1", "RECORD_TYPE": "PERSON",'
    ' "NAMES": [{"NAME_TYPE": "ALIAS", "NAME_FULL": "K. Hadad"},'
    ' {"NAME_TYPE": "PRIMARY", "NAME_FIRST": "Karim", "NAME_LAST": "Haddad"}],'
    ' "DATES": [{"DATE_OF_BIRTH": "1965"}, {"DATE_OF_DEATH": "2001"}],'
    ' "COUNTRIES": [{"NATIONALITY": "lb"}], "RISKS": [{"TOPIC": "role.pep"}],'
    ' "IDENTIFIERS": [{"OTHER_ID_TYPE": "OPEN_SANCTIONS", "OTHER_ID_NUMBER": "Q-1"},'
    ' {"PASSPORT_NUMBER": "A0123456"}, {"TRUSTED_ID_TYPE": "LEI", "TRUSTED_ID_NUMBER": "529900"}],'
    ' "URL": "https://example.org/Q-1"}\n'
    '{"DATA_SOURCE": "XX_TEST", "RECORD_ID": "O-1", "RECORD_TYPE": null,'
    ' "NAMES": [{"NAME_FULL": "The office of somebody"}]}\n'
    '{"DATA_SOURCE": "XX_TEST", "RECORD_ID": 7, "NAME_ORG": "Some Front Ltd",'
    ' "FEATURES": [{"REGISTRATION_COUNTRY": "UG"}, {"TAX_ID_NUMBER": 12345678}]}\n'
)


def test_senzing_reads_features_wherever_they_stand(tmp_path):
    person, front = senzing.read(written(tmp_path, senzing_json=_SENZING))

    assert (person.id, person.name, person.aliases) == ("Q-1", "Karim Haddad", ("K. Hadad",))
    assert (person.birth_dates, person.countries) == (("1965",), ("LB",))
    assert person.identifiers == (Identifier("Passport", "A0123456"), Identifier("LEI", "529900"))
    assert person.programs == ("role.pep", "XX_TEST")
    assert (front.id, front.entity_type) == ("7", EntityType.ORGANISATION)
    assert (front.countries, front.identifiers) == (
        ("UG",),
        (Identifier("Tax number", "12345678"),),
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (_SENZING[:-9], r"senzing\.json, line 3: this is not a JSON object"),
        ('{"RECORD_ID": "1", "RECORD_TYPE": "PERSON"}\n', "line 1: this record has no RECORD_ID"),
        ('["RECORD_ID"]\n', "line 1: this is not a JSON object"),
    ],
)
def test_senzing_refuses_what_is_not_its_list(tmp_path, content, told):
    with pytest.raises(WatchlistRejected, match=told):
        list(senzing.read(written(tmp_path, senzing_json=content)))


# -- recognising ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "known"),
    [
        (_SDN_XML, "ofac"),
        (_CSL, "csl"),
        ("\ufeff" + _EU, "eu"),
        (_UKSL, "uk"),
        (_TARGETS, "targets"),
        (_FTM, "ftm"),
        (_SENZING, "senzing"),
        ('{"id": "1", "name": "A B"}\n', None),
        ("id,name\n1,A B\n", None),
        ("<html><sdnList/></html>", None),
        ("", None),
    ],
)
def test_a_format_is_recognised_by_how_a_file_begins(tmp_path, content, known):
    assert detect(written(tmp_path, some_file=content)) == known
