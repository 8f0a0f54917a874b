"""`python -m tests.soak`, what `./run soak` calls."""

from services.cli import main

main(["tests.soak.command"])
