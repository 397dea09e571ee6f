"""What the connections of a process are told, before any is opened."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import pytest
from kombu.transport.redis import Channel

from app.resources import make_celery
from app.settings import Settings


def checks(url: str) -> tuple[ssl.VerifyMode, ssl.VerifyMode]:
    """Return how broker and backend would check the certificate of Redis."""
    celery = make_celery(Settings.build(database_url="", redis_url=url, jwt_secret=""))
    # A channel of kombu asks Redis at once; its parameters can be had without.
    channel = Channel.__new__(Channel)
    channel.connection = SimpleNamespace(client=celery.connection_for_write(), default_port=6379)
    broker = channel._connparams()["ssl_cert_reqs"]
    return broker, celery.backend.connparams["ssl_cert_reqs"]


@pytest.mark.parametrize(
    "url", ["rediss://u:p%2F@redis:1/0", "rediss://redis/0?ssl_ca_certs=ca.pem"]
)
def test_with_tls_the_certificate_of_redis_is_checked(url):
    """Celery by itself asks for a setting, and kombu checks nothing."""
    assert checks(url) == (ssl.CERT_REQUIRED, ssl.CERT_REQUIRED)


def test_unless_the_url_says_otherwise():
    assert checks("rediss://redis/0?ssl_cert_reqs=none") == (ssl.CERT_NONE, ssl.CERT_NONE)


def test_a_url_without_tls_is_taken_as_it_is():
    celery = make_celery(
        Settings.build(database_url="", redis_url="redis://:p@redis:1/0", jwt_secret="")
    )
    assert celery.conf.broker_url == "redis://:p@redis:1/0"
