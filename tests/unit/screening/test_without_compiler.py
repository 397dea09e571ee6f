"""A compiler that is installed and does not run: long lists are screened all the same, slower."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import sys
from pathlib import Path

from app.screening import index
from app.screening.compiled import cache
from app.screening.index import Index, can_compile
from app.screening.model import EntityType, Entry, Subject

cache.folder = lambda: Path(sys.argv[1])
index.COMPILED_FROM = 1
zebulon = Entry("z-1", EntityType.PERSON, "Zebulon Quartermain")

tried = can_compile()
built = Index.build([zebulon])
found = built.screen([Subject("Zebulon Quartermain", EntityType.PERSON)])
print(tried, can_compile(), built.is_compiled, [match.entry.id for match in found[0]])
"""


@pytest.mark.parametrize(
    "error", ["ImportError('no such symbol')", "SystemError", "AttributeError"]
)
def test_a_list_is_screened_though_the_compiler_does_not_run(tmp_path, error):
    fake, folder = tmp_path / "fake", tmp_path / "loops"
    (fake / "numba").mkdir(parents=True)
    folder.mkdir()
    (fake / "numba" / "__init__.py").write_text(f"raise {error}\n")

    def run() -> str:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)],
            env={"PYTHONPATH": f"{fake}:{ROOT}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert run() == "True False False ['z-1']\n"
    # The next process does not try.
    assert run() == "False False False ['z-1']\n"
