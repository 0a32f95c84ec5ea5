//! DANE: matching a server's chain with TLSA records (RFC 6698, RFC 7671).
use aws_lc_rs::digest;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::ParsedCertificate;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::error::{Error, Kind};
use crate::spki::spki_of;

/// One TLSA record (RFC 6698 §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE; records with other values are skipped.
    pub usage: u8,
    /// 0: the whole certificate, 1: its SubjectPublicKeyInfo.
    pub selector: u8,
    /// 0: the data themselves, 1: their SHA-256, 2: their SHA-512.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

impl Tlsa {
    fn matches(&self, certificate: &[u8]) -> bool {
        let selected = match self.selector {
            0 => certificate,
            1 => match spki_of(certificate) {
                Some(spki) => spki,
                None => return false,
            },
            _ => return false,
        };
        match self.matching {
            0 => self.data == selected,
            1 => digest::digest(&digest::SHA256, selected).as_ref() == self.data,
            2 => digest::digest(&digest::SHA512, selected).as_ref() == self.data,
            _ => false,
        }
    }

    /// The record is itself a trust anchor that the server need not send.
    fn is_whole_certificate(&self) -> bool {
        self.selector == 0 && self.matching == 0
    }
}

/// What a server presented, and what it is judged with.
pub(crate) struct Presented<'a> {
    pub leaf: &'a CertificateDer<'a>,
    pub intermediates: &'a [CertificateDer<'a>],
    /// Any of these names will do.
    pub names: &'a [ServerName<'static>],
    /// The trusted CAs, for usages 0 and 1.
    pub roots: &'a [CertificateDer<'static>],
    pub now: UnixTime,
    pub algorithms: &'a WebPkiSupportedAlgorithms,
}

impl Presented<'_> {
    /// Index of the first record that the chain satisfies; else the most telling failure.
    pub fn verify_dane(&self, records: &[Tlsa]) -> Result<usize, Error> {
        let mut failure = Error::new(Kind::Dane, "no TLSA record matches the certificate");
        for (index, record) in records.iter().enumerate() {
            match self.verify_record(record) {
                Ok(true) => return Ok(index),
                Ok(false) => {}
                Err(err) => failure = err,
            }
        }
        Err(failure)
    }

    fn verify_record(&self, record: &Tlsa) -> Result<bool, Error> {
        match record.usage {
            0 => self.verify_pkix_ta(record),
            1 if record.matches(self.leaf) => {
                self.verify_anchored(self.roots.iter()).map(|()| true)
            }
            2 => self.verify_dane_ta(record),
            // Names, dates and issuer mean nothing (RFC 7671 §5.1).
            3 => Ok(record.matches(self.leaf)),
            _ => Ok(false),
        }
    }

    fn verify_pkix_ta(&self, record: &Tlsa) -> Result<bool, Error> {
        let mut anchors = self
            .intermediates
            .iter()
            .chain(self.roots)
            .filter(|cert| record.matches(cert))
            .peekable();
        if anchors.peek().is_none() {
            return Ok(false);
        }
        self.verify_anchored(self.roots.iter())?;
        self.verify_anchored(anchors).map(|()| true)
    }

    fn verify_dane_ta(&self, record: &Tlsa) -> Result<bool, Error> {
        let inline = record
            .is_whole_certificate()
            .then(|| CertificateDer::from(record.data.as_slice()));
        let mut anchors = std::iter::once(self.leaf)
            .chain(self.intermediates)
            .filter(|cert| record.matches(cert))
            .chain(&inline)
            .peekable();
        if anchors.peek().is_none() {
            return Ok(false);
        }
        self.verify_anchored(anchors).map(|()| true)
    }

    /// Chain, dates and name with these certificates as the only trust anchors.
    pub fn verify_anchored<'a>(
        &self,
        anchors: impl Iterator<Item = &'a CertificateDer<'a>>,
    ) -> Result<(), Error> {
        let mut store = RootCertStore::empty();
        for anchor in anchors {
            // One that does not parse anchors nothing.
            let _ = store.add(anchor.clone().into_owned());
        }
        self.verify_with(&store)
    }

    /// The same with a store that is ready.
    pub fn verify_with(&self, store: &RootCertStore) -> Result<(), Error> {
        if store.is_empty() {
            return Err(Error::new(
                Kind::CertificateIssuer,
                "no trusted certificate to verify with",
            ));
        }
        let leaf = ParsedCertificate::try_from(self.leaf)?;
        verify_server_cert_signed_by_trust_anchor(
            &leaf,
            store,
            self.intermediates,
            self.now,
            self.algorithms.all,
        )?;
        let mut result = Err(Error::new(Kind::CertificateName, "no name to verify"));
        for name in self.names {
            result = verify_server_name(&leaf, name).map_err(Error::from);
            if result.is_ok() {
                break;
            }
        }
        result
    }
}
