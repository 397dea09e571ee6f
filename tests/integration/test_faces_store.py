"""Faces in Postgres: kept once however often, and seen by every process in the same order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import numpy as np
import pytest

from app.errors import CollectionNotFound, DuplicateFace, QuotaExceeded
from app.faces import collections, store
from app.faces.collections import OnDuplicate
from app.faces.matrix import Shelf
from app.faces.model import DIMENSIONS
from tests.faces_api import move

pytestmark = pytest.mark.integration


@pytest.fixture
def collection(resources, tenant):
    return collections.create(resources.db, tenant.id, name="x", created_by="usr_test")


def embedding(seed: int) -> bytes:
    made = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (made / np.linalg.norm(made)).astype("<f4").tobytes()


def enrol(resources, collection, seed: int, *, face_id=None, who=None, **more):
    with resources.db.transaction() as tx:
        return collections.enrol(
            tx,
            collection.id,
            face_id or uuid4(),
            external_id=who or f"person-{seed}",
            embedding=embedding(seed),
            quality_score=0.9,
            metadata={},
            **{"on_duplicate": OnDuplicate.ERROR, "faces_max": 1000, **more},
        )


def found(shelf, collection, seed: int) -> list[str]:
    matrix = shelf.current(collection.id)
    near = matrix.search(embedding(seed), threshold=0.9, limit=5, one_each=True)
    return [each.external_id for each in near]


def count(resources, tenant, collection) -> int:
    return collections.get(resources.db, tenant.id, collection.id).face_count


def test_enrolling_again_under_the_same_id_keeps_one_face(resources, tenant, collection):
    face_id = uuid4()

    first = enrol(resources, collection, 1, face_id=face_id)
    again = enrol(resources, collection, 1, face_id=face_id)

    assert again == first
    assert count(resources, tenant, collection) == 1


def test_a_face_that_was_deleted_does_not_come_back_by_itself(resources, tenant, collection):
    face_id = uuid4()
    enrol(resources, collection, 1, face_id=face_id)
    collections.delete_face(resources.db, collection.id, face_id)

    assert enrol(resources, collection, 1, face_id=face_id) is None
    assert count(resources, tenant, collection) == 0


def test_two_processes_agree_after_every_change(resources, collection):
    one, other = Shelf(resources.db, 1000), Shelf(resources.db, 1000)

    for seed in range(5):
        made = enrol(resources, collection, seed)
        assert found(one, collection, seed) == found(other, collection, seed) == [f"person-{seed}"]
        if seed % 2:
            collections.delete_face(resources.db, collection.id, made.id)
            assert found(other, collection, seed) == found(one, collection, seed) == []

    fresh = Shelf(resources.db, 1000)
    seen = [[found(shelf, collection, n) for n in range(5)] for shelf in (one, other, fresh)]
    assert seen[0] == seen[1] == seen[2]


def test_many_at_once_come_in_an_order_that_nobody_misses(resources, tenant, collection):
    shelf, stop = Shelf(resources.db, 1000), threading.Event()

    def search() -> None:
        while not stop.is_set():
            shelf.current(collection.id)

    watcher = threading.Thread(target=search)
    watcher.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: enrol(resources, collection, seed), range(60)))
    stop.set()
    watcher.join()

    assert len(shelf.current(collection.id)) == 60
    assert all(found(shelf, collection, seed) for seed in range(60))
    assert count(resources, tenant, collection) == 60


def test_of_two_who_bring_the_same_person_at_once_one_is_refused(resources, collection):
    def bring(seed: int) -> bool:
        try:
            enrol(resources, collection, seed, who="alice")
        except DuplicateFace:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(bring, range(2))) == [False, True]


def test_whoever_has_not_looked_for_days_begins_anew(resources, database, collection):
    shelf = Shelf(resources.db, 1000)
    gone, stays = enrol(resources, collection, 1), enrol(resources, collection, 2)
    found(shelf, collection, 1)
    collections.delete_face(resources.db, collection.id, gone.id)
    move(database, "face_removals", "removed_at", 2 * 86_400)
    collections.purge(resources.db)

    assert found(shelf, collection, 1) == []
    assert found(shelf, collection, 2) == [stays.external_id]
    with resources.db.transaction() as tx:
        assert store.removals(tx, collection.id, 0) == []


def test_a_collection_that_is_gone_is_said_to_be(resources, tenant, collection):
    shelf = Shelf(resources.db, 1000)
    enrol(resources, collection, 1)
    shelf.current(collection.id)
    collections.delete(resources.db, tenant.id, collection.id)

    with pytest.raises(CollectionNotFound):
        shelf.current(collection.id)
    with pytest.raises(CollectionNotFound):
        enrol(resources, collection, 2)


def test_the_collections_asked_about_last_stay_in_memory(resources, tenant):
    made = [
        collections.create(resources.db, tenant.id, name=f"c{n}", created_by="x") for n in range(3)
    ]
    for each in made:
        for seed in range(2):
            enrol(resources, each, seed)
    shelf = Shelf(resources.db, 4)

    for each in made:
        assert found(shelf, each, 1) == ["person-1"]

    assert list(shelf._kept) == [made[1].id, made[2].id]
    assert found(shelf, made[0], 1) == ["person-1"]


def test_a_collection_larger_than_the_room_is_not_read_anew_by_each_search(resources, tenant):
    large = collections.create(resources.db, tenant.id, name="large", created_by="x")
    for seed in range(3):
        enrol(resources, large, seed)
    shelf = Shelf(resources.db, 2)

    first = shelf.current(large.id)
    enrol(resources, large, 3)

    assert shelf.current(large.id) is first
    assert len(first) == 4


def test_a_tenant_keeps_no_more_faces_than_it_may(resources, collection):
    enrol(resources, collection, 1, faces_max=2)
    enrol(resources, collection, 2, faces_max=2)

    with pytest.raises(QuotaExceeded):
        enrol(resources, collection, 3, faces_max=2)
    # Whoever is there already may have another photograph.
    replace = {"who": "person-1", "on_duplicate": OnDuplicate.REPLACE}
    assert enrol(resources, collection, 4, faces_max=2, **replace)


def test_embeddings_go_with_the_face(resources, database, collection):
    made = enrol(resources, collection, 1)
    collections.delete_face(resources.db, collection.id, made.id)

    mark = embedding(1).hex()
    with database.transaction() as tx:
        tx.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        for name in [row["name"] for row in tx.fetchall()]:
            tx.execute(
                f"SELECT count(*) AS rows FROM {name} AS t WHERE t::text LIKE %s", (f"%{mark}%",)
            )
            assert tx.fetchone()["rows"] == 0, name
