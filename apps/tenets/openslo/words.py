"""What OpenSLO's words mean here, in both directions."""

from apps.tenets.models import Budgeting

PREFIX = "crp.example/"
V1 = "openslo/v1"
#: Other versions of the specification, with the reason why they are not read.
OTHERS = {
    "openslo/v1alpha": "it has other words than v1 (timeWindows, ratioMetrics)",
    "openslo.com/v2alpha": "its words are not settled",
}
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
