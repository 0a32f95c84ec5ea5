//! Session tickets under keys given from outside, so that all workers of a host accept each other's tickets.
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, NONCE_LEN};
use aws_lc_rs::{hmac, rand};
use rustls::server::ProducesTickets;

use crate::error::{Error, Kind};

const KEY_LEN: usize = 32;
const NAME_LEN: usize = 16;
const TAG_LEN: usize = 16;
/// More keys than this are a mistake: eight are in use with daily keys that live a week.
const MAX_KEYS: usize = 64;
/// RFC 8446 §4.6.1 allows at most seven days.
const LIFETIME_S: u32 = 7 * 24 * 3600;

/// A ticket key: a public name by which a ticket finds it again, and the cipher.
struct TicketKey {
    name: [u8; NAME_LEN],
    aead: LessSafeKey,
}

impl TicketKey {
    fn new(secret: &[u8]) -> Result<Self, Error> {
        let wrong = || Error::new(Kind::Config, "a ticket key must be 32 random bytes");
        if secret.len() != KEY_LEN {
            return Err(wrong());
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived_name = hmac::sign(&secret, b"mox ticket key name");
        let derived_key = hmac::sign(&secret, b"mox ticket key aead");
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&derived_name.as_ref()[..NAME_LEN]);
        let aead = UnboundKey::new(&AES_256_GCM, derived_key.as_ref()).map_err(|_| wrong())?;
        Ok(TicketKey {
            name,
            aead: LessSafeKey::new(aead),
        })
    }
}

/// The current keys; replaced as a whole when they rotate.
#[derive(Default)]
pub struct TicketKeys {
    keys: RwLock<Arc<Vec<TicketKey>>>,
}

impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketKeys")
            .field("count", &self.current().len())
            .finish()
    }
}

impl TicketKeys {
    /// Keys of 32 random bytes: the first encrypts, all decrypt. Without keys no tickets are sent.
    pub fn new<K: AsRef<[u8]>>(keys: &[K]) -> Result<Self, Error> {
        let made = TicketKeys::default();
        made.replace(keys)?;
        Ok(made)
    }

    /// Put other keys in force, also for connections that exist already.
    pub fn replace<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<(), Error> {
        if keys.len() > MAX_KEYS {
            return Err(Error::new(
                Kind::Config,
                format!("more than {MAX_KEYS} ticket keys"),
            ));
        }
        let keys = keys
            .iter()
            .map(|k| TicketKey::new(k.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn current(&self) -> Arc<Vec<TicketKey>> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        !self.current().is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.current();
        let key = keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut out = Vec::with_capacity(NAME_LEN + NONCE_LEN + plain.len() + TAG_LEN);
        out.extend(key.name);
        out.extend(nonce);
        let mut sealed = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.aead
            .seal_in_place_append_tag(nonce, Aad::from(key.name), &mut sealed)
            .ok()?;
        out.extend(sealed);
        Some(out)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = cipher.split_at_checked(NAME_LEN)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.current();
        let key = keys.iter().find(|k| k.name == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let length = key
            .aead
            .open_in_place(nonce, Aad::from(key.name), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(length);
        Some(sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_decrypt_until_removed() {
        let keys = TicketKeys::new(&[[1u8; 32]]).unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        keys.replace(&[[2u8; 32], [1u8; 32]]).unwrap();
        assert_eq!(keys.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_ne!(
            keys.encrypt(b"session").unwrap()[..NAME_LEN],
            ticket[..NAME_LEN]
        );
        keys.replace(&[[2u8; 32]]).unwrap();
        assert_eq!(keys.decrypt(&ticket), None);
    }

    #[test]
    fn changed_or_cut_tickets_are_refused() {
        let keys = TicketKeys::new(&[[1u8; 32]]).unwrap();
        let ticket = keys.encrypt(b"session").unwrap();
        for i in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[i] ^= 1;
            assert_eq!(keys.decrypt(&changed), None);
            assert_eq!(keys.decrypt(&ticket[..i]), None);
        }
    }

    #[test]
    fn no_keys_no_tickets() {
        let keys = TicketKeys::default();
        assert!(!keys.enabled());
        assert_eq!(keys.encrypt(b"x"), None);
        assert!(TicketKeys::new(&[b"short"]).is_err());
    }
}
