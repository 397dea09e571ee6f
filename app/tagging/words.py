"""Stop words and stems, by language: made once in a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What the published list of English stop words counts among them, and what documents are about;
#: some stand there as contractions without their apostrophe, such as `shell`.
_NO_STOP_WORDS = word_set(
    "area areas bill billion case cases computer face fact fire group groups hell home index"
    " information interest member members million mine new number numbers order page pages"
    " party point problem problems research results room rooms section shed shell state states"
    " system systems test text thousand trade trillion volume web website wed work world"
)

#: English; a date is neither a name nor what a text is about.
DATES = word_set(
    "january february march april may june july august september october november december"
    " monday tuesday wednesday thursday friday saturday sunday jan feb mar apr jun jul aug"
    " sept sep oct nov dec"
)

#: Snowball's algorithms, by the code of their language.
_STEMMERS = dict(
    pair.split(":")
    for pair in word_set(
        "ar:arabic ca:catalan cs:czech da:danish de:german el:greek en:english es:spanish"
        " et:estonian eu:basque fa:persian fi:finnish fr:french ga:irish hi:hindi hu:hungarian"
        " hy:armenian id:indonesian it:italian lt:lithuanian nl:dutch no:norwegian pl:polish"
        " pt:portuguese ro:romanian ru:russian sr:serbian sv:swedish ta:tamil tr:turkish"
    )
)

#: Written without spaces: their words cannot be told apart here, so they have no keyphrases.
UNSPACED = frozenset({"bo", "dz", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh"})

#: A longer "word" is no word, and would only cost time.
MAX_LETTERS = 60


@dataclass(frozen=True, slots=True)
class Words:
    """What is known of the words of a language."""

    language: str
    stop: frozenset[str]
    stem: Callable[[str], str]


@cache
def words_of(language: str) -> Words:
    """Return the words of the language; English ones where it is not known."""
    import Stemmer
    import stopwordsiso

    code = "en" if language == "und" else language
    stop = frozenset(stopwordsiso.stopwords(code)) if code in stopwordsiso.langs() else frozenset()
    if code == "en":
        stop -= _NO_STOP_WORDS
    name = _STEMMERS.get(code)
    if name not in Stemmer.algorithms():
        return Words(code, stop, str)
    # It remembers some words by itself; looking them up takes it longer than stemming them.
    stem: Callable[[str], str] = Stemmer.Stemmer(name, 0).stemWord
    return Words(code, stop, stem)
