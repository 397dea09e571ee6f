"""All tests: first those that share the machine, then those that have it to themselves.

The first run in several processes, file by file; the others kill programs, and start whole
platforms. Most tests wait most of the time, for a process to start or a deadline to pass. But what
must be over within seconds after a crash is judged unfairly while others use every core.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

from devtools.signals import ASKING_TO_STOP

ALONE = ("tests/chaos", "tests/setup")
#: One more than there are cores, because they wait so much; each takes some 600 MB.
MOST_PROCESSES = 6

#: Of pytest's exit codes, those after which the rest is run: after any other, somebody stopped it,
#: or it could not begin.
PASSED, FAILED = 0, 1


def main() -> int:
    """Return what pytest did: 0 if every test passed."""
    processes = min((os.cpu_count() or 1) + 1, MOST_PROCESSES)
    together = pytest(
        *("-n", str(processes), "--dist", "loadfile"),
        *(f"--ignore={folder}" for folder in ALONE),
    )
    if together not in (PASSED, FAILED):
        return together
    return pytest(*ALONE) or together


def pytest(*arguments: str) -> int:
    """Run it, and let it end in its own way when somebody asks us to stop."""
    # The wheel of Valkey brings a plugin that needs packages we leave out.
    running = subprocess.Popen([sys.executable, "-m", "pytest", "-p", "no:valkey", *arguments])

    def pass_on(number: int, frame: FrameType | None) -> None:
        # Ctrl-C reaches it without us.
        if number != signal.SIGINT:
            running.send_signal(number)

    for each in ASKING_TO_STOP:
        # nohup has SIGHUP ignored, and means it.
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, pass_on)
    return running.wait()


if __name__ == "__main__":
    sys.exit(main())
