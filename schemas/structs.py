"""Structs made from models: msgspec makes what is read a million times straight from JSON, several times faster.

A model stays the single definition. Its fields, limits and validators are looked up once, and a struct is made of them that
accepts the same JSON. It says less about what it refuses: for an explanation, ask the model. Properties hold that both come to
the same verdict on every field (`tests/properties/test_structs.py`).

Fields that are ids are not looked at by patterns: most texts are, and a pattern costs more than all the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from schemas.numbers import DIGITS_MANY, holds_number
from schemas.times import datetime_of, parse_given
from schemas.values import ID_PATTERN, PLEDGE_PATTERN, Model, nobodys

try:
    from schemas.plain import Plain
except ImportError:  # not compiled
    Plain = None

ID_MAX = 64
_REF = re.compile(PLEDGE_PATTERN.removesuffix("$"))
_REF_MAX = ID_MAX + len("#9999999")

Check = Callable[[Any], Any]


class Unfit(ValueError):
    """The model would not take this; the model says why."""


class Reader:
    """Reads JSON as a struct of a model's fields, in which times are datetimes and None stands for what was not said.

    Args:
        model: the definition.
    """

    __slots__ = ("_checks", "_decode", "_plain", "_refs", "_struct", "_times", "_words")

    def __init__(self, model: type[Model]) -> None:
        fields = _fields(model)
        self._struct = _struct(model, fields)
        self._decode = msgspec.json.Decoder(self._struct).decode
        self._words = tuple(name for name, field in fields.items() if field.pattern == ID_PATTERN)
        self._refs = tuple(name for name, field in fields.items() if field.pattern == PLEDGE_PATTERN)
        self._times = tuple(name for name, field in fields.items() if field.type is datetime)
        self._plain = _plain(self._struct, fields)
        self._checks = tuple((name, check) for name, field in fields.items() for check in field.checks)

    def read(self, value: bytes, event: str | None = None) -> Any:
        """Read JSON.

        Args:
            value: an object.
            event: another word that must be an id, and nobody's number.

        Raises:
            Unfit: if the model would not take it, or a member comes twice.
        """
        if event is not None and not is_id(event):
            raise Unfit
        data: Any = None if self._plain is None else self._plain.read(value)
        return self._read(value) if data is None else data

    def _read(self, value: bytes) -> Any:
        """`read`, however it is written."""
        try:
            data = self._decode(value)
            if says_twice(value):
                raise Unfit
            for name in self._times:
                if (text := getattr(data, name)) is not None:
                    setattr(data, name, datetime_of(parse_given(text)))
            for name, check in self._checks:
                if (given := getattr(data, name)) is not None:
                    setattr(data, name, check(given))
        except (ValueError, RecursionError) as error:  # msgspec's are ValueErrors
            raise Unfit from error
        fit = True
        for name in self._words:
            word = getattr(data, name)
            fit = fit and (word is None or is_id(word))
        for name in self._refs:
            word = getattr(data, name)
            if "#" in word:
                fit = fit and bool(_REF.fullmatch(word))
                word = word.partition("#")[0]
            fit = fit and is_id(word)
        if not fit:
            raise Unfit
        if self._plain is not None:
            self._plain.learn(data)
        return data

    def struct_of(self, model: Model) -> Struct:
        """The struct of a model."""
        return self._struct(**{name: _as_struct(getattr(model, name)) for name in type(model).model_fields})


def is_id(word: str) -> bool:
    """Whether this is an id of the contract, in which nobody's number is."""
    if not 0 < len(word) <= ID_MAX:
        return False
    digits = most = 0
    for character in word:
        if "0" <= character <= "9":
            digits += 1
            if digits > most:
                most = digits
        elif "a" <= character <= "z" or "A" <= character <= "Z":
            digits = 0
        elif character not in "._~-":
            return False
    return most < DIGITS_MANY or not holds_number(word)  # few have so many with no letter between


def says_twice(value: bytes) -> bool:
    """Whether JSON has a member twice in one object.

    Raises:
        ValueError: if it is no JSON.
    """
    colons = msgspec.json.encode(msgspec.json.decode(value)).count(b":")
    if colons == value.count(b":") and b"\\" not in value:  # then a colon is a colon, and each member has one
        return False
    twice = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len({name for name, _ in members}) < len(members)

    json.loads(value, object_pairs_hook=look)
    return twice


def said(data: Any) -> dict[str, Any]:
    """All that a struct says, by name: times as RFC 3339 text, nothing that is None."""
    return {name: value for name, value in msgspec.to_builtins(data).items() if value is not None}


class _Field:
    """What a struct has to know of a model's field.

    Attributes:
        type: `str`, `int`, `datetime`, a `Literal` or a model.
        optional: whether it may be None.
        pattern: of a text.
        checks: validators that are to be called.
    """

    def __init__(self, info: FieldInfo) -> None:
        self.info = info
        self.pattern: str | None = None
        self.checks: list[Check] = []
        self._limits: dict[str, Any] = {}
        self.type, self.optional = self._unwrapped(info.annotation)
        for one in info.metadata:
            self._note(one)

    def _unwrapped(self, annotation: Any) -> tuple[Any, bool]:
        if get_origin(annotation) in (Union, UnionType):
            inner = [one for one in get_args(annotation) if one is not type(None)]
            [one] = inner
            return self._unwrapped(one)[0], True
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
            for one in metadata:
                for known in one.metadata if isinstance(one, FieldInfo) else [one]:
                    self._note(known)
        return annotation, False

    def _note(self, one: Any) -> None:
        self.pattern = getattr(one, "pattern", None) or self.pattern
        self._limits |= {name: limit for name in ("ge", "le") if (limit := getattr(one, name, None)) is not None}
        if isinstance(one, AfterValidator) and one.func is not nobodys:
            self.checks.append(cast("Check", one.func))

    def plain(self) -> Plain | dict[bytes, str] | tuple[int, ...] | None:
        """What this is for `schemas.plain`."""
        if _is_model(self.type):
            return _plain(_nested(self.type), _fields(self.type))
        if self.type is str and self.pattern in (ID_PATTERN, PLEDGE_PATTERN):
            return None
        if self.type is str:
            return {}
        if get_origin(self.type) is Literal:
            return {word.encode(): word for word in get_args(self.type)}
        return (self._limits["ge"], self._limits["le"]) if self.type is int else ()

    def as_struct_field(self, nested: bool) -> tuple[Any, ...]:
        """Type, and default if there is one, as `msgspec.defstruct` wants them."""
        taken = self._taken(nested)
        taken = taken | None if self.optional else taken
        return (taken,) if self.info.is_required() else (taken, self.info.default)

    def _taken(self, nested: bool) -> Any:
        if self.type is datetime:
            return str
        if self.type is str and self.pattern == ID_PATTERN and not nested:
            return Annotated[str, Meta(min_length=1, max_length=ID_MAX)]
        if self.type is str and self.pattern == PLEDGE_PATTERN and not nested:
            return Annotated[str, Meta(min_length=1, max_length=_REF_MAX)]
        if self.type is str:
            assert self.pattern is not None, "no struct holds any text whatever"
            return Annotated[str, Meta(pattern=self.pattern.removesuffix("$") + r"\Z")]  # `$` lets a newline pass
        if self.type is int:
            return Annotated[int, Meta(**self._limits)]
        if _is_model(self.type):
            return _nested(self.type)
        assert get_origin(self.type) is Literal, f"no struct holds a {self.type}"
        return self.type


def _fields(model: type[Model]) -> dict[str, _Field]:
    return {name: _Field(info) for name, info in model.model_fields.items()}


def _plain(struct: type[Struct], fields: dict[str, _Field]) -> Plain | None:
    return Plain and Plain(struct, [(name, one.info.is_required(), one.plain()) for name, one in fields.items()])


def _is_model(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, Model)


def _struct(model: type[Model], fields: dict[str, _Field]) -> type[Struct]:
    made = [(name, *field.as_struct_field(nested=False)) for name, field in fields.items()]
    return msgspec.defstruct(model.__name__, made, forbid_unknown_fields=True, gc=False, kw_only=True)


@cache
def _nested(model: type[Model]) -> type[Struct]:
    """A struct within another; it checks itself."""
    fields = _fields(model)
    assert all(field.type is not datetime for field in fields.values())

    def check(data: Any) -> None:
        for name, field in fields.items():
            if (given := getattr(data, name)) is not None:
                if field.pattern == ID_PATTERN:
                    nobodys(given)
                for one in field.checks:
                    setattr(data, name, one(given))
        model.model_post_init(data, None)

    made = [(name, *field.as_struct_field(nested=True)) for name, field in fields.items()]
    return msgspec.defstruct(
        model.__name__, made, forbid_unknown_fields=True, gc=False, kw_only=True, omit_defaults=True, namespace={"__post_init__": check}
    )  # fmt: skip


def _as_struct(value: Any) -> Any:
    if not isinstance(value, Model):
        return value
    return _nested(type(value))(**{name: getattr(value, name) for name in type(value).model_fields})
