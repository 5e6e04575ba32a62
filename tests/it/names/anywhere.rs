//! Names where wallets are written: by people in commands and flows, by operators and services, and in every part of a bot's file.

use herald_protocol::address::Address;
use serde_json::{Value, json};

use crate::harness::{
    chain::Evm,
    ens::Ens,
    house::House,
    people::{address, person},
    rpc_proxy::{Behaviour, RpcProxy},
    site::{Site, ok},
    web::http,
};

/// A chain with these names, each of the wallet of who is called so.
async fn named(evm: &Evm, names: &[&str]) {
    let ens = Ens::on(evm).await;
    for name in names {
        let who = name.strip_suffix(".eth").unwrap();
        ens.register(name, address(who)).await;
    }
}

const PEOPLE: &str = "herald: 1
bot: people
identity: env:BOT_KEY
defaults: { consent: transactional }
lists:
  pairs: { join: \"/pair <buddy:wallet>\", fields: { buddy: wallet }, welcome: \"With {{ sub.buddy }}\" }
tables:
  notes: { columns: { who: wallet }, per_owner: 3 }
commands:
  /who <person:wallet>: { reply: \"{{ args.person }}\" }
  /all <people:wallet...>: { reply: \"{{ args.people | length }}: {{ args.people | last }}\" }
  /note <who:wallet>: { add: notes, reply: \"{{ (mine.notes | last).who }}\" }
  /boss: { admins: [boss.eth], reply: You are. }
flows:
  meet:
    when: { message: meet }
    start: who
    states:
      who: { say: Whom?, ask: { person: wallet }, go: told }
      told: { say: \"{{ answers.person }}\", end: true }
rules:
  paid:
    when: { webhook: /paid, verify: { scheme: none }, body: { orders: list, to: wallet, also: optional wallet, more: optional list of wallet } }
    to: { wallets: [body.to, body.also] }
    send: Paid!
fallback: What?
";

#[tokio::test]
async fn people_name_wallets_in_commands_joins_and_flows() {
    let evm = Evm::start().await;
    named(&evm, &["alice.eth", "bob.eth", "boss.eth"]).await;
    let house = House::of(PEOPLE).on_chains(&[("ethereum", 31337, &[evm.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let boss = person("boss", herald.node()).await;
    let [bob, own] = ["bob", "alice"].map(|who| address(who).to_string());
    alice.asks(bot, "/who Bob.ETH", &[&bob]).await;
    alice
        .asks(
            bot,
            "/who nobody.eth",
            &["Usage: /who <person:wallet>\n`person`: nobody.eth has no address"],
        )
        .await;
    alice
        .asks(
            bot,
            "/who a_b.eth",
            &["Usage: /who <person:wallet>\n`person`: `a_b.eth` is no name of a wallet: underscore allowed only at start"],
        )
        .await;
    alice
        .asks(bot, "/all bob.eth alice.eth", &[&format!("2: {own}")])
        .await;
    alice.asks(bot, "/note bob.eth", &[&bob]).await;
    alice.asks(bot, "/pair bob.eth", &[&format!("With {bob}")]).await;
    alice.asks(bot, "meet", &["Whom?"]).await;
    alice.asks(bot, "nobody.eth", &["Whom?"]).await;
    alice.asks(bot, "bob.eth", &[&bob]).await;
    alice.asks(bot, "/boss", &["What?"]).await;
    boss.asks(bot, "/boss", &["You are."]).await;
}

#[tokio::test]
async fn who_names_a_wallet_while_no_node_answers_is_asked_to_come_again_and_nothing_is_kept() {
    let evm = Evm::start().await;
    named(&evm, &["bob.eth"]).await;
    let node = RpcProxy::to(evm.url()).await;
    node.behaves(Behaviour {
        is_down: true,
        ..Behaviour::default()
    });
    let house = House::of(PEOPLE).on_chains(&[("ethereum", 31337, &[node.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let later = "I cannot look that up right now. Please try again in a few minutes.";
    let bob = address("bob").to_string();
    alice.asks(bot, "/note bob.eth", &[later]).await;
    let told = herald
        .event("error", |event| event["rule"] == "command:/note")
        .await;
    assert!(
        told["reason"].as_str().unwrap().starts_with("chain `ethereum`: "),
        "{told}"
    );
    alice.asks(bot, "meet", &["Whom?"]).await;
    alice.asks(bot, "bob.eth", &[later]).await;
    node.behaves(Behaviour::default());
    alice.asks(bot, "bob.eth", &[&bob]).await;
    alice.asks(bot, "/note bob.eth", &[&bob]).await;
}

#[tokio::test]
async fn webhooks_with_typed_bodies_name_wallets() {
    let evm = Evm::start().await;
    named(&evm, &["alice.eth"]).await;
    let house = House::of(PEOPLE).on_chains(&[("ethereum", 31337, &[evm.url()])]);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let url = format!("{}/hooks/people/paid", herald.api());
    let post = async |body: Value| {
        let answer = http().post(&url).body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, answer) = post(json!({ "orders": ["nobody.eth"], "to": "Alice.eth" })).await;
    assert_eq!(status, 202, "{answer}");
    alice.reads(herald.address(), &["Paid!"]).await;
    let (status, answer) =
        post(json!({ "orders": [], "to": address("bob").to_string(), "also": "nobody.eth" })).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("nobody.eth has no address"), "{answer}");
    let many = |count: usize| json!({ "orders": [], "to": "bob.eth", "more": vec!["x.eth"; count] });
    let (status, answer) = post(many(101)).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer.contains("expected at most 100 names of wallets, found 102"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_webhook_whose_names_nobody_can_tell_is_to_be_sent_again_and_shows_no_node() {
    let house = House::of(PEOPLE).on_chains(&[("ethereum", 31337, &["http://127.0.0.1:1"])]);
    let herald = house.start().await;
    let url = format!("{}/hooks/people/paid", herald.api());
    let body = json!({ "orders": [], "to": "alice.eth" }).to_string();
    let answer = http().post(&url).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(
        text.contains("send it again later") && !text.contains("127.0.0.1"),
        "{text}"
    );
    assert_eq!(house.occurrences(), 0);
}

#[tokio::test]
async fn operators_name_wallets_on_the_command_line() {
    let evm = Evm::start().await;
    named(&evm, &["alice.eth", "bob.eth"]).await;
    let house = House::of(PEOPLE).on_chains(&[("ethereum", 31337, &[evm.url()])]);
    let [alice, bob] = ["alice", "bob"].map(|who| address(who).to_string());
    std::fs::write(
        house.folder().join("new.csv"),
        format!("wallet,buddy\nbob.eth,{alice}\nnobody.eth,{alice}\n"),
    )
    .unwrap();
    let herald = house.start().await;
    let reader = person("alice", herald.node()).await;
    let run = async |arguments: &[&str], code: i32| house.run(arguments).await.expect(code).out;
    run(
        &[
            "subscribers",
            "add",
            "people/pairs",
            "alice.eth",
            "--field",
            &format!("buddy={bob}"),
        ],
        0,
    )
    .await;
    reader.reads(herald.address(), &[&format!("With {bob}")]).await;
    let imported = run(&["subscribers", "import", "people/pairs", "new.csv"], 1).await;
    assert_eq!(imported, "row 3: nobody.eth has no address\n");
    let shown = run(&["subscribers", "show", "bob.eth"], 0).await;
    assert!(
        shown.starts_with(&format!("people  {bob}\n  list pairs since ")),
        "{shown}"
    );
    run(&["subscribers", "remove", "people/pairs", "bob.eth"], 0).await;
    let listed = run(&["subscribers", "list", "people/pairs"], 0).await;
    assert!(
        listed.starts_with(&alice) && listed.lines().count() == 1,
        "{listed}"
    );
    let delivered = run(&["deliveries", "--wallet", "alice.eth"], 0).await;
    assert_eq!(delivered.lines().count(), 1, "{delivered}");
    let why = run(&["deliveries", "why", "bob.eth", "people/paid"], 0).await;
    assert!(why.contains("never"), "{why}");
    let ended = house
        .run(&["deliveries", "--wallet", "nobody.eth"])
        .await
        .expect(2);
    assert_eq!(ended.talk, "error: nobody.eth has no address\n");
}

/// A desk whose team has names, one of which is nobody's.
const DESK: &str = "herald: 1
bot: desk
identity: env:BOT_KEY
flows:
  support:
    when: { message: help }
    start: human
    states:
      human:
        say: A person will answer.
        forward: { wallets: [ana.eth, nobody.eth], claim: true }
        escalate: { after: 1s, wallets: [lead.eth] }
";

#[tokio::test]
async fn people_of_a_team_are_reached_by_their_names() {
    let evm = Evm::start().await;
    named(&evm, &["ana.eth", "lead.eth"]).await;
    let house = House::of(DESK).on_chains(&[("ethereum", 31337, &[evm.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let ana = person("ana", herald.node()).await;
    let lead = person("lead", herald.node()).await;
    alice.asks(bot, "help", &["A person will answer."]).await;
    ana.reads(bot, &["#1: help"]).await;
    lead.reads(
        bot,
        &["#1: nobody has answered yet\nthey: help\nbot: A person will answer."],
    )
    .await;
    let told = herald
        .event("error", |event| event["rule"] == "flow:support")
        .await;
    assert!(
        told["reason"]
            .as_str()
            .unwrap()
            .contains("nobody.eth has no address"),
        "{told}"
    );
    ana.say(bot, "Hello!").await;
    alice.reads(bot, &["A person will answer.", "Hello!"]).await;
}

/// Reads a token by its name.
const TOKEN: &str = "herald: 1
bot: token
identity: env:BOT_KEY
defaults: { consent: transactional }
sources:
  held: { chain: ethereum, at: token.eth, call: balanceOf(address) returns (uint256 balance), args: [message.from] }
commands:
  /balance: { reply: \"{{ held.balance }}\" }
rules:
  got:
    when:
      log: Transfer(address indexed from, address indexed to, uint256 value)
      chain: ethereum
      at: token.eth
      confirmations: 0
      start: 0
      where: event.to == alice.eth
    to: { wallet: event.to }
    send: \"{{ event.value }}\"
  all:
    when: { manual: true }
    to: { holders: { chain: ethereum, token: token.eth }, where: to.wallet != bob.eth }
    send: \"You hold {{ to.balance }}\"
";

/// Tokens for somebody.
async fn mint(evm: &Evm, token: Address, who: &str, count: &str) {
    let arguments = json!([address(who).to_string(), count]);
    evm.send(token, "mint(address,uint256)", arguments).await;
}

#[tokio::test]
async fn contracts_and_conditions_of_a_file_are_named() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let ens = Ens::on(&evm).await;
    for (name, address) in [
        ("token.eth", token),
        ("alice.eth", address("alice")),
        ("bob.eth", address("bob")),
    ] {
        ens.register(name, address).await;
    }
    let house = House::of(TOKEN).on_chains(&[("ethereum", 31337, &[evm.url()])]);
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    mint(&evm, token, "bob", "7").await;
    mint(&evm, token, "alice", "5").await;
    alice.reads(bot, &["5"]).await;
    alice.asks(bot, "/balance", &["5"]).await;
    herald.fire("all", &json!({})).await;
    alice.reads(bot, &["5", "5", "You hold 5"]).await;
    house.settled().await;
    assert!(bob.texts_of(bot).await.is_empty());
}

#[tokio::test]
async fn rows_of_services_and_databases_name_wallets() {
    let evm = Evm::start().await;
    named(&evm, &["alice.eth", "bob.eth"]).await;
    let rows = json!([{ "wallet": "alice.eth" }, { "wallet": "nobody.eth" }, { "wallet": address("bob").to_string() }]);
    let site = Site::start(move |_| ok(&rows)).await;
    let house = House::of(&format!(
        "herald: 1
bot: rows
identity: env:BOT_KEY
defaults: {{ consent: transactional }}
sources: {{ people: {{ http: {} }} }}
rules:
  service: {{ when: {{ manual: true }}, to: {{ source: people }}, send: service }}
  database: {{ when: {{ manual: true }}, to: {{ sql: \"SELECT wallet FROM people\", url: \"sqlite:people.db\" }}, send: database }}
",
        site.url("/people")
    ));
    let project = format!(
        "herald: 1\nchains: {{ ethereum: {{ id: 31337, rpc: {} }} }}\nfetch: {{ allow: [127.0.0.1/32] }}\n",
        evm.url()
    );
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    let people = rusqlite::Connection::open(house.folder().join("people.db")).unwrap();
    people
        .execute_batch(
            "CREATE TABLE people (wallet TEXT); INSERT INTO people VALUES ('nobody.eth'), ('bob.eth');",
        )
        .unwrap();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    herald.fire("service", &json!({})).await;
    alice.reads(bot, &["service"]).await;
    bob.reads(bot, &["service"]).await;
    herald.fire("database", &json!({})).await;
    bob.reads(bot, &["service", "database"]).await;
    let broken = house.run(&["deliveries", "--broken", "--json"]).await.expect(0);
    let reasons: Vec<Value> = broken
        .json_lines()
        .into_iter()
        .map(|row| row["reason"].clone())
        .collect();
    assert_eq!(
        reasons,
        ["nobody.eth has no address", "nobody.eth has no address"]
    );
}
