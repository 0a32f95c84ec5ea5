"""Example configurations that `mox config example` prints. They are made of the model, so they fit it."""

from collections.abc import Callable

import msgspec

from mox.config import sconf_write
from mox.config.model import (
    Dynamic,
    Route,
    SMTPAuth,
    Transport,
    TransportSMTP,
    WebForwardSection,
    WebHandler,
    WebRedirectSection,
    WebStaticSection,
)


class _WebHandlers(msgspec.Struct, frozen=True, kw_only=True):
    WebDomainRedirects: dict[str, str]
    WebHandlers: list[WebHandler]


class _Transports(msgspec.Struct, frozen=True, kw_only=True):
    Transports: dict[str, Transport]


class _Routes(msgspec.Struct, frozen=True, kw_only=True):
    Routes: list[Route]


def web_handlers() -> Dynamic:
    """Redirects, files and forwarding."""
    handlers = [
        # Plain HTTP goes to HTTPS, and every path to the same path of the host with www.
        WebHandler(
            LogName="redirhttps",
            Domain="example.org",
            PathRegexp="^/",
            DontRedirectPlainHTTP=True,
            WebRedirect=WebRedirectSection(BaseURL="https://www.example.org"),
        ),
        WebHandler(
            LogName="static",
            Domain="www.example.org",
            PathRegexp="^/who/",
            WebStatic=WebStaticSection(
                StripPrefix="/who", Root="web/who", ListFiles=True, ResponseHeaders={"X-Mox": "hi"}
            ),
        ),
        WebHandler(
            LogName="samepath",
            Domain="www.example.org",
            PathRegexp="^/redir/a/b/c",
            WebRedirect=WebRedirectSection(BaseURL="https://tls.example.org?q=1#fragment", StatusCode=307),
        ),
        WebHandler(
            LogName="otherpath",
            Domain="www.example.org",
            PathRegexp="^/old/",
            WebRedirect=WebRedirectSection(
                BaseURL="https://new.example.org/", OrigPathRegexp="^/old/(.*)", ReplacePath="/new/$1"
            ),
        ),
        WebHandler(
            LogName="app",
            Domain="www.example.org",
            PathRegexp="^/app/",
            WebForward=WebForwardSection(
                StripPath=True, URL="http://127.0.0.1:8888", ResponseHeaders={"X-Frame-Options": "deny"}
            ),
        ),
    ]
    redirects = {"redirect.example.org": "www.example.org"}
    return Dynamic(Domains={}, Accounts={}, WebDomainRedirects=redirects, WebHandlers=handlers)


def transports() -> dict[str, Transport]:
    """A provider that takes all outgoing mail."""
    relay = TransportSMTP(
        Host="submit.example.net",
        Auth=SMTPAuth(Username="user@example.org", Password="password", Mechanisms=["SCRAM-SHA-256-PLUS"]),
    )
    return {"Example": Transport(Submissions=relay)}


def routes() -> list[Route]:
    """All mail by that provider."""
    return [Route(Transport="Example")]


def _web_handlers_text() -> str:
    dynamic = web_handlers()
    part = _WebHandlers(WebDomainRedirects=dynamic.WebDomainRedirects, WebHandlers=dynamic.WebHandlers)
    return (
        f"# For domains.conf; a listener in mox.conf needs WebserverHTTP or WebserverHTTPS.\n{sconf_write.dump(part)}"
    )


def _transport_text() -> str:
    return (
        f"# For mox.conf.\n{sconf_write.dump(_Transports(Transports=transports()))}\n"
        f"# For domains.conf.\n{sconf_write.dump(_Routes(Routes=routes()))}"
    )


EXAMPLES: dict[str, Callable[[], str]] = {"webhandlers": _web_handlers_text, "transport": _transport_text}


def example(name: str) -> str:
    """The text of an example. Raises KeyError."""
    return EXAMPLES[name]()
