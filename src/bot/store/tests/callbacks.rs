//! What is told of deliveries.

use chrono::TimeDelta;

use super::*;
use crate::bot::config::CallbackEvent;

/// The wallet of all rows.
const WALLET: u8 = 7;

/// Rows for one wallet, whose ids are 1, 2 and so on.
async fn rows(count: usize) -> Opened {
    let opened = open();
    let rows = (0..count).map(|key| NewDelivery {
        rule: "r".to_owned(),
        body: None,
        ..answer(&key.to_string(), WALLET)
    });
    super::add(&opened.store, rows.collect()).await;
    opened
}

fn new(delivery: i64, rule: &str) -> NewCallback {
    NewCallback {
        delivery,
        bot: "b".to_owned(),
        rule: rule.to_owned(),
        wallet: wallet(WALLET),
        event: CallbackEvent::Delivered,
        body: "{}".to_owned(),
        created: at(0),
        life: TimeDelta::seconds(60),
    }
}

async fn add(store: &Store, callbacks: Vec<NewCallback>) {
    let adding = store.write(move |transaction| {
        callbacks
            .iter()
            .try_for_each(|new| add_callback(transaction, new))
    });
    adding.await.unwrap();
}

async fn listed(store: &Store) -> Vec<Callback> {
    let filter = CallbackFilter {
        limit: 9,
        ..CallbackFilter::default()
    };
    store.callbacks(filter).await.unwrap()
}

fn awaited(delivery: i64, topic: &str, sealed: i64) -> AwaitedReply<'_> {
    AwaitedReply {
        delivery,
        bot: "b",
        wallet: wallet(WALLET),
        topic,
        sealed: at(sealed),
    }
}

#[tokio::test]
async fn each_rule_gets_what_is_due_as_far_as_it_has_room() {
    let Opened { store, _folder } = rows(1).await;
    add(
        &store,
        vec![new(1, "r"), new(1, "r"), new(1, "r"), new(1, "s"), new(1, "t")],
    )
    .await;
    store.callback_tried(3, at(30), "later".to_owned()).await.unwrap();
    let asked = |room, busy| vec![("r".to_owned(), room, busy), ("s".to_owned(), 4, Vec::new())];
    let ids = async |asked, second| {
        let (due, next) = store.due_callbacks("b", asked, at(second)).await.unwrap();
        (due.iter().map(|due| due.id).collect::<Vec<_>>(), next)
    };
    assert_eq!(ids(asked(4, Vec::new()), 0).await, (vec![1, 2, 4], Some(at(30))));
    assert_eq!(ids(asked(1, vec![1]), 0).await, (vec![2, 4], Some(at(30))));
    assert_eq!(ids(asked(0, vec![1, 2]), 0).await, (vec![4], Some(at(30))));
    assert_eq!(ids(asked(4, Vec::new()), 30).await, (vec![1, 2, 3, 4], None));
}

#[tokio::test]
async fn a_replay_lasts_as_long_as_the_first_time_and_is_of_all_that_are_asked_for_or_none() {
    let Opened { store, _folder } = rows(1).await;
    add(&store, vec![new(1, "r"), new(1, "r")]).await;
    store
        .end_callback(1, Some("gone".to_owned()), at(5))
        .await
        .unwrap();
    store.end_callback(2, None, at(5)).await.unwrap();
    let missing = store
        .replay_callbacks(Replay::These(vec![1, 9, 8]), at(100))
        .await
        .unwrap();
    assert_eq!(missing, Err(vec![9, 8]));
    assert_eq!(
        store.replay_callbacks(Replay::Dead, at(100)).await.unwrap(),
        Ok(1)
    );
    let rows = listed(&store).await;
    let states: Vec<_> = rows.iter().map(|row| (row.id, row.state, row.tries)).collect();
    assert_eq!(
        states,
        [(2, CallbackState::Done, 1), (1, CallbackState::Waiting, 0)]
    );
    assert_eq!(
        (rows[1].due, rows[1].expires, rows[1].settled),
        (at(100), at(160), None)
    );
    // A try that ends late changes nothing of what has ended.
    store
        .end_callback(2, Some("late".to_owned()), at(101))
        .await
        .unwrap();
    store.callback_tried(2, at(200), "late".to_owned()).await.unwrap();
    let done = CallbackFilter {
        state: Some(CallbackState::Done),
        limit: 9,
        ..CallbackFilter::default()
    };
    assert_eq!(store.callbacks(done).await.unwrap()[0].reason, None);
}

#[tokio::test]
async fn a_reply_counts_once_in_its_conversation_and_not_when_it_was_sent_before() {
    let Opened { store, _folder } = rows(5).await;
    let taken = store.write(|transaction| {
        for (delivery, topic, sealed) in [(1, "a", 10), (2, "a", 11), (3, "b", 10), (4, "a", 20)] {
            assert!(!await_reply(transaction, &awaited(delivery, topic, sealed))?);
        }
        let take =
            |topic, sent, limit| take_replied(transaction, ("b", wallet(WALLET), topic), at(sent), limit);
        Ok([
            take("a", 9, 9)?,
            take("a", 15, 1)?,
            take("a", 15, 9)?,
            take("b", 30, 9)?,
            take("a", 20, 9)?,
        ])
    });
    // Of two the newest where there is room for one; the other is not told later.
    assert_eq!(taken.await.unwrap(), [vec![], vec![2], vec![], vec![3], vec![4]]);
    let early = store.write(|transaction| {
        note_early_reply(transaction, &awaited(5, "a", 30), at(31))?;
        let before = take_replied(transaction, ("b", wallet(WALLET), "a"), at(32), 9)?;
        let is_early = [(); 2].map(|()| await_reply(transaction, &awaited(5, "a", 30)));
        Ok((before, is_early.into_iter().collect::<Result<Vec<_>, _>>()?))
    });
    assert_eq!(early.await.unwrap(), (vec![], vec![true, false]));
}

#[tokio::test]
async fn settling_names_the_rows_that_it_ended_and_forgetting_leaves_what_is_to_be_told() {
    let Opened { store, _folder } = rows(2).await;
    let rows = [(1, State::Delivered, None), (9, State::Delivered, None)];
    let ended = store.write(move |transaction| {
        let first = settle(transaction, &rows, at(1))?;
        Ok((first, settle(transaction, &rows, at(1))?))
    });
    assert_eq!(ended.await.unwrap(), (vec![1], vec![]));
    add(&store, vec![new(1, "r"), new(1, "r")]).await;
    store.end_callback(1, None, at(5)).await.unwrap();
    let left = store.write(|transaction| {
        await_reply(transaction, &awaited(1, "a", 1))?;
        forget(transaction, "b", wallet(WALLET), at(6))?;
        take_replied(transaction, ("b", wallet(WALLET), "a"), at(9), 9)
    });
    assert_eq!(left.await.unwrap(), [0; 0]);
    let rows = listed(&store).await;
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [2]);
}
