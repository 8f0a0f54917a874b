"""The console: what people ask of the ledger. It reads committed entries and nothing else, and decides nothing."""
