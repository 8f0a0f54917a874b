import cython

cdef int _WITH_SECONDS, _WITH_MICROS
cdef long long _SECOND, _MINUTE

@cython.locals(minute="long long", rest="long long", second=int, fraction=int)
cpdef str text_of(long long micros)

@cython.locals(length=Py_ssize_t, hour=int, minute=int, second=int, fraction=int, high=int, middle=int, low=int)
cpdef parse(str text)

@cython.locals(tens=int, ones=int)
cpdef int _two_digits(str text, Py_ssize_t at) except -1

@cython.locals(micros="long long")
cpdef parse_given(str text)
