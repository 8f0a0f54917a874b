"""`python -m tests.soak`, what `./run soak` calls."""

import os

from services.cli import main

os.environ["PUMASI_OPEN"] = "1"  # the brokers and the people are made up

main({"soak": "tests.soak.command"})
