"""A provider behind HTTP: asked within the time there is, a bounded number of times.

What is passing (time-outs, broken connections, 408, 425, 429, 5xx) is tried again, with full jitter
or after what `Retry-After` says. Whoever has failed many times in a row is not asked at all for a
while (breaker.py). No exception and no log line holds the key, the subject, or what was answered.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, NoReturn, Protocol

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from app.providers.backoff import later, pause, retry_after
from app.providers.timed import Adapter, watched
from app.verifications.findings import PASSING, Answer, Checked, Read
from app.verifications.providers import generic, yente
from app.verifications.providers.breaker import Breaker
from app.verifications.providers.config import ProviderConfig

log = logging.getLogger(__name__)

TIMEOUT = "timeout"
UNAVAILABLE = "unavailable"
RATE_LIMITED = "rate_limited"
KEY_REFUSED = "key_refused"
REFUSED = "refused"
ANSWER_INVALID = "answer_invalid"
CIRCUIT_OPEN = "circuit_open"
INTERNAL_ERROR = "internal_error"

#: What a provider has itself to answer for. That it refuses one subject, or that its answer about
#: one makes no sense, says nothing of what it does for the next, or for another tenant.
_FAILURES = PASSING | {KEY_REFUSED}

#: A yente's catalogue is read again after this long.
_VERSION_SECONDS = 600.0

_CONNECT_SECONDS = 3.0
_MAX_BYTES = 5_000_000
_BUFFER = 16_384
_AGAIN = frozenset({408, 425, 429})

_SENTENCES: Mapping[str, str] = {
    TIMEOUT: "gave no answer in time",
    UNAVAILABLE: "cannot be reached, or failed",
    RATE_LIMITED: "asks to be left alone",
    KEY_REFUSED: "refused the key of this server",
    REFUSED: "refused the request",
    ANSWER_INVALID: "gave an answer that cannot be read",
    CIRCUIT_OPEN: "has failed many times in a row and is not asked for a while",
    INTERNAL_ERROR: "could not be asked because of an error on our side",
}


class ProviderError(Exception):
    """`after` is what the provider asked for, in seconds."""

    def __init__(self, code: str, status: int = 0, after: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.after = after
        #: How often it was tried.
        self.tries = 0


def _read(raw: bytes) -> Any:
    """Return an answer that can be kept. Raises ProviderError.

    Postgres stores neither a NUL nor half a surrogate pair, and NaN and infinity are not JSON,
    whatever Python reads.
    """
    try:
        answer = json.loads(raw)
        text = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ProviderError(ANSWER_INVALID) from None
    if b"\\u0000" in text:
        raise ProviderError(ANSWER_INVALID)
    return answer


class Dialect(Protocol):
    """How a kind of endpoint is asked and understood. `read` raises ValueError."""

    def question(
        self, config: ProviderConfig, subject: Mapping[str, Any]
    ) -> tuple[str, Mapping[str, Any]]: ...

    def read(self, config: ProviderConfig, answer: Any) -> Read: ...


_DIALECTS: Mapping[str, Dialect] = {"yente": yente, "http": generic}


class Remote:
    """One provider of this process, with its connections and its breaker."""

    def __init__(
        self,
        config: ProviderConfig,
        breaker: Breaker | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._dialect = _DIALECTS[config.kind]
        self._breaker = breaker or Breaker()
        self._sleep = sleep
        self._known_version: str | None = None
        self._version_until = -math.inf
        self._http = requests.Session()
        # No proxy and no .netrc of the machine: its password would go out in place of the key.
        self._http.trust_env = False
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, Adapter())
        self._http.headers["content-type"] = "application/json"
        self._http.headers["accept"] = "application/json"
        self._http.headers["user-agent"] = "muster"
        if config.key:
            scheme = f"{config.key_scheme} " if config.key_scheme else ""
            self._http.headers[config.key_header] = f"{scheme}{config.key}"

    @property
    def name(self) -> str:
        return self._config.name

    def check(self, subject: Mapping[str, Any], seconds: float) -> Answer:
        """Return what the provider says of a subject, within about so many seconds."""
        began = time.monotonic()
        tries = 0
        try:
            if not self._breaker.lets_through():
                raise ProviderError(CIRCUIT_OPEN)
            said, tries = self._asked(subject, began + seconds)
        except ProviderError as error:
            log.warning(
                "provider.failed",
                extra={"provider": self.name, "code": error.code, "status": error.status},
            )
            return Answer([self._checked(began, error=error)])
        except Exception as error:
            # A bug of ours must not keep the other sources' answers from being kept.
            log.error("provider.failed", exc_info=error, extra={"provider": self.name})
            return Answer([self._checked(began, error=ProviderError(INTERNAL_ERROR))])
        return Answer([self._checked(began, said=said, tries=tries)], said.hits)

    def _checked(
        self,
        began: float,
        *,
        said: Read | None = None,
        tries: int = 0,
        error: ProviderError | None = None,
    ) -> Checked:
        config = self._config
        message = None
        rest = 0.0
        if error is not None:
            rest = max(error.after or 0.0, self._breaker.left())
            status = f" (HTTP {error.status})" if error.status else ""
            message = f"{config.title} {_SENTENCES[error.code]}{status}."
            tries = error.tries
        return Checked(
            source=config.name,
            source_name=config.title,
            category=config.category,
            provider=config.kind,
            version=said.version if said else None,
            is_cut_short=said is not None and said.is_full,
            error_code=error.code if error else None,
            error_message=message,
            attempts=tries,
            duration_ms=round(1000 * (time.monotonic() - began)),
            retry_after=rest,
        )

    def _asked(self, subject: Mapping[str, Any], deadline: float) -> tuple[Read, int]:
        url, body = self._dialect.question(self._config, subject)
        raw = json.dumps(body, ensure_ascii=False).encode()
        for tries in range(1, self._config.tries + 1):
            try:
                said = self._understood(self._post(url, raw, deadline))
            except ProviderError as error:
                self._breaker.report(succeeded=error.code not in _FAILURES)
                wait = pause(tries - 1) if error.after is None else later(error.after)
                left = deadline - time.monotonic()
                if (
                    error.code not in PASSING
                    or tries == self._config.tries
                    or wait >= left
                    or not self._breaker.lets_through()
                ):
                    error.tries = tries
                    raise
                log.info("provider.retried", extra={"provider": self.name, "code": error.code})
                self._sleep(wait)
            else:
                self._breaker.report(succeeded=True)
                return replace(said, version=said.version or self._version(deadline)), tries
        raise AssertionError("the last try returns or raises")

    def _version(self, until: float) -> str | None:
        """Return the version of a yente's dataset, looked up now and then; None if it is not told.

        That an answer came counts more than from which version: this may fail without a word.
        """
        if self._config.kind != "yente" or time.monotonic() < self._version_until:
            return self._known_version
        self._version_until = time.monotonic() + _VERSION_SECONDS
        left = min(_CONNECT_SECONDS, until - time.monotonic())
        if left <= 0:
            return self._known_version
        try:
            raw = self._call("GET", yente.catalogue(self._config), None, left)
            self._known_version = yente.read_version(self._config, _read(raw))
        except ProviderError as error:
            # What was in force ten minutes ago most likely is so now.
            log.info("provider.version_unknown", extra={"provider": self.name, "code": error.code})
        return self._known_version

    def _understood(self, raw: bytes) -> Read:
        answer = _read(raw)
        try:
            return self._dialect.read(self._config, answer)
        except (ValueError, OverflowError, RecursionError):
            raise ProviderError(ANSWER_INVALID) from None

    def _post(self, url: str, raw: bytes, deadline: float) -> bytes:
        left = min(self._config.seconds, deadline - time.monotonic())
        if left <= 0:
            raise ProviderError(TIMEOUT)
        return self._call("POST", url, raw, left)

    def _call(self, method: str, url: str, raw: bytes | None, left: float) -> bytes:
        with watched(left) as watch:
            try:
                with self._http.request(
                    method,
                    url,
                    data=raw,
                    timeout=(min(_CONNECT_SECONDS, left), left),
                    # An address that nobody configured gets neither the key nor the subject.
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    if response.status_code != 200:
                        self._refuse(response.status_code, response.headers)
                    answer = bytearray()
                    while part := response.raw.read1(_BUFFER, decode_content=True):
                        answer += part
                        if len(answer) > _MAX_BYTES:
                            raise ProviderError(ANSWER_INVALID)
                    # A connection that was cut looks like an answer that ends.
                    if watch.is_up:
                        raise ProviderError(TIMEOUT)
                    return bytes(answer)
            except (requests.Timeout, urllib3.exceptions.TimeoutError):
                raise ProviderError(TIMEOUT) from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
                raise ProviderError(TIMEOUT if watch.is_up else UNAVAILABLE) from None

    def _refuse(self, status: int, headers: CaseInsensitiveDict[str]) -> NoReturn:
        if status in (401, 403):
            raise ProviderError(KEY_REFUSED, status)
        if status == 429:
            raise ProviderError(RATE_LIMITED, status, retry_after(headers))
        if status in _AGAIN or status >= 500:
            raise ProviderError(UNAVAILABLE, status, retry_after(headers))
        raise ProviderError(REFUSED, status)


@lru_cache(maxsize=32)
def _remote(pid: int, config: ProviderConfig) -> Remote:
    # By the pid: a process that was forked must not share its parent's connections.
    return Remote(config)


def remote(config: ProviderConfig) -> Remote:
    """Return this process's one client of a provider, which keeps connections and a breaker."""
    return _remote(os.getpid(), config)
