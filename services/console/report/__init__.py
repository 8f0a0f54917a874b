"""Reports for those who hold a key of their own: what no service can read, joined to what the ledger says, and told of groups only."""
