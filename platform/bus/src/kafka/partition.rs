//! Which partition a key belongs to: as the Java client decides, so that all producers agree.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;

/// Murmur2, as `org.apache.kafka.common.utils.Utils.murmur2` computes it.
fn murmur2(bytes: &[u8]) -> u32 {
    let mut hash = SEED ^ u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(M) ^ mixed.wrapping_mul(M);
    }
    for (place, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (place.saturating_mul(8));
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of `key` among `partitions`.
pub(crate) fn of(key: &[u8], partitions: u16) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    let partition = positive.checked_rem(u32::from(partitions)).unwrap_or(0);
    i32::try_from(partition).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hashed_as_the_java_client_does() {
        // From the Java client's own test, UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn every_key_has_a_partition_that_exists() {
        for key in 0..1_000_u32 {
            let partition = of(&key.to_be_bytes(), 12);
            assert!((0..12).contains(&partition));
        }
        assert_eq!(of(b"alone", 1), 0);
    }
}
