//! Many records, and long ones, take time and memory in proportion to their size.
use growth::repeated;
use tlsconn::key_digest;

mod peers;
use peers::{client_config, connected, serve, server_config};

#[global_allocator]
static ALLOCATOR: growth::Counting = growth::Counting;

/// A record is encrypted, sent, decrypted and handed on: each a copy.
const LIMITS: growth::Limits = growth::Limits {
    factor: 20,
    constant: 1_000_000,
};

fn inputs(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("text", repeated("", "some text\r\n", size)),
        ("nested elements", repeated("", "0", size)),
    ]
}

#[test]
fn time_and_memory_grow_with_the_input() {
    let (server_config, client_config) = (server_config(), client_config());
    growth::check(inputs, LIMITS, |data| {
        let _ = key_digest(data);
        let (mut server, mut client) = connected(&server_config, &client_config, 10_000);
        let mut wire = client.write(data).expect("the connection is open");
        for small in data.chunks(100) {
            wire.extend(client.write(small).expect("the connection is open"));
        }
        let (plaintext, _) =
            serve(&mut server, &server_config, &wire, 1 << 16).expect("the client is sound");
        assert_eq!(plaintext.len(), 2 * data.len());
    });
}
