"""Tags by a model behind an OpenAI-compatible endpoint: POST {base_url}/chat/completions.

It is asked for a JSON schema; an endpoint that does not know that is asked for a JSON object, and
then for plain text. What is passing (time-outs, 429, 5xx) is tried again within the time there is:
after what `Retry-After` says, or with full jitter. A longer `Retry-After` raises RateLimited, with
which the job pauses. A key that is refused and a quota that is used up are never tried again.

No exception and no log line holds the key, the document, or anything that the endpoint said.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import cache
from typing import NoReturn

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from app.errors import ItemError, JobError, RateLimited
from app.providers.backoff import later, pause, retry_after
from app.providers.timed import Adapter, watched
from app.tagging import answers
from app.tagging.answers import MODES, BadAnswer
from app.tagging.model import Tag
from app.tagging.providers import Provider
from app.tagging.text import Page
from app.tagging.words import Words

log = logging.getLogger(__name__)

MODEL_UNAVAILABLE = "model_unavailable"
MODEL_TIMEOUT = "model_timeout"
MODEL_ANSWER_INVALID = "model_answer_invalid"
MODEL_REFUSED = "model_refused"
MODEL_NOT_FOUND = "model_not_found"
MODEL_KEY_REFUSED = "model_key_refused"
MODEL_QUOTA_EXHAUSTED = "model_quota_exhausted"

#: How often one document is tried, whatever the time allows, and answers that are no answer.
_TRIES = 5
_BAD_ANSWERS = 2
#: Longer than this nobody waits with a chunk in hand: the job pauses.
_LONGEST_WAIT = 5.0
#: How long a job pauses that is asked to slow down and not told for how long.
_REST_SECONDS = 30.0
_CONNECT_SECONDS = 3.0
_MAX_BYTES = 1_000_000
_BUFFER = 16_384
#: Codes and types of errors by which providers say that no money is left.
_NO_QUOTA = frozenset(
    {"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"}
)

_AGAIN = frozenset({408, 409, 425, 429})


class _Passing(Exception):
    """May go better next time; `after` is what the endpoint asked for, in seconds."""

    def __init__(self, code: str, after: float | None = None, status: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.after = after
        self.status = status


class Endpoint:
    """One model of one provider. Remembers which way of asking it understands."""

    def __init__(
        self, provider: Provider, model: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._provider = provider
        self._model = model
        self._sleep = sleep
        self._mode = 0
        self._http = requests.Session()
        # No proxy and no .netrc of the machine: its password would go out in place of the key.
        self._http.trust_env = False
        for scheme in ("http://", "https://"):
            self._http.mount(scheme, Adapter())
        self._http.headers["content-type"] = "application/json"
        self._http.headers["user-agent"] = "muster"
        if provider.key:
            self._http.headers["authorization"] = f"Bearer {provider.key}"

    @property
    def name(self) -> str:
        return f"{self._provider.name}/{self._model}"

    @property
    def source(self) -> str:
        return f"model:{self.name}"

    @property
    def mode(self) -> str:
        return MODES[self._mode]

    def tags(self, page: Page, words: Words, *, num_tags: int, seconds: float) -> list[Tag]:
        """Return the model's tags of the page, best first, within so many seconds.

        Raises ItemError for this document, JobError for all of the job, RateLimited.
        """
        deadline = time.monotonic() + seconds
        bad = 0
        for tries in range(_TRIES):
            try:
                raw = self._ask(page, num_tags, deadline)
                return answers.read(raw, page, words, self.source, num_tags)
            except BadAnswer as error:
                bad += 1
                if bad == _BAD_ANSWERS:
                    raise ItemError(
                        MODEL_ANSWER_INVALID, f"The answer of {self.name} is of no use: {error}."
                    ) from None
                passing = _Passing(MODEL_ANSWER_INVALID)
            except _Passing as error:
                passing = error
            wait = pause(tries) if passing.after is None else later(passing.after)
            left = deadline - time.monotonic()
            if passing.after is not None and (passing.after > _LONGEST_WAIT or wait >= left):
                raise self._limited(passing.after)
            if tries + 1 == _TRIES or wait >= left:
                self._give_up(passing, tries + 1)
            log.info("model.retried", extra={"code": passing.code, "status": passing.status})
            self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _give_up(self, passing: _Passing, tries: int) -> NoReturn:
        if passing.status == 429:
            raise self._limited(_REST_SECONDS)
        raise ItemError(
            passing.code,
            f"{self.name} gave no answer"
            + (f" (HTTP {passing.status})" if passing.status else "")
            + f" in {tries} {'try' if tries == 1 else 'tries'}; retry the document later.",
        )

    def _limited(self, seconds: float) -> RateLimited:
        return RateLimited(seconds, f"{self.name} asks to be left alone for {seconds:.0f} s.")

    def _ask(self, page: Page, num_tags: int, deadline: float) -> bytes:
        """Return the body of a good answer; ask in a plainer way where this one is not known."""
        mode = self._mode
        while True:
            body = answers.question(page, self._model, num_tags, MODES[mode])
            status, headers, raw = self._post(json.dumps(body).encode(), deadline)
            if status == 200:
                break
            knows_not = status in (400, 422) and b"response_format" in raw
            if not knows_not or mode + 1 == len(MODES):
                self._refuse(status, headers, raw)
            mode += 1
        # Only now: that the word is in an error may have to do with this document alone.
        if mode != self._mode:
            self._mode = mode
            log.info("model.mode_changed", extra={"mode": self.mode})
        return raw

    def _refuse(self, status: int, headers: CaseInsensitiveDict[str], raw: bytes) -> NoReturn:
        """Raise what the status means. Of what the endpoint said nothing is repeated."""
        if status == 402 or (status in (403, 429) and _says_no_quota(raw)):
            raise JobError(
                MODEL_QUOTA_EXHAUSTED,
                f"The quota of {self.name} is used up. Raise it, then retry the job.",
            )
        if status in (401, 403):
            raise JobError(
                MODEL_KEY_REFUSED,
                f"{self.name} refused the key of this server (HTTP {status}).",
            )
        if status == 404:
            raise JobError(MODEL_NOT_FOUND, f"{self.name} is not there (HTTP 404).")
        if status in _AGAIN or status >= 500:
            raise _Passing(MODEL_UNAVAILABLE, retry_after(headers), status)
        raise ItemError(MODEL_REFUSED, f"{self.name} refused the document (HTTP {status}).")

    def _post(self, body: bytes, deadline: float) -> tuple[int, CaseInsensitiveDict[str], bytes]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _Passing(MODEL_TIMEOUT)
        with watched(left) as watch:
            try:
                with self._http.post(
                    f"{self._provider.base_url}/chat/completions",
                    data=body,
                    timeout=(min(_CONNECT_SECONDS, left), left),
                    # An address that nobody configured gets neither the key nor the document.
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    raw = bytearray()
                    while part := response.raw.read1(_BUFFER, decode_content=True):
                        raw += part
                        if len(raw) > _MAX_BYTES:
                            raise BadAnswer("it is too long")
                    # A connection that was cut looks like an answer that ends.
                    if watch.is_up:
                        raise _Passing(MODEL_TIMEOUT)
                    return response.status_code, response.headers, bytes(raw)
            except (requests.Timeout, urllib3.exceptions.TimeoutError):
                raise _Passing(MODEL_TIMEOUT) from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
                # A connection that breaks off, also in the middle of the answer.
                raise _Passing(MODEL_TIMEOUT if watch.is_up else MODEL_UNAVAILABLE) from None


def _says_no_quota(raw: bytes) -> bool:
    """The error is one of money. What else the body holds may be the document, sent back."""
    try:
        error = json.loads(raw)["error"]
        return any(error.get(key) in _NO_QUOTA for key in ("code", "type"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False


@cache
def endpoint(provider: Provider, model: str) -> Endpoint:
    """Return the one endpoint of this process for the model."""
    return Endpoint(provider, model)
