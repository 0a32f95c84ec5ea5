"""The content filter of an account: what its user called junk teaches it what junk looks like."""
