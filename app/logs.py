"""Logs as one JSON object per line, carrying the job they belong to.

Ids, counts, codes and durations only: never a name, a birth date, a token or a payload.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_context: ContextVar[Mapping[str, object]] = ContextVar("log", default=MappingProxyType({}))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Add fields to every log line written inside the block."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line: dict[str, object] = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_context.get(),
            **extra,
        }
        if record.exc_info:
            line["traceback"] = self._frames(record)
        return json.dumps(line, default=str)

    def _frames(self, record: logging.LogRecord) -> str:
        """The exception's type and where it was raised, without its text.

        A database error quotes the row, a decoding error quotes the bytes: the text of an
        exception is the likeliest way for personal data to reach a log.
        """
        assert record.exc_info is not None
        kind, _, trace = record.exc_info
        steps = []
        while trace is not None:
            code = trace.tb_frame.f_code
            steps.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        name = kind.__name__ if kind is not None else "?"
        return f"{name} at " + " > ".join(steps[-8:])


def configure(level: str = "INFO") -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
