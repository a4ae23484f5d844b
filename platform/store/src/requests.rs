//! Commands that are answered once: the answer is stored with the effect, under the caller's key.

use crate::error::StoreError;
use crate::tx::Tx;
use crate::value::Value;

/// What is known of a request key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// Nothing: the command is to be carried out.
    New,
    /// The same command was carried out; this is its answer.
    Replay(Vec<u8>),
    /// Another command was carried out under this key.
    Mismatch,
}

/// Looks a request key up. `fingerprint` is 16 bytes of hash over the command itself.
pub async fn recall(
    tx: &mut Tx,
    scope: &str,
    key: &str,
    fingerprint: &[u8; 16],
) -> Result<Recall, StoreError> {
    let select = "SELECT fingerprint, response FROM requests \
                  WHERE scope = $1 AND request_key = $2";
    let read = |row: &crate::value::Row<'_>| Ok((row.blob(0)?.to_vec(), row.blob(1)?.to_vec()));
    let found = tx.look_up(select, &[scope.into(), key.into()], read).await?.pop();
    Ok(match found {
        None => Recall::New,
        Some((stored, response)) if stored == fingerprint => Recall::Replay(response),
        Some(_) => Recall::Mismatch,
    })
}

/// Stores the answer of a command in the transaction of its effect.
pub async fn remember(
    tx: &mut Tx,
    scope: &str,
    key: &str,
    fingerprint: &[u8; 16],
    response: &[u8],
) -> Result<(), StoreError> {
    let insert = "INSERT INTO requests (scope, request_key, fingerprint, response, created_at) \
                  VALUES ($1, $2, $3, $4, $5)";
    let now = tx.now();
    let values =
        [scope.into(), key.into(), Value::Bytes16(*fingerprint), response.into(), now.into()];
    tx.execute(insert, &values).await.map(drop)
}

/// A command that is carried out once per key, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The command's name: keys are unique within it.
    pub scope: &'static str,
    /// The caller's key; empty to carry the command out each time it arrives.
    pub key: String,
    /// 16 bytes of hash over the command.
    pub fingerprint: [u8; 16],
}

/// Why a command under a key was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The key belongs to another command.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Once {
    /// The answer given when the command was carried out before, if it was.
    pub async fn first_answer(&self, tx: &mut Tx) -> Result<Option<Vec<u8>>, OnceError> {
        if self.key.is_empty() {
            return Ok(None);
        }
        match recall(tx, self.scope, &self.key, &self.fingerprint).await? {
            Recall::New => Ok(None),
            Recall::Replay(answer) => Ok(Some(answer)),
            Recall::Mismatch => Err(OnceError::KeyReused),
        }
    }

    /// Remembers the answer in the transaction of the command's effect.
    pub async fn keep_answer(&self, tx: &mut Tx, answer: &[u8]) -> Result<(), StoreError> {
        if self.key.is_empty() {
            return Ok(());
        }
        remember(tx, self.scope, &self.key, &self.fingerprint, answer).await
    }
}
