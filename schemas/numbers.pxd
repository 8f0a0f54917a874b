import cython

cdef int _FEW, _NEVER, _NONE

@cython.locals(character=Py_UCS4, few=int, digits=int, last=int, lacks=int, begins=int, kind=int)
cpdef bint _may_hold(str text) except -1
