//! A cache that processes share: what one of them has read, the others need not ask for.
//!
//! Who reads [`Cache::look`]s first. On a miss it gets a [`Ticket`], asks the owner of the thing, and
//! [`Cache::fill`]s in the answer. Who hears that a thing changed [`Cache::forget`]s it.
//!
//! **Invariants:** a fill counts only while its ticket does, and every forgetting ends the tickets that
//! were given before it: so an answer from before a change never comes in behind the change. Among
//! fills of one ticket the highest version stays. A connection begins by making everything void that
//! is there, so whatever this process could not forget while the cache was away is never read, nor is
//! what a cache that was started again remembers. A cache that is away, or slow, costs the request that
//! notices it the response time-out, and those after it nothing.
//!
//! The server has to be one that answers for all keys: a cluster's scripts would need them in one slot.

mod link;
mod settings;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redis::{RedisError, Script};
use telemetry::Tasks;
use tokio::sync::Notify;

use link::Link;
pub use settings::{Settings, SettingsError};

/// What is larger is not kept, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1_024;
/// Keys of one command.
const KEYS_MAX: usize = 1_024;
/// How long a ticket counts, in milliseconds: longer than an owner may take to answer.
const TICKET_MS: u64 = 15_000;

/// What is there, or a ticket: the one that others got since the thing was forgotten, or a new one.
/// KEYS: the era, the entry. ARGV: a new ticket, and how long it counts.
const LOOK: &str = r"
local era = redis.call('GET', KEYS[1])
if not era then return false end
local found = redis.call('HMGET', KEYS[2], 'era', 'ticket', 'version', 'body')
if found[1] == era then
  if found[4] then return {1, found[3], found[4]} end
  return {0, era, found[2]}
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'era', era, 'ticket', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {0, era, ARGV[1]}";

/// Whether a fill counted. ARGV: the era and ticket of the look, version, body, and how long it counts.
const FILL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local found = redis.call('HMGET', KEYS[2], 'era', 'ticket', 'version')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return 0 end
if found[3] and tonumber(found[3]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[2], 'version', ARGV[3], 'body', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1";

/// What the cache has done since the start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Looks that found something.
    pub hits: AtomicU64,
    /// Looks that found nothing.
    pub misses: AtomicU64,
    /// Looks that were not made, because the cache is away.
    pub skipped: AtomicU64,
    /// Answers that were put in.
    pub fills: AtomicU64,
    /// Answers that were not: the thing had changed meanwhile, or a newer one was there.
    pub refused: AtomicU64,
    /// Keys that were forgotten.
    pub forgotten: AtomicU64,
    /// Commands that failed or took too long.
    pub errors: AtomicU64,
    /// Times that the cache was lost.
    pub losses: AtomicU64,
    /// Times that everything was made void: at each beginning, and when something may be missed.
    pub eras: AtomicU64,
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// What a look found.
#[derive(Debug)]
pub enum Look {
    /// A thing, in the version that it has.
    Hit {
        /// Its version.
        version: u64,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// Nothing: whoever asks the owner now may fill it in.
    Miss(Ticket),
    /// The cache is away: ask the owner.
    Away,
}

/// The right to fill something in, unless it changes meanwhile.
#[derive(Debug)]
pub struct Ticket {
    key: String,
    era: String,
    name: String,
}

/// The cache. Clones share it.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

pub(crate) struct Inner {
    settings: Settings,
    client: redis::Client,
    /// Where it is, without what is secret.
    place: String,
    link: RwLock<Option<Arc<Link>>>,
    /// Told when the link is gone.
    gone: Notify,
    look: Script,
    fill: Script,
    stats: Arc<Stats>,
    /// A number of this process that no other has, and how many names begin with it.
    own: (u64, AtomicU64),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Cache {
    /// A cache at the place that `settings` name. It is reached, and reached again, in the
    /// background: until then it is away.
    ///
    /// # Errors
    ///
    /// If a setting is not to be used.
    pub fn start(settings: Settings, tasks: &Tasks) -> Result<Self, SettingsError> {
        let client = settings.client()?;
        let inner = Arc::new(Inner {
            place: client.get_connection_info().addr().to_string(),
            client,
            settings,
            link: RwLock::default(),
            gone: Notify::new(),
            look: Script::new(LOOK),
            fill: Script::new(FILL),
            stats: Arc::default(),
            own: (RandomState::new().hash_one("names"), AtomicU64::new(0)),
        });
        tasks.spawn("cache", link::keep(Arc::clone(&inner), tasks.stopping()));
        Ok(Self(inner))
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.0.stats
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.link().is_some()
    }

    /// Where it is, without what is secret.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// How long something stays that nobody says has changed, in seconds.
    #[must_use]
    pub fn ttl_s(&self) -> u64 {
        self.0.settings.ttl_s
    }

    /// Looks for `key`.
    pub async fn look(&self, key: &str) -> Look {
        let inner = &*self.0;
        let Some(link) = inner.link() else {
            count(&inner.stats.skipped, 1);
            return Look::Away;
        };
        let key = inner.key(key);
        let ticket = inner.new_name();
        let mut call = inner.look.prepare_invoke();
        call.key(inner.era_key()).key(&key).arg(&ticket).arg(TICKET_MS);
        let mut connection = link.connection();
        let asked = call.invoke_async::<Option<(u8, String, Vec<u8>)>>(&mut connection);
        match inner.answered(&link, asked).await {
            Some(Some((1, version, body))) => {
                let Ok(version) = version.parse() else { return Look::Away };
                count(&inner.stats.hits, 1);
                Look::Hit { version, body }
            }
            Some(Some((_, era, ticket))) => {
                count(&inner.stats.misses, 1);
                Look::Miss(Ticket { key, era, name: String::from_utf8_lossy(&ticket).into_owned() })
            }
            Some(None) => {
                // Somebody emptied the server: who had connected before begins again.
                inner.lose(&link, "it was emptied");
                Look::Away
            }
            None => Look::Away,
        }
    }

    /// Puts in what the owner answered to whoever looked; `false` if that does not count any more.
    pub async fn fill(&self, ticket: &Ticket, version: u64, body: &[u8]) -> bool {
        let inner = &*self.0;
        let Some(link) = inner.link().filter(|_| body.len() <= BODY_BYTES_MAX) else {
            return false;
        };
        let mut call = inner.fill.prepare_invoke();
        call.key(inner.era_key()).key(&ticket.key);
        call.arg(&ticket.era).arg(&ticket.name).arg(version).arg(body);
        call.arg(inner.settings.ttl_s.saturating_mul(1_000));
        let mut connection = link.connection();
        let is_in = inner.answered(&link, call.invoke_async::<u8>(&mut connection)).await;
        let is_in = is_in == Some(1);
        count(if is_in { &inner.stats.fills } else { &inner.stats.refused }, 1);
        is_in
    }

    /// Forgets `keys`: when this is done, nobody reads what was there, and no ticket for it counts.
    pub async fn forget(&self, keys: &[String]) {
        let inner = &*self.0;
        for keys in keys.chunks(KEYS_MAX) {
            // Without a link nothing has to be done: the next one begins with everything void.
            let Some(link) = inner.link() else { return };
            let mut command = redis::cmd("DEL");
            for key in keys {
                command.arg(inner.key(key));
            }
            let mut connection = link.connection();
            let done = inner.answered(&link, command.query_async::<()>(&mut connection)).await;
            if done.is_some() {
                count(&inner.stats.forgotten, keys.len());
            }
        }
    }

    /// Makes everything void: something that changed may have been missed. From now on nothing is
    /// read that was there before.
    pub fn forget_everything(&self, why: &'static str) {
        if let Some(link) = self.0.link() {
            self.0.lose(&link, why);
        }
    }
}

impl Inner {
    fn link(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.settings.prefix)
    }

    /// A name that nobody has given to a ticket or an era.
    fn new_name(&self) -> String {
        let (own, given) = &self.own;
        format!("{own:x}-{:x}", given.fetch_add(1, Ordering::Relaxed))
    }

    fn era_key(&self) -> String {
        self.key("era")
    }

    /// Waits for an answer; a link that fails or takes too long is given up.
    async fn answered<T>(
        &self,
        link: &Arc<Link>,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Option<T> {
        match tokio::time::timeout(self.settings.response_timeout(), answer).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => self.lose(link, &error.to_string()),
            Err(_) => self.lose(link, "it does not answer in time"),
        }
        count(&self.stats.errors, 1);
        None
    }

    /// Gives `link` up, if that is not done yet.
    fn lose(&self, link: &Arc<Link>, why: &str) {
        {
            let mut current = self.link.write().unwrap_or_else(PoisonError::into_inner);
            if !current.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
                return;
            }
            *current = None;
        }
        count(&self.stats.losses, 1);
        tracing::warn!(place = self.place, why, "the cache is given up; reads go to the services");
        self.gone.notify_one();
    }
}
