import cython

from services.matcher.engine.ageing cimport schedule_case, schedule_instalment
from services.matcher.engine.fund cimport Fund
from services.matcher.model.entities cimport Award, Case, Money, Pledge
from services.matcher.model.totals cimport Totals
from services.matcher.rules.protocol cimport RuleBook


cpdef apply(Fund fund, dict fact, long long at)

cpdef _case_vouched(Fund fund, dict fact, long long _at)
cpdef vouch(Fund fund, Case case, str voucher)
cpdef _case_opened(Fund fund, dict fact, long long at)

@cython.locals(book=RuleBook)
cpdef open_case(Fund fund, Case case, int rank, long long at)

cpdef _case_delivered(Fund fund, dict fact, long long _at)

@cython.locals(award=Award, part=Money, pledge=Pledge, done=list, totals=Totals)
cpdef deliver(Fund fund, Case case, str delivery, Money left)

cpdef _forget(Award award)

@cython.locals(case=Case, book=RuleBook)
cpdef _case_closed(Fund fund, dict fact, long long _at)

cpdef take_in(Fund fund, Pledge pledge)

@cython.locals(pledge=Pledge, amount=Money)
cpdef _pledge_raised(Fund fund, dict fact, long long _at)

@cython.locals(pledge=Pledge)
cpdef _close(Fund fund, dict fact, how)

@cython.locals(pledge=Pledge, case=Case, amount=Money)
cpdef _awarded(Fund fund, dict fact, long long _at)

@cython.locals(order="long long", totals=Totals, award=Award)
cpdef commit(Fund fund, Pledge pledge, Case case, int number, Money amount)

cpdef _award_settled(Fund fund, dict fact, long long _at)

@cython.locals(pledge=Pledge, case=Case, totals=Totals)
cpdef settle_award(Fund fund, Award award, Money amount)

cpdef _award_voided(Fund fund, dict fact, long long _at)

@cython.locals(pledge=Pledge, case=Case, totals=Totals)
cpdef void_award(Fund fund, Award award, Money amount, Money settled)

cpdef _released(Fund fund, dict fact, long long _at)
cpdef release(Fund fund, Pledge pledge, Money amount)

cpdef _payment_received(Fund fund, dict fact, long long _at)
cpdef receive_payment(Fund fund, Pledge pledge, str payment, long long face, Money amount)

@cython.locals(pledge=Pledge)
cpdef _payment_failed(Fund fund, dict fact, long long _at)
