//! The thread that turns ticks into bytes. A thread of its own: at full load a tick is some
//! milliseconds of work, for which no request shall wait.

use std::time::{Duration, Instant};

use contracts_grpc::v1;
use futures::StreamExt as _;
use live::sse::Sender;
use tokio::runtime::Handle;

use super::project::{Kept, Projection, whole_order};
use super::{Inbox, Live, Log};
use crate::Services;

/// How long the first change after a quiet time waits for what belongs to it.
const GATHER: Duration = Duration::from_millis(10);
/// Longest rest of a thread that nothing happens for: it looks whether it shall stop.
const REST: Duration = Duration::from_millis(250);
/// Between two questions for the alerts from before the start, while nobody answers.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Orders that are looked up in one tick because an event does not say where they stand now.
const LOOKUPS_MAX: usize = 256;
/// Lookups at the same time.
const LOOKUPS_AT_ONCE: usize = 8;
/// How long the lookups of a tick may take together; who is not found by then is told in part.
const LOOKUPS_SPAN: Duration = Duration::from_millis(500);

#[expect(clippy::disallowed_methods, reason = "paces a thread, decides nothing")]
fn now() -> Instant {
    Instant::now()
}

impl Live {
    /// Starts the threads; they end after [`live::hub::Hub::stop`]. Call it inside the runtime.
    pub fn run(&self, services: &Services) -> std::io::Result<()> {
        let sender = Sender::start(&self.hub)?;
        drop(self.sender.set(sender.clone()));
        // The process does not stop before everybody was told when to come back.
        let hub = self.hub.clone();
        self.tasks.spawn("live-send", async move {
            hub.stopped().await;
            let joined = tokio::task::spawn_blocking(move || sender.join()).await;
            joined.unwrap_or_else(|error| tracing::warn!(%error, "the end was not waited for"));
        });
        let (live, services, runtime) = (self.clone(), services.clone(), Handle::current());
        let thread = std::thread::Builder::new().name("live".into());
        let kept = match live.log {
            Log::Own(_) => Kept::default(),
            Log::Shared(_) => Kept::of_several_logs(),
        };
        thread.spawn(move || Worker { live, services, runtime, kept }.run())?;
        Ok(())
    }
}

struct Worker {
    live: Live,
    services: Services,
    runtime: Handle,
    kept: Kept,
}

impl Worker {
    fn run(mut self) {
        let tick = self.live.hub.tick();
        let mut has_alerts = self.load_alerts();
        let mut due = now() + tick;
        let mut ask_again = now() + ASK_AGAIN;
        while !self.live.hub.is_stopping() {
            if !has_alerts && now() >= ask_again {
                has_alerts = self.load_alerts();
                ask_again = now() + ASK_AGAIN;
            }
            // After a quiet time the first change is told at once; then the next tick is one tick later.
            self.live.feed.wait(REST);
            if !self.live.feed.has_any() {
                continue;
            }
            let rest = due.saturating_duration_since(now()).max(GATHER.min(tick));
            std::thread::sleep(rest);
            due = now() + tick;
            self.tick();
        }
    }

    fn load_alerts(&self) -> bool {
        self.runtime.block_on(self.live.overview.load_alerts(&self.services))
    }

    fn tick(&mut self) {
        let feed = self.live.feed.clone();
        let _turn = feed.turn();
        // In this sequence: who begins to listen after the question is told to load anew.
        let is_wanted = self.live.hub.is_wanted();
        let Inbox { events, span, overflowed, has_passed_over } = feed.take();
        if has_passed_over {
            self.kept.forget();
        }
        let Some((from, to)) = span else { return };
        for (_, event) in &events {
            self.live.overview.note(event);
        }
        if !is_wanted || overflowed {
            self.kept.forget();
            self.live.hub.skip(to);
            return;
        }
        let mut projection = Projection::new();
        for (position, event) in &events {
            projection.take_at(*position, event, &mut self.kept);
        }
        self.look_up(&mut projection);
        match projection.told() {
            Some(told) => self.live.hub.publish(told, from, to),
            None => self.live.hub.skip(to),
        }
    }

    /// Asks for the orders of which an event says that something changed, but not to what.
    fn look_up(&self, projection: &mut Projection) {
        let asked = projection.unclear(LOOKUPS_MAX);
        if asked.is_empty() {
            return;
        }
        let orders = &self.services.orders;
        let look = |order_id: String| {
            let mut orders = orders.clone();
            async move {
                let question = v1::GetOrderRequest { order_id, wait_ms: 0 };
                orders.get_order(question).await.ok()?.into_inner().order
            }
        };
        let found = futures::stream::iter(asked).map(look).buffer_unordered(LOOKUPS_AT_ONCE);
        let found = found.filter_map(std::future::ready).collect::<Vec<_>>();
        let found = self.runtime.block_on(async {
            tokio::time::timeout(LOOKUPS_SPAN, found).await.unwrap_or_default()
        });
        for order in &found {
            if let Some((id, json)) = whole_order(order) {
                projection.settle(id, json);
            }
        }
    }
}
