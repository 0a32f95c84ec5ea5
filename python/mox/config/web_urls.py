"""Checks of URLs in the configuration."""

from urllib.parse import SplitResult, urlsplit

from mox.config.problems import Problems


def parse_http_url(where: str, text: str, problems: Problems) -> SplitResult | None:
    """A URL with scheme http or https and a host."""
    try:
        url = urlsplit(text)
        has_host = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError as err:
        problems.add(where, f"{text!r} is not a URL: {err}")
        return None
    if url.scheme not in ("http", "https") or not has_host:
        problems.add(where, f"{text!r} is not a URL with scheme http or https and a host")
        return None
    return url


def check_url(where: str, text: str, problems: Problems) -> None:
    """For webhooks and forwarding."""
    parse_http_url(where, text, problems)
