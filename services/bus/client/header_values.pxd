cpdef list header_values(object record, tuple names)
