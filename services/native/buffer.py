"""Bytes being written: JSON, and what Kafka frames it with. `buffer.pyx` is the same in C."""

from __future__ import annotations

_NULL = b"\x01"  # the length -1


class Buffer:
    """Bytes being written, whose room grows."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._data)

    def put_bytes(self, text: bytes) -> None:
        """Add bytes as they are."""
        self._data += text

    def put_text(self, text: str) -> None:
        """Add a text as it is, UTF-8."""
        self._data += text.encode()

    def put_word(self, word: str | None) -> None:
        """Add a text as JSON, in which nothing is to be escaped; None is null."""
        self._data += b"null" if word is None else b'"%s"' % word.encode()

    def put_whole(self, number: int) -> None:
        """Add an integer that is not negative, and in C below 2⁶⁴, in decimal digits."""
        self._data += b"%d" % number

    def put_int(self, number: int) -> None:
        """Add an integer, whatever it is, in decimal digits."""
        self._data += b"%d" % number

    def put_varint(self, number: int) -> None:
        """Add a zigzag varint, of a number that is not negative."""
        left = number << 1
        while left > 0x7F:
            self._data.append(left & 0x7F | 0x80)
            left >>= 7
        self._data.append(left)

    def put_sized(self, part: bytes | None) -> None:
        """Add a part with its length before it, as in a record; None is null."""
        if part is None:
            self._data += _NULL
        else:
            self.put_varint(len(part))
            self._data += part

    def put_all_of(self, other: Buffer) -> None:
        """Add what was written into another buffer, which is empty then."""
        self._data += other.taken()

    def clear(self) -> None:
        """Let go of all that was written."""
        self._data.clear()

    def taken(self) -> bytes:
        """All that was written; the buffer is empty then."""
        found, self._data = bytes(self._data), bytearray()
        return found
