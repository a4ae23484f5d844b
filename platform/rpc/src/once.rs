//! Commands under an idempotency key.

use contracts::Problem;
use prost::Message;
use store::requests::Once;

/// The longest idempotency key, in bytes.
const KEY_MAX: usize = 255;

/// Prepares a command for being carried out once: `request` is the command with its key cleared.
pub fn once<M: Message>(scope: &'static str, key: &str, request: &M) -> Result<Once, Problem> {
    if key.len() > KEY_MAX || !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(Problem::bad_idempotency_key(format!(
            "an idempotency key has at most {KEY_MAX} printable ASCII characters"
        )));
    }
    let mut fingerprint = [0; 16];
    let hash = blake3::hash(&request.encode_to_vec());
    fingerprint.copy_from_slice(&hash.as_bytes()[..16]);
    Ok(Once { scope, key: key.to_owned(), fingerprint })
}
