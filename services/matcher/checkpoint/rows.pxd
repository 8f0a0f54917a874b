from services.matcher.model.entities cimport Case, Pledge

cpdef list case_row(Case case)
cpdef bint case_ended(Case case) except -1
cpdef list pledge_row(Pledge pledge)
cpdef bint pledge_ended(Pledge pledge) except -1
