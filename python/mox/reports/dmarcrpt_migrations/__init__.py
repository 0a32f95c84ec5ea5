"""Schema of dmarcrpt.db."""
