"""Counts in English, for operators; what everybody reads is counted by its language's own forms (`services.words`)."""


def counted(number: float, one: str, many: str | None = None) -> str:
    """`1 case`, `1,200 cases`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
