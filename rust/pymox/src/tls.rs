//! Bindings of `tlsconn`.
use std::cell::RefCell;
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use pyo3::buffer::{PyBuffer, ReadOnlyCell};
use pyo3::create_exception;
use pyo3::exceptions::{PyBufferError, PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tlsconn::{
    ClientConfig, ClientOptions, Connection, Error, Hello, KnownKeys, Received, Roots,
    ServerConfig, ServerOptions, TicketKeys, Tlsa,
};

create_exception!(mox._rust, TlsError, PyException);

/// Input above this size is worth handing the interpreter lock to another thread.
const DETACH_BYTES: usize = 4096;

fn raise(err: Error) -> PyErr {
    TlsError::new_err((err.kind.name(), err.text, err.alert, err.from_peer))
}

/// Usage, selector, matching type, association data.
type TlsaRecord = (u8, u8, u8, Vec<u8>);

/// Octets of each buffer that a thread keeps from one call to the next.
const MAX_SCRATCH: usize = 1 << 20;

thread_local! {
    /// What the calls of a thread fill before Python gets a copy: fresh memory for each costs more than the copy.
    static SCRATCH: RefCell<Received> = RefCell::default();
}

fn with_scratch<T>(work: impl FnOnce(&mut Received) -> T) -> T {
    SCRATCH.with_borrow_mut(|received| {
        let result = work(received);
        for buffer in [&mut received.plaintext, &mut received.output] {
            buffer.clear();
            buffer.shrink_to(MAX_SCRATCH);
        }
        result
    })
}

/// Octets of a Python object.
struct Cells<'a>(&'a [ReadOnlyCell<u8>]);

impl Read for Cells<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (now, later) = self.0.split_at(buffer.len().min(self.0.len()));
        for (to, from) in buffer.iter_mut().zip(now) {
            *to = from.get();
        }
        self.0 = later;
        Ok(now.len())
    }
}

/// Plaintext, bytes to send, whether the peer has closed.
type Taken<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, bool);

fn taken<'py>(py: Python<'py>, received: &Received) -> Taken<'py> {
    (
        PyBytes::new(py, &received.plaintext),
        PyBytes::new(py, &received.output),
        received.closed,
    )
}

fn digest_set(list: Vec<Vec<u8>>) -> PyResult<HashSet<[u8; 32]>> {
    list.into_iter()
        .map(|d| {
            <[u8; 32]>::try_from(d)
                .map_err(|_| PyValueError::new_err("a key's digest has 32 bytes"))
        })
        .collect()
}

#[pyclass(module = "mox._rust", frozen)]
struct TlsKnownKeys(Arc<KnownKeys>);

#[pymethods]
impl TlsKnownKeys {
    #[new]
    fn new(digests: Vec<Vec<u8>>) -> PyResult<Self> {
        Ok(TlsKnownKeys(Arc::new(KnownKeys::new(digest_set(digests)?))))
    }

    fn replace(&self, digests: Vec<Vec<u8>>) -> PyResult<()> {
        self.0.replace(digest_set(digests)?);
        Ok(())
    }

    fn __contains__(&self, digest: &[u8]) -> bool {
        <&[u8; 32]>::try_from(digest).is_ok_and(|d| self.0.contains(d))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

#[pyclass(module = "mox._rust", frozen)]
struct TlsTicketKeys(Arc<TicketKeys>);

#[pymethods]
impl TlsTicketKeys {
    #[new]
    fn new(keys: Vec<Vec<u8>>) -> PyResult<Self> {
        Ok(TlsTicketKeys(Arc::new(
            TicketKeys::new(&keys).map_err(raise)?,
        )))
    }

    fn replace(&self, keys: Vec<Vec<u8>>) -> PyResult<()> {
        self.0.replace(&keys).map_err(raise)
    }
}

#[pyclass(module = "mox._rust", frozen)]
struct TlsServerConfig(ServerConfig);

#[pymethods]
impl TlsServerConfig {
    #[new]
    #[pyo3(signature = (keys, alpn=Vec::new(), client_keys=None, tickets=None, tls13_only=false))]
    fn new(
        keys: Vec<(Vec<u8>, Vec<u8>)>,
        alpn: Vec<Vec<u8>>,
        client_keys: Option<Bound<'_, TlsKnownKeys>>,
        tickets: Option<Bound<'_, TlsTicketKeys>>,
        tls13_only: bool,
    ) -> PyResult<Self> {
        let client_keys = client_keys.map(|k| k.get().0.clone());
        let tickets = tickets.map(|k| k.get().0.clone());
        let options = ServerOptions {
            keys,
            alpn,
            client_keys,
            tickets,
            tls13_only,
        };
        ServerConfig::new(options)
            .map(TlsServerConfig)
            .map_err(raise)
    }
}

#[pyclass(module = "mox._rust", frozen)]
struct TlsRoots(Arc<Roots>);

#[pymethods]
impl TlsRoots {
    #[new]
    fn new(pem: &[u8]) -> PyResult<Self> {
        Ok(TlsRoots(Arc::new(Roots::new(pem).map_err(raise)?)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

#[pyclass(module = "mox._rust", frozen)]
struct TlsClientConfig(ClientConfig);

#[pymethods]
impl TlsClientConfig {
    #[new]
    #[pyo3(signature = (
        roots, require_pkix=false, tlsa=None, require_dane=false, dane_names=Vec::new(), pkix_name=None, alpn=Vec::new(),
        identity=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        roots: Option<Bound<'_, TlsRoots>>,
        require_pkix: bool,
        tlsa: Option<Vec<TlsaRecord>>,
        require_dane: bool,
        dane_names: Vec<String>,
        pkix_name: Option<String>,
        alpn: Vec<Vec<u8>>,
        identity: Option<(Vec<u8>, Vec<u8>)>,
    ) -> PyResult<Self> {
        let record = |(usage, selector, matching, data)| Tlsa {
            usage,
            selector,
            matching,
            data,
        };
        ClientConfig::new(ClientOptions {
            roots: roots.map(|r| r.get().0.clone()),
            require_pkix,
            tlsa: tlsa.map(|list| list.into_iter().map(record).collect()),
            require_dane,
            dane_names,
            pkix_name,
            alpn,
            identity,
        })
        .map(TlsClientConfig)
        .map_err(raise)
    }
}

#[pyclass(module = "mox._rust", frozen)]
struct TlsHello(Hello);

#[pymethods]
impl TlsHello {
    #[getter]
    fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    #[getter]
    fn alpn<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0
            .alpn
            .iter()
            .map(|name| PyBytes::new(py, name))
            .collect()
    }

    #[getter]
    fn signature_schemes(&self) -> Vec<u16> {
        self.0.signature_schemes.clone()
    }

    #[getter]
    fn can_ecdsa(&self) -> bool {
        self.0.can_ecdsa()
    }
}

#[pyclass(module = "mox._rust")]
struct TlsConnection(Connection);

#[pymethods]
impl TlsConnection {
    #[staticmethod]
    fn server() -> Self {
        TlsConnection(Connection::server())
    }

    #[staticmethod]
    fn client(config: &Bound<'_, TlsClientConfig>, server_name: &str) -> PyResult<Self> {
        Connection::client(&config.get().0, server_name)
            .map(TlsConnection)
            .map_err(raise)
    }

    fn receive<'py>(&mut self, py: Python<'py>, data: PyBuffer<u8>) -> PyResult<Taken<'py>> {
        let cells = data
            .as_slice(py)
            .ok_or_else(|| PyBufferError::new_err("the bytes are not contiguous"))?;
        // With the interpreter lock: the caller's memory could change without it, and a read is small.
        with_scratch(|received| {
            self.0
                .receive_from(&mut Cells(cells), cells.len(), received)
                .map_err(raise)?;
            Ok(taken(py, received))
        })
    }

    fn hello(&self) -> Option<TlsHello> {
        self.0.hello().cloned().map(TlsHello)
    }

    fn choose<'py>(
        &mut self,
        py: Python<'py>,
        config: &Bound<'py, TlsServerConfig>,
    ) -> PyResult<Taken<'py>> {
        let (conn, config) = (&mut self.0, &config.get().0);
        // The server's signature is the expensive part of a handshake.
        let received = py.detach(|| conn.choose(config));
        Ok(taken(py, &received.map_err(raise)?))
    }

    fn write<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let conn = &mut self.0;
        with_scratch(|received| {
            let output = &mut received.output;
            if data.len() > DETACH_BYTES {
                py.detach(|| conn.write_into(data, output))
            } else {
                conn.write_into(data, output)
            }
            .map_err(raise)?;
            Ok(PyBytes::new(py, output))
        })
    }

    fn take_output<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.take_output())
    }

    fn close<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.close())
    }

    #[getter]
    fn handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    #[getter]
    fn version(&self) -> &'static str {
        self.0.version()
    }

    #[getter]
    fn cipher_suite(&self) -> String {
        self.0.cipher_suite()
    }

    #[getter]
    fn key_exchange(&self) -> String {
        self.0.key_exchange()
    }

    #[getter]
    fn server_name(&self) -> String {
        self.0.server_name()
    }

    #[getter]
    fn alpn(&self) -> String {
        self.0.alpn()
    }

    #[getter]
    fn resumed(&self) -> bool {
        self.0.is_resumed()
    }

    fn peer_chain<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0
            .peer_chain()
            .iter()
            .map(|der| PyBytes::new(py, der))
            .collect()
    }

    fn peer_key_digest<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0
            .peer_key_digest()
            .map(|digest| PyBytes::new(py, &digest))
    }

    fn pkix_error(&self) -> Option<(&'static str, String)> {
        let err = self.0.judgement()?.pkix.err()?;
        Some((err.kind.name(), err.text))
    }

    fn dane_error(&self) -> Option<(&'static str, String)> {
        let err = self.0.judgement()?.dane?.err()?;
        Some((err.kind.name(), err.text))
    }

    fn dane_record(&self) -> Option<usize> {
        self.0.judgement()?.dane?.ok()
    }

    fn export_keying_material<'py>(
        &self,
        py: Python<'py>,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let material = self
            .0
            .export_keying_material(label, context, length)
            .map_err(raise)?;
        Ok(PyBytes::new(py, &material))
    }
}

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("TlsError", m.py().get_type::<TlsError>())?;
    m.add_class::<TlsKnownKeys>()?;
    m.add_class::<TlsTicketKeys>()?;
    m.add_class::<TlsServerConfig>()?;
    m.add_class::<TlsRoots>()?;
    m.add_class::<TlsClientConfig>()?;
    m.add_class::<TlsHello>()?;
    m.add_class::<TlsConnection>()
}
