"""The tree of errors: each stands in it, and has a code of its own."""

import re

from services import errors
from services.errors import PumasiError

ALL = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, PumasiError)]


def test_each_error_stands_in_the_tree() -> None:
    assert {one.__name__ for one in ALL} <= set(re.findall(r"\w+", errors.__doc__ or ""))


def test_each_code_is_one_errors() -> None:
    codes = [one.code for one in ALL if "code" in vars(one) and one is not errors.OfEvent]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_an_error_without_a_code_of_its_own_has_its_parents() -> None:
    class Smaller(errors.KafkaUnreachable):
        """One more."""

    assert Smaller.code == "kafka_unreachable"
