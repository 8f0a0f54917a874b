"""The ledger as the matcher writes and reads it: answers, drafts, the journal, replay. Nothing is decided here."""
