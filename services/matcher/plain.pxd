import cython

from services.matcher.entities cimport Award, Case, Pledge, new_award


@cython.locals(award=Award, case=Case, changed=dict, pledges=dict, awards=list, share=tuple)
cpdef list accept(object fund, Pledge pledge, str name, str donor, object amount, str currency)
