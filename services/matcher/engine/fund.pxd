from services.matcher.model.changes cimport Changes
from services.matcher.model.award_rows cimport Fresh


cdef class Fund:
    cdef public str name
    cdef public object now, policy, timers, lanes, pool
    cdef public dict cases, pledges, rates, unrated, deliveries, payments, failures, refunds, needs, touched_cases, touched_pledges
    cdef public long long pledges_made, cases_opened, awards_made
    cdef public Fresh fresh
    cdef public Changes changed
