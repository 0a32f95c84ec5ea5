//! Errors with a kind for statistics and reports, and the alert that goes with them.
use std::fmt;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

/// What went wrong, coarse enough for a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unusable certificate, key or option.
    Config,
    /// A call that the connection's state does not allow.
    State,
    /// The peer does not speak TLS.
    NotTls,
    /// The peer sent an SSL 2 ClientHello.
    Sslv2,
    /// No protocol version in common.
    Versions,
    /// No cipher suite, group, signature scheme or application protocol in common.
    Parameters,
    /// The peer broke the protocol.
    Protocol,
    /// The peer sent an alert.
    Alert,
    /// A record that does not decrypt.
    Decrypt,
    /// A certificate that is bad in a way that has no kind of its own.
    Certificate,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// The certificate is for another name.
    CertificateName,
    /// The certificate's issuer is not trusted.
    CertificateIssuer,
    /// The certificate was revoked.
    CertificateRevoked,
    /// No TLSA record matches the server's certificate.
    Dane,
    /// A client's key is not among the known keys.
    ClientKey,
    /// Anything else.
    Other,
}

impl Kind {
    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Config => "config",
            Kind::State => "state",
            Kind::NotTls => "not-tls",
            Kind::Sslv2 => "sslv2",
            Kind::Versions => "versions",
            Kind::Parameters => "parameters",
            Kind::Protocol => "protocol",
            Kind::Alert => "alert",
            Kind::Decrypt => "decrypt",
            Kind::Certificate => "certificate",
            Kind::CertificateExpired => "certificate-expired",
            Kind::CertificateNotYetValid => "certificate-not-yet-valid",
            Kind::CertificateName => "certificate-name",
            Kind::CertificateIssuer => "certificate-issuer",
            Kind::CertificateRevoked => "certificate-revoked",
            Kind::Dane => "dane",
            Kind::ClientKey => "client-key",
            Kind::Other => "other",
        }
    }
}

/// A failed operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// One line for a log.
    pub text: String,
    /// Number of the alert that was received, or of the one this failure makes us send.
    pub alert: Option<u8>,
    /// The alert came from the peer.
    pub from_peer: bool,
}

impl Error {
    /// An error without an alert.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Error {
            kind,
            text: text.into(),
            alert: None,
            from_peer: false,
        }
    }

    /// For rustls to fail the handshake with; comes back from it as it is, with the alert that it chose.
    pub(crate) fn into_certificate_error(self) -> rustls::Error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(self))))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// The text of [`client_key_error`], by which the failure is known again when it comes back from rustls.
const UNKNOWN_CLIENT_KEY: &str = "unknown client key";

/// The error to give rustls for a client key that is not known: it makes the alert bad_certificate (42).
pub(crate) fn client_key_error() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::BadEncoding)
}

/// The same failure as our own error.
pub(crate) fn unknown_client_key() -> Error {
    Error {
        kind: Kind::ClientKey,
        text: UNKNOWN_CLIENT_KEY.into(),
        alert: Some(u8::from(AlertDescription::BadCertificate)),
        from_peer: false,
    }
}

impl From<rustls::Error> for Error {
    fn from(err: rustls::Error) -> Self {
        if let Some(own) = own_error(&err) {
            return own;
        }
        let text = err.to_string();
        let (kind, alert, from_peer) = match err {
            rustls::Error::AlertReceived(alert) => (Kind::Alert, Some(alert), true),
            rustls::Error::InvalidCertificate(err) => (
                certificate_kind(&err),
                Some(AlertDescription::from(err)),
                false,
            ),
            rustls::Error::NoCertificatesPresented => (
                Kind::Certificate,
                Some(AlertDescription::CertificateRequired),
                false,
            ),
            rustls::Error::PeerIncompatible(why) => {
                let kind = incompatible_kind(&why);
                let alert = match kind {
                    Kind::Versions => AlertDescription::ProtocolVersion,
                    _ => AlertDescription::HandshakeFailure,
                };
                (kind, Some(alert), false)
            }
            rustls::Error::NoApplicationProtocol => (
                Kind::Parameters,
                Some(AlertDescription::NoApplicationProtocol),
                false,
            ),
            rustls::Error::InvalidMessage(_) => {
                (Kind::Protocol, Some(AlertDescription::DecodeError), false)
            }
            rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. } => (
                Kind::Protocol,
                Some(AlertDescription::UnexpectedMessage),
                false,
            ),
            rustls::Error::PeerMisbehaved(_) => (
                Kind::Protocol,
                Some(AlertDescription::IllegalParameter),
                false,
            ),
            rustls::Error::DecryptError => {
                (Kind::Decrypt, Some(AlertDescription::BadRecordMac), false)
            }
            rustls::Error::PeerSentOversizedRecord => (
                Kind::Protocol,
                Some(AlertDescription::RecordOverflow),
                false,
            ),
            _ => (Kind::Other, None, false),
        };
        Error {
            kind,
            text,
            alert: alert.map(u8::from),
            from_peer,
        }
    }
}

/// The error of [`Error::into_certificate_error`].
fn own_error(err: &rustls::Error) -> Option<Error> {
    let rustls::Error::InvalidCertificate(why @ CertificateError::Other(OtherError(inner))) = err
    else {
        return None;
    };
    let own = inner.downcast_ref::<Error>()?;
    Some(Error {
        alert: Some(AlertDescription::from(why.clone()).into()),
        ..own.clone()
    })
}

fn incompatible_kind(why: &PeerIncompatible) -> Kind {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => Kind::Versions,
        _ => Kind::Parameters,
    }
}

fn certificate_kind(err: &CertificateError) -> Kind {
    match err {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Kind::CertificateExpired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Kind::CertificateNotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Kind::CertificateName
        }
        CertificateError::UnknownIssuer => Kind::CertificateIssuer,
        CertificateError::Revoked => Kind::CertificateRevoked,
        _ => Kind::Certificate,
    }
}
