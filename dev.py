#!/usr/bin/env python3
"""Muster on this machine: `python3 dev.py demo` needs nothing but Python 3.11 or newer."""

import os
import sys

# This file must parse on an old Python, to be able to say that it is too old.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Muster needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])  # noqa: UP031
if os.name != "posix":
    sys.exit("Muster runs on Linux and macOS. On Windows use WSL, or docker-compose.yml.")

from devtools.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
