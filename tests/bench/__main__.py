"""`python -m tests.bench`, what `./run bench` calls."""

import os

from services.cli import main

os.environ["PUMASI_OPEN"] = "1"  # the brokers and the people are made up

main({"bench": "tests.bench.command"})
