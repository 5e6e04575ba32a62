//! Flows: a person is led from state to state and handed to people; nothing is repeated or lost, nobody is shown, nothing goes on
//! without end.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use serde_json::Value;

use crate::harness::{
    house::{Herald, House},
    people::{LOOK, Person, address, person},
    program::DEADLINE,
    site::{Answer, Site},
};

const HELLO: &str = "1: fees, 2: a person.";
const AGAIN: &str = "1 or 2?";
const SOON: &str = "A person will answer.";

/// A support desk whose team is ana and bo. `escalate` is a key of the state that forwards, or nothing.
fn desk(escalate: &str) -> String {
    format!(
        "herald: 1
bot: desk
identity: env:BOT_KEY
vars: {{ team: [\"{}\", \"{}\"] }}
flows:
  support:
    when: {{ message: help }}
    idle: 30m
    start: hello
    states:
      hello:
        say: \"{HELLO}\"
        go: {{ 1|fees: fees, 2|person: human }}
        else: {{ say: \"{AGAIN}\", tries: 2, go: human }}
      fees:
        say: How much did you pay?
        ask: {{ paid: decimal }}
        go: told
      told:
        say: \"{{{{ answers.paid }}}} is usual. Did that help?\"
        go: {{ yes: done }}
        else: {{ go: human }}
      human:
        say: {SOON}
        forward: {{ wallets: vars.team, claim: true, transcript: 20 }}
        {escalate}
      done: {{ say: Glad to help., end: true }}
fallback: Write help.
",
        address("ana"),
        address("bo")
    )
}

/// Those who talk in these tests.
struct Cast {
    alice: Person,
    ana: Person,
    bo: Person,
}

async fn cast(herald: &Herald) -> Cast {
    Cast {
        alice: person("alice", herald.node()).await,
        ana: person("ana", herald.node()).await,
        bo: person("bo", herald.node()).await,
    }
}

/// Waits for one more text of the bot, which begins like this, and gives it.
async fn hears(person: &Person, herald: &Herald, count: usize, start: &str) -> String {
    let bot = herald.address();
    let text = person.hears(bot, count).await;
    let texts = person.texts_of(bot).await;
    assert_eq!(texts.len(), count, "{texts:?}");
    assert!(text.starts_with(start), "{texts:?}");
    text
}

/// Wants that nobody was told a wallet.
async fn shows_no_wallet(people: &[&Person], herald: &Herald) {
    for reader in people {
        for text in reader.texts_of(herald.address()).await {
            let text = text.to_lowercase();
            for other in people {
                assert!(
                    !text.contains(&other.address().to_string().to_lowercase()),
                    "{text}"
                );
            }
            assert!(!text.contains("0x"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_person_is_led_by_words_and_answers_and_what_fits_nothing_is_said_again() {
    let house = House::of(&desk(""));
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.asks(bot, "hi", &["Write help."]).await;
    alice.asks(bot, "Help", &[HELLO]).await;
    alice.asks(bot, "what?", &[AGAIN]).await;
    alice.asks(bot, "FEES please", &["How much did you pay?"]).await;
    alice.asks(bot, "a lot", &["How much did you pay?"]).await;
    alice.asks(bot, "0.10", &["0.10 is usual. Did that help?"]).await;
    alice.asks(bot, "yes", &["Glad to help."]).await;
    alice.asks(bot, "yes", &["Write help."]).await;
}

#[tokio::test]
async fn the_first_of_a_team_to_answer_owns_a_case_and_neither_side_sees_a_wallet() {
    let house = House::of(&desk(""));
    let mut herald = house.start().await;
    let bot = herald.address();
    let Cast { alice, ana, bo } = cast(&herald).await;
    alice.asks(bot, "help", &[HELLO]).await;
    alice.asks(bot, "well", &[AGAIN]).await;
    // The second miss goes on.
    alice.asks(bot, "my transfer is gone", &[SOON]).await;
    let wanted =
        format!("#1: my transfer is gone\n\nBefore:\nthey: help\nbot: {HELLO}\nthey: well\nbot: {AGAIN}");
    for member in [&ana, &bo] {
        member.reads(bot, &[&wanted]).await;
    }
    bo.say(bot, "This is Bo.").await;
    hears(&alice, &herald, 4, "This is Bo.").await;
    ana.asks(bot, "This is Ana.", &["#1: taken"]).await;
    alice.say(bot, "It was yesterday.").await;
    bo.reads(bot, &[&wanted, "#1: It was yesterday."]).await;
    bo.say(bot, "#1: I see it.").await;
    alice
        .reads(bot, &[HELLO, AGAIN, SOON, "This is Bo.", "I see it."])
        .await;
    bo.say(bot, "/done").await;
    // It is over on both sides.
    bo.asks(bot, "hello?", &["Write help."]).await;
    alice.asks(bot, "hello?", &["Write help."]).await;
    ana.reads(bot, &[&wanted, "#1: taken"]).await;
    shows_no_wallet(&[&alice, &ana, &bo], &herald).await;
    // What was said is theirs: nothing of it stays behind.
    herald.count("delivered", 11).await;
    herald.stop().await;
    let nowhere: [&str; 0] = [];
    for said in ["my transfer is gone", "It was yesterday.", "I see it."] {
        assert_eq!(house.keeps(said), nowhere, "{said}");
    }
}

#[tokio::test]
async fn what_somebody_wrote_who_is_forgotten_waits_for_no_one_any_more() {
    let house = House::of(&desk(""));
    let herald = house.start().await;
    let bot = herald.address();
    let (alice, ana) = (
        person("alice", herald.node()).await,
        person("ana", herald.node()).await,
    );
    alice.asks(bot, "help", &[HELLO]).await;
    alice.asks(bot, "2", &[SOON]).await;
    // Bo is not there yet.
    alice.say(bot, "my transfer is gone").await;
    ana.reads(
        bot,
        &[
            &format!("#1: 2\n\nBefore:\nthey: help\nbot: {HELLO}"),
            "#1: my transfer is gone",
        ],
    )
    .await;
    herald.count("delivered", 4).await;
    assert_eq!(
        house.keeps("my transfer is gone"),
        ["delivery.body", "flow.stand"]
    );
    let forget = [
        "subscribers",
        "forget",
        &alice.address().to_string(),
        "--bots",
        "bot.yaml",
    ];
    house.run(&forget).await.expect(0);
    let nowhere: [&str; 0] = [];
    assert_eq!(house.keeps("my transfer is gone"), nowhere);
    let bo = person("bo", herald.node()).await;
    bo.asks(bot, "hello?", &["Write help."]).await;
    alice.asks(bot, "hello?", &["Write help."]).await;
}

#[tokio::test]
async fn an_answer_to_a_case_that_is_over_reaches_nobody_else() {
    let house = House::of(&desk(""));
    let herald = house.start().await;
    let bot = herald.address();
    let Cast { alice, ana, .. } = cast(&herald).await;
    let carol = person("carol", herald.node()).await;
    for customer in [&alice, &carol] {
        customer.asks(bot, "help", &[HELLO]).await;
        customer.asks(bot, "2", &[SOON]).await;
    }
    hears(&ana, &herald, 2, "#2: 2").await;
    alice.say(bot, "/done").await;
    alice.asks(bot, "thanks", &["Write help."]).await;
    ana.asks(bot, "#1: for alice alone", &["#1: not open"]).await;
    ana.say(bot, "#2: for carol").await;
    carol.reads(bot, &[HELLO, SOON, "for carol"]).await;
    alice.reads(bot, &[HELLO, SOON, "Write help."]).await;
}

#[tokio::test]
async fn a_restart_takes_an_answer_in_the_state_it_was_in_and_says_nothing_twice() {
    let house = House::of(&desk(""));
    let mut herald = house.start().await;
    let bot = herald.address();
    let Cast { alice, ana, bo } = cast(&herald).await;
    alice.asks(bot, "help", &[HELLO]).await;
    alice.asks(bot, "1", &["How much did you pay?"]).await;
    herald.stop().await;
    let mut herald = house.start().await;
    let told = "12.5 is usual. Did that help?";
    alice.asks(bot, "12.5", &[told]).await;
    herald.kill();
    let mut herald = house.start().await;
    alice.asks(bot, "no", &[SOON]).await;
    hears(&bo, &herald, 1, "#1: no\n\nBefore:\n").await;
    herald.stop().await;
    let mut herald = house.start().await;
    bo.say(bot, "Bo here.").await;
    hears(&alice, &herald, 5, "Bo here.").await;
    herald.kill();
    let herald = house.start().await;
    // Who owns it stands, too.
    ana.asks(bot, "Ana here.", &["#1: taken"]).await;
    alice.say(bot, "and now?").await;
    hears(&bo, &herald, 2, "#1: and now?").await;
    alice
        .reads(bot, &[HELLO, "How much did you pay?", told, SOON, "Bo here."])
        .await;
    hears(&ana, &herald, 2, "#1: taken").await;
}

/// Answers 500 so often, then 204.
async fn hook(failures: usize) -> Site {
    let count = AtomicUsize::new(0);
    Site::start(move |_| {
        let status = if count.fetch_add(1, Ordering::SeqCst) < failures {
            "500 Oops"
        } else {
            "204 No Content"
        };
        Answer::Whole(status, String::new(), Vec::new())
    })
    .await
}

/// Waits until the site was asked so often, and gives the bodies.
async fn posts(site: &Site, count: usize) -> Vec<Value> {
    site.is_asked(count).await;
    let asked = site.asked();
    let bodies = asked.iter().map(|(head, body)| {
        assert!(head.starts_with("POST /desk "), "{head}");
        serde_json::from_str(body).unwrap()
    });
    bodies.collect()
}

fn escalating(after: &str, url: &str) -> String {
    desk(&format!(
        "escalate: {{ after: {after}, wallets: [\"{}\", \"{}\"], post: \"{url}\" }}",
        address("lead"),
        // Already of the team; told no more than the others.
        address("ana")
    ))
}

#[tokio::test]
async fn others_are_called_once_when_nobody_answers_and_a_failed_post_is_tried_again() {
    let site = hook(1).await;
    let house = House::of(&escalating("2s", &site.url("/desk"))).asking_this_machine();
    let mut herald = house.start().await;
    let bot = herald.address();
    let Cast { alice, ana, bo } = cast(&herald).await;
    let lead = person("lead", herald.node()).await;
    alice.asks(bot, "help", &[HELLO]).await;
    alice.asks(bot, "2", &[SOON]).await;
    herald.stop().await;
    // It is due while herald is down.
    let mut herald = house.start().await;
    let called = hears(&lead, &herald, 1, "#1: nobody has answered yet").await;
    assert!(
        called.contains(&format!("they: help\nbot: {HELLO}\nthey: 2")),
        "{called}"
    );
    posts(&site, 1).await;
    herald.kill();
    let mut herald = house.start().await;
    let bodies = posts(&site, 2).await;
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(
        (
            &bodies[0]["event"],
            &bodies[0]["bot"],
            &bodies[0]["flow"],
            &bodies[0]["case"]
        ),
        (&"escalated".into(), &"desk".into(), &"support".into(), &1.into())
    );
    assert!(!bodies[0].to_string().contains("0x"), "{}", bodies[0]);
    herald.stop().await;
    let herald = house.start().await;
    // Everybody hears what follows, once.
    alice.say(bot, "anybody?").await;
    hears(&lead, &herald, 2, "#1: anybody?").await;
    hears(&bo, &herald, 2, "#1: anybody?").await;
    let texts = ana.texts_of(bot).await;
    let asked = texts.iter().filter(|text| *text == "#1: anybody?").count();
    assert_eq!(asked, 1, "{texts:?}");
    lead.say(bot, "I am here.").await;
    alice.reads(bot, &[HELLO, SOON, "I am here."]).await;
    bo.asks(bot, "late", &["#1: taken"]).await;
    assert_eq!(site.asked().len(), 2, "{:?}", site.asked());
}

#[tokio::test]
async fn nobody_else_is_called_when_somebody_has_answered() {
    let site = hook(0).await;
    let house = House::of(&escalating("3s", &site.url("/desk"))).asking_this_machine();
    let herald = house.start().await;
    let bot = herald.address();
    let Cast { alice, ana, .. } = cast(&herald).await;
    let carol = person("carol", herald.node()).await;
    let lead = person("lead", herald.node()).await;
    alice.asks(bot, "help", &[HELLO]).await;
    alice.say(bot, "2").await;
    hears(&ana, &herald, 1, "#1: 2").await;
    ana.say(bot, "#1: Ana here.").await;
    alice.reads(bot, &[HELLO, SOON, "Ana here."]).await;
    // A later case shows that the time of the first has come and gone.
    carol.asks(bot, "help", &[HELLO]).await;
    carol.asks(bot, "2", &[SOON]).await;
    hears(&lead, &herald, 1, "#2: nobody has answered yet").await;
    assert_eq!(posts(&site, 1).await[0]["case"], 2);
}

/// A bot that answers everything with a fallback, or with a rule.
fn chatty(name: &str, key: &str, answers: &str) -> String {
    format!("herald: 1\nbot: {name}\nidentity: env:{key}\n{answers}")
}

const FALLBACK: &str = "fallback: \"You said {{ message.text | truncate(20) }}.\"\n";
const RULE: &str = "rules:
  echo:
    when: { message: any }
    to: { wallet: message.from }
    consent: transactional
    send: \"Echo {{ message.text | truncate(20) }}.\"
";
const FLOW: &str = "flows:
  loop:
    when: { message: any }
    start: here
    states:
      here: { say: \"Pardon?\", go: { enough: over } }
      over: { say: \"Over.\", end: true }
";

/// How often they have written to each other, once no more is written for a while.
async fn silence(one: &Person, other: &Person) -> usize {
    let mut count = 0;
    let silent = async {
        loop {
            let now = one.texts_of(other.address()).await.len() + other.texts_of(one.address()).await.len();
            if now == count {
                return;
            }
            count = now;
            // Longer than bots take to answer each other.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::time::timeout(DEADLINE, silent).await.unwrap();
    count
}

/// Two bots that answer each other come to an end, and a person is answered by both.
async fn come_to_an_end(first: &str, second: &str, answers: [&str; 2]) {
    let house = House::of(&chatty("first", "BOT_KEY", first))
        .beside("second.yaml", &chatty("second", "SECOND_KEY", second))
        .set("SECOND_KEY", &crate::harness::people::key("second"));
    let herald = house.start_for("first").await;
    herald.event("ready", |ready| ready["bot"] == "second").await;
    // Their owners look on, each from a client of their own; one of them writes the first word.
    let first = person("bot", herald.node()).await;
    let second = person("second", herald.node()).await;
    first.say(second.address(), "hi").await;
    let waited = async {
        while second.texts_of(first.address()).await.len() < 2 {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(DEADLINE, waited).await.unwrap();
    let count = silence(&first, &second).await;
    assert!((5..=20).contains(&count), "{count} messages");
    let alice = person("alice", herald.node()).await;
    alice.asks(first.address(), "hi", &[answers[0]]).await;
    alice.asks(second.address(), "hi", &[answers[1]]).await;
}

#[tokio::test]
async fn two_bots_that_answer_everything_come_to_an_end_and_people_are_answered() {
    come_to_an_end(FALLBACK, RULE, ["You said hi.", "Echo hi."]).await;
}

#[tokio::test]
async fn two_bots_in_flows_come_to_an_end_too() {
    come_to_an_end(FLOW, FLOW, ["Pardon?", "Pardon?"]).await;
}

/// Waits for the error that tells why a changed file was not taken.
async fn refused(herald: &Herald, part: &str) {
    let has_part = |event: &Value| {
        event["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains(part))
    };
    herald.event("error", has_part).await;
}

#[tokio::test]
async fn a_reload_keeps_states_with_people_in_them_and_types_of_what_is_kept() {
    let text = format!(
        "{}lists: {{ readers: {{ join: /subscribe, fields: {{ level: int }} }} }}
tables: {{ notes: {{ columns: {{ size: int }} }} }}
",
        // A bot with lists answers `help` itself.
        desk("").replace("message: help", "message: begin")
    );
    let house = House::of(&text);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    alice.asks(bot, "begin", &[HELLO]).await;
    alice.asks(bot, "1", &["How much did you pay?"]).await;
    let without_state = text
        .replace("      fees:\n", "      price:\n")
        .replace("1|fees: fees", "1|fees: price");
    house.rewrite(&without_state);
    refused(
        &herald,
        "the state `fees` of `support` is gone, and 1 person is in it",
    )
    .await;
    herald.says("hint: keep it until they are through").await;
    house.rewrite(&text.replace("columns: { size: int }", "columns: { size: text }"));
    refused(&herald, "rows of `notes` keep `size` as int, which is not text").await;
    herald.says("hint: give the new column another name").await;
    house.rewrite(&text.replace("level: int", "level: text"));
    refused(&herald, "members of `readers` keep `level` as int").await;
    herald.says("hint: give the new field another name").await;
    assert!(herald.events("reloaded").is_empty());
    // The old file goes on, and one that keeps the state is taken with the person in it.
    house.rewrite(
        &text
            .replace("is usual.", "is normal.")
            .replace("Glad to help.", "Bye."),
    );
    herald.event("reloaded", |_| true).await;
    alice.asks(bot, "3", &["3 is normal. Did that help?"]).await;
    alice.asks(bot, "yes", &["Bye."]).await;
    // Nobody is in it now.
    house.rewrite(&without_state);
    herald.count("reloaded", 2).await;
    alice.asks(bot, "begin", &[HELLO]).await;
}

/// Many messages at once.
const MANY: usize = 10_000;
/// Of these, so many are on their way at any time.
const AT_ONCE: usize = 32;

#[tokio::test]
async fn somebody_who_writes_without_pause_is_answered_twenty_times_and_keeps_nobody_waiting() {
    let text = format!(
        "{}lists: {{ readers: {{ join: /subscribe, welcome: Hello. }} }}\n",
        desk("")
    );
    let house = House::of(&text);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let carol = person("carol", herald.node()).await;
    carol.asks(bot, "hi", &["Write help."]).await;
    let texts: Vec<String> = (0..MANY).map(|number| format!("message {number}")).collect();
    let saying = stream::iter(&texts).map(|text| alice.say(bot, text));
    saying.buffer_unordered(AT_ONCE).for_each(async |_| {}).await;
    carol.asks(bot, "hi again", &["Write help."]).await;
    alice.say(bot, "stop").await;
    let goodbye = "Done. I will not write to you any more. To come back: /subscribe";
    hears(&alice, &herald, 22, goodbye).await;
    let texts = alice.texts_of(bot).await;
    assert!(texts[..20].iter().all(|text| text == "Write help."), "{texts:?}");
    assert!(texts[20].starts_with("That was a lot for an hour"), "{texts:?}");
}

#[tokio::test]
async fn a_case_forwards_sixty_messages_an_hour_and_still_ends() {
    let house = House::of(&desk(""));
    let herald = house.start().await;
    let bot = herald.address();
    let Cast { alice, ana, bo } = cast(&herald).await;
    alice.asks(bot, "help", &[HELLO]).await;
    alice.asks(bot, "2", &[SOON]).await;
    ana.say(bot, "Ana here.").await;
    hears(&alice, &herald, 3, "Ana here.").await;
    for number in 0..70 {
        alice.say(bot, &format!("message {number}")).await;
    }
    let full = hears(&alice, &herald, 4, "That was a lot for an hour").await;
    assert!(full.contains("not passed on"), "{full}");
    // What others write comes through, in both directions.
    ana.say(bot, "Please write less.").await;
    hears(&alice, &herald, 5, "Please write less.").await;
    // `help` and `2` were of the flow as well.
    hears(&ana, &herald, 59, "#1: message 57").await;
    alice.say(bot, "/done").await;
    ana.asks(bot, "hello?", &["Write help."]).await;
    let texts = ana.texts_of(bot).await;
    let passed = texts
        .iter()
        .filter(|text| text.starts_with("#1: message"))
        .count();
    assert_eq!(passed, 58, "{texts:?}");
    hears(&bo, &herald, 1, "#1: 2").await;
    hears(&alice, &herald, 5, "Please write less.").await;
}
