"""Which of the faces in an image is meant, or why none is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.errors import ItemError
from app.faces import codes
from app.faces.model import Face, Seen


class Selection(StrEnum):
    """What a collection does with an image of several faces."""

    #: Refuses it.
    SINGLE = "single"
    LARGEST = "largest"
    #: Takes the one nearest to the middle.
    CENTER = "center"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The face that is meant, and those that are not, each with why."""

    face: Face
    others: Sequence[tuple[Face, Sequence[str]]] = field(default=())


def choose(seen: Seen, selection: Selection) -> Chosen:
    """Return the face that is meant.

    Raises ItemError: face_not_detected, multiple_faces, or face_quality_too_low, whose message
    names the reasons in brackets.
    """
    sure = [face for face in seen.faces if codes.LOW_CONFIDENCE not in face.reasons]
    if not sure:
        raise ItemError(codes.FACE_NOT_DETECTED, "No face was detected in the submitted image.")
    if len(sure) > 1 and selection is Selection.SINGLE:
        raise ItemError(
            codes.MULTIPLE_FACES,
            f"{len(sure)} faces were detected in the submitted image, and this collection takes"
            " images of one.",
        )
    if selection is Selection.CENTER:
        best = min(sure, key=lambda face: _off_center(face, seen.frame))
    else:
        best = max(sure, key=lambda face: face.box.width * face.box.height)
    if best.reasons:
        said = " and ".join(codes.REASONS[reason] for reason in best.reasons)
        raise ItemError(
            codes.FACE_QUALITY_TOO_LOW,
            f"The face cannot be recognised for certain: {said} ({', '.join(best.reasons)}).",
        )
    others = [
        (face, face.reasons or (codes.EXCEEDS_MAX_FACES,))
        for face in seen.faces
        if face is not best
    ]
    return Chosen(best, others)


def reasons_in(message: str) -> list[str]:
    """Return the reasons that the message of a face_quality_too_low names."""
    _, _, named = message.rpartition("(")
    return [word for word in named.rstrip(").").split(", ") if word in codes.REASONS]


def quality_score(face: Face) -> float:
    """One number for people, in [0, 1]: how sharp, large and sure. Decides nothing."""
    sharp = min(1.0, face.quality.sharpness / 400)
    large = min(1.0, face.quality.face_px / 160)
    return round((sharp * large) ** 0.25 * face.confidence, 4)


def _off_center(face: Face, frame: tuple[int, int]) -> float:
    box = face.box
    x, y = box.left + box.width / 2, box.top + box.height / 2
    return math.hypot(x - frame[0] / 2, y - frame[1] / 2)
