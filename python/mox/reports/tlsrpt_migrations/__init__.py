"""Schema of tlsrpt.db."""
