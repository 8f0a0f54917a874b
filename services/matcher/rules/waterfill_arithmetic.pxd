from services.matcher.model.entities cimport Money

cpdef Money boundary_of(Money awarded, Money claim, long long share) except *
cpdef Money key_of(Money boundary, Money claim, bint by_claim) except *
cpdef Money level_of(Money key, Money claim, long long share, bint by_claim) except *
