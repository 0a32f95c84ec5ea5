"""DNS: names (IDNA), a resolver with cache and DNSSEC status, and a resolver that answers from a table."""
