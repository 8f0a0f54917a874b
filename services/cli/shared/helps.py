"""How every `--help` looks: commands are named as they are called here, and a flag, which takes no value, shows no type; and in which
words a value is refused."""

from collections.abc import Callable
from typing import Any

from typer import BadParameter, Typer
from typer.core import TyperCommand, TyperGroup

from services.called import as_called


class _Help:
    """What a command and a group have in common."""

    help: str | None
    epilog: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # it stands before a command
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().make_context(*arguments, **more)  # type: ignore[misc]  # likewise
        except BadParameter as refused:
            from pydantic import ValidationError

            if isinstance(refused.__cause__, ValidationError):  # Pydantic's words are for programmers
                from schemas.violations import of_text

                refused.message = "; ".join(words for _, words in of_text(refused.__cause__))
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.help, self.epilog = as_called(self.help or ""), as_called(self.epilog or "")
        super().format_help(ctx, formatter)  # type: ignore[misc]  # likewise


class Command(_Help, TyperCommand):
    """A command; one whose help is read only when asked for derives from it."""


class Group(_Help, TyperGroup):
    """Commands under one name."""


class Commands(Typer):
    """What makes a `Group`; its `command` makes a `Command`."""

    def __init__(self, about: str, examples: str | None = None) -> None:
        super().__init__(
            cls=Group,
            help=about,
            epilog=examples,
            no_args_is_help=True,
            add_completion=False,
            rich_markup_mode="markdown",
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
        )

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = Command, **how: Any
    ) -> Callable[..., Any]:
        return super().command(name, cls=cls, **how)
