"""The answer first: what a comparison comes to, in three sentences for whoever keeps a community's books.

Who makes most people whole, who serves mortal danger first, and what becomes of the money and of those who have least. A sentence
names a policy only where its figure, as shown, stands out; after the colon come the figures of all, the best first.
"""

from typing import NamedTuple

from services.policies.comparison import Judged
from services.policies.measures import BY_NAME, Figure
from services.policies.report.figures import duration, shown
from services.words.classes import CLASSES, class_name

_EVERYBODY = "all"


class _Question(NamedTuple):
    """A question about all policies: `one`/`many` say which stands out, `of` and `after` go around the first figure."""

    name: str
    group: str
    one: str
    many: str
    of: str
    after: str = ""


_WHOLE = _Question(
    "funded", _EVERYBODY, "makes most people whole", "make most people whole",
    "all they ask is promised to", " of the cases",
)  # fmt: skip
_BEHIND = _Question(
    "least_tenth_fill", _EVERYBODY, "leaves fewest far behind", "leave fewest far behind",
    "the worst-off tenth of the cases has", " of what it asks",
)  # fmt: skip


_MONEY = _Question("promised", _EVERYBODY, "", "", "Of the money asked for", " is promised")
"""Whether a policy makes more of the money; usually none does."""


def _danger(code: str) -> _Question:
    whom = "mortal danger" if code == "stat" else f"the most urgent ({class_name(code)})"
    of = f"half of the {class_name(code)} cases have all they ask promised within"
    return _Question("funding_days_median", code, f"serves {whom} first", f"serve {whom} first", of)


def verdict(told: Judged) -> list[str]:
    """Three sentences; two if no case of the most urgent class ever had all it asks in half of the cases."""
    danger = next((code for code in reversed(CLASSES) if any(told.figures("opened", code))), None)
    questions = [_WHOLE]
    if danger and any(figure is not None for figure in told.figures("funding_days_median", danger)):
        questions.append(_danger(danger))
    money = f"{_MONEY.of} {_each(told, _MONEY, told.figures(_MONEY.name))}."
    return [*(_answer(told, question) for question in questions), f"{money} {_answer(told, _BEHIND)}"]


def _answer(told: Judged, asked: _Question) -> str:
    figures, lead = told.figures(asked.name, asked.group), told.best(asked.name, asked.group)
    shown_by = f"{asked.of} {_each(told, asked, figures)}."
    if len(figures) == 1:
        return shown_by[0].upper() + shown_by[1:]
    if not lead:
        whole = asked.one.replace("most people", "more people").replace("fewest", "fewer").replace("first", "sooner")
        return f"{f'Over {told.seasons} seasons no' if told.seasons > 1 else 'No'} policy {whole} than the others: {shown_by}"
    who = " and ".join(f"{told.letters[number]} ({told.policies[number].name})" for number in sorted(lead))
    scope = f"In most of {told.seasons} seasons " if told.seasons > 1 else ""
    return f"{scope}{who} {asked.one if len(lead) == 1 else asked.many}: {shown_by}"


def _each(told: Judged, asked: _Question, figures: list[Figure]) -> str:
    """Each policy's figure, the best first; policies that are shown alike together."""
    sign = -1 if BY_NAME[asked.name].better == "more" else 1

    def worse(number: int) -> float:
        figure = figures[number]
        return float("inf") if figure is None else sign * figure

    alike: dict[str, list[str]] = {}
    for number in sorted(range(len(figures)), key=worse):
        alike.setdefault(_shown(asked.name, figures[number]), []).append(told.letters[number])
    first, *others = alike
    if not others:
        return f"{first}{asked.after}" + (" under each" if len(figures) > 1 else "")
    return ", ".join(
        [f"{first}{asked.after} ({', '.join(alike[first])})", *(f"{one} ({', '.join(alike[one])})" for one in others)]
    )


def _shown(name: str, figure: Figure) -> str:
    if figure is None:
        return "never"
    return duration(figure) if BY_NAME[name].unit == "days" else f"{shown(name, figure, '')}\u00a0%"
