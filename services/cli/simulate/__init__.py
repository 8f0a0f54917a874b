"""`pumasi simulate`: the command and its options. What is simulated, and how, lies in `services.policies`."""

from services.cli.simulate.command import register

__all__ = ["register"]
