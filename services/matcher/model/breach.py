"""A breach of conservation: the one error that whoever moves money may raise."""


class ConservationBreach(Exception):
    """Money would be lost, doubled or over-allocated: a defect in the engine, never to be written."""

    code = "conservation_breach"
