"""Made-up data for the page that shows every component."""

from datetime import UTC, datetime, timedelta
from math import sin
from typing import Any

from django import forms

from apps.core.charts import (
    Away,
    Band,
    Chart,
    Dot,
    Worst,
    away,
    bars,
    line,
    scatter,
    stacked,
    steps,
    whiskers,
    worst_of,
)


class StyleForm(forms.Form):
    """One field of each sort."""

    contact = forms.EmailField(label="Address", help_text="We write there while it is happening.")
    reason = forms.CharField(label="What changed", widget=forms.Textarea, required=False)
    minutes = forms.IntegerField(label="Next update in, minutes", min_value=5, initial=30)
    kind = forms.ChoiceField(
        label="Kind of customer",
        choices=[("consumers", "Consumers"), ("business", "Business"), ("internal", "Colleagues")],
    )
    visibility = forms.ChoiceField(
        label="Who sees it",
        widget=forms.RadioSelect,
        choices=[
            ("public", "Everyone"),
            ("affected", "Customers hit by it"),
            ("internal", "Staff only"),
        ],
    )
    purposes = forms.MultipleChoiceField(
        label="We write to them about",
        help_text="None means that we never write.",
        widget=forms.CheckboxSelectMultiple,
        choices=[("operations", "Operations"), ("executive", "Executive"), ("billing", "Billing")],
    )
    services = forms.MultipleChoiceField(
        label="Services", choices=[("shop", "Shop"), ("search", "Search")], required=False
    )
    since = forms.DateField(
        label="Customer since", widget=forms.DateInput(attrs={"type": "date"}), required=False
    )
    file = forms.FileField(label="Customers, as CSV", required=False)
    slug = forms.CharField(
        label="Short name",
        initial="acme",
        disabled=True,
        help_text="It stands in addresses and stays.",
    )
    reviewed = forms.BooleanField(
        label="I read the text as Acme would", help_text="It goes to 22 businesses.", required=False
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what stands in no single field."""
        if any(name in self.errors for name in ("minutes", "kind")):
            self.add_error(
                None, "An update every three minutes before it began cannot be promised."
            )
        return self.cleaned_data


def specimens(now: datetime) -> dict[str, Any]:
    """Return what the style page shows, as it would look at `now`."""
    return {
        "now": now,
        "begun": now - timedelta(minutes=27),
        "due": now + timedelta(minutes=11),
        "overdue": now - timedelta(minutes=4),
        "states": ["fine", "slowed", "failing", "unknown", "maintenance", "neutral"],
        "incident_states": [
            "investigating",
            "identified",
            "monitoring",
            "resolved",
            "reviewed",
            "reopened",
            "dismissed",
        ],
        "outreach_states": [
            "draft",
            "in_review",
            "approved",
            "sending",
            "sent",
            "stale",
            "paused",
            "expired",
        ],
        "grades": ["not_hit", "slowed", "partly_hit", "hit", "cannot_tell"],
        "verdicts": ["kept", "at_risk", "broken", "unknown"],
        "story": [
            "Between 10:04 and 10:30, 4,800 people tried to buy something; 1,390 of them gave up.",
            "3,020 got through, most after waiting about 48 s longer than usual.",
            "About 240 (180 to 310) who usually come then never tried.",
            "Acme's own checkout was down for 22 minutes.",
            "We cannot say how often mobile apps retried: 31 % of their calls carry no session.",
        ],
        "timeline": [
            {"at": now - timedelta(minutes=1), "text": "Impact computed again", "kind": "snapshot"},
            {
                "at": now - timedelta(minutes=9),
                "text": "Update published to everyone",
                "kind": "update",
                "user": "Ada Byron",
            },
            {
                "at": now - timedelta(minutes=22),
                "text": "Identified: a deployment of the payment adapter",
                "kind": "state",
                "state": "identified",
                "user": "Ada Byron",
            },
            {
                "at": now - timedelta(minutes=26),
                "text": "Declared",
                "kind": "declared",
                "state": "investigating",
                "user": "Ada Byron",
            },
            {"at": now - timedelta(minutes=27), "text": "First failure seen", "state": "failing"},
        ],
        "attempts": {
            "total": 4800,
            "first_try": 1480,
            "slow": 160,
            "retried": 1380,
            "came_back": 150,
            "gave_up": 1390,
            "open": 60,
            "cannot_tell": 180,
        },
        "quiet": {"first_try": 9120, "retried": 11},
        "blind": {"cannot_tell": 312},
        "customers": [
            {
                "name": "Acme",
                "grade": "hit",
                "attempts": {"first_try": 100, "retried": 280, "gave_up": 32},
                "tried": 412,
                "retried": 280,
                "gave_up": 32,
                "spark": [4, 5, 4, 6, 5, 30, 44, 38, 12, 6],
            },
            {
                "name": "Globex International Trading and Forwarding",
                "grade": "partly_hit",
                "attempts": {"first_try": 1804, "slow": 40, "retried": 212, "gave_up": 9},
                "tried": 2065,
                "retried": 212,
                "gave_up": 9,
                "spark": [3, 3, 2, 4, 3, 9, 14, 8, 3, 3],
            },
            {
                "name": "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
                "grade": "cannot_tell",
                "attempts": {"cannot_tell": 640},
                "tried": 640,
                "retried": None,
                "gave_up": None,
                "spark": [None, None, 3, 4, None, None, 6, 5, 5, None],
            },
            {
                "name": "Umbrella",
                "grade": "not_hit",
                "attempts": {"first_try": 77},
                "tried": 77,
                "retried": 0,
                "gave_up": 0,
                "spark": [2, 2, 2, 2, 2, 2, 2, 2, 2, 2],
            },
        ],
        "lost": {"estimate": 240, "low": 180, "high": 310},
        "diff": [
            {"kind": "same", "text": "Of all attempts to pay, in any 28 days,"},
            {"kind": "removed", "text": "99.5 % get through within three tries."},
            {
                "kind": "added",
                "text": "99.9 % get through within two tries, and none is charged twice.",
            },
        ],
        "tabs": [
            {"label": "Last 90 days", "href": "?tab=days", "current": True},
            {"label": "Incidents", "href": "?tab=incidents", "count": 4},
            {"label": "Outreach", "href": "?tab=outreach", "count": 0},
            {"label": "Contacts", "href": "?tab=contacts", "count": 12},
        ],
        "facts": [
            ("Account manager", "Mara Quint"),
            ("Their customers", "about 40,000 shoppers, through an app"),
            ("Tolerance for delay", None),
        ],
        "stored_text": "## Try again, *once*\n\nWait **1 to 3 s**, then send the same "
        "`Idempotency-Key`. See [the guide](https://docs.example.com/retries).\n\n"
        "- You were not charged.\n- <script>alert(1)</script> stays text.",
    }


def charts() -> list[Chart]:
    """Return a chart of every kind. Their day stands still, so that they are drawn once."""
    start = datetime(2026, 11, 22, 9, 31, tzinfo=UTC)
    minutes = [start + timedelta(minutes=n) for n in range(61)]
    window = (start + timedelta(minutes=33), start + timedelta(minutes=59))
    usual = [100 + 9 * sin(n / 7) for n in range(61)]
    tried = [
        None if 44 <= n <= 47 else round(usual[n] * (1.35 if 34 <= n <= 55 else 1) + 5 * sin(n * 2))
        for n in range(61)
    ]
    return [
        line(
            "Attempts to buy, by minute",
            list(zip(minutes, tried, strict=True)),
            label="attempts",
            band=[
                Band(at, round(value - 14), round(value + 14))
                for at, value in zip(minutes, usual, strict=True)
            ],
            window=window,
            ticks=[start + timedelta(minutes=35), start + timedelta(minutes=51)],
        ),
        stacked(
            "What became of attempts to buy, by five minutes",
            [
                (
                    start + timedelta(minutes=5 * n),
                    {
                        "first_try": 140 + 20 * n,
                        "retried": 130,
                        "came_back": 0 if n < 8 else 40,
                        "gave_up": 190 - 8 * n,
                        "cannot_tell": 12,
                    },
                )
                for n in range(6, 12)
            ],
            end=start + timedelta(minutes=65),
            window=(start + timedelta(minutes=30), start + timedelta(minutes=60)),
            marks=[
                (start + timedelta(minutes=33), "declared"),
                (start + timedelta(minutes=38), "update 1"),
            ],
            usual=[(start + timedelta(minutes=15 * n), 520 - 3 * n) for n in range(5)],
            around=[(start + timedelta(minutes=5 * n), 500 + n, n == 5) for n in (*range(6), 12)],
        ),
        bars(
            "People who gave up, by operation",
            [
                ("Pay by card", 1240),
                ("Add to the cart", 138),
                ("Look at a product", 12),
                ("Sign in", 0),
                ("Export invoices", None),
            ],
            what="people",
        ),
        whiskers(
            "How many never even tried",
            [
                ("Consumers", 240, 180, 310),
                ("Businesses", 12, 4, 22),
                ("Colleagues", None, None, None),
            ],
            what="people",
        ),
        steps(
            "Purchase, step by step",
            [
                ("Look at a product", {"first_try": 4100, "gave_up": 40}, (4300, 4100, 4480)),
                ("Add to the cart", {"first_try": 1400, "retried": 90, "gave_up": 61}, None),
                ("Pay", {"first_try": 310, "retried": 204, "gave_up": 640}, (1390, 1290, 1420)),
            ],
        ),
        scatter(
            "Customers by how much they tried, and how much of it did not get through",
            [
                Dot("Shoppers", "hit", 4800, 1390),
                Dot("Acme", "hit", 412, 220),
                Dot("Globex", "partly_hit", 96, 6),
                Dot("Initech", "slowed", 31, 0),
            ],
        ),
        away(
            "Who had not been seen again",
            [Away(n, 0.8**n, 0.8**n * 0.94, min(1, 0.8**n * 1.06), 0.7**n) for n in range(7)],
            label="people whose attempt failed",
            usual="people like them in earlier weeks",
        ),
        worst_of(
            "User-uptime at its worst, by how long one looks",
            [
                Worst(minutes, share, start + timedelta(minutes=31))
                for minutes, share in (
                    (1, 0.12),
                    (5, 0.14),
                    (15, 0.2),
                    (30, 0.35),
                    (60, 0.66),
                    (180, 0.88),
                    (360, 0.94),
                    (720, 0.97),
                    (1440, 0.985),
                )
            ],
            target=(0.99, "tenet: 99 %"),
        ),
    ]
