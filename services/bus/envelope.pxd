import cython

from schemas.structs cimport Reader
from services.bus.client.header_values cimport header_values


cpdef read_command(record, int partitions)

@cython.locals(reader=Reader, values=list, version=bytes, event=bytes, source=bytes, time=bytes, value=bytes, key=bytes,
               name=str, event_id=str, fund=str)
cpdef _read(record, int partitions)
