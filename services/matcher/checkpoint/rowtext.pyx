# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Records of pledges for a checkpoint, in C: what `writing` makes of `rows.pledge_row`, byte for byte, laid out for a batch.

Every pledge is written once at least, so this is the largest part of a checkpoint. Those that have ended are left to the general way.
"""

from msgspec.json import encode

from services.matcher.checkpoint.rows import terms_of
from services.native.buffer cimport Buffer
from services.matcher.model.changes cimport Changes
from services.matcher.model.entities cimport Award, Case, Pledge
from services.matcher.model.award_rows cimport Fresh
from services.native.blake cimport digest_into

cdef extern from "Python.h":
    object _PyLong_FromByteArray(const unsigned char *data, size_t length, int little_endian, int is_signed)

cdef Buffer text = Buffer()
cdef Buffer record = Buffer()

DEF MARK = 16  # bytes of a mark


def take_pledges(Changes changed, bytes prefix, int version, int most, Py_ssize_t value_max, list rows):
    """Take from the end of `changed` pledges that have money and may still change, as long as it holds such; their rows go to `rows`.

    Args:
        prefix: of their keys.
        version: of the records.
        most: how many at most.
        value_max: a larger value, in bytes, is left to the general way.

    Returns:
        How many were taken, how many of these had a record before, and what they add to the state hash.
    """
    cdef Pledge pledge
    cdef Py_ssize_t key, value
    cdef unsigned char mark[MARK]
    cdef unsigned long long high = 0, low = 0, more
    cdef int taken = 0, replaced = 0
    cdef object before = 0
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
        digest_into(text.data, text.size, MARK, mark)
        record.size = 0
        record.put_varint(key)
        record.put(text.data, key)
        record.put_varint(value)
        record.put(text.data + key + 1, value)
        record.put(b"\0", 1)
        rows.append(record.taken())
        if pledge.mark:
            replaced += 1
            before += pledge.mark
        pledge.mark = _PyLong_FromByteArray(mark, MARK, 0, 0) or 1
        more = whole(mark + 8)
        low += more
        high += whole(mark) + (low < more)
        taken += 1
        pledge.listed = False
        del entities[len(entities) - 1]
    return taken, replaced, ((<object>high) << 64 | low) - before


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
    terms = terms_of(pledge) if (<object>pledge).__dict__ else None
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
