import cython


@cython.locals(said=dict, value=bytes, one=bytes)
cpdef _read(record, int partitions)
