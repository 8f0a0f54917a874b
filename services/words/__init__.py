"""What people read, in each language: English stands where it is said, and each other language has one gettext catalogue.

A message is an English sentence with named holes. So the code reads as it speaks, translators see what they translate, gettext's tools
know all there is, and English needs no catalogue. Where one English word has two translations, a context tells which is meant.

A catalogue is read as it is, a `.po`, when its language is first spoken: there is nothing compiled that could be stale. Nothing falls
back on English either: what a catalogue lacks is an error that names it. `CONTRIBUTING.md` says how to change or add words.
"""

from collections.abc import Iterable
from functools import lru_cache, reduce
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final, NoReturn, get_args

from schemas.submissions import Language
from services.errors import WordsMissing

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
SOURCE: Final = "en"
LOCALE: Final = Path(__file__).parent / "locale"
_SIGN = "\x04"
"""What gettext sets between a context and its message."""


def message(text: str, context: str | None = None) -> str:
    """Mark a message for the catalogues where it stands in a table, to be said elsewhere."""
    return f"{context}{_SIGN}{text}" if context else text


class Words:
    """Says messages in one language."""

    def __init__(self, language: str) -> None:
        self.language, self._of = language, translations(language)

    def say(self, text: str, /, **names: object) -> str:
        """A message, its holes filled."""
        return self._of.gettext(text).format(**names)

    def say_many(self, one: str, many: str, count: int, /, **names: object) -> str:
        """The form of a message that the language has for this count, its holes filled."""
        return self._of.ngettext(one, many, count).format(count=count, **names)

    def text_of(self, sentences: Iterable[str]) -> str:
        """Sentences one after the other; Chinese sets no blank between them."""
        # Translators: two sentences, one after the other
        return reduce(lambda before, after: self.say("{before} {after}", before=before, after=after), sentences)


@lru_cache
def translations(language: str) -> NullTranslations:
    """What gettext and template engines call a language's translations."""
    if language == SOURCE:
        return _Source()
    from babel.messages.mofile import write_mo  # not for those who speak English
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with (LOCALE / language / "LC_MESSAGES" / "pumasi.po").open("rb") as catalogue:
        write_mo(compiled, read_po(catalogue))
    compiled.seek(0)
    known = GNUTranslations(compiled)
    known.add_fallback(_Lacking(language))
    return known


class _Source(NullTranslations):
    def gettext(self, text: str) -> str:
        return text.rpartition(_SIGN)[2]


class _Lacking(NullTranslations):
    """Where GNUTranslations turns for what it does not have."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._language = language

    def gettext(self, *sought: object) -> NoReturn:
        said = " / ".join(map(str, sought)).replace(_SIGN, " / ")
        raise WordsMissing(f"the catalogue for {self._language} has no words for “{said}”")

    ngettext = pgettext = npgettext = gettext  # type: ignore[assignment]  # whatever is sought
