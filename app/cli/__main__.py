"""`python -m app.cli` is `muster`, where the console script is not installed."""

from app.cli import main

main()
