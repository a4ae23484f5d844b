//! Commands on one order, each carried out once per request key.

use std::sync::Arc;

use ::store::Tx;
use ::store::requests::Once;
use contracts::OrderId;

use super::Orders;
use super::change::Changes;
use crate::domain::{AttentionAction, Cause, Fact, Order, Text, Units};
use crate::error::OrderError;

/// What is to be done with an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Cancel it whole.
    Cancel {
        /// Why.
        reason: String,
    },
    /// Give up units.
    CancelLines {
        /// Which.
        lines: Vec<Units>,
        /// Why.
        reason: String,
    },
    /// Go on with what is in stock.
    Accept,
    /// Go on with other quantities.
    Amend {
        /// The units that the named lines shall have.
        lines: Vec<Units>,
    },
    /// Do not go on.
    Decline {
        /// Why.
        reason: String,
    },
    /// Dispatch units.
    Dispatch {
        /// Which; all that are allocated if empty.
        lines: Vec<Units>,
        /// Who carries them.
        carrier: String,
        /// The carrier's number.
        tracking: String,
    },
    /// Stop it.
    Hold {
        /// Why.
        reason: String,
    },
    /// Let it go on.
    Resume,
    /// Settle what cannot go on by itself.
    Settle {
        /// How.
        action: AttentionAction,
        /// Why.
        reason: String,
    },
}

impl Command {
    fn fact(&self) -> Fact<'_> {
        match self {
            Self::Cancel { reason } => Fact::Cancel { reason },
            Self::CancelLines { lines, reason } => Fact::CancelLines { lines, reason },
            Self::Accept => Fact::DecideAccept,
            Self::Amend { lines } => Fact::DecideAmend { lines },
            Self::Decline { reason } => Fact::DecideCancel { reason },
            Self::Dispatch { lines, carrier, tracking } => {
                Fact::Dispatch { lines, carrier, tracking }
            }
            Self::Hold { reason } => Fact::Hold { reason },
            Self::Resume => Fact::Resume,
            Self::Settle { action, reason } => Fact::Attention { action: *action, reason },
        }
    }
}

/// Who asks for a command, about which order, and under which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The order.
    pub order: OrderId,
    /// The version that the caller saw; `None` for any.
    pub version: Option<u64>,
    /// Who asks.
    pub actor: Text,
    /// The request's key.
    pub once: Once,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out now: the order afterwards.
    Fresh(Box<Order>),
    /// It had been carried out before: the bytes of the first answer.
    Replayed(Vec<u8>),
}

impl Orders {
    /// Carries out `command`. `answer` makes the bytes that a repeated request is answered with.
    pub async fn command(
        self: &Arc<Self>,
        asked: Asked,
        command: Command,
        answer: fn(&Order) -> Vec<u8>,
    ) -> Result<Answer, OrderError> {
        let orders = Arc::clone(self);
        self.store
            .transact(move |tx| {
                Box::pin(async move { orders.obey(tx, &asked, &command, answer).await })
            })
            .await
    }

    async fn obey(
        &self,
        tx: &mut Tx,
        asked: &Asked,
        command: &Command,
        answer: fn(&Order) -> Vec<u8>,
    ) -> Result<Answer, OrderError> {
        if let Some(first) = asked.once.first_answer(tx).await? {
            return Ok(Answer::Replayed(first));
        }
        let current = load(tx, asked.order).await?.version;
        if let Some(expected) = asked.version.filter(|expected| *expected != current) {
            return Err(OrderError::StaleVersion { current, expected });
        }
        let cause = Cause::Actor(Text::clone(&asked.actor));
        let mut changes = Changes::new(&self.live);
        self.apply(tx, asked.order, &command.fact(), &cause, &mut changes)?;
        changes.tell_after_commit(tx);
        let order = load(tx, asked.order).await?.clone();
        asked.once.keep_answer(tx, &answer(&order)).await?;
        Ok(Answer::Fresh(Box::new(order)))
    }
}

/// The order `id`, in a transaction.
async fn load(tx: &mut Tx, id: OrderId) -> Result<&Order, OrderError> {
    tx.load::<Order>(&[id.number()]).await?;
    let order = tx.get::<Order>(&id.number()).filter(|order| order.placed.id == id);
    order.ok_or(OrderError::NotFound(id))
}
