use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use herald_protocol::{address::Address, time::TimestampNs};
use tokio::sync::mpsc;

use super::*;
use crate::bot::{config, event::Event, store::Store, uploads::Uploads};

/// The time in seconds; tests of this module that set it hold the lock.
static NOW: AtomicI64 = AtomicI64::new(0);
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn now() -> TimestampNs {
    TimestampNs::from_ns(NOW.load(Ordering::SeqCst).unsigned_abs() * 1_000_000_000)
}

/// 2026-03-29 00:00 UTC: the night in which Berlin's clock skips from 02:00 to 03:00, at 01:00 UTC.
const NIGHT: i64 = 1_774_742_400;

struct Scene {
    running: Arc<Running>,
    events: mpsc::Receiver<Event>,
    _folder: tempfile::TempDir,
}

fn scene(when: &str, ttl: &str) -> Scene {
    scene_of(&format!(
        "rules:\n  ru:\n    when: {when}\n    to: {{ wallet: 0x0000000000000000000000000000000000000001 }}\n    \
         ttl: {ttl}\n    send: x\n"
    ))
}

fn scene_of(rest: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.yaml");
    let text = format!("herald: 1\nbot: tester\nidentity: env:NONE\n{rest}");
    std::fs::write(&file, text).unwrap();
    let (bot, _) = config::load(&file).unwrap();
    let (sender, events) = mpsc::channel(100);
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let running = Arc::new(Running {
        project: Arc::default(),
        uploads: Uploads::of(Arc::default(), crate::fetch::Fetch::builder().build().unwrap()),
        bot: Arc::new(bot),
        address: Address::from_bytes([0; 20]),
        client: Arc::default(),
        ledgers: crate::bot::audience::Ledgers::of(store.clone()),
        store,
        fetch: crate::fetch::Fetch::builder().build().unwrap(),
        chains: crate::bot::chain::Chains::default(),
        answers: Arc::default(),
        outside: None,
        events: sender,
        clock: now.into(),
        to_plan: Arc::default(),
        to_deliver: Arc::default(),
        to_guard: Arc::default(),
        to_call_back: Arc::default(),
        to_keep_time: Arc::default(),
    });
    Scene {
        running,
        events,
        _folder: folder,
    }
}

impl Scene {
    /// What fires, or is said to be missed, when the clock shows each of the times, in seconds after `NIGHT`.
    async fn at(&mut self, seconds: &[i64]) -> Vec<String> {
        let mut told = Vec::new();
        for second in seconds {
            NOW.store(NIGHT + second, Ordering::SeqCst);
            round(&self.running).await;
            while let Ok(event) = self.events.try_recv() {
                told.push(format!("{:?} {}", event.event, event.key.unwrap_or_default()));
            }
        }
        told
    }
}

#[tokio::test]
async fn a_cron_line_fires_once_an_instant_and_at_most_one_late_run_after_a_standstill() {
    let _turn = TURN.lock().await;
    let mut scene = scene(r#"{ cron: "0 * * * *", tz: UTC }"#, "30m");
    assert!(scene.at(&[10, 3_599]).await.is_empty());
    assert_eq!(
        scene.at(&[3_600, 3_600, 3_601]).await,
        ["Occurrence 2026-03-29T01:00:00Z"]
    );
    assert_eq!(
        scene.at(&[3_500, 3_650]).await,
        Vec::<String>::new(),
        "the clock went back and on again"
    );
    let late = scene.at(&[4 * 3_600 + 60, 4 * 3_600 + 61]).await;
    assert_eq!(
        late,
        ["Occurrence 2026-03-29T04:00:00Z"],
        "02:00 and 03:00 are gone"
    );
    let missed = scene.at(&[7 * 3_600 + 1_801, 7 * 3_600 + 1_802]).await;
    assert_eq!(
        missed,
        ["Skipped 2026-03-29T07:00:00Z"],
        "older than its ttl: said once, never run"
    );
}

#[tokio::test]
async fn an_hour_that_the_clock_skips_fires_at_the_first_instant_after_it() {
    let _turn = TURN.lock().await;
    let mut scene = scene(r#"{ cron: "30 2 * * *", tz: Europe/Berlin }"#, "1d");
    let told = scene.at(&[60, 3_599, 3_600, 5_400, 7_200]).await;
    assert_eq!(told, ["Occurrence 2026-03-29T01:00:00Z"]);
}

#[tokio::test]
async fn every_counts_from_the_first_sight_and_runs_one_late_tick() {
    let _turn = TURN.lock().await;
    let mut scene = scene("{ every: 10s }", "1d");
    assert!(scene.at(&[5, 14]).await.is_empty());
    let told = scene.at(&[15, 16, 24, 25, 58]).await;
    let ticks: Vec<&str> = told
        .iter()
        .filter_map(|told| told.split_whitespace().nth(2))
        .collect();
    assert_eq!(ticks, ["1", "2", "5"], "{told:?}");
}

#[tokio::test]
async fn an_instant_older_than_its_ttl_at_first_sight_is_said_and_never_run() {
    let _turn = TURN.lock().await;
    let mut late = scene("{ at: 2026-03-29T01:00:00Z }", "1h");
    assert_eq!(
        late.at(&[2 * 3_600, 2 * 3_600 + 30]).await,
        ["Occurrence 2026-03-29T01:00:00Z"]
    );
    let mut missed = scene("{ at: 2026-03-29T01:00:00Z }", "1h");
    assert_eq!(
        missed.at(&[2 * 3_600 + 1, 2 * 3_600 + 30]).await,
        ["Skipped 2026-03-29T01:00:00Z"]
    );
}
#[tokio::test]
async fn a_delay_stays_below_the_jitter_and_is_the_same_after_a_restart() {
    let _turn = TURN.lock().await;
    let mut scene = scene("{ every: 100s, jitter: 50s }", "1d");
    let mut fired = Vec::new();
    for second in 0..2_000 {
        if !scene.at(&[second]).await.is_empty() {
            fired.push(second);
        }
    }
    let delays: Vec<i64> = (1..).zip(&fired).map(|(tick, at)| at - 100 * tick).collect();
    assert!(fired.len() >= 19, "{fired:?}");
    assert!(delays.iter().all(|delay| (0..=50).contains(delay)), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
    assert!(scene.at(&[1_999, 1_999]).await.is_empty());
}

async fn member(scene: &Scene, number: u8, zone: Option<&str>) {
    let mut fields = serde_json::Map::new();
    if let Some(zone) = zone {
        fields.insert("tz".to_owned(), zone.into());
    }
    let member = store::Member {
        wallet: Address::from_bytes([number; 20]),
        fields,
        joined: scene.running.now(),
    };
    let joined = scene
        .running
        .store
        .write(move |transaction| store::join(transaction, "tester", "li", &member));
    assert!(joined.await.unwrap());
}

#[tokio::test]
async fn a_line_of_recipients_fires_by_the_clock_of_each_zone_and_addresses_its_members_alone() {
    let _turn = TURN.lock().await;
    let mut scene = scene_of(
        "lists: { li: {} }\nrules: { ru: { when: { cron: 0 9 * * *, tz: recipient }, to: li, send: x } }\n",
    );
    NOW.store(NIGHT, Ordering::SeqCst);
    member(&scene, 1, Some("Europe/Berlin")).await;
    member(&scene, 2, Some("Europe/Berlin")).await;
    member(&scene, 3, None).await;
    // 09:00 is 07:00 UTC in Berlin, whose summer time begins this night.
    let hour = 3_600;
    assert!(scene.at(&[0, 7 * hour - 1]).await.is_empty());
    assert_eq!(
        scene.at(&[7 * hour, 7 * hour + 1]).await,
        ["Occurrence 2026-03-29T07:00:00Z Europe/Berlin"]
    );
    // A zone that is new counts from now on: it is 16:05 in Tokyo.
    member(&scene, 4, Some("Asia/Tokyo")).await;
    assert_eq!(
        scene.at(&[7 * hour + 300, 9 * hour]).await,
        ["Occurrence 2026-03-29T09:00:00Z UTC"]
    );
    assert_eq!(
        scene.at(&[24 * hour]).await,
        ["Occurrence 2026-03-30T00:00:00Z Asia/Tokyo"]
    );
    let mut addressed = Vec::new();
    let now = scene.running.now();
    while let Some(occurrence) = scene
        .running
        .store
        .next_to_plan("tester", now, BTreeSet::new())
        .await
        .unwrap()
    {
        let chunk = store::Chunk {
            ends: true,
            ..store::Chunk::default()
        };
        let members = scene
            .running
            .store
            .members_in(occurrence.zone, "tester", "li", (String::new(), 9));
        let members = members.await.unwrap();
        addressed.push(
            members
                .iter()
                .map(|member| member.wallet.as_bytes()[0])
                .collect::<Vec<_>>(),
        );
        scene.running.store.plan(occurrence.row, chunk).await.unwrap();
    }
    assert_eq!(addressed, [vec![1, 2], vec![3], vec![4]]);
}

#[tokio::test]
async fn a_rule_that_stays_silent_is_noticed_once_a_silence_also_after_a_standstill() {
    let _turn = TURN.lock().await;
    let mut scene = scene_of(
        "rules:\n  beat: { when: { at: 2026-03-29T00:10:00Z }, to: { wallet: 0x0000000000000000000000000000000000000001 }, send: x }\n  \
         ru: { when: { silent: beat, for: 5m }, to: { wallet: 0x0000000000000000000000000000000000000001 }, ttl: 1m, send: x }\n",
    );
    assert!(scene.at(&[0, 299]).await.is_empty());
    let told = scene.at(&[300, 301, 599]).await;
    assert_eq!(
        told,
        ["Occurrence silent since 2026-03-29T00:00:00Z"],
        "it never fired"
    );
    assert_eq!(scene.at(&[600, 899]).await, ["Occurrence 2026-03-29T00:10:00Z"]);
    // herald was away for a day: the silence is longer than any ttl, and is told nevertheless.
    let told = scene.at(&[86_400, 86_401]).await;
    assert_eq!(told, ["Occurrence silent since 2026-03-29T00:10:00Z"]);
}
