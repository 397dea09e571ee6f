"""Links that anybody may follow who has them, until they expire: signed, and nothing is stored.

The signature is over the whole key and the moment of expiry, by a secret that is made of the one
that signs tokens and is good for nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from app.errors import BadSignature, LinkExpired

#: How long a link is good.
SECONDS = 3600

FORMATS = ("json", "csv", "html", "pdf")

_KEY = re.compile(
    r"exports/tenants/(?P<tenant>[0-9a-f-]{36})/(?P<job>[0-9a-f-]{36})\.(?P<format>[a-z]{3,4})"
)
_WHOLE = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Export:
    """The results of a tenant's job, by the job's external id, in one of FORMATS."""

    tenant_id: UUID
    job_id: str
    format: str

    @property
    def key(self) -> str:
        return f"exports/tenants/{self.tenant_id}/{self.job_id}.{self.format}"

    @classmethod
    def from_key(cls, key: str) -> Self | None:
        parts = _KEY.fullmatch(key)
        if parts is None or parts["format"] not in FORMATS:
            return None
        return cls(UUID(parts["tenant"]), parts["job"], parts["format"])


def sign(secret: str, export: Export, expires: int) -> str:
    """Return the signature of a link that expires at that moment, in seconds since 1970."""
    own = hmac.digest(secret.encode(), b"muster export links", "sha256")
    return hmac.new(own, f"{export.key}\n{expires}".encode(), hashlib.sha256).hexdigest()


def read(secrets: Iterable[str], key: str, expires: str, signature: str) -> Export:
    """Return what a link leads to that any of the secrets signed.

    Raises BadSignature or LinkExpired.
    """
    export = Export.from_key(key)
    if export is None or not _WHOLE.fullmatch(expires):
        raise BadSignature("This is not a link of ours, or it was changed on the way.")
    given = signature.encode("utf-8", "replace")
    right = (sign(secret, export, int(expires)).encode() for secret in secrets)
    if not any(hmac.compare_digest(each, given) for each in right):
        raise BadSignature("This is not a link of ours, or it was changed on the way.")
    if int(expires) < time.time():
        raise LinkExpired(
            "This link has expired: links are good for an hour. Ask for a new one with"
            f" GET /exports/{export.job_id}."
        )
    return export
