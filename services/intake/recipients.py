"""Recipients: an address in its one spelling, or the reason why it names nobody.

An address is `<scheme>:<recipient>` and nothing else: no password, no server, no parameter. However it is written (blanks, brackets,
full-width letters, capitals, invisible characters), it becomes one text: NFKC, without what nobody sees, then by its scheme

    tel, sms, whatsapp         a telephone number, with its country's code: E.164
    signal, tgram, wechat, …   the same, or a name as that service forms names, in lower case
    mailto                     a mail address; the domain by IDNA, all in lower case
    matrix                     `@name:server`, in lower case; the server by IDNA
    https                      a URL without credentials, query or fragment; the host by IDNA, each part of the path decoded and made
                               plain by itself, so that `%2F` is no `/`

One telephone is one person, by whatever scheme it is reached. What isn't certain is refused: a number without its country's code
may be anybody's, and somebody who could be written in two ways could be two people.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import phonenumbers
from email_validator import EmailNotValidError, validate_email

ADDRESS_MAX = 1024
"""The longest address, in characters, as it is sent and in NFKC, by which one character may become 18."""

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_BETWEEN_DIGITS = re.compile("[\\s().·\u2010-\u2015\u2212-]")
_MORE = re.compile(r"[?#;/]")  # a query, a fragment, a parameter, a path
_ENCODED = {ord(mark): quote(mark, safe="") for mark in "%?#;/"}  # in a name they are no more than themselves
_MADE_UP = "\ufffd"  # stands for whatever somebody couldn't read: of two people it makes one
_MATRIX = re.compile(r"(?:@|u/)?([a-z0-9._=+-]+):([^:]+)(?::0*([1-9][0-9]{0,4}))?")
_NAMES = {  # none can be a telephone number without its country's code
    "signal": re.compile(r"[a-z_][a-z0-9_]{2,31}\.[0-9]{2,9}"),
    "tgram": re.compile(r"[a-z][a-z0-9_]{3,31}|[1-9][0-9]{4,9}"),
    "wechat": re.compile(r"[a-z][a-z0-9_-]{5,19}"),
    "kakaotalk": re.compile(r"(?=.*[a-z])[a-z0-9._-]{4,20}"),
}


class NoRecipient(ValueError):
    """An address that names nobody for certain.

    Attributes:
        code: `too_long`, `unknown_scheme`, `more_than_recipient` or `invalid_recipient`.
        message: what it must be; never what it is.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code, self.message = code, message


class Recipient(NamedTuple):
    """Whom an address reaches.

    Attributes:
        address: by which scheme, and who: the one way to write it.
        person: the same for all addresses that reach one person for certain.
    """

    address: str
    person: str


def recipient_of(address: str, schemes: Collection[str]) -> Recipient:
    """Whom `address` reaches.

    >>> from schemas.values import SCHEMES
    >>> recipient_of("TEL:0086 (138) 0013-8000", SCHEMES)
    Recipient(address='tel:+8613800138000', person='tel:+8613800138000')
    >>> recipient_of("signal:+86 138 0013 8000", SCHEMES).person, recipient_of("mailto://Kim@Example.ORG", SCHEMES).person
    ('tel:+8613800138000', 'mailto:kim@example.org')

    Raises:
        NoRecipient: if it names nobody for certain, or by another scheme.
    """
    if _length_in_nfkc(address) > ADDRESS_MAX:
        raise NoRecipient("too_long", f"must have at most {ADDRESS_MAX} characters in NFKC")
    scheme, _, rest = _plain(address).partition(":")
    scheme = scheme.lower()
    if scheme not in schemes:
        raise NoRecipient("unknown_scheme", f"must be an address by one of: {', '.join(schemes)}")
    try:
        told = _READ[scheme](scheme, rest)
    except (UnicodeDecodeError, EmailNotValidError):  # what is percent-encoded; a mail address, or a host that none has
        told = None
    if told is None or _MADE_UP in told:
        raise NoRecipient("invalid_recipient", f"must be {_WANTED[scheme]}")
    return Recipient(f"{scheme}:{told}", f"{'tel' if told.startswith('+') else scheme}:{told}")


@lru_cache(maxsize=4096)
def _nfkc_length(character: str) -> int:
    return len(unicodedata.normalize("NFKC", character))


def _length_in_nfkc(address: str) -> int:
    """About how many characters NFKC makes of an address, without the work of doing it."""
    return len(address) if address.isascii() else sum(map(_nfkc_length, address))


def _plain(text: str) -> str:
    """NFKC, without what nobody sees and blanks around."""
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        seen = "".join(character for character in text if unicodedata.category(character) != "Cf")
        text = unicodedata.normalize("NFKC", seen)
    return text.strip()


def _alone(rest: str) -> str:
    """What follows the scheme, percent-decoded, if it is a recipient and nothing else."""
    rest = rest.strip("/ ")
    if _MORE.search(rest.removeprefix("u/")):
        raise NoRecipient("more_than_recipient", "must be a recipient and nothing else: no server, path or parameters")
    return _plain(unquote(rest, errors="strict")) if "%" in rest else rest


def _number(_scheme: str, rest: str) -> str | None:
    """A telephone number in E.164, whatever country's."""
    digits = _BETWEEN_DIGITS.sub("", _alone(rest))
    if not digits.isascii():
        digits = "".join(str(unicodedata.digit(character, character)) for character in digits)
    digits = f"+{digits[2:]}" if digits.startswith("00") else digits
    if not (digits.startswith("+") and digits[1:].isdecimal()):
        return None
    try:
        number = phonenumbers.parse(digits)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _name(scheme: str, rest: str) -> str | None:
    """A number by which a service knows somebody, or a name of its own."""
    if number := _number(scheme, rest):
        return number
    name = _alone(rest).lower().removeprefix("@")
    return name if _NAMES[scheme].fullmatch(name) else None


def _mail(_scheme: str, rest: str) -> str | None:
    mail = validate_email(_alone(rest).removesuffix("."), check_deliverability=False)
    name = unicodedata.normalize("NFKC", mail.local_part.lower()).translate(_ENCODED)
    return f"{name}@{mail.ascii_domain}"


def _host(name: str) -> str:
    """A host by IDNA. Raises EmailNotValidError if no mail could have one of that name, such as an IP address."""
    return validate_email(f"x@{name}".removesuffix("."), check_deliverability=False).ascii_domain


def _matrix(_scheme: str, rest: str) -> str | None:
    found = _MATRIX.fullmatch(_alone(rest).lower())
    if found is None or (port := int(found[3] or 1)) >= 65536:
        return None
    return f"@{found[1]}:{_host(found[2])}" + (f":{port}" if found[3] else "")


def _part(encoded: str) -> str:
    """A part of a path, decoded and plain; what has another form for each reader is made up."""
    part = _plain(unquote(encoded, errors="strict"))
    ambiguous = part in (".", "..") or any(
        character == "\\" or unicodedata.category(character)[0] == "C" for character in part
    )
    return _MADE_UP if ambiguous else part


def _url(_scheme: str, rest: str) -> str | None:
    try:
        parts = urlsplit("https:" + rest)
        port = parts.port
    except ValueError:
        return None
    host = _host(parts.hostname or "")
    if "@" in parts.netloc or "?" in rest or "#" in rest:
        raise NoRecipient("more_than_recipient", "must be a URL and nothing else: no password, query or fragment")
    path = [part for encoded in parts.path.split("/") if (part := _part(encoded))]
    if any(_MADE_UP in part for part in path):
        return None
    server = f"//{host}" if port in (None, 443) else f"//{host}:{port}"
    return "/".join([server, *(quote(part, safe=":!$&'()*+,;=@~") for part in path)])


_READ: dict[str, Callable[[str, str], str | None]] = {
    "mailto": _mail, "tel": _number, "sms": _number, "signal": _name, "whatsapp": _number, "tgram": _name,
    "matrix": _matrix, "wechat": _name, "kakaotalk": _name, "https": _url,
}  # fmt: skip
_PHONE = "a telephone number with its country's code, such as +86 138 …"
_NAMES_WANTED = {
    "signal": "a name there (3–32 of a-z, 0-9 and _, then a dot and 2–9 digits, such as signal:somebody.42)",
    "tgram": "a name there (4–32 of a-z, 0-9 and _, the first a letter), its id there (5–10 digits)",
    "wechat": "a name there (6–20 of a-z, 0-9, _ and -, the first a letter)",
    "kakaotalk": "a name there (4–20 of a-z, 0-9 and ._-, one of them a letter)",
}
_WANTED = {
    "mailto": "a mail address, such as mailto:somebody@example.org", "matrix": "such as matrix:@somebody:example.org",
    "https": "a URL, such as https://example.org/somebody",
    **dict.fromkeys(("tel", "sms", "whatsapp"), _PHONE),
    **{scheme: f"{name}, or {_PHONE}" for scheme, name in _NAMES_WANTED.items()},
}  # fmt: skip
