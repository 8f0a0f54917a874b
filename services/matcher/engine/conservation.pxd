import cython

from services.matcher.model.entities cimport Case, Money, Pledge


@cython.locals(
    p=Pledge, c=Case, waiting=Money, awarded=Money, settled=Money, delivered=Money, released=Money, paid_waiting=Money
)
cpdef check(list pledges, list cases)
