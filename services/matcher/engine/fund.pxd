import cython

from services.matcher.model.award_rows cimport Fresh
from services.matcher.model.changes cimport Changes
from services.matcher.model.entities cimport Award, Case, Money, Pledge, Policy
from services.matcher.model.timers cimport Timers
from services.matcher.model.totals cimport Totals
from services.matcher.model.waiting_money cimport Queues
from services.matcher.rules.protocol cimport RuleBook


@cython.final
cdef class Fund:
    cdef public str name
    cdef public long long now
    cdef public RuleBook pool
    cdef public Policy policy
    cdef public dict cases, pledges, rates, unrated, deliveries, payments, failures, refunds, needs
    cdef public list touched_cases, touched_pledges
    cdef public long long pledges_made, cases_opened, awards_made
    cdef public Fresh fresh
    cdef public Timers timers
    cdef public Queues queues
    cdef public Changes changed
    cdef public Totals totals

    @cython.locals(known=Pledge)
    cpdef Award award(self, str award_id)

    cpdef touch_case(self, Case case)
    cpdef touch_pledge(self, Pledge pledge)
    cpdef RuleBook book_of_pool(self)

    @cython.locals(case=Case)
    cpdef RuleBook book_of_need(self, str need)

    @cython.locals(pool=RuleBook, of_need=RuleBook)
    cpdef list books_of(self, Case case)

    cpdef move(self, Case case, Money claim, Money awarded)

    @cython.locals(share=tuple)
    cpdef follow(self, list shares, RuleBook book)

    @cython.locals(pool=RuleBook, of_need=RuleBook)
    cpdef _tell_books(self, Case case, Money claim, Money awarded, RuleBook but)

    @cython.locals(pledge=Pledge, case=Case)
    cpdef settle_in(self)
