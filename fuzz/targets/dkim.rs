//! Any split of a body gives the same hash; headers are split and canonicalized.
#![no_main]
use dkimcanon::{canon_header, hash_bodies, signed_data, Algorithm, BodyHasher, BodySpec, Canon};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, data)) = data.split_first() else {
        return;
    };
    for canon in [Canon::Simple, Canon::Relaxed] {
        let algorithm = Algorithm::Sha256;
        let mut hasher = BodyHasher::new(canon, algorithm, None);
        for piece in data.chunks(usize::from(cut) + 1) {
            hasher.feed(piece);
        }
        let spec = BodySpec {
            canon,
            algorithm,
            length: None,
        };
        assert_eq!(hash_bodies(data, &[spec]), [hasher.finish()]);
        assert!(canon_header(data, canon).len() <= data.len());
        let _ = signed_data(data, &["from", "to", "from"], data, canon);
    }
});
