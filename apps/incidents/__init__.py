"""What went wrong, whosever fault: incidents, their updates, severity and timeline."""
