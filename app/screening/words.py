"""The word lists of `words.json`, in the shapes `names` asks them in.

Everything there is spelt as `names.fold` leaves it: lower case, ASCII, one space.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

from app.screening.slavic import in_english

_DATA = json.loads(resources.files("app.screening").joinpath("words.json").read_text("utf-8"))

#: "zavod" -> "factory": company words of other languages, and abbreviations.
_TRANSLATIONS: dict[str, str] = {
    other: word for word, others in _DATA["abbreviations"].items() for other in others
}


@lru_cache(maxsize=1 << 16)
def translate(word: str) -> str:
    """Return the English word for a common company word of another language or spelling."""
    found = _TRANSLATIONS.get(word)
    if found is None:
        slavic = in_english(word)
        found = word if slavic is None else _TRANSLATIONS.get(slavic, slavic)
    return found


def _translated(phrase: str) -> tuple[str, ...]:
    return tuple(translate(word) for word in phrase.split())


#: "limited liability company" -> "LLC". Forms of one class are the same form in another language.
#: Every word is as `translate` leaves it, for that is how they are met.
LEGAL_FORMS: dict[str, str] = {
    " ".join(_translated(form)): kind
    for kind, forms in _DATA["legal_forms"].items()
    for form in forms
}
#: The longest form, in words, that begins with this word.
LEGAL_FORM_WORDS: dict[str, int] = {}
for _form in LEGAL_FORMS:
    _first, _length = _form.split()[0], len(_form.split())
    LEGAL_FORM_WORDS[_first] = max(_length, LEGAL_FORM_WORDS.get(_first, 0))

#: Every other form of one word must follow a name: "AS" alone is somebody called As.
LEGAL_FORMS_IN_FRONT = frozenset(_DATA["legal_forms_in_front"])

#: The vaguest class: it is dropped from the name, and never contradicts another class.
VAGUE_FORM = "COMPANY"

HONORIFICS = frozenset(_DATA["honorifics"])
#: Those that are names too.
HONORIFIC_NAMES = frozenset(_DATA["honorific_names"])
PARTICLES = frozenset(_DATA["particles"])
#: Names of God as romanised, without vowels that differ; what makes a person's name of one; and
#: how the article sounds before it.
DIVINE_NAMES = frozenset(_DATA["divine_names"])
SERVANTS = frozenset(_DATA["servants"])
ARABIC_ARTICLES = frozenset(_DATA["arabic_articles"])
#: Names that so many people bear that they identify nobody, and what they weigh.
COMMON_NAMES: dict[str, float] = {
    name: float(weight) for weight, names in _DATA["common_names"].items() for name in names
}
CRAFT_PREFIXES = frozenset(_DATA["craft_prefixes"])

#: What a country weighs in a company's name: it says where, not who.
COUNTRY_WEIGHT = 0.69
#: Company words that say little, and what they weigh beside 1.0 for an ordinary word.
WEAK_WORDS: dict[str, float] = {
    word: float(weight) for weight, words in _DATA["weak_words"].items() for word in words
}
WEAK_WORDS.update(dict.fromkeys(_DATA["country_words"], COUNTRY_WEIGHT))
#: ("united", "states") -> ("usa",): names of countries and institutions that are often shortened.
PHRASES: dict[tuple[str, ...], tuple[str, ...]] = {
    _translated(phrase): tuple(short.split())
    for short, phrases in _DATA["phrases"].items()
    for phrase in phrases
}
#: The longest phrase, in words, that begins with this word.
PHRASE_WORDS: dict[str, int] = {}
for _phrase in PHRASES:
    PHRASE_WORDS[_phrase[0]] = max(len(_phrase), PHRASE_WORDS.get(_phrase[0], 0))
#: A branch in one country is not the branch in another.
COUNTRY_WORDS = frozenset(_DATA["country_words"])
NUMBER_WORDS: dict[str, str] = {
    word: number for number, words in _DATA["number_words"].items() for word in words
}
ROMAN_NUMERALS: dict[str, str] = {
    numeral: number for number, numeral in _DATA["roman_numerals"].items()
}
#: Every word that stands in a legal form, as written.
LEGAL_VOCABULARY = frozenset(
    word for forms in _DATA["legal_forms"].values() for form in forms for word in form.split()
)
#: The long ones, which may be misspelt.
LEGAL_WORDS = tuple(sorted(word for word in LEGAL_VOCABULARY if len(word) >= 7))

_GIVEN_NAMES: list[list[str]] = json.loads(
    resources.files("app.screening").joinpath("given_names.json").read_text("utf-8")
)
#: "bill" -> the numbers of the names it is a form of. Two names are forms of one if they share any.
GIVEN_NAMES: dict[str, tuple[int, ...]] = {}
for _number, _forms in enumerate(_GIVEN_NAMES):
    for _each in _forms:
        GIVEN_NAMES[_each] = (*GIVEN_NAMES.get(_each, ()), _number)
