"""What is put right in kombu's transport over Redis, with a real Redis."""

from __future__ import annotations

import pytest
from kombu import Connection, Queue

from app.jobs import transport

pytestmark = pytest.mark.integration


def test_a_connection_that_broke_half_way_is_closed_and_its_messages_come_again(
    settings, redis_client
):
    transport.use()
    connection = Connection(settings.redis_url)
    channel = connection.default_channel
    queue = Queue("broken", channel=channel)
    queue.declare()
    connection.Producer().publish({"job": 1}, routing_key="broken")
    assert queue.get() is not None
    # What `Connection.collect` leaves behind when closing a channel fails half-way.
    channel.connection.client = None
    channel._disconnect_pools()

    channel.close()

    assert channel.closed
    assert redis_client.hlen("unacked") == 1
    with Connection(settings.redis_url) as again:
        assert isinstance(again.default_channel, transport.Channel)
        again.default_channel.qos.visibility_timeout = 0
        again.default_channel.qos.restore_visible(interval=1)
        assert Queue("broken", channel=again.default_channel).get().payload == {"job": 1}
