import cython

from services.matcher.model.entities cimport Case, Pledge


@cython.locals(p=Pledge, c=Case)
cpdef check(pledges, cases)
