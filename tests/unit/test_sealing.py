"""What is sealed can be opened with its key and no other, and says nothing meanwhile."""

from __future__ import annotations

import base64
import json
import sys

import pytest

from app import sealing
from app.errors import KeyUnavailable, Misconfigured
from app.settings import Settings

ONE, TWO = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PAYLOAD = json.dumps({"subject": {"full_name": "Xylophandra Ünïcode \\ \n"}}).encode()


def sealer(text: str) -> sealing.Sealer:
    return sealing.Sealer(sealing.parse_keys(text))


def test_what_is_sealed_is_json_that_shows_its_key_and_nothing_else():
    sealed = sealer(f"k1:{ONE},k2:{TWO}").seal(PAYLOAD)

    assert json.loads(sealed).startswith("sealed:1:k1:")
    assert b"Xylo" not in sealed
    assert sealed != sealer(f"k1:{ONE}").seal(PAYLOAD)
    opened = sealer(f"k2:{TWO} k1:{ONE}").open_text(sealed.decode())
    assert opened == PAYLOAD.decode()
    assert sealer(f"k1:{ONE}").open_value(json.loads(sealed)) == json.loads(PAYLOAD)


def test_without_keys_nothing_is_sealed_and_what_is_plain_is_always_readable():
    assert sealing.PLAIN.seal(PAYLOAD) == PAYLOAD
    for each in (sealing.PLAIN, sealer(f"k1:{ONE}")):
        assert each.open_text(PAYLOAD.decode()) == PAYLOAD.decode()
        assert each.open_text(None) is None
        for value in ({"a": 1}, None, "text", ["sealed:1:"]):
            assert each.open_value(value) == value


def test_a_key_that_is_missing_wrong_or_a_value_that_was_changed_is_said_by_the_keys_id():
    sealed = sealer(f"k1:{ONE}").seal(PAYLOAD).decode()

    for other, said in ((f"k2:{ONE}", "is not in"), (f"k1:{TWO}", "another one")):
        with pytest.raises(KeyUnavailable, match=f"'k1'.*{said}") as error:
            sealer(other).open_text(sealed)
        assert "Xylo" not in str(error.value)
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    with pytest.raises(KeyUnavailable):
        sealer(f"k1:{ONE}").open_text(changed)


@pytest.mark.parametrize(
    "text", ["k1", f"k1:{ONE[:-8]}", f"K 1:{ONE}", f"k1:{ONE},k1:{TWO}", f":{ONE}", f"k1:{ONE}xx"]
)
def test_keys_that_are_none_are_refused_and_not_repeated(text):
    with pytest.raises(ValueError, match=r"key [12]") as error:
        sealing.parse_keys(text)
    assert ONE[:20] not in str(error.value)
    env = {"DATABASE_URL": "postgresql://h/x", "REDIS_URL": "redis://h/0"}
    env |= {"MUSTER_JWT_SECRET": "a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c"}
    with pytest.raises(Misconfigured, match="MUSTER_PAYLOAD_KEYS") as refused:
        Settings.from_env({**env, "MUSTER_PAYLOAD_KEYS": text})
    assert ONE[:20] not in str(refused.value)


def test_without_its_library_a_server_with_keys_does_not_start(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)

    with pytest.raises(Misconfigured, match=r"muster\[crypto\]"):
        sealer(f"k1:{ONE}")
