//! The rules of the cache itself, with two processes' handles on one server.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache::{Cache, Look, Settings, Ticket};
use it::{Random, Redis};
use telemetry::Tasks;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);

fn redis() -> Redis {
    tokio::task::block_in_place(Redis::start)
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so() {
            sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "not in time: {what}");
}

/// Beside other work a pause is no failure.
fn patient(redis: &Redis) -> Settings {
    Settings { url: redis.url(), response_timeout_ms: 1_000, ttl_s: 600, ..Settings::default() }
}

async fn open(redis: &Redis, tasks: &Tasks) -> Cache {
    let settings = patient(redis);
    let cache = Cache::start(settings, tasks).expect("the settings are good");
    until("the cache is there", || cache.is_there()).await;
    cache
}

/// A ticket for `key`, which must not be there.
async fn missing(cache: &Cache, key: &str) -> Ticket {
    match cache.look(key).await {
        Look::Miss(ticket) => ticket,
        found @ (Look::Hit { .. } | Look::Away) => panic!("{key}: {found:?}"),
    }
}

/// The version that is there.
async fn version(cache: &Cache, key: &str) -> u64 {
    match cache.look(key).await {
        Look::Hit { version, body } => {
            assert_eq!(body, version.to_string().as_bytes(), "{key}");
            version
        }
        found @ (Look::Miss(_) | Look::Away) => panic!("{key}: {found:?}"),
    }
}

async fn fill(cache: &Cache, ticket: &Ticket, version: u64) -> bool {
    cache.fill(ticket, version, version.to_string().as_bytes()).await
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_before_a_change_never_comes_in_behind_it() {
    let (redis, tasks) = (redis(), Tasks::default());
    let (one, other) = (open(&redis, &tasks).await, open(&redis, &tasks).await);
    // One reads the old version and is slow; the other hears of the change meanwhile.
    let slow = missing(&one, "lamp").await;
    other.forget(&["lamp".to_owned()]).await;
    assert!(!fill(&one, &slow, 1).await, "it is too late");
    let fresh = missing(&other, "lamp").await;
    assert!(!fill(&one, &slow, 1).await, "the ticket of another is no help");
    assert!(fill(&other, &fresh, 2).await);
    assert!(!fill(&one, &slow, 1).await && !fill(&one, &slow, 3).await);
    assert_eq!((version(&one, "lamp").await, version(&other, "lamp").await), (2, 2));
    assert_eq!((read(&one.stats().refused), read(&other.stats().fills)), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_answers_to_one_ticket_the_newest_stays() {
    let (redis, tasks) = (redis(), Tasks::default());
    let (one, other) = (open(&redis, &tasks).await, open(&redis, &tasks).await);
    // The change between their questions is committed, but not heard of yet.
    let (early, late) = (missing(&one, "lamp").await, missing(&other, "lamp").await);
    assert!(fill(&other, &late, 2).await);
    assert!(!fill(&one, &early, 1).await, "nobody who saw version 2 sees version 1 again");
    assert_eq!(version(&one, "lamp").await, 2);
    let (early, late) = (missing(&one, "vase").await, missing(&other, "vase").await);
    assert!(fill(&one, &early, 9).await && fill(&other, &late, 10).await);
    assert_eq!(version(&one, "vase").await, 10);
}

/// What changes, and how far everybody has heard of it.
#[derive(Default)]
struct Truth {
    version: AtomicU64,
    heard: AtomicU64,
    hits: AtomicU64,
    is_over: AtomicBool,
}

async fn read_for_ever(cache: Cache, truth: Arc<Truth>, seed: u64) {
    let mut random = Random::new(seed);
    while !truth.is_over.load(Ordering::SeqCst) {
        let heard = truth.heard.load(Ordering::SeqCst);
        match cache.look("lamp").await {
            Look::Hit { version, .. } => {
                assert!(version >= heard, "version {version} was read after {heard} was heard of");
                truth.hits.fetch_add(1, Ordering::SeqCst);
            }
            Look::Miss(ticket) => {
                let version = truth.version.load(Ordering::SeqCst);
                for _ in 0..random.below(4) {
                    tokio::task::yield_now().await;
                }
                fill(&cache, &ticket, version).await;
            }
            Look::Away => panic!("the cache is away"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_that_is_older_than_what_was_heard_of() {
    const CHANGES: u64 = 2_000;
    let (redis, tasks) = (redis(), Tasks::default());
    let truth = Arc::new(Truth::default());
    let mut random = Random::from_environment();
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let cache = open(&redis, &tasks).await;
        for _ in 0..4 {
            readers.spawn(read_for_ever(cache.clone(), Arc::clone(&truth), random.next_number()));
        }
    }
    let writer = open(&redis, &tasks).await;
    for _ in 0..CHANGES {
        let version = truth.version.fetch_add(1, Ordering::SeqCst) + 1;
        writer.forget(&["lamp".to_owned()]).await;
        truth.heard.store(version, Ordering::SeqCst);
        let hits = truth.hits.load(Ordering::SeqCst);
        // Sometimes at once, sometimes when somebody has read what there is now.
        let is_patient = random.below(2) == 0;
        while is_patient && truth.hits.load(Ordering::SeqCst) == hits && !readers.is_empty() {
            assert!(readers.try_join_next().is_none(), "a reader has ended");
            tokio::task::yield_now().await;
        }
    }
    truth.is_over.store(true, Ordering::SeqCst);
    readers.join_all().await;
    assert_eq!(read(&writer.stats().losses), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_forgotten_is_not_read_when_the_cache_is_back() {
    let (redis, tasks) = (redis(), Tasks::default());
    let (one, other) = (open(&redis, &tasks).await, open(&redis, &tasks).await);
    assert!(fill(&one, &missing(&one, "lamp").await, 1).await);
    assert_eq!(version(&other, "lamp").await, 1);
    redis.signal("STOP");
    one.forget(&["lamp".to_owned()]).await;
    assert!(!one.is_there(), "a change was not told to the cache, so it is not read");
    assert!(matches!(one.look("lamp").await, Look::Away));
    redis.signal("CONT");
    until("both are back", || one.is_there() && other.is_there()).await;
    for cache in [&one, &other] {
        drop(missing(cache, "lamp").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_remembers_what_has_passed_is_not_believed() {
    let (redis, tasks) = (redis(), Tasks::default());
    let cache = open(&redis, &tasks).await;
    assert!(fill(&cache, &missing(&cache, "lamp").await, 1).await);
    redis.say("SAVE");
    cache.forget(&["lamp".to_owned()]).await;
    assert!(fill(&cache, &missing(&cache, "lamp").await, 2).await);
    let slow = missing(&cache, "vase").await;
    tokio::task::block_in_place(|| redis.kill_9());
    until("it is known to be away", || !cache.is_there()).await;
    tokio::task::block_in_place(|| redis.resume());
    assert!(redis.say("EXISTS millrace:lamp").starts_with(":1"), "it remembers version 1");
    until("the cache is back", || cache.is_there()).await;
    let fresh = missing(&cache, "lamp").await;
    assert!(!fill(&cache, &slow, 1).await, "what was asked for before the restart is old");
    assert!(fill(&cache, &fresh, 2).await);
    assert_eq!(version(&cache, "lamp").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_hangs_costs_one_time_out() {
    let (redis, tasks) = (redis(), Tasks::default());
    let cache = open(&redis, &tasks).await;
    redis.signal("STOP");
    let begun = Instant::now();
    assert!(matches!(cache.look("lamp").await, Look::Away));
    let first = begun.elapsed();
    assert!(first < Duration::from_secs(5), "the first waits {first:?}");
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert!(matches!(cache.look("lamp").await, Look::Away));
        cache.forget(&["lamp".to_owned()]).await;
    }
    let others = begun.elapsed();
    assert!(others < Duration::from_secs(1), "a thousand others wait {others:?}");
    assert_eq!((read(&cache.stats().losses), read(&cache.stats().skipped)), (1, 1_000));
    redis.signal("CONT");
    until("the cache is back", || cache.is_there()).await;
    drop(missing(&cache, "lamp").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_hangs_is_noticed_though_nobody_reads() {
    let (redis, tasks) = (redis(), Tasks::default());
    let cache = open(&redis, &tasks).await;
    redis.signal("STOP");
    until("it is known to be away", || !cache.is_there()).await;
    redis.signal("CONT");
    until("the cache is back", || cache.is_there()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_somebody_empties_begins_again() {
    let (redis, tasks) = (redis(), Tasks::default());
    let cache = open(&redis, &tasks).await;
    let ticket = missing(&cache, "lamp").await;
    redis.say("FLUSHALL");
    assert!(!fill(&cache, &ticket, 1).await);
    assert!(matches!(cache.look("lamp").await, Look::Away));
    until("the cache is back", || cache.is_there()).await;
    assert!(fill(&cache, &missing(&cache, "lamp").await, 2).await);
    cache.forget_everything("a test asks for it");
    until("the cache is back", || cache.is_there()).await;
    drop(missing(&cache, "lamp").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_says_has_changed_goes_by_its_time() {
    let (redis, tasks) = (redis(), Tasks::default());
    let settings = Settings { ttl_s: 1, ..patient(&redis) };
    let cache = Cache::start(settings, &tasks).expect("the settings are good");
    until("the cache is there", || cache.is_there()).await;
    assert!(fill(&cache, &missing(&cache, "lamp").await, 1).await);
    let gone = timeout(PATIENCE, async {
        while matches!(cache.look("lamp").await, Look::Hit { .. }) {
            sleep(LOOK).await;
        }
    });
    assert!(gone.await.is_ok(), "it stays for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_rediss_nothing_is_said_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    let url = format!("rediss://:hush@{address}");
    let settings = Settings { url, ..Settings::default() };
    let tasks = Tasks::default();
    let cache = Cache::start(settings, &tasks).expect("the settings are good");
    let first = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = listener.accept()?;
        let mut first = [0; 3];
        stream.read_exact(&mut first).map(|()| first)
    });
    let first = timeout(PATIENCE, first).await.expect("it connects").expect("the thread ends");
    // A record of the handshake, of TLS 1.
    assert_eq!(first.expect("it says something")[..2], [0x16, 3]);
    assert!(!cache.is_there() && cache.place() == address.to_string());
}
