"""Columns to events: customer, actor, operation, outcome and traffic of each request, a block at a time.

Everything is looked up once for each distinct value, so a block costs a few array operations per column.
"""

from apps.telemetry.resolve.identities import NOBODY, Identities, IdentityRule
from apps.telemetry.resolve.operations import UNNAMED, Registry, Traits, Wanted
from apps.telemetry.resolve.resolver import Resolver
from apps.telemetry.resolve.tally import Tally

__all__ = [
    "NOBODY",
    "UNNAMED",
    "Identities",
    "IdentityRule",
    "Registry",
    "Resolver",
    "Tally",
    "Traits",
    "Wanted",
]
