//! How a client connects: PKIX verification in the handshake, or only a record of what it would have said.
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{aws_lc_rs, CryptoProvider};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::config::load_identity;
use crate::error::{Error, Kind};
use crate::spki::verify_signature;

/// Everything that a [`ClientConfig`] is made of.
#[derive(Default)]
pub struct ClientOptions {
    /// Fail the handshake unless PKIX verification succeeds (RFC 5280, RFC 9525).
    pub verify: bool,
    /// PEM of the trusted CAs.
    pub roots: Vec<u8>,
    /// Application protocols to offer.
    pub alpn: Vec<Vec<u8>>,
    /// Certificate chain and private key, PEM, for a server that asks.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A configuration for client connections; cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) inner: Arc<rustls::ClientConfig>,
    pub(crate) pkix: Option<Arc<WebPkiServerVerifier>>,
}

impl ClientConfig {
    /// Checks and joins the options.
    pub fn new(options: ClientOptions) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pkix = pkix_verifier(&provider, &options.roots)?;
        let verifier: Arc<dyn ServerCertVerifier> = match (&pkix, options.verify) {
            (Some(pkix), true) => pkix.clone(),
            (None, true) => {
                return Err(Error::new(Kind::Config, "verification needs trusted roots"))
            }
            (_, false) => Arc::new(AcceptAny(provider.clone())),
        };
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &options.identity {
            Some((chain, key)) => {
                let identity = load_identity(&provider, chain, key)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = options.alpn;
        Ok(ClientConfig {
            inner: Arc::new(config),
            pkix,
        })
    }
}

fn pkix_verifier(
    provider: &Arc<CryptoProvider>,
    pem: &[u8],
) -> Result<Option<Arc<WebPkiServerVerifier>>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|err| Error::new(Kind::Config, format!("trusted roots: {err}")))?;
        // A system's store may hold a few that do not parse; the others still count.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Ok(None);
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map(Some)
        .map_err(|err| Error::new(Kind::Config, format!("trusted roots: {err}")))
}

/// Opportunistic TLS (RFC 7435): any certificate will do, but the peer must hold its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
            false,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
            true,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
