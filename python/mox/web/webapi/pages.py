"""Pages of the webapi for people: the list of methods, and for each a form to try it out."""

import base64
import hashlib
import html
from dataclasses import dataclass
from functools import cache

import msgspec

from mox import __version__
from mox.web.webapi import schema
from mox.web.webapi.examples import example
from mox.webapi.types import CODE_TEXTS, METHODS, Bytes, Method

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#ccc, #444); --soft: light-dark(#f4f4f4, #1e1e1e);
  --link: light-dark(#06c, #7ab8ff); }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
  background: light-dark(#fff, #121212); color: light-dark(#1a1a1a, #e6e6e6); }
a { color: var(--link); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
code, textarea { font: .9rem/1.45 ui-monospace, monospace; }
code { background: var(--soft); padding: .1em .3em; border-radius: .25em; overflow-wrap: anywhere; }
textarea { width: 100%; padding: .6rem; border: 1px solid var(--line); border-radius: .4em; background: var(--soft);
  color: inherit; resize: vertical; }
button { font: inherit; padding: .35rem 1rem; border: 1px solid var(--line); border-radius: .4em; cursor: pointer;
  background: var(--soft); color: inherit; }
button.main { background: light-dark(#06c, #2b6cb0); border-color: transparent; color: #fff; }
button:disabled { opacity: .6; cursor: default; }
.row { display: flex; gap: .6rem; align-items: center; flex-wrap: wrap; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
@media (max-width: 36rem) { td, th { display: block; border: 0; padding: .1rem 0; } tr { display: block;
  border-bottom: 1px solid var(--line); padding: .5rem 0; } }
"""

_SCRIPT = """
'use strict'
const form = document.querySelector('form')
const request = form.elements.request
const response = document.querySelector('#response')
const status = document.querySelector('#status')
const call = form.querySelector('button.main')
const initial = request.value
document.documentElement.dataset.ready = 'yes'
form.querySelector('button.reset').addEventListener('click', () => { request.value = initial; status.textContent = '' })
if (!form.dataset.native) {
	form.addEventListener('submit', async (event) => {
		event.preventDefault()
		try {
			JSON.parse(request.value)
		} catch (err) {
			status.textContent = 'The request is not valid JSON: ' + err.message
			return
		}
		call.disabled = true
		status.textContent = 'Calling…'
		try {
			const data = new FormData()
			data.append('request', request.value)
			const result = await fetch(form.action, { method: 'POST', body: data })
			const text = await result.text()
			status.textContent = 'Status ' + result.status
			document.querySelector('label[for=response]').textContent = 'Response'
			try {
				response.value = JSON.stringify(JSON.parse(text), undefined, '\\t')
			} catch {
				response.value = text
			}
		} catch (err) {
			status.textContent = 'The call failed: ' + err.message
		} finally {
			call.disabled = false
		}
	})
}
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A document and its Content-Security-Policy."""

    body: bytes
    policy: str


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


# Nothing but what is in the page itself, by hash; calls only to where it came from.
_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def _document(title: str, content: str, script: str = "") -> Page:
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex,nofollow">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{content}</body>\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</html>\n"
    )
    return Page(text.encode(), _POLICY)


@cache
def index() -> Page:
    """The list of methods."""
    rows = "".join(
        f'<tr><td><a href="{name}">{name}</a></td><td>{html.escape(method.text)}</td></tr>\n'
        for name, method in METHODS.items()
    )
    codes = "".join(
        f"<tr><td><code>{code}</code></td><td>{html.escape(text)}</td></tr>\n" for code, text in CODE_TEXTS.items()
    )
    return _document(
        "mox webapi",
        f"""<h1>Webapi v0</h1>
<p>An interface for applications that send and receive email: compose and queue messages, read, flag, move and remove
stored ones, manage the suppression list. What becomes of outgoing messages, and what comes in, is told by webhooks,
which are set up in the account pages.</p>
<p>Each method is a <code>POST</code> with form field <code>request</code> in JSON and HTTP Basic authentication with an
email address and the password of its account. The answer is JSON: status 200 with the result, or status 400 with a
<code>Code</code> and a <code>Message</code>. Files can be sent along as <code>multipart/form-data</code>, in fields
<code>alternativefile</code>, <code>inlinefile</code> and <code>attachedfile</code>.</p>
<h2>Methods</h2>
<table>
{rows}</table>
<h2>Error codes</h2>
<table>
{codes}</table>
<p>For programs: <a href="openapi.json">openapi.json</a>. This is mox {html.escape(__version__)}.</p>
""",
    )


def _pretty(value: msgspec.Struct) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=4).decode()


def _area(name: str, label: str, value: str) -> str:
    lines = min(value.count("\n") + 2, 30)
    attributes = 'name="request" id="request"' if name == "request" else f'id="{name}" readonly'
    return (
        f'<h2><label for="{name}">{label}</label></h2>\n'
        f'<textarea {attributes} rows="{lines}" spellcheck="false">{html.escape(value)}</textarea>\n'
    )


@cache
def method(described: Method) -> Page:
    """The page of a method."""
    is_bytes = described.result is Bytes
    note = " Not in mox's webapi." if described.is_extension else ""
    if is_bytes:
        answer = "<h2>Response</h2>\n<p>Not JSON: the bytes asked for. Errors are JSON.</p>\n"
    else:
        answer = _area("response", "Response (example)", _pretty(example(described.result)))
    native = ' data-native="yes"' if is_bytes else ""
    content = (
        f'<h1><a href="./">Webapi</a> - {described.name}</h1>\n<p>{html.escape(described.text)}{note}</p>\n'
        f'<form method="post" action="{described.name}" enctype="multipart/form-data"{native}>\n'
        f"{_area('request', 'Request', _pretty(example(described.request)))}"
        '<div class="row"><button type="button" class="reset">Reset</button>'
        '<button type="submit" class="main">Call</button><span id="status" role="status"></span></div>\n</form>\n'
        f"{answer}"
    )
    return _document(f"mox webapi - {described.name}", content, _SCRIPT)


@cache
def openapi() -> bytes:
    """The OpenAPI document."""
    return msgspec.json.encode(schema.openapi())
