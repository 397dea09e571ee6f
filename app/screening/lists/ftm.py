"""FollowTheMoney entities, one JSON object on each line: OpenSanctions' `entities.ftm.json`.

The file is a graph. Its targets become entries; what hangs on them (passports, wallets, addresses)
stands anywhere in the file, so it is read twice: first for the numbers and the countries that
hang on somebody, which is all that is kept, then for the targets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from app.screening.countries import country_code, country_codes
from app.screening.dates import parse_dates
from app.screening.lists.reading import clean, distinct, json_lines, rejected
from app.screening.model import EntityType, Entry, Identifier

#: The schemata that can be somebody on a list. A legal entity may be a person too; nearly all
#: are organisations.
SUBJECTS = {
    "Person": EntityType.PERSON,
    "LegalEntity": EntityType.ORGANISATION,
    "Organization": EntityType.ORGANISATION,
    "Company": EntityType.ORGANISATION,
    "PublicBody": EntityType.ORGANISATION,
    "Vessel": EntityType.VESSEL,
    "Airplane": EntityType.AIRCRAFT,
}

#: Properties that tell who somebody is, and what we call them. KPP codes are left out: thousands
#: of companies registered at one tax office share one, and an equal number is a match.
_NUMBERS = {
    "passportNumber": "Passport",
    "idNumber": "ID number",
    "socialSecurityNumber": "Social security number",
    "taxNumber": "Tax number",
    "vatCode": "VAT number",
    "innCode": "INN",
    "ogrnCode": "OGRN",
    "okpoCode": "OKPO",
    "registrationNumber": "Registration number",
    "leiCode": "LEI",
    "dunsCode": "D-U-N-S number",
    "uniqueEntityId": "Unique entity ID",
    "uscCode": "USCC",
    "npiCode": "NPI",
    "swiftBic": "SWIFT/BIC",
    "bikCode": "BIK",
    "imoNumber": "IMO",
    "mmsi": "MMSI",
    "callSign": "Call sign",
    "serialNumber": "Serial number",
    "wikidataId": "Wikidata",
}
#: Entities that hold a number of somebody else: where it stands, and what we call it. The names
#: differ from those above: a delta can renew an entity's own numbers and keep these.
_HELD = {
    "Passport": (("number", "passportNumber"), "Passport document"),
    "Identification": (("number", "idNumber"), "Identity document"),
    "CryptoWallet": (("publicKey",), "Crypto wallet"),
}
HELD_TYPES = frozenset(name for _, name in _HELD.values())
_ADDRESS = "Address"

_NAMES = ("name", "alias", "previousName")
_WEAK_NAMES = ("weakAlias", "abbreviation")
_COUNTRIES = {
    EntityType.PERSON: ("nationality", "citizenship", "country"),
    EntityType.ORGANISATION: ("jurisdiction", "mainCountry", "country"),
    EntityType.VESSEL: ("flag", "country"),
    EntityType.AIRCRAFT: ("country",),
}


class Entity(msgspec.Struct):
    """A line of the file; what we have no use for is not even decoded."""

    id: str
    schema: str
    properties: dict[str, list[str]] = {}
    caption: str = ""
    datasets: list[str] = []
    target: bool = True

    @property
    def is_listed(self) -> bool:
        """Whether it becomes an entry: a company that a target owns is not one itself."""
        return self.target and self.schema in SUBJECTS


@dataclass(slots=True)
class Linked:
    """What other lines say of an entity."""

    held: dict[str, list[Identifier]] = field(default_factory=lambda: defaultdict(list))
    #: By the id of the address.
    countries: dict[str, str] = field(default_factory=dict)


class _Head(msgspec.Struct):
    schema: str = ""


_head = msgspec.json.Decoder(_Head)
_whole = msgspec.json.Decoder(Entity)


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    linked = Linked()
    for path in paths:
        for _, entity in _entities(path, {*_HELD, _ADDRESS}):
            link(entity, linked)
    for path in paths:
        for line, entity in _entities(path, SUBJECTS):
            if entity.is_listed:
                entry = entry_of(entity, linked)
                if entry is None:
                    raise rejected(path, line, "this entity has no id or no name.")
                yield entry


def published(paths: Sequence[Path]) -> datetime | None:
    """The file does not say; whoever fetches it knows from the server."""
    return None


def page_of(entry_id: str) -> str:
    """Return where OpenSanctions shows this entity."""
    return f"https://www.opensanctions.org/entities/{entry_id}/"


def link(entity: Entity, linked: Linked) -> None:
    """Keep what this entity says of others: a number, or a country. Most say neither."""
    if entity.schema in _HELD:
        properties, kind = _HELD[entity.schema]
        numbers = distinct(number for each in properties for number in _of(entity, each))
        for holder in _of(entity, "holder"):
            linked.held[holder] += [Identifier(kind, number) for number in numbers]
    elif entity.schema == _ADDRESS and (countries := _of(entity, "country")):
        linked.countries[entity.id] = country_code(countries[0])


def entry_of(entity: Entity, linked: Linked) -> Entry | None:
    """Return the entry that a target is, or None if it has no id or no name to go by."""
    entity_type = SUBJECTS[entity.schema]
    names = distinct([entity.caption, *(name for each in _NAMES for name in _of(entity, each))])
    if not entity.id.strip() or not names:
        return None
    name, aliases = names[0], names[1:]
    weak = (text for each in _WEAK_NAMES for text in _of(entity, each))
    dates = (date for text in _of(entity, "birthDate") for date in parse_dates(text))
    own = (
        Identifier(kind, clean(number))
        for each, kind in _NUMBERS.items()
        for number in _of(entity, each)
    )
    return Entry(
        id=entity.id,
        entity_type=entity_type,
        name=name,
        aliases=aliases,
        weak_aliases=distinct(weak, *names),
        birth_dates=tuple(dict.fromkeys(dates)),
        countries=_countries(entity, entity_type, linked.countries),
        identifiers=tuple(dict.fromkeys([*own, *linked.held.get(entity.id, ())])),
        programs=distinct(_of(entity, "programId") or entity.datasets),
        source_url=page_of(entity.id),
    )


def _countries(
    entity: Entity, entity_type: EntityType, addresses: Mapping[str, str]
) -> tuple[str, ...]:
    """Where people live says little of their nationality; companies may tell nothing else."""
    found = [code for each in _COUNTRIES[entity_type] for code in _of(entity, each)]
    if not found and entity_type is not EntityType.PERSON:
        places = (addresses.get(each) for each in _of(entity, "addressEntity"))
        found = [place for place in places if place]
    return country_codes(found)


def _entities(path: Path, schemata: Container[str]) -> Iterator[tuple[int, Entity]]:
    """Yield (line, entity) of those schemata, and decode no more than the others' schema."""
    for line, raw in json_lines(path, msgspec.json.Decoder(msgspec.Raw)):
        try:
            if _head.decode(raw).schema in schemata:
                yield line, _whole.decode(raw)
        except msgspec.DecodeError as error:
            raise rejected(path, line, _NOT_FTM) from error


_NOT_FTM = (
    "this is not an entity of entities.ftm.json: an object with id, schema and properties, whose"
    " values are lists of texts."
)


def _of(entity: Entity, name: str) -> list[str]:
    return entity.properties.get(name, [])
