"""What customers read: pages rendered on write to files, which outlive the database."""
