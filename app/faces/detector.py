"""Where the faces of a picture are, whichever way it is turned: YuNet, by OpenCV.

A picture on its side has no faces for the detector, and one that stands on its head has some,
with embeddings that are nobody's. So where the surest face is not quite sure, the picture is
turned, and the way up that has the surest one is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from app.faces import models

Pixels = npt.NDArray[np.uint8]
#: One of the detector: box, five points, score.
Row = npt.NDArray[np.float32]

#: Longest sides at which is looked, the second where the first finds nothing.
_SIDES = (640, 1280)
#: From this score on, a picture is believed to be upright.
_UPRIGHT = 0.92
#: What is reported at all.
_SEEN = 0.7
_OVERLAP = 0.3
_MOST_FACES = 5_000

_SCORE = 14
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


@dataclass(frozen=True, slots=True)
class Detected:
    """A picture the right way up, in BGR, and its faces, the surest first."""

    pixels: Pixels
    rotation: int
    rows: Sequence[Row]


class Detector:
    """Not to be used by two threads at once."""

    def __init__(self, sure: float) -> None:
        """`sure` is the score from which on it is a face."""
        self._sure = sure
        weights = np.frombuffer(models.load(models.DETECTOR), np.uint8)
        self._network: Any = cv2.FaceDetectorYN.create(
            "onnx", weights, np.array([], np.uint8), (320, 320), _SEEN, _OVERLAP, _MOST_FACES
        )

    def detect(self, pixels: Pixels) -> Detected:
        best = Detected(pixels, 0, self._look(pixels))
        if _surest(best.rows) < _UPRIGHT:
            for rotation, how in _TURNS.items():
                turned = np.ascontiguousarray(cv2.rotate(pixels, how), np.uint8)
                rows = self._look(turned)
                if _surest(rows) > _surest(best.rows):
                    best = Detected(turned, rotation, rows)
        return best

    def _look(self, pixels: Pixels) -> Sequence[Row]:
        longest = max(pixels.shape[:2])
        for number, side in enumerate(_SIDES):
            rows = self._look_at(pixels, min(1.0, side / longest))
            if number == len(_SIDES) - 1 or longest <= side or _surest(rows) >= self._sure:
                break
        return rows

    def _look_at(self, pixels: Pixels, scale: float) -> Sequence[Row]:
        height, width = pixels.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        seen = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
        self._network.setInputSize(size)
        _, found = self._network.detect(seen)
        if found is None:
            return []
        rows = np.array(found, np.float32)
        rows[:, :_SCORE] /= scale
        sane = [row for row in rows if _is_sane(row, width, height)]
        return sorted(sane, key=lambda row: -float(row[_SCORE]))


def _surest(rows: Sequence[Row]) -> float:
    return float(rows[0][_SCORE]) if rows else 0.0


def _is_sane(row: Row, width: int, height: int) -> bool:
    """The numbers are numbers, and the middle of the box is in the picture."""
    if not np.isfinite(row).all():
        return False
    left, top, wide, high = (float(value) for value in row[:4])
    x, y = left + wide / 2, top + high / 2
    fits = 1 <= wide <= 2 * width and 1 <= high <= 2 * height
    return fits and 0 <= x < width and 0 <= y < height
