"""What OFAC keeps in the remarks column: birth dates, nationalities, weak aliases, documents.

DOB 07 Jun 1943; alt. DOB Feb 1943; POB Lebanon; nationality Lebanon; Passport 0877677
(Venezuela); a.k.a. 'ABU ALI'; Linked To: SOME COMPANY.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from app.screening.dates import parse_dates
from app.screening.model import Identifier

_PARTS = re.compile(r";\s+|;$")
_BIRTH = re.compile(r"^(?:alt\. )?DOB (.+)$")
_COUNTRY = re.compile(r"^(?:alt\. )?(?:nationality|citizen|Nationality of Registration) (.+)$")
#: In the remarks stand only aliases that OFAC calls weak, and the former names of ships.
_ALIAS = re.compile(r"^(?:alt\. )?(a|f|n)\.k\.a\. '(.+)'$")

#: What a document is called, up to its number. Gazettes, orders and dates identify nobody.
_LABELS = r"""
    (?:Stateless\ Person\ |Diplomatic\ )?Passport(?:\ Number)? | US\ FEIN | Enterprise\ Number
  | (?:[A-Z][\w.'-]*\ )*(?:ID|Identification|Registration|Registry|Registered|Company|License|Permit
      |Certificate|Entity|Tax|V\.A\.T\.|D-U-N-S|Trade|Cedula|Mercantil|Insurance|Chamber|Military
      |Fiscal|Residency|Employment|Economic|Serial|Construction|Tail|Customs|Credit|Election)
    (?:\ (?:ID|Card|Number|No\.?|Code|Identification|Code\ \(USCC\)|Register|of\ Commerce))*
    (?:\ \([^)]*\))?
  | C\.U\.R\.P\. | R\.F\.C\. | D\.N\.I\. | C\.R\.\ No\. | C\.U\.I\.[TP]\. | I\.F\.E\. | SSN
  | NIT\ \# | RUC\ \# | RIF\ \# | RTN | MMSI | LE\ Number | SWIFT/BIC | BIK\ \(RU\)
  | NIE | CIF | C\.U\.I\. | N\.I\.E\. | Electoral\ Registry\ No\. | Credencial\ electoral
  | Digital\ Currency\ Address\ -\ [A-Z]+
"""
#: Then "(Country)", "issued ..." or "expires ..." may follow.
_DOCUMENT = re.compile(
    rf"^(?:alt\.\ )?(?P<label>{_LABELS})\s+\#?\s*(?P<value>[^\s(].*?)"
    r"(?:\s+\(.*|\s+issued\b.*|\s+expires\b.*)?$",
    re.VERBOSE,
)
_NOT_A_DOCUMENT = re.compile(r"^(?:alt\. )?(?:Government Gazette|Executive Order|Organization)")
_DIGIT = re.compile(r"\d")


@dataclass(slots=True)
class Remarks:
    birth_dates: list[str] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)
    weak_aliases: list[str] = field(default_factory=list)
    former_names: list[str] = field(default_factory=list)
    identifiers: list[Identifier] = field(default_factory=list)


def parse_remarks(text: str) -> Remarks:
    """Sort the parts of a remark; what we have no use for is left out."""
    remarks = Remarks()
    for part in _PARTS.split(text.strip().removesuffix(".")):
        _sort(part.strip(), remarks)
    return remarks


def _sort(part: str, remarks: Remarks) -> None:
    if found := _BIRTH.match(part):
        remarks.birth_dates += parse_dates(found[1])
    elif found := _COUNTRY.match(part):
        remarks.countries.append(found[1])
    elif found := _ALIAS.match(part):
        (remarks.former_names if found[1] == "f" else remarks.weak_aliases).append(found[2])
    elif _NOT_A_DOCUMENT.match(part):
        return
    elif (found := _DOCUMENT.match(part)) and _DIGIT.search(found["value"]):
        remarks.identifiers.append(Identifier(found["label"].rstrip(" #"), found["value"].strip()))
