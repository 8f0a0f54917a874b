"""Explanations: why there, why not me, from the read model alone. Nothing is decided; other people appear as sums only."""
