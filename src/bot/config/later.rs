//! What the language defines and this release does not have yet. A bot that uses it is told so, at its place.

/// Keys by the shape that holds them: the names of the types in [`file`](super::file).
const KEYS: &[(&str, &[&str])] = &[
    ("ListFile", &["import"]),
    ("FieldDetails", &["choices"]),
    ("MessageFile", &["from"]),
    ("SourceFile", &["sql", "csv"]),
    ("ToWalletFile", &["as"]),
    ("AttachedDetails", &["url"]),
    ("RemoteDetails", &["url"]),
    ("ProjectFile", &["allow_run"]),
];

/// The later keys of a shape.
pub(crate) fn keys(shape: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter(move |(listed, _)| *listed == shape)
        .flat_map(|(_, keys)| keys.iter().copied())
}

/// Whether a key of a shape is a later one.
pub(crate) fn is_key(shape: &str, key: &str) -> bool {
    keys(shape).any(|later| later == key)
}
