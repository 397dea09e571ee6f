"""The command `muster`: one file per group of commands.

Two kinds of commands live here. Those that act on the server's own data (migrate, tenants, users,
keys, token, lists, evaluate, serve) read the server's settings and talk to Postgres. Those of a
client (submit, jobs, show, watch, pause, resume, cancel, retry, screen) know an address and a
token, and talk HTTP only.

Modules here import little at the top: heavy ones are imported inside the commands, so that
`muster --help` answers at once. This one imports nothing at all: Ctrl-C is a sentence from the
first moment on, also while the others are being loaded.
"""


def main() -> None:
    """Run the command line. The entry point of the console script."""
    import sys

    try:
        from app.cli import run_env
        from app.cli.group import cli

        for stream in (sys.stdout, sys.stderr):
            # A name in a script that the terminal cannot show is no reason to fall over.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a stream
        run_env.apply()
        cli(prog_name="muster")
    except KeyboardInterrupt:
        # As app/cli/sentences.py says it, which may not be there yet.
        sys.stderr.write("muster: Interrupted.\n")
        sys.exit(130)
