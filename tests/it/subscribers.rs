//! `herald subscribers` and the API under it: the same lists beside a running herald and without one.

use herald_protocol::consent::ConsentProof;
use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{address, now, person, wallet},
    web::http,
};

const BOT: &str = "herald: 1
bot: paper
identity: env:BOT_KEY
lists:
  readers:
    join: /subscribe <topic:news|art>
    fields: { age: { type: optional int, min: 18 }, tags: optional list of text }
    welcome: \"Welcome: {{ sub.topic }}\"
  signed: { join: /sign, confirm: signature }
rules:
  hello:
    when: { joined: readers }
    to: readers
    send: \"Somebody joined\"
";

fn house() -> House {
    House::of(BOT)
}

async fn run(house: &House, arguments: &[&str]) -> crate::harness::program::Ended {
    let bots = ["--bots", "bot.yaml"];
    house.run(&[&["subscribers"], arguments, &bots].concat()).await
}

async fn listed(house: &House, list: &str) -> Vec<Value> {
    run(house, &["list", list, "--json"]).await.expect(0).json_lines()
}

#[tokio::test]
async fn a_list_is_kept_without_a_running_herald_and_beside_one() {
    let house = house();
    let alice = address("alice").to_string();
    let added = [
        "add",
        "paper/readers",
        &alice,
        "--field",
        "topic=ART",
        "--field",
        "tags=a,b",
    ];
    let done = run(&house, &added).await.expect(0);
    assert_eq!(done.out, format!("{alice} joined readers\n"));
    let herald = house.start().await;
    // What was added without a herald is welcomed by the next one.
    let reader = person("alice", herald.node()).await;
    reader
        .reads(herald.address(), &["Welcome: art", "Somebody joined"])
        .await;
    let again = ["add", "paper/readers", &alice, "--field", "age=30"];
    let done = run(&house, &again).await.expect(0);
    assert_eq!(done.out, format!("{alice} is on readers and has new fields\n"));
    let members = listed(&house, "paper/readers").await;
    let fields = json!({ "topic": "art", "tags": ["a", "b"], "age": 30 });
    assert_eq!((members.len(), &members[0]["fields"]), (1, &fields));
    // The same by its address and token.
    let api = herald.api();
    let named = [
        "list",
        "paper/readers",
        "--json",
        "--api",
        &api,
        "--token",
        "file:data/api.token",
    ];
    assert_eq!(run(&house, &named).await.expect(0).json_lines(), members);
    for (wrong, said) in [
        (
            vec!["add", "paper/readers", &alice, "--field", "age=17"],
            "at least 18",
        ),
        (vec!["add", "paper/none", &alice], "has no list `none`"),
        (vec!["add", "other/readers", &alice], "no bot `other` is running"),
        (
            vec!["add", "paper/signed", &alice],
            "a join needs `signature` and `timestamp`",
        ),
        (vec!["remove", "paper/signed", &alice], "is not on list `signed`"),
    ] {
        let ended = run(&house, &wrong).await.expect(1);
        assert!(ended.talk.contains(said), "{wrong:?}: {}", ended.talk);
    }
    let proof = ConsentProof::sign(&wallet("alice"), herald.address(), now());
    let time = proof.timestamp_ms.to_string();
    let signed = [
        "add",
        "paper/signed",
        &alice,
        "--proof",
        &proof.signature,
        "--proof-time",
        &time,
    ];
    run(&house, &signed).await.expect(0);
    let shown = run(&house, &["show", &alice, "--json"]).await.expect(0).json();
    assert_eq!(shown["proof"]["signature"], json!(proof.signature), "{shown}");
    let lists: Vec<&str> = shown["lists"]
        .as_array()
        .unwrap()
        .iter()
        .map(|list| list["list"].as_str().unwrap())
        .collect();
    assert_eq!(lists, ["readers", "signed"]);
    assert!(shown["deliveries"].as_array().unwrap().len() >= 2, "{shown}");
    run(&house, &["remove", "paper/readers", &alice]).await.expect(0);
    assert!(listed(&house, "paper/readers").await.is_empty());
    run(&house, &["forget", &alice]).await.expect(0);
    let shown = run(&house, &["show", &alice, "--json"]).await.expect(0).json();
    assert_eq!(
        (&shown["left"], &shown["lists"], &shown["proof"]),
        (&json!(true), &json!([]), &Value::Null)
    );
}

#[tokio::test]
async fn a_table_comes_back_as_it_went_and_a_broken_row_is_told_by_its_number() {
    let house = house();
    let wallets: Vec<String> = ["ann", "bob", "cid"].map(|name| address(name).to_string()).into();
    let [ann, bob, cid] = wallets.as_slice() else {
        panic!()
    };
    let table = format!(
        "topic,wallet,tags,tz,age\nart,{ann},\"a,b\",Europe/Lisbon,20\nsport,{bob},,,\nnews,{bob},,,17\nnews,0x12,,,\nnews\n\
         \nnews,{cid},\"said \"\"hi\"\"\nand left\",,\n"
    );
    std::fs::write(house.folder().join("in.csv"), table).unwrap();
    let done = run(&house, &["import", "paper/readers", "in.csv"])
        .await
        .expect(1);
    let rows: Vec<&str> = done
        .out
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(rows, ["row 6", "row 3", "row 4", "row 5"], "{}", done.out);
    assert!(
        done.talk.contains("2 joined, 0 updated, 4 refused"),
        "{}",
        done.talk
    );
    // Nobody is written to for being imported.
    assert_eq!(house.occurrences(), 0);
    let exported = run(&house, &["export", "paper/readers"]).await.expect(0).out;
    assert!(
        exported.starts_with("wallet,name,tz,lang,age,tags,topic,proof,proof_time\n"),
        "{exported}"
    );
    assert!(exported.contains("\"said \"\"hi\"\"\nand left\""), "{exported}");
    let before = listed(&house, "paper/readers").await;
    for wallet in [ann, cid] {
        run(&house, &["remove", "paper/readers", wallet]).await.expect(0);
    }
    std::fs::write(house.folder().join("out.csv"), &exported).unwrap();
    let done = run(&house, &["import", "paper/readers", "out.csv"])
        .await
        .expect(0);
    assert!(
        done.talk.contains("2 joined, 0 updated, 0 refused"),
        "{}",
        done.talk
    );
    let fields = |members: &[Value]| -> Vec<Value> {
        members
            .iter()
            .map(|member| json!([member["wallet"], member["fields"]]))
            .collect()
    };
    assert_eq!(fields(&listed(&house, "paper/readers").await), fields(&before));
    std::fs::write(house.folder().join("bad.csv"), "name\nx\n").unwrap();
    run(&house, &["import", "paper/readers", "bad.csv"])
        .await
        .expect(2);
}

async fn get(herald: &Herald, path: &str) -> (u16, Value) {
    let request = http().get(format!("{}/v1/{path}", herald.api()));
    let answer = request.bearer_auth(herald.token()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_api_tells_what_runs_and_what_was_sent_and_its_document_fits_what_is_served() {
    let house = house();
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    alice
        .asks(
            herald.address(),
            "/subscribe news",
            &["Welcome: news", "Somebody joined"],
        )
        .await;
    let (status, bots) = get(&herald, "bots").await;
    assert_eq!(status, 200, "{bots}");
    assert_eq!(
        (&bots[0]["bot"], &bots[0]["rules"][0]["rule"]),
        (&json!("paper"), &json!("hello"))
    );
    let (_, lists) = get(&herald, "bots/paper/lists").await;
    assert_eq!(
        (&lists[0]["list"], &lists[0]["members"]),
        (&json!("readers"), &json!(1))
    );
    assert_eq!(lists[1]["confirm"], "signature");
    let (_, rows) = get(&herald, "deliveries?rule=hello&state=delivered").await;
    let listed = house.deliveries(&["--rule", "hello"]).await;
    assert_eq!(rows["deliveries"], json!(listed), "the same as the command lists");
    for (path, field) in [
        ("deliveries?state=dead", "state"),
        ("deliveries?wallet=0x1", "wallet"),
    ] {
        let (status, answer) = get(&herald, path).await;
        assert_eq!((status, &answer["field"]), (400, &json!(field)), "{answer}");
    }
    let document = house.run(&["schema", "api"]).await.expect(0).out;
    let document: Value = serde_json::from_str(&document).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{bot}", "paper")
            .replace("{list}", "readers")
            .replace("{rule}", "hello");
        let path = path.replace("{wallet}", &alice.address().to_string());
        for (method, operation) in methods.as_object().unwrap() {
            let url = format!("{}{path}", herald.api());
            let method = method.to_uppercase();
            let answer = http().request(method.parse().unwrap(), url).send().await.unwrap();
            // Without the token everything is refused that wants it, and nothing is unknown.
            let wanted = if operation["security"].is_array() {
                401
            } else {
                400
            };
            assert_eq!(answer.status(), wanted, "{method} {path}");
        }
    }
}
