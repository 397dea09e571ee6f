"""Flower's configuration: `celery -A workers.main flower --conf=deploy/flower.py`.

Flower by itself asks for a password on its pages and its API, but hands /metrics, /healthcheck and
its static files to anybody. Workers' names and task counts are nobody's business, so here one door
stands before everything. tests/setup/test_flower.py knocks at all of it.

    MUSTER_FLOWER_AUTH   user:password; Flower does not start without it
    FLOWER_ADDRESS       where to listen; this machine only, unless set
    FLOWER_PORT          the port, 5555 unless set
"""

import hmac
import os
from base64 import b64decode

from flower.app import Flower
from tornado.web import Application, RequestHandler

PASSWORD_LENGTH = 12

_credentials = os.environ.get("MUSTER_FLOWER_AUTH", "")
if ":" not in _credentials or len(_credentials.partition(":")[2]) < PASSWORD_LENGTH:
    raise SystemExit(
        "MUSTER_FLOWER_AUTH must be user:password, with a password of at least"
        f" {PASSWORD_LENGTH} characters: Flower can see and stop every worker"
    )


class AskForPassword(RequestHandler):
    """Answers every request that came without the password."""

    def check_xsrf_cookie(self):
        # It would answer 403 before we could say what is really missing.
        pass

    def prepare(self):
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish("Flower needs a user and a password.\n")


def _is_let_in(request):
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = b64decode(encoded.strip(), validate=True)
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, _credentials.encode())


def _find_handler(self, request, **kwargs):
    """Tornado's choice of a handler, for those whom we let in."""
    if not _is_let_in(request):
        return self.get_handler_delegate(request, AskForPassword)
    return Application.find_handler(self, request, **kwargs)


Flower.find_handler = _find_handler

basic_auth = [_credentials]
address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
port = int(os.environ.get("FLOWER_PORT", "5555"))
