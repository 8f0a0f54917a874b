# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""A pledge's row of a checkpoint as JSON, in C: what `checkpoint` makes of `rows.pledge_row`, byte for byte.

Every pledge is written once at least, so this is the largest part of a checkpoint. Pledges with terms are left to the general way.
"""

from services.matcher.buffer cimport Buffer
from services.matcher.entities cimport Award, Pledge

cdef Buffer text = Buffer()


def pledge_text(Pledge pledge, int version):
    """The value of a pledge's record, or None if the general way has to make it."""
    cdef Award award
    cdef bint first = True
    if (<object>pledge).__dict__:
        return None
    text.size = 0
    text.put_literal(b"[")
    text.put_whole(version)
    text.put_literal(b',["')
    text.put_text(pledge.id)
    text.put_literal(b'",')
    text.put_int(pledge.order)
    text.put_literal(b',"')
    text.put_text(pledge.donor)
    text.put_literal(b'",')
    text.put_int(pledge.face)
    text.put_literal(b',"')
    text.put_text(pledge.currency)
    text.put_literal(b'",')
    put_name(pledge.rate)
    for number in (
        pledge.amount, pledge.waiting, pledge.paid_waiting, pledge.awarded, pledge.settled, pledge.delivered, pledge.released,
        pledge.face_paid, pledge.awards_made,
    ):
        text.put_literal(b",")
        text.put_int(number)
    text.put_literal(b",")
    put_name(pledge.closed)
    text.put_literal(b",null,[")
    for award in pledge.awards:
        text.put_literal(b"[" if first else b",[")
        first = False
        text.put_int(award.number)
        text.put_literal(b",")
        text.put_int(award.order)
        text.put_literal(b',"')
        text.put_text(award.case.id)
        text.put_literal(b'",')
        text.put_int(award.amount)
        text.put_literal(b",")
        text.put_int(award.settled)
        text.put_literal(b",")
        text.put_int(award.delivered)
        text.put_literal(b"]")
    text.put_literal(b"]]]")
    return text.taken()


cdef int put_name(object name) except -1:
    """A name whose characters need no escaping, or null."""
    if name is None:
        return text.put_literal(b"null")
    text.put_literal(b'"')
    text.put_text(name)
    return text.put_literal(b'"')
