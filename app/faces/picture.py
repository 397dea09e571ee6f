"""Bytes into pixels by Pillow, strictly. Runs in the child only: app/faces/child.py.

What a header says is held against the limits before anything is unpacked, and no more is unpacked
than the engine looks at.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

from PIL import Image, UnidentifiedImageError

from app.errors import ItemError
from app.faces import codes

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")

MAX_PIXELS = 40_000_000
LONGEST_SIDE = 12_000
#: Below it the detector returns nonsense.
SHORTEST_SIDE = 64
#: The engine sees no more than this; it is also what the child may send back.
WORK_SIDE = 1280

_WHITE = (255, 255, 255, 255)
#: 16 bits to 8: 65535 becomes 255.
_SIXTEEN = 1 / 257


def prepare() -> None:
    """Load every decoder, and be strict about all: once, before the first image comes."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.init()


def read(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the facts of an image, and its pixels: BGR, rows from the top, at most WORK_SIDE.

    Raises ItemError, and whatever Pillow raises for what is broken in a new way.
    """
    if not data:
        raise ItemError(codes.INVALID_IMAGE, "The image is empty: it has no bytes.")
    image = _opened(data)
    format = image.format or "unknown"
    width, height = _checked(image.size)
    if format == "JPEG":
        # It is unpacked to half, a quarter or an eighth: as large as is needed.
        image.draft("RGB", (WORK_SIDE, WORK_SIDE))
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        raise _broken() from error
    orientation = _orientation(image)
    shown = _small(image)
    if orientation in _UNDONE:
        shown = shown.transpose(_UNDONE[orientation])
    if orientation in _ACROSS:
        width, height = height, width
    facts = {
        "format": format,
        "width": width,
        "height": height,
        "orientation_applied": orientation in _UNDONE,
        "shown": list(shown.size),
    }
    # In the order in which OpenCV has its colours.
    return facts, shown.tobytes("raw", "BGR")


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except UnidentifiedImageError as error:
        raise ItemError(
            codes.INVALID_IMAGE, "This is no image in JPEG, PNG, WebP, GIF, TIFF or BMP format."
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError) as error:
        raise _broken() from error


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if width * height > MAX_PIXELS or max(size) > LONGEST_SIDE:
        raise _too_large()
    if min(size) < SHORTEST_SIDE:
        raise ItemError(
            codes.IMAGE_TOO_SMALL,
            f"The image has {width} x {height} pixels; it needs {SHORTEST_SIDE} on each side.",
        )
    return width, height


def _small(image: Image.Image) -> Image.Image:
    """Return it as RGB, no larger than WORK_SIDE. What is transparent becomes white."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * _SIXTEEN).convert("L")
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in {"LA", "PA", "La"}:
        image = image.convert("RGBA")
    elif image.mode not in {"RGB", "RGBA", "L"}:
        image = image.convert("RGB")
    scale = WORK_SIDE / max(image.size)
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in image.size)
        image = image.resize((size[0], size[1]), Image.Resampling.BOX)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    # Converting what needs none would copy it.
    return image if image.mode == "RGB" else image.convert("RGB")


#: EXIF's tag, what undoes each of its values, and which of them lay a picture on its side.
_ORIENTATION = 0x0112
_UNDONE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ACROSS = frozenset({5, 6, 7, 8})


def _orientation(image: Image.Image) -> int:
    """Return the orientation of its notes if it has one; 1 is upright."""
    try:
        given = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken notes about an image are no reason not to look at it
        return 1
    return given if isinstance(given, int) and given in _UNDONE else 1


def _broken() -> ItemError:
    return ItemError(codes.INVALID_IMAGE, "The image is broken or incomplete.")


def _too_large() -> ItemError:
    return ItemError(
        codes.IMAGE_TOO_LARGE,
        f"The image has more than {MAX_PIXELS // 1_000_000} million pixels, or a side of more than"
        f" {LONGEST_SIDE:,}.",
    )
