"""The words of yente, the API of OpenSanctions: POST /match/{dataset}, one query at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.verifications.findings import Hit, Read
from app.verifications.providers import words
from app.verifications.providers.config import ProviderConfig

_SCHEMAS = {
    "individual": "Person",
    "company": "Company",
    "organization": "Organization",
    "vessel": "Vessel",
    "aircraft": "Airplane",
}
#: Of those who may be either.
_ANYBODY = "LegalEntity"


def question(config: ProviderConfig, subject: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the address and the body of a question about a subject."""
    is_person = subject.get("entity_type") == "individual"
    properties: dict[str, list[str]] = {"name": [subject["full_name"]]}
    if subject.get("birth_date"):
        properties["birthDate"] = [subject["birth_date"]]
    if subject.get("nationality"):
        place = "nationality" if is_person else "country"
        properties[place] = [subject["nationality"].lower()]
    for identifier in subject.get("identifiers", ()):
        known = "registrationNumber" if not is_person else _of_person(identifier["type"])
        properties.setdefault(known, []).append(identifier["value"])
    schema = _SCHEMAS.get(subject.get("entity_type", ""), _ANYBODY)
    # Unless told, it gives five results, and none below half.
    wanted = f"threshold={config.threshold:g}&cutoff={config.threshold:g}&limit={config.limit}"
    url = f"{config.url}/match/{config.dataset}?{wanted}"
    if config.algorithm:
        url += f"&algorithm={config.algorithm}"
    return url, {"queries": {"subject": {"schema": schema, "properties": properties}}}


def _of_person(scheme: str) -> str:
    return "passportNumber" if "passport" in scheme.lower() else "idNumber"


def read(config: ProviderConfig, answer: Any) -> Read:
    """Return what an answer says. Raises ValueError if it is none."""
    try:
        said = answer["responses"]["subject"]
        if int(said.get("status", 200)) != 200:
            raise ValueError("the query failed")
        results = said["results"]
        if not isinstance(results, list):
            raise ValueError("no list of results")
        hits = [_hit(config, each) for each in results if _counts(config, each)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not an answer of /match") from error
    # A match names the datasets it comes from, and no version of them: the catalogue does.
    return Read(hits, is_full=len(results) >= config.limit)


def catalogue(config: ProviderConfig) -> str:
    """Return where the versions of the datasets stand."""
    return f"{config.url}/catalog"


def read_version(config: ProviderConfig, answer: Any) -> str | None:
    """Return the version of the dataset that is asked, where the catalogue tells it."""
    try:
        found = [each for each in answer["datasets"] if each["name"] == config.dataset]
        return str(found[0]["version"])[:100] if found and found[0].get("version") else None
    except (KeyError, TypeError, AttributeError):
        # Another catalogue than we know.
        return None


def _counts(config: ProviderConfig, result: Mapping[str, Any]) -> bool:
    if isinstance(result["score"], bool):
        raise ValueError("a result without a score")
    return float(result["score"]) >= config.threshold


def _hit(config: ProviderConfig, result: Mapping[str, Any]) -> Hit:
    properties: Mapping[str, Any] = result.get("properties") or {}
    topics = [words.topic_of(str(each)) for each in properties.get("topics", ())]
    features: Mapping[str, Any] = result.get("features") or {}
    return Hit(
        source=config.name,
        category=words.category(topics, config.category),
        id=str(result["id"]),
        name=str(result.get("caption") or result["id"]),
        score=min(1.0, max(0.0, float(result["score"]))),
        more={
            "aliases": [str(each) for each in properties.get("alias", ())],
            "dateOfBirth": _first(properties.get("birthDate")),
            "matchedOn": [str(name) for name, value in features.items() if value],
            "topics": topics,
            "datasets": [str(each) for each in result.get("datasets", ())],
        },
    )


def _first(values: Any) -> str | None:
    return str(values[0]) if values else None
