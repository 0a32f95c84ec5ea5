//! What holds for every cut of the wire, every damage and every stranger.
use proptest::prelude::*;
use tlsconn::{key_digest, Connection, Roots, ServerConfig, ServerOptions, TicketKeys};

mod peers;
use peers::{client_config, connected, serve, server_config, take};

/// Few cases, unless PROPTEST_CASES says otherwise: each is one handshake or more.
fn few_cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(24),
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn any_pieces_arrive_whole(
        handshake in 1usize..700, size in 1usize..20_000,
        messages in proptest::collection::vec((any::<bool>(), any::<u8>(), 0usize..40_000), 0..6),
    ) {
        let config = server_config();
        let (mut server, mut client) = connected(&config, &client_config(), handshake);
        for (to_server, byte, count) in messages {
            let message = vec![byte; count];
            let got = if to_server {
                let wire = client.write(&message).unwrap();
                serve(&mut server, &config, &wire, size).unwrap().0
            } else {
                let wire = server.write(&message).unwrap();
                take(&mut client, &wire, size).unwrap().0
            };
            prop_assert_eq!(got, message);
        }
        let end = client.close();
        prop_assert!(server.receive(&end).unwrap().closed);
        prop_assert!(client.write(b"x").is_err());
        prop_assert!(server.write(b"y").is_ok());
    }

    #[test]
    fn damage_is_never_taken_for_data(place: prop::sample::Index, bits in 1u8.., cut in any::<bool>()) {
        let config = server_config();
        let (mut server, mut client) = connected(&config, &client_config(), 1000);
        let mut wire = client.write(b"first").unwrap();
        wire.extend(client.write(b"second").unwrap());
        wire.extend(client.close());
        let place = place.index(wire.len());
        if cut {
            // A truncated stream looks like an end, but not like a proper one.
            let received = server.receive(&wire[..place]).unwrap();
            prop_assert!(b"firstsecond".starts_with(&received.plaintext) && !received.closed);
        } else {
            wire[place] ^= bits;
            let mut got = Vec::new();
            for piece in wire.chunks(7) {
                let Ok(received) = server.receive(piece) else {
                    prop_assert!(server.receive(b"").is_err() && server.write(b"x").is_err());
                    break;
                };
                got.extend(received.plaintext);
                prop_assert!(b"firstsecond".starts_with(&got));
            }
        }
    }

    #[test]
    fn damaged_handshakes_fail_or_go_on(place: prop::sample::Index, bits: u8, size in 1usize..500) {
        let config = server_config();
        let mut server = Connection::server();
        let mut client = Connection::client(&client_config(), "localhost").unwrap();
        let mut hello = client.take_output();
        let at = place.index(hello.len());
        hello[at] ^= bits;
        if let Ok((_, answer)) = serve(&mut server, &config, &hello, size) {
            let _ = take(&mut client, &answer, size);
        }
        let _ = (server.take_output(), client.take_output());
    }

    #[test]
    fn strangers_are_survived(data: Vec<u8>, head in prop_oneof![Just(vec![]), Just(vec![0x16, 3, 1]), Just(vec![0x80, 0x2e, 1])]) {
        let data = [head, data].concat();
        let _ = key_digest(&data);
        let _ = Roots::new(&data);
        let _ = TicketKeys::new(&[&data]);
        let _ = ServerConfig::new(ServerOptions { keys: vec![(data.clone(), data.clone())], ..ServerOptions::default() });
        let config = server_config();
        let mut server = Connection::server();
        let _ = serve(&mut server, &config, &data, 3);
        prop_assert!(server.is_handshaking());
        let mut client = Connection::client(&client_config(), "localhost").unwrap();
        let _ = take(&mut client, &data, 3);
        prop_assert!(client.is_handshaking());
        let _ = (server.close(), client.close());
        let _ = Connection::client(&client_config(), &String::from_utf8_lossy(&data));
    }
}
