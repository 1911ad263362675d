"""The stand-ins for colours: the drawing is made with them, and `theming` turns them into classes."""

#: Stand-in -> class. Every colour that a drawing may use.
INK = {
    "line": "#010001", "band": "#010002", "window": "#010003", "grid": "#010004", "text": "#010005",
    "muted": "#010006", "bar": "#010007", "unknown": "#010008", "tick": "#010009",
    "first_try": "#010011", "slow": "#010012", "retried": "#010013", "came_back": "#010014",
    "gave_up": "#010015", "open": "#010016", "cannot_tell": "#010017",
    "around": "#010018", "around_failed": "#010019",
    "hit": "#01001a", "partly_hit": "#01001b", "slowed": "#01001c",
}  # fmt: skip
