# The same classes with their fields laid out for C, where they are compiled (`services.native`). Sums stay Python's integers: there is
# no amount at which they would overflow.

cdef class Award:
    cdef public object amount, delivered, number, order, settled
    cdef public Case case
    cdef public Pledge pledge

cdef class Case:
    cdef public list awards
    cdef public object awarded, began, beneficiary, claim, delivered, goal, mark, need, needed_by, next_escalation
    cdef public object next_renewal, open_order, opened_at, origin, outcome, own_contribution, period, priority, rank
    cdef public object recurrence, settled, status, thanks, vouchers
    cdef public str id

cdef class Pledge:
    cdef dict __dict__
    cdef public object amount, awarded, awards, awards_made, closed, delivered, face, face_paid, mark, order
    cdef public object paid_waiting, rate, released, settled, waiting
    cdef public str currency, donor, id
    cpdef begin(self, str name, object order, str donor, object face, str currency, object rate, object amount)

cpdef Award new_award(object number, object order, Pledge pledge, Case case, object amount)
