//! What a bot sends beside text: each kind of part arrives as its content, files come from the bot's folder alone, and one that
//! travels outside is uploaded once.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
};

use herald::{
    client::Message,
    content::{Attachment, Content, Reaction, RemoteAttachment, Reply, TransactionReference},
};
use serde_json::json;

use crate::harness::{
    house::{Herald, House, Node},
    people::{LOOK, Person, TOWN, person, residents, text, town, townspeople},
    program::DEADLINE,
    web::http,
};

const BOT: &str = "herald: 1
bot: press
identity: env:BOT_KEY
profile: { name: The Press, image: https://press.example/icon.png, color: \"#6b5cff\" }
defaults: { consent: transactional }
rules:
  all:
    when: { manual: true }
    to: { wallet: body.wallet }
    send:
      - markdown: |
          **{{ body.title }}**
      - attach: art/map.png
      - { attach: { file: art/map.png, name: 'for {{ body.title }}.bin', mime: application/x-map }, if: body.named }
      - remote: { file: art/poster.png, upload: local }
      - tx: { chain: base, hash: body.tx }
      - custom: { type: press.example/vote:1.0, parameters: { n: '1' }, content: '{{ body.title }}', fallback: 'A vote: {{ body.title }}' }
  file:
    when: { manual: true }
    to: { wallet: body.wallet }
    send: { attach: '{{ body.file }}' }
  threaded:
    when: { manual: true }
    to: { wallet: body.wallet }
    thread: '{{ body.thread }}'
    send: '{{ body.text }}'
commands:
  /ask: { reply: [{ react: 👀 }, { reply: 'You said {{ message.text }}.' }, { attach: art/map.png }, { remote: { file: art/poster.png, upload: local } }] }
";

/// A house with files, and an upload folder that the API shows.
fn press(bot: &str) -> (House, String) {
    let house = House::of(bot);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let public = format!("http://127.0.0.1:{port}/uploads");
    let project = format!(
        "herald: 1\napi: {{ listen: 127.0.0.1:{port} }}\nuploads: {{ local: {{ folder: uploads, public: {public} }} }}\n"
    );
    fs::write(house.folder().join("herald.yaml"), project).unwrap();
    fs::create_dir(house.folder().join("art")).unwrap();
    fs::write(house.folder().join("art/map.png"), b"a map").unwrap();
    fs::write(house.folder().join("art/poster.png"), vec![7; 100_000]).unwrap();
    (house.listening(&format!("127.0.0.1:{port}")), public)
}

/// Waits until somebody has written so many messages, and gives them.
async fn read(reader: &Person, herald: &Herald, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    let reading = async {
        while messages.len() < count {
            tokio::time::sleep(LOOK).await;
            messages = reader.messages_of(herald.address()).await;
        }
    };
    let read = tokio::time::timeout(DEADLINE, reading).await.is_ok();
    let shown: Vec<_> = messages.iter().map(|message| &message.content).collect();
    assert!(read && messages.len() == count, "{shown:?}");
    messages
}

fn contents(messages: Vec<Message>) -> Vec<Content> {
    messages.into_iter().map(|message| message.content).collect()
}

/// What lies at a remote attachment's address, opened.
async fn opened(remote: &Content) -> Content {
    let Content::RemoteAttachment(remote) = remote else {
        panic!("{remote:?}")
    };
    let answer = http().get(remote.url()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", remote.url());
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let blob = answer.bytes().await.unwrap();
    assert!(
        !blob.windows(32).any(|window| window == [7; 32]),
        "only ciphertext leaves"
    );
    RemoteAttachment::open(remote, &blob).unwrap()
}

fn uploads(house: &House) -> Vec<PathBuf> {
    let files = fs::read_dir(house.folder().join("uploads"));
    let files = files.map(|files| files.map(|file| file.unwrap().path()).collect());
    files.unwrap_or_default()
}

#[tokio::test]
async fn each_kind_of_part_arrives_as_its_content() {
    let (house, _) = press(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let hash = format!("0x{}", "ab".repeat(32));
    let body = json!({ "wallet": alice.address().to_string(), "title": "News", "tx": hash, "named": true });
    herald.fire("all", &body).await;
    let messages = contents(read(&alice, &herald, 6).await);
    let [markdown, map, named, poster, tx, vote] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(*markdown, Content::from("**News**"));
    assert_eq!(
        *map,
        Attachment::new("map.png", "image/png", b"a map".to_vec()).into()
    );
    assert_eq!(
        *named,
        Attachment::new("for News.bin", "application/x-map", b"a map".to_vec()).into()
    );
    let file = Attachment::new("poster.png", "image/png", vec![7; 100_000]);
    assert_eq!(opened(poster).await, file.into());
    assert_eq!(*tx, TransactionReference::eip155(8453, hash).into());
    let Content::Custom(vote) = vote else {
        panic!("{vote:?}")
    };
    assert_eq!(vote.encoded().content_type.to_string(), "press.example/vote:1.0");
    assert_eq!(
        (vote.encoded().parameter("n"), vote.encoded().content.as_slice()),
        (Some("1"), &b"News"[..])
    );
    assert_eq!(vote.encoded().fallback.as_deref(), Some("A vote: News"));
    // What an `if` or a missing hash leaves out is left out.
    let body = json!({ "wallet": alice.address().to_string(), "title": "Less" });
    herald.fire("all", &body).await;
    let messages = contents(read(&alice, &herald, 10).await);
    assert!(matches!(messages[6], Content::Text(_)) && matches!(messages[9], Content::Custom(_)));
    assert_eq!(uploads(&house).len(), 2, "one an occurrence");
}

#[tokio::test]
async fn answers_speak_of_the_message_they_answer_in_its_conversation() {
    let (house, _) = press(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let asked = alice.say(herald.address(), "/ask").await;
    let messages = read(&alice, &herald, 4).await;
    let conversations = alice.conversations_with(herald.address()).await;
    assert_eq!(conversations.len(), 1);
    let messages = contents(messages);
    let id = const_hex::encode(asked);
    assert_eq!(messages[0], Reaction::added(id.as_str(), "👀").into());
    assert_eq!(messages[1], Reply::new(id, "You said /ask.").into());
    assert_eq!(
        messages[2],
        Attachment::new("map.png", "image/png", b"a map".to_vec()).into()
    );
    let file = Attachment::new("poster.png", "image/png", vec![7; 100_000]);
    assert_eq!(opened(&messages[3]).await, file.into());
}

#[tokio::test]
async fn each_thread_is_a_conversation_of_its_own_that_shows_the_bots_profile() {
    let (house, _) = press(BOT);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    for (thread, said) in [
        ("proposals/1", "a"),
        ("proposals/2", "b"),
        ("proposals/1", "c"),
        ("", "d"),
    ] {
        let body = json!({ "wallet": alice.address().to_string(), "thread": thread, "text": said });
        herald.fire("threaded", &body).await;
        house.settled().await;
    }
    let mut found = Vec::new();
    for conversation in alice.conversations_with(herald.address()).await {
        let texts: Vec<String> = conversation
            .messages(None)
            .await
            .unwrap()
            .iter()
            .map(text)
            .collect();
        let context = conversation.context().unwrap();
        let metadata = context
            .metadata
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        assert_eq!(
            metadata.collect::<Vec<_>>(),
            [
                "displayInfo.prettyName=The Press",
                "displayInfo.profileImage=https://press.example/icon.png",
                "displayInfo.primaryColor=#6b5cff"
            ]
        );
        found.push((context.conversation_id.clone(), texts.join(" ")));
    }
    found.sort();
    let found: Vec<_> = found
        .iter()
        .map(|(id, texts)| (id.as_str(), texts.as_str()))
        .collect();
    assert_eq!(found, [("", "d"), ("proposals/1", "a c"), ("proposals/2", "b")]);
}

/// Paths that lead nowhere a bot may read, and what a message must never hold.
const ESCAPES: [&str; 44] = [
    "../secret.txt",
    "../../etc/passwd",
    "./../secret.txt",
    "art/../../secret.txt",
    "art/../art/map.png",
    "art/../key",
    "..",
    ".",
    "./",
    "/",
    "//",
    "/etc/passwd",
    "/etc/hostname",
    "//etc/passwd",
    "/proc/self/environ",
    "/proc/self/mem",
    "/proc/self/fd/0",
    "/dev/zero",
    "/dev/random",
    "/dev/stdin",
    "/dev/fd/0",
    "art",
    "art/",
    "art/.",
    "art/out",
    "art/far",
    "art/up/secret.txt",
    "art/up/house/art/../../secret.txt",
    "art/loop",
    "art/pipe",
    "art/zero",
    "art/map.png/x",
    "art/map.png/../map.png",
    "art/map.png\0",
    "art\0/map.png",
    "\0",
    "data/herald.db",
    "data/api.token",
    "./data/api.token",
    "art/token",
    "art/data/herald.db",
    "~/secret.txt",
    "file:///etc/passwd",
    "..%2fsecret.txt",
];

#[tokio::test]
async fn no_path_leads_out_of_the_bots_folder() {
    let (house, _) = press(BOT);
    let art = house.folder().join("art");
    fs::write(house.folder().parent().unwrap().join("secret.txt"), "secret").unwrap();
    for (link, to) in [
        ("out", "../../secret.txt"),
        ("far", "/etc/passwd"),
        ("up", "../.."),
        ("loop", "loop"),
        ("zero", "/dev/zero"),
        ("token", "../data/api.token"),
        ("data", "../data"),
        ("inside", "map.png"),
    ] {
        symlink(to, art.join(link)).unwrap();
    }
    let pipe = std::process::Command::new("mkfifo")
        .arg(art.join("pipe"))
        .status()
        .unwrap();
    assert!(pipe.success());
    fs::write(art.join("large.png"), vec![0; 1_000_001]).unwrap();
    fs::write(art.join("full.png"), vec![1; 1_000_000]).unwrap();
    fs::write(art.join("closed.png"), "x").unwrap();
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    for path in ESCAPES.into_iter().chain(["art/large.png", "art/absent.png"]) {
        let body = json!({ "wallet": alice.address().to_string(), "file": path });
        let fired = herald.fire("file", &body).await;
        let row = herald.event("rejected", |event| event["key"] == fired).await;
        let reason = row["reason"].as_str().unwrap();
        assert!(
            reason.contains("file") || reason.contains("read") || reason.contains("folder"),
            "{path:?}: {reason}"
        );
    }
    // What is in the folder is sent, through a link and at full size, too.
    for path in ["art/map.png", "art/inside", "art/full.png"] {
        let body = json!({ "wallet": alice.address().to_string(), "file": path });
        let fired = herald.fire("file", &body).await;
        herald.event("delivered", |event| event["key"] == fired).await;
    }
    let sizes: Vec<usize> = contents(read(&alice, &herald, 3).await)
        .into_iter()
        .map(|content| match content {
            Content::Attachment(attachment) => attachment.data.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, [5, 5, 1_000_000]);
    let _ = fs::remove_file(house.folder().parent().unwrap().join("secret.txt"));
}

#[tokio::test]
async fn a_target_that_takes_nothing_holds_the_message_until_it_does() {
    let (house, _) = press(BOT);
    // A file stands where the folder should be.
    fs::write(house.folder().join("uploads"), "").unwrap();
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    herald
        .fire(
            "all",
            &json!({ "wallet": alice.address().to_string(), "title": "News" }),
        )
        .await;
    let held = herald.event("held", |_| true).await;
    assert!(
        held["reason"].as_str().unwrap().contains("upload target `local`"),
        "{held}"
    );
    fs::remove_file(house.folder().join("uploads")).unwrap();
    let messages = contents(read(&alice, &herald, 4).await);
    assert_eq!(
        messages
            .iter()
            .filter(|content| matches!(content, Content::RemoteAttachment(_)))
            .count(),
        1
    );
}

fn drop_bot(node: &str) -> String {
    format!(
        "herald: 1
bot: press
identity: env:BOT_KEY
node: {node}
rules:
  drop:
    when: {{ manual: true }}
    to: {{ wallets: body.wallets }}
    consent: transactional
    send: {{ remote: {{ file: art/poster.png, upload: local }} }}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_for_a_thousand_is_uploaded_once_however_often_herald_is_killed() {
    let node = Node::start_with(town().await).await;
    let (house, _) = press(&drop_bot(&format!("grpc://{}", node.grpc())));
    let wallets: Vec<String> = townspeople().iter().map(ToString::to_string).collect();
    let mut herald = house.start().await;
    herald.fire("drop", &json!({ "wallets": wallets })).await;
    for after in [0, 0, 0, 1, TOWN / 4] {
        herald.count("delivered", after).await;
        herald.kill();
        herald = house.start().await;
    }
    house.settled().await;
    assert_eq!(uploads(&house).len(), 1);
    let mut first: Option<Content> = None;
    let people = residents(&node.address()).await;
    for resident in people.iter().step_by(TOWN / 20) {
        let messages = contents(resident.messages_of(herald.address()).await);
        let [message] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        assert_eq!(first.get_or_insert_with(|| message.clone()), message);
    }
    let file = Attachment::new("poster.png", "image/png", vec![7; 100_000]);
    assert_eq!(opened(&first.unwrap()).await, file.into());
}

/// A secret that a command prints works, and is in nothing that herald prints or stores.
#[tokio::test]
async fn a_key_that_a_command_prints_is_the_bots_and_appears_nowhere() {
    let house = House::of(&BOT.replace("identity: env:BOT_KEY", "identity: exec:./vault show 'the bot'"))
        .set("HERALD_LOG", "trace");
    let vault = house.folder().join("vault");
    let script =
        "#!/bin/sh\n[ \"$1 $2\" = 'show the bot' ] && echo \"$BOT_KEY\"\necho \"it is $BOT_KEY\" >&2\n";
    fs::write(&vault, script).unwrap();
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(
        house.folder().join("herald.yaml"),
        "herald: 1\nuploads: { local: { folder: uploads, public: https://press.example } }\n",
    )
    .unwrap();
    let mut herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    let body = json!({ "wallet": alice.address().to_string(), "thread": "", "text": "gm" });
    herald.fire("threaded", &body).await;
    alice.reads(herald.address(), &["gm"]).await;
    herald.stop().await;
    let secret = crate::harness::people::secret("bot");
    let mut places = vec![format!("{:?}{}", herald.lines(), herald.talk()).into_bytes()];
    for file in fs::read_dir(house.data()).unwrap() {
        places.extend(fs::read(file.unwrap().path()));
    }
    for (form, bytes) in crate::secrets::forms("the key", &secret) {
        assert!(
            places
                .iter()
                .all(|place| !crate::secrets::contains(place, &bytes)),
            "{form}"
        );
    }
}
