"""Schema of tlsrptresult.db."""
