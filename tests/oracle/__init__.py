"""A second, naive matcher, written from the contract alone, to hold the real one against."""

import services  # noqa: F401  # first: whatever is imported next may be compiled
