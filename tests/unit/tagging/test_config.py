"""What a caller may ask for, and what is said of everything else."""

from __future__ import annotations

import json

import pytest

from app.errors import InvalidConfig, Misconfigured
from app.tagging import config, providers, taxonomy
from app.tagging.config import Config

KEY = "sk-MARKED-KEY-4711"


def test_the_defaults_are_those_of_the_documentation():
    read = config.read({})

    assert read == Config()
    assert (read.num_tags, read.num_pages, read.language) == (8, 3, "auto")
    assert (read.max_words, read.entity_types) == (3, ("PER", "ORG", "LOC"))
    assert read.taxonomy.name == "fincrime-en@1"
    assert read.is_local


def test_a_whole_configuration_is_read():
    read = config.read(
        {
            "num_tags": 15,
            "exclusion_words": ["report", " "],
            "num_pages": 1,
            "language": "DE",
            "keyphrases": {"enabled": False, "max_words": 2},
            "entities": {"engine": "spacy", "types": ["LOC", "PER"]},
            "taxonomy": {"id": "mine", "version": 7, "categories": [{"id": "a", "terms": ["b"]}]},
            "vocabulary_only": True,
            "model_name": "ours/small",
            "api_key": KEY,
        }
    )

    assert (read.num_tags, read.exclusion_words, read.language) == (15, ("report",), "de")
    assert (read.keyphrases, read.max_words, read.entity_engine) == (False, 2, "spacy")
    assert read.entity_types == ("PER", "LOC")
    assert read.taxonomy.name == "mine@7"
    assert not read.is_local
    assert KEY not in repr(read), "a key belongs to the request"


NUMBERS = [f"number {n}" for n in range(6_000)]

WRONG = [
    ({"num_tags": 2}, "config.num_tags"),
    ({"num_tags": 16}, "config.num_tags"),
    ({"num_tags": True}, "config.num_tags"),
    ({"num_tags": "8"}, "config.num_tags"),
    ({"num_pages": 0}, "config.num_pages"),
    ({"num_pages": 11}, "config.num_pages"),
    ({"exclusion_words": "report"}, "config.exclusion_words"),
    ({"exclusion_words": [1]}, "config.exclusion_words"),
    ({"language": "english!"}, "config.language"),
    ({"keyphrases": []}, "config.keyphrases"),
    ({"keyphrases": {"max_words": 6}}, "config.keyphrases.max_words"),
    ({"entities": {"engine": "magic"}}, "config.entities.engine"),
    ({"entities": {"types": ["GOD"]}}, "config.entities.types"),
    ({"entities": {"types": [{}]}}, "config.entities.types"),
    ({"vocabulary_only": 1}, "config.vocabulary_only"),
    ({"model_name": ""}, "config.model_name"),
    ({"taxonomy": 1}, "config.taxonomy"),
    ({"taxonomy": "mine"}, "config.taxonomy"),
    ({"taxonomy": {"id": "fincrime-en", "version": 99}}, "config.taxonomy"),
    ({"taxonomy": {"categories": {}}}, "config.taxonomy.categories"),
    ({"taxonomy": {"categories": [{"id": "a"}]}}, "config.taxonomy.categories[0].terms"),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": []}]}},
        "config.taxonomy.categories[0].terms",
    ),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": ["("], "match": "regex"}]}},
        "config.taxonomy.categories[0].terms[0]",
    ),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": ["b"], "requires": ["c"]}]}},
        "config.taxonomy.categories[0].requires",
    ),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": ["b"]}, {"id": "a", "terms": ["b"]}]}},
        "config.taxonomy.categories[1].id",
    ),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": ["b"], "exclude_befor": ["c"]}]}},
        "config.taxonomy.categories[0].exclude_befor",
    ),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": ["b"], "threshold": 10}]}},
        "config.taxonomy.categories[0].threshold",
    ),
    (
        {"taxonomy": {"categories": [{"id": "a", "terms": NUMBERS[:5_001]}]}},
        "config.taxonomy.categories",
    ),
    (
        {
            "taxonomy": {
                "categories": [
                    {"id": "a", "terms": NUMBERS[:4_900], "exclude_before": NUMBERS[:100]},
                    {"id": "b", "terms": ["b"]},
                ]
            }
        },
        "config.taxonomy.categories",
    ),
    (
        {"taxonomy": {"categories": [{"id": str(n), "terms": ["b"]} for n in range(201)]}},
        "config.taxonomy.categories",
    ),
    (
        {
            "taxonomy": {
                "categories": [{"id": "a", "terms": ["b"], "exclude_before": NUMBERS[:101]}]
            }
        },
        "config.taxonomy.categories[0].exclude_before",
    ),
    *(
        (
            {"taxonomy": {"categories": [{"id": "a", "match": match, "terms": NUMBERS[:201]}]}},
            "config.taxonomy.categories",
        )
        for match in ("fuzzy", "regex")
    ),
]


@pytest.mark.parametrize(("given", "path"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said_with_its_place(given, path):
    with pytest.raises(InvalidConfig) as caught:
        config.read(given)

    (problem,) = caught.value.details["problems"]
    assert problem["path"] == path
    assert str(caught.value).startswith(f"{path} ")


@pytest.mark.parametrize(
    ("match", "terms", "kept"),
    [
        ("any", ["Wire  Fraud", "wire fraud", "fraud"], ("Wire  Fraud", "fraud")),
        ("all", ["fraud", "Fraud", "FRAUD"], ("fraud",)),
        ("fuzzy", ["O’Neil", "o'neil"], ("O’Neil",)),
        ("regex", [r"\w", r"\W", r"\w"], (r"\w", r"\W")),
        ("categories", ["b", "B", "b"], ("b", "B")),
    ],
)
def test_what_stands_twice_in_a_category_counts_once(match, terms, kept):
    others = [{"id": name, "terms": ["x"]} for name in ("b", "B")]
    category = {"id": "a", "match": match, "terms": terms, "requires": ["b"] * 9_000}
    category["exclude_before"] = ["anti", "Anti"] * 3_000

    read = config.read({"taxonomy": {"categories": [category, *others]}}).taxonomy.categories[0]

    assert (read.terms, read.requires, read.exclude_before) == (kept, ("b",), ("anti",))


def test_what_is_not_known_is_ignored_and_named_and_not_kept():
    given = {
        "num_tag": 99,
        "num_tags": 4,
        "keyphrases": {"words": 6, "max_words": 2},
        "temperature": 1,
        "api_key": KEY,
    }

    assert config.read(given) == Config(num_tags=4, max_words=2)
    kept, unknown = config.known(given)
    assert kept == {"num_tags": 4, "keyphrases": {"max_words": 2}}
    assert unknown == ["num_tag", "keyphrases.words", "temperature"]


@pytest.mark.parametrize("given", [None, [], "x", 1])
def test_a_configuration_is_an_object(given):
    with pytest.raises(InvalidConfig):
        config.read(given)


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(InvalidConfig) as caught:
        config.read({"num_tags": 1, "num_pages": 0, "entities": {"engine": "x"}})

    assert len(caught.value.details["problems"]) == 3


@pytest.mark.parametrize("name", taxonomy.names())
def test_a_taxonomy_of_ours_is_well_formed_and_called_like_its_file(name):
    ours = taxonomy.ours(name)

    assert ours.name == name
    for category in ours.categories:
        assert len(set(category.terms)) == len(category.terms)
        assert all(term == term.lower().strip() for term in category.terms)


# Which models a job may name.


def provider(**changes):
    given = {"base_url": "https://models.example/v1", "models": ["small", "org/large"], **changes}
    return json.dumps({"ours": given})


def test_a_job_calls_a_model_by_provider_and_name(monkeypatch):
    monkeypatch.setenv("OUR_KEY", f"{KEY}\n")
    known = providers.read(provider(key_env="OUR_KEY"))

    chosen, model = providers.choose(known, "ours/org/large")

    assert (chosen.base_url, model, chosen.key) == ("https://models.example/v1", "org/large", KEY)


def test_providers_may_stand_in_a_file_and_so_may_keys(tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "providers.json").write_text(provider(key_file=str(tmp_path / "key")))

    known = providers.read(str(tmp_path / "providers.json"))

    assert known["ours"].key == KEY


@pytest.mark.parametrize(
    "name", ["ours", "ours/huge", "other/small", "https://evil.example/v1", "local/other", "ours/"]
)
def test_a_model_that_nobody_configured_is_refused_with_those_there_are(name):
    with pytest.raises(InvalidConfig, match="local/keyphrase, ours/small, ours/org/large"):
        providers.choose(providers.read(provider()), name)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        "/no/such/file",
        '{"local": {}}',
        '{"Ours": {}}',
        '{"ours": []}',
        provider(base_url="ftp://models.example"),
        provider(base_url="https://user:pw@models.example"),
        provider(base_url="https://models.example/?key=1"),
        provider(base_url="https://models.example:port"),
        provider(base_url=None),
        provider(models=[]),
        provider(models="small"),
        provider(key=KEY),
        provider(key_env="NO_SUCH_VARIABLE"),
        provider(key_file="/no/such/file"),
    ],
)
def test_providers_that_cannot_be_used_are_said_by_the_name_of_the_setting(text):
    with pytest.raises(Misconfigured, match="MUSTER_TAGGING_PROVIDERS") as caught:
        providers.read(text)

    assert KEY not in str(caught.value)


def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("OUR_KEY", f"{KEY}\nx: y")

    with pytest.raises(Misconfigured) as caught:
        providers.read(provider(key_env="OUR_KEY"))

    assert KEY not in str(caught.value)


def test_no_providers_is_a_setting_too():
    assert providers.read("") == {}
