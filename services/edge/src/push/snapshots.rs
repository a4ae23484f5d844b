//! What a stream begins with, read once for all clients that come between two ticks: thousands come
//! back at the same time when a server was started anew.

use bytes::Bytes;
use live::hub::Channel;
use tokio::sync::Mutex;

/// The last snapshot of each channel that was asked for as a whole.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Mutex<Vec<(Channel, u64, Vec<Bytes>)>>);

impl Snapshots {
    /// The snapshot of `channel` for a client that stands at `place`; `read` makes it if the last one
    /// was made at another place: what was told since would be missing in it.
    pub(crate) async fn at(
        &self,
        (channel, place): (Channel, u64),
        read: impl Future<Output = Option<Vec<Bytes>>>,
    ) -> Option<Vec<Bytes>> {
        // Whoever comes meanwhile waits here and finds it.
        let mut known = self.0.lock().await;
        let found = known.iter().find(|one| one.0 == channel && one.1 == place);
        if let Some((_, _, frames)) = found {
            return Some(frames.clone());
        }
        let frames = read.await?;
        known.retain(|one| one.0 != channel);
        known.push((channel, place, frames.clone()));
        Some(frames)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn one_snapshot_serves_all_who_stand_at_the_same_place() {
        let (snapshots, reads) = (Snapshots::default(), Cell::new(0));
        let read = || async {
            reads.set(reads.get() + 1);
            Some(vec![Bytes::from(format!("{}", reads.get()))])
        };
        let mut seen = Vec::new();
        for at in
            [(Channel(0), 7), (Channel(0), 7), (Channel(1), 7), (Channel(0), 8), (Channel(1), 7)]
        {
            seen.extend(snapshots.at(at, read()).await.unwrap());
        }
        assert_eq!(seen, ["1", "1", "2", "3", "2"]);
        assert_eq!(snapshots.at((Channel(0), 9), async { None }).await, None);
        assert_eq!(
            snapshots.at((Channel(0), 8), read()).await.unwrap(),
            ["3"],
            "a failure is not kept"
        );
    }
}
