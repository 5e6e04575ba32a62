//! Holders of tokens as audiences, on a real chain.

use std::collections::BTreeMap;

use herald_protocol::address::Address;
use serde_json::{Value, json};

use crate::harness::{
    chain::{Evm, quantity},
    house::{Herald, House},
    people::{LOOK, address, person},
    program::DEADLINE,
    rpc_proxy::{Behaviour, RpcProxy},
};

/// A chain, its node, a bot that writes to holders on it, and the token that they hold.
struct Scene {
    evm: Evm,
    node: RpcProxy,
    token: Address,
    house: House,
    herald: Herald,
}

/// What wallets hold, by their addresses.
type Held = BTreeMap<String, String>;

/// One manual rule.
fn rule(name: &str, to: &str) -> String {
    format!("  {name}:\n    when: {{ manual: true }}\n    to: {to}\n    send: \"{{{{ to.balance + 1 }}}}\"\n")
}

/// An audience of holders with these keys beside `chain` and `token`.
fn holders(keys: &str) -> String {
    format!("{{ holders: {{ chain: devnet, token: vars.token{keys} }} }}")
}

impl Scene {
    /// A scene with this token and these rules.
    async fn of(token: &str, rules: &[String]) -> Self {
        let evm = Evm::start().await;
        let token = evm.deploy(token).await;
        Self::on(evm, token, &[], rules).await
    }

    async fn on(evm: Evm, token: Address, files: &[(&str, String)], rules: &[String]) -> Self {
        let node = RpcProxy::to(evm.url()).await;
        let house = House::of(&format!(
            "herald: 1\nbot: post\nidentity: env:BOT_KEY\nvars: {{ token: {token} }}\ndefaults: {{ consent: transactional }}\n\
             lists: {{ readers: {{ join: /join }} }}\nrules:\n{}",
            rules.concat()
        ));
        let house = house.on_chains(&[("devnet", 31337, &[node.url()])]);
        for (file, text) in files {
            std::fs::write(house.folder().join(file), text).unwrap();
        }
        let herald = house.start().await;
        Self {
            evm,
            node,
            token,
            house,
            herald,
        }
    }

    async fn send(&self, signature: &str, arguments: Value) {
        self.evm.send(self.token, signature, arguments).await;
    }

    async fn send_from(&self, name: &str, signature: &str, arguments: Value) {
        self.evm
            .send_from(address(name), self.token, signature, arguments)
            .await;
    }

    /// Fires a rule and gives whom it writes to, with what they hold.
    async fn held(&self, rule: &str, body: Value) -> Held {
        self.herald.fire(rule, &body).await;
        let (state, held) = self.planned(rule).await;
        assert!(state == "planned" || held.is_empty(), "{state}\n{}", *self.herald);
        held
    }

    /// Waits until the newest occurrence of a rule is planned or ended.
    async fn planned(&self, rule: &str) -> (String, Held) {
        let planned = async {
            loop {
                let store = rusqlite::Connection::open(self.house.data().join("herald.db")).unwrap();
                let query = "SELECT id, state FROM occurrence WHERE rule = ?1 ORDER BY id DESC LIMIT 1";
                let newest = store.query_row(query, [rule], |row| Ok((row.get(0)?, row.get(1)?)));
                let (row, state): (i64, String) = newest.unwrap();
                if state != "planning" {
                    let query = "SELECT wallet, json_extract(vars, '$.balance') || '' FROM delivery WHERE occurrence = ?1";
                    let mut statement = store.prepare(query).unwrap();
                    let rows = statement
                        .query_map([row], |row| {
                            Ok((row.get(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default()))
                        })
                        .unwrap();
                    return (state, rows.collect::<Result<_, _>>().unwrap());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, planned).await;
        waited.unwrap_or_else(|_| panic!("not planned in time\n{}", *self.herald))
    }

    /// The ranges of blocks whose logs were asked for since the last look, refused ones too.
    fn ranges(&self, seen: &mut usize) -> Vec<(u64, u64)> {
        let asked = self.node.asked("eth_getLogs");
        let new = asked[*seen..].iter();
        let ranges = new.map(|filter| (quantity(&filter[0]["fromBlock"]), quantity(&filter[0]["toBlock"])));
        let ranges = ranges.collect();
        *seen = asked.len();
        ranges
    }
}

fn held(holders: &[(&str, &str)]) -> Held {
    let holders = holders.iter();
    holders
        .map(|(name, balance)| (address(name).to_string(), (*balance).to_owned()))
        .collect()
}

fn text(name: &str) -> String {
    address(name).to_string()
}

const ETHER: &str = "1000000000000000000";

#[tokio::test]
async fn holders_of_an_erc20_token_are_those_who_have_enough_of_it() {
    let rules = [
        rule("all", &holders("")),
        rule("rich", &holders(&format!(", min: {ETHER}"))),
        rule(
            "odd",
            "{ holders: { chain: devnet, token: vars.token }, where: to.balance % 2 == 1 }",
        ),
    ];
    let scene = Scene::of("Token", &rules).await;
    let huge = "340282366920938463463374607431768211454";
    for (name, amount) in [("alice", huge), ("bob", ETHER), ("carol", "1001"), ("dave", "7")] {
        scene
            .send("mint(address,uint256)", json!([text(name), amount]))
            .await;
    }
    scene
        .send_from("bob", "transfer(address,uint256)", json!([text("erin"), 1]))
        .await;
    scene
        .send_from("carol", "transfer(address,uint256)", json!([text("carol"), 1]))
        .await;
    scene.send_from("dave", "burn(uint256)", json!([7])).await;
    let alice = person("alice", scene.herald.node()).await;

    let less = "999999999999999999";
    let everybody = [("alice", huge), ("bob", less), ("carol", "1001"), ("erin", "1")];
    assert_eq!(scene.held("all", json!({})).await, held(&everybody));
    let reads = "340282366920938463463374607431768211455";
    alice.reads(scene.herald.address(), &[reads]).await;
    assert_eq!(scene.held("rich", json!({})).await, held(&[("alice", huge)]));
    let odd = [("bob", less), ("carol", "1001"), ("erin", "1")];
    assert_eq!(scene.held("odd", json!({})).await, held(&odd));
}

#[tokio::test]
async fn holders_of_an_erc721_token_are_the_owners_of_its_items() {
    let rules = [
        rule("all", &holders("")),
        rule("one", &holders(", id: body.id")),
        rule("two", &holders(", min: 2")),
    ];
    let scene = Scene::of("Collectible", &rules).await;
    for (name, id) in [("alice", 1), ("alice", 2), ("bob", 3), ("carol", 4), ("dave", 5)] {
        scene.send("mint(address,uint256)", json!([text(name), id])).await;
    }
    let transfer = "transferFrom(address,address,uint256)";
    scene
        .send_from("bob", transfer, json!([text("bob"), text("alice"), 3]))
        .await;
    scene
        .send_from("carol", transfer, json!([text("carol"), text("erin"), 4]))
        .await;
    scene.send_from("dave", "burn(uint256)", json!([5])).await;
    assert_eq!(
        scene.held("all", json!({})).await,
        held(&[("alice", "3"), ("erin", "1")])
    );
    assert_eq!(scene.held("two", json!({})).await, held(&[("alice", "3")]));
    assert_eq!(
        scene.held("one", json!({ "id": 4 })).await,
        held(&[("erin", "1")])
    );
    assert_eq!(scene.held("one", json!({ "id": 5 })).await, held(&[]));
    let (state, _) = {
        scene.herald.fire("one", &json!({ "id": "four" })).await;
        scene.planned("one").await
    };
    assert_eq!(state, "rejected");
}

#[tokio::test]
async fn holders_of_an_erc1155_token_are_told_by_item_and_in_batches() {
    let rules = [rule("all", &holders("")), rule("item", &holders(", id: body.id"))];
    let scene = Scene::of("Items", &rules).await;
    for (name, id, amount) in [
        ("alice", 1, 10),
        ("alice", 2, 20),
        ("alice", 3, 30),
        ("bob", 2, 5),
    ] {
        scene
            .send("mint(address,uint256,uint256)", json!([text(name), id, amount]))
            .await;
    }
    let batch = "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)";
    let arguments = json!([text("alice"), text("carol"), [1, 2, 1], [1, 20, 2], "0x"]);
    scene.send_from("alice", batch, arguments).await;
    scene
        .send_from("bob", "burn(uint256,uint256)", json!([2, 5]))
        .await;
    let one = "safeTransferFrom(address,address,uint256,uint256,bytes)";
    scene
        .send_from("alice", one, json!([text("alice"), text("dave"), 3, 4, "0x"]))
        .await;
    assert_eq!(
        scene.held("item", json!({ "id": 1 })).await,
        held(&[("alice", "7"), ("carol", "3")])
    );
    assert_eq!(
        scene.held("item", json!({ "id": 2 })).await,
        held(&[("carol", "20")])
    );
    assert_eq!(
        scene.held("item", json!({ "id": 3 })).await,
        held(&[("alice", "26"), ("dave", "4")])
    );
    let all = [("alice", "33"), ("carol", "23"), ("dave", "4")];
    assert_eq!(scene.held("all", json!({})).await, held(&all));
}

#[tokio::test]
async fn a_later_firing_reads_the_new_blocks_alone() {
    let mut scene = Scene::of(
        "Token",
        &[
            rule("now", &holders("")),
            rule("then", &holders(", block: body.block")),
        ],
    )
    .await;
    let mint = "mint(address,uint256)";
    scene.send(mint, json!([text("alice"), 1])).await;
    let first = scene.evm.head().await;
    let mut seen = 0;
    assert_eq!(scene.held("now", json!({})).await, held(&[("alice", "1")]));
    assert_eq!(scene.ranges(&mut seen), [(0, first)]);
    scene.evm.mine(10).await;
    scene.send(mint, json!([text("bob"), 2])).await;
    let second = scene.evm.head().await;
    let both = [("alice", "1"), ("bob", "2")];
    assert_eq!(scene.held("now", json!({})).await, held(&both));
    assert_eq!(scene.ranges(&mut seen), [(first + 1, second)]);
    assert_eq!(scene.held("now", json!({})).await, held(&both));
    assert_eq!(scene.ranges(&mut seen), []);

    // A block in the past stays as it was, whatever came since, and is read once.
    let block = json!({ "block": first });
    assert_eq!(scene.held("then", block.clone()).await, held(&[("alice", "1")]));
    assert_eq!(scene.ranges(&mut seen), [(0, first)]);
    scene
        .send_from("alice", "transfer(address,uint256)", json!([text("carol"), 1]))
        .await;
    assert_eq!(scene.held("then", block).await, held(&[("alice", "1")]));
    assert_eq!(scene.ranges(&mut seen), []);
    assert_eq!(
        scene.held("now", json!({})).await,
        held(&[("bob", "2"), ("carol", "1")])
    );
    assert_eq!(scene.ranges(&mut seen), [(second + 1, second + 1)]);

    // And so it is after a restart.
    scene.herald.kill();
    scene.herald = scene.house.start().await;
    scene.send(mint, json!([text("dave"), 4])).await;
    let now = [("bob", "2"), ("carol", "1"), ("dave", "4")];
    assert_eq!(scene.held("now", json!({})).await, held(&now));
    assert_eq!(scene.ranges(&mut seen), [(second + 2, second + 2)]);
}

#[tokio::test]
async fn what_was_read_of_blocks_that_left_the_chain_is_undone() {
    let scene = Scene::of("Token", &[rule("now", &holders(""))]).await;
    let (mint, transfer) = ("mint(address,uint256)", "transfer(address,uint256)");
    scene.send(mint, json!([text("alice"), 5])).await;
    assert_eq!(scene.held("now", json!({})).await, held(&[("alice", "5")]));
    let standing = scene.evm.head().await;
    let mut seen = 1;
    scene.send_from("alice", transfer, json!([text("bob"), 5])).await;
    assert_eq!(scene.held("now", json!({})).await, held(&[("bob", "5")]));
    scene.send_from("bob", transfer, json!([text("carol"), 3])).await;
    scene.send(mint, json!([text("dave"), 9])).await;
    let there = [("bob", "2"), ("carol", "3"), ("dave", "9")];
    assert_eq!(scene.held("now", json!({})).await, held(&there));
    assert_eq!(
        scene.ranges(&mut seen),
        [(standing + 1, standing + 1), (standing + 2, standing + 3)]
    );
    scene.evm.reorg(3).await;
    scene.send_from("alice", transfer, json!([text("erin"), 1])).await;
    let now = [("alice", "4"), ("erin", "1")];
    assert_eq!(scene.held("now", json!({})).await, held(&now));
    assert_eq!(scene.ranges(&mut seen), [(standing + 1, standing + 4)]);
}

#[tokio::test]
async fn a_range_that_a_node_refuses_is_read_in_parts() {
    let scene = Scene::of("Token", &[rule("now", &holders(""))]).await;
    for amount in 1..=20 {
        scene
            .send("mint(address,uint256)", json!([text("alice"), amount]))
            .await;
    }
    scene.evm.mine(300).await;
    let behaviour = Behaviour {
        most_blocks: Some((100, (-32_005, "query exceeds max block range 100"))),
        most_logs: Some((7, (-32_005, "query returned more than 7 results"))),
        ..Behaviour::default()
    };
    scene.node.behaves(behaviour);
    assert_eq!(scene.held("now", json!({})).await, held(&[("alice", "210")]));
    let asked = scene.node.asked("eth_getLogs").len();
    assert!((10..60).contains(&asked), "{asked} requests");
}

#[tokio::test]
async fn an_audience_whose_chain_is_away_waits_whole() {
    let to = format!("{{ any: [{{ wallet: \"{}\" }}, {}] }}", text("bob"), holders(""));
    let scene = Scene::of("Token", &[rule("now", &to)]).await;
    scene
        .send("mint(address,uint256)", json!([text("alice"), 3]))
        .await;
    scene.node.behaves(Behaviour {
        is_down: true,
        ..Behaviour::default()
    });
    let preview = scene.house.run(&["preview", "--json", "post/now"]).await;
    let preview = preview.expect(0).json();
    let reason = preview["reason"].as_str().unwrap();
    assert!(reason.contains("chain `devnet`: "), "{preview}");
    scene.herald.fire("now", &json!({})).await;
    let failed = scene.herald.event("error", |event| event["rule"] == "now").await;
    let reason = failed["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("its audience cannot be read: chain `devnet`: "),
        "{reason}"
    );
    scene.node.behaves(Behaviour::default());
    let (state, now) = scene.planned("now").await;
    assert_eq!(
        (state.as_str(), now),
        ("planned", held(&[("alice", "3"), ("bob", "")]))
    );
}

#[tokio::test]
async fn holders_that_two_nodes_tell_differently_are_not_written_to() {
    let evm = Evm::start().await;
    let token = evm.deploy("Token").await;
    let (honest, hiding) = (RpcProxy::to(evm.url()).await, RpcProxy::to(evm.url()).await);
    hiding.behaves(Behaviour {
        hides_logs: true,
        ..Behaviour::default()
    });
    let house = House::of(&format!(
        "herald: 1\nbot: post\nidentity: env:BOT_KEY\nvars: {{ token: {token} }}\ndefaults: {{ consent: transactional }}\nrules:\n{}",
        rule("now", &holders(""))
    ));
    let house = house.on_chains(&[("devnet", 31337, &[hiding.url(), honest.url()])]);
    let herald = house.start().await;
    evm.send(token, "mint(address,uint256)", json!([text("alice"), 3]))
        .await;
    herald.fire("now", &json!({})).await;
    let failed = herald.event("error", |event| event["rule"] == "now").await;
    let reason = failed["reason"].as_str().unwrap();
    assert!(
        reason.contains(hiding.url()) && reason.contains(honest.url()),
        "{reason}"
    );
    assert!(!failed["until"].is_null(), "it is tried again: {failed}");
    assert!(house.deliveries(&[]).await.is_empty());
    hiding.behaves(Behaviour::default());
    let scene = Scene {
        evm,
        node: honest,
        token,
        house,
        herald,
    };
    let now = ("planned".to_owned(), held(&[("alice", "3")]));
    assert_eq!(scene.planned("now").await, now);
}

#[tokio::test]
async fn a_block_to_come_is_waited_for() {
    let scene = Scene::of("Token", &[rule("then", &holders(", block: body.block"))]).await;
    scene
        .send("mint(address,uint256)", json!([text("alice"), 3]))
        .await;
    let block = scene.evm.head().await + 1;
    scene.herald.fire("then", &json!({ "block": block })).await;
    let failed = scene.herald.event("error", |event| event["rule"] == "then").await;
    let reason = failed["reason"].as_str().unwrap();
    let wanted = format!("block {block} of chain `devnet` is not confirmed yet");
    assert!(reason.contains(&wanted), "{reason}");
    scene.evm.mine(1).await;
    let then = ("planned".to_owned(), held(&[("alice", "3")]));
    assert_eq!(scene.planned("then").await, then);
}

#[tokio::test]
async fn logs_that_do_not_add_up_end_the_occurrence_with_the_reason() {
    let scene = Scene::of("Token", &[rule("now", &holders(""))]).await;
    scene
        .send("mint(address,uint256)", json!([text("alice"), 3]))
        .await;
    // A node that lost the mint.
    scene.node.behaves(Behaviour {
        hides_logs: true,
        ..Behaviour::default()
    });
    assert_eq!(scene.held("now", json!({})).await, held(&[]));
    scene.node.behaves(Behaviour::default());
    scene
        .send_from("alice", "transfer(address,uint256)", json!([text("bob"), 1]))
        .await;
    scene.herald.fire("now", &json!({})).await;
    let ended = scene
        .herald
        .event("rejected", |event| event["rule"] == "now")
        .await;
    let reason = ended["reason"].as_str().unwrap();
    let wanted = format!("{} has less than nothing", text("alice"));
    assert!(
        reason.contains(&wanted) && reason.contains("on chain `devnet`"),
        "{reason}"
    );
    assert_eq!(scene.planned("now").await, ("rejected".to_owned(), held(&[])));
    // The next occurrence begins anew.
    let now = [("alice", "2"), ("bob", "1")];
    assert_eq!(scene.held("now", json!({})).await, held(&now));
}

#[tokio::test]
async fn a_set_of_a_list_holders_and_a_file_has_the_balances_of_the_holders() {
    let to = format!(
        "{{ any: [readers, {}], except: {{ csv: team.csv }} }}",
        holders("")
    );
    let evm = Evm::start().await;
    let token = evm.deploy("Collectible").await;
    let team = format!("wallet\n{}\n", text("erin"));
    let scene = Scene::on(evm, token, &[("team.csv", team)], &[rule("now", &to)]).await;
    for (name, id) in [("alice", 1), ("carol", 2), ("erin", 3)] {
        scene.send("mint(address,uint256)", json!([text(name), id])).await;
    }
    for name in ["alice", "bob"] {
        let person = person(name, scene.herald.node()).await;
        person.say(scene.herald.address(), "/join").await;
    }
    scene.herald.count("joined", 2).await;
    let now = [("alice", "1"), ("bob", ""), ("carol", "1")];
    assert_eq!(scene.held("now", json!({})).await, held(&now));
}

#[tokio::test]
async fn a_preview_shows_holders_and_reads_what_the_rule_need_not_read_again() {
    let scene = Scene::of("Token", &[rule("now", &holders(""))]).await;
    scene
        .send("mint(address,uint256)", json!([text("alice"), 3]))
        .await;
    let preview = scene.house.run(&["preview", "--json", "post/now"]).await;
    let preview = preview.expect(0).json();
    assert_eq!(preview["wallets"], 1, "{preview}");
    assert_eq!(preview["messages"][0]["text"], "4", "{preview}");
    let mut seen = 0;
    assert_eq!(scene.ranges(&mut seen).len(), 1);
    assert_eq!(scene.held("now", json!({})).await, held(&[("alice", "3")]));
    assert_eq!(scene.ranges(&mut seen), []);
}

#[tokio::test]
async fn the_drop_reaches_collectors_and_holders_at_its_block_and_not_the_team() {
    let evm = Evm::start().await;
    let token = evm.deploy("Collectible").await;
    let mint = "mint(address,uint256)";
    for (name, id) in [("bob", 1), ("bob", 2), ("erin", 3)] {
        evm.send(token, mint, json!([text(name), id])).await;
    }
    let block = evm.head().await;
    evm.send(token, mint, json!([text("carol"), 4])).await;
    let node = RpcProxy::to(evm.url()).await;
    let bots = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bots");
    let bot = std::fs::read_to_string(bots.join("drop.yaml")).unwrap();
    let bot = bot
        .replace("DROP_KEY", "BOT_KEY")
        .replace("21_000_000", &block.to_string());
    let house = House::of(&bot.replace(&format!("0x{}", "1".repeat(40)), &token.to_string()));
    let project = format!(
        "herald: 1\nchains: {{ ethereum: {{ id: 31337, rpc: \"{}\", confirmations: 1 }} }}\n\
         uploads: {{ media: {{ folder: data/uploads, public: \"http://127.0.0.1:7411/uploads\" }} }}\n",
        node.url()
    );
    std::fs::write(house.folder().join("herald.yaml"), project).unwrap();
    std::fs::create_dir(house.folder().join("drop")).unwrap();
    std::fs::copy(
        bots.join("drop/poster.png"),
        house.folder().join("drop/poster.png"),
    )
    .unwrap();
    std::fs::write(
        house.folder().join("drop/team.csv"),
        format!("wallet\n{}\n", text("erin")),
    )
    .unwrap();
    let herald = house.start().await;
    let bot = herald.address();
    let alice = person("alice", herald.node()).await;
    let bob = person("bob", herald.node()).await;
    let welcome = "You will hear of the next drop.";
    alice.asks(bot, "/drops", &[welcome]).await;
    herald.fire("opening", &json!({})).await;
    herald.event("awaiting_approval", |_| true).await;
    house
        .run(&["broadcast", "approve", "drop/opening"])
        .await
        .expect(0);
    herald.count("delivered", 5).await;
    let opens = "**The aurora drop** opens in one hour.\n";
    // The poster is no text.
    let texts = alice.texts_of(bot).await;
    assert_eq!(texts, [welcome, "", &format!("{opens}https://drop.example")]);
    let texts = bob.texts_of(bot).await;
    let first = "You hold 2 of the first and may enter first: https://drop.example/first";
    assert_eq!(texts, ["", &format!("{opens}{first}")]);
    let rows = house.deliveries(&["--rule", "opening"]).await;
    assert_eq!(rows.len(), 4, "{rows:?}");
}
