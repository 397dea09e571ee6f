"""How a score is put together: what disagrees takes, and exact names are told apart at the top."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screening.composition import TOP, NameAgreement, compose, total
from app.screening.index import Index
from app.screening.model import EntityType, Entry, Identifier, Subject
from app.screening.names import prepare
from app.screening.pair import compare_entry

PERSON, ORGANISATION, VESSEL = EntityType.PERSON, EntityType.ORGANISATION, EntityType.VESSEL

_SHARES = st.floats(0, 1)
_AGREEMENTS = st.dictionaries(st.sampled_from(["birth_date", "nationality"]), _SHARES)
_QUERY = prepare("Karim Haddad", PERSON)


def composed(score, agreement, closeness=1.0, same_forms=True, kind=PERSON) -> float:
    return total(compose(NameAgreement(score, closeness, same_forms, _QUERY), kind, agreement))


def less_what_disagrees(score, agreement) -> float:
    takes = {"birth_date": 0.25, "nationality": 0.1}
    return max(0.0, score - sum(takes[name] * (1 - how) for name, how in agreement.items()))


@given(_SHARES, _SHARES, st.booleans(), _AGREEMENTS, st.sampled_from(EntityType))
def test_only_what_is_above_the_top_of_the_scale_is_taken_from(
    score, closeness, same_forms, agreement, kind
):
    plain = less_what_disagrees(score, agreement)

    found = composed(score, agreement, closeness, same_forms, kind)

    if plain <= TOP:
        assert found == pytest.approx(plain, abs=1e-12)
    else:
        # So no decision at a threshold up to it is another.
        assert TOP < found <= plain
    assert 0 <= found <= score


@given(_SHARES, _SHARES, _AGREEMENTS)
def test_the_score_of_a_match_rises_with_that_of_its_name(one, other, agreement):
    low, high = sorted((one, other))

    assert composed(low, agreement) <= composed(high, agreement) + 1e-12


def scored(subject: Subject, entry: Entry) -> float:
    match = compare_entry(subject, entry)
    assert match is not None
    return match.score


def test_only_where_everything_agrees_is_the_score_1():
    entry = Entry("1", PERSON, "Karim Yusuf Haddad", birth_dates=("1970-03-02",), countries=("LB",))

    def asked(name="Karim Yusuf Haddad", date="1970-03-02", countries=("LB",)) -> float:
        return scored(Subject(name, PERSON, date, countries), entry)

    assert asked() == 1.0
    assert asked(date="1970") == 1.0
    for less in (
        asked(name="Karim Haddad Yusuf"),
        asked(name="Karim Yusuf Hadad"),
        asked(date=None),
        asked(countries=()),
    ):
        assert TOP < less < 1.0


@pytest.mark.parametrize("kind", EntityType)
@pytest.mark.parametrize("name", ["Li", "Aminta", "Northern Light Holding"])
def test_a_name_that_is_the_same_to_the_letter_scores_at_least_098(kind, name):
    assert 0.98 <= scored(Subject(name, kind), Entry("1", kind, name)) < 1.0


def test_a_known_birth_date_that_differs_counts_for_less_than_an_unknown_one():
    entry = Entry("1", PERSON, "Karim Yusuf Haddad", birth_dates=("1970-03-02",))
    dates = ("1970-03-02", None, "1970-02-03", "1971-03-02", "1988-11-11")

    scores = [scored(Subject("Karim Yusuf Haddad", PERSON, date), entry) for date in dates]

    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_a_name_that_many_bear_says_less_than_a_rare_one():
    def exact(name: str) -> float:
        return scored(Subject(name, PERSON), Entry("1", PERSON, name))

    assert exact("Li Wei") < exact("Karim Haddad") < exact("Saparmurat Ovezgeldiyev Nurmyradov")
    # With its birth date even a short name is somebody.
    dated = Entry("1", PERSON, "Li Wei", birth_dates=("1970-03-02",), countries=("CN",))
    assert scored(Subject("Li Wei", PERSON, "1970-03-02", ("CN",)), dated) == 1.0


def test_a_company_is_certain_only_by_its_identifier():
    entry = Entry(
        "1", ORGANISATION, "Northern Light", countries=("NO",), identifiers=(_number("99-12345"),)
    )

    assert scored(Subject("Northern Light", ORGANISATION, None, ("NO",)), entry) < 1.0
    assert scored(Subject("Northern", identifiers=(_number("9912345"),)), entry) == 1.0


def _number(value: str) -> Identifier:
    return Identifier("registration", value)


def test_a_legal_form_that_only_one_name_has_ranks_behind_the_one_that_both_have():
    names = ("Northern Light Ltd", "Northern Light", "Northern Light LLC")
    index = Index.build([Entry(str(n), ORGANISATION, name) for n, name in enumerate(names)])

    (matches,) = index.screen([Subject("Northern Light Ltd", ORGANISATION)])

    assert [match.entry.id for match in matches] == ["0", "2", "1"]
    assert matches[0].score > matches[2].score


def test_exact_names_are_ranked_by_what_else_agrees():
    index = Index.build(
        [
            Entry("nothing", PERSON, "Karim Yusuf Haddad"),
            Entry("all", PERSON, "Karim Yusuf Haddad", birth_dates=("1970",), countries=("LB",)),
            Entry("order", PERSON, "Haddad Karim Yusuf"),
            Entry("country", PERSON, "Karim Yusuf Haddad", countries=("LB",)),
            Entry("born", PERSON, "Karim Yusuf Haddad", birth_dates=("1970-03-02",)),
            Entry("other country", PERSON, "Karim Yusuf Haddad", countries=("RU",)),
        ]
    )

    (matches,) = index.screen([Subject("Karim Yusuf Haddad", PERSON, "1970-03-02", ("LB",))])

    assert [match.entry.id for match in matches] == [
        *("all", "born", "country", "nothing", "order", "other country")
    ]
    assert [match.score for match in matches].count(1.0) == 1
    assert len({match.score for match in matches}) == len(matches)


def test_a_spelling_is_not_held_against_a_name_that_something_else_contradicts():
    """One and the same name in another order, and a country that differs: 0.9 as ever."""
    entry = Entry("1", PERSON, "Haddad Karim Yusuf", countries=("RU",))

    assert scored(Subject("Karim Yusuf Haddad", PERSON, countries=("LB",)), entry) == 0.9


def test_of_two_names_of_an_entry_the_one_that_is_the_same_to_the_letter_is_shown():
    entry = Entry("1", PERSON, "Haddad Karim Yusuf", aliases=("Karim Yusuf Haddad",))

    (matches,) = Index.build([entry]).screen([Subject("Karim Yusuf Haddad", PERSON)])

    assert [match.matched_name for match in matches] == ["Karim Yusuf Haddad"]
