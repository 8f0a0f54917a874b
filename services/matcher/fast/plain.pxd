import cython

from services.matcher.model.changes cimport Changes
from services.matcher.model.entities cimport Case, Pledge
from services.matcher.model.award_rows cimport Fresh


@cython.locals(case=Case, changed=Changes, pledges=dict, fresh=Fresh, share=tuple, number=int)
cpdef list accept(object fund, Pledge pledge, str name, str donor, object amount, str currency)
