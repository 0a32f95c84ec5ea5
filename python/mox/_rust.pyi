"""Typed stub of the extension: one section per binding file of rust/pymox/src."""

from collections.abc import Sequence

# --- mime.rs ---

# --- data.rs ---

# --- imap.rs ---

# --- tls.rs ---

# --- gzip.rs ---

# --- dkim.rs ---
