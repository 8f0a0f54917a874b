"""`pumasi deadletters`: the command, and how letters look on a terminal. The letters themselves belong to the bus."""

from services.cli.deadletters.command import register

__all__ = ["register"]
