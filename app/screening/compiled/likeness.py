"""How alike the words of a list are to those of one query: a table, filled and cleared for each."""

from __future__ import annotations

from app.screening.arrays import Array
from app.screening.compiled.filed import SIEVE, Paper, bits_of, row_of
from app.screening.compiled.jit import inner
from app.screening.compiled.matching import Prepared
from app.screening.compiled.vocabulary import Neighbours


@inner
def fill(
    asked: Prepared,
    query: int,
    neighbours: Neighbours,
    paper: Paper,
    alike: Array,
    most: Array,
    bits: Array,
) -> None:
    """Write how alike each listed word is to each unit of the query.

    And, of each such word, how alike at the most, and to which words of the query.
    """
    start = asked.starts[query]
    size = asked.starts[query + 1] - start
    width = 2 * size
    slots = 0
    for at in range(width):
        alike[at] = 0.0
    for unit in range(width):
        row = row_of(asked, start, size, unit)
        if row < 0:
            continue
        its_bits = bits_of(unit, size)
        for at in range(neighbours.starts[row], neighbours.starts[row + 1]):
            word = neighbours.numbers[at]
            slot = paper.slot_of[word]
            if slot == 0:
                slots += 1
                slot = slots
                paper.slot_of[word] = slot
                paper.sieve[word & SIEVE] = True
                most[slot] = 0.0
                bits[slot] = 0
                for column in range(slot * width, (slot + 1) * width):
                    alike[column] = 0.0
            alike[slot * width + unit] = neighbours.alike[at]
            most[slot] = max(most[slot], neighbours.alike[at])
            bits[slot] |= its_bits


@inner
def clear(asked: Prepared, query: int, neighbours: Neighbours, paper: Paper) -> None:
    start = asked.starts[query]
    size = asked.starts[query + 1] - start
    for unit in range(2 * size):
        row = row_of(asked, start, size, unit)
        if row >= 0:
            for at in range(neighbours.starts[row], neighbours.starts[row + 1]):
                paper.slot_of[neighbours.numbers[at]] = 0
                paper.sieve[neighbours.numbers[at] & SIEVE] = False


@inner
def slots_for(asked: Prepared, query: int, neighbours: Neighbours) -> int:
    """Return room for all listed words that are like one of the query, and for none."""
    start = asked.starts[query]
    size = asked.starts[query + 1] - start
    slots = 1
    for unit in range(2 * size):
        row = row_of(asked, start, size, unit)
        if row >= 0:
            slots += neighbours.starts[row + 1] - neighbours.starts[row]
    return slots
