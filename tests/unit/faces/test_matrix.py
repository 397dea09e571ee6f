"""The nearest faces are found, and what comes and goes is seen: the matrix by itself."""

from __future__ import annotations

from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.faces.matrix import Matrix
from app.faces.model import DIMENSIONS
from app.faces.store import Changes


def embedding(seed: int) -> bytes:
    made = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (made / np.linalg.norm(made)).astype("<f4").tobytes()


def face(seed: int, who: str | None = None) -> tuple[UUID, str, bytes]:
    return UUID(int=seed), who or f"person-{seed}", embedding(seed)


def filled(*faces: tuple[UUID, str, bytes]) -> Matrix:
    matrix = Matrix()
    matrix.apply(Changes(1, True, faces, ()))
    return matrix


def found(matrix: Matrix, seed: int, *, limit: int = 1, one_each: bool = True) -> list[UUID]:
    near = matrix.search(embedding(seed), threshold=0.9, limit=limit, one_each=one_each)
    return [each.face_id for each in near]


def test_a_face_is_most_like_itself():
    matrix = filled(*map(face, range(2_000)))

    (near,) = matrix.search(embedding(1_234), threshold=0.4, limit=1, one_each=True)

    assert near.face_id == UUID(int=1_234)
    assert near.similarity == pytest.approx(1.0, abs=1e-5)


def test_nobody_is_found_in_an_empty_collection():
    assert found(filled(), 1) == []


def test_the_most_similar_come_first_and_no_more_than_asked_for():
    matrix = filled(*map(face, range(50)))

    near = matrix.search(embedding(7), threshold=-1, limit=10, one_each=True)

    likeness = [each.similarity for each in near]
    assert len(near) == 10
    assert likeness == sorted(likeness, reverse=True)
    assert near[0].face_id == UUID(int=7)


def test_of_one_person_the_best_face_counts_unless_all_are_wanted():
    same = [(UUID(int=n), "alice", embedding(5)) for n in range(3)]
    matrix = filled(*same, face(99))

    assert len(found(matrix, 5, limit=10)) == 1
    assert len(found(matrix, 5, limit=10, one_each=False)) == 3


def test_what_is_deleted_is_in_memory_no_longer():
    matrix = filled(*map(face, range(3)))

    matrix.apply(Changes(2, False, (), [UUID(int=0)]))

    assert found(matrix, 0) == []
    assert [found(matrix, n) for n in (1, 2)] == [[UUID(int=1)], [UUID(int=2)]]
    assert not matrix._rows[len(matrix)].any()


def test_a_face_that_is_told_twice_is_there_once():
    matrix = filled(face(1))

    matrix.apply(Changes(2, False, [face(1), face(2)], ()))

    assert len(matrix) == 2


def test_a_removal_of_what_was_never_there_is_no_trouble():
    matrix = filled(face(1))

    matrix.apply(Changes(2, False, (), [uuid4()]))

    assert len(matrix) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15)), max_size=60))
def test_whatever_comes_and_goes_the_matrix_holds_what_is_there(steps):
    matrix, there = filled(), set()
    for number, (comes, seed) in enumerate(steps, 2):
        if comes:
            matrix.apply(Changes(number, False, [face(seed)], ()))
            there.add(seed)
        else:
            matrix.apply(Changes(number, False, (), [UUID(int=seed)]))
            there.discard(seed)

    assert len(matrix) == len(there)
    assert {seed for seed in range(16) if found(matrix, seed)} == there
