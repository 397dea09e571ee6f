"""The id of a job as the native API writes it stands for its UUID, and for nothing else."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs import ids


@given(st.uuids())
def test_an_id_and_a_uuid_stand_for_each_other(job_id):
    written = ids.render(job_id)

    assert len(written) == 30
    assert ids.parse(written) == job_id
    assert ids.parse(written.lower()) == job_id
    assert ids.parse(str(job_id)) == job_id
    assert ids.parse(str(job_id).upper()) == job_id


@given(st.uuids(), st.uuids())
def test_ids_sort_as_their_uuids_do(one, other):
    assert (ids.render(one) < ids.render(other)) == (one < other)


@given(st.text())
def test_no_other_text_is_an_id(text):
    found = ids.parse(text)

    assert found is None or text.upper() in {str(found).upper(), ids.render(found).upper()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job_",
        "job_" + "0" * 25,
        "job_" + "0" * 27,
        "job_8" + "0" * 25,  # more than 128 bits
        "job_" + "I" * 26,
        "job_" + "0" * 25 + "\u017f",  # S in upper case
        "550e8400e29b41d4a716446655440000",
        "{550e8400-e29b-41d4-a716-446655440000}",
        "550e8400-e29b-41d4-a716-446655440000\n",
    ],
)
def test_what_is_nearly_an_id_is_none(text):
    assert ids.parse(text) is None


def test_the_order_of_letters_is_crockfords():
    assert ids.render(UUID(int=0)) == "job_" + "0" * 26
    assert ids.render(UUID(int=2**128 - 1)) == "job_7" + "Z" * 25
