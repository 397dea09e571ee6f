"""What a picture and a face are. Coordinates are pixels of the picture as it was sent, upright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: What made an embedding: only those made by the same can be compared.
MODEL_VERSION = "yunet-2023mar+sface-2021dec"

#: Numbers of an embedding, each a little-endian float32; its length is 1.
DIMENSIONS = 128
EMBEDDING_BYTES = 4 * DIMENSIONS


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as it was sent: its format, and its size with its EXIF orientation applied."""

    format: str
    width: int
    height: int
    orientation_applied: bool


@dataclass(frozen=True, slots=True)
class Box:
    left: float
    top: float
    width: float
    height: float

    def to_json(self, frame: tuple[int, int]) -> dict[str, Any]:
        """In pixels, and as shares of a frame of that width and height."""
        wide, high = frame
        return {
            "left": round(self.left, 1),
            "top": round(self.top, 1),
            "width": round(self.width, 1),
            "height": round(self.height, 1),
            "ratio": {
                "left": round(self.left / wide, 4),
                "top": round(self.top / high, 4),
                "width": round(self.width / wide, 4),
                "height": round(self.height / high, 4),
            },
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """Of the aligned face: variance of its Laplacian, its mean, and its side in the picture."""

    sharpness: float
    brightness: float
    face_px: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Degrees, worked out from five points: good enough to tell a profile from a portrait."""

    roll: float
    yaw: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Face:
    box: Box
    #: Of the detector, in [0, 1].
    confidence: float
    #: Right eye, left eye, tip of the nose, right and left corner of the mouth: of the person.
    landmarks: Sequence[tuple[float, float]]
    quality: Quality
    pose: Pose
    #: Why it cannot be recognised, of codes.REASONS; then it has no embedding.
    reasons: Sequence[str] = ()
    #: Biometric data: kept out of repr, and so out of logs and exception texts.
    embedding: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that was found in one image, the surest face first."""

    picture: Picture
    #: Degrees by which it had to be turned, clockwise, until the faces were upright.
    rotation_applied: int
    faces: Sequence[Face]

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the upright picture, in which boxes and landmarks are."""
        size = self.picture.width, self.picture.height
        return size if self.rotation_applied in {0, 180} else (size[1], size[0])
