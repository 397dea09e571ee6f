"""Turning a name as written into tokens that can be compared, each with a weight.

What counts is decided here: "Dr. Osama bin Laden" becomes osama (1.0), bin (0.25), laden (1.0);
"OOO Gazprom Export" becomes gazprom (1.0), export (0.5) and the legal form LLC.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from anyascii import anyascii

from app.screening import arabic, greek, hebrew, japanese
from app.screening.company_words import numbers_in_digits, unify
from app.screening.divine_names import SERVANT, join, part
from app.screening.model import EntityType
from app.screening.patronymics import is_patronymic
from app.screening.words import (
    COMMON_NAMES,
    COUNTRY_WORDS,
    CRAFT_PREFIXES,
    HONORIFIC_NAMES,
    HONORIFICS,
    LEGAL_FORM_WORDS,
    LEGAL_FORMS,
    LEGAL_FORMS_IN_FRONT,
    LEGAL_VOCABULARY,
    PARTICLES,
    VAGUE_FORM,
    WEAK_WORDS,
)

#: What is beyond is not read. No listed name comes near; hostile input would cost time.
MAX_LETTERS = 600
MAX_TOKENS = 32
MAX_TOKEN_LETTERS = 24
MAX_REPEATS = 2

ORDINARY = 1.0
INITIAL = 0.45
PARTICLE = 0.25
#: "Ivanovich": lists give it, clients often do not, and brothers share it.
PATRONYMIC = 0.5
#: A word this heavy identifies somebody; lighter ones only agree or disagree.
STRONG = 0.7

#: Most Chinese and Korean given names have so many, beside a family name.
GIVEN_SYLLABLES = 2

ACRONYM_LETTERS = 3
MOST_ACRONYM_LETTERS = 8
_UNSPOKEN = frozenset(
    {"the", "of", "and", "for", "de", "la", "und", "et", "y", "e", "to", "in", "al"}
)
_NOTHING: frozenset[str] = frozenset()
_SON_OF = frozenset({"bin", "ibn", "ben", "ould"})

#: "zhang" is a word of its own in Chinese, though nothing separates it from the next.
_SYLLABLES = re.compile("([\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3])")
#: Scripts whose general transliteration does not give what passports have.
_ROMANISED = (
    (re.compile("[\u0600-\u06ff]"), arabic.romanise),
    (re.compile("[\u05d0-\u05ea]"), hebrew.romanise),
    (re.compile("[\u0370-\u03ff]"), greek.romanise),
    (re.compile("[\u4e00-\u9fff]"), japanese.romanise),
)
#: Latin letters with marks, which most names that are not ASCII have and nothing else.
_BEYOND_LATIN = "\u0250"
_LATIN = {
    code: " " if unicodedata.category(chr(code)) == "So" else anyascii(chr(code))
    for code in range(0x80, ord(_BEYOND_LATIN))
}
_APOSTROPHES = re.compile(r"['’`ʼʻ´ʿʾ‘\"]+")  # all of them, on purpose
_ACRONYM = re.compile(r"\b(?:[a-z]\.){2,}(?:[a-z]\b\.?)?")
#: What is no letter and no digit parts words.
_SEPARATORS = {code: " " for code in range(128) if not chr(code).isalnum()}


class PreparedName(NamedTuple):
    """A name ready to be compared with names of the same entity type.

    `strong` counts the tokens that weigh enough to identify; `weight` is the sum of all;
    `personal` says that they are words of a person's name.
    """

    tokens: tuple[str, ...]
    weights: tuple[float, ...]
    legal_forms: frozenset[str]
    numbers: frozenset[str]
    weight: float
    strong: int
    personal: bool = False
    #: Only companies are known by their first letters.
    takes_acronyms: bool = False
    #: What the first letters of its words spell, with and without its legal form: companies only.
    acronyms: tuple[str, ...] = ()
    #: Where the patronymic begins: the token after "bin" or "ibn", of a person.
    father_at: int | None = None

    @property
    def unspaced(self) -> str:
        return "".join(self.tokens)


def fold(name: str) -> str:
    """Return the name in lower-case ASCII words.

    >>> fold("  José  D'Angelo & Söhne S.A. ")
    'jose dangelo and sohne sa'
    """
    return " ".join(_folded(name))


def _folded(name: str) -> list[str]:
    text = name[:MAX_LETTERS]
    if not text.isascii():
        # Compatibility forms may grow ("ﷺ" becomes eighteen letters), hence the second cut.
        text = unicodedata.normalize("NFKC", text)[: 2 * MAX_LETTERS]
        if max(text) >= _BEYOND_LATIN:
            text = _from_other_scripts(text)
        else:
            text = text.translate(_LATIN)
    text = text.lower()
    if not text.isascii() or "'" in text or '"' in text or "`" in text:
        text = _APOSTROPHES.sub("", text)
    if "." in text:
        text = _ACRONYM.sub(lambda found: found[0].replace(".", "") + " ", text)
    text = text.replace("&", " and ").replace("%", " percent ")
    return text.translate(_SEPARATORS).split()


def _from_other_scripts(text: str) -> str:
    for script, romanise in _ROMANISED:
        if script.search(text):
            text = romanise(text)
    # The name of a pictogram ("slight smile") is nobody's name.
    pictograms = [c for c in set(text) if unicodedata.category(c) == "So"]
    for each in pictograms:
        text = text.replace(each, " ")
    return anyascii(_spaced(text))


def _spaced(text: str) -> str:
    """Part the syllables of Chinese and Korean, but for a given name that a space sets apart."""
    words = text.split()
    if len(words) == GIVEN_SYLLABLES and all(_SYLLABLES.search(word) for word in words):
        # "Zhiwei Chen" is not "Chen, Zhi".
        return " ".join(
            word if len(word) == GIVEN_SYLLABLES else _SYLLABLES.sub(r" \1 ", word)
            for word in words
        )
    return _SYLLABLES.sub(r" \1 ", text)


# A subject of no known type is prepared by the rules of each, one after the other.
@lru_cache(maxsize=8)
def _words(name: str) -> tuple[str, ...]:
    words = [word[:MAX_TOKEN_LETTERS] for word in _folded(name)[: 8 * MAX_TOKENS]]
    if len(words) <= MAX_TOKENS and len(set(words)) == len(words):
        return tuple(words)
    seen: Counter[str] = Counter()
    kept = []
    for word in words:
        seen[word] += 1
        # "Boutros Boutros" is a name; "al" thirty times is somebody trying what it costs us.
        if seen[word] <= MAX_REPEATS:
            kept.append(word)
    return tuple(kept[:MAX_TOKENS])


def prepare(name: str, entity_type: EntityType) -> PreparedName:
    """Split the name and weigh its words by the rules of its entity type."""
    words = _words(name)
    tokens: Sequence[str]
    numbers: frozenset[str] = _NOTHING
    acronyms: tuple[str, ...] = ()
    legal_forms: frozenset[str] = _NOTHING
    if entity_type is EntityType.PERSON:
        tokens = _cut(_without_honorifics(part(join(words))))
        weights = [*map(_person_weight, tokens)]
    elif entity_type is EntityType.ORGANISATION:
        tokens, legal_forms = _without_legal_forms(unify(words))
        tokens = _cut(tokens)
        weights = [*map(_organisation_weight, tokens)]
        acronyms = _acronyms(words, tokens)
    else:
        tokens = numbers_in_digits(words)
        tokens = [word for word in tokens if word not in CRAFT_PREFIXES] or tokens
        weights = [ORDINARY] * len(tokens)
    told_apart = [token for token in tokens if token.isdigit()]
    if entity_type is EntityType.ORGANISATION:
        told_apart += [token for token in tokens if token in COUNTRY_WORDS]
    if told_apart:
        numbers = frozenset(told_apart)
    # By place: a third of the time of a call by names, and this is made for every name.
    return PreparedName(
        tuple(tokens),
        tuple(weights),
        legal_forms,
        numbers,
        sum(weights),
        sum([weight >= STRONG for weight in weights]),
        entity_type is EntityType.PERSON,
        entity_type is EntityType.ORGANISATION,
        acronyms,
        _father_at(tokens) if entity_type is EntityType.PERSON else None,
    )


def _cut(tokens: Sequence[str]) -> Sequence[str]:
    """Return the tokens within their limits, which rules that part and join words can leave."""
    if len(tokens) <= MAX_TOKENS and max(map(len, tokens), default=0) <= MAX_TOKEN_LETTERS:
        return tokens
    return [token[:MAX_TOKEN_LETTERS] for token in tokens[:MAX_TOKENS]]


def _acronyms(words: Sequence[str], tokens: Sequence[str]) -> tuple[str, ...]:
    """Return what the words may be abbreviated to: "national liberation army" to "nla".

    As they are, without the legal form, and in English.
    """
    found = []
    ways = [words]
    if not LEGAL_VOCABULARY.isdisjoint(words):
        ways.append([word for word in words if word not in LEGAL_VOCABULARY])
    if [*tokens] != [*ways[-1]]:
        ways.append(tokens)
    for some in ways:
        letters = [word[0] for word in some if word not in _UNSPOKEN and not word.isdigit()]
        if ACRONYM_LETTERS <= len(letters) <= MOST_ACRONYM_LETTERS:
            found.append("".join(letters))
    return tuple(dict.fromkeys(found))


def is_acronym_like(token: str) -> bool:
    return ACRONYM_LETTERS <= len(token) <= MOST_ACRONYM_LETTERS


def _without_honorifics(words: Sequence[str]) -> Sequence[str]:
    """Return a person's words without titles, as far as that leaves a name."""
    if HONORIFICS.isdisjoint(words):
        return words
    kept = [
        word
        for at, word in enumerate(words)
        if word not in HONORIFICS or (at and words[at - 1] == SERVANT)
    ]
    if len(kept) < 2:
        # "Said Khan" is called Said.
        kept = [word for word in words if word not in HONORIFICS or word in HONORIFIC_NAMES]
    return kept or words


def _father_at(tokens: Sequence[str]) -> int | None:
    """Return where the father's name stands: "yusuf bin tariq" is not "tariq bin yusuf"."""
    if _SON_OF.isdisjoint(tokens):
        return None
    for at in range(1, len(tokens) - 1):
        if tokens[at] in _SON_OF:
            return at + 1
    return None


@lru_cache(maxsize=1 << 16)
def _person_weight(token: str) -> float:
    if token in PARTICLES:
        return PARTICLE
    if token in COMMON_NAMES:
        return COMMON_NAMES[token]
    if is_patronymic(token):
        return PATRONYMIC
    return INITIAL if len(token) == 1 else ORDINARY


def _organisation_weight(token: str) -> float:
    return WEAK_WORDS.get(token, INITIAL if len(token) == 1 else ORDINARY)


def _without_legal_forms(words: Sequence[str]) -> tuple[Sequence[str], frozenset[str]]:
    """Split a company's words into its name proper and the classes of its legal forms."""
    if LEGAL_FORM_WORDS.keys().isdisjoint(words):
        return words, _NOTHING
    kept: list[str] = []
    forms: set[str] = set()
    at = 0
    while at < len(words):
        if words[at] not in LEGAL_FORM_WORDS:
            kept.append(words[at])
            at += 1
            continue
        length, form = _legal_form(words, at)
        if form:
            forms.add(form)
        else:
            kept.append(words[at])
        at += length
    # A company may be called nothing but "Company".
    return kept or words, frozenset(forms - {VAGUE_FORM})


def _legal_form(words: Sequence[str], at: int) -> tuple[int, str | None]:
    """Return how many words from here are a legal form, and its class; or one word and None."""
    longest = min(LEGAL_FORM_WORDS[words[at]], len(words) - at)
    for length in range(longest, 0, -1):
        form = LEGAL_FORMS.get(" ".join(words[at : at + length]))
        if form and (at > 0 or length > 1 or words[at] in LEGAL_FORMS_IN_FRONT):
            return length, form
    return 1, None
