"""People, organisations and places by rules: capital letters, cue words, and a small gazetteer.

A name is judged once for the whole document, by all the places where it stands. It is quick and
needs no model; the extra `[ner]` knows more (app/tagging/spacy_entities.py).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

from app.tagging.model import MAX_OFFSETS, Tag, TagType
from app.tagging.text import Page
from app.tagging.words import DATES, Words, word_set

PERSON, ORGANISATION, PLACE = "PER", "ORG", "LOC"
SOURCE = "entities:rules@1"


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """One place where an entity stands; `name` is what it is called there."""

    start: int
    end: int
    label: str
    name: str


_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|[^\W_]+(?:[-'’&.][^\W_]+)*\.?|[^\w\s]")
_SENTENCE_MARKS = frozenset('.!?:;“”"•')
#: Abbreviations whose full stop ends no name.
_WITH_STOP = word_set(
    "mr mrs ms dr prof st sen rep gov gen col capt sgt lt jr sr inc corp co ltd bros no vs"
)
_TITLES = word_set(
    "mr mrs ms miss dr sir dame lord lady president vice-president premier minister prime"
    " senator sen rep representative judge justice ceo cfo chairman chairwoman chairperson"
    " director governor gov gen general colonel col capt captain sgt sergeant lt lieutenant"
    " officer attorney lawyer prosecutor king queen prince princess sheikh sheik emir sultan"
    " pope bishop archbishop cardinal imam rabbi chancellor mayor secretary ambassador"
    " spokesman spokeswoman spokesperson businessman businesswoman banker financier tycoon"
    " oligarch magnate founder co-founder author journalist datuk dato tan-sri professor prof"
    " detective inspector commissioner husband wife son daughter brother sister father mother"
    " congressman congresswoman analyst economist candidate defendant broker trader accountant"
    " executive manager"
)
_COMPANY = word_set(
    "inc corp corporation ltd limited llc llp plc gmbh ag sa nv bv spa srl oy ab as co"
    " company companies group bank banco banque holdings holding partners capital ventures"
    " foundation university institute college school academy ministry department agency"
    " commission council committee court tribunal party union association federation"
    " confederation authority bureau office police army navy parliament congress senate times"
    " post journal news press herald tribune club church international securities insurance"
    " airlines airways motors energy systems technologies technology industries fund trust"
    " exchange board service services society organisation organization network centre center"
    " league hospital museum media investments associates consulting solutions enterprises oil"
    " petroleum gas mining pharma pharmaceuticals laboratories telecom communications"
    " entertainment studios stores logistics shipping financial finance asset management"
    " advisors reserve treasury directorate secretariat cartel front brigade movement forces"
    " nations"
)
_COMPANY_FIRST = word_set("bank ministry department university court institute bureau")
_PLACE_LAST = word_set(
    "street road avenue boulevard river lake mount mountain mountains island islands city"
    " county province district sea ocean valley bay beach airport square park peninsula region"
    " coast republic kingdom emirate emirates strait canal desert village"
)
_PLACE_FIRST = word_set("lake mount port cape fort gulf san santa")
_IN = word_set("in at near from across outside inside throughout")
_SPEAKS = word_set(
    "said says told added tweeted wrote testified pleaded argued denied admitted resigned who"
    " whose aged confessed insisted replied"
)
_PEOPLES = word_set(
    "american british russian chinese french german italian spanish european african asian"
    " indian japanese korean israeli iranian iraqi syrian turkish swiss dutch swedish danish"
    " norwegian polish ukrainian mexican brazilian canadian australian irish scottish welsh"
    " english greek saudi egyptian nigerian kenyan pakistani afghan muslim islamic christian"
    " jewish catholic republican republicans democrat democrats democratic arab latin soviet"
    " malaysian vietnamese cuban czech hungarian romanian bulgarian serbian croatian argentine"
    " colombian venezuelan portuguese belgian austrian finnish thai filipino indonesian"
    " estonian latvian lithuanian singaporean lebanese palestinian libyan moroccan ghanaian"
    " kurdish muslims jews christians catholics americans russians germans i"
)
_JOINS = word_set("of de la del van von der den bin al el da di dos du for the ibn abu le y")
#: Words of one name; a longer run of capitals is a headline.
_LONGEST = 8
#: Letters of one name; what is longer was written by a machine, and is no tag for anybody.
_LONGEST_LETTERS = 200


@cache
def _gazetteer() -> tuple[frozenset[str], frozenset[str]]:
    text = resources.files("app.tagging").joinpath("gazetteer.json").read_text(encoding="utf-8")
    lists = json.loads(text)
    return frozenset(lists["places"]), frozenset(lists["given_names"])


class _Token(NamedTuple):
    text: str
    start: int
    end: int
    #: In small letters, without a full stop.
    word: str
    is_capital: bool
    begins_sentence: bool


def find(page: Page, words: Words) -> list[Mention]:
    """Return every mention of a name, in order."""
    tokens = _tokens(page.full)
    small = Counter([token.word for token in tokens if not token.is_capital])
    capital = Counter([t.word for t in tokens if t.is_capital and not t.begins_sentence])

    votes: dict[str, Counter[str]] = defaultdict(Counter)
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    at = 0
    while at < len(tokens):
        # Most words are none, and asking costs more than looking.
        if not tokens[at].is_capital or not _begins_name(tokens, at, words, small, capital):
            at += 1
            continue
        end = _end_of_name(page.full, tokens, at, words)
        first = at
        while first < end and (tokens[first].word in _TITLES or tokens[first].word == "the"):
            first += 1
        if first < end:
            name, stop = _surface(page.full, tokens[first].start, tokens[end - 1].end)
            if len(name) > 1 and name.lower() not in _PEOPLES and end - first <= _LONGEST:
                before = tokens[first - 1].word if first else ""
                after = tokens[end].word if end < len(tokens) else ""
                places[name].append((tokens[first].start, stop))
                _vote(votes[name], name, before, after)
        at = end
    return _mentions(votes, places)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    end, begins = 0, True
    for match in _TOKEN.finditer(text):
        surface = match.group()
        start, after = match.span()
        if start > end and not begins:
            begins = "\n" in text[end:start]
        end = after
        last = surface[-1]
        word = (surface.rstrip(".") if last == "." else surface).lower()
        is_capital = surface[0].isupper() and word not in DATES
        token = _Token(surface, start, end, word, is_capital, begins)
        tokens.append(token)
        # Of the marks only a full stop is ever a part of a word.
        begins = last in _SENTENCE_MARKS and (surface == last or _ends_sentence(token))
    return tokens


def _ends_sentence(token: _Token) -> bool:
    return len(token.text) > 2 and token.word not in _WITH_STOP and "." not in token.text[:-1]


def _begins_name(
    tokens: Sequence[_Token],
    at: int,
    words: Words,
    small: Counter[str],
    capital: Counter[str],
) -> bool:
    token = tokens[at]
    is_stop = token.word in words.stop and token.text not in ("US", "IT", "WHO", "UN")
    if token.begins_sentence:
        # A capital that the beginning of a sentence explains.
        return not is_stop and not (small[token.word] and not capital[token.word])
    follows = at + 1 < len(tokens) and tokens[at + 1].is_capital
    return not is_stop or (follows and not tokens[at + 1].begins_sentence)


def _end_of_name(text: str, tokens: Sequence[_Token], at: int, words: Words) -> int:
    end = at + 1
    while end < len(tokens):
        last = tokens[end - 1]
        gap = text[last.end : tokens[end].start]
        if len(gap) > 1 or "\n" in gap or (last.text.endswith(".") and _ends_sentence(last)):
            break
        if last.text.endswith(("'s", "’s")):
            break
        if last.text.endswith(".") and tokens[end].word in words.stop:
            # `Ltd. The`: the full stop was that of the sentence as well.
            break
        if tokens[end].is_capital:
            end += 1
            continue
        joins = tokens[end].word in _JOINS or tokens[end].text == "&"
        if joins and end + 1 < len(tokens) and tokens[end + 1].is_capital:
            after = text[tokens[end].end : tokens[end + 1].start]
            if len(after) <= 1 and "\n" not in after:
                end += 2
                continue
        break
    return end


def _surface(text: str, start: int, end: int) -> tuple[str, int]:
    """Return the name without a genitive or the full stop of its sentence, and where it ends."""
    if text[start:end].endswith(("'s", "’s")):
        end -= 2
    name = text[start:end]
    last = name.rsplit(None, 1)[-1]
    if name.endswith(".") and last.rstrip(".").lower() not in _WITH_STOP and "." not in last[:-1]:
        end -= 1
    return text[start:end], end


def _vote(votes: Counter[str], name: str, before: str, after: str) -> None:
    places, given_names = _gazetteer()
    parts = name.split()
    lower = [part.lower().rstrip(".,") for part in parts]
    is_company = lower[-1] in _COMPANY or (len(parts) > 1 and lower[0] in _COMPANY_FIRST)
    # In tenths, so that no sum depends on the order in which it is made.
    if name in places:
        votes[PLACE] += 30
    if is_company:
        votes[ORGANISATION] += 40
    elif len(parts) > 1 and (lower[-1] in _PLACE_LAST or lower[0] in _PLACE_FIRST):
        votes[PLACE] += 25
    if "&" in parts:
        votes[ORGANISATION] += 30
    if len(parts) == 1 and name.isupper() and name not in places:
        votes[ORGANISATION] += 20
    if before in _TITLES and len(parts) <= 4:
        votes[PERSON] += 30
    if 2 <= len(parts) <= 5 and parts[0] in given_names and not is_company:
        votes[PERSON] += 30
    if after in _SPEAKS and not is_company:
        votes[PERSON] += 15
    if before in _IN and len(parts) <= 2:
        votes[PLACE] += 8


def _mentions(
    votes: dict[str, Counter[str]], places: dict[str, list[tuple[int, int]]]
) -> list[Mention]:
    labels: dict[str, str] = {}
    for name, counted in votes.items():
        if counted:
            labels[name] = min(counted, key=lambda label: (-counted[label], label))
    gazetteer, _ = _gazetteer()
    # A surname alone is the person whose full name stands elsewhere.
    surnames = {
        name.split()[-1] for name, label in labels.items() if label == PERSON and " " in name
    }
    found = []
    for name, spans in places.items():
        if " " not in name and name in surnames and name not in gazetteer:
            label = PERSON
        else:
            # Capital letters and no cue: a word alone is too little to be called anything.
            label = labels.get(name, ORGANISATION if " " in name else "")
        if label:
            found += [Mention(start, end, label, name) for start, end in spans]
    return sorted(found)


def tags(page: Page, mentions: Sequence[Mention], types: Collection[str], source: str) -> list[Tag]:
    """Return a tag for each entity of the types, best first; a surname counts for its full name."""
    spans: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for mention in mentions:
        if mention.label in types and len(mention.name) <= _LONGEST_LETTERS:
            spans[mention.name, mention.label].append((mention.start, mention.end))
    full_names: dict[str, str] = {}
    for name, label in sorted(spans):
        if label == PERSON and " " in name:
            full_names.setdefault(name.split()[-1], name)
    for name, label in sorted(spans):
        if label == PERSON and " " not in name and name in full_names:
            spans[full_names[name], label] += spans.pop((name, label))
    made = []
    for (name, label), where in spans.items():
        where.sort()
        score = 1 - math.exp(-0.45 * len(where))
        made.append(
            Tag(
                tag=name,
                type=TagType.ENTITY,
                label=label,
                score=min(0.99, score * (1.1 if where[0][0] < 600 else 0.95)),
                source=source,
                count=len(where),
                offsets=[page.locate(*span) for span in where[:MAX_OFFSETS]],
            )
        )
    made.sort(key=lambda tag: (-tag.score, tag.tag, tag.label or ""))
    return made
