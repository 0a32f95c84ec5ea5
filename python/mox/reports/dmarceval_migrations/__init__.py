"""Schema of dmarceval.db."""
