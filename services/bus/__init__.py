from services import native

__path__[:0] = native.paths(__name__)
