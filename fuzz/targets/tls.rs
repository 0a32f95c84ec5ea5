//! A client's bytes to a server, a server's to a client, and certificates.
#![no_main]
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use tlsconn::{
    key_digest, ClientConfig, ClientOptions, Connection, KnownKeys, ServerConfig, ServerOptions,
    TicketKeys,
};

static SERVER: LazyLock<ServerConfig> = LazyLock::new(|| {
    ServerConfig::new(ServerOptions {
        keys: vec![(
            include_bytes!("../../rust/tlsconn/tests/peers/cert.pem").to_vec(),
            include_bytes!("../../rust/tlsconn/tests/peers/key.pem").to_vec(),
        )],
        alpn: vec![b"imap".to_vec()],
        client_keys: Some(Arc::new(KnownKeys::default())),
        tickets: Some(Arc::new(
            TicketKeys::new(&[[1u8; 32]]).expect("32 octets are a key"),
        )),
        ..ServerOptions::default()
    })
    .expect("the certificate is good")
});

static CLIENT: LazyLock<ClientConfig> =
    LazyLock::new(|| ClientConfig::new(ClientOptions::default()).expect("nothing can be wrong"));

fn feed(conn: &mut Connection, data: &[u8]) {
    for piece in data.chunks(97) {
        if conn.receive(piece).is_err() {
            break;
        }
        if conn.hello().is_some() && conn.choose(&SERVER).is_err() {
            break;
        }
    }
    let _ = conn.take_output();
    let _ = conn.close();
}

fuzz_target!(|data: &[u8]| {
    let _ = key_digest(data);
    feed(&mut Connection::server(), data);
    feed(
        &mut Connection::client(&CLIENT, "localhost").expect("a good name"),
        data,
    );
});
