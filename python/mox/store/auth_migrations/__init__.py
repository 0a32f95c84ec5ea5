"""Schema of an account, in numbered files."""
