"""A clock that is wrong by as many seconds as a file says, and jumps when the file changes.

Wall clocks only: monotonic ones never jump.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import time_machine

#: Names the file.
VARIABLE = "MUSTER_PROBE_CLOCK"


def follow() -> None:
    """Be wrong from now on, in this process and those that it forks; only this one hears of more.

    Without the variable the clock is right.
    """
    if not (name := os.environ.get(VARIABLE)):
        return
    file = Path(name)
    wrong_by = float(file.read_text())
    travel = time_machine.travel(time.time() + wrong_by, tick=True)
    traveller = travel.start()

    def watch() -> None:
        nonlocal wrong_by
        while True:
            time.sleep(0.05)
            said = float(file.read_text() or wrong_by)
            if said != wrong_by:
                traveller.shift(said - wrong_by)
                wrong_by = said

    threading.Thread(target=watch, daemon=True).start()
