"""An image in, its faces with their embeddings out: YuNet finds them, SFace tells them apart."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from app.faces import models, quality
from app.faces.decoder import Decoder, check_installed
from app.faces.detector import Detector, Row
from app.faces.model import Box, Face, Seen
from app.faces.quality import Bounds

#: Faces of one image that are looked at more closely, the surest first.
_MOST_FACES = 100


class Networks:
    """Both networks. Loaded once, before a worker forks, so that its processes share them.

    Not to be used by two threads at once. Raises Misconfigured where they are not installed.
    """

    def __init__(self, bounds: Bounds) -> None:
        check_installed()
        # One process a core: threads of its own would only take turns with the others'.
        cv2.setNumThreads(1)
        self.bounds = bounds
        self.detector = Detector(bounds.sure)
        weights = np.frombuffer(models.load(models.RECOGNIZER), np.uint8)
        self.recognizer: Any = cv2.FaceRecognizerSF.create("onnx", weights, np.array([], np.uint8))

    def warm(self) -> None:
        """Let each run once: what they allocate at first, no image has to wait for."""
        self.detector.detect(np.zeros((640, 640, 3), np.uint8))
        self.recognizer.feature(np.zeros((112, 112, 3), np.uint8))


class Engine:
    """Finds and measures the faces of one image at a time."""

    def __init__(self, networks: Networks, seconds: float) -> None:
        """`seconds` is what decoding one image may take."""
        self._networks = networks
        self._decoder = Decoder(seconds)

    def see(self, data: bytes) -> Seen:
        """Return what is in an image. Raises ItemError with one of app.faces.codes."""
        read = self._decoder.decode(data)
        pixels = np.frombuffer(read.data, np.uint8).reshape(read.height, read.width, 3)
        found = self._networks.detector.detect(pixels)
        scale = max(read.picture.width, read.picture.height) / max(read.width, read.height)
        faces = [self._face(found.pixels, row, scale) for row in found.rows[:_MOST_FACES]]
        return Seen(read.picture, found.rotation, faces)

    def warm(self) -> None:
        self._networks.warm()
        self._decoder.warm()

    def close(self) -> None:
        self._decoder.close()

    def _face(self, pixels: npt.NDArray[np.uint8], row: Row, scale: float) -> Face:
        """Measure one face. `scale` leads from these pixels to those of the picture as sent."""
        aligned = self._networks.recognizer.alignCrop(pixels, row)
        left, top, width, height = (float(value) * scale for value in row[:4])
        numbers = [float(value) * scale for value in row[4:14]]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        measured = quality.measure(aligned, min(width, height))
        pose = quality.pose_of(points)
        confidence = float(row[14])
        reasons = quality.reasons(measured, pose, confidence, self._networks.bounds)
        return Face(
            box=Box(left, top, width, height),
            confidence=round(confidence, 4),
            landmarks=[(round(x, 1), round(y, 1)) for x, y in points],
            quality=measured,
            pose=pose,
            reasons=reasons,
            embedding=b"" if reasons else self._embedding(aligned),
        )

    def _embedding(self, aligned: npt.NDArray[np.uint8]) -> bytes:
        raw = np.asarray(self._networks.recognizer.feature(aligned), np.float32).ravel()
        return (raw / np.linalg.norm(raw)).astype("<f4").tobytes()


def similarity(one: bytes, other: bytes) -> float:
    """Return the cosine of two embeddings: 1 is the same face."""
    left, right = (np.frombuffer(each, "<f4") for each in (one, other))
    return float(left @ right)
