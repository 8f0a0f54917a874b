# The same classes with their fields laid out for C, where they are compiled (`services.native`). Sums stay Python's integers: there is
# no amount at which they would overflow.

from services.matcher.model.award_rows cimport Fresh

cdef class Award:
    cdef public object amount, delivered, settled
    cdef public long long number, order
    cdef public Case case
    cdef public Pledge pledge

cdef class Case:
    cdef public list _awards
    cdef public Fresh _fresh
    cdef public Py_ssize_t _last
    cdef public bint listed
    cdef public object awarded, began, claim, delivered, goal, mark, needed_by, next_escalation, next_renewal, open_order
    cdef public object opened_at, origin, outcome, own_contribution, period, person_mark, priority, rank, recurrence, settled, thanks, vouchers
    cdef public str beneficiary, id, need, status

    cpdef forget(self, Award award)

cdef class Pledge:
    cdef dict __dict__
    cdef public object _awards
    cdef public Fresh _fresh
    cdef public Py_ssize_t _first_row
    cdef public long long _first_order, order
    cdef public int _rows, awards_made
    cdef public bint listed
    cdef public object amount, awarded, closed, delivered, face, face_paid, mark
    cdef public object paid_waiting, rate, released, settled, waiting
    cdef public str currency, donor, id

    cpdef begin(self, str name, long long order, str donor, object face, str currency, object rate, object amount)
    cpdef Award award(self, int number)
    cpdef forget(self, Award award)
