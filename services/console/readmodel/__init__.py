"""The read model: the ledger's facts folded into what people ask about, and surveys of a cluster. It words nothing."""
