"""What an API client does (deliver events), and what people do (say by rules whose requests are whose)."""

from apps.telemetry.actions.delivery import (
    MOST_IN_ARRAY,
    Accepted,
    BadDelivery,
    Form,
    NothingAcceptable,
    TooLarge,
    accept_events,
)
from apps.telemetry.actions.erasing import WHO, UnableToErase, erase_events
from apps.telemetry.actions.otlp import Exported, Signal, accept_export
from apps.telemetry.actions.rules import (
    EDIT,
    READ,
    RuleDraft,
    UnableToKeepRule,
    change_rule,
    create_rule,
    delete_rule,
    move_rule,
    switch_rule,
)
from apps.telemetry.actions.senders import CHANGE, UnableToRetire, retire_sender

__all__ = [
    "CHANGE",
    "EDIT",
    "MOST_IN_ARRAY",
    "READ",
    "WHO",
    "Accepted",
    "BadDelivery",
    "Exported",
    "Form",
    "NothingAcceptable",
    "RuleDraft",
    "Signal",
    "TooLarge",
    "UnableToErase",
    "UnableToKeepRule",
    "UnableToRetire",
    "accept_events",
    "accept_export",
    "change_rule",
    "create_rule",
    "delete_rule",
    "erase_events",
    "move_rule",
    "retire_sender",
    "switch_rule",
]
