"""Whether a face is fit to be recognised, and which way it looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from app.faces import codes
from app.faces.model import Pose, Quality

#: Of the aligned face of 112 pixels: below, it is blurred.
SHARPNESS = 25.0
#: Mean of its pixels, of 255.
DARKEST, BRIGHTEST = 30.0, 220.0
#: Side of the face in the picture as it was sent.
SMALLEST_PX = 40.0
#: Degrees from which on a face shows its side.
MOST_YAW, MOST_PITCH = 60.0, 50.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a face must be to be recognised; the settings may say otherwise."""

    sharpness: float = SHARPNESS
    darkest: float = DARKEST
    brightest: float = BRIGHTEST
    smallest_px: float = SMALLEST_PX
    sure: float = 0.8


def measure(aligned: npt.NDArray[np.uint8], face_px: float) -> Quality:
    """Measure an aligned face, in BGR, whose side in the picture is `face_px`."""
    grey = cv2.cvtColor(aligned, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    return Quality(sharpness, float(grey.mean()), face_px)


def pose_of(points: Sequence[Point]) -> Pose:
    """Work out from five points which way a face looks.

    Roll is the slope of the eyes. Of a face that looks straight ahead the nose is midway between
    the eyes, and 0.55 of the way from them to the mouth; yaw and pitch are how far it is not.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    eyes, mouth = _middle(right_eye, left_eye), _middle(right_mouth, left_mouth)
    across = left_eye[0] - right_eye[0], left_eye[1] - right_eye[1]
    apart = math.hypot(*across)
    down = math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1])
    if apart < 1 or down < 1:
        # The two eyes are one: it is seen from the side.
        return Pose(0.0, 90.0, 0.0)
    roll = math.degrees(math.atan2(across[1], across[0]))
    off = nose[0] - eyes[0], nose[1] - eyes[1]
    sideways = (off[0] * across[0] + off[1] * across[1]) / apart / apart
    downwards = (-off[0] * across[1] + off[1] * across[0]) / apart / down
    # A narrow face that is as long as ever is turned as well.
    yaw = math.degrees(math.asin(_within(sideways * 1.6)))
    pitch = math.degrees(math.asin(_within((downwards - 0.55) * 1.8)))
    return Pose(round(roll, 1), round(yaw, 1), round(pitch, 1))


def reasons(quality: Quality, pose: Pose, confidence: float, bounds: Bounds) -> list[str]:
    """Return why a face cannot be recognised, of codes.REASONS; nothing for one that can."""
    found = []
    if confidence < bounds.sure:
        found.append(codes.LOW_CONFIDENCE)
    if quality.face_px < bounds.smallest_px:
        found.append(codes.SMALL_BOUNDING_BOX)
    if quality.sharpness < bounds.sharpness:
        found.append(codes.LOW_SHARPNESS)
    if quality.brightness < bounds.darkest:
        found.append(codes.LOW_BRIGHTNESS)
    if quality.brightness > bounds.brightest:
        found.append(codes.HIGH_BRIGHTNESS)
    if abs(pose.yaw) > MOST_YAW or abs(pose.pitch) > MOST_PITCH:
        found.append(codes.EXTREME_POSE)
    return found


def _middle(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def _within(value: float) -> float:
    return max(-1.0, min(1.0, value))
