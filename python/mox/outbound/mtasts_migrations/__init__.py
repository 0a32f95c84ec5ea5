"""Schema of mtasts.db."""
