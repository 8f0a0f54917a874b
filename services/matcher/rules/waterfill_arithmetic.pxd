cpdef boundary_of(object awarded, object claim, object share)
cpdef key_of(object boundary, object claim, bint by_claim)
cpdef level_of(object key, object claim, object share, bint by_claim)
