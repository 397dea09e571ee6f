"""Providers' words for what their hits are about; how much a hit counts follows from them."""

from __future__ import annotations

import json

import pytest

from app.verifications.providers import config, words


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ("Sanctions", "sanctions"),
        ("SANCTION", "sanctions"),
        ("sanction.linked", "sanctions"),
        ("role.pep", "pep"),
        ("role.pep.national", "pep"),
        ("PEP class 1", "pep"),
        ("role.rca", "pep"),
        ("crime.fraud", "criminal"),
        ("reg.action", "regulatory"),
        ("export.control.linked", "export_control"),
        ("Adverse media", "adverse_media"),
        ("regional", "regional"),
        (["role.pep.national", "Sanctions"], "sanctions"),
        (None, "criminal"),
        ("", "criminal"),
        ([], "criminal"),
    ],
)
def test_a_providers_word_is_understood_by_how_it_begins(said, category):
    assert words.category(said, "criminal") == category


def test_the_category_of_a_provider_may_be_written_as_a_topic():
    given = {"a": {"kind": "http", "url": "https://x.example", "category": "crime"}}

    (read,) = config.read(json.dumps(given))

    assert read.category == "criminal"
