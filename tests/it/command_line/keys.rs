//! `keys`: files for their owner only, and no key on a terminal unless asked for.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::run;
use herald::client::Client;
use herald_protocol::{bundle::PrivateKeyBundle, wallet::recover_text};

use crate::harness::{
    house::{House, Node},
    people::{address, key, person, wallet},
};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn path(shown: &Value, folder: &Path) -> PathBuf {
    folder.join(shown["path"].as_str().unwrap())
}

#[tokio::test]
async fn a_new_key_is_in_a_file_for_its_owner_only_and_shown_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let new = run(folder, &["keys", "new", "--hex", "--json"], &[], "")
        .await
        .expect(0);
    let file = path(&new.json(), folder);
    assert!(file.starts_with(folder.join("data/keys")), "{file:?}");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let secret = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let reference = format!("file:{}", file.display());
    let shown = run(folder, &["keys", "show", "--key", &reference], &[], "")
        .await
        .expect(0);
    assert_eq!(shown.out.trim(), new.json()["address"].as_str().unwrap());
    let revealed = run(
        folder,
        &["keys", "show", "--key", &reference, "--reveal", "--json"],
        &[],
        "",
    )
    .await
    .expect(0);
    assert_eq!(revealed.json()["key"], secret);
    for quiet in [&new, &shown] {
        assert!(!format!("{quiet:?}").contains(&secret));
    }
    // A file that is there is somebody's key.
    let again = run(folder, &["keys", "new", "--hex", file.to_str().unwrap()], &[], "").await;
    assert_ne!(again.code, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), secret);

    for open in [0o640, 0o604] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(open)).unwrap();
        let refused = run(folder, &["keys", "show", "--key", &reference], &[], "")
            .await
            .expect(2);
        assert!(refused.talk.contains("chmod 600"), "{}", refused.talk);
    }
}

#[tokio::test]
async fn a_key_from_elsewhere_becomes_a_keystore_that_its_passphrase_opens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let alice = [("ALICE", &*key("alice")), ("PASSPHRASE", "correct horse")];
    let passphrase = folder.join("passphrase");
    std::fs::write(&passphrase, "correct horse\n").unwrap();
    std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();

    let by_variable = [
        "keys",
        "import",
        "a.json",
        "--json",
        "--key",
        "env:ALICE",
        "--passphrase",
        "env:PASSPHRASE",
    ];
    let by_stdin = [
        "keys",
        "import",
        "b.json",
        "--json",
        "--passphrase",
        "file:passphrase",
    ];
    for (arguments, input) in [(&by_variable[..], ""), (&by_stdin[..], &*key("alice"))] {
        let imported = run(folder, arguments, &alice, input).await.expect(0);
        assert_eq!(imported.json()["address"], address("alice").to_string());
        let file = path(&imported.json(), folder);
        assert_eq!(mode(&file), 0o600);
        let stored = std::fs::read_to_string(&file).unwrap();
        assert!(!stored.contains(&key("alice")) && !stored.contains("correct horse"));
        let keystore: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(keystore["version"], 3);
    }
    let show = ["keys", "show", "--key", "file:a.json"];
    let shown = run(
        folder,
        &[&show[..], &["--passphrase", "env:PASSPHRASE", "--reveal"]].concat(),
        &alice,
        "",
    )
    .await;
    let shown = shown.expect(0);
    assert_eq!(shown.out, format!("{}  {}\n", address("alice"), key("alice")));
    let wrong = [("PASSPHRASE", "wrong horse")];
    let refused = run(
        folder,
        &[&show[..], &["--passphrase", "env:PASSPHRASE"]].concat(),
        &wrong,
        "",
    )
    .await
    .expect(2);
    assert!(
        refused.talk.contains("passphrase") && !refused.talk.contains("wrong horse"),
        "{}",
        refused.talk
    );
    // Nobody sits at the terminal to be asked.
    let refused = run(folder, &show, &[], "").await.expect(2);
    assert!(refused.talk.contains("--passphrase"), "{}", refused.talk);
    let refused = run(folder, &["keys", "import", "c.json", "--hex"], &[], "0x12")
        .await
        .expect(2);
    assert!(
        refused.talk.contains("64 hex digits") && !folder.join("c.json").exists(),
        "{}",
        refused.talk
    );
}

#[tokio::test]
async fn a_bot_and_a_command_take_their_wallet_from_a_keystore() {
    let house = House::of(
        "herald: 1
bot: echo
identity: { keystore: bot.json, passphrase: env:PASSPHRASE }
commands:
  /ping: { reply: pong }
",
    )
    .set("PASSPHRASE", "correct horse");
    let import = [
        "keys",
        "import",
        "bot.json",
        "--key",
        "env:BOT_KEY",
        "--passphrase",
        "env:PASSPHRASE",
    ];
    house.run(&import).await.expect(0);
    let herald = house.start().await;
    let alice = person("alice", herald.node()).await;
    alice.asks(herald.address(), "/ping", &["pong"]).await;
    let node = herald.node().to_string();
    let arguments = [
        "send",
        &alice.address().to_string(),
        "by hand",
        "--key",
        "file:bot.json",
        "--passphrase",
        "env:PASSPHRASE",
        "--node",
        &node,
    ];
    house.run(&arguments).await.expect(0);
    alice.reads(herald.address(), &["pong", "by hand"]).await;
}

const JUNK: &str = "test test test test test test test test test test test junk";

#[tokio::test]
async fn a_mnemonics_key_is_imported_by_its_path_and_no_word_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let words = [("WORDS", JUNK)];
    let import = |more: &[&'static str]| [&["keys", "import", "--hex", "--json"][..], more].concat();
    let first = run(folder, &import(&["a"]), &[], &format!("{JUNK}\n"))
        .await
        .expect(0);
    assert_eq!(
        first.json()["address"],
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    );
    let stored = std::fs::read_to_string(folder.join("a")).unwrap();
    assert_eq!(
        stored.trim(),
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    );
    assert_eq!(mode(&folder.join("a")), 0o600);
    let fourth = ["b", "--key", "env:WORDS", "--derivation", "m/44'/60'/0'/0/3"];
    let fourth = run(folder, &import(&fourth), &words, "").await.expect(0);
    assert_eq!(
        fourth.json()["address"],
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
    );

    let slip = JUNK.replace("junk", "junkyard");
    let shuffled = JUNK.replace("test junk", "junk test");
    for (arguments, input, wanted) in [
        (&["c"][..], &*slip, "word 12"),
        (&["c"], &shuffled, "checksum"),
        (&["c"], "test junk", "found 2"),
        (
            &["c", "--derivation", "m/0"],
            &key("alice"),
            "--derivation is of a mnemonic",
        ),
        (&["c", "--derivation", "44/60"], JUNK, "derivation path like"),
    ] {
        let refused = run(folder, &import(arguments), &[], input).await.expect(2);
        assert!(refused.talk.contains(wanted), "{}", refused.talk);
        assert!(!refused.talk.contains("junk"), "{}", refused.talk);
        assert!(!folder.join("c").exists());
    }
}

#[tokio::test]
async fn a_bots_wallet_comes_from_a_mnemonic() {
    let house = House::of(
        "herald: 1
bot: bell
identity: { mnemonic: env:BELL_WORDS, path: m/44'/60'/0'/0/3 }
commands:
  /ping: { reply: pong }
",
    )
    .set("BELL_WORDS", JUNK);
    let herald = house.start().await;
    assert_eq!(
        herald.ready()["address"],
        "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
    );
    let alice = person("alice", herald.node()).await;
    let bell = "0x90F79bf6EB2c4f870365E785982E1f101E93b906".parse().unwrap();
    alice.asks(bell, "/ping", &["pong"]).await;
}

#[tokio::test]
async fn a_text_is_signed_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let alice = [("ALICE", &*key("alice"))];
    let sign = ["keys", "sign", "--key", "env:ALICE"];
    let text = "XMTP : Enable Identity\nä\n";
    let signed = run(folder.path(), &sign, &alice, text).await.expect(0);
    let hex = signed.out.strip_suffix('\n').unwrap().strip_prefix("0x").unwrap();
    let signature: [u8; 65] = const_hex::decode(hex).unwrap().try_into().unwrap();
    assert_eq!(recover_text(text, &signature), Ok(address("alice")));
    let empty = run(folder.path(), &sign, &alice, "").await.expect(2);
    assert!(empty.talk.contains("on stdin"), "{}", empty.talk);
    let long = "x".repeat(64 * 1024 + 1);
    run(folder.path(), &sign, &alice, &long).await.expect(2);
}

#[tokio::test]
async fn xmtp_keys_are_exported_and_rotated_for_wallets_that_have_some() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = node.address().to_string();
    let wallets = [("ALICE", &*key("alice")), ("BOB", &*key("bob"))];
    let keys = |verb: &'static str, more: &[&'static str]| {
        let common = ["keys", verb, "--json", "--node"].map(str::to_owned);
        let more = more.iter().map(ToString::to_string);
        common
            .into_iter()
            .chain([url.clone()])
            .chain(more)
            .collect::<Vec<_>>()
    };
    let run = async |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(folder, &arguments, &wallets, "").await
    };
    for verb in ["export", "rotate"] {
        let absent = run(keys(verb, &["--key", "env:BOB"])).await.expect(1);
        assert!(absent.talk.contains("never signed in"), "{}", absent.talk);
    }
    let bobs = Client::builder(wallet("bob"), node.address());
    assert!(
        bobs.load_keys().await.unwrap().is_none(),
        "asking makes no identity"
    );

    let alice = person("alice", node.address()).await;
    let exported = run(keys("export", &["--key", "env:ALICE"])).await.expect(0);
    let file = path(&exported.json(), folder);
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let before = std::fs::read(&file).unwrap();
    assert_eq!(before, alice.client().export_keys().unwrap().as_slice());
    // Whoever exports again says where to.
    let again = run(keys("export", &["--key", "env:ALICE"])).await.expect(1);
    assert!(again.talk.contains("cannot write"), "{}", again.talk);

    let rotated = run(keys("rotate", &["--key", "env:ALICE"])).await.expect(0);
    assert_eq!(rotated.json()["address"], address("alice").to_string());
    run(keys("export", &["after", "--key", "env:ALICE"]))
        .await
        .expect(0);
    let read = |bytes: &[u8]| PrivateKeyBundle::decode(bytes).unwrap();
    let (before, after) = (read(&before), read(&std::fs::read(folder.join("after")).unwrap()));
    assert_ne!(
        before.public().bundle().pre_key(),
        after.public().bundle().pre_key()
    );
    assert!(after.pre_key_of(before.public().bundle().pre_key()).is_some());
}
