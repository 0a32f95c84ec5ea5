//! What a server offers: certificates, application protocols, acceptable client keys, tickets.
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::{aws_lc_rs, CryptoProvider};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, InconsistentKeys, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::error::{client_key_error, Error, Kind};
use crate::spki::{key_digest, verify_signature};
use crate::tickets::TicketKeys;

/// A snapshot of acceptable client keys, as SHA-256 of SubjectPublicKeyInfo, that is replaced when keys change.
#[derive(Debug, Default)]
pub struct KnownKeys(RwLock<Arc<HashSet<[u8; 32]>>>);

impl KnownKeys {
    /// The keys with these digests.
    pub fn new(digests: HashSet<[u8; 32]>) -> Self {
        KnownKeys(RwLock::new(Arc::new(digests)))
    }

    /// Put other keys in force, also for handshakes that are under way.
    pub fn replace(&self, digests: HashSet<[u8; 32]>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(digests);
    }

    /// Whether the key with this digest is acceptable.
    pub fn contains(&self, digest: &[u8; 32]) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no key is acceptable.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the key of this DER certificate is acceptable.
    pub fn accepts(&self, certificate: &[u8]) -> bool {
        key_digest(certificate).is_some_and(|digest| self.contains(&digest))
    }
}

/// Everything that a [`ServerConfig`] is made of.
#[derive(Default)]
pub struct ServerOptions {
    /// Certificate chain and private key as PEM, by preference.
    pub keys: Vec<(Vec<u8>, Vec<u8>)>,
    /// Application protocols by preference (RFC 7301); empty: ALPN is not negotiated.
    pub alpn: Vec<Vec<u8>>,
    /// Ask for a client certificate and accept it only with one of these keys. A client may always send none.
    pub client_keys: Option<Arc<KnownKeys>>,
    /// Send and accept session tickets.
    pub tickets: Option<Arc<TicketKeys>>,
    /// Refuse TLS 1.2.
    pub tls13_only: bool,
}

/// A configuration to choose for a connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) inner: Arc<rustls::ServerConfig>,
    pub(crate) client_keys: Option<Arc<KnownKeys>>,
}

impl ServerConfig {
    /// Checks and joins the options.
    pub fn new(options: ServerOptions) -> Result<Self, Error> {
        if options.keys.is_empty() {
            return Err(Error::new(Kind::Config, "a TLS server needs a certificate"));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let keys = options
            .keys
            .iter()
            .map(|(chain, key)| load_identity(&provider, chain, key).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let versions: &[&rustls::SupportedProtocolVersion] = if options.tls13_only {
            &[&rustls::version::TLS13]
        } else {
            rustls::ALL_VERSIONS
        };
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)?;
        let builder = match &options.client_keys {
            Some(known) => builder.with_client_cert_verifier(Arc::new(KeyVerifier {
                known: known.clone(),
                provider,
            })),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(Resolver(keys)));
        config.alpn_protocols = options.alpn;
        // Sessions live in tickets only, so that any worker can resume them.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match options.tickets {
            Some(tickets) => config.ticketer = tickets,
            None => config.send_tls13_tickets = 0,
        }
        Ok(ServerConfig {
            inner: Arc::new(config),
            client_keys: options.client_keys,
        })
    }
}

/// Loads a certificate chain with its key, both PEM.
pub(crate) fn load_identity(
    provider: &CryptoProvider,
    chain: &[u8],
    key: &[u8],
) -> Result<CertifiedKey, Error> {
    let config = |text: String| Error::new(Kind::Config, text);
    let certificates = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|err| config(format!("certificate chain: {err}")))?;
    if certificates.is_empty() {
        return Err(config("certificate chain: no PEM block CERTIFICATE".into()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|err| config(format!("private key: {err}")))?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|err| config(format!("private key: {err}")))?;
    let identity = CertifiedKey::new(certificates, key);
    match identity.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(config("the private key is not the certificate's".into()))
        }
        // A certificate too minimal to be compared is still usable as the container of a client's key.
        _ => Ok(identity),
    }
}

/// Chooses the first certificate that the client can verify and that is for the name it asks for, else the first that
/// it can verify, else the first: the handshake then fails for want of a common scheme.
#[derive(Debug)]
struct Resolver(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut usable = self
            .0
            .iter()
            .filter(|k| k.key.choose_scheme(hello.signature_schemes()).is_some());
        if self.0.len() > 1 {
            if let Some(name) = hello
                .server_name()
                .and_then(|n| ServerName::try_from(n).ok())
            {
                if let Some(found) = usable.clone().find(|k| is_for(k, &name)) {
                    return Some(found.clone());
                }
            }
        }
        usable.next().or(self.0.first()).cloned()
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    key.end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .and_then(|cert| verify_server_name(&cert, name))
        .is_ok()
}

/// Accepts a client certificate by its public key; names, dates, issuer and extensions mean nothing.
#[derive(Debug)]
struct KeyVerifier {
    known: Arc<KnownKeys>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for KeyVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.known.accepts(end_entity) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(client_key_error())
        }
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
            &self.provider.signature_verification_algorithms,
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
            &self.provider.signature_verification_algorithms,
            true,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
