"""What an incident did to customers: runs, immutable snapshots, and the gaps in what can be told."""
