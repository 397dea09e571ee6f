"""The help of `muster` teaches, and files are read with errors that say where."""

from __future__ import annotations

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli import run_env, serve
from app.cli.files import COLUMNS, read
from app.cli.group import cli
from app.cli.output import visible
from app.cli.sentences import Failure

ROOT = Path(__file__).parents[2]

#: Of servers that are not there.
SETTINGS = {
    "DATABASE_URL": "postgresql://nobody:word@127.0.0.1:1/none",
    "REDIS_URL": "redis://:word@127.0.0.1:1/0",
    "MUSTER_JWT_SECRET": "a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
}


def commands(group: click.Group, *path: str):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


ALL = dict(commands(cli))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_says_what_it_does_and_shows_an_example(path):
    shown = CliRunner().invoke(cli, [*path, "--help"])

    assert shown.exit_code == 0
    assert ALL[path].get_short_help_str(200)
    assert f"muster {' '.join(path)}" in shown.output.split("Example", 1)[1]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_says_what_it_is_for(path):
    for option in ALL[path].params:
        if isinstance(option, click.Option) and not isinstance(option.type, click.Choice):
            assert option.help or option.name == "port", option.name


def test_the_overview_lists_every_command():
    shown = CliRunner().invoke(cli, ["--help"]).output

    for name, command in cli.commands.items():
        assert f"  {name} " in shown
        assert command.get_short_help_str(80) in shown


def test_the_manual_names_every_command():
    manual = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    for path, command in ALL.items():
        if not isinstance(command, click.Group):
            assert f"`muster {' '.join(path)}" in manual


def test_help_needs_no_settings_and_loads_nothing_heavy():
    code = (
        "import sys; from app.cli.group import cli\n"
        "try: cli(['--help'], prog_name='muster')\n"
        "except SystemExit: pass\n"
        "heavy = {'flask', 'celery', 'psycopg2', 'numpy', 'requests', 'rich', 'marshmallow'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], env={}, cwd=ROOT, capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stderr


def test_a_wrong_option_ends_with_status_2():
    assert CliRunner().invoke(cli, ["jobs", "--stauts", "failed"]).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["keys", "create", "k", "--tenant", "t", "--role", "admin", "--days", "9999999"], "36500"),
        (["serve", "--port", "99999"], "65535"),
        (["screen", "x", "--threshold", "nan"], "nan is no number"),
        (["screen", "x", "--threshold", "0.4"], "0.5<=x<=1"),
        (["submit", "README.md", "--threshold", "nan"], "nan is no number"),
        (["show", ""], "not the id of a job"),
        (["show", "."], "not the id of a job"),
        (["show", "\udcff"], "not the id of a job"),
        (["cancel", "../lists"], "not the id of a job"),
        (["retry", "no-id"], "not the id of a job"),
        (["pause", "job_7"], "not the id of a job"),
        (["resume", ""], "not the id of a job"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_before_anything_is_done(arguments, said):
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments], env={}, cwd=ROOT, capture_output=True
    )

    assert ended.returncode == 2
    assert said.encode() in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_missing_setting_is_named_and_is_no_traceback(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", "migrate"],
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("muster: DATABASE_URL is not set")
    assert "Traceback" not in ended.stderr


#: As `python -m app.cli`, and as the console script that pip writes.
STARTS = (
    ["-m", "app.cli"],
    ["-c", "import sys; from app.cli import main; sys.exit(main())"],
)


@pytest.mark.parametrize("start", STARTS, ids=["module", "script"])
@pytest.mark.parametrize("module", ["click", "requests"])
def test_ctrl_c_is_a_sentence_also_while_modules_are_loaded(tmp_path, start, module):
    """A module of this name presses Ctrl-C when it is imported."""
    (tmp_path / f"{module}.py").write_text("import signal; signal.raise_signal(signal.SIGINT)\n")

    ended = subprocess.run(
        [sys.executable, *start, "jobs", "--token", "t"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "muster: Interrupted.\n"


def test_ctrl_c_at_a_question_is_an_interruption_like_any_other(tmp_path):
    terminal, its_other_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "users", "password", "a@b.example"],
        env={"PYTHONPATH": str(ROOT), **SETTINGS},
        cwd=tmp_path,
        stdin=its_other_end,
        stderr=subprocess.PIPE,
        start_new_session=True,  # or it would ask at the terminal of whoever runs the tests
    ) as process:
        asked = process.stderr.read(len("Password"))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    os.close(terminal)
    os.close(its_other_end)

    assert asked == b"Password"
    assert said.endswith(b"\nmuster: Interrupted.\n")
    assert process.returncode == 130


@pytest.mark.parametrize("command", [["migrate"], ["tenants", "list"], ["serve", "--port", "1"]])
@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL"])
def test_an_address_that_is_none_is_a_sentence_and_starts_no_server(tmp_path, command, variable):
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", *command],
        env={"PYTHONPATH": str(ROOT), **SETTINGS, variable: "nonsense"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"muster: {variable}: must be ")
    assert "Traceback" not in ended.stderr
    assert "nonsense" not in ended.stderr


def test_serve_starts_what_the_procfile_starts():
    lines = dict(
        line.split(":", 1) for line in (ROOT / "Procfile").read_text().splitlines() if ":" in line
    )
    expanded = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {lines['web']}"],
        env={**os.environ, "PORT": "8000"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert expanded == serve.command("127.0.0.1:8000", 2, 8), shlex.join(expanded)


# --- what a running dev.py leaves -----------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch):
    for name in ("MUSTER_URL", "MUSTER_TOKEN", "DATABASE_URL", "SOMETHING_ELSE"):
        # Set first, so that what the test adds is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_the_run_file_fills_in_what_the_environment_leaves_open(tmp_path, environment):
    environment.setenv("MUSTER_URL", "http://chosen")
    file = tmp_path / "run.env"
    file.write_text("MUSTER_URL=http://other\nMUSTER_TOKEN=a=b\n# a remark\n\n")
    file.chmod(0o600)

    run_env.apply(file)

    assert os.environ["MUSTER_URL"] == "http://chosen"
    assert os.environ["MUSTER_TOKEN"] == "a=b"


def test_the_run_file_sets_nothing_but_our_own_settings(tmp_path, environment):
    file = tmp_path / "run.env"
    file.write_text("SOMETHING_ELSE=x\nDATABASE_URL=postgresql://here\n")
    file.chmod(0o600)

    run_env.apply(file)

    assert "SOMETHING_ELSE" not in os.environ
    assert os.environ["DATABASE_URL"] == "postgresql://here"


def test_a_run_file_that_others_can_write_is_ignored(tmp_path, environment, capsys):
    file = tmp_path / "run.env"
    file.write_text("MUSTER_URL=http://attacker\n")
    file.chmod(0o666)

    run_env.apply(file)

    assert "MUSTER_URL" not in os.environ
    assert "is ignored" in capsys.readouterr().err


def test_a_run_file_that_dev_py_did_not_write_is_ignored(tmp_path, environment, capsys):
    file = tmp_path / "run.env"
    file.write_text("MUSTER_URL=http://here\nMUSTER_TOKEN='without an end\n")
    file.chmod(0o600)

    run_env.apply(file)

    assert "MUSTER_URL" not in os.environ
    assert "is ignored" in capsys.readouterr().err


def test_no_run_file_is_nothing_to_speak_of(tmp_path, capsys):
    run_env.apply(tmp_path / "none" / "run.env")

    assert capsys.readouterr().err == ""


# --- files of entities ----------------------------------------------------------------------------


def rows(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read(file))


def test_a_csv_row_becomes_an_entity(tmp_path):
    found = rows(
        tmp_path,
        "people.csv",
        "entity_id,full_name,birth_date,nationality,lists\n"
        'e1,"Doe, John",1985-03-15,US,ofac; un\n'
        "\n"
        "e2,Jane Smith,,,\n",
    )

    assert [row.line for row in found] == [2, 4]
    assert found[0].entity == {
        "entity_id": "e1",
        "lists": ["ofac", "un"],
        "subject": {"full_name": "Doe, John", "birth_date": "1985-03-15", "nationality": "US"},
    }
    assert found[1].entity == {"entity_id": "e2", "subject": {"full_name": "Jane Smith"}}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_spreadsheet_may_use_its_own_separator_and_begin_with_a_mark(tmp_path, separator):
    text = f"Entity_ID{separator} Full_Name \ne1{separator}José Ñandú\n"

    found = rows(tmp_path, "people.csv", text.encode("utf-8-sig"))

    assert found[0].entity == {"entity_id": "e1", "subject": {"full_name": "José Ñandú"}}


def test_line_numbers_count_the_lines_inside_a_quoted_cell(tmp_path):
    found = rows(tmp_path, "p.csv", 'full_name\n"first\n"\nsecond\n')

    assert [row.line for row in found] == [2, 4]


def test_a_csv_may_have_every_column(tmp_path):
    cells = ["x"] * len(COLUMNS)

    found = rows(tmp_path, "p.csv", f"{','.join(COLUMNS)}\n{','.join(cells)}\n")

    assert set(found[0].entity) | set(found[0].entity["subject"]) == {*COLUMNS, "subject"}


def test_json_lines_may_be_as_the_api_takes_them_or_flat(tmp_path):
    nested = {"entity_id": "e1", "subject": {"full_name": "A"}, "search_type": "name"}
    flat = {"entity_id": "e2", "full_name": "B", "lists": ["un"], "identifiers": []}

    found = rows(tmp_path, "p.jsonl", f"{json.dumps(nested)}\n\n{json.dumps(flat)}\n")

    assert [row.line for row in found] == [1, 3]
    assert found[0].entity == nested
    assert found[1].entity == {
        "entity_id": "e2",
        "lists": ["un"],
        "subject": {"full_name": "B", "identifiers": []},
    }


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.csv", "", "the file is empty"),
        ("p.csv", "name\nA\n", "unknown column 'name' (did you mean 'full_name'?)"),
        ("p.csv", "full_nmae\nA\n", "(did you mean 'full_name'?)"),
        ("p.csv", "colour\nA\n", "The columns are entity_id, lists, full_name"),
        ("p.csv", "full_name,full_name\nA,B\n", "is there twice"),
        ("p.csv", "full_name,birth_date\nA,1980\nDoe, John,1981\n", "p.csv, line 3: 3 cells"),
        ("p.csv", b"full_name\nA\nJos\xe9\n", "p.csv, line 3: this is not UTF-8 text"),
        ("p.csv", "full_name\n" + "x" * 200_000 + "\n", "p.csv, line 2: this is not a row of CSV"),
        ("p.csv", 'full_name\nA\n"B\nC\nD\n', "p.csv, line 3: a double quote is never closed"),
        ("p.csv", '"full_name\nA\n', "p.csv, line 1: a double quote is never closed"),
        ("p.csv", 'full_name\n"A" B\n', "p.csv, line 2: this is not a row of CSV"),
        (
            "p.csv",
            'entity_id,full_name\ne1,"A\ne2,B"\n',
            "p.csv, line 2: the column 'full_name' goes on over the end of the line",
        ),
        ("p.jsonl", '{"full_name": "A"}\n{"full_name": \n', "p.jsonl, line 2: this is not JSON"),
        ("p.jsonl", '["A"]\n', "line 1: this is not a JSON object"),
        ("p.jsonl", "[" * 100_000 + "\n", "line 1: this is not JSON"),
        ("p.jsonl", '{"nmae": "A"}\n', "unknown field 'nmae'"),
        ("p.jsonl", '{"full_name": "A"}\n{"full_name": NaN}\n', "p.jsonl, line 2: NaN is no"),
        ("p.jsonl", '{"full_name": -Infinity}\n', "p.jsonl, line 1: -Infinity is no"),
        ("p.jsonl", '{"subject": {"full_name": 1e999}}\n', "p.jsonl, line 1: 1e999 is no"),
        (
            "p.jsonl",
            '{"full_name": "A"}\n{"full_name": "B", "full_name": "C"}\n',
            "p.jsonl, line 2: the field 'full_name' is there twice",
        ),
        (
            "p.jsonl",
            '{"subject": {"full_name": "B", "full_name": "C"}}\n',
            "p.jsonl, line 1: the field 'full_name' is there twice",
        ),
        ("p.jsonl", b'{"full_name": "\xff"}\n', "line 1: this is not UTF-8 text"),
        ("p.xlsx", "", "must end in .csv or .jsonl"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path, name, content, said):
    with pytest.raises(Failure) as failure:
        rows(tmp_path, name, content)

    assert said in failure.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", 'full_name\n"Jane Citizen\nViktor Bout\n'),
        ("p.csv", 'full_name\n"Jane Citizen\nViktor Bout"\n'),
        ("p.csv", 'full_name\n"Jane" Citizen\n'),
        ("p.jsonl", '{"full_name": "Jane Citizen", "full_name": "Viktor Bout"}\n'),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_the_names_in_it(tmp_path, name, content):
    with pytest.raises(Failure) as failure:
        rows(tmp_path, name, content)

    assert "Jane" not in failure.value.message
    assert "Viktor" not in failure.value.message


def test_a_quote_inside_a_cell_is_a_letter_like_any_other(tmp_path):
    found = rows(tmp_path, "p.csv", 'full_name\nJane "JJ" Citizen\n"Jane ""JJ"" Citizen"\n')

    assert [row.entity["subject"]["full_name"] for row in found] == ['Jane "JJ" Citizen'] * 2


def test_lenient_is_said_to_be_about_entities_and_not_about_the_file():
    shown = " ".join(CliRunner().invoke(cli, ["submit", "--help"]).output.split())

    assert "The file must be readable all the same" in shown


def test_a_name_cannot_steer_the_terminal():
    assert "\x1b" not in visible("\x1b[2JIvan\r\n\u202e")
    assert visible("Иван [bold] 王") == "Иван [bold] 王"
