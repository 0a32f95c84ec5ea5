"""Failures of a SASL exchange, by what a server answers and a log keeps."""

import enum


class Failure(enum.Enum):
    """Why an exchange failed."""

    SYNTAX = "badprotocol"
    # The client's first SCRAM message cannot be used.
    FIRST_MESSAGE = "badprotocol first"
    # A later SCRAM message cannot be read.
    ENCODING = "badprotocol encoding"
    CREDENTIALS = "badcreds"
    OTHER_IDENTITY = "badcreds identity"
    CHANNEL_BINDING = "badchanbind"
    # The password was set before these secrets were kept.
    NO_SECRETS = "error"
    NEEDS_TLS = "error tls"

    @property
    def result(self) -> str:
        """The word that login attempts are recorded with."""
        return self.value.split()[0]


class SaslError(Exception):
    """Authentication failed; the text may be shown to the client."""

    def __init__(self, text: str, failure: Failure = Failure.SYNTAX) -> None:
        super().__init__(text)
        self.failure = failure
