"""An IMAP client: `reader` cuts the server's bytes into responses, `parser` understands them (both without I/O),
`client` drives a connection.

It understands everything that mox's server sends, and is used by its tests; programs may use it too.
"""
