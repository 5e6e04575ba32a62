//! What two versions of a file differ in, and findings about a change, which no key of one version alone is to blame for.

use std::path::Path;

use super::diagnostics::{Code, Finding};
use super::shape::Place;
use super::tree::{Content, NodeId, Tree};
use super::whole_file;
use crate::bot::reload::Difference;

/// What differs between the texts of a file; both are bots.
pub(crate) fn difference(path: &Path, old: &str, new: &str) -> Difference {
    let mut difference = Difference::default();
    let (Ok(old), Ok(new)) = (
        Tree::parse(path, old.to_owned(), "bot"),
        Tree::parse(path, new.to_owned(), "bot"),
    ) else {
        return difference;
    };
    let sides = (&old, &new);
    compare(sides, (Some(Tree::ROOT), Some(Tree::ROOT)), &mut |key, ids| {
        let name: fn(&str) -> String = match key {
            "rules" => ToOwned::to_owned,
            "lists" => |name| format!("list:{name}"),
            "commands" => |declaration| {
                let word = declaration.split_whitespace().next().unwrap_or_default();
                format!("command:/{}", word.trim_start_matches('/'))
            },
            _ => {
                note(&mut difference, key.to_owned(), sides, ids);
                return;
            }
        };
        compare(sides, ids, &mut |key, ids| {
            note(&mut difference, name(key), sides, ids);
        });
    });
    difference
}

/// Two versions of a node; one may be missing.
type Versions = (Option<NodeId>, Option<NodeId>);

/// Tells every key of two maps, those of the new one last.
fn compare((old, new): (&Tree, &Tree), (before, after): Versions, tell: &mut dyn FnMut(&str, Versions)) {
    let entries = |tree: &Tree, id: Option<NodeId>| match id.map(|id| tree.content(id)) {
        Some(Content::Map(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    for (key, id) in entries(old, before) {
        tell(&key, (Some(id), after.and_then(|after| new.entry(after, &key))));
    }
    for (key, id) in entries(new, after) {
        if before.and_then(|before| old.entry(before, &key)).is_none() {
            tell(&key, (None, Some(id)));
        }
    }
}

fn note(difference: &mut Difference, name: String, (old, new): (&Tree, &Tree), versions: Versions) {
    match versions {
        (Some(before), Some(after)) if !is_same((old, before), (new, after)) => difference.changed.push(name),
        (Some(_), None) => difference.removed.push(name),
        (None, Some(_)) => difference.added.push(name),
        _ => {}
    }
}

fn is_same((old, before): (&Tree, NodeId), (new, after): (&Tree, NodeId)) -> bool {
    match (old.content(before), new.content(after)) {
        (Content::Scalar(before_text), Content::Scalar(after_text)) => {
            before_text == after_text && old.is_plain(before) == new.is_plain(after)
        }
        (Content::List(before), Content::List(after)) => {
            before.len() == after.len()
                && before
                    .iter()
                    .zip(after)
                    .all(|(before, after)| is_same((old, *before), (new, *after)))
        }
        (Content::Map(before), Content::Map(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|((key, before), (other, after))| {
                    key == other && is_same((old, *before), (new, *after))
                })
        }
        _ => false,
    }
}

/// A finding at the value that keys lead to in a file of this text; at the deepest of them that is there.
pub(crate) fn finding_in(
    (path, text): (&Path, &str),
    keys: &[&str],
    code: Code,
    message: String,
    hint: Option<String>,
) -> Finding {
    let Ok(tree) = Tree::parse(path, text.to_owned(), "bot") else {
        return Finding {
            hint,
            ..*whole_file(path, code, message)
        };
    };
    let mut id = Tree::ROOT;
    for key in keys {
        match tree.entry(id, key) {
            Some(entry) => id = entry,
            None => break,
        }
    }
    Place::Value(id).finding(&tree, code, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_rules_lists_and_commands_and_other_keys_and_no_comments() {
        let old = "bot: b\nvars: { a: 1 }\nlists: { l1: {} }\nrules:\n  one: { send: x }\n  two: { send: y }\ncommands: { /a <b>: { reply: c } }\n";
        let new = "# new\nbot: b\nvars: { a: 2 }\nlists: { l1: {}, l2: {} }\nrules:\n  # moved\n  two: { send: y }\n  one: { send: z }\n  three: { send: x }\n";
        let found = difference("b.yaml".as_ref(), old, new);
        assert_eq!(found.added, ["list:l2", "three"]);
        assert_eq!(found.removed, ["command:/a"]);
        assert_eq!(found.changed, ["vars", "one"]);
        assert_eq!(difference("b.yaml".as_ref(), new, new), Difference::default());
    }
}
