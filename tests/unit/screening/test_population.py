"""An index of those who are watched finds everybody whom a changed entry could concern."""

from __future__ import annotations

import random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.screening.arrays import Damaged
from app.screening.index import Index
from app.screening.lists import plain
from app.screening.model import EntityType, Entry, Identifier, Subject
from app.screening.names import prepare
from app.screening.population import Population
from app.screening.scorer import score
from app.screening.shelf import names_of
from tests.unit.screening.exhaustive import Exhaustive
from tests.unit.screening.test_index import _NAMES, _TYPES, _lists

THRESHOLDS = (0.5, 0.7, 0.85, 0.9, 0.95, 1.0)


def hits(entries, subjects, threshold) -> dict[tuple[int, str], float]:
    found = Index.build(entries, compiled=False).screen([s for _, s in subjects], threshold)
    return {
        (key, match.entry.id): match.score
        for (key, _), matches in zip(subjects, found, strict=True)
        for match in matches
    }


@given(
    _lists(), st.lists(st.tuples(_NAMES, st.none() | _TYPES), min_size=1, max_size=12), st.data()
)
@settings(max_examples=80, deadline=None)
def test_who_would_match_an_entry_is_asked_for_by_it(entries, people, data):
    subjects = [Subject(name, kind) for name, kind in people]
    for entry in entries[:4]:
        cut = data.draw(st.integers(0, len(entry.name) - 1))
        misspelt = entry.name[:cut] + entry.name[cut + 1 :] or "x"
        kind = data.draw(st.sampled_from([None, entry.entity_type]))
        subjects.append(Subject(misspelt, kind))
    exhaustive = Exhaustive(entries, subjects, lowest=0.5)

    for compiled in (False, True):
        population = Population.build(
            ((100 + at, subject) for at, subject in enumerate(subjects)), compiled=compiled
        )
        for threshold in THRESHOLDS:
            concerned = {key - 100 for key in population.concerned(entries, threshold).tolist()}
            assert {number for number, _ in exhaustive.matches(threshold)} <= concerned


@given(_NAMES, _TYPES, st.data())
@settings(max_examples=400, deadline=None)
def test_a_pair_of_names_that_scores_the_threshold_is_found_from_the_other_side(asks, kind, data):
    """Exactly at the score of the pair, where the bound has nothing to spare."""
    # Any two names have next to nothing in common: this one is the other with its words in another
    # order, a letter lost and something added.
    words = data.draw(st.permutations(asks.split()))
    cut = data.draw(st.integers(0, len(asks)))
    shuffled = " ".join(words)
    listed = (
        shuffled[:cut] + shuffled[cut + 1 :] + data.draw(st.just("") | _NAMES.map(" {}".format))
    )
    found = score(prepare(asks, kind), prepare(listed, kind), kind)
    event("they score" if found >= 0.3 else "they do not")
    if found < 0.3:
        return
    for compiled in (False, True):
        population = Population.build([(7, Subject(asks, kind))], compiled=compiled)
        assert population.concerned([Entry("e", kind, listed)], found).tolist() == [7]


def test_an_identifier_alone_finds_who_bears_it_whatever_the_name():
    entry = Entry("e", EntityType.VESSEL, "Arctic Sea", identifiers=(Identifier("IMO", "9187629"),))
    subjects = [
        (1, Subject(None, identifiers=(Identifier("imo", "IMO 9187629"),))),
        (2, Subject("Grey Goose", EntityType.PERSON, identifiers=(Identifier("x", "9187629"),))),
        (3, Subject("Grey Goose", EntityType.PERSON, identifiers=(Identifier("x", "9187620"),))),
    ]

    assert Population.build(subjects).concerned([entry], 0.85).tolist() == [1, 2]


def test_a_saved_population_finds_the_same_and_lets_nobody_else_read_it(tmp_path):
    subjects = [(n, Subject(f"Ivan Petrov{n}", EntityType.PERSON)) for n in range(50)]
    entry = Entry("e", EntityType.PERSON, "Petrov7, Ivan")
    population = Population.build(subjects)

    population.save(tmp_path / "population")
    opened = Population.open(tmp_path / "population")

    assert opened.concerned([entry], 0.85).tolist() == population.concerned([entry], 0.85).tolist()
    assert 7 in opened.concerned([entry], 0.85)
    assert opened.keys.tolist() == list(range(50))
    assert (tmp_path / "population").stat().st_mode & 0o077 == 0
    with pytest.raises(Damaged):
        Population.open(tmp_path / "elsewhere")


@pytest.mark.parametrize("compiled", [False, True])
def test_on_real_names_a_delta_finds_the_hits_of_a_full_rescreen(shared_data, compiled):
    folder = shared_data / "watchlists" / "canonical"
    dice = random.Random(17)
    everybody = [
        entry
        for name in ("sdn", "un", "os")
        for entry in plain.read([folder / f"canonical_{name}.jsonl"])
    ]
    entries = dice.sample(everybody, 40)
    subjects = list(enumerate(_population(dice, everybody, entries)))
    population = Population.build(subjects, compiled=compiled)

    for threshold in (0.7, 0.85):
        concerned = set(population.concerned(entries, threshold).tolist())
        again = [(key, subject) for key, subject in subjects if key in concerned]

        expected = hits(entries, subjects, threshold)
        assert len(expected) >= 80
        assert hits(entries, again, threshold) == expected
        assert len(again) < len(subjects) / 2, "and it is worth it"


def _population(dice, everybody, entries) -> list[Subject]:
    """Misspelt names of the entries, some of no type, among names of others."""
    found = []
    for entry in entries:
        for name, _ in names_of(entry):
            at = dice.randrange(len(name))
            misspelt = name[:at] + dice.choice(["", "a", "n "]) + name[at + 1 :]
            words = name.split()
            dice.shuffle(words)
            for text in (misspelt, " ".join(words), name.replace(" ", "")):
                kind = dice.choice([None, entry.entity_type])
                found.append(Subject(text, kind))
    found += [Subject(e.name, e.entity_type) for e in dice.sample(everybody, 2_000)]
    return found
