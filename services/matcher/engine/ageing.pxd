import cython

from services.matcher.engine.fund cimport Fund
from services.matcher.model.entities cimport Case, Pledge, Policy

@cython.locals(near=bint)
cpdef int class_at(Policy policy, Case case, long long at, priority=*, needed_by=*) except -1

@cython.locals(own=int)
cpdef int class_by_age(Policy policy, Case case, long long at, priority=*) except -1

cpdef schedule_case(Fund fund, Case case, long long after)

@cython.locals(raises="long long", instants=list)
cpdef next_escalation(Policy policy, Case case, long long after)

cpdef _next_renewal(Case case)
cpdef schedule_instalment(Fund fund, Pledge pledge)
