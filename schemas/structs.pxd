import cython


@cython.locals(word=str, character=Py_UCS4, digits=int, most=int)
cpdef bint are_ids(list words) except -1
