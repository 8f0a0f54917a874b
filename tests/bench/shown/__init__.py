"""How each measurement of the bench is told on a screen. Nothing is measured here."""
