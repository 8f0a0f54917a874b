"""The console: what people ask of the ledger. It reads committed entries only, and decides nothing."""
