"""Images per second and core, decode to embedding; accuracy, refusals, memory; and 1:N search.

The images are six portraits of four people with stated licences, and what can be made of them.
That is enough to see that the engine is as good as the networks that it is made of, and far too
little to say how good those are for anybody else's images: docs/faces.md.

Beside the engine the same networks without it: cv2.imdecode, YuNet at 640 pixels and SFace, in
this process, which a bomb would take down with it. Both take turns in one run. Beside the search
the bare product of the same matrix.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

from app.errors import ItemError
from benchmarks import machine
from benchmarks.figure import Figure, Goal, Measure, Skipped
from benchmarks.memory import pss
from benchmarks.stage import Stage, staged
from devtools import portraits

try:
    import cv2
    import numpy as np

    from app.faces import collections, models
    from app.faces.choice import Selection, choose
    from app.faces.engine import Engine, Networks, similarity
    from app.faces.matrix import Shelf
    from app.faces.model import DIMENSIONS, MODEL_VERSION
    from app.faces.quality import Bounds
    from tests import faces as made
except ImportError as error:  # pragma: no cover
    MISSING: ImportError | None = error
else:
    MISSING = None

Say = Callable[[str], None]

RUNS = 5
#: Of each portrait in a run.
TIMES = 4
FACES = 100_000
QUERIES = 200
VERIFY = 0.40

SPEED = Goal(14, at_most=False)
MEMORY = Goal(310)
SEARCH = Goal(10)
WHOLE = Goal(100, at_most=False)


def measure(say: Say) -> Figure:
    if MISSING is not None:
        raise Skipped(f"faces need the extra [faces]: {MISSING}")
    try:
        folder = portraits.folder()
    except portraits.NotToBeHad as why:
        raise Skipped(str(why)) from why
    people = {name: (folder / f"{name}.jpg").read_bytes() for name in portraits.NAMES}
    engine, bare = Engine(Networks(Bounds()), 3.0), _Bare()
    engine.warm()
    try:
        ours, theirs, cpu, bare_cpu = _take_turns(engine, bare, list(people.values()), say)
        say("accuracy")
        accuracy, labelled = _accuracy(engine, people)
        say("hostile images")
        refusals = _refusals(engine, people["impostor_1"])
    finally:
        engine.close()
    say("memory")
    memory = _memory(folder)
    with staged(say=say) as stage:
        search = _search(stage, say)
    speed = Measure.median("images decoded, found and embedded, one process", ours, "/s", SPEED)
    return Figure(
        name="faces",
        headline=speed,
        more=[
            Measure("CPU of one image, the decoding process with it", 1000 * cpu, "ms"),
            Measure("CPU of one image by the networks alone", 1000 * bare_cpu, "ms"),
            *accuracy,
            *refusals,
            *memory,
            *search,
        ],
        peers=[
            Measure.median("the same networks, cv2.imdecode, nothing else", theirs, "/s"),
        ],
        conditions=machine.conditions(
            ("opencv-python-headless", "pillow", "numpy"),
            work=f"{len(people)} portraits of 200 to 750 pixels, {TIMES} times a run",
            labelled=labelled,
            search=f"{FACES:,} random faces in Postgres, one process, {QUERIES} queries after one",
            checked="every portrait gives one face; each query finds the face it was made of, and"
            " no longer once that is deleted; a new one is found at once",
        ),
    )


class _Bare:
    """The networks as one would use them without the rest."""

    def __init__(self) -> None:
        empty = np.array([], np.uint8)
        found = np.frombuffer(models.load(models.DETECTOR), np.uint8)
        told = np.frombuffer(models.load(models.RECOGNIZER), np.uint8)
        self._detector = cv2.FaceDetectorYN.create("onnx", found, empty, (320, 320), 0.8, 0.3, 5000)
        self._recognizer = cv2.FaceRecognizerSF.create("onnx", told, empty)

    def see(self, data: bytes) -> object:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        height, width = image.shape[:2]
        scale = min(1.0, 640 / max(height, width))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._detector.setInputSize((small.shape[1], small.shape[0]))
        row = self._detector.detect(small)[1][0]
        row[:14] /= scale
        return self._recognizer.feature(self._recognizer.alignCrop(image, row))


def _take_turns(
    engine: Engine, bare: _Bare, images: list[bytes], say: Say
) -> tuple[list[float], list[float], float, float]:
    """Return images a second of both, run by run, and the CPU seconds that each takes for one."""
    assert all(len(engine.see(image).faces) == 1 for image in images)
    ours, theirs, used, bare_used = [], [], 0.0, 0.0
    for turn in range(RUNS):
        machine.wait_until_quiet()
        before = time.process_time() + _child_cpu(engine)
        ours.append(_speed(engine.see, images))
        used += time.process_time() + _child_cpu(engine) - before
        before = time.process_time()
        theirs.append(_speed(bare.see, images))
        bare_used += time.process_time() - before
        say(f"run {turn + 1}: {ours[-1]:.1f}/s, bare {theirs[-1]:.1f}/s")
    count = RUNS * TIMES * len(images)
    return ours, theirs, used / count, bare_used / count


def _speed(see: Callable[[bytes], object], images: list[bytes]) -> float:
    begun = time.perf_counter()
    for _ in range(TIMES):
        for image in images:
            see(image)
    return TIMES * len(images) / (time.perf_counter() - begun)


def _child_cpu(engine: Engine) -> float:
    """Return the CPU seconds of the decoder, and of the processes that it forked."""
    child = engine._decoder._child
    try:
        fields = Path(f"/proc/{child._process.pid}/stat").read_text().rpartition(")")[2].split()
    except (AttributeError, OSError):
        return 0.0
    # utime, stime, cutime, cstime: 14 to 17, and what follows the name begins at 3.
    return sum(map(int, fields[11:15])) / 100


def _variants(image: bytes) -> Mapping[str, bytes]:
    """Return the portrait as it may come: smaller, darker, squeezed, turned, in other formats."""
    from PIL import ImageEnhance

    picture = made.opened(image)
    half = picture.resize((picture.width // 2, picture.height // 2))
    return {
        "as it is": image,
        # Of the smallest the face would be smaller than what is taken.
        **({"half": made.encoded(half)} if picture.width > 300 else {}),
        "squeezed": made.encoded(picture, quality=30),
        "dark": made.encoded(ImageEnhance.Brightness(picture).enhance(0.5)),
        "tilted": made.encoded(picture.rotate(12, expand=True, fillcolor=(127, 127, 127))),
        "on its side": made.encoded(picture.rotate(90, expand=True)),
        "on its head": made.encoded(picture.rotate(180)),
        "PNG": made.encoded(picture, "PNG"),
        "WebP": made.encoded(picture, "WEBP"),
    }


def _accuracy(engine: Engine, people: Mapping[str, bytes]) -> tuple[list[Measure], str]:
    """Return how many faces were found, and how many pairs were told apart."""
    found: list[tuple[str, str, bytes]] = []
    missed = 0
    for name, image in people.items():
        who = name[:8] if name.startswith("person") else name
        for variant in _variants(image).values():
            try:
                face = choose(engine.see(variant), Selection.SINGLE).face
            except ItemError:
                missed += 1
                continue
            found.append((who, name, face.embedding))
    same, other = [], []
    for (one, picture, left), (two, another, right) in itertools.combinations(found, 2):
        # Two versions of one photograph are too easy to count as a pair.
        if picture != another:
            (same if one == two else other).append(similarity(left, right))
    right_same = 100 * sum(each >= VERIFY for each in same) / len(same)
    wrong_other = 100 * sum(each >= VERIFY for each in other) / len(other)
    images = len(found) + missed
    return [
        Measure(f"of {images} images no face taken", missed, "", Goal(0)),
        Measure(f"of {len(same):,} same pairs at {VERIFY:.2f} and above", right_same, "%", WHOLE),
        Measure(f"of {len(other):,} other pairs as well", wrong_other, "%", Goal(0.015)),
        Measure("least similar same pair", min(same), ""),
        Measure("most similar other pair", max(other), ""),
    ], f"{images} images: {len(people)} portraits in 8 or 9 versions each"


def _refusals(engine: Engine, portrait: bytes) -> list[Measure]:
    """Return how many hostile images ended with their code, and how long the slowest took."""
    images = list(made.hostile(portrait))
    right, times = 0, []
    for _, data, code in images:
        begun = time.perf_counter()
        try:
            engine.see(data)
        except ItemError as refused:
            right += refused.code == code
        times.append(1000 * (time.perf_counter() - begun))
    times.sort()
    assert len(engine.see(portrait).faces) == 1
    return [
        Measure(
            f"of {len(images)} hostile images refused with their code",
            right,
            "",
            Goal(len(images), at_most=False),
        ),
        Measure("the median of them", times[len(times) // 2], "ms", Goal(50)),
        Measure("the slowest, which is stopped at 3 s", times[-1], "ms", Goal(4000)),
        Measure("the slowest but that one", times[-2], "ms", Goal(1000)),
    ]


_ALONE = """
import sys, time
from pathlib import Path
from app.faces.engine import Engine, Networks
from app.faces.quality import Bounds
engine = Engine(Networks(Bounds()), 3.0)
images = [path.read_bytes() for path in sorted(Path(sys.argv[1]).glob("*.jpg"))]
for _ in range(5):
    for image in images:
        engine.see(image)
print(engine._decoder._child._process.pid, flush=True)
sys.stdin.readline()
"""


def _memory(folder: Path) -> list[Measure]:
    """Return what a process with the engine takes after 30 images, and its decoder."""
    if not Path("/proc/self/smaps_rollup").exists():
        return []
    process = subprocess.Popen(
        [sys.executable, "-c", _ALONE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        sizes = pss(process.pid), pss(child)
        process.communicate("\n")
    return [
        Measure("memory of a process with the engine (PSS)", sizes[0], "MB", MEMORY),
        Measure("memory of its decoder", sizes[1], "MB"),
    ]


def _search(stage: Stage, say: Say) -> list[Measure]:
    """Return milliseconds of a search among FACES, from what is in Postgres; and of the product."""
    collection = collections.create(stage.db, stage.tenant.id, name="bench", created_by="bench")
    say(f"{FACES:,} faces into Postgres")
    embeddings = np.random.default_rng(7).standard_normal((FACES, DIMENSIONS), np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    ids = [uuid4() for _ in range(FACES)]
    _insert(stage, collection.id, ids, embeddings)
    shelf = Shelf(stage.db, 2 * FACES)
    begun = time.perf_counter()
    matrix = shelf.current(collection.id)
    first = time.perf_counter() - begun
    assert len(matrix) == FACES

    def ask(embedding: bytes) -> list:
        return shelf.current(collection.id).search(
            embedding, threshold=0.45, limit=1, one_each=True
        )

    say("searching")
    times = []
    used = time.process_time()
    for at in range(QUERIES):
        # Something like the face, and not the face itself.
        asked = embeddings[at] + 0.03 * embeddings[at + 1]
        asked = (asked / np.linalg.norm(asked)).astype("<f4").tobytes()
        begun = time.perf_counter()
        found = ask(asked)
        times.append(1000 * (time.perf_counter() - begun))
        assert found[0].face_id == ids[at]
    used = time.process_time() - used
    _changes_are_seen(stage, collection.id, ids, embeddings, ask)
    product = []
    for at in range(QUERIES):
        begun = time.perf_counter()
        int(np.argmax(embeddings @ embeddings[at]))
        product.append(1000 * (time.perf_counter() - begun))
    median = sorted(times)[QUERIES // 2]
    alone = sorted(product)[QUERIES // 2]
    return [
        Measure(f"one search among {FACES:,} faces, up to date", median, "ms", SEARCH),
        Measure("CPU of one", 1000 * used / QUERIES, "ms"),
        Measure("the slowest of 20", sorted(times)[QUERIES * 19 // 20], "ms"),
        Measure("reading the collection for the first search", first, "s"),
        Measure("product and maximum of the same matrix alone", alone, "ms"),
    ]


def _insert(stage: Stage, collection_id: object, ids: list, embeddings: object) -> None:
    from psycopg2.extras import execute_values

    rows = [
        (face_id, collection_id, f"p{n}", embeddings[n].astype("<f4").tobytes(), MODEL_VERSION, 0.9)
        for n, face_id in enumerate(ids)
    ]
    with stage.db.transaction() as tx:
        execute_values(
            tx,
            "INSERT INTO faces (id, collection_id, external_id, embedding, model_version,"
            " quality_score, version) VALUES %s",
            rows,
            "(%s, %s, %s, %s, %s, %s, 1)",
            1000,
        )
        tx.execute("UPDATE collections SET version = 1, face_count = %s", (FACES,))
    with stage.db.transaction() as tx:
        tx.execute("ANALYZE faces")


def _changes_are_seen(
    stage: Stage, collection_id, ids: list, embeddings, ask: Callable[[bytes], list]
) -> None:
    asked = embeddings[0].astype("<f4").tobytes()
    collections.delete_face(stage.db, collection_id, ids[0])
    assert ask(asked) == []
    new = uuid4()
    with stage.db.transaction() as tx:
        collections.enrol(
            tx,
            collection_id,
            new,
            external_id="again",
            embedding=asked,
            quality_score=1.0,
            metadata={},
            on_duplicate=collections.OnDuplicate.ERROR,
            faces_max=10 * FACES,
        )
    assert ask(asked)[0].face_id == new
