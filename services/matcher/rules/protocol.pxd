from services.matcher.model.entities cimport Case, Money


cdef class RuleBook:
    cpdef bint any_residual(self) except -1
    cpdef add(self, Case case)
    cpdef remove(self, Case case)
    cpdef update(self, Case case, Money claim, Money awarded)
    cpdef list share_out(self, Money amount)
    cpdef tuple share_of_one(self, Case case, Money amount)
