"""Checks of the web server's part of domains.conf; what follows from it goes into the tables."""

import re
from collections.abc import Mapping

from mox._rust import Regexp
from mox.config.model import Dynamic, Static
from mox.config.problems import Problems
from mox.config.tables import CompiledWebHandler, Tables
from mox.config.values import check_domain, check_regexp
from mox.config.web_urls import check_url, parse_http_url
from mox.config.webserver import INTERNAL_SERVICES, WebHandler, WebRedirectSection

# RFC 9110 §5.1
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def check_webserver(static: Static, dynamic: Dynamic, tables: Tables, problems: Problems) -> None:
    """Redirects, handlers, and the listener that serves them."""
    is_served = any(o.WebserverHTTP.Enabled or o.WebserverHTTPS.Enabled for o in static.Listeners.values())
    if (dynamic.WebDomainRedirects or dynamic.WebHandlers) and not is_served:
        problems.add("WebHandlers", "no listener in mox.conf has WebserverHTTP or WebserverHTTPS")
    for source, target in dynamic.WebDomainRedirects.items():
        _check_redirect(source, target, tables, problems)
    tables.web_handlers = tuple(
        compiled
        for number, handler in enumerate(dynamic.WebHandlers)
        if (compiled := _compile_handler(number, handler, problems)) is not None
    )


def _check_redirect(source: str, target: str, tables: Tables, problems: Problems) -> None:
    where = f"WebDomainRedirects.{source}"
    old, new = check_domain(where, source, problems), check_domain(where, target, problems)
    if old is None or new is None:
        return
    if old == new:
        problems.add(where, "redirects to itself")
    if old.ascii in tables.web_redirects:
        problems.add(where, "there is a redirect for this domain already")
    tables.web_redirects[old.ascii] = new


def _compile_handler(number: int, handler: WebHandler, problems: Problems) -> CompiledWebHandler | None:
    where = f"WebHandlers.{handler.LogName or number}"
    domain = check_domain(f"{where}.Domain", handler.Domain, problems)
    if not handler.PathRegexp.startswith("^"):
        problems.add(f"{where}.PathRegexp", f"{handler.PathRegexp!r} must start with ^")
    path = check_regexp(f"{where}.PathRegexp", handler.PathRegexp, problems)
    original = _check_kind(where, handler, problems)
    if domain is None or path is None:
        return None
    return CompiledWebHandler(handler, handler.LogName or str(number), domain, path, original)


def _check_kind(where: str, handler: WebHandler, problems: Problems) -> Regexp | None:
    kinds = [handler.WebStatic, handler.WebRedirect, handler.WebForward, handler.WebInternal]
    if sum(kind is not None for kind in kinds) != 1:
        problems.add(where, "needs exactly one of WebStatic, WebRedirect, WebForward, WebInternal")
    if handler.WebStatic is not None:
        prefix = handler.WebStatic.StripPrefix
        if prefix and not prefix.startswith("/"):
            problems.add(f"{where}.WebStatic.StripPrefix", f"{prefix!r} must start with /")
        _check_headers(f"{where}.WebStatic", handler.WebStatic.ResponseHeaders, problems)
    if handler.WebForward is not None:
        check_url(f"{where}.WebForward.URL", handler.WebForward.URL, problems)
        _check_headers(f"{where}.WebForward", handler.WebForward.ResponseHeaders, problems)
    if handler.WebInternal is not None:
        base, service = handler.WebInternal.BasePath, handler.WebInternal.Service
        if not (base.startswith("/") and base.endswith("/")):
            problems.add(f"{where}.WebInternal.BasePath", f"{base!r} must start and end with /")
        if service not in INTERNAL_SERVICES:
            known = ", ".join(INTERNAL_SERVICES)
            problems.add(f"{where}.WebInternal.Service", f"unknown service {service!r}; known are {known}")
    if handler.WebRedirect is None:
        return None
    return _check_web_redirect(f"{where}.WebRedirect", handler.WebRedirect, problems)


def _check_web_redirect(where: str, redirect: WebRedirectSection, problems: Problems) -> Regexp | None:
    if redirect.BaseURL:
        url = parse_http_url(f"{where}.BaseURL", redirect.BaseURL, problems)
        if url is not None and url.path not in ("", "/"):
            problems.add(f"{where}.BaseURL", "must have no path, or /")
    if bool(redirect.OrigPathRegexp) != bool(redirect.ReplacePath):
        problems.add(where, "OrigPathRegexp and ReplacePath go together")
    if not redirect.BaseURL and not redirect.OrigPathRegexp:
        problems.add(where, "needs BaseURL, or OrigPathRegexp and ReplacePath")
    if not 300 <= redirect.status <= 399:
        problems.add(f"{where}.StatusCode", "must be between 300 and 399")
    return check_regexp(f"{where}.OrigPathRegexp", redirect.OrigPathRegexp, problems)


def _check_headers(where: str, headers: Mapping[str, str], problems: Problems) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            problems.add(f"{where}.ResponseHeaders", f"{name!r} is not the name of a header field")
        if any(ord(char) < 0x20 and char != "\t" for char in value):
            problems.add(f"{where}.ResponseHeaders", f"the value of {name} holds control characters")
