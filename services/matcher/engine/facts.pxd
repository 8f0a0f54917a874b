import cython

from services.matcher.engine.fund cimport Fund
from services.matcher.model.entities cimport Award, Case, Pledge
from services.matcher.model.totals cimport Totals


cpdef apply(Fund fund, dict fact, at)

cpdef _case_vouched(Fund fund, dict fact, _at)
cpdef vouch(Fund fund, Case case, str voucher)
cpdef _case_opened(Fund fund, dict fact, at)

@cython.locals(books=tuple)
cpdef open_case(Fund fund, Case case, rank, at)

cpdef _case_delivered(Fund fund, dict fact, _at)

@cython.locals(award=Award, pledge=Pledge, done=list)
cpdef deliver(Fund fund, Case case, str delivery, left)

cpdef _forget(Award award)

@cython.locals(case=Case)
cpdef _case_closed(Fund fund, dict fact, _at)

cpdef take_in(Fund fund, Pledge pledge)

@cython.locals(pledge=Pledge)
cpdef _pledge_raised(Fund fund, dict fact, _at)

@cython.locals(pledge=Pledge)
cpdef _close(Fund fund, dict fact, how)

@cython.locals(pledge=Pledge, case=Case)
cpdef _awarded(Fund fund, dict fact, _at)

@cython.locals(order="long long", totals=Totals)
cpdef commit(Fund fund, Pledge pledge, Case case, int number, amount)

cpdef _award_settled(Fund fund, dict fact, _at)

@cython.locals(pledge=Pledge, case=Case, totals=Totals)
cpdef settle_award(Fund fund, Award award, amount)

cpdef _award_voided(Fund fund, dict fact, _at)

@cython.locals(pledge=Pledge, case=Case)
cpdef void_award(Fund fund, Award award, amount, settled)

cpdef _released(Fund fund, dict fact, _at)
cpdef release(Fund fund, Pledge pledge, amount)

cpdef _payment_received(Fund fund, dict fact, _at)
cpdef receive_payment(Fund fund, Pledge pledge, str payment, face, amount)

@cython.locals(pledge=Pledge)
cpdef _payment_failed(Fund fund, dict fact, _at)
