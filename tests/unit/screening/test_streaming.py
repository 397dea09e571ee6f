"""A list four times as long takes no more memory: entries are given out as they are read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from app.screening.lists.readers import READERS


def _xml(head: str, entry: str, tail: str):
    return lambda count: head + "".join(entry.format(n=n) for n in range(count)) + tail


_PADDING = "x" * 1000

#: What each format looks like with that many entries. The UK's list is gathered before it is given
#: out, and of FollowTheMoney what hangs on somebody is kept: neither is promised here.
_FILES = {
    ("ofac", "sdn.xml"): _xml(
        "<sdnList>",
        "<sdnEntry><uid>{n}</uid><lastName>A B</lastName><remarks>" + _PADDING + "</remarks>"
        "</sdnEntry>\n",
        "</sdnList>",
    ),
    ("un", "un.xml"): _xml(
        "<CONSOLIDATED_LIST><INDIVIDUALS>",
        "<INDIVIDUAL><FIRST_NAME>A</FIRST_NAME><REFERENCE_NUMBER>{n}</REFERENCE_NUMBER>"
        "<COMMENTS1>" + _PADDING + "</COMMENTS1></INDIVIDUAL>\n",
        "</INDIVIDUALS></CONSOLIDATED_LIST>",
    ),
    ("csl", "csl.csv"): _xml(
        "_id,source,type,name,alt_names,ids,remarks\n",
        "{n},SDN,Individual,A B,,," + _PADDING + "\n",
        "",
    ),
    ("targets", "targets.csv"): _xml(
        "id,schema,name,aliases,birth_date,countries,identifiers,sanctions\n",
        "{n},Person,A B,,,,," + _PADDING + "\n",
        "",
    ),
    ("ftm", "entities.json"): _xml(
        "",
        '{{"id": "{n}", "schema": "Person", "properties": {{"name": ["A B"], "notes": ["'
        + _PADDING
        + '"]}}}}\n',
        "",
    ),
    ("senzing", "senzing.json"): _xml(
        "", '{{"RECORD_ID": "{n}", "NAME_FULL": "A B", "NOTES": "' + _PADDING + '"}}\n', ""
    ),
}


@pytest.mark.parametrize(("format", "name"), _FILES, ids=[name for name, _ in _FILES])
def test_reading_takes_no_more_memory_for_a_longer_list(tmp_path, format, name):
    short, long = tmp_path / "short" / name, tmp_path / "long" / name
    for path, count in ((short, 200), (long, 800)):
        path.parent.mkdir()
        path.write_text(_FILES[format, name](count))
    assert _peak(format, short, 200) > 0  # What is loaded once is loaded now.

    least, most = _peak(format, short, 200), _peak(format, long, 800)

    # The ids seen, which tell two entries with one number apart, are all that may add up; the
    # 600 entries more would come to 600 kB.
    assert most < least + 150_000, (least, most)


def _peak(format: str, path: Path, count: int) -> int:
    tracemalloc.start()
    try:
        assert sum(1 for _ in READERS[format].read([path])) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
