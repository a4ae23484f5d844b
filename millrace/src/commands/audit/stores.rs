//! The stores that are audited together: whose tables each has, and what is on its way from it.

use std::collections::{HashMap, HashSet};

use bus::kafka::positions::RELAY;
use contracts::{Position, Topic};
use store::{Row, Rx, StoreError};

/// One store of the system.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// What its tables are named by, where every store has such a table.
    pub(super) name: String,
    /// The services whose tables it has.
    pub(super) services: Vec<String>,
    /// Where each reader of its log stands.
    pub(super) positions: Vec<(String, Position)>,
    /// Everything before is handled by everybody, but for the topics in `lagging`.
    pub(super) handled: Position,
    /// Topics of which some consumer has not read all that was published.
    pub(super) lagging: HashSet<Topic>,
}

/// By topic and partition, an offset.
type Offsets = HashMap<(String, i64), i64>;

/// Looks at each of the stores, by what its tables are named by.
pub(super) async fn read(rx: &mut Rx, names: Vec<String>) -> Result<Vec<File>, StoreError> {
    let mut files = Vec::new();
    // Consumers first: what they have not read was published before the relays are looked at.
    let (mut read, mut published) = (Vec::new(), Vec::new());
    for name in names {
        let services = services(rx, &name).await?;
        let is_on_kafka = services.iter().any(|service| service == "bus");
        if is_on_kafka {
            let select = format!(
                "SELECT topic, part, MIN(next_offset) FROM {name}.bus_offsets GROUP BY topic, part"
            );
            read.push(offsets(rx, &select).await?);
        }
        let (positions, handled) = (Vec::new(), Position::start_of(1));
        files.push((
            is_on_kafka,
            File { name, services, positions, handled, lagging: HashSet::new() },
        ));
    }
    for (is_on_kafka, file) in &mut files {
        file.positions = positions(rx, &file.name).await?;
        let readers = file.positions.iter();
        let first = readers.filter(|(name, _)| !*is_on_kafka || name == RELAY);
        let first = first.map(|(_, position)| *position).min();
        // Without consumers there is nobody to wait for; a relay is always there.
        let nobody = Position { segment: u64::MAX, index: 0 };
        let unread = if *is_on_kafka { Position::start_of(1) } else { nobody };
        file.handled = first.unwrap_or(unread);
        if *is_on_kafka {
            let name = &file.name;
            let select = format!("SELECT topic, part, next_offset FROM {name}.bus_published");
            published.push(offsets(rx, &select).await?);
        }
    }
    let lagging = lagging(&read, &published);
    let with = |(_, file): (bool, File)| File { lagging: lagging.clone(), ..file };
    Ok(files.into_iter().map(with).collect())
}

async fn services(rx: &mut Rx, name: &str) -> Result<Vec<String>, StoreError> {
    let select = format!("SELECT DISTINCT service FROM {name}.schema_versions");
    rx.query(&select, &[], |row| Ok(row.text(0)?.to_owned())).await
}

async fn offsets(rx: &mut Rx, select: &str) -> Result<Offsets, StoreError> {
    let read = |row: &Row<'_>| Ok(((row.text(0)?.to_owned(), row.int(1)?), row.int(2)?));
    Ok(rx.query(select, &[], read).await?.into_iter().collect())
}

async fn positions(rx: &mut Rx, name: &str) -> Result<Vec<(String, Position)>, StoreError> {
    let select = format!("SELECT consumer, segment, place FROM {name}.inbox ORDER BY consumer");
    rx.query(&select, &[], |row| {
        let index = u32::try_from(row.int(2)?).map_err(|_large| row.damaged(2, "out of range"))?;
        Ok((row.text(0)?.to_owned(), Position { segment: row.count(1)?, index }))
    })
    .await
}

fn lagging(read: &[Offsets], published: &[Offsets]) -> HashSet<Topic> {
    let topic = |name: &str| Topic::ALL.into_iter().find(|topic| topic.name() == name);
    let mut lagging = HashSet::new();
    for ((name, partition), end) in published.iter().flatten() {
        let place = (name.clone(), *partition);
        let behind = read.iter().filter_map(|offsets| offsets.get(&place)).any(|next| next < end);
        lagging.extend(topic(name).filter(|_| behind));
    }
    lagging
}
