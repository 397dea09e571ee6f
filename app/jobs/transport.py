"""kombu's transport over Redis, with three things put right.

Who holds which message since when is noted by Redis' own clock, and not by that of the worker: one
whose clock is an hour ahead would give every chunk in hand to somebody else each second, and what
one that is an hour behind holds would be taken for lost by all others.

And a Redis that is full, or has become a replica that only reads, is one that is away: the worker
comes back later. To kombu it is a bug, of which the worker dies.

And a connection that broke while a message was acknowledged is taken apart before its channels are:
they then want to put back what they hold, and have no address any more. Of that, too, it would die.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as stock
from kombu.utils.json import dumps
from redis.exceptions import OutOfMemoryError, ReadOnlyError

log = logging.getLogger(__name__)

#: What a Redis says that is there, and of no use for a while.
UNFIT: tuple[type[Exception], ...] = (OutOfMemoryError, ReadOnlyError)

#: Seconds until the clock of Redis is looked at again: it may be another machine by then.
_CLOCK_SECONDS = 10.0


class QoS(stock.QoS):
    # The stubs know little of what they stand for.
    channel: Any
    _delivered: Any
    _vrestore_count: int
    _measured = float("-inf")
    _ahead = 0.0

    def _now(self, client: Any) -> float:
        """Return the time by the clock of Redis, to within the time it takes to answer."""
        steady = time.monotonic()
        if steady - self._measured > _CLOCK_SECONDS:
            seconds, microseconds = client.time()
            self._ahead = seconds + microseconds / 1e6 - steady
            self._measured = steady
        return steady + self._ahead

    # As in kombu 5.7, but for the clock.
    def append(self, message: Any, delivery_tag: str) -> None:
        delivery = message.delivery_info
        where = delivery["exchange"], delivery["routing_key"]
        with self.channel.conn_or_acquire() as client:
            (
                client.pipeline()
                .zadd(self.unacked_index_key, {delivery_tag: self._now(client)})
                .hset(self.unacked_key, delivery_tag, dumps([message._raw, *where]))
                .execute()
            )
            virtual.QoS.append(self, message, delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:
        """Put back what is not acknowledged; where there is no way to, Redis still has it.

        It comes again when its time of being invisible is over, if no sweep is sooner.
        """
        try:
            super().restore_unacked(client)
        except AttributeError:
            if self.channel.connection.client is not None:
                raise
            log.warning("transport.not_restored", extra={"messages": len(self._delivered)})
            self._delivered.clear()

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        with self.channel.conn_or_acquire() as client:
            latest = self._now(client) - self.visibility_timeout
            try:
                with stock.Mutex(client, self.unacked_mutex_key, self.unacked_mutex_expire):
                    lost = client.zrange(
                        self.unacked_index_key,
                        *(latest, 0),
                        desc=True,
                        byscore=True,
                        offset=num and start,
                        num=num,
                    )
                    for tag in lost or []:
                        self.restore_by_tag(tag, client)
            except stock.MutexHeld:
                pass


class Channel(stock.Channel):
    QoS = QoS


class Transport(stock.Transport):
    Channel = Channel
    connection_errors: tuple[type[Exception], ...] = (*stock.Transport.connection_errors, *UNFIT)


def use() -> None:
    """Have every connection of this process made by it: web, workers, beat and Flower."""
    here = f"{__name__}:Transport"
    TRANSPORT_ALIASES.update(redis=here, rediss=here)
