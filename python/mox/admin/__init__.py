"""Operations of the administrator: changing the configuration, DNS records, client settings."""
