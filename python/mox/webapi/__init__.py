"""The HTTP interface for applications as a client sees it: its types, error codes, webhook payloads, and a client.

Nothing here knows of the server; a program that sends mail through mox needs only this package.
"""
