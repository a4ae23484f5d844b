use std::time::Duration;

use store::requests::Once;

use super::World;
use super::world::sku;
use crate::error::InventoryError;
use crate::handlers::{self, Answer, OwnerReply, OwnerRequest};

fn once(key: &str) -> Once {
    Once { scope: "owners", key: key.to_owned(), fingerprint: [7; 16] }
}

fn encode(reply: &OwnerReply) -> Vec<u8> {
    let text = match reply {
        OwnerReply::Hold(row, had_ended) => format!("{} {had_ended}", row.hold.state.name()),
        OwnerReply::Short(lines) => format!("short of {}", lines.len()),
    };
    text.into_bytes()
}

async fn reserve(
    world: &World,
    owner: &str,
    lines: &[(&str, i64)],
) -> Result<String, InventoryError> {
    let request = OwnerRequest {
        owner: owner.to_owned(),
        lines: lines.iter().map(|(name, units)| (sku(name), *units)).collect(),
        ttl: Duration::from_mins(1),
    };
    let answer = handlers::reserve_owner(&world.store, once(""), request, encode).await?;
    Ok(String::from_utf8(answer.bytes).unwrap())
}

async fn release(world: &World, key: &str, owner: &str) -> Result<Answer, InventoryError> {
    let (owner, reason) = (owner.to_owned(), "no longer".to_owned());
    handlers::release_owner(&world.store, once(key), owner, reason, encode).await
}

#[tokio::test]
async fn an_owner_outside_holds_gives_back_and_holds_again() {
    let world = World::new(&[("a", 5)]).await;
    assert_eq!(reserve(&world, "shop", &[("a", 3), ("a", 3)]).await.unwrap(), "short of 1");
    assert_eq!(reserve(&world, "shop", &[("a", 3), ("a", 2)]).await.unwrap(), "held false");
    assert_eq!(world.counts("a").await, (5, 5, 0));
    let again = reserve(&world, "shop", &[("a", 1)]).await;
    assert!(matches!(again, Err(InventoryError::AlreadyHeld { .. })));
    let first = release(&world, "k", "shop").await.unwrap();
    assert_eq!((first.bytes.as_slice(), first.replayed), (b"released false".as_slice(), false));
    let second = release(&world, "k", "shop").await.unwrap();
    assert_eq!((second.bytes.as_slice(), second.replayed), (b"released false".as_slice(), true));
    let third = release(&world, "", "shop").await.unwrap();
    assert_eq!(third.bytes, b"released true");
    assert_eq!(world.counts("a").await, (5, 0, 0));
    assert_eq!(reserve(&world, "shop", &[("a", 1)]).await.unwrap(), "held false");
    assert!(matches!(release(&world, "", "x").await, Err(InventoryError::UnknownOwner(_))));
    world.assert_sound().await;
}

#[tokio::test]
async fn the_hold_of_an_owner_outside_ends_by_itself() {
    let world = World::new(&[("a", 5)]).await;
    reserve(&world, "shop", &[("a", 5)]).await.unwrap();
    reserve(&world, "late", &[("a", 1)]).await.unwrap();
    world.pass(Duration::from_mins(1));
    assert_eq!(reserve(&world, "late", &[("a", 4)]).await.unwrap(), "held false");
    world.pass(Duration::from_mins(1));
    handlers::sweep(&world.store).await.unwrap();
    assert_eq!(world.counts("a").await, (5, 0, 0));
    assert_eq!(release(&world, "", "late").await.unwrap().bytes, b"expired true");
    world.assert_sound().await;
}
