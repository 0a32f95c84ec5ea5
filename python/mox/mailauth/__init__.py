"""Authentication of mail: SPF, DKIM, DMARC, ARC, reverse names, DNS lists, and the header fields that report them.

Everything from outside (resolver, clock, keys, configuration) arrives as argument; nothing here knows of a server.
"""
