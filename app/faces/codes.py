"""Why an image gave no face, or the face was not taken: public and permanent codes of items."""

from __future__ import annotations

from collections.abc import Mapping

FACE_NOT_DETECTED = "face_not_detected"
MULTIPLE_FACES = "multiple_faces"
FACE_QUALITY_TOO_LOW = "face_quality_too_low"
DUPLICATE_EXTERNAL_ID = "duplicate_external_id"
INVALID_IMAGE = "invalid_image"
IMAGE_TOO_LARGE = "image_too_large"
IMAGE_TOO_SMALL = "image_too_small"
IMAGE_TIMEOUT = "image_timeout"
FACE_NOT_FOUND = "face_not_found"
QUOTA_EXCEEDED = "quota_exceeded"

#: What each means, for docs/faces.md; never reuse or rename one.
CODES: Mapping[str, str] = {
    FACE_NOT_DETECTED: "no face is in the image, whichever way it is turned",
    MULTIPLE_FACES: "several faces are, and the collection takes images of one (`face_selection`)",
    FACE_QUALITY_TOO_LOW: "the face cannot be recognised for certain; `reasons` say why",
    DUPLICATE_EXTERNAL_ID: "the collection has a face of this `external_id`, and `on_duplicate` is"
    " `error`",
    INVALID_IMAGE: "broken, incomplete, or none of JPEG, PNG, WebP, GIF, TIFF and BMP, by what is"
    " in it; or made to use up the time or the memory that one image gets",
    IMAGE_TOO_LARGE: "more bytes or more pixels than are taken",
    IMAGE_TOO_SMALL: "fewer than 64 pixels on a side",
    IMAGE_TIMEOUT: "this machine was too busy to read the image in time",
    FACE_NOT_FOUND: "there is no face to compare with: it was deleted a moment ago",
    QUOTA_EXCEEDED: "the tenant keeps as many faces as it may",
}

LOW_SHARPNESS = "LOW_SHARPNESS"
LOW_BRIGHTNESS = "LOW_BRIGHTNESS"
HIGH_BRIGHTNESS = "HIGH_BRIGHTNESS"
SMALL_BOUNDING_BOX = "SMALL_BOUNDING_BOX"
EXTREME_POSE = "EXTREME_POSE"
LOW_CONFIDENCE = "LOW_CONFIDENCE"
EXCEEDS_MAX_FACES = "EXCEEDS_MAX_FACES"

#: Why a face was not taken. The words are for programs, and are those that others use as well.
REASONS: Mapping[str, str] = {
    LOW_SHARPNESS: "it is blurred",
    LOW_BRIGHTNESS: "it is too dark",
    HIGH_BRIGHTNESS: "it is too bright",
    SMALL_BOUNDING_BOX: "it is too small",
    EXTREME_POSE: "it is turned too far away",
    LOW_CONFIDENCE: "it may be no face",
    EXCEEDS_MAX_FACES: "another face of the image was chosen",
}
