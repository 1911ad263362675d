"""Who they are: customers, their contacts, and the rules by which traffic is known to be theirs."""
