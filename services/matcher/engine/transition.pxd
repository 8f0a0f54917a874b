import cython

from services.matcher.engine.facts cimport apply, commit, release, settle_award, void_award
from services.matcher.engine.fund cimport Fund
from services.matcher.model.entities cimport Award, Case, Money, Pledge, award_id
from services.matcher.rules.protocol cimport RuleBook


@cython.final
cdef class Transition:
    cdef public Fund fund
    cdef public long long at
    cdef public list facts
    cdef public bint named
    cdef list _opened
    cdef dict _freed

    cpdef tell(self, dict fact)
    cpdef note(self, fact)
    cpdef claim_opened(self, Case case)
    cpdef money_freed(self, Pledge pledge, bint new=*)

    @cython.locals(case=Case, pledge=Pledge)
    cpdef match(self)

    @cython.locals(award=Award, unsettled=Money)
    cpdef void_pledge(self, Pledge pledge)

    @cython.locals(award=Award, part=Money)
    cpdef void_case(self, Case case, Money excess)

    @cython.locals(unpaid=Money)
    cpdef release(self, Pledge pledge)

    @cython.locals(award=Award, part=Money)
    cpdef settle(self, Pledge pledge, Money amount)

    cpdef funded(self, Case case)
    cpdef _settle(self, Award award, Money amount)
    cpdef _void(self, Award award, Money amount, Money settled)

    @cython.locals(head=Pledge)
    cpdef _push_head(self, list heap, tuple queue)

    @cython.locals(case=Case, book=RuleBook)
    cpdef bint _queue_has_claims(self, tuple queue) except -1

    cpdef _place(self, Pledge pledge, bint new)

    @cython.locals(kind=str, name=str)
    cpdef _place_by_terms(self, Pledge pledge)

    @cython.locals(fund=Fund, share=tuple)
    cpdef _place_designated(self, Pledge pledge, str kind, str name)

    cpdef _share_out(self, Pledge pledge, RuleBook book)

    @cython.locals(fund=Fund, paid=Money, part=Money, case=Case, number=int, share=tuple, amount=Money, before=Money)
    cpdef _award(self, Pledge pledge, list shares)
