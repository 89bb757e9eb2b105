"""A stand-in for tiktoken, which no model uses."""


class Encoding:
    """Its name is all that an annotation wants of it."""
