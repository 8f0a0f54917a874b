"""`pumasi deadletters`: the command, and how letters look on a terminal. What letters are is the bus's business."""

from services.cli.deadletters.command import register

__all__ = ["register"]
