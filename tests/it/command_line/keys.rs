//! `keys`: files for their owner only, and no key on a terminal unless asked for.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::run;
use crate::harness::{
    house::House,
    people::{address, key, person},
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
