"""Checkpoints: an engine's memory as records, and back. They make recovery quick and decide nothing: the ledger alone is true."""
