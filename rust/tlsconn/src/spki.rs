//! The public key of a certificate, read with as little trust in the rest of the certificate as possible.
//!
//! Client certificates are only containers of a key, often too minimal for a full X.509 parser, so this walks the DER
//! (RFC 5280 §4.1) just as far as SubjectPublicKeyInfo.
use aws_lc_rs::digest;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// One DER element: its tag, its content, and the whole of it with tag and length.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Reads DER elements one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<Element<'a>> {
        let tag = *self.0.first()?;
        let first = *self.0.get(1)?;
        let (header, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x83 => {
                let count = usize::from(first & 0x7f);
                let bytes = self.0.get(2..2 + count)?;
                (
                    2 + count,
                    bytes.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b)),
                )
            }
            _ => return None,
        };
        let content = self.0.get(header..header.checked_add(length)?)?;
        let (whole, rest) = self.0.split_at(header + length);
        self.0 = rest;
        Some(Element {
            tag,
            content,
            whole,
        })
    }

    fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|e| e.tag == tag)
    }
}

/// SubjectPublicKeyInfo, with tag and length, of a DER certificate; None when the DER cannot be walked that far.
pub fn spki_of(certificate: &[u8]) -> Option<&[u8]> {
    let mut tbs = Der(Der(Der(certificate).expect(SEQUENCE)?.content)
        .expect(SEQUENCE)?
        .content);
    let first = tbs.next()?;
    if first.tag == VERSION {
        tbs.expect(INTEGER)?;
    } else if first.tag != INTEGER {
        return None;
    }
    // signature, issuer, validity, subject
    for _ in 0..4 {
        tbs.expect(SEQUENCE)?;
    }
    tbs.expect(SEQUENCE).map(|e| e.whole)
}

/// SHA-256 of the SubjectPublicKeyInfo of a DER certificate: the identity of its key.
pub fn key_digest(certificate: &[u8]) -> Option<[u8; 32]> {
    digest::digest(&digest::SHA256, spki_of(certificate)?)
        .as_ref()
        .try_into()
        .ok()
}

/// Algorithm identifier (content) and key bits of a SubjectPublicKeyInfo.
fn key_parts(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Der(Der(spki).expect(SEQUENCE)?.content);
    let algorithm = fields.expect(SEQUENCE)?.content;
    let bits = fields.expect(BIT_STRING)?.content;
    match bits.split_first() {
        Some((0, key)) => Some((algorithm, key)),
        _ => None,
    }
}

/// Verifies a handshake signature with the key of `certificate`. `tls13` narrows the schemes (RFC 8446 §4.2.3).
pub(crate) fn verify_signature(
    message: &[u8],
    certificate: &[u8],
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
    tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = |why| Error::InvalidCertificate(why);
    if tls13 && is_pkcs1(signed.scheme) {
        return Err(bad(CertificateError::BadSignature));
    }
    let (id, key) = spki_of(certificate)
        .and_then(key_parts)
        .ok_or_else(|| bad(CertificateError::BadEncoding))?;
    let candidates = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .map_or(&[][..], |m| m.1);
    // In TLS 1.3 an ECDSA scheme names its curve, and only the first candidate has that one.
    let candidates = if tls13 {
        candidates.get(..1).unwrap_or_default()
    } else {
        candidates
    };
    for algorithm in candidates {
        if algorithm.public_key_alg_id().as_ref() == id {
            return algorithm
                .verify_signature(key, message, signed.signature())
                .map(|()| HandshakeSignatureValid::assertion())
                .map_err(|_| bad(CertificateError::BadSignature));
        }
    }
    Err(bad(CertificateError::BadSignature))
}

fn is_pkcs1(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PKCS1_SHA1
            | SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }

    fn certificate(version: bool) -> (Vec<u8>, Vec<u8>) {
        let spki = element(
            SEQUENCE,
            &[
                element(SEQUENCE, b"\x06\x01\x2a"),
                element(BIT_STRING, b"\0key"),
            ]
            .concat(),
        );
        let mut tbs = Vec::new();
        if version {
            tbs.extend(element(VERSION, &element(INTEGER, &[2])));
        }
        tbs.extend(element(INTEGER, &[1]));
        for _ in 0..4 {
            tbs.extend(element(SEQUENCE, b""));
        }
        tbs.extend(&spki);
        (element(SEQUENCE, &element(SEQUENCE, &tbs)), spki)
    }

    #[test]
    fn finds_the_key_with_and_without_version() {
        for version in [false, true] {
            let (der, spki) = certificate(version);
            assert_eq!(spki_of(&der), Some(&spki[..]));
            assert_eq!(key_parts(&spki), Some((&b"\x06\x01\x2a"[..], &b"key"[..])));
        }
    }

    #[test]
    fn truncated_certificates_have_no_key() {
        let (der, _) = certificate(true);
        for end in 0..der.len() {
            assert_eq!(spki_of(&der[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data: Vec<u8>) {
            let _ = spki_of(&data).and_then(key_parts);
        }
    }
}
