"""Uploaded documents: the tenant's own, for a while, and for as long as a job needs them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.documents import uploads
from app.documents.model import Content, Hint
from app.errors import Invalid, ItemError, TooLarge, UploadsFull
from app.jobs import service
from tests.integration.conftest import until
from workers import sweep


@pytest.fixture
def save(resources, tenant):
    def run(data: bytes = b"text", name: str = "a.txt", tenant_id=None, **settings):
        return uploads.save(
            resources.db,
            replace(resources.settings, **settings),
            tenant_id or tenant.id,
            name=name,
            data=data,
            created_by="usr_test",
        )

    return run


@pytest.fixture
def load(resources, tenant):
    return lambda upload, tenant_id=None: uploads.load(
        resources.db, tenant_id or tenant.id, upload.id
    )


@pytest.fixture
def is_gone(load):
    def look(upload, tenant_id=None) -> bool:
        try:
            load(upload, tenant_id)
        except ItemError as error:
            return error.code == "not_found"
        return False

    return look


@pytest.fixture
def expire(database):
    def run(upload) -> None:
        with database.transaction() as tx:
            tx.execute(
                "UPDATE uploads SET expires_at = now() - interval '1 s' WHERE id = %s", (upload.id,)
            )

    return run


@pytest.fixture
def attach(database, tenant):
    def run(job, *uses) -> None:
        with database.transaction() as tx:
            pairs = [(position, upload.id) for position, upload in uses]
            uploads.attach(tx, tenant.id, job.id, pairs)

    return run


@pytest.fixture
def release(database):
    def run(job, position: int) -> None:
        with database.transaction() as tx:
            uploads.release(tx, job.id, position)

    return run


@pytest.fixture
def purge(database):
    def run() -> int:
        with database.transaction() as tx:
            return uploads.purge(tx)

    return run


def test_an_upload_comes_back_as_it_was_sent(save, load):
    data = bytes(range(256)) * 1000
    upload = save(data, "C:\\Reports\\Über\x00\nuns.PDF")

    assert load(upload) == Content(data, Hint("pdf"))
    assert (upload.name, upload.size) == ("Überuns.PDF", len(data))
    assert upload.path == f"upload://{upload.id}"
    assert (upload.expires_at - upload.created_at).total_seconds() == 86_400


def test_other_tenants_uploads_are_not_there(resources, save, load, is_gone):
    other = accounts.ensure_tenant(resources.db, "other")
    upload = save()

    assert is_gone(upload, other.id)
    assert uploads.missing(resources.db, other.id, [upload.id]) == {upload.id}
    assert not uploads.delete(resources.db, other.id, upload.id)
    assert load(upload).data == b"text"


def test_what_a_job_cannot_name_is_told_before_it_is_accepted(resources, tenant, save, expire):
    good, expired, unknown = save(), save(), uuid4()
    expire(expired)

    ids = [good.id, expired.id, unknown]

    assert uploads.missing(resources.db, tenant.id, ids) == {expired.id, unknown}
    assert uploads.missing(resources.db, tenant.id, []) == set()


def test_an_upload_that_is_empty_or_too_large_is_refused(save):
    with pytest.raises(Invalid):
        save(b"")
    with pytest.raises(TooLarge) as caught:
        save(bytes(1001), document_max_bytes=1000)
    assert caught.value.code == "payload_too_large"


def test_a_tenant_can_store_no_more_than_its_share_until_something_goes(
    resources, tenant, save, expire
):
    first, second = save(bytes(1000)), save(bytes(500))

    with pytest.raises(UploadsFull):
        save(bytes(600), uploads_max_bytes=2000)

    expire(first)
    third = save(bytes(600), uploads_max_bytes=2000)
    with pytest.raises(UploadsFull):
        save(bytes(1000), uploads_max_bytes=2000)
    assert uploads.delete(resources.db, tenant.id, second.id)
    save(bytes(1000), uploads_max_bytes=2000)
    assert third.size == 600


def test_the_share_is_each_tenants_own(resources, save):
    other = accounts.ensure_tenant(resources.db, "other")
    save(bytes(900), uploads_max_bytes=1000)

    assert save(bytes(900), tenant_id=other.id, uploads_max_bytes=1000).size == 900


def test_an_upload_expires(save, is_gone, expire, purge):
    old, young = save(), save()
    expire(old)

    assert is_gone(old)
    assert purge() == 1
    assert not is_gone(young)


def test_while_a_job_that_needs_it_lives_an_upload_does_not_expire(
    resources, submit, save, load, is_gone, attach, expire, purge
):
    upload = save()
    job = submit("slow", [{}] * 3)
    attach(job, (1, upload))
    expire(upload)

    assert purge() == 0
    assert load(upload).data == b"text"

    service.cancel(resources, job.tenant_id, job.dialect, job.external_id)

    assert is_gone(upload)
    assert purge() == 1


def test_an_upload_goes_with_the_last_item_that_needs_it(submit, save, is_gone, attach, release):
    upload, other = save(), save()
    job = submit("slow", [{}] * 4)
    attach(job, (0, upload), (2, upload), (3, other))
    attach(job, (0, upload), (2, upload), (3, other))

    release(job, 1)
    release(job, 0)
    release(job, 0)
    assert not is_gone(upload)

    release(job, 2)
    release(job, 2)
    assert is_gone(upload)
    assert not is_gone(other)


def test_an_upload_goes_when_its_last_two_items_end_at_once(
    database, submit, save, is_gone, attach, release
):
    upload = save()
    job = submit("slow", [{}] * 2)
    attach(job, (0, upload), (1, upload))
    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            uploads.release(tx, job.id, 0)
            other = threads.submit(release, job, 1)
            until(lambda: _waits_for_a_lock(database), 20, "the second waits for the first")
        other.result(20)

    assert is_gone(upload)


def test_a_job_that_names_an_upload_while_it_goes_is_accepted(
    database, submit, save, is_gone, attach
):
    upload = save()
    first, second = submit("slow", [{}]), submit("slow", [{}])
    attach(first, (0, upload))
    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            uploads.release(tx, first.id, 0)
            other = threads.submit(attach, second, (0, upload))
            until(lambda: _waits_for_a_lock(database), 20, "the submission waits")
        other.result(20)

    assert is_gone(upload)


def _waits_for_a_lock(database) -> bool:
    with database.transaction() as tx:
        tx.execute("SELECT FROM pg_locks WHERE NOT granted")
        return tx.fetchone() is not None


def test_an_upload_that_two_jobs_need_outlives_the_first(submit, save, is_gone, attach, release):
    upload = save()
    first, second = submit("slow", [{}]), submit("slow", [{}])
    attach(first, (0, upload))
    attach(second, (0, upload))

    release(first, 0)
    assert not is_gone(upload)
    release(second, 0)
    assert is_gone(upload)


def test_what_is_not_the_tenants_is_not_attached(
    resources, submit, save, database, attach, release
):
    other = accounts.ensure_tenant(resources.db, "other")
    theirs = save(tenant_id=other.id)
    job = submit("slow", [{}])

    attach(job, (0, theirs))
    release(job, 0)

    assert uploads.load(resources.db, other.id, theirs.id).data == b"text"


def test_maintenance_clears_away_what_has_expired(resources, database, save, expire):
    expire(save())

    sweep.maintain(resources)

    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM uploads")
        assert tx.fetchone()["n"] == 0
