"""mox: a complete modern mail service."""
