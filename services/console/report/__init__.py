"""Reports for those who hold a key of their own: what no service can read, joined with the ledger, and shown for groups only."""
