"""Whose turn it is: tenants share a queue, and none waits for all that another has put into it.

A chunk travels at the level that says how much of its tenant's work goes before it: the first four
at 0, the next eight at 1, and each further level holds three times as many. Workers empty a level
before they look into the next, so a chunk waits, of each other tenant, for at most about three
times what its own has before it, and whoever has nothing queued is next. Among the chunks of one
level those go first that came first. A level is kept: what is queued does not move up when others
are done, save for `favour_the_starved`.

On Redis a level is a priority, and a priority is a list of its own, of which 0 is taken first.
"""

from __future__ import annotations

import json
import random
import re
from bisect import bisect_right
from collections.abc import Collection
from typing import Any, cast

import redis

#: All that kombu knows.
LEVELS = tuple(range(10))

#: Chunks of its tenant before the first of each level but 0. The last is of 6.5 million entities.
_BOUNDS = tuple(4 * 3 ** (level - 1) for level in LEVELS[1:])

#: kombu's own, between the name of a queue and a level: bindings in Redis are kept with it too.
_BETWEEN = "\x06\x16"


def level(before: int) -> int:
    """Return the level of a chunk before which so many of its tenant go."""
    return bisect_right(_BOUNDS, before)


def lists(queue: str) -> list[str]:
    """Return the lists in which messages of a queue wait, from the last to be taken to the first.

    Messages only ever move forward, so whoever reads them in this order misses none.
    """
    return [f"{queue}{_BETWEEN}{level}" for level in reversed(LEVELS[1:])] + [queue]


#: Hash: for each queue what lay in front of each of its lists, since when, and the last favour.
_SEEN = "turns"
#: Nothing of ours stays in Redis for ever.
_SEEN_SECONDS = 3600

_TAG = re.compile(rb'"delivery_tag": ?"([^"]+)"')


def favour_the_starved(
    client: redis.Redis, queues: Collection[str], *, seconds: float, now: float
) -> list[str]:
    """Let a message go first that others have kept from its turn, and return of which queues.

    From a list of which nothing was taken for so many seconds, though the first one was served:
    one message of each queue in so many seconds. `now` in seconds, by a clock that all share.
    """
    favoured = []
    for queue in queues:
        kept = cast("bytes | None", client.hget(_SEEN, queue))
        before: dict[str, Any] = json.loads(kept) if kept else {"fronts": {}, "last": 0.0}
        fronts = _fronts(client, queue, before["fronts"], now)
        last = before["last"]
        starved = [name for name, (_, since) in fronts.items() if now - since >= seconds]
        # Where the first list stands still nobody works, and it is no use to be in it.
        if starved and queue not in starved and now - last >= seconds:
            name = random.choice(starved)  # noqa: S311  # each has its turn some day
            client.lmove(name, queue, "RIGHT", "RIGHT")
            favoured.append(queue)
            last = now
        if fronts or kept:
            client.hset(_SEEN, queue, json.dumps({"fronts": fronts, "last": last}))
            client.expire(_SEEN, _SEEN_SECONDS)
    return favoured


def _fronts(
    client: redis.Redis, queue: str, before: dict[str, Any], now: float
) -> dict[str, tuple[str, float]]:
    """Return, of each list that holds something, what comes next and since when it has."""
    pipe = client.pipeline(transaction=False)
    for name in lists(queue):
        pipe.lindex(name, -1)
    fronts = {}
    for name, message in zip(lists(queue), pipe.execute(), strict=True):
        tag = _TAG.search(message) if message else None
        if tag:
            shown = tag[1].decode()
            was, since = before.get(name, ("", now))
            fronts[name] = (shown, since if was == shown else now)
    return fronts
