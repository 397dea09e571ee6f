"""How long one entity takes against a list, on this machine: the first estimate of a job."""

from __future__ import annotations

import random
import time

from app.screening.index import Index
from app.screening.model import EntityType, Subject

NAMES = 200

_STARTS = (
    *("al", "an", "ben", "ca", "da", "el", "fer", "ga", "ha", "is", "jo", "ka", "le", "ma"),
    *("mi", "na", "o", "pa", "ro", "sa", "te", "vi", "wal", "yu", "za"),
)
_ENDS = (
    *("bert", "cia", "dez", "din", "fan", "ger", "hid", "ia", "kov", "land", "lo", "man", "med"),
    *("na", "ni", "poulos", "ra", "rez", "sen", "son", "stein", "ta", "va", "vic", "yan"),
)


def ordinary_subjects(count: int = NAMES) -> list[Subject]:
    """Return people who do not exist, the same ones every time; one in four is a company."""
    dice = random.Random(count)  # noqa: S311  # names for a stopwatch

    def word() -> str:
        return (dice.choice(_STARTS) + dice.choice(_ENDS)).capitalize()

    return [
        Subject(f"{word()} {word()} Trading Ltd", EntityType.ORGANISATION)
        if number % 4 == 3
        else Subject(f"{word()} {word()} {word()}"[: 40 - number % 3], EntityType.PERSON)
        for number in range(count)
    ]


def seconds_per_entity(index: Index) -> float:
    """Screen ordinary names once, words not seen before, and return the mean time of one."""
    subjects = ordinary_subjects()
    started = time.perf_counter()
    index.screen(subjects)
    return (time.perf_counter() - started) / len(subjects)
