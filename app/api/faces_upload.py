"""Dialect C: reading multipart/form-data while it comes in, images straight into storage.

Flask's own reader would put every file into memory or onto this machine's disk first. This one
holds a part of one image and the texts of the form, whatever the size of the request; whatever
goes wrong on the way, nothing of the request stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from app.api.context import caller, resources
from app.errors import DatabaseUnavailable, InvalidParameter, TooLarge
from app.faces import images
from app.idempotency import claims
from schemas import texts

#: Images of one request, unless a call says less [seed C].
MOST_IMAGES = 100

#: What everything but the images may take.
FORM_BYTES = 1024 * 1024

#: Parts of a form; each image has an external id and metadata beside it.
_MOST_PARTS = 1_000
_BLOCK = 64 * 1024
#: What of a request that is too large is still read and thrown away, so that a client which writes
#: first and reads then gets the answer instead of a broken connection.
_DRAINED = 64 * 1024 * 1024

#: `images`, `images[]`, `images[7]`; of calls for one image also `image`.
_IMAGE = re.compile(r"images?(?:\[([0-9]{0,9})\])?")
#: Of a call that compares two: elsewhere these are fields that nobody knows.
_ONE_OF_TWO = re.compile(r"image[12]|source|target")
#: Meant as one of several, with a position that is none.
_STRANGE = re.compile(r"(?:images?|external_ids|metadata)\[.*", re.DOTALL)
_NUMBERED = re.compile(r".+?\[[0-9]{0,9}\]", re.DOTALL)
#: `metadata`, `metadata[]`, `metadata[7]`.
_LISTED = re.compile(r"(.+?)(?:\[([0-9]{0,9})\])?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sent:
    """An image that was sent; its bytes are in storage, at its position in the request."""

    field: str
    is_too_large: bool


@dataclass(slots=True)
class Form:
    """What a request held: texts by the name of their field, and which images."""

    batch: UUID
    texts: dict[str, list[str]] = field(default_factory=dict)
    images: list[Sent] = field(default_factory=list)
    #: How many there were, which may be more than are taken.
    received: int = 0

    def discard(self) -> None:
        """Give the images back."""
        with claims.unwatched():
            images.discard(resources().db, resources().settings, self.batch)

    def one(self, name: str) -> str | None:
        """Return the last of the texts of that name."""
        given = self.texts.get(name)
        return given[-1] if given else None

    def all(self, *names: str) -> list[str]:
        return [text for name in names for text in self.texts.get(name, [])]

    def listed(self, name: str) -> list[str]:
        """Return the texts sent as `name`, `name[]` or `name[0]`, `name[1]`, each at its place.

        Raises InvalidParameter where it cannot be told which belongs to which image.
        """
        spelt = {}
        for each in self.texts:
            parts = _LISTED.fullmatch(each)
            if parts is not None and parts[1] == name:
                spelt[each] = parts[2]
        numbers = [int(number) for number in spelt.values() if number]
        if not numbers:
            if len(spelt) > 1:
                raise InvalidParameter(f"Send {name} or {name}[], and not both.")
            return self.all(*spelt)
        sent = {int(number): self.texts[each] for each, number in spelt.items() if number}
        is_each_once = len(numbers) == len(spelt) == len(sent) and max(map(len, sent.values())) == 1
        if not is_each_once or sorted(sent) != list(range(len(sent))):
            raise _out_of_order(name)
        return [text for _, (text,) in sorted(sent.items())]


@contextmanager
def received(most_images: int = MOST_IMAGES, *, are_two: bool = False) -> Iterator[Form]:
    """Read the request, and give its images back if the block fails.

    Where images `are_two`, they may be called `image1` and `image2`, or `source` and `target`.
    Raises InvalidParameter, TooLarge or QuotaExceeded.
    """
    form = Form(uuid4())
    images.check_room(resources().db, resources().settings, caller().tenant_id)
    try:
        # What is only kept until there is a job is no effect of the request.
        with claims.unwatched():
            _read(form, most_images, are_two)
        yield form
    except DatabaseUnavailable:
        # Perhaps when the job was being committed, which then needs them. If there is none, the
        # sweep deletes them.
        raise
    except BaseException:
        # Also of a client that hung up: nothing of what it sent stays.
        form.discard()
        raise


def _read(form: Form, most_images: int, are_two: bool) -> None:
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise InvalidParameter("Send the images as Content-Type: multipart/form-data.")
    limit = most_images * resources().settings.face_image_max_bytes + FORM_BYTES
    reader = _Reader(form, most_images, are_two, boundary.encode("latin-1", "replace"))
    try:
        for block in _blocks(limit):
            reader.feed(block)
        reader.end()
    except ValueError as error:
        # What werkzeug says of it may quote a part of the body.
        raise InvalidParameter("The body is no complete multipart/form-data.") from error
    if form.received > most_images:
        raise InvalidParameter(
            f"At most {most_images} {'image is' if most_images == 1 else 'images are'} taken at"
            f" once; {form.received} were sent.",
            max=most_images,
            received=form.received,
        )
    form.images = reader.images()


def _blocks(limit: int) -> Iterator[bytes]:
    request.max_content_length = limit
    stream = None
    size = 0
    try:
        stream = request.stream
        while block := stream.read(_BLOCK):
            size += len(block)
            if size > limit:
                raise RequestEntityTooLarge
            yield block
    except RequestEntityTooLarge as error:
        _drain()
        raise TooLarge(f"The body may hold at most {limit:,} bytes.", max_bytes=limit) from error
    except ClientDisconnected as error:
        raise InvalidParameter("The body is shorter than its Content-Length says.") from error
    except (InvalidParameter, HTTPException):
        raise
    except OSError as error:
        # Only the client's bytes can go wrong here, and every server has names of its own for how.
        raise InvalidParameter("The body cannot be read to its end.") from error
    if size < (request.content_length or 0):
        raise InvalidParameter("The body is shorter than its Content-Length says.")


def _drain() -> None:
    stream = request.environ["wsgi.input"]
    left = min(_DRAINED, request.content_length or _DRAINED)
    try:
        while left > 0 and (part := stream.read(min(_BLOCK, left))):
            left -= len(part)
    except OSError:
        # The client is gone already.
        return


class _Reader:
    """Takes a form apart as it comes in."""

    def __init__(self, form: Form, most_images: int, are_two: bool, boundary: bytes) -> None:
        self._form = form
        self._most = most_images
        self._are_two = are_two
        self._decoder = MultipartDecoder(boundary, FORM_BYTES, max_parts=_MOST_PARTS)
        self._writer = images.Writer(
            resources().db, resources().settings, caller().tenant_id, form.batch
        )
        self._name = ""
        self._filename: str | None = None
        self._sent: dict[int, Sent] = {}
        self._position = 0
        self._is_numbered: bool | None = None
        self._is_image = False
        self._is_stored = False
        self._text = bytearray()
        self._size = 0
        self._texts_size = 0

    def feed(self, block: bytes) -> None:
        self._decoder.receive_data(block)
        self._take()

    def end(self) -> None:
        self._decoder.receive_data(None)
        if not self._take():
            raise ValueError("the form has no end")

    def images(self) -> list[Sent]:
        """Return the images by their position, or raise InvalidParameter if one is left out."""
        if sorted(self._sent) != list(range(len(self._sent))):
            raise _out_of_order("images")
        return [sent for _, sent in sorted(self._sent.items())]

    def _take(self) -> bool:
        """Handle what has come in, and tell whether that was all there is."""
        while True:
            event = self._next()
            if isinstance(event, NeedData):
                return False
            if isinstance(event, Epilogue):
                return True
            if isinstance(event, Field | File):
                self._begin(event)
            elif isinstance(event, Data):
                self._data(event)

    def _next(self) -> Event:
        try:
            return self._decoder.next_event()
        except RequestEntityTooLarge as error:
            raise InvalidParameter(
                f"A form has at most {_MOST_PARTS:,} parts, and {FORM_BYTES:,} bytes of text."
            ) from error

    def _begin(self, event: Field | File) -> None:
        # Typed as a text, and yet None for a part that has no name.
        if not event.name:
            raise InvalidParameter("Every part of a form needs a name.")
        self._name = event.name
        self._filename = event.filename if isinstance(event, File) else None
        image = _IMAGE.fullmatch(event.name)
        self._is_image = image is not None or self._is_one_of_two()
        self._is_stored = self._is_image and self._form.received < self._most
        if self._is_image:
            self._position = self._place(image[1] if image else None)
        elif _STRANGE.fullmatch(event.name) and not _NUMBERED.fullmatch(event.name):
            raise InvalidParameter(
                f"The field {self._shown()} has no number in its brackets; count from 0."
            )
        self._text.clear()
        self._size = 0
        if self._is_stored:
            self._writer.begin(self._position)

    def _is_one_of_two(self) -> bool:
        return self._are_two and _ONE_OF_TWO.fullmatch(self._name) is not None

    def _place(self, number: str | None) -> int:
        """Return where the image belongs: by its number, or else in the order of arrival."""
        if self._is_numbered not in {None, bool(number)}:
            raise InvalidParameter("Number all images, as in `images[0]`, or none.")
        self._is_numbered = bool(number)
        position = int(number) if number else len(self._sent)
        if position in self._sent:
            raise _out_of_order("images")
        # One that cannot be right is not even kept; what is missing before it is told at the end.
        self._is_stored = self._is_stored and position < self._most
        return position

    def _data(self, event: Data) -> None:
        self._size += len(event.data)
        if self._is_stored:
            self._writer.write(event.data)
        elif not self._is_image:
            self._texts_size += len(event.data)
            if self._texts_size > FORM_BYTES:
                raise InvalidParameter(
                    f"All fields but the images may take {FORM_BYTES:,} bytes together."
                )
            self._text += event.data
        if not event.more_data:
            self._finish()

    def _finish(self) -> None:
        if not self._is_image:
            self._keep_text()
            return
        if self._filename == "" and not self._size:
            # What a browser sends for a field in which nobody chose a file.
            return
        self._form.received += 1
        is_too_large = False
        if self._is_stored:
            self._writer.finish()
            is_too_large = self._writer.is_too_large
            # Other requests write at the same time, and one may be larger than all that is free.
            images.check_room(resources().db, resources().settings, caller().tenant_id, more=0)
        self._sent[self._position] = Sent(self._name, is_too_large)

    def _keep_text(self) -> None:
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidParameter(f"The field {self._shown()} is not UTF-8.") from error
        if not texts.is_storable(text):
            raise InvalidParameter(f"The field {self._shown()} holds a NUL, which is not taken.")
        self._form.texts.setdefault(self._name, []).append(text)

    def _shown(self) -> str:
        return ascii(self._name[:40])


def _out_of_order(name: str) -> InvalidParameter:
    return InvalidParameter(
        f"Numbers of {name} run from 0 on without a gap, each once, or are left out of all: it"
        " cannot be told which belongs to which."
    )


def require_images(form: Form, count: int = 1) -> Sequence[Sent]:
    """Return the images, or raise InvalidParameter unless there are so many."""
    if len(form.images) < count:
        raise InvalidParameter(
            "Send the image in the field `image`."
            if count == 1
            else f"Send {count} images, in the fields `image1` and `image2`."
        )
    return form.images
