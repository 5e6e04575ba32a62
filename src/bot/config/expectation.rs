//! Where `expect` of a test stands in its file, for whoever rewrites it.

use std::path::Path;

use super::diagnostics::Finding;
use super::tree::{Content, NodeId, Tree};
use crate::bot::testing::update::Place;

/// The place of `expect` of the test of this name; no findings when there is none.
pub(crate) fn expectation(path: &Path, text: &str, name: &str) -> Result<Place, Vec<Finding>> {
    let (tree, expect) = find(path, text, name)?;
    // Inside brackets nothing but brackets may stand.
    let mut around = tree.ancestry(expect);
    around.pop();
    let is_flow = around.iter().any(|node| tree.is_flow(*node));
    Ok(Place {
        value: tree.written(expect),
        is_flow,
        is_block: !is_flow && !tree.is_flow(expect) && !tree.is_empty(expect),
        indent: tree.key_column(expect),
    })
}

/// How many entries `expect` of a test has.
pub(crate) fn expectation_count(path: &Path, text: &str, name: &str) -> Result<usize, Vec<Finding>> {
    let (tree, expect) = find(path, text, name)?;
    match tree.content(expect) {
        Content::List(items) => Ok(items.len()),
        _ => Err(Vec::new()),
    }
}

fn find(path: &Path, text: &str, wanted: &str) -> Result<(Tree, NodeId), Vec<Finding>> {
    let tree = Tree::parse(path, text.to_owned(), "bot").map_err(|finding| vec![*finding])?;
    let tests = tree.entry(Tree::ROOT, "tests").map(|tests| tree.content(tests));
    let Some(Content::List(tests)) = tests else {
        return Err(Vec::new());
    };
    let is_named = |id: &&NodeId| {
        let name = tree.entry(**id, "name");
        name.and_then(|name| tree.scalar(name)) == Some(wanted)
    };
    let expect = tests
        .iter()
        .find(is_named)
        .and_then(|id| tree.entry(*id, "expect"));
    match expect {
        Some(expect) => Ok((tree, expect)),
        None => Err(Vec::new()),
    }
}
