"""The model: what a fund is made of. Sums and states, and no rule of who gets what."""
