//! What each code means, for `herald check --explain`.

/// Every page, in the order of the codes.
const PAGES: &str = include_str!("explain.md");

/// The page of a code such as `E104`: its title, what it means, and a wrong and a right file.
pub fn explain(code: &str) -> Option<&'static str> {
    pages().find(|(known, _)| *known == code).map(|(_, page)| page)
}

/// Every code that has a page.
pub fn codes() -> impl Iterator<Item = &'static str> {
    pages().map(|(code, _)| code)
}

/// The codes and their pages.
fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGES.split("\n## ").skip(1).filter_map(|page| {
        let (code, _) = page.split_once(' ')?;
        Some((code, page.trim_end()))
    })
}
