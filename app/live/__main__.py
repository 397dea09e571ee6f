"""The program: python -m app.live --bind 127.0.0.1 --port 8001."""

# Before anything else is loaded: what has taken a lock or a socket from the standard library
# before this would hold up everybody when it waits.
from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402  # after the patch, as said above

from app import logs  # noqa: E402
from app.live.green import make_postgres_polite  # noqa: E402
from app.live.server import Server  # noqa: E402
from app.settings import Settings  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(prog="app.live")
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    given = parser.parse_args()
    settings = Settings.from_env()
    logs.configure(settings.log_level)
    make_postgres_polite()
    Server(settings, (given.bind, given.port)).run()


if __name__ == "__main__":
    main()
