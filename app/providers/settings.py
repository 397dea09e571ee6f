"""What the settings of all providers share: JSON in a variable or a file, addresses, and keys.

Whoever configures one is told what is wrong and where; a key is quoted in no error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from app.errors import Misconfigured
from app.settings import read_secret

#: How a provider is called.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def read_object(variable: str, text: str) -> Mapping[str, Any]:
    """Return what a setting holds: a provider under each name. Raises Misconfigured.

    `text` is the JSON, or the path of a file that holds it.
    """
    if not text:
        return {}
    if not text.startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError):
            raise Misconfigured(f"{variable}: there is no file of that name to read.") from None
    try:
        given = json.loads(text)
    except ValueError:
        raise Misconfigured(f"{variable} is not JSON.") from None
    if not isinstance(given, dict):
        raise Misconfigured(f"{variable} must be an object: a provider under each name.")
    return given


def check_keys(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Raise Misconfigured if the provider has a key that there is not."""
    if unknown := sorted(set(given) - known):
        there_are = ", ".join(sorted(known))
        raise Misconfigured(f"{where}: {unknown[0][:40]!r} is not known; there are {there_are}.")


def split_url(given: Any) -> SplitResult | None:
    """Return the parts of an address of the web that names no user; None if it is no such."""
    if not isinstance(given, str):
        return None
    try:
        url = urlsplit(given)
        _ = url.port  # raises where it is none
    except ValueError:
        return None
    if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc:
        return None
    return url


def read_key(given: Mapping[str, Any], where: str) -> str:
    """Return the key, from the variable or the file that is named; empty if none is."""
    if "key_env" in given:
        key = read_secret(str(given["key_env"]))
        missing = f"the variable {given['key_env']} is not set"
    elif "key_file" in given:
        try:
            key = Path(str(given["key_file"])).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            key = ""
        missing = "its key_file cannot be read, or is empty"
    else:
        return ""
    if not key:
        raise Misconfigured(f"{where}: {missing}.")
    # A key that cannot stand in a header would be quoted by the error about it.
    if not re.fullmatch(r"[!-~]+", key):
        raise Misconfigured(f"{where}: its key holds characters that no key has.")
    return key
