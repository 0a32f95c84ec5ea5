//! The connection: bytes in, plaintext and bytes out.
use std::io::{BufRead, Read, Write};
use std::sync::Arc;

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{CertificateError, ClientConnection, HandshakeKind, ProtocolVersion};
use rustls_pki_types::CertificateDer;

use crate::client::{server_name, ClientConfig, Judgement, Verifier};
use crate::config::{KnownKeys, ServerConfig};
use crate::error::{unknown_client_key, Error, Kind};
use crate::spki::key_digest;

/// Bytes kept from a client that goes on sending while its configuration is being chosen.
pub const MAX_PENDING_BYTES: usize = 64 * 1024;
/// Longest keying material that can be exported.
pub const MAX_EXPORT_LEN: usize = 1024;

/// Octets of plaintext in a record, and those that protection adds to it at most (RFC 8446 §5.2).
const RECORD: usize = 16 * 1024;
const RECORD_OVERHEAD: usize = 256;

const HANDSHAKE_RECORD: u8 = 0x16;
const ALERT_RECORD: u8 = 0x15;

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Server name indication (RFC 6066 §3).
    pub server_name: Option<String>,
    /// Offered application protocols.
    pub alpn: Vec<Vec<u8>>,
    /// Signature schemes that the client verifies (RFC 8446 §4.2.3).
    pub signature_schemes: Vec<u16>,
}

impl Hello {
    fn of(accepted: &Accepted) -> Self {
        let hello = accepted.client_hello();
        Hello {
            server_name: hello.server_name().map(str::to_owned),
            alpn: hello
                .alpn()
                .map(|names| names.map(<[u8]>::to_vec).collect())
                .unwrap_or_default(),
            signature_schemes: hello
                .signature_schemes()
                .iter()
                .map(|s| u16::from(*s))
                .collect(),
        }
    }

    /// Whether the client verifies ECDSA certificates.
    pub fn can_ecdsa(&self) -> bool {
        self.signature_schemes
            .iter()
            .any(|s| matches!(s, 0x0403 | 0x0503 | 0x0603))
    }
}

/// What came out of bytes from the peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Decrypted application data.
    pub plaintext: Vec<u8>,
    /// Bytes to send to the peer.
    pub output: Vec<u8>,
    /// The peer has sent close_notify, now or before.
    pub closed: bool,
}

enum State {
    Hello(Box<Acceptor>),
    Choosing(Box<Accepted>, Hello),
    Open(Box<rustls::Connection>),
    Failed,
}

/// One TLS connection.
pub struct Connection {
    state: State,
    /// First bytes of the peer, to tell TLS from other protocols.
    head: Vec<u8>,
    pending: Vec<u8>,
    output: Vec<u8>,
    closed: bool,
    peer_closed: bool,
    key_checked: bool,
    client_keys: Option<Arc<KnownKeys>>,
    /// Client: its server's name and the judge of it.
    server: Option<(String, Arc<Verifier>)>,
}

impl Connection {
    fn new(state: State) -> Self {
        Connection {
            state,
            head: Vec::new(),
            pending: Vec::new(),
            output: Vec::new(),
            closed: false,
            peer_closed: false,
            key_checked: false,
            client_keys: None,
            server: None,
        }
    }

    /// A server that waits for a ClientHello.
    pub fn server() -> Self {
        Self::new(State::Hello(Box::default()))
    }

    /// A client; its ClientHello is in [`Connection::take_output`]. An IP address as name sends no SNI.
    pub fn client(config: &ClientConfig, name: &str) -> Result<Self, Error> {
        let parsed = server_name(name)?;
        let (config, verifier) = config.for_server(&parsed)?;
        let mut inner = ClientConnection::new(Arc::new(config), parsed)?;
        inner.set_buffer_limit(None);
        let mut conn = Self::new(State::Open(Box::new(inner.into())));
        conn.server = Some((name.to_owned(), verifier));
        conn.key_checked = true;
        conn.collect_output();
        Ok(conn)
    }

    /// Takes bytes from the peer. After an error the connection is of no use, but an alert may wait in the output.
    pub fn receive(&mut self, data: &[u8]) -> Result<Received, Error> {
        let mut received = Received::default();
        self.receive_from(&mut { data }, data.len(), &mut received)?;
        Ok(received)
    }

    /// As [`Connection::receive`] with all of the `length` octets that `source` has, replacing what is in `received`,
    /// whose memory is used again.
    pub fn receive_from(
        &mut self,
        source: &mut dyn Read,
        length: usize,
        received: &mut Received,
    ) -> Result<(), Error> {
        received.plaintext.clear();
        received.output.clear();
        let result = match self.state {
            State::Hello(_) => all_of(source).and_then(|data| self.receive_hello(&data)),
            State::Choosing(..) => all_of(source).and_then(|data| self.keep(&data)),
            State::Open(_) => self.receive_records(source, length, &mut received.plaintext),
            State::Failed => Err(Error::new(
                Kind::State,
                "the TLS connection has failed before",
            )),
        };
        self.collect_output();
        if let Err(err) = result {
            self.state = State::Failed;
            return Err(err);
        }
        received.output.append(&mut self.output);
        received.closed = self.peer_closed;
        Ok(())
    }

    fn receive_hello(&mut self, mut data: &[u8]) -> Result<(), Error> {
        self.check_head(data)?;
        let State::Hello(acceptor) = &mut self.state else {
            return Ok(());
        };
        while !data.is_empty() {
            acceptor
                .read_tls(&mut data)
                .map_err(|err| Error::new(Kind::Protocol, err.to_string()))?;
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let hello = Hello::of(&accepted);
                    self.state = State::Choosing(Box::new(accepted), hello);
                    return self.keep(data);
                }
                Err((err, alert)) => return Err(self.refused(err, alert)),
            }
        }
        Ok(())
    }

    /// Fails for bytes that cannot begin a TLS connection, such as commands sent right behind STARTTLS.
    fn check_head(&mut self, data: &[u8]) -> Result<(), Error> {
        let missing = 3usize.saturating_sub(self.head.len());
        self.head.extend(data.iter().take(missing));
        match self.head[..] {
            [] | [HANDSHAKE_RECORD | ALERT_RECORD, ..] => Ok(()),
            [first] | [first, _] if first & 0x80 != 0 => Ok(()),
            [first, _, 1] if first & 0x80 != 0 => {
                Err(Error::new(Kind::Sslv2, "the client speaks SSL 2"))
            }
            _ => Err(Error::new(Kind::NotTls, "the peer does not speak TLS")),
        }
    }

    fn keep(&mut self, data: &[u8]) -> Result<(), Error> {
        if self.pending.len() + data.len() > MAX_PENDING_BYTES {
            return Err(Error::new(
                Kind::Protocol,
                "too many bytes behind the ClientHello",
            ));
        }
        self.pending.extend(data);
        Ok(())
    }

    fn refused(&mut self, err: rustls::Error, mut alert: AcceptedAlert) -> Error {
        // Writing to a Vec does not fail.
        let _ = alert.write_all(&mut self.output);
        err.into()
    }

    /// The ClientHello, when it is there and no configuration has been chosen yet.
    pub fn hello(&self) -> Option<&Hello> {
        match &self.state {
            State::Choosing(_, hello) => Some(hello),
            _ => None,
        }
    }

    /// Goes on with `config`.
    pub fn choose(&mut self, config: &ServerConfig) -> Result<Received, Error> {
        let State::Choosing(accepted, _) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(Error::new(
                Kind::State,
                "there is no ClientHello to choose a configuration for",
            ));
        };
        let mut inner = match accepted.into_connection(config.inner.clone()) {
            Ok(inner) => inner,
            Err((err, alert)) => return Err(self.refused(err, alert)),
        };
        inner.set_buffer_limit(None);
        self.client_keys = config.client_keys.clone();
        self.state = State::Open(Box::new(inner.into()));
        let pending = std::mem::take(&mut self.pending);
        self.receive(&pending)
    }

    fn receive_records(
        &mut self,
        source: &mut dyn Read,
        mut length: usize,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let State::Open(conn) = &mut self.state else {
            return Ok(());
        };
        plaintext.reserve(length);
        loop {
            let taken = match length {
                0 => 0,
                _ => conn.read_tls(source).map_err(other)?,
            };
            length = length.saturating_sub(taken);
            let state = conn
                .process_new_packets()
                .map_err(|err| server_error(err, self.server.is_none()))?;
            self.peer_closed = state.peer_has_closed();
            let mut left = state.plaintext_bytes_to_read();
            let mut reader = conn.reader();
            while left > 0 {
                let piece = reader.fill_buf().map_err(other)?;
                plaintext.extend_from_slice(piece);
                let count = piece.len();
                reader.consume(count);
                left = left.saturating_sub(count.max(1));
            }
            // Nothing is taken any more after close_notify.
            if taken == 0 || length == 0 {
                break;
            }
        }
        self.check_resumed_key()
    }

    /// A resumed session skips the handshake's check of the client's key, which may have been removed since.
    fn check_resumed_key(&mut self) -> Result<(), Error> {
        let State::Open(conn) = &self.state else {
            return Ok(());
        };
        if self.key_checked || conn.is_handshaking() {
            return Ok(());
        }
        self.key_checked = true;
        match (
            &self.client_keys,
            conn.peer_certificates().and_then(<[_]>::first),
        ) {
            (Some(known), Some(leaf)) if !known.accepts(leaf) => Err(unknown_client_key()),
            _ => Ok(()),
        }
    }

    fn collect_output(&mut self) {
        if let State::Open(conn) = &mut self.state {
            collect(conn, &mut self.output);
        }
    }

    /// Bytes to send that no call has returned yet.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Encrypts `data`; all bytes to send.
    pub fn write(&mut self, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut output = Vec::new();
        self.write_into(data, &mut output)?;
        Ok(output)
    }

    /// As [`Connection::write`], replacing what is in `output`, whose memory is used again.
    pub fn write_into(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        output.clear();
        if self.is_handshaking() || self.closed {
            return Err(Error::new(
                Kind::State,
                "the TLS connection is not open for writing",
            ));
        }
        output.append(&mut self.output);
        if let State::Open(conn) = &mut self.state {
            output.reserve(data.len() + (data.len() / RECORD + 1) * RECORD_OVERHEAD);
            conn.writer().write_all(data).map_err(other)?;
            collect(conn, output);
        }
        Ok(())
    }

    /// Ends our direction with close_notify (RFC 8446 §6.1); all bytes to send.
    pub fn close(&mut self) -> Vec<u8> {
        if let State::Open(conn) = &mut self.state {
            if !self.closed {
                conn.send_close_notify();
            }
        }
        self.closed = true;
        self.collect_output();
        self.take_output()
    }

    fn inner(&self) -> Option<&rustls::Connection> {
        match &self.state {
            State::Open(conn) => Some(conn),
            _ => None,
        }
    }

    /// Whether the handshake is not complete (also: has failed).
    pub fn is_handshaking(&self) -> bool {
        self.inner().is_none_or(|conn| conn.is_handshaking())
    }

    /// `TLS1.2` or `TLS1.3`; empty before that is known.
    pub fn version(&self) -> &'static str {
        match self.inner().and_then(|conn| conn.protocol_version()) {
            Some(ProtocolVersion::TLSv1_2) => "TLS1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS1.3",
            _ => "",
        }
    }

    /// IANA name of the cipher suite.
    pub fn cipher_suite(&self) -> String {
        let name = self
            .inner()
            .and_then(|conn| conn.negotiated_cipher_suite())
            .map(|s| s.suite());
        name.and_then(|n| n.as_str())
            .unwrap_or_default()
            .replace("TLS13_", "TLS_")
    }

    /// Name of the key exchange group.
    pub fn key_exchange(&self) -> String {
        let group = self
            .inner()
            .and_then(|conn| conn.negotiated_key_exchange_group())
            .map(|g| g.name());
        group
            .and_then(|n| n.as_str())
            .unwrap_or_default()
            .to_owned()
    }

    /// Name that the client asked for.
    pub fn server_name(&self) -> String {
        match self.inner() {
            Some(rustls::Connection::Server(conn)) => {
                conn.server_name().unwrap_or_default().to_owned()
            }
            Some(rustls::Connection::Client(_)) => self
                .server
                .as_ref()
                .map(|(name, _)| name.clone())
                .unwrap_or_default(),
            None => String::new(),
        }
    }

    /// Negotiated application protocol.
    pub fn alpn(&self) -> String {
        let name = self
            .inner()
            .and_then(|conn| conn.alpn_protocol())
            .unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    /// Whether an earlier session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.inner().and_then(|conn| conn.handshake_kind()) == Some(HandshakeKind::Resumed)
    }

    /// The peer's certificates. A server that did not ask for one has none, also when a resumed session brings one.
    pub fn peer_chain(&self) -> &[CertificateDer<'static>] {
        if self.client_keys.is_none() && self.server.is_none() {
            return &[];
        }
        self.inner()
            .and_then(|conn| conn.peer_certificates())
            .unwrap_or_default()
    }

    /// SHA-256 of the peer's SubjectPublicKeyInfo.
    pub fn peer_key_digest(&self) -> Option<[u8; 32]> {
        self.peer_chain().first().and_then(|leaf| key_digest(leaf))
    }

    /// Client: what verification says of the server's chain; None before the chain is here. It remains after a
    /// handshake that failed because of it.
    pub fn judgement(&self) -> Option<Judgement> {
        self.server.as_ref()?.1.judgement()
    }

    /// RFC 5705, RFC 8446 §7.5.
    pub fn export_keying_material(
        &self,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<Vec<u8>, Error> {
        if length == 0 || length > MAX_EXPORT_LEN {
            return Err(Error::new(
                Kind::State,
                format!("cannot export {length} bytes of keying material"),
            ));
        }
        match self.inner() {
            Some(conn) if !conn.is_handshaking() => {
                Ok(conn.export_keying_material(vec![0; length], label, Some(context))?)
            }
            _ => Err(Error::new(
                Kind::State,
                "keying material exists only after the handshake",
            )),
        }
    }
}

/// On a server the only certificate failures are those of the client's key.
fn server_error(err: rustls::Error, is_server: bool) -> Error {
    match err {
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) if is_server => {
            unknown_client_key()
        }
        err => err.into(),
    }
}

fn other(err: std::io::Error) -> Error {
    Error::new(Kind::Other, err.to_string())
}

fn all_of(source: &mut dyn Read) -> Result<Vec<u8>, Error> {
    let mut data = Vec::new();
    source.read_to_end(&mut data).map_err(other)?;
    Ok(data)
}

/// Appends all bytes that are ready to be sent.
fn collect(conn: &mut rustls::Connection, output: &mut Vec<u8>) {
    while conn.wants_write() {
        match conn.write_tls(output) {
            Ok(count) if count > 0 => {}
            _ => break,
        }
    }
}
