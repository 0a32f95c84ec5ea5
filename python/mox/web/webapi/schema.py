"""The OpenAPI 3.1 document of the webapi, made from its types."""

from typing import Any

import msgspec

from mox import __version__
from mox.webapi.types import CODE_TEXTS, METHODS, Bytes, Error, Method

_REF = "#/components/schemas/{name}"


def openapi() -> dict[str, Any]:
    """For paths relative to where the document is served."""
    kinds = [kind for method in METHODS.values() for kind in (method.request, method.result) if kind is not Bytes]
    _, components = msgspec.json.schema_components([*kinds, Error], ref_template=_REF)
    components["Error"]["properties"]["Code"]["enum"] = [str(code) for code in CODE_TEXTS]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mox webapi",
            "version": __version__,
            "description": "Send and receive email with an HTTP client. All methods are POST requests with a form.",
        },
        "servers": [{"url": "./"}],
        "security": [{"basic": []}],
        "paths": {f"/{method.name}": {"post": _operation(method)} for method in METHODS.values()},
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "Email address and password."}
            },
            "schemas": components,
            "responses": {
                "Error": _response(
                    "The request cannot be carried out; Code and Message tell why.", "application/json", _ref(Error)
                ),
                "Unauthorized": _response("Credentials are missing or wrong.", "text/plain", {"type": "string"}),
                "TooMany": _response("Too many requests or failed log-ins.", "text/plain", {"type": "string"}),
            },
        },
    }


def _ref(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _response(text: str, media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {media: {"schema": schema}}}


def _operation(method: Method) -> dict[str, Any]:
    """A form field `request` that holds JSON."""
    form: dict[str, Any] = {
        "type": "object",
        "required": ["request"],
        "properties": {
            "request": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": _ref(method.request),
                "description": f"JSON of a {method.request.__name__}.",
            }
        },
    }
    multipart = {**form, "properties": {**form["properties"]}}
    if method.name == "Send":
        for field in ("alternativefile", "inlinefile", "attachedfile"):
            multipart["properties"][field] = {"type": "array", "items": {"type": "string", "format": "binary"}}
    if method.result is Bytes:
        ok = _response("The bytes asked for.", "*/*", {"type": "string", "format": "binary"})
    else:
        ok = _response("The result.", "application/json", _ref(method.result))
    encoding = {"request": {"contentType": "application/json"}}
    return {
        "operationId": method.name,
        "summary": method.text,
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {"schema": form},
                "multipart/form-data": {"schema": multipart, "encoding": encoding},
            },
        },
        "responses": {
            "200": ok,
            "400": {"$ref": "#/components/responses/Error"},
            "401": {"$ref": "#/components/responses/Unauthorized"},
            "429": {"$ref": "#/components/responses/TooMany"},
        },
    }
