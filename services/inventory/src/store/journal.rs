//! The journal: entries chained by hash and by position.
//!
//! Each entry holds the position of the entry before it of the same level, and two longer hops: to
//! the last entry whose sequence is a multiple of 64, and of 4,096. From the level's last entry any
//! other is found in at most (entries ÷ 4,096) + 64 + 64 reads by key, without an index.

use std::array::TryFromSliceError;
use std::borrow::Cow;
use std::sync::Arc;

use contracts::Timestamp;
use store::{Append, Row, StoreError, Table, Tx, Value};

use crate::domain::{Balances, Cause, Entry, Kind, LevelId};

/// Sequences at multiples of this are reached by `hop_64`.
const NEAR: u64 = 64;
/// Sequences at multiples of this are reached by `hop_4096`.
const FAR: u64 = 4_096;

/// The end of a level's chain: what the next entry must know of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tip {
    /// Position of the last entry, 0 if there is none.
    pub position: i64,
    /// Its hash.
    pub hash: [u8; 16],
    /// The last multiple of 64, this entry included.
    pub near: i64,
    /// The last multiple of 4,096, this entry included.
    pub far: i64,
}

/// One entry as a row.
#[derive(Debug, Clone)]
pub struct JournalRow {
    /// The place in the whole journal.
    pub position: i64,
    /// The level.
    pub level: LevelId,
    /// The place within the level.
    pub sequence: u64,
    /// What changed it.
    pub kind: Kind,
    /// By how much.
    pub delta: Balances,
    /// The balances afterwards.
    pub balances: Balances,
    /// The order behind it, and the step.
    pub order: Option<(i64, u64)>,
    /// The document behind it.
    pub document: Option<Arc<str>>,
    /// Who; none is inventory itself.
    pub actor: Option<Arc<str>>,
    /// Why, for people.
    pub reason: Cow<'static, str>,
    /// When.
    pub at: Timestamp,
    /// Position of the entry before it.
    pub previous: i64,
    /// Position of the last multiple of 64 before it, or 0.
    pub near: i64,
    /// Position of the last multiple of 4,096 before it, or 0.
    pub far: i64,
    /// The chained hash.
    pub hash: [u8; 16],
}

impl JournalRow {
    /// The row of `entry` at `position`, chained to `tip`; and the new tip.
    pub fn chained(
        entry: Entry,
        level: LevelId,
        at: Timestamp,
        tip: Tip,
        position: i64,
    ) -> (Self, Tip) {
        let (order, document) = match entry.why.cause {
            Cause::Order { id, step } => (Some((id.number().as_i64(), step)), None),
            Cause::Document(document) => (None, Some(document)),
            Cause::Person => (None, None),
        };
        let mut row = Self {
            position,
            level,
            sequence: entry.sequence,
            kind: entry.kind,
            delta: entry.delta,
            balances: entry.balances,
            order,
            document,
            actor: entry.why.actor,
            reason: entry.why.reason,
            at,
            previous: tip.position,
            near: tip.near,
            far: tip.far,
            hash: [0; 16],
        };
        row.hash = row.hash_after(&tip.hash);
        let tip = row.tip();
        (row, tip)
    }

    /// The hash of this entry behind an entry of hash `before`. Everything that is told of the
    /// entry goes in; positions do not, they follow from the chain.
    pub fn hash_after(&self, before: &[u8; 16]) -> [u8; 16] {
        // 128 bytes: two blocks of the hash, and no more.
        let mut bytes = [0; 16 + 14 * 8];
        let has_texts =
            (i64::from(self.document.is_some()) << 8) | (i64::from(self.actor.is_some()) << 9);
        let (order, step) = self.order.map_or((-1, 0), |(number, step)| (number, signed(step)));
        let numbers = [
            self.level.0,
            signed(self.sequence),
            i64::from(self.kind.code()) | has_texts,
            self.delta.on_hand,
            self.delta.held,
            self.delta.allocated,
            self.delta.quarantined,
            self.balances.on_hand,
            self.balances.held,
            self.balances.allocated,
            self.balances.quarantined,
            order,
            step,
            self.at.as_micros(),
        ];
        let (chained, rest) = bytes.split_at_mut(16);
        chained.copy_from_slice(before);
        for (place, number) in rest.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bytes);
        let texts = [self.document.as_deref(), self.actor.as_deref(), Some(self.reason.as_ref())];
        for text in texts.into_iter().flatten().filter(|text| !text.is_empty()) {
            hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        hash
    }

    /// The place of this entry as the end of its chain.
    pub const fn tip(&self) -> Tip {
        let position = self.position;
        let near = if self.sequence.is_multiple_of(NEAR) { position } else { self.near };
        let far = if self.sequence.is_multiple_of(FAR) { position } else { self.far };
        Tip { position, hash: self.hash, near, far }
    }

    pub(crate) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let balances = |first: usize| -> Result<Balances, StoreError> {
            Ok(Balances {
                on_hand: row.int(first)?,
                held: row.int(first + 1)?,
                allocated: row.int(first + 2)?,
                quarantined: row.int(first + 3)?,
            })
        };
        let order = match (row.opt_int(12)?, row.opt_int(13)?) {
            (Some(number), Some(_)) => Some((number, row.count(13)?)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(row.damaged(13, "an order without a step, or a step without an order"));
            }
        };
        let kind = Kind::of_code(row.int(3)?);
        let text = |column| row.opt_text(column).map(|text| text.map(Arc::<str>::from));
        Ok(Self {
            position: row.int(0)?,
            level: LevelId(row.int(1)?),
            sequence: row.count(2)?,
            kind: kind.ok_or_else(|| row.damaged(3, "no such kind"))?,
            delta: balances(4)?,
            balances: balances(8)?,
            order,
            document: text(14)?,
            actor: text(15)?,
            reason: row.opt_text(16)?.map_or(Cow::Borrowed(""), |text| text.to_owned().into()),
            at: row.timestamp(17)?,
            previous: row.int(18)?,
            near: row.int(19)?,
            far: row.int(20)?,
            hash: row
                .blob(21)?
                .try_into()
                .map_err(|why: TryFromSliceError| row.damaged(21, &why.to_string()))?,
        })
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) const JOURNAL_COLUMNS: &str = "position, level, sequence, kind, d_on_hand, d_held, \
     d_allocated, d_quarantined, on_hand, held, allocated, quarantined, order_number, step, \
     document, actor, reason, at, previous, hop_64, hop_4096, hash";

impl Append for JournalRow {
    const TABLE: Table = Table {
        name: "stock_journal",
        columns: &[
            "position",
            "level",
            "sequence",
            "kind",
            "d_on_hand",
            "d_held",
            "d_allocated",
            "d_quarantined",
            "on_hand",
            "held",
            "allocated",
            "quarantined",
            "order_number",
            "step",
            "document",
            "actor",
            "reason",
            "at",
            "previous",
            "hop_64",
            "hop_4096",
            "hash",
        ],
    };

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        let reason = (!self.reason.is_empty()).then_some(self.reason.as_ref());
        row.extend([self.position.into(), self.level.0.into(), self.sequence.into()]);
        row.push(self.kind.code().into());
        for Balances { on_hand, held, allocated, quarantined } in [self.delta, self.balances] {
            row.extend([on_hand.into(), held.into(), allocated.into(), quarantined.into()]);
        }
        row.extend([
            self.order.map(|order| order.0).into(),
            self.order.map(|order| order.1).into(),
            self.document.as_deref().into(),
            self.actor.as_deref().into(),
            reason.into(),
            self.at.into(),
            self.previous.into(),
            self.near.into(),
            self.far.into(),
            Value::Bytes16(self.hash),
        ]);
    }
}

/// The end of the chain of a level whose last entry is at `position`. Of a level in memory it is
/// known; it is read only after the level itself was read.
pub(crate) async fn tip(tx: &mut Tx, position: i64) -> Result<Tip, StoreError> {
    let select = format!("SELECT {JOURNAL_COLUMNS}\nFROM stock_journal\nWHERE position = $1");
    let found = tx.look_up(&select, &[position.into()], JournalRow::read).await?.pop();
    found.map(|entry| entry.tip()).ok_or_else(|| missing(position))
}

pub(super) fn missing(position: i64) -> StoreError {
    StoreError::Damaged {
        table: "stock_journal".to_owned(),
        column: "position".to_owned(),
        row: position.to_string(),
        why: "another row names it and it is not there".to_owned(),
    }
}
