"""Truth: our measures on generated traffic with planted answers."""

from apps.core.figures import EVALUATIONS
from apps.core.figures.command import FiguresCommand


class Command(FiguresCommand):
    """`manage.py evaluate NAME`: exits non-zero when a goal is missed."""

    help = "Score measures against planted truth. Without NAME, list what there is."
    registry = EVALUATIONS
    verb = "evaluate"
    columns = (("measure", 56), ("value", -12), ("goal", -14), ("note", 0))
    verdicts = ("met", "missed")
    missed = "{n} of {of} measures miss their goal."
