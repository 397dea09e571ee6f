"""The lists whose names Muster knows: what they are, and where their publishers put them.

A list without an address here cannot be fetched, but it can be asked for, and loaded from a file.
Customers' own lists need no line here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownList:
    """`url` is the publisher's address; where a list is several files, `files` stand under it.

    `format` is how the publisher writes it; files in one of the formats `also` are recognised.
    """

    name: str
    title: str
    format: str
    url: str | None = None
    files: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        if self.url is None:
            return ()
        return tuple(f"{self.url}/{file}" for file in self.files) if self.files else (self.url,)


_OFAC = "https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports"

#: The token is no secret: the EU's open data portal publishes it as part of the address.
_EU = (
    "https://webgate.ec.europa.eu/fsd/fsf/public/files/xmlFullSanctionsList_1_1/content"
    "?token=dG9rZW4tMjAxNw"
)
_OPENSANCTIONS = "https://data.opensanctions.org/datasets/latest"
_OPENSANCTIONS_ALSO = ("targets", "senzing")

CATALOGUE = (
    KnownList(
        "ofac",
        "OFAC Specially Designated Nationals (SDN)",
        "ofac",
        _OFAC,
        ("SDN.CSV", "ALT.CSV", "ADD.CSV", "SDN_COMMENTS.CSV"),
    ),
    KnownList(
        "ofac_cons",
        "OFAC Consolidated (non-SDN)",
        "ofac",
        _OFAC,
        ("CONS_PRIM.CSV", "CONS_ALT.CSV", "CONS_ADD.CSV", "CONS_COMMENTS.CSV"),
    ),
    KnownList(
        "un",
        "United Nations Security Council Consolidated List",
        "un",
        "https://scsanctions.un.org/resources/xml/en/consolidated.xml",
    ),
    KnownList("eu", "European Union Consolidated Financial Sanctions List", "eu", _EU),
    KnownList(
        "uk",
        "UK Sanctions List",
        "uk",
        "https://sanctionslist.fcdo.gov.uk/docs/UK-Sanctions-List.csv",
    ),
    KnownList("canada", "Consolidated Canadian Autonomous Sanctions List", "plain"),
    KnownList("australia", "Australian Consolidated List (DFAT)", "plain"),
    KnownList("switzerland", "Swiss Sanctions List (SECO)", "plain"),
    KnownList(
        "us_csl",
        "US Consolidated Screening List (trade.gov)",
        "csl",
        "https://data.trade.gov/downloadable_consolidated_screening_list/v1/consolidated.csv",
    ),
    KnownList(
        "us_congress",
        "Members of the US Congress (OpenSanctions, CC BY-NC)",
        "ftm",
        also=_OPENSANCTIONS_ALSO,
    ),
    KnownList(
        "opensanctions",
        "OpenSanctions Consolidated Sanctions (CC BY-NC)",
        "ftm",
        f"{_OPENSANCTIONS}/sanctions/entities.ftm.json",
        also=_OPENSANCTIONS_ALSO,
    ),
    KnownList(
        "opensanctions_default",
        "OpenSanctions Default: sanctions, politicians, crime (CC BY-NC)",
        "ftm",
        f"{_OPENSANCTIONS}/default/entities.ftm.json",
        also=_OPENSANCTIONS_ALSO,
    ),
    KnownList("sample", "Muster's sample list, for trying things out", "plain"),
)

_BY_NAME = {known.name: known for known in CATALOGUE}


def find(name: str) -> KnownList | None:
    return _BY_NAME.get(name)
