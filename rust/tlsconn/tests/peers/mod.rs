//! A server and a client that do not ask who the other is, and the way between them.
use std::sync::Arc;

use tlsconn::{
    ClientConfig, ClientOptions, Connection, Error, ServerConfig, ServerOptions, TicketKeys,
};

pub fn server_config() -> ServerConfig {
    ServerConfig::new(ServerOptions {
        keys: vec![(
            include_bytes!("cert.pem").to_vec(),
            include_bytes!("key.pem").to_vec(),
        )],
        tickets: Some(Arc::new(
            TicketKeys::new(&[[1u8; 32]]).expect("32 octets are a key"),
        )),
        ..ServerOptions::default()
    })
    .expect("the certificate is good")
}

pub fn client_config() -> ClientConfig {
    ClientConfig::new(ClientOptions::default()).expect("nothing can be wrong")
}

/// Takes what came for a server in pieces; plaintext, and bytes to send.
pub fn serve(
    server: &mut Connection,
    config: &ServerConfig,
    wire: &[u8],
    size: usize,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut plaintext, mut output) = (Vec::new(), Vec::new());
    for piece in wire.chunks(size) {
        let received = server.receive(piece)?;
        plaintext.extend(received.plaintext);
        output.extend(received.output);
        if server.hello().is_some() {
            let received = server.choose(config)?;
            plaintext.extend(received.plaintext);
            output.extend(received.output);
        }
    }
    Ok((plaintext, output))
}

/// Likewise for a client.
pub fn take(
    client: &mut Connection,
    wire: &[u8],
    size: usize,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut plaintext, mut output) = (Vec::new(), Vec::new());
    for piece in wire.chunks(size) {
        let received = client.receive(piece)?;
        plaintext.extend(received.plaintext);
        output.extend(received.output);
    }
    Ok((plaintext, output))
}

/// Both after the handshake; `size` cuts what goes from one to the other.
pub fn connected(
    config: &ServerConfig,
    client: &ClientConfig,
    size: usize,
) -> (Connection, Connection) {
    let mut server = Connection::server();
    let mut client = Connection::client(client, "localhost").expect("a good name");
    let mut to_server = client.take_output();
    while !to_server.is_empty() {
        let (_, to_client) =
            serve(&mut server, config, &to_server, size).expect("the client is sound");
        to_server = take(&mut client, &to_client, size)
            .expect("the server is sound")
            .1;
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    (server, client)
}
