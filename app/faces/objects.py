"""An S3-compatible store for images: put, get and delete. Only this module knows boto3."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.errors import Misconfigured, Unavailable
from app.settings import Settings

log = logging.getLogger(__name__)

#: Objects of one request to delete; S3 takes no more.
AT_ONCE = 1000

_CONNECT_SECONDS = 3
_READ_SECONDS = 10

#: What it says of an object that is not there.
_MISSING = frozenset({"NoSuchKey", "404"})


class Objects:
    """The images of one bucket, by request and position. Raises Unavailable where it is away."""

    def __init__(self, address: str, endpoint: str) -> None:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise Misconfigured(
                "MUSTER_FACE_STORE needs boto3; install it with: pip install 'muster[s3]'"
            ) from error
        self._wrong, self._refused = (BotoCoreError, ClientError), ClientError
        self._bucket, _, folder = address.removeprefix("s3://").partition("/")
        self._folder = f"{folder}/" if folder else ""
        try:
            self._client: Any = boto3.client(
                "s3",
                endpoint_url=endpoint or None,
                config=Config(
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=_READ_SECONDS,
                    retries={"max_attempts": 2, "mode": "standard"},
                    # Checksums of its own are not understood by every store.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        except (ValueError, BotoCoreError) as error:
            # By its type: an address may have credentials in it.
            raise Misconfigured(
                f"MUSTER_FACE_STORE cannot be opened ({type(error).__name__}): look at"
                " MUSTER_S3_ENDPOINT and the AWS_ variables."
            ) from error

    def put(self, batch: UUID, position: int, data: bytes) -> None:
        self._do("put_object", Key=self._key(batch, position), Body=data)

    def get(self, batch: UUID, position: int) -> bytes | None:
        """Return an image, or None if it is not there."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key(batch, position))
            data: bytes = answer["Body"].read()
        except self._wrong as error:
            if isinstance(error, self._refused) and self._code(error) in _MISSING:
                return None
            raise self._away(error) from error
        return data

    def delete(self, images: Sequence[tuple[UUID, int]]) -> Collection[tuple[UUID, int]]:
        """Delete images, and return those that the store would not delete.

        What is not there any more is no trouble.
        """
        left: set[tuple[UUID, int]] = set()
        for start in range(0, len(images), AT_ONCE):
            keys = {self._key(*each): each for each in images[start : start + AT_ONCE]}
            wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            errors = self._do("delete_objects", Delete=wanted).get("Errors") or ()
            left |= {keys[error["Key"]] for error in errors if error.get("Key") in keys}
            if errors:
                log.warning("face_store.not_deleted", extra={"objects": len(errors)})
        return left

    def _do(self, what: str, **given: Any) -> Any:
        try:
            return getattr(self._client, what)(Bucket=self._bucket, **given)
        except self._wrong as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> Unavailable:
        # By its type: what it says may quote an address with credentials in it.
        reason = self._code(error) or type(error).__name__
        log.warning("face_store.unavailable", extra={"reason": reason})
        return Unavailable("The store of images cannot be used. Try again in a moment.")

    @staticmethod
    def _code(error: Exception) -> str:
        return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))

    def _key(self, batch: UUID, position: int) -> str:
        return f"{self._folder}{batch}/{position}"


def of(settings: Settings) -> Objects | None:
    """Return the store that the settings name, or None: then images are in Postgres."""
    return _opened(settings.face_store, settings.s3_endpoint) if settings.face_store else None


@lru_cache(maxsize=2)
def _opened(address: str, endpoint: str) -> Objects:
    return Objects(address, endpoint)
