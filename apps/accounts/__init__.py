"""People who sign in, what their role lets them do, the keys of machines, and the audit log."""
