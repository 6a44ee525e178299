//! What follows from an account, a source or an id by hashing: as `schemas.identity` and `schemas.topics` have it.

use sha2::{Digest, Sha256};

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
/// Where a UUID has its time, the key of a text has zeros.
const NO_TIME: [u8; 6] = [0; 6];
pub const KEY_BYTES: usize = 32;

/// The partition that Java clients choose for a key.
pub fn partition_for(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// MurmurHash2 as Kafka's Java client has it.
fn murmur2(data: &[u8]) -> u32 {
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mixed = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ mixed >> 24).wrapping_mul(M);
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        let word = tail.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

/// 16 bytes: of topic and account, or of a source alone.
pub fn hash_parts(parts: &[&str]) -> u128 {
    let digest = digest_parts(parts);
    u128::from_be_bytes(std::array::from_fn(|at| digest[at]))
}

/// The key of an event whose id is a text.
pub fn text_key(topic: &str, account_id: &str, source: &str, event_id: &str) -> [u8; KEY_BYTES] {
    let digest = digest_parts(&[topic, account_id, source, event_id]);
    let mut key = [0; KEY_BYTES];
    key[NO_TIME.len()..].copy_from_slice(&digest[..KEY_BYTES - NO_TIME.len()]);
    key
}

/// The key of an event whose id is a UUID. None where it begins as the keys of texts do: it has one of those.
pub fn uuid_key(uuid: &[u8; 16], account: u128, source: u128) -> Option<[u8; KEY_BYTES]> {
    if uuid.starts_with(&NO_TIME) {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    key[..uuid.len()].copy_from_slice(uuid);
    key[uuid.len()..].copy_from_slice(&(account ^ source).to_be_bytes());
    Some(key)
}

/// No part can hold the NUL that joins them.
fn digest_parts(parts: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            digest.update([0]);
        }
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}
