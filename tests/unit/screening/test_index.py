"""The index finds what comparing with every entry would find, and ranks it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.screening.arrays import Damaged
from app.screening.index import Index
from app.screening.model import EntityType, Entry, Identifier, Subject
from app.screening.pair import compare_entry
from app.screening.population import Population
from tests.unit.screening.exhaustive import Exhaustive, found_by

PERSON, ORGANISATION, VESSEL = EntityType.PERSON, EntityType.ORGANISATION, EntityType.VESSEL


def person(id_: str, name: str, **more) -> Entry:
    return Entry(id_, PERSON, name, **more)


def ids(matches) -> list[str]:
    return [match.entry.id for match in matches]


# Words that are often alike: few letters, joins, initials, numbers, particles, legal forms.
_WORDS = st.one_of(
    st.text("abkhm", min_size=1, max_size=9),
    st.sampled_from(
        [
            *("al", "bin", "abu", "abd", "abdal", "abdul", "van", "mohammed", "muhamad", "mohamed"),
            *(
                "rahman",
                "alrahman",
                "abdulrahman",
                "hussein",
                "husayn",
                "1",
                "2",
                "12",
                "ltd",
                "co",
            ),
            *("ooo", "trading", "trdaing", "group", "international", "a.b.c.", "o'neil", "oneil"),
        ]
    ),
)
_NAMES = st.lists(_WORDS, min_size=1, max_size=5).map(" ".join)
_TYPES = st.sampled_from(EntityType)


@st.composite
def _lists(draw) -> list[Entry]:
    names = draw(st.lists(st.tuples(_NAMES, _TYPES, st.lists(_NAMES, max_size=2)), max_size=12))
    return [
        Entry(f"e{n}", kind, name, weak_aliases=tuple(weak))
        for n, (name, kind, weak) in enumerate(names)
    ]


@given(_lists(), st.lists(st.tuples(_NAMES, st.none() | _TYPES), min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_the_index_finds_exactly_what_comparing_with_everything_finds(entries, queries, data):
    subjects = [Subject(name, kind) for name, kind in queries]
    # Names of the list itself, slightly misspelt, are where the bound is tight.
    for entry in entries[:4]:
        cut = data.draw(st.integers(0, len(entry.name) - 1))
        misspelt = entry.name[:cut] + entry.name[cut + 1 :] or "x"
        subjects.append(Subject(misspelt, entry.entity_type))

    exhaustive = Exhaustive(entries, subjects, lowest=0.5)

    for compiled in (False, True):
        index = Index.build(entries, compiled=compiled)
        for threshold in (0.5, 0.7, 0.85, 0.95, 0.985, 1.0):
            assert found_by(index, subjects, threshold) == exhaustive.matches(threshold)


_DATES = st.none() | st.sampled_from(["1970", "1971", "1970-03-02", "1970-02-03"])
_COUNTRIES = st.sampled_from([(), ("RU",), ("DE",)])


@st.composite
def _known(draw) -> list[Entry]:
    """Entries whose names are alike, with aliases, and something known beside them."""
    words = draw(st.lists(_WORDS, min_size=2, max_size=4))
    name = st.permutations(words).map(" ".join) | _NAMES
    return [
        Entry(
            f"e{number}", draw(_TYPES), draw(name), aliases=tuple(draw(st.lists(name, max_size=3))),
            weak_aliases=tuple(draw(st.lists(name, max_size=1))),
            birth_dates=tuple(filter(None, [draw(_DATES)])), countries=draw(_COUNTRIES),
        )
        for number in range(draw(st.integers(1, 5)))
    ]  # fmt: skip


@pytest.mark.parametrize("compiled", [False, True])
@given(entries=_known(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_what_the_index_finds_is_what_comparing_one_by_one_says_of_it(compiled, entries, data):
    """The whole match: which name of the entry it was, every reason, the rank."""
    name = data.draw(st.sampled_from([entry.name for entry in entries]) | _NAMES)
    kind = data.draw(st.none() | _TYPES)
    subject = Subject(name, kind, data.draw(_DATES), data.draw(_COUNTRIES))
    compared = [compare_entry(subject, entry) for entry in entries]
    index = Index.build(entries, compiled=compiled)

    for threshold in (0.5, 0.85, 0.95, 0.98, 1.0):
        (found,) = index.screen([subject], threshold)
        expected = [match for match in compared if match and match.score >= threshold]
        assert sorted(found, key=lambda match: match.entry.id) == expected
        scores = [match.score for match in found]
        assert scores == sorted(scores, reverse=True)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "compiled"])
def index(request) -> Index:
    return Index.build(
        compiled=request.param,
        entries=[
            person("putin", "Vladimir Vladimirovich PUTIN", birth_dates=("1952-10-07",)),
            person("maduro", "MADURO MOROS, Nicolas", countries=("VE",)),
            person("reordered", "Karim Yusuf Haddad"),
            person("exact", "Haddad Karim Yusuf"),
            person("nickname", "Tarek Mansour", weak_aliases=("El Capitan Rojo",)),
            Entry("emma", ORGANISATION, "EMMA LLC"),
            Entry(
                "storm1", VESSEL, "SNOW STORM 1", identifiers=(Identifier("IMO", "IMO 9187629"),)
            ),
            Entry("storm2", VESSEL, "SNOW STORM 2"),
        ],
    )


def test_a_name_is_found_however_it_is_ordered_written_or_spelt(index):
    for name in ("Vladimir Putin", "PUTIN, Vladimir", "Владимир Путин", "Wladimir Putin"):
        assert ids(index.screen([Subject(name, PERSON)])[0]) == ["putin"], name


def test_an_exact_name_ranks_above_the_same_words_in_another_order(index):
    matches = index.screen([Subject("Haddad, Karim Yusuf")])[0]

    assert ids(matches) == ["exact", "reordered"]
    assert 1.0 > matches[0].score > matches[1].score > 0.95


def test_another_birth_date_takes_a_namesake_out(index):
    same, other = index.screen(
        [
            Subject("Vladimir Vladimirovich Putin", PERSON, "1952"),
            Subject("Vladimir Vladimirovich Putin", PERSON, "1987-02-11"),
        ]
    )

    assert same[0].matched_fields == ("full_name", "birth_date")
    assert same[0].explanations["birth_date"] == 1.0
    assert other == []


def test_two_words_do_not_match_a_company_of_one(index):
    assert index.screen([Subject("Emma Daniels"), Subject("Emma Daniels", ORGANISATION)], 0.5) == [
        [],
        [],
    ]


def test_the_number_of_a_vessel_is_part_of_its_name(index):
    assert ids(index.screen([Subject("Snow Storm 1", VESSEL)])[0]) == ["storm1"]


def test_a_weak_alias_counts_when_it_is_met_letter_by_letter(index):
    exact, nearly = index.screen([Subject("El Capitan Rojo"), Subject("El Capitain Roja")])

    assert (ids(exact), exact[0].score) == (["nickname"], 0.9)
    assert nearly == []


def test_an_equal_identifier_decides_whatever_it_is_called_and_whatever_the_name(index):
    subject = Subject("Something Else", identifiers=(Identifier("document", "9187629"),))

    (match,) = index.screen([subject])[0]

    assert (match.entry.id, match.score, match.match_type) == ("storm1", 1.0, "identifier")
    assert match.matched_fields == ("identifiers",)
    assert index.screen([subject], search_type="name") == [[]]


def test_a_search_by_identifier_looks_at_no_name(index):
    subjects = [
        Subject("Snow Storm 2", VESSEL, identifiers=(Identifier("IMO", "IMO-9187629"),)),
        Subject("Snow Storm 2", VESSEL),
    ]

    found, nothing = index.screen(subjects, search_type="identifier")

    assert ids(found) == ["storm1"]
    assert nothing == []


def test_a_subject_without_a_name_is_found_by_identifier_alone(index):
    subject = Subject(None, identifiers=(Identifier("imo", "IMO 9187629"),))

    assert ids(index.screen([subject])[0]) == ["storm1"]


def test_names_of_nothing_match_nothing(index):
    subjects = [Subject(name) for name in ("---", "🙂🙂", "", " ", "'", "\u0000", "ـــ")]

    assert index.screen(subjects, 0.5) == [[]] * len(subjects)


def test_a_name_of_a_million_letters_takes_no_longer_than_a_long_one(index):
    hostile = ["x" * 1_000_000, "ab " * 300_000, "ﷺ" * 300_000, "a.b." * 200_000, "中" * 300_000]

    assert index.screen([Subject(name) for name in hostile], 0.5) == [[]] * len(hostile)


#: Names that rules make longer than they were: words parted, words joined, phrases, x for ks.
_GROWING = (
    " ".join(["abdulahad", "abdelahad", "abdurrahman", "abdalkarim", "abdulaziz"] * 8),
    "x" * 24 + " ullah ollah allah ulla olla ellah ullo alah" * 2,
    "y" * 24 + " din deen dine eddin eddine uddin addin aldin udin" * 2,
    "xxxx " + "x" * 24 + " uddin ullah " + "x" * 24,
    " ".join("x" * 23 + letter for letter in "abcdefghijklmnopqrstuvwxyzabcdef"),
    "dprk td akb jscb pjscb " * 2 + " ".join(f"bank{n} of iran" for n in range(20)),
    " ".join("abcdefghijklmnopqrstuvwxyz"),
)


@pytest.mark.parametrize("compiled", [False, True])
def test_names_that_rules_make_longer_are_listed_asked_about_and_found(compiled):
    entries = [
        Entry(f"{kind}-{n}", kind, name)
        for kind in (PERSON, ORGANISATION, VESSEL)
        for n, name in enumerate(_GROWING)
    ]
    subjects = [Subject(entry.name, entry.entity_type) for entry in entries]

    index = Index.build(entries, compiled=compiled)

    assert found_by(index, subjects, 0.7) == Exhaustive(entries, subjects, 0.5).matches(0.7)
    assert all(ids(matches) for matches in index.screen(subjects, 0.9))


_SPELT_OUT = (
    "Open Infrastructure Labs",
    "Open Infrastructure Labs Limited",
    "National Liberation Army Khorasan",
    "National Liberation Army Khorasan Trading Company of the Northern Districts",
)
_SHORT = ("oil", "nlak", "OIL Ltd", "NLAK Group", "Brotherhood NLAK", "nlak nlak")


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.7, 0.8, 0.84, 0.845, 0.85, 0.86])
def test_a_name_and_its_first_letters_find_each_other_where_their_score_says_so(
    compiled, threshold
):
    names = _SPELT_OUT + _SHORT
    entries = [Entry(f"e{n}", ORGANISATION, name) for n, name in enumerate(names)]
    subjects = [Subject(name, ORGANISATION) for name in names]
    expected = Exhaustive(entries, subjects, 0.3).matches(threshold)

    assert found_by(Index.build(entries, compiled=compiled), subjects, threshold) == expected
    population = Population.build(list(enumerate(subjects)), compiled=compiled)
    asking = {number for number, _ in expected}
    assert asking <= set(population.concerned(entries, threshold).tolist())
    if threshold <= 0.8:
        assert {(0, "e4"), (4, "e0"), (2, "e5"), (5, "e2")} <= expected.keys()


@pytest.mark.parametrize("compiled", [False, True])
@given(words=st.lists(_WORDS, min_size=6, max_size=24), data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_score_that_only_rounding_lifts_to_the_threshold_is_found(compiled, words, data):
    kept = data.draw(st.lists(st.sampled_from(words), min_size=4, max_size=len(words)))
    entry = Entry("e", ORGANISATION, " ".join(words))
    subject = Subject(" ".join(kept), ORGANISATION)
    match = compare_entry(subject, entry)
    if match is not None and match.score >= 0.5:
        index = Index.build([entry], compiled=compiled)
        assert ids(index.screen([subject], match.score)[0]) == ["e"]


def test_an_index_opened_from_disk_is_the_index_that_was_saved(index, tmp_path):
    index.save(tmp_path / "index")

    opened = Index.open(tmp_path / "index")

    subjects = [
        Subject(name) for name in ("Wladimir Putin", "Nicolás Maduro", "Haddad Yusuf Karim")
    ]
    assert len(opened) == len(index)
    assert opened.screen(subjects, 0.6) == index.screen(subjects, 0.6)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_list_of_nobody_makes_an_index_of_nobody(tmp_path, compiled):
    Index.build([], compiled=compiled).save(tmp_path / "index")

    assert Index.open(tmp_path / "index").screen([Subject("Anybody")], 0.5) == [[]]


@pytest.mark.parametrize("harm", ["cut short", "bit flipped", "file missing", "manifest missing"])
def test_a_damaged_index_is_noticed(index, tmp_path, harm):
    folder = tmp_path / "index"
    index.save(folder)
    victim = folder / "person_entries.npy"
    content = victim.read_bytes()
    if harm == "cut short":
        victim.write_bytes(content[:-1])
    elif harm == "bit flipped":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "file missing":
        victim.unlink()
    else:
        (folder / "manifest.json").unlink()

    with pytest.raises(Damaged):
        Index.open(folder)


def test_an_unknown_search_type_is_refused(index):
    with pytest.raises(ValueError, match="composite"):
        index.screen([Subject("Anybody")], search_type="fuzzy")


def test_threads_of_one_process_do_not_disturb_each_other(index):
    subjects = [Subject("Vladimir Putin"), Subject("Nicolas Maduro Moros"), Subject("Karim Haddad")]
    alone = index.screen(subjects, 0.6)
    found = []

    def work() -> None:
        found.extend(index.screen(subjects, 0.6) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [alone] * 80
