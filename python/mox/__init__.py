"""mox: a complete modern mail service."""

__version__ = "0.1.0"
