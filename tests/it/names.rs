//! Names of wallets: bots write to who owns a name, call wallets by the names they own, and believe neither claims nor gateways.

/// Names in commands, on the command line, in webhooks and in every part of a file.
mod anywhere;

use std::time::{Duration, Instant};

use herald_protocol::address::Address;
use serde_json::{Value, json};

use crate::harness::{
    abi,
    chain::Evm,
    ens::{self, Ens},
    house::{Herald, House},
    people::{address, person},
    rpc_proxy::{Behaviour, RpcProxy},
    site::{Answer, Site, ok},
};

const HANDLES: &str = "0xe7E7EaD361f3AaCD73A61A9bD6C10cA17F38E945";

const BOT: &str = "herald: 1
bot: names
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  call: { when: { manual: true }, to: { wallet: body.wallet }, send: \"{{ body.of | ens }}\" }
  write: { when: { manual: true }, to: { wallets: [alice.eth, bob.lens] }, send: Hello! }
  any: { when: { manual: true }, to: { wallets: [body.to], except: { wallet: carol.eth } }, send: Hello! }
  file: { when: { manual: true }, to: { csv: team.csv, where: row.wallet != carol.eth }, send: \"{{ to.role }}\" }
";

/// A bot in a project with these nodes of Ethereum and Polygon.
fn house(ethereum: &[&str], more: &str) -> House {
    let house = House::of(BOT);
    let project = format!(
        "herald: 1\nchains:\n  ethereum: {{ id: 31337, rpc: [{0}], confirmations: 0 }}\n  polygon: {{ id: 31337, rpc: [{0}], confirmations: 0 }}\n{more}",
        ethereum.join(", ")
    );
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    std::fs::write(house.folder().join("team.csv"), "wallet,role\n").unwrap();
    house
}

/// `0x12…ab`
fn short(wallet: &str) -> String {
    let (start, end) = (wallet.get(..4).unwrap(), wallet.get(40..).unwrap());
    format!("{start}…{end}")
}

/// Fires for a name, and gives why its row cannot be read.
async fn unread(herald: &Herald, name: &str) -> String {
    herald.fire("any", &json!({ "to": name })).await;
    let is_meant = |event: &Value| {
        let reason = event["reason"].as_str();
        reason.is_some_and(|reason| reason.contains(name))
    };
    let told = herald.event("skipped", is_meant).await;
    told["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn names_lead_to_their_owners_wherever_a_wallet_may_stand() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(address);
    ens.register("alice.eth", alice).await;
    ens.register("carol.eth", carol).await;
    let handles = HANDLES.parse().unwrap();
    evm.put_code("Handles", handles).await;
    evm.send(handles, "mint(address,string)", json!([bob.to_string(), "bob"]))
        .await;
    let house = house(&[evm.url()], "");
    let lines = "wallet,role\nAlice.ETH,lead\nnobody.eth,ghost\nbob.lens,hand\na_b.eth,typo\ncarol.eth,left out\nnobody.lens,ghost\n";
    std::fs::write(house.folder().join("team.csv"), lines).unwrap();
    let herald = house.start().await;
    let bot = herald.address();
    let [alice, bob] = [
        person("alice", herald.node()).await,
        person("bob", herald.node()).await,
    ];
    herald.fire("write", &json!({})).await;
    alice.reads(bot, &["Hello!"]).await;
    bob.reads(bot, &["Hello!"]).await;
    herald
        .fire("any", &json!({ "to": ["alice.eth", "bob.lens", "carol.eth"] }))
        .await;
    alice.reads(bot, &["Hello!", "Hello!"]).await;
    bob.reads(bot, &["Hello!", "Hello!"]).await;
    herald.fire("file", &json!({})).await;
    alice.reads(bot, &["Hello!", "Hello!", "lead"]).await;
    bob.reads(bot, &["Hello!", "Hello!", "hand"]).await;
    let rows = house
        .run(&["deliveries", "--broken", "--json"])
        .await
        .expect(0)
        .json_lines();
    let broken: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row["row"], row["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        broken,
        [
            "3 nobody.eth has no address",
            "5 `a_b.eth` is no name of a wallet: underscore allowed only at start",
            "7 nobody.lens has no owner"
        ],
        "{rows:?}"
    );
}

#[tokio::test]
async fn a_wallet_is_called_by_a_name_only_if_the_name_is_its_own() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(address);
    ens.register("alice.eth", alice).await;
    ens.claim(alice, "alice.eth").await;
    // A name of somebody else's, and one that is not as it should be written.
    ens.claim(bob, "alice.eth").await;
    ens.register("carol.eth", carol).await;
    ens.claim(carol, "Carol.eth").await;
    let house = house(&[evm.url()], "");
    let herald = house.start().await;
    let reader = person("reader", herald.node()).await;
    let mut read = Vec::new();
    for (who, name) in [
        (alice, Some("alice.eth")),
        (bob, None),
        (carol, None),
        (address("dora"), None),
    ] {
        let full = who.to_string();
        read.push(name.map_or_else(|| short(&full), ToOwned::to_owned));
        let body = json!({ "wallet": reader.address().to_string(), "of": full });
        herald.fire("call", &body).await;
        let texts: Vec<&str> = read.iter().map(String::as_str).collect();
        reader.reads(herald.address(), &texts).await;
    }
}

#[tokio::test]
async fn without_a_node_wallets_are_called_by_their_short_form() {
    let house = House::of(
        &BOT.lines()
            .filter(|line| !line.contains("eth,") && !line.contains(".eth"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    let checked = house.run(&["check"]).await;
    assert!(checked.out.contains("W305"), "{}", checked.out);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let wallet = alice.address().to_string();
    herald
        .fire("call", &json!({ "wallet": wallet, "of": wallet }))
        .await;
    alice.reads(herald.address(), &[&short(&wallet)]).await;
}

#[tokio::test]
async fn while_the_node_is_away_what_names_are_for_waits() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let alice = address("alice");
    ens.register("alice.eth", alice).await;
    ens.register("carol.eth", address("carol")).await;
    ens.claim(alice, "alice.eth").await;
    let node = RpcProxy::to(evm.url()).await;
    node.behaves(Behaviour {
        is_down: true,
        ..Behaviour::default()
    });
    let house = house(&[node.url()], "");
    let lines = "wallet,role\nalice.eth,lead\nnobody.eth,ghost\n";
    std::fs::write(house.folder().join("team.csv"), lines).unwrap();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let body = json!({ "wallet": alice.address().to_string(), "of": alice.address().to_string() });
    herald.fire("call", &body).await;
    herald.fire("file", &json!({})).await;
    let told = herald.event("error", |event| event["rule"] == "file").await;
    assert!(
        told["reason"].as_str().unwrap().contains("chain `ethereum`: "),
        "{told}"
    );
    assert!(!told["until"].is_null(), "{told}");
    herald.event("held", |event| event["rule"] == "call").await;
    assert!(alice.texts_of(bot).await.is_empty());
    node.behaves(Behaviour::default());
    herald.count("delivered", 2).await;
    let mut texts = alice.texts_of(bot).await;
    texts.sort();
    assert_eq!(texts, ["alice.eth", "lead"]);
}

/// A resolver whose record of a name is at a gateway, which must answer with this wallet.
async fn offchain(evm: &Evm, name: &str, urls: &[String], wallet: Address) -> Address {
    let offchain = evm.deploy("OffchainResolver").await;
    evm.send(offchain, "setUrls(string[])", json!([urls])).await;
    let question = abi::encode("addr(bytes32)", &json!([abi::hex(ens::namehash(name))]));
    let dns = abi::hex(ens::dns_encoded(name));
    let committed = json!([dns, question, response(wallet)]);
    evm.send(offchain, "commit(bytes,bytes,bytes)", committed).await;
    offchain
}

fn response(wallet: Address) -> String {
    format!("0x{:0>64}", const_hex::encode(wallet.as_bytes()))
}

#[tokio::test]
async fn names_below_others_and_names_at_gateways_are_found() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let [alice, bob] = ["alice", "bob"].map(address);
    let wildcard = evm.deploy("WildcardResolver").await;
    let label = json!(["alice", alice.to_string()]);
    evm.send(wildcard, "setLabel(string,address)", label).await;
    ens.resolved_by("shop.eth", wildcard).await;
    // One that answers for its own names alone.
    ens.register("plain.eth", alice).await;
    let site = Site::start(move |path| match path {
        path if path.starts_with("/get/") => ok(&json!({ "data": response(bob) })),
        "/post" => ok(&json!({ "data": response(bob) })),
        "/broken" => Answer::Whole("500 Oops", String::new(), Vec::new()),
        "/silly" => ok(&json!({ "answer": 42 })),
        _ => Answer::Whole("404 Not Found", String::new(), Vec::new()),
    })
    .await;
    let get = [site.url("/silly"), site.url("/get/{sender}/{data}.json")];
    let by_get = offchain(&evm, "pay.bob.eth", &get, bob).await;
    ens.resolved_by("bob.eth", by_get).await;
    let by_post = offchain(&evm, "post.eth", &[site.url("/post")], bob).await;
    ens.resolved_by("post.eth", by_post).await;
    let house = house(&[evm.url()], "fetch: { allow: [127.0.0.1/32] }\n");
    let herald = house.start().await;
    let bot = herald.address();
    let [alice, bob] = [
        person("alice", herald.node()).await,
        person("bob", herald.node()).await,
    ];
    // The rule's own exception is asked too, and is nobody.
    herald.fire("any", &json!({ "to": "alice.shop.eth" })).await;
    alice.reads(bot, &["Hello!"]).await;
    herald.fire("any", &json!({ "to": "pay.bob.eth" })).await;
    bob.reads(bot, &["Hello!"]).await;
    herald.fire("any", &json!({ "to": "post.eth" })).await;
    bob.reads(bot, &["Hello!", "Hello!"]).await;
    let asked = site.asked();
    let (head, body) = asked
        .iter()
        .find(|(head, _)| head.starts_with("POST /post"))
        .unwrap();
    assert!(
        head.to_lowercase().contains("content-type: application/json"),
        "{head}"
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["sender"], by_post.to_string().to_lowercase());
    let get = asked
        .iter()
        .find(|(head, _)| head.starts_with("GET /get/"))
        .unwrap();
    let sender = by_get.to_string().to_lowercase();
    assert!(
        get.0.starts_with(&format!("GET /get/{sender}/0x9061b923")),
        "{}",
        get.0
    );
    assert_eq!(
        unread(&herald, "x.shop.eth").await,
        "row 1 of `to`: x.shop.eth has no address"
    );
    assert_eq!(
        unread(&herald, "x.plain.eth").await,
        "row 1 of `to`: x.plain.eth has no address"
    );
}

#[tokio::test]
async fn gateways_that_lie_or_answer_without_end_name_nobody() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let [alice, mallory] = ["alice", "mallory"].map(address);
    let site = Site::start(move |path| match path {
        "/lies" => ok(&json!({ "data": response(mallory) })),
        "/endless" => Answer::Endless,
        "/large" => Answer::Whole("200 OK", String::new(), vec![b' '; 100_000_000]),
        _ => Answer::Whole("404 Not Found", String::new(), Vec::new()),
    })
    .await;
    for name in ["lies", "endless", "large", "absent"] {
        let own = format!("{name}.eth");
        let resolver = offchain(&evm, &own, &[site.url(&format!("/{name}"))], alice).await;
        ens.resolved_by(&own, resolver).await;
    }
    let house = house(&[evm.url()], "fetch: { allow: [127.0.0.1/32] }\n");
    let herald = house.start().await;
    person("alice", herald.node()).await;
    person("mallory", herald.node()).await;
    for (name, path, speaks_for) in [("loop.eth", "/lies", None), ("other.eth", "/lies", Some(alice))] {
        let resolver = evm.deploy("LoopingResolver").await;
        evm.send(resolver, "setUrl(string)", json!([site.url(path)]))
            .await;
        if let Some(other) = speaks_for {
            let other = json!([other.to_string()]);
            evm.send(resolver, "speakFor(address)", other).await;
        }
        ens.resolved_by(name, resolver).await;
    }
    let begun = Instant::now();
    for (name, reason) in [
        (
            "lies.eth",
            "of what its gateway answers, the contract refuses: not what was committed to",
        ),
        ("endless.eth", "is larger than 1048576 bytes"),
        ("large.eth", "is larger than 1048576 bytes"),
        ("absent.eth", "answered with status 404, wanted 200 to 299"),
        ("loop.eth", "its gateways send on more than 4 times"),
        ("other.eth", "its resolver speaks for another contract"),
    ] {
        let told = unread(&herald, name).await;
        assert!(
            told.starts_with(&format!("row 1 of `to`: {name} has no address: ")),
            "{told}"
        );
        assert!(told.ends_with(reason), "{told}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(house.deliveries(&[]).await.is_empty());
}

#[tokio::test]
async fn gateways_on_this_machine_are_not_asked_unless_the_operator_allows_it() {
    let evm = Evm::start().await;
    let ens = Ens::on(&evm).await;
    let alice = address("alice");
    let site = Site::start(move |_| ok(&json!({ "data": response(alice) }))).await;
    let resolver = offchain(&evm, "alice.eth", &[site.url("/{data}")], alice).await;
    ens.resolved_by("alice.eth", resolver).await;
    let house = house(&[evm.url()], "");
    let herald = house.start().await;
    let told = unread(&herald, "alice.eth").await;
    assert!(told.contains("is at 127.0.0.1, a loopback address"), "{told}");
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn in_tests_names_are_wallets_of_tests_and_what_wallets_are_called_is_mocked() {
    let house = House::of(
        "herald: 1
bot: council
identity: env:BOT_KEY
defaults: { consent: transactional }
rules:
  call:
    when: { manual: true }
    to: { wallets: [Alice.eth, ana.lens], except: { wallet: ana.lens } }
    send: \"{{ to.wallet | ens }}, {{ to.wallet == alice.eth }}\"
tests:
  - name: a wallet is called by its short form
    do: [{ run: call }]
    expect: [{ to: alice.eth, text: \"…\" }]
  - name: or as the mock says
    do: [{ mock: { ens: alice.eth } }, { run: call }]
    expect: [{ to: alice.eth, text: \"alice.eth, true\" }]
  - name: for one wallet or another
    do: [{ mock: { ens: { alice.eth: al.eth, bob: bob.eth } } }, { run: call }]
    expect: [{ to: alice.eth, text: \"al.eth, true\" }]
",
    );
    let tested = house.run(&["test"]).await;
    assert_eq!(tested.code, Some(0), "{}{}", tested.out, tested.talk);
}
