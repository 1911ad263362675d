"""Speed: ours beside a baseline measured in the same run."""

from apps.core.figures import BENCHES
from apps.core.figures.command import FiguresCommand


class Command(FiguresCommand):
    """`manage.py bench NAME`: exits non-zero when a goal is missed."""

    help = "Measure speed and memory beside a baseline. Without NAME, list what there is."
    registry = BENCHES
    verb = "bench"
    columns = (
        ("row", 40),
        ("ours", -14),
        ("baseline", -14),
        ("ratio", -7),
        ("goal", -9),
        ("note", 0),
    )
    verdicts = ("met", "missed")
    missed = "{n} of {of} rows miss their goal."
