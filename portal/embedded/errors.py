"""The one error of this package that people are meant to read."""


class EmbeddedError(Exception):
    """What went wrong, where, and what to do about it; shown without a traceback."""
