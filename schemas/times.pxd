import cython

cdef int _WITH_SECONDS, _WITH_MICROS, _T, _Z, _DASH, _COLON, _DOT
cdef long long _SECOND, _MINUTE, _DAYS_TO_1970, _GIVEN_FROM, _GIVEN_UNTIL
cdef tuple _told

@cython.locals(minute="long long", rest="long long", second=int, fraction=int, told=tuple, text=str)
cpdef str text_of(long long micros)

@cython.locals(
    given=bytes, length=Py_ssize_t, century=int, year="long long", month=int, day="long long", hour=int, minute=int, second=int, fraction=int,
    high=int, middle=int, low=int,
)
cpdef long long parse(str text) except? -1

@cython.locals(tens=int, ones=int)
cpdef int _number(bytes given, Py_ssize_t at) except -1

@cython.locals(micros="long long")
cpdef long long parse_given(str text) except? -1
