use std::time::Duration;

use contracts::Timestamp;

use super::World;
use super::world::{placed, sku};
use crate::domain::{Alert, Command, Kind};
use crate::error::InventoryError;
use crate::handlers::{self, JournalRequest, ListPage};
use crate::store::read::journal_after;

#[tokio::test]
async fn a_command_is_carried_out_once_per_key() {
    let world = World::new(&[]).await;
    let receive = Command::Receive { units: 5 };
    let first = world.change_as("k", "a", receive).await.unwrap();
    let second = world.change_as("k", "a", receive).await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.bytes, second.bytes);
    assert_eq!(world.counts("a").await, (5, 0, 0));
    let other = world.change_as("k", "a", Command::Receive { units: 6 }).await;
    assert!(matches!(other, Err(InventoryError::KeyReused)));
    let refused = world.change_as("r", "a", Command::Adjust { delta: -6 }).await;
    assert_eq!(refused.unwrap_err().problem().slug, "expectation-failed");
    // A refusal is not remembered: the same request may succeed later.
    world.change("a", receive).await.unwrap();
    assert!(world.change_as("r", "a", Command::Adjust { delta: -6 }).await.is_ok());
    world.assert_sound().await;
}

#[tokio::test]
async fn what_is_not_known_or_not_expected_is_a_problem() {
    let world = World::new(&[("a", 5)]).await;
    let adjust = Command::Adjust { delta: 1 };
    let set = Command::Set { expected: 4, new: 9 };
    let settings =
        Command::Settings { expected_version: Some(9), safety: Some(1), low_threshold: None };
    for (name, command, slug) in [
        ("x", adjust, "not-found"),
        ("a", set, "expectation-failed"),
        ("a", settings, "stale-version"),
    ] {
        let problem = world.change(name, command).await.unwrap_err().problem();
        assert_eq!(problem.slug, slug);
    }
    let any = Command::Settings { expected_version: None, safety: Some(2), low_threshold: Some(3) };
    world.change("a", any).await.unwrap();
    let level = world.level("a").await.row.level;
    assert_eq!((level.available(), level.alert), (3, Alert::Low));
    world.assert_sound().await;
}

#[tokio::test]
async fn the_journal_is_read_from_both_ends_in_pages() {
    let world = World::new(&[("a", 1), ("b", 1)]).await;
    // Past several hops of both lengths, a second apart, mixed with another SKU.
    for step in 0..90_u64 {
        let batch: Vec<_> = (1..=100)
            .map(|n| placed(step * 100 + n, &[(if n % 10 == 0 { "b" } else { "a" }, 1)]))
            .collect();
        world.change("a", Command::Receive { units: 100 }).await.unwrap();
        world.change("b", Command::Receive { units: 100 }).await.unwrap();
        world.hear(&batch).await.unwrap();
        world.pass(Duration::from_secs(1));
    }
    let entries = world.store.read(|rx| {
        Box::pin(async move { Ok::<_, InventoryError>(journal_after(rx, 0, 100_000).await?) })
    });
    let entries = entries.await.unwrap();
    let level = world.level("a").await.row;
    let of_a: Vec<_> = entries.into_iter().filter(|entry| entry.level == level.id).collect();
    assert_eq!(of_a.len(), 90 * (90 + 1) + 1);
    for oldest_first in [true, false] {
        let mut expected: Vec<_> = of_a.iter().map(|entry| entry.position).collect();
        if !oldest_first {
            expected.reverse();
        }
        let request = request(None, None, oldest_first, 200);
        let found = pages(&world, request).await;
        assert!(found == expected, "oldest first: {oldest_first}");
    }
    let start = of_a.first().unwrap().at;
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    for oldest_first in [true, false] {
        let found = pages(&world, request(Some(at(20)), Some(at(23)), oldest_first, 7)).await;
        let within = of_a.iter().filter(|entry| entry.at >= at(20) && entry.at < at(23));
        let mut expected: Vec<_> = within.map(|entry| entry.position).collect();
        if !oldest_first {
            expected.reverse();
        }
        assert!(found == expected, "oldest first: {oldest_first}");
    }
    for seconds in [0, 1, 44, 89, 1_000] {
        let (_, entry) = handlers::stock_as_of(&world.store, sku("a"), at(seconds)).await.unwrap();
        let last = of_a.iter().rfind(|entry| entry.at <= at(seconds));
        assert_eq!(entry.map(|e| e.sequence), last.map(|e| e.sequence), "{seconds}");
    }
    let before = start.minus(Duration::from_secs(1));
    let (_, nothing) = handlers::stock_as_of(&world.store, sku("a"), before).await.unwrap();
    assert!(nothing.is_none());
    world.assert_sound().await;
}

fn request(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    oldest_first: bool,
    limit: usize,
) -> JournalRequest {
    JournalRequest { sku: sku("a"), after: None, from, to, kinds: Vec::new(), oldest_first, limit }
}

async fn pages(world: &World, mut request: JournalRequest) -> Vec<i64> {
    let mut found = Vec::new();
    loop {
        let page = handlers::journal_of(&world.store, request.clone()).await.unwrap();
        let (_, entries, next) = page;
        found.extend(entries.iter().map(|view| view.row.position));
        match next {
            Some(after) => request.after = Some(after),
            None => return found,
        }
    }
}

#[tokio::test]
async fn the_journal_says_which_order_moved_what() {
    let world = World::new(&[("a", 5)]).await;
    world.one(placed(7, &[("a", 2)])).await;
    let kinds = vec![Kind::Hold];
    let request = JournalRequest { kinds, ..request(None, None, false, 50) };
    let (_, entries, next) = handlers::journal_of(&world.store, request).await.unwrap();
    assert_eq!((entries.len(), next), (1, None));
    assert_eq!(entries[0].order, Some(super::world::id(7)));
    assert_eq!(entries[0].row.balances.held, 2);
}

#[tokio::test]
async fn lists_are_paged_filtered_and_sorted_by_sku() {
    let world = World::new(&[("ax", 5), ("ay", 5), ("b_1", 5), ("b%2", 5), ("c", 5)]).await;
    let mark = |low_threshold| Command::Settings {
        expected_version: None,
        safety: None,
        low_threshold: Some(low_threshold),
    };
    world.change("ay", mark(5)).await.unwrap();
    world.one(placed(1, &[("c", 5)])).await;
    let base = ListPage { limit: 2, ..ListPage::default() };
    let table: [(ListPage, &[&str]); 7] = [
        (base.clone(), &["ax", "ay", "b%2", "b_1", "c"]),
        (ListPage { descending: true, ..base.clone() }, &["c", "b_1", "b%2", "ay", "ax"]),
        (ListPage { prefix: "a".into(), ..base.clone() }, &["ax", "ay"]),
        (ListPage { prefix: "b".into(), descending: true, ..base.clone() }, &["b_1", "b%2"]),
        (ListPage { contains: "_".into(), ..base.clone() }, &["b_1"]),
        (ListPage { at_least: Alert::Low, ..base.clone() }, &["ay", "c"]),
        (ListPage { at_least: Alert::Out, ..base.clone() }, &["c"]),
    ];
    for (mut page, expected) in table {
        let mut found = Vec::new();
        loop {
            let (levels, next) = handlers::list_stock(&world.store, page.clone()).await.unwrap();
            found.extend(levels.iter().map(|view| view.sku.to_string()));
            let Some(next) = next else { break };
            page.after = next;
        }
        assert_eq!(found, expected, "{page:?}");
    }
}

#[tokio::test]
async fn availability_is_what_reserving_would_give() {
    let world = World::new(&[("a", 5)]).await;
    let lines = vec![(sku("a"), 3), (sku("a"), 3), (sku("x"), 1)];
    let supplies = handlers::availability(&world.store, lines).await.unwrap();
    let units: Vec<_> = supplies.iter().map(|line| line.supplied).collect();
    assert_eq!(units, [3, 2, 0]);
}

#[tokio::test]
async fn each_item_of_a_delivery_stands_for_itself() {
    let world = World::new(&[("a", 5)]).await;
    let item = |name: &str, units| {
        let once = store::requests::Once {
            scope: "test",
            key: format!("{name}{units}"),
            fingerprint: [1; 16],
        };
        let request = handlers::StockRequest {
            sku: sku(name),
            command: Command::Receive { units },
            document: Some("note 7".into()),
            actor: "test".into(),
            reason: String::new(),
            first_low_threshold: 0,
        };
        (once, request)
    };
    let bad = contracts::Problem::invalid("no");
    let items =
        vec![Ok(item("a", 1)), Err(bad), Ok(item("b", 2)), Ok(item("b", 0)), Ok(item("a", 1))];
    let outcomes = handlers::receive_all(&world.store, items, |_| vec![1]).await.unwrap();
    let shown: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().map_or(2, |answer| i32::from(answer.replayed)))
        .collect();
    assert_eq!(shown, [0, 2, 0, 2, 1]);
    assert_eq!((world.counts("a").await.0, world.counts("b").await.0), (6, 2));
    world.assert_sound().await;
}
