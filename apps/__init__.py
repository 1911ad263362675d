"""The floors of the house, bottom to top: who, what, promised, seen, understood, handled, advised, told."""
