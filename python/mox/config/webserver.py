"""Web server handlers of domains.conf."""

from typing import Annotated

from msgspec import Struct

DEFAULT_REDIRECT_STATUS = 308
INTERNAL_SERVICES = ("admin", "account", "webmail", "webapi")


class WebStaticSection(Struct, frozen=True, kw_only=True):
    """Files."""

    StripPrefix: Annotated[str, "Removed from the front of the path before a file is looked up; starts with /."] = ""
    Root: Annotated[str, "Directory with the files, relative to the working directory of the program."]
    ListFiles: Annotated[bool, "List the files of directories that have no index.html."] = False
    ContinueNotFound: Annotated[bool, "Try the next handlers if there is no such file, instead of answering 404."] = (
        False
    )
    ResponseHeaders: Annotated[dict[str, str], "Headers to add to responses, such as Cache-Control."] = {}


class WebRedirectSection(Struct, frozen=True, kw_only=True):
    """Another address."""

    BaseURL: Annotated[
        str, "Scheme, host, query and fragment of the new address; its path must be empty or /. Path is kept."
    ] = ""
    OrigPathRegexp: Annotated[str, "Regular expression for the path that is replaced; goes with ReplacePath."] = ""
    ReplacePath: Annotated[str, "New path; $1 or ${name} stand for groups of the expression."] = ""
    StatusCode: Annotated[int, "Between 300 and 399. Default 308, a permanent redirect that keeps the method."] = 0

    @property
    def status(self) -> int:
        """What is in force."""
        return self.StatusCode or DEFAULT_REDIRECT_STATUS


class WebForwardSection(Struct, frozen=True, kw_only=True):
    """A reverse proxy, also for WebSocket."""

    StripPath: Annotated[bool, "Remove the part of the path that PathRegexp matched."] = False
    URL: Annotated[str, "Where requests go. Its path is put before the path of the request."]
    ResponseHeaders: Annotated[dict[str, str], "Headers to add to responses."] = {}


class WebInternalSection(Struct, frozen=True, kw_only=True):
    """One of the program's own services."""

    BasePath: Annotated[str, "Path under which the service is found; starts and ends with /."]
    Service: Annotated[str, "admin, account, webmail or webapi."]


class WebHandler(Struct, frozen=True, kw_only=True):
    """What to do with requests for a host and path. Exactly one of the kinds."""

    LogName: Annotated[str, "Name in logs and metrics. Default: its number in the list, from 0."] = ""
    Domain: Annotated[str, "Host name in requests."]
    PathRegexp: Annotated[str, "Regular expression for the path, starting with ^. For example ^/ or ^/files/."]
    DontRedirectPlainHTTP: Annotated[bool, "Also serve over plain HTTP, instead of redirecting to HTTPS."] = False
    Compress: Annotated[bool, "Compress responses whose type is worth it."] = False
    WebStatic: Annotated[WebStaticSection | None, "Serve files."] = None
    WebRedirect: Annotated[WebRedirectSection | None, "Redirect to another address."] = None
    WebForward: Annotated[WebForwardSection | None, "Forward to another server."] = None
    WebInternal: Annotated[WebInternalSection | None, "Pass to a service of this program."] = None
