"""Dead letters: what is kept of a record that could not be read (`letter`), written once (`letterbox`), read (`box`), put back.

Nothing that could tell of a person is ever kept here.
"""
