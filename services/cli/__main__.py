"""`python -m services.cli`, what `./run` calls."""

from services.cli import main

main()
