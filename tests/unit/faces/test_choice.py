"""Of several faces in an image one is meant, or none is, and it is said why."""

from __future__ import annotations

import pytest

from app.errors import ItemError
from app.faces import codes
from app.faces.choice import Selection, choose, quality_score, reasons_in
from app.faces.model import Box, Face, Picture, Pose, Quality, Seen


def face(left: float, size: float = 100, *, confidence: float = 0.95, reasons=()) -> Face:
    return Face(
        box=Box(left, 200, size, size),
        confidence=confidence,
        landmarks=[],
        quality=Quality(500.0, 120.0, size),
        pose=Pose(0.0, 0.0, 0.0),
        reasons=reasons,
    )


def seen(*faces: Face) -> Seen:
    return Seen(Picture("JPEG", 1000, 500, False), 0, faces)


def refused(*faces: Face, selection: Selection = Selection.SINGLE) -> ItemError:
    with pytest.raises(ItemError) as raised:
        choose(seen(*faces), selection)
    return raised.value


def test_the_only_face_is_meant():
    only = face(10)

    chosen = choose(seen(only), Selection.SINGLE)

    assert (chosen.face, chosen.others) == (only, [])


def test_without_a_face_it_is_said_that_there_is_none():
    assert refused().code == codes.FACE_NOT_DETECTED


def test_what_may_be_no_face_is_none_and_does_not_make_two():
    doubtful = face(800, confidence=0.72, reasons=[codes.LOW_CONFIDENCE])

    assert refused(doubtful).code == codes.FACE_NOT_DETECTED
    chosen = choose(seen(face(10), doubtful), Selection.SINGLE)
    assert chosen.others == [(doubtful, [codes.LOW_CONFIDENCE])]


def test_several_faces_fail_where_one_is_expected():
    error = refused(face(10), face(800))

    assert error.code == codes.MULTIPLE_FACES
    assert str(error).startswith("2 faces")


@pytest.mark.parametrize(("selection", "left"), [(Selection.LARGEST, 700), (Selection.CENTER, 450)])
def test_a_collection_may_choose_among_several(selection, left):
    faces = [face(10), face(450), face(700, 250)]

    chosen = choose(seen(*faces), selection)

    assert chosen.face.box.left == left
    assert [why for _, why in chosen.others] == [(codes.EXCEEDS_MAX_FACES,)] * 2


def test_a_face_that_cannot_be_recognised_fails_and_every_reason_is_named():
    error = refused(face(10, reasons=[codes.LOW_SHARPNESS, codes.SMALL_BOUNDING_BOX]))

    assert error.code == codes.FACE_QUALITY_TOO_LOW
    assert "blurred" in str(error)
    assert reasons_in(str(error)) == ["LOW_SHARPNESS", "SMALL_BOUNDING_BOX"]


def test_a_message_without_reasons_has_none():
    assert reasons_in("No face was detected in the submitted image.") == []


def test_the_score_for_people_is_a_share_and_grows_with_size():
    small, large = quality_score(face(0, 45)), quality_score(face(0, 200))

    assert 0 < small < large <= 1
