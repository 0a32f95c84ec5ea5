"""/etc/moxsubmit.conf: how `sendmail` hands messages to a submission server."""

from typing import Annotated

from msgspec import Struct

from mox.config.problems import Problems
from mox.config.values import check_domain

AUTH_METHODS = (
    "EXTERNAL",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
    "PLAIN",
)


class SubmitConfig(Struct, frozen=True, kw_only=True):
    """The file. Exactly one of the three secrets must be set."""

    LocalHostname: Annotated[str, "Name of this machine, for the greeting. A domain."]
    Host: Annotated[str, "Name or address of the submission server, such as mail.example.org."]
    Port: Annotated[int, "Port of the server: 465 with TLS, 587 with STARTTLS."]
    TLS: Annotated[bool, "Use TLS from the start."] = False
    STARTTLS: Annotated[bool, "Use STARTTLS, and fail without it."] = False
    TLSInsecureSkipVerify: Annotated[bool, "Accept any certificate. Only for tests."] = False
    Username: Annotated[str, "For log-in. Usually the address."]
    Password: Annotated[str, "For log-in, unless there is a key for TLS."] = ""
    ClientAuthEd25519PrivateKey: Annotated[
        str, "Seed of an ed25519 key to log in with, in base64url; see `mox config tlspubkey gen`."
    ] = ""
    ClientAuthCertPrivateKeyPEMFile: Annotated[
        str, "Absolute path of a PEM file with a private key and its certificate, to log in with."
    ] = ""
    AuthMethod: Annotated[str, f"Way to log in: {', '.join(AUTH_METHODS)}. Empty for the best that the server has."]
    From: Annotated[str, "Address of the sender, in MAIL FROM and in the From header."]
    DefaultDestination: Annotated[str, "Address for recipients that are no addresses, such as root."] = ""
    RequireTLS: Annotated[
        str, "yes: only over verified TLS, all the way (REQUIRETLS). no: deliver also when TLS fails. Empty: neither."
    ] = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of those that are set, never their values."""
        names = ("Password", "ClientAuthEd25519PrivateKey", "ClientAuthCertPrivateKeyPEMFile")
        return tuple(name for name in names if getattr(self, name))


def check_submit(config: SubmitConfig, problems: Problems) -> None:
    """All problems of the file."""
    check_domain("LocalHostname", config.LocalHostname, problems)
    if config.TLS and config.STARTTLS:
        problems.add("TLS", "excludes STARTTLS")
    if len(config.secrets) != 1:
        found = " and ".join(config.secrets) or "none"
        problems.add("Password", f"exactly one secret must be set of the three, not {found}")
    if config.AuthMethod and config.AuthMethod not in AUTH_METHODS:
        problems.add("AuthMethod", f"unknown method {config.AuthMethod!r}; known are {', '.join(AUTH_METHODS)}")
    has_tls = config.TLS or config.STARTTLS
    if (config.AuthMethod.endswith("-PLUS") or config.AuthMethod == "EXTERNAL") and not has_tls:
        problems.add("AuthMethod", f"{config.AuthMethod} needs TLS or STARTTLS")
    if config.RequireTLS not in ("", "yes", "no"):
        problems.add("RequireTLS", "must be empty, yes or no")
    if config.RequireTLS == "yes" and (not has_tls or config.TLSInsecureSkipVerify):
        problems.add("RequireTLS", "yes needs TLS or STARTTLS, with verification")
