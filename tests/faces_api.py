"""What the tests of dialect C share: a collection, keys, multipart forms, and a worker."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from app.accounts.model import PERMISSIONS, Role
from app.api import auth, tokens
from app.settings import Settings
from tests.integration.conftest import Worker, until
from tests.integration.engine import lasting_worker

BASE = "/api/v1"
QUEUES = "control,faces_interactive,faces"


@contextmanager
def recognizer(settings: Settings, folder: Path) -> Iterator[Worker]:
    """A worker for faces, with a beat of its own, that serves many tests.

    On a longer clock than other workers of the tests: on a busy machine an image takes a second or
    more, and what outlasts the time limit is killed and done once more.
    """
    patient = replace(
        settings,
        claim_seconds=max(8.0, settings.claim_seconds),
        visibility_timeout=max(20.0, settings.visibility_timeout),
    )
    with lasting_worker(patient, folder, "-Q", QUEUES) as worker:
        yield worker


class Client(FlaskClient):
    """Writes forms in memory: werkzeug's own client leaves the file open that it writes them to."""

    def open(self, *args: Any, data: Any = None, **given: Any):
        if isinstance(data, dict):
            boundary, data = encode_multipart({name: _files(each) for name, each in data.items()})
            given["content_type"] = f"multipart/form-data; boundary={boundary}"
        return super().open(*args, data=data, **given)


def _files(value: Any) -> Any:
    if isinstance(value, list):
        return [_files(each) for each in value]
    return FileStorage(value[0], value[1]) if isinstance(value, tuple) else value


def admin_of(web, settings: Settings, tenant) -> Any:
    """A client that may do everything in the tenant's organization, with a JWT."""
    client = Client(web, web.response_class)
    token = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def with_key(web, key: str) -> Any:
    """A client that has nothing but a key."""
    client = Client(web, web.response_class)
    client.environ_base["HTTP_X_API_KEY"] = key
    return client


def data_of(answer, status: int = 200) -> Any:
    """Every success of dialect C is {success, data}. Returns the data."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.json.keys() == {"success", "data"}
    assert answer.json["success"] is True
    return answer.json["data"]


def assert_error(answer, status: int, code: str | None = None) -> dict[str, Any]:
    """Every error of dialect C has one shape. Returns its `error`."""
    body = answer.get_json()
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.headers["Content-Type"] == "application/json"
    assert body.keys() == {"success", "error", "request_id", "timestamp"}
    assert body["success"] is False
    assert body["request_id"] == answer.headers["X-Request-ID"]
    error: dict[str, Any] = body["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "details"}
    assert error["message"]
    assert error["code"] == error["code"].upper()
    assert "Traceback" not in json.dumps(body)
    if code is not None:
        assert error["code"] == code, error
    return error


def new_collection(admin, tenant, **more: Any) -> dict[str, Any]:
    body = {"name": "employees", **more}
    return data_of(admin.post(f"{BASE}/organizations/{tenant.id}/collections", json=body), 201)


def new_key(admin, tenant, collection_id: str | None = None, **more: Any) -> str:
    body = {"name": "production-server", "collection_id": collection_id, **more}
    made = data_of(admin.post(f"{BASE}/organizations/{tenant.id}/api-keys", json=body), 201)
    key: str = made["key"]
    return key


def form_of(images: Sequence[bytes], ids: Sequence[str] | None = None, **more: Any) -> dict:
    """The fields of the seed: repeated `images`, and an `external_ids[]` for each."""
    wanted = ids if ids is not None else [f"employee-{n:03}" for n in range(len(images))]
    return {
        "images": [(io.BytesIO(data), f"{n}.jpg") for n, data in enumerate(images)],
        "external_ids[]": list(wanted),
        **more,
    }


def file_of(data: bytes):
    return io.BytesIO(data), "x.jpg"


def one_image(data: bytes, **more: Any) -> dict[str, Any]:
    return {"image": (io.BytesIO(data), "face.jpg"), **more}


def post_batch(client, collection_id: str, form: dict[str, Any], **more: Any):
    return client.post(f"{BASE}/collections/{collection_id}/faces/batch-async", data=form, **more)


def poll(client, tenant, job_id: str, query: str = "") -> dict[str, Any]:
    return data_of(client.get(f"{BASE}/organizations/{tenant.id}/batch/{job_id}{query}"))


def ended(client, tenant, job_id: str, seconds: float = 60) -> dict[str, Any]:
    until(
        lambda: poll(client, tenant, job_id)["status"] in {"done", "failed"},
        seconds,
        lambda: f"it ends: {poll(client, tenant, job_id)}",
    )
    return poll(client, tenant, job_id)


def images_left(database) -> int:
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS parts FROM face_images")
        return tx.fetchone()["parts"]


@pytest.fixture
def admin(web, settings, tenant):
    auth._known_keys.clear()
    return admin_of(web, settings, tenant)


@pytest.fixture
def collection(admin, tenant):
    return new_collection(admin, tenant)


@pytest.fixture
def app(web, admin, tenant, collection):
    """A program with a key for the collection, as the seed has it."""
    return with_key(web, new_key(admin, tenant, collection["id"]))


def faces_of(collection) -> str:
    return f"{BASE}/collections/{collection['id']}/faces"


def enrol(app, collection, image: bytes, external_id: str, **more):
    form = one_image(image, external_id=external_id, **more)
    return app.post(faces_of(collection), data=form)


def move(database, table: str, column: str, seconds: float) -> None:
    """Let the clock have moved on: what is in the table happened so long ago."""
    with database.transaction() as tx:
        tx.execute(
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => %s)", (seconds,)
        )


@pytest.fixture
def registered(web):
    ada = {"email": "ada@example.com", "password": "correct horse battery", "full_name": "Ada"}
    made = data_of(web.test_client().post(f"{BASE}/auth/register", json=ada), 201)
    client = Client(web, web.response_class)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made['tokens']['access_token']}"
    return client, made
