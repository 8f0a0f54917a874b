"""The four classes as people read them, said once: notices, `explain`, the demo and `simulate` take their names from here.

In events and in `--json` a class has FHIR's code. Three of the codes are words that everybody knows; `stat` is one of hospitals, so
people read “immediate”. `GLOSSARY.md` beside this file says what a class is.
"""

from typing import Final

from services.words import SOURCE, Words, message

CLASSES: Final = {
    "routine": message("routine", "a class"),
    "urgent": message("urgent", "a class"),
    "asap": message("asap", "a class"),
    "stat": message("immediate", "a class"),
}
"""Code → message, least urgent first."""


def class_name(code: str, language: str = SOURCE) -> str:
    """A class by its code, in a language."""
    return Words(language).say(CLASSES[code])
