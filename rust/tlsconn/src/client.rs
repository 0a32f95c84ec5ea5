//! How a client connects and how it judges the server: PKIX, DANE, both, or only for the record.
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::Resumption;
use rustls::crypto::{aws_lc_rs, CryptoProvider};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::load_identity;
use crate::dane::{Presented, Tlsa};
use crate::error::{Error, Kind};
use crate::spki::verify_signature;

/// Trusted CAs, parsed once and shared by configurations.
#[derive(Debug)]
pub struct Roots {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// The certificates of a PEM text. Fails for broken PEM; certificates that cannot be used are left out, as a
    /// system's store may hold a few.
    pub fn new(pem: &[u8]) -> Result<Self, Error> {
        let mut roots = Roots {
            store: RootCertStore::empty(),
            certificates: Vec::new(),
        };
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate
                .map_err(|err| Error::new(Kind::Config, format!("trusted roots: {err}")))?;
            if roots.store.add(certificate.clone()).is_ok() {
                roots.certificates.push(certificate);
            }
        }
        Ok(roots)
    }

    /// Number of usable certificates.
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether there is no usable certificate.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }
}

/// Everything that a [`ClientConfig`] is made of. Without a `require` the handshake accepts any certificate
/// (opportunistic TLS, RFC 7435), but [`crate::Connection::judgement`] tells what verification says of it.
#[derive(Default)]
pub struct ClientOptions {
    /// The trusted CAs.
    pub roots: Option<Arc<Roots>>,
    /// Fail the handshake unless PKIX verification succeeds (RFC 5280, RFC 9525).
    pub require_pkix: bool,
    /// TLSA records to verify with; None: DANE does not apply. An empty list never verifies.
    pub tlsa: Option<Vec<Tlsa>>,
    /// Fail the handshake unless DANE verification succeeds.
    pub require_dane: bool,
    /// Names that DANE accepts next to the server's name (RFC 7672 §3.2.2).
    pub dane_names: Vec<String>,
    /// Name for PKIX where it is not the server's name.
    pub pkix_name: Option<String>,
    /// Application protocols to offer.
    pub alpn: Vec<Vec<u8>>,
    /// Certificate chain and private key, PEM, for a server that asks.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A configuration for client connections; cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientConfig(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<Roots>>,
    require_pkix: bool,
    tlsa: Option<Vec<Tlsa>>,
    require_dane: bool,
    dane_names: Vec<ServerName<'static>>,
    pkix_name: Option<ServerName<'static>>,
    alpn: Vec<Vec<u8>>,
    identity: Option<Arc<CertifiedKey>>,
}

/// Text as a name or address of a server.
pub(crate) fn server_name(text: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| Error::new(Kind::Config, format!("`{text}` is no name of a server")))
}

impl ClientConfig {
    /// Checks and joins the options.
    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        let config = |text| Err(Error::new(Kind::Config, text));
        if options.require_pkix && options.roots.as_ref().is_none_or(|r| r.is_empty()) {
            return config("verification needs trusted roots");
        }
        if options.require_dane && options.tlsa.is_none() {
            return config("DANE verification needs TLSA records");
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let identity = match &options.identity {
            Some((chain, key)) => Some(Arc::new(load_identity(&provider, chain, key)?)),
            None => None,
        };
        Ok(ClientConfig(Arc::new(Inner {
            provider,
            roots: options.roots,
            require_pkix: options.require_pkix,
            tlsa: options.tlsa,
            require_dane: options.require_dane,
            dane_names: options
                .dane_names
                .iter()
                .map(|name| server_name(name))
                .collect::<Result<_, _>>()?,
            pkix_name: options.pkix_name.as_deref().map(server_name).transpose()?,
            alpn: options.alpn,
            identity,
        })))
    }

    /// A connection's own configuration, and where its verdict on the server will be. Sessions are never resumed:
    /// a resumed one would bring no certificate to judge.
    pub(crate) fn for_server(
        &self,
        name: &ServerName<'static>,
    ) -> Result<(rustls::ClientConfig, Arc<Verifier>), Error> {
        let inner = &self.0;
        let mut dane_names = vec![name.clone()];
        dane_names.extend(inner.dane_names.iter().cloned());
        let verifier = Arc::new(Verifier {
            config: self.0.clone(),
            pkix_names: [inner.pkix_name.clone().unwrap_or_else(|| name.clone())],
            dane_names,
            judgement: Mutex::new(None),
        });
        let builder = rustls::ClientConfig::builder_with_provider(inner.provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone());
        let mut config = match &inner.identity {
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = inner.alpn.clone();
        config.resumption = Resumption::disabled();
        Ok((config, verifier))
    }
}

/// What verification says of a server's chain, whether or not the handshake depended on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// PKIX with the trusted roots.
    pub pkix: Result<(), Error>,
    /// Index of the TLSA record that matched; None when DANE does not apply.
    pub dane: Option<Result<usize, Error>>,
}

/// Judges one server.
#[derive(Debug)]
pub(crate) struct Verifier {
    config: Arc<Inner>,
    pkix_names: [ServerName<'static>; 1],
    dane_names: Vec<ServerName<'static>>,
    judgement: Mutex<Option<Judgement>>,
}

impl Verifier {
    /// The verdict, when the server's certificate has been seen.
    pub fn judgement(&self) -> Option<Judgement> {
        self.judgement
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Judgement {
        let roots = self.config.roots.as_deref();
        let pkix = Presented {
            leaf,
            intermediates,
            names: &self.pkix_names,
            roots: roots.map(|r| &r.certificates[..]).unwrap_or_default(),
            now,
            algorithms: &self.config.provider.signature_verification_algorithms,
        };
        let none = RootCertStore::empty();
        Judgement {
            pkix: pkix.verify_with(roots.map_or(&none, |r| &r.store)),
            dane: self.config.tlsa.as_ref().map(|records| {
                Presented {
                    names: &self.dane_names,
                    ..pkix
                }
                .verify_dane(records)
            }),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judgement = self.judge(end_entity, intermediates, now);
        let refusal = match &judgement {
            Judgement {
                dane: Some(Err(err)),
                ..
            } if self.config.require_dane => Some(err.clone()),
            Judgement { pkix: Err(err), .. } if self.config.require_pkix => Some(err.clone()),
            _ => None,
        };
        *self
            .judgement
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(judgement);
        match refusal {
            Some(err) => Err(err.into_certificate_error()),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.config.provider.signature_verification_algorithms;
        verify_signature(message, cert, dss, algorithms, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.config.provider.signature_verification_algorithms;
        verify_signature(message, cert, dss, algorithms, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.config
            .provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
