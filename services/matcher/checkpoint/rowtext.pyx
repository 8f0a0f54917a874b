# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Records of pledges for a checkpoint, in C: what `writing` makes of `rows.pledge_row`, byte for byte, laid out for a batch.

Every pledge is written once at least, so this is the largest part of a checkpoint. Those that have ended are left to the general way.
"""

from cpython.object cimport PyObject
from msgspec.json import encode

from services.matcher.checkpoint.rows import terms_of
from services.native.buffer cimport Buffer
from services.matcher.model.changes cimport Changes
from services.matcher.model.entities cimport Award, Case, Mark, Pledge
from services.matcher.model.award_rows cimport Fresh
from services.native.blake cimport digest_into

cdef extern from "Python.h":
    PyObject **_PyObject_GetDictPtr(object owner)

cdef Buffer text = Buffer()
cdef Buffer record = Buffer()

DEF MARK_BYTES = 16


def take_pledges(Changes changed, bytes prefix, int version, int most, Py_ssize_t value_max, list rows):
    """Take from the end of `changed` pledges that have money and may still change, as long as it holds such; their rows go to `rows`.

    Args:
        prefix: of their keys.
        version: of the records.
        most: how many at most.
        value_max: a larger value, in bytes, is left to the general way.

    Returns:
        How many were taken, how many of these had a record before, and what they add to the state hash, modulo 2¹²⁸.
    """
    cdef Pledge pledge
    cdef Py_ssize_t key, value
    cdef unsigned char digest[MARK_BYTES]
    cdef Mark mark, more = 0
    cdef int taken = 0, replaced = 0
    cdef list entities = changed._entities
    while taken < most and entities:
        entity = entities[len(entities) - 1]
        if type(entity) is not Pledge:
            break
        pledge = <Pledge>entity
        if pledge.rate is None or not (pledge._fresh is not None or pledge._awards or pledge.waiting):
            break
        text.size = 0
        text.put_bytes(prefix)
        text.put_text(pledge.id)
        key = text.size
        text.put_literal(b"=")
        put_value(pledge, version)
        value = text.size - key - 1
        if value > value_max:
            break
        digest_into(text.data, text.size, MARK_BYTES, digest)
        record.size = 0
        record.put_varint(key)
        record.put(text.data, key)
        record.put_varint(value)
        record.put(text.data + key + 1, value)
        record.put(b"\0", 1)
        rows.append(record.taken())
        mark = (<Mark>whole(digest) << 32 << 32) | whole(digest + 8)
        if mark == 0:
            mark = 1
        replaced += pledge.mark != 0
        more += mark - pledge.mark
        pledge.mark = mark
        taken += 1
        pledge.listed = False
        del entities[len(entities) - 1]
    return taken, replaced, more


cdef inline bint has_more(Pledge pledge) except -1:
    """Whether it has anything beside its slots; asked of the object itself, without looking `__dict__` up."""
    cdef PyObject **more = _PyObject_GetDictPtr(pledge)
    return more[0] is not NULL and len(<dict>more[0]) > 0


cdef unsigned long long whole(const unsigned char *at) noexcept:
    """A big-endian number of eight bytes."""
    cdef unsigned long long found = 0
    cdef int index
    for index in range(8):
        found = found << 8 | at[index]
    return found


cdef int put_value(Pledge pledge, int version) except -1:
    cdef Award award
    cdef bint first = True
    text.put_literal(b"[")
    text.put_whole(version)
    text.put_literal(b",[")
    text.put_word(pledge.id)
    text.put_literal(b",")
    text.put_whole(pledge.order)
    text.put_literal(b",")
    text.put_word(pledge.donor)
    text.put_literal(b",")
    text.put_int(pledge.face)
    text.put_literal(b",")
    text.put_word(pledge.currency)
    text.put_literal(b",")
    text.put_word(pledge.rate)
    text.put_literal(b",")
    text.put_int(pledge.amount)
    text.put_literal(b",")
    text.put_int(pledge.waiting)
    text.put_literal(b",")
    text.put_int(pledge.paid_waiting)
    text.put_literal(b",")
    text.put_int(pledge.awarded)
    text.put_literal(b",")
    text.put_int(pledge.settled)
    text.put_literal(b",")
    text.put_int(pledge.delivered)
    text.put_literal(b",")
    text.put_int(pledge.released)
    text.put_literal(b",")
    text.put_int(pledge.face_paid)
    text.put_literal(b",")
    text.put_whole(pledge.awards_made)
    text.put_literal(b",")
    text.put_word(pledge.closed)
    text.put_literal(b",")
    terms = terms_of(pledge) if has_more(pledge) else None
    text.put_bytes(b"null" if terms is None else encode(terms))
    text.put_literal(b",[")
    cdef Fresh fresh = pledge._fresh
    cdef Py_ssize_t index, at = pledge._first_row
    if fresh is not None:
        for index in range(pledge._rows):
            text.put_literal(b"[" if first else b",[")
            first = False
            text.put_whole(index + 1)
            text.put_literal(b",")
            text.put_whole(pledge._first_order + index)
            text.put_literal(b",")
            text.put_word((<Case>fresh.case_of(at + index)).id)
            text.put_literal(b",")
            text.put_whole(fresh.amount_of(at + index))
            text.put_literal(b",0,0]")
        return text.put_literal(b"]]]")
    for award in pledge._awards or ():
        text.put_literal(b"[" if first else b",[")
        first = False
        text.put_int(award.number)
        text.put_literal(b",")
        text.put_int(award.order)
        text.put_literal(b",")
        text.put_word(award.case.id)
        text.put_literal(b",")
        text.put_int(award.amount)
        text.put_literal(b",")
        text.put_int(award.settled)
        text.put_literal(b",")
        text.put_int(award.delivered)
        text.put_literal(b"]")
    return text.put_literal(b"]]]")
