"""Explanations: why there, why not me, in three languages, from the read model alone. Nothing is decided, and others are sums only."""
