from services.matcher.model.entities cimport Pledge
from services.matcher.engine.fund cimport Fund


cdef list accept(Fund fund, Pledge pledge, str name, str donor, long long amount, str currency)
