"""Patronymics: "Nikolaevich" and "Mykolayovych" are both the son of one Nicholas."""

from __future__ import annotations

import re
from functools import lru_cache

from app.screening.words import GIVEN_NAMES

_PATRONYMIC = re.compile(
    "([a-z]{2,}?)([iy]?)(?:[aeo]v[iy](?:t?ch|tsch|tj)|[aeo][vuw]na|[iy]vna|[iy]nichna)"
)
#: What the suffix may have swallowed: "Yuri" in "Yurievich", "Pavlo" in "Pavlovych".
_ENDS = ("", "i", "y", "ii", "iy", "o", "a", "ei", "ey")
_SHORTEST = 6
#: How every one of them ends.
_LAST = ("ch", "tj", "na")


@lru_cache(maxsize=1 << 16)
def is_patronymic(word: str) -> bool:
    """Say whether the word tells whose son or daughter somebody is.

    >>> is_patronymic("ivanovich"), is_patronymic("piatrowna"), is_patronymic("ivanov")
    (True, True, False)
    """
    return len(word) >= _SHORTEST and _PATRONYMIC.fullmatch(word) is not None


def fathers(word: str) -> tuple[int, ...]:
    """Return the numbers, in `GIVEN_NAMES`, of the names that the father may bear.

    >>> set(fathers("nikolaevich")) & set(fathers("mykolayovych")) != set()
    True
    """
    if len(word) < _SHORTEST or not word.endswith(_LAST):
        return ()
    found = _PATRONYMIC.fullmatch(word)
    if found is None:
        return ()
    return tuple(
        dict.fromkeys(number for end in _ENDS for number in GIVEN_NAMES.get(found[1] + end, ()))
    )
