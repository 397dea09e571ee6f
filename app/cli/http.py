"""The API as the client commands see it: JSON in, JSON out, and a sentence when it fails."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click

from app.cli.output import visible
from app.cli.sentences import Failure

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

#: Seconds to connect, and seconds of silence. A single check is answered within ten.
TIMEOUT = (5, 60)

#: So many of the details of an error are shown; the first ones say what kind of thing is wrong.
DETAILS = 5


#: Seconds before a request without an answer is sent again, and how long the server may be at work
#: on the first: one that was killed over it is taken for lost in less.
_PAUSE = 0.5
_PATIENCE = 60.0


class ApiFailure(Failure):
    """The server was not reached, or said no. `details` are its own, as it sent them."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        details: object = None,
        retry_after: float | None = None,
        conflicting: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details
        self.retry_after = retry_after
        #: The run of a verification that is in the way.
        self.conflicting = conflicting

    @property
    def is_passing(self) -> bool:
        """Asking again may well work: nobody answered, or the server is busy or starting."""
        return self.status in {None, 429, 502, 503, 504}


def api_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --url and --token, and hand it an Api as its first argument."""

    @click.option(
        "--url",
        envvar="MUSTER_URL",
        default="http://127.0.0.1:8000",
        show_default=True,
        show_envvar=True,
        help="Where the server is.",
    )
    @click.option(
        "--token",
        envvar="MUSTER_TOKEN",
        show_envvar=True,
        help="An access token or an API key (sk_…).",
    )
    @functools.wraps(command)
    def with_api(*args: Any, url: str, token: str | None, **options: Any) -> Any:
        api = Api(url, token)
        try:
            return command(api, *args, **options)
        except (KeyError, TypeError) as error:
            raise Failure(
                f"{api.url} answered in a way that this version of muster does not understand."
            ) from error

    return with_api


class Api:
    """One server and one token."""

    def __init__(self, url: str, token: str | None) -> None:
        import requests

        if not url.startswith(("http://", "https://")):
            raise click.UsageError(
                f"--url is an address such as http://127.0.0.1:8000, not {url!r}"
            )
        if not token:
            raise Failure(
                "No token: give --token or set MUSTER_TOKEN."
                " On the server's machine, `muster token` prints one."
            )
        if not (token.isascii() and token.isprintable()) or " " in token:
            # requests would say so too, and show the token.
            raise Failure("The token has characters that no token has.")
        self.url = url.rstrip("/")
        self._session = requests.Session()
        # As `auth`, not as a header: a ~/.netrc would replace the header.
        self._session.auth = _bearer(token)

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None
    ) -> Response:
        headers = {"If-None-Match": etag} if etag else {}
        return self._call("GET", path, params=params, headers=headers)

    def get_json(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return body_of(self.get(path, params))

    def post_json(
        self, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Send it, and once more if no answer came: under one key it is carried out once."""
        given = {**(headers or {}), "Idempotency-Key": str(uuid4())}
        until = None
        while True:
            try:
                return body_of(self._call("POST", path, json=body, headers=given))
            except ApiFailure as failure:
                now = time.monotonic()
                if until is None and failure.status is None:
                    until, pause = now + _PATIENCE, _PAUSE
                elif until and now < until and _is_at_work(failure):
                    pause = failure.retry_after or _PAUSE
                else:
                    raise
            time.sleep(pause)

    @contextmanager
    def stream(self, path: str, accept: str) -> Iterator[Iterator[bytes]]:
        """Open a long answer and hand out its bytes as they come."""
        response = self._call("GET", path, headers={"Accept": accept}, stream=True)
        with response, self._translated(is_midway=True):
            yield response.iter_content(64 * 1024)

    def _call(self, method: str, path: str, **arguments: Any) -> Response:
        with self._translated():
            response = self._session.request(
                method, self.url + path, timeout=TIMEOUT, allow_redirects=False, **arguments
            )
        if response.is_redirect:
            raise ApiFailure(
                f"{self.url} sends its callers on to"
                f" {visible(response.headers['Location'])}; use that as --url.",
                status=response.status_code,
            )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            with self._translated():
                raise _refusal(response, self.url)
        return response

    @contextmanager
    def _translated(self, is_midway: bool = False) -> Iterator[None]:
        """Say what went wrong on the way in words; those of requests name objects in memory."""
        import requests

        try:
            yield
        except requests.exceptions.SSLError as error:
            raise ApiFailure(f"{self.url} has no certificate that we trust.") from error
        except requests.exceptions.Timeout as error:
            raise ApiFailure(f"{self.url} did not answer in time.") from error
        except requests.exceptions.ConnectionError as error:
            broken = f"{self.url} broke off in the middle of its answer."
            absent = f"No server answers at {self.url}; is it running?"
            raise ApiFailure(broken if is_midway else absent) from error
        except requests.exceptions.ChunkedEncodingError as error:
            raise ApiFailure(f"{self.url} broke off in the middle of its answer.") from error
        # The second is of a value that is nested too deeply.
        except (requests.exceptions.InvalidJSONError, RecursionError) as error:
            raise Failure("What was to be sent cannot be written as JSON.") from error
        except requests.exceptions.RequestException as error:
            raise ApiFailure(f"{self.url} cannot be called: it is no valid address.") from error


def _is_at_work(failure: ApiFailure) -> bool:
    """Whether what was sent before is still being worked on, or was when the server was killed."""
    return failure.status == HTTPStatus.CONFLICT and failure.retry_after is not None


def body_of(response: Response) -> dict[str, Any]:
    """Return the JSON object that an answer is."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiFailure(
            f"{response.url} answered, but not as Muster does; is it the right address?",
            status=response.status_code,
        )
    return body


def said(detail: Mapping[str, Any]) -> str:
    """Return one of the details of an error as a line: which field, and what is wrong with it."""
    path, message = str(detail.get("path") or ""), str(detail.get("message") or "")
    return visible(f"{path}: {message}" if path and path != "subject" else message)


def _bearer(token: str) -> Callable[[PreparedRequest], PreparedRequest]:
    def sign(request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def _refusal(response: Response, url: str) -> ApiFailure:
    """Read an error body (API contract 7.4, 8.1, or RFC 9457), or make do with the status."""
    try:
        body = response.json()
    except ValueError:
        body = None
    message = (body.get("message") or body.get("detail")) if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(message, str):
        return ApiFailure(
            f"{url} answered {response.status_code} {response.reason}, and not as Muster does;"
            " is it the right address?",
            status=response.status_code,
            retry_after=_seconds(response),
        )
    message = visible(message)
    # The envelope of dialect B has it one floor below.
    enveloped = body.get("error")
    if isinstance(enveloped, dict):
        return ApiFailure(
            message,
            status=response.status_code,
            code=str(enveloped.get("type", "")),
            details=enveloped.get("details"),
            retry_after=_seconds(response),
            conflicting=enveloped.get("conflictingJobId"),
        )
    if needed := body.get("required_permission"):
        message += f" The token lacks the permission {visible(str(needed))}."
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        message += " Give another with --token or MUSTER_TOKEN."
    return ApiFailure(
        message,
        status=response.status_code,
        code=str(body.get("code") or body.get("type", "")),
        details=body.get("details"),
        retry_after=_seconds(response),
    )


def _seconds(response: Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
