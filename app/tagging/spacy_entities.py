"""Entities by spaCy, where the extra `[ner]` and a model package are installed."""

from __future__ import annotations

from functools import cache
from typing import Any

from app.errors import Misconfigured
from app.tagging.entities import ORGANISATION, PERSON, PLACE, Mention
from app.tagging.text import Page

MODEL = "en_core_web_sm"

HOW_TO_GET_IT = (
    "Entities by spaCy need the extra [ner] and the model: pip install 'muster[ner]', then"
    f" python -m spacy download {MODEL}. Without them set entities.engine to `rules`."
)

_LABELS = {
    **dict.fromkeys(("PERSON", "PER"), PERSON),
    "ORG": ORGANISATION,
    **dict.fromkeys(("GPE", "LOC", "FAC"), PLACE),
}


@cache
def _pipeline() -> Any:
    try:
        import spacy

        return spacy.load(MODEL, disable=["tagger", "parser", "attribute_ruler", "lemmatizer"])
    except (ImportError, OSError) as error:
        raise Misconfigured(HOW_TO_GET_IT) from error


def check() -> None:
    """Raise Misconfigured with what to do if spaCy or its model is not installed."""
    _pipeline()


def source() -> str:
    about = _pipeline().meta
    return f"entities:{about['lang']}_{about['name']}@{about['version']}"


def find(page: Page) -> list[Mention]:
    """Return every mention of a person, an organisation or a place, in order."""
    return sorted(
        Mention(entity.start_char, entity.end_char, _LABELS[entity.label_], entity.text)
        for entity in _pipeline()(page.full).ents
        if entity.label_ in _LABELS and "\n" not in entity.text
    )
