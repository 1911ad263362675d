"""What account managers send: drafts with each customer's own numbers, approval, and the outbox."""
