"""Failures on purpose: kills, floods, dead servers."""

from apps.core.figures import DRILLS
from apps.core.figures.command import FiguresCommand


class Command(FiguresCommand):
    """`manage.py drill NAME`: exits non-zero on any violation."""

    help = "Break things on purpose and check what must hold. Without NAME, list what there is."
    registry = DRILLS
    verb = "drill"
    columns = (("step", 56), ("tried", -9), ("violations", -10), ("note", 0))
    verdicts = ("held", "broke")
    missed = "{n} of {of} steps did not hold."
