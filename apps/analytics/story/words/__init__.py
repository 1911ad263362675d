"""A fact in words, in the language of who reads. Every kind of fact has one function here.

A sentence is one message, so that a language may order it as it likes; what bends by number stands
in a message of its own and is put into its place.
"""

from apps.analytics.story.words import business, journeys, openings, people, theirs, unknown  # noqa: F401  (each registers what it tells)
from apps.analytics.story.words.telling import AS_OF, TELLERS, words
from apps.analytics.story.words.unknown import gap_words

__all__ = ["AS_OF", "TELLERS", "gap_words", "words"]
