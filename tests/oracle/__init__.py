"""A second, naive matcher, written from the contract alone, to hold the real one against."""
