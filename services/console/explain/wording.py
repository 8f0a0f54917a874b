"""What explanations say, in English, Korean and Chinese: one file a language in `phrases/`, a phrase a line.

Amounts, times, needs and classes come in ready for the reader. No phrase names a person; a case or pledge is named by its id, and only
where the reader asked for it or it is theirs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("en", "ko", "zh")


@lru_cache
def phrases(language: str) -> Mapping[str, str]:
    """Every phrase of a language by name."""
    return tomllib.loads((Path(__file__).parent / "phrases" / f"{language}.toml").read_text("utf-8"))


def phrase(language: str, name: str, **values: object) -> str:
    """The phrase `name` in `language` ("en", "ko", "zh"), filled in."""
    return phrases(language)[name].format(**values)
