"""`python -m tests.bench`, what `./run bench` calls."""

from services.cli import main

main(["tests.bench.command"])
