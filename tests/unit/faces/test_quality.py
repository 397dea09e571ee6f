"""A face is measured, and what is wrong with it has a word."""

from __future__ import annotations

import pytest

pytest.importorskip("cv2", reason="faces need the extra: pip install 'muster[faces]'")

from app.faces import codes, quality
from app.faces.model import Pose, Quality
from app.faces.quality import Bounds, pose_of

GOOD = Quality(500.0, 120.0, 150.0)
AHEAD = Pose(0.0, 0.0, 0.0)
#: Right eye, left eye, nose, and the corners of the mouth, of somebody who looks straight ahead.
STRAIGHT = ((30.0, 40.0), (70.0, 40.0), (50.0, 62.0), (35.0, 80.0), (65.0, 80.0))


@pytest.mark.parametrize(
    ("measured", "pose", "confidence", "found"),
    [
        (GOOD, AHEAD, 0.95, []),
        (Quality(24.9, 120.0, 150.0), AHEAD, 0.95, [codes.LOW_SHARPNESS]),
        (Quality(500.0, 29.0, 150.0), AHEAD, 0.95, [codes.LOW_BRIGHTNESS]),
        (Quality(500.0, 221.0, 150.0), AHEAD, 0.95, [codes.HIGH_BRIGHTNESS]),
        (Quality(500.0, 120.0, 39.0), AHEAD, 0.95, [codes.SMALL_BOUNDING_BOX]),
        (GOOD, Pose(0.0, 75.0, 0.0), 0.95, [codes.EXTREME_POSE]),
        (GOOD, Pose(80.0, 0.0, 0.0), 0.95, []),
        (GOOD, AHEAD, 0.79, [codes.LOW_CONFIDENCE]),
    ],
)
def test_what_is_wrong_with_a_face_has_a_word(measured, pose, confidence, found):
    assert quality.reasons(measured, pose, confidence, Bounds()) == found


def test_bounds_can_be_set():
    assert quality.reasons(GOOD, AHEAD, 0.95, Bounds(smallest_px=200)) == [codes.SMALL_BOUNDING_BOX]


def test_somebody_who_looks_straight_ahead_is_turned_nowhere():
    assert pose_of(STRAIGHT) == Pose(0.0, 0.0, 0.0)


def test_a_head_on_its_side_rolls_and_does_nothing_else():
    lying = [(-y, x) for x, y in STRAIGHT]

    assert pose_of(lying) == Pose(90.0, 0.0, 0.0)


def test_a_nose_beyond_an_eye_is_a_profile():
    profile = ((30.0, 40.0), (40.0, 40.0), (55.0, 62.0), (32.0, 80.0), (42.0, 80.0))

    assert pose_of(profile).yaw == 90.0


def test_eyes_in_one_place_are_a_profile_as_well():
    assert pose_of(((30.0, 40.0), (30.0, 40.0), *STRAIGHT[2:])).yaw == 90.0
