"""A small watchlist and ordinary people, so that Muster shows what it does without any download.

`watchlist.jsonl` holds some 200 well-known entries of OFAC's SDN list in our own plain format, as
public facts typed for this project: chosen, abridged, never a copy, and never a substitute for
the real list, against which `tests/contract/test_sample_against_ofac.py` holds it. `people.py`
makes batches of ordinary names with a few listed ones hidden among them; `variants.py` is how they
are hidden.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

#: The bundled list, as a file that `lists load` can read.
WATCHLIST = Path(__file__).with_name("watchlist.jsonl")


@cache
def listed() -> tuple[dict[str, Any], ...]:
    """Return the bundled entries as they stand in the file."""
    with WATCHLIST.open(encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)
