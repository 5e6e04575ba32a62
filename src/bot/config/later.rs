//! What the language defines and this release does not have yet. A bot that uses it is told so, at its place.

/// Keys by the shape that holds them: the names of the types in [`file`](super::file).
const KEYS: &[(&str, &[&str])] = &[
    (
        "BotFile",
        &["profile", "sources", "tables", "flows", "fallback", "tests"],
    ),
    ("ListFile", &["confirm", "import"]),
    ("FieldDetails", &["choices"]),
    (
        "TriggerFile",
        &["log", "watch", "cleared", "poll", "feed", "left", "silent"],
    ),
    ("EveryFile", &["jitter"]),
    ("MessageFile", &["from"]),
    (
        "AudienceFile",
        &[
            "csv", "source", "sql", "holders", "any", "all", "except", "sample",
        ],
    ),
    ("ToListFile", &["where"]),
    ("ToWalletFile", &["as"]),
    ("RuleFile", &["let"]),
    ("RuleFile", POLICY),
    ("DefaultsFile", POLICY),
    ("LimitFile", &["recipient", "rule", "bot"]),
    ("ContentFile", CONTENT),
    ("PartFile", CONTENT),
    ("CommandFile", &["add", "remove", "set", "admins", "run"]),
    ("ProjectFile", &["allow_run"]),
    ("ChainFile", &["rpc", "confirmations"]),
];

const POLICY: &[&str] = &[
    "quiet",
    "hours",
    "digest",
    "retry",
    "priority",
    "thread",
    "unreached",
    "approve",
    "canary",
    "stop_if",
    "then",
    "after",
    "callback",
];

const CONTENT: &[&str] = &["markdown", "reply", "react", "attach", "remote", "tx", "custom"];

/// Words by the key whose value they are.
const WORDS: &[(&str, &[&str])] = &[("consent", &["allowed", "not_denied"])];

/// The later keys of a shape.
pub(crate) fn keys(shape: &str) -> impl Iterator<Item = &'static str> {
    listed(KEYS, shape)
}

/// Whether a key of a shape is a later one.
pub(crate) fn is_key(shape: &str, key: &str) -> bool {
    keys(shape).any(|later| later == key)
}

/// Whether a word is one that its key takes later.
pub(crate) fn is_word(key: &str, word: &str) -> bool {
    listed(WORDS, key).any(|later| later == word)
}

fn listed(
    table: &'static [(&'static str, &'static [&'static str])],
    name: &str,
) -> impl Iterator<Item = &'static str> {
    table
        .iter()
        .filter(move |(listed, _)| *listed == name)
        .flat_map(|(_, words)| words.iter().copied())
}
