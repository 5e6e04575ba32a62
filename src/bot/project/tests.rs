use std::path::Path;
use std::time::Duration;

use super::*;

/// Loads a text as `herald.yaml` of a folder, beside a secret of the name `key`.
fn load_text(folder: &Path, text: &str) -> Result<(Project, Vec<Finding>), Vec<Finding>> {
    use std::os::unix::fs::PermissionsExt as _;
    let key = folder.join("key");
    std::fs::write(&key, "a key").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = folder.join(FILE);
    std::fs::write(&path, text).unwrap();
    Project::load(&path)
}

fn valid(text: &str) -> Project {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load_text(folder.path(), text);
    let (project, warnings) = loaded.unwrap_or_else(|found| panic!("{}", shown(&found)));
    assert!(warnings.is_empty(), "{}", shown(&warnings));
    project
}

fn shown(found: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let Finding {
            line,
            column,
            code,
            message,
            ..
        } = finding;
        let hint = finding.hint.as_ref().map(|hint| format!("; {hint}"));
        format!("{line}:{column} {code} {message}{}", hint.unwrap_or_default())
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn settings() -> &'static str {
    include_str!("../../../config/herald.yaml")
}

#[test]
fn the_file_of_all_settings_says_the_defaults() {
    let project = valid(settings());
    let without_file = Project {
        file: None,
        ..project
    };
    assert_eq!(without_file, Project::default());
}

#[test]
fn the_examples_in_the_file_of_all_settings_are_right_and_no_key_is_left_out() {
    // What stands behind a `#` and begins with a key is an example; it takes the place of the default.
    let is_key = |text: &str| {
        let (key, rest) = text.trim_start().split_once(':').unwrap_or_default();
        let is_word = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'3');
        !key.is_empty() && is_word && (rest.is_empty() || rest.starts_with(' '))
    };
    let lines = settings()
        .lines()
        .filter(|line| *line != "chains: {}" && *line != "uploads: {}");
    let text: Vec<String> = lines
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(example) if is_key(example) => line.replacen("# ", "", 1),
            _ => line.to_owned(),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let loaded = load_text(folder.path(), &text.join("\n"));
    let (project, warnings) = loaded.unwrap_or_else(|found| panic!("{}", shown(&found)));
    // The secrets of the examples are on no machine of a test.
    assert!(
        warnings.iter().all(|warning| warning.code.to_string() == "W301"),
        "{}",
        shown(&warnings)
    );
    assert_eq!(project.name.as_deref(), Some("example"));
    assert_eq!(project.store, Some(folder.path().join("data/herald.db")));
    assert_eq!(project.chain("devnet"), Some(31_337));
    let devnet = &project.chains["devnet"];
    assert_eq!((devnet.rpc.len(), devnet.confirmations), (1, 0));
    assert!(project.tokens.is_some());
    let Some(Upload::S3 {
        bucket,
        prefix,
        region,
        endpoint,
        ..
    }) = project.uploads.get("media")
    else {
        panic!("{project:?}")
    };
    let endpoint = endpoint.as_deref();
    assert_eq!(
        (bucket.as_str(), prefix.as_str(), region.as_str(), endpoint),
        ("bucket", "drops", "us-east-1", Some("https://s3.example"))
    );
    let local = Upload::Folder {
        folder: folder.path().join("data/uploads"),
        public: "http://127.0.0.1:7411/uploads".to_owned(),
    };
    assert_eq!(project.uploads.get("local"), Some(&local));
}

#[test]
fn every_mistake_of_the_table_is_found_with_its_place_and_hint() {
    let mut count = 0;
    for case in include_str!("findings.txt").split("#####\n").skip(1) {
        let (text, expected) = case.split_once("\n==>\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let found = match load_text(folder.path(), text) {
            Ok((_, warnings)) => shown(&warnings),
            Err(found) => shown(&found),
        };
        assert_eq!(found, expected.trim_end(), "in\n{text}");
        count += 1;
    }
    assert!(count > 15, "only {count} cases were read");
}

#[test]
fn a_project_says_what_its_file_says() {
    let project = valid(
        "herald: 1
project: shop
node: local
chains: { ethereum: {}, devnet: { id: 31337 }, base: { id: 7 } }
fetch: { allow: [127.0.0.1/32, \"fd00::/8\"] }
api: { listen: \"[::1]:0\", tokens: file:key }
limits: { recipient: 3/2h }
",
    );
    assert_eq!(project.node, NodeAddress::Local);
    assert_eq!(
        (project.chain("ethereum"), project.chain("base")),
        (Some(1), Some(7))
    );
    assert_eq!(
        (project.chain("polygon"), project.chain("nowhere")),
        (Some(137), None)
    );
    let allowed: Vec<String> = project.allowed.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["127.0.0.1/32", "fd00::/8"]);
    assert_eq!(project.chains["ethereum"].confirmations, 3);
    assert!(project.chains["ethereum"].rpc.is_empty());
    assert_eq!(project.listen, "[::1]:0");
    let limit = Limit {
        count: 3,
        per: Duration::from_hours(2),
    };
    assert_eq!(project.recipient_limit, limit);
    assert!(project.fetch().is_ok());
}

#[test]
fn a_bot_without_a_node_takes_its_projects() {
    let project = valid("herald: 1\nnode: grpcs://node.example:5556\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bot.yaml");
    std::fs::write(
        &file,
        "herald: 1\nbot: bell\nidentity: env:HERALD_TEST_NEVER_SET\n",
    )
    .unwrap();
    let (bot, _) = config::load_in(&project, &file).unwrap();
    assert_eq!(bot.node, project.node);
    assert_eq!(config::load(&file).unwrap().0.node, NodeAddress::BuiltIn);
}

#[test]
fn a_project_is_found_in_the_folder_of_the_bots_or_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let below = root.join("bots/more");
    std::fs::create_dir_all(&below).unwrap();
    let of_all = root.join(FILE);
    std::fs::write(&of_all, "herald: 1").unwrap();
    assert_eq!(Project::find(&below), Some(of_all.clone()));
    // A folder of that name is none, and neither is one that does not exist.
    std::fs::create_dir(root.join("bots").join(FILE)).unwrap();
    assert_eq!(Project::find(&root.join("bots")), Some(of_all.clone()));
    assert_eq!(Project::find(&root.join("absent")), Some(of_all));
    let nearest = below.join(FILE);
    std::fs::write(&nearest, "herald: 1").unwrap();
    assert_eq!(Project::find(&below), Some(nearest));
    assert_ne!(Project::find(Path::new("/")), Some(root.join(FILE)));
}

#[test]
fn the_address_of_a_chains_node_is_never_shown_whole() {
    let project =
        valid("herald: 1\nchains: { base: { rpc: \"https://me:pw@eth.example/v2/s3cret?key=k3y\" } }\n");
    // Not the file, whose random name may hold any letters.
    let shown = format!("{:?}", project.chains);
    assert!(shown.contains("https://eth.example"), "{shown}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("pw") && !shown.contains("k3y"),
        "{shown}"
    );
}
