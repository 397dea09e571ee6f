"""What is put into the broker by somebody else is read as JSON or not at all."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path
from uuid import uuid4

import pytest

from app.jobs.dispatch import QUEUES, RUN_CHUNK
from tests.integration.conftest import until

pytestmark = pytest.mark.integration

#: By content type: what would run on being read, if anybody read it so.
PICKLES = ("application/x-python-serialize", "application/x-pickle")
OTHERS = ("application/x-yaml", "application/x-msgpack", "text/plain")


class Trap:
    """Unpickled, it writes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.write_text, (self.file, "it was run")


def message(body: bytes, content_type: str, queue: str) -> str:
    """A task message as kombu writes it to Redis."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": content_type,
            "content-encoding": "binary",
            "headers": {
                **{"lang": "py", "task": RUN_CHUNK, "id": str(uuid4()), "argsrepr": "()"},
                **{"kwargsrepr": "{}", "retries": 0, "root_id": None, "parent_id": None},
            },
            "properties": {
                **{"correlation_id": str(uuid4()), "reply_to": str(uuid4()), "delivery_mode": 2},
                **{"delivery_tag": str(uuid4()), "priority": 0, "body_encoding": "base64"},
                "delivery_info": {"exchange": "", "routing_key": queue},
            },
        }
    )


def test_the_trap_of_this_test_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "run")))

    assert (tmp_path / "run").exists()


def test_no_process_of_ours_takes_anything_but_json(resources):
    conf = resources.celery.conf

    assert conf.accept_content == ["json"]
    assert set(conf.result_accept_content or ["json"]) == {"json"}
    assert (conf.task_serializer, conf.result_serializer) == ("json", "json")


def test_a_pickle_in_a_queue_is_refused_and_the_worker_works_on(
    worker, redis_client, submit, finished, tmp_path
):
    file = tmp_path / "run"
    started = worker()
    pickled = pickle.dumps(((), {"job_id": Trap(file)}, {}))
    sent = 0
    for queue in ("screening", "control"):
        assert queue in {each.name for each in QUEUES}
        for content_type in (*PICKLES, *OTHERS):
            redis_client.lpush(queue, message(pickled, content_type, queue))
            sent += 1
        # A pickle that says that it is JSON.
        redis_client.lpush(queue, message(pickled, "application/json", queue))

    until(
        lambda: not any(map(redis_client.llen, ("screening", "control"))),
        60,
        lambda: f"all are taken: {started.log.read_text()[-6000:]}",
    )
    job = finished(submit("fast", [{"echo": 1}] * 20))
    assert job.state == "completed"
    assert job.succeeded == 20
    assert started.process.poll() is None
    assert not file.exists()
    until(lambda: b"ContentDisallowed" in started.log.read_bytes(), 30, "it says what it refused")
    # And none of them is left to be tried again for ever.
    until(lambda: redis_client.hlen("unacked") == 0, 60, "none is kept")


def test_a_pickle_for_a_result_is_read_by_nobody(resources, redis_client, tmp_path):
    """Whoever may write to Redis might leave one where a result is looked for."""
    file = tmp_path / "run"
    task = str(uuid4())
    redis_client.set(f"celery-task-meta-{task}", pickle.dumps({"status": Trap(file)}))

    with pytest.raises(Exception):  # noqa: B017, PT011  # whichever it is: it was not run
        _ = resources.celery.AsyncResult(task).state
    assert not file.exists()
