"""Redis saying that a job has changed: an id and a version, and nothing else.

Whoever hears of it reads the rows. A message may be lost, come twice or late; so those who watch
look into Postgres now and then as well (app/live/hub.py), and more often while Redis is away.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import redis

from app.jobs.progress import CHANNEL

#: A connection over which nothing came for so long is asked whether it lives, and given up if it
#: says nothing for as long again.
_SILENCE_SECONDS = 5.0


def listen(client: redis.Redis) -> Iterator[tuple[UUID, int] | None]:
    """Yield (job, version) as jobs change; None first, once subscribed. Raises redis.RedisError.

    One connection, for as long as the caller goes on.
    """
    # redis-py leaves it without types.
    with client.pubsub() as subscription:  # type: ignore[no-untyped-call]
        subscription.subscribe(CHANNEL)
        asked = False
        while True:
            message = subscription.get_message(timeout=_SILENCE_SECONDS)
            if message is None:
                if asked:
                    raise redis.TimeoutError("Redis says nothing.")
                subscription.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe":
                yield None
            elif message["type"] == "message":
                job_id, _, version = message["data"].decode().partition(" ")
                yield UUID(job_id), int(version)
