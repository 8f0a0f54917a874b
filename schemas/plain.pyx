# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Plain JSON read in C: an object of ids, whole numbers, known words and such objects, in any order and however it is spaced.

Almost every command is one. Whatever is written in another way (escapes, times, a member that comes twice or that nobody
knows) is left to `structs.Reader`, which alone says what is refused.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.string cimport memcmp

from schemas.numbers import DIGITS_MANY as MANY, holds_number

cdef extern from "Python.h":
    object PyObject_Vectorcall(object called, PyObject **args, size_t count, PyObject *names)
    PyObject **PySequence_Fast_ITEMS(object sequence)

cdef enum:
    MEMBERS_MAX = 14
    LEARNT_MAX = 256
    ID_MAX = 64
    DIGITS_MAX = 18
    ID = 0
    WORD = 1
    WHOLE = 2
    WITHIN = 3
    OTHER = 4

cdef int DIGITS_MANY = MANY
cdef unsigned char IS_ID[256]  # 1: a digit, 2: a letter, 3: between
for code in range(256):
    IS_ID[code] = 1 if 48 <= code <= 57 else 2 if chr(code).isalpha() and code < 128 else 3 if code in b"._~-" else 0

ctypedef const char *Place


cdef inline bint is_blank(char one) noexcept:
    return one == 32 or 9 <= one <= 10 or one == 13


cdef inline Place spaces(Place at) noexcept:
    """Past blanks; bytes end with a zero."""
    while is_blank(at[0]):
        at += 1
    return at


cdef inline Place text(Place at) noexcept:
    """Past the quotation mark that ends a text without escapes; NULL if it has any, or isn't ASCII."""
    while at[0] != b'"':
        if <unsigned char>at[0] < 32 or <unsigned char>at[0] > 126 or at[0] == b"\\":
            return NULL
        at += 1
    return at + 1


cdef inline Place past_id(Place at, Place end, bint *many) noexcept:
    """Past what may be an id, at most to `end`. `many`: it may hold somebody's number."""
    cdef int digits = 0, kind
    while at < end:
        kind = IS_ID[<unsigned char>at[0]]
        if kind == 0:
            break
        digits = digits + 1 if kind == 1 else 0 if kind == 2 else digits
        if digits >= DIGITS_MANY:
            many[0] = True
        at += 1
    return at


cdef object id_of(Place begin, Place end):
    """The id that lies between; None if it is none, or holds somebody's number."""
    cdef bint many = False
    if not 0 < end - begin <= ID_MAX or past_id(begin, end, &many) != end:
        return None
    word = ascii(begin, end - begin)
    return None if many and holds_number(word) else word


cdef class Plain:
    """Reads the members of a struct.

    Args:
        struct: the class.
        members: for each member its name, whether it must be said, and what it is: None for an id, the words that it can be (more may be
            learnt), the least and the greatest whole number, what reads an object, or an empty tuple for anything else.
    """

    def __init__(self, struct, list members):
        cdef int index
        self.struct, self.count = struct, len(members)
        self.names = tuple([name for name, _, _ in members])
        self.keys = tuple([name.encode() for name in self.names])
        self.known, self.last = [kind for _, _, kind in members], [(b"", "")] * self.count
        for index, (name, required, kind) in enumerate(members[:MEMBERS_MAX]):
            self.must |= <unsigned long long>required << index
            self.kind[index] = (
                ID if kind is None else WORD if isinstance(kind, dict) else WITHIN if isinstance(kind, Plain) else WHOLE if kind else OTHER
            )
            if self.kind[index] == WHOLE:
                self.least[index], self.most[index] = kind

    cpdef object read(self, bytes value):
        """The struct, or None."""
        return self.read_at(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))

    cdef object read_at(self, Place begin, Py_ssize_t length):
        """The same of what lies within other bytes, behind which there is a zero somewhere."""
        cdef Place at = begin
        made = self.object_at(&at)
        while at < begin + length and is_blank(at[0]):
            at += 1
        return made if at == begin + length else None

    cdef object object_at(self, Place *place):
        """The struct of an object that begins here, past which it goes; or None."""
        cdef Place at = spaces(place[0])
        cdef Place begin
        cdef unsigned long long said = 0, order = 1
        cdef long long number
        cdef int index = -1
        cdef bint many
        cdef list made = []
        if self.count > MEMBERS_MAX or at[0] != b"{":
            return None
        while True:
            at = spaces(at + 1)
            if at[0] != b'"':
                return None
            begin = at + 1
            at = text(begin)
            if at is NULL:
                return None
            index = self.member(begin, <int>(at - begin - 1), index + 1)
            if index < 0 or said >> index & 1:
                return None
            said |= <unsigned long long>1 << index
            order = order << 4 | index
            at = spaces(at)
            if at[0] != b":":
                return None
            begin = at = spaces(at + 1)
            if self.kind[index] == WHOLE:
                number = 0
                while 48 <= at[0] <= 57 and at - begin <= DIGITS_MAX:
                    number = 10 * number + (at[0] - 48)
                    at += 1
                if at == begin or at - begin > DIGITS_MAX or (begin[0] == 48 and at - begin > 1):
                    return None
                if not self.least[index] <= number <= self.most[index]:
                    return None
                made.append(number)
            elif self.kind[index] == WITHIN:
                try:
                    word = (<Plain>self.known[index]).object_at(&at)
                except ValueError:
                    return None
                if word is None:
                    return None
                made.append(word)
            elif at[0] != b'"' or self.kind[index] == OTHER:
                return None
            elif self.kind[index] == ID:
                begin, many = at + 1, False
                at = past_id(begin, begin + ID_MAX, &many)
                if at == begin or at[0] != b'"':
                    return None
                word = ascii(begin, at - begin)
                if many and holds_number(word):
                    return None
                at += 1
                made.append(word)
            else:
                begin = at + 1
                at = text(begin)
                word = None if at is NULL else self.word(index, begin, at - begin - 1)
                if word is None:
                    return None
                made.append(word)
            at = spaces(at)
            if at[0] != b",":
                break
        if at[0] != b"}" or self.must & ~said:
            return None
        place[0] = at + 1
        if order != self.order or self.said is None:
            self.order, self.said = order, self.in_order(order, len(made))
        return PyObject_Vectorcall(self.struct, PySequence_Fast_ITEMS(made), 0, <PyObject *>self.said)

    def learn(self, data):
        """Know the words of a struct that was read in another way."""
        cdef int index
        for index in range(min(self.count, MEMBERS_MAX)):
            known, word = self.known[index], getattr(data, self.names[index])
            if word is None:
                continue
            if self.kind[index] == WITHIN:
                known.learn(word)
            elif self.kind[index] == WORD and len(known) < LEARNT_MAX:
                known[word.encode()] = word

    cdef object word(self, int index, Place begin, Py_ssize_t length):
        """A known word, which is often the one that was there last; else None."""
        cdef tuple last = <tuple>self.last[index]
        cdef bytes key = <bytes>last[0]
        if PyBytes_GET_SIZE(key) != length or memcmp(PyBytes_AS_STRING(key), begin, length) != 0:
            key = PyBytes_FromStringAndSize(begin, length)
            word = (<dict>self.known[index]).get(key)
            if word is None:
                return None
            self.last[index] = last = (key, word)
        return last[1]

    cdef int member(self, Place begin, int length, int guess) noexcept:
        """Which member has this name, -1 if none; most come in the order of the struct."""
        cdef int index, tried
        for tried in range(self.count):
            index = (guess + tried) % self.count
            key = <PyObject *>(<tuple>self.keys)[index]
            if PyBytes_GET_SIZE(<bytes>key) == length and memcmp(PyBytes_AS_STRING(<bytes>key), begin, length) == 0:
                return index
        return -1

    cdef tuple in_order(self, unsigned long long order, int count):
        """The names of the members that were said, in order."""
        return tuple([self.names[order >> 4 * (count - 1 - place) & 15] for place in range(count)])
