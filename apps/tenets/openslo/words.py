"""What OpenSLO's words mean here, in both directions."""

from apps.tenets.models import Budgeting

PREFIX = "crp.example/"
V1, V2ALPHA = "openslo/v1", "openslo.com/v2alpha"
KINDS = (
    "SLO", "SLI", "Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget",
)  # fmt: skip
METHODS = {
    "Occurrences": Budgeting.OCCURRENCES,
    "Timeslices": Budgeting.TIMESLICES,
    "RatioTimeslices": Budgeting.RATIO_TIMESLICES,
}
LONGEST_DESCRIPTION = 1050
LONGEST_NAME = 63
#: Durations of the specification, in minutes; those of a calendar have no one length.
MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10080}
#: OpenSLO has targets below 1 only: what must never happen is written as close to 1 as we can.
ALMOST_ALWAYS = "0.999999"
