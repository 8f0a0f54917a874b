"""What must hold for every command log, however strange: the engine against the oracle, and the rule's own promises."""
