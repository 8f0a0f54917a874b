# The same classes with their fields laid out for C, where they are compiled (`services.native`).
import cython

from services.matcher.model.award_rows cimport Fresh

cdef extern from *:
    """
    typedef __int128 Money __attribute__((aligned(8)));  /* it takes 2**74 of the largest amounts to run over */
    typedef unsigned __int128 Mark __attribute__((aligned(8)));
    _Static_assert(sizeof(Money) == 16 && sizeof(Mark) == 16, "Cython goes by the size, whatever it takes them for below");

    /* Cython makes an int of anything wider than a word out of its bytes, before Python 3.13 by this private function of CPython. Hardly
       any money is that wide, and of a word an int is made sooner. From 3.13 on Cython calls another, and sums are the same without. */
    #if PY_VERSION_HEX < 0x030d0000
    static inline PyObject *int_of_bytes(const unsigned char *bytes, size_t size, int little, int is_signed) {
        Money money;
        if (size == sizeof money && is_signed) {
            memcpy(&money, bytes, size);
            if (money == (long long)money) return PyLong_FromLongLong((long long)money);
        }
        return _PyLong_FromByteArray(bytes, size, little, is_signed);
    }
    #define _PyLong_FromByteArray int_of_bytes
    #endif
    """
    ctypedef long long Money
    ctypedef unsigned long long Mark

@cython.final
cdef class Policy:
    cdef public str currency, rule, weights
    cdef public long long ageing, deadline, forget_after_days, share, vouchers_required

@cython.final
cdef class Award:
    cdef public Money amount, delivered, settled
    cdef public long long number, order
    cdef public Case case
    cdef public Pledge pledge

    cpdef Award begin(self, long long number, long long order, Pledge pledge, Case case, Money amount)

cpdef str award_id(Pledge pledge, long long number)

@cython.final
cdef class Case:
    # What every award asks for stands together: a case is likely to be far from all that was used just before.
    cdef public str beneficiary, id, need, status
    cdef public bint listed, touched
    cdef public int priority, rank
    cdef public long long open_order
    cdef public Money awarded, claim, delivered, settled
    cdef public list _awards
    cdef public Fresh _fresh
    cdef public Py_ssize_t _last
    cdef public long long began, goal, opened_at, own_contribution, period
    cdef public Mark mark
    cdef public object needed_by, next_escalation, next_renewal
    cdef public object origin, outcome, person_mark, recurrence, thanks, vouchers

    @cython.locals(awards=list, fresh=Fresh, row=Py_ssize_t, found=list, pledge=Pledge, known=Py_ssize_t)
    cpdef list all_awards(self)

    cpdef Money residual(self) noexcept
    cpdef take(self, Fresh fresh, Py_ssize_t row)

    @cython.locals(awards=list)
    cpdef forget(self, Award award)

@cython.final
cdef class Pledge:
    cdef dict __dict__
    cdef public list _awards
    cdef public Fresh _fresh
    cdef public Py_ssize_t _first_row
    cdef public long long _first_order, order
    cdef public int _rows, awards_made
    cdef public bint has_terms, listed, touched
    cdef public long long face
    cdef public Money amount, awarded, delivered, face_paid, paid_waiting, released, settled, waiting
    cdef public Mark mark
    cdef public object closed, rate
    cdef public str currency, donor, id

    cpdef begin(self, str name, long long order, str donor, long long face, str currency, object rate, Money amount)

    @cython.locals(awards=list, fresh=Fresh, number=Py_ssize_t, row=Py_ssize_t, award=Award)
    cpdef list all_awards(self)

    @cython.locals(rows=int)
    cpdef bint add_fresh(self, Fresh fresh, Case case, int number, long long order, Money amount) except -1

    cpdef Money unpaid(self) noexcept
    cpdef Award award_of_row(self, Py_ssize_t row)

    @cython.locals(awards=list, index=Py_ssize_t, one=Award)
    cpdef Award award(self, int number)

    @cython.locals(awards=list)
    cpdef forget(self, Award award)

@cython.locals(place=Py_ssize_t, before=Award, behind=Award)
cpdef bint _in_order(list awards, Py_ssize_t known) except -1

@cython.locals(low=Py_ssize_t, high=Py_ssize_t, middle=Py_ssize_t, order="long long", one=Award)
cpdef Py_ssize_t _place_of(list awards, Award award) except -1
