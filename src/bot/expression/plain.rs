//! HTML or markdown to text, for feeds that do not say which they carry.
//!
//! It passes over the text a fixed number of times and never backtracks, so its cost is linear.

/// The text without tags, marks and entities; blocks and list items keep lines of their own.
pub(super) fn plain(text: &str) -> String {
    let untagged = strip_tags(text);
    let mut lines = Vec::new();
    for line in untagged.lines() {
        lines.extend(block_text(line.trim()).map(|line| decode_entities(&strip_marks(&line))));
    }
    let mut plain = String::new();
    let mut blank = true;
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            if !blank {
                plain.push('\n');
            }
            blank = true;
            continue;
        }
        plain.push_str(&words.join(" "));
        plain.push('\n');
        blank = false;
    }
    plain.trim_end().to_owned()
}

/// Elements that begin a line of their own.
const BLOCKS: [&str; 19] = [
    "p",
    "br",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "pre",
    "hr",
    "section",
    "article",
];

/// Elements whose content is no text.
const HIDDEN: [&str; 2] = ["script", "style"];

fn strip_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        out.push_str(before);
        let begins_tag = behind.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        if let Some(comment) = behind.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if !begins_tag {
            out.push('<');
            rest = behind;
            continue;
        }
        let Some((tag, after)) = behind.split_once('>') else {
            // No tag ends any more: the rest is text.
            out.push('<');
            out.push_str(behind);
            return out;
        };
        rest = tag_text(tag, after, &mut out);
    }
    out.push_str(rest);
    out
}

/// Writes what a tag leaves in the text; gives what follows it.
fn tag_text<'t>(tag: &str, after: &'t str, out: &mut String) -> &'t str {
    let closes = tag.starts_with('/');
    let name: String = tag
        .trim_start_matches('/')
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    let name = name.to_ascii_lowercase();
    if HIDDEN.contains(&name.as_str()) && !closes {
        // ASCII lower case keeps every byte where it is.
        let end = after.to_ascii_lowercase().find(&format!("</{name}"));
        let hidden = end.and_then(|end| after.get(end..)).unwrap_or_default();
        return hidden.split_once('>').map_or("", |(_, behind)| behind);
    }
    if BLOCKS.contains(&name.as_str()) {
        out.push('\n');
        if name == "li" && !closes {
            out.push_str("• ");
        }
    }
    after
}

/// The text of a markdown block: without the marks of headings, quotes and lists; none for rules and fences.
fn block_text(line: &str) -> Option<String> {
    let rule = line.len() >= 3
        && ['-', '*', '_']
            .iter()
            .any(|mark| line.chars().all(|c| c == *mark || c == ' '));
    if rule || line.starts_with("```") || line.starts_with("~~~") {
        return None;
    }
    let line = line.trim_start_matches("> ").trim_start_matches('>');
    let heading = line.trim_start_matches('#');
    if heading.len() < line.len() && line.len() - heading.len() <= 6 && heading.starts_with(' ') {
        return Some(heading.trim_matches([' ', '#']).to_owned());
    }
    match ["- ", "* ", "+ "].iter().find_map(|mark| line.strip_prefix(mark)) {
        Some(item) => Some(format!("• {item}")),
        None => Some(line.to_owned()),
    }
}

/// One line without the marks of emphasis, code, links and images.
fn strip_marks(line: &str) -> String {
    let characters: Vec<char> = line.chars().collect();
    let at = |index: usize| characters.get(index).copied();
    let last_parenthesis = characters.iter().rposition(|c| *c == ')');
    let mut out: Vec<Option<char>> = Vec::with_capacity(characters.len());
    let mut open_brackets = Vec::new();
    let mut index = 0;
    while let Some(character) = at(index) {
        match character {
            '\\' if at(index + 1).is_some_and(|next| next.is_ascii_punctuation()) => {
                out.push(at(index + 1));
                index += 1;
            }
            '`' => {}
            '[' => {
                open_brackets.push(out.len());
                out.push(Some('['));
            }
            ']' if at(index + 1) == Some('(')
                && last_parenthesis > Some(index)
                && !open_brackets.is_empty() =>
            {
                let open = open_brackets.pop().unwrap_or_default();
                remove_bracket(&mut out, open);
                while at(index) != Some(')') && index < characters.len() {
                    index += 1;
                }
            }
            '*' | '_' | '~' => {
                let run = characters
                    .iter()
                    .skip(index)
                    .take_while(|c| **c == character)
                    .count();
                let before = index
                    .checked_sub(1)
                    .and_then(at)
                    .is_some_and(char::is_alphanumeric);
                let after = at(index + run).is_some_and(|c| !c.is_whitespace());
                let joins_words = before && at(index + run).is_some_and(char::is_alphanumeric);
                let marks = (character != '~' || run == 2) && (character == '*' && run > 1 || !joins_words);
                if !(marks && (index_touches(before, &characters, index) || after)) {
                    out.extend(std::iter::repeat_n(Some(character), run));
                }
                index += run - 1;
            }
            _ => out.push(Some(character)),
        }
        index += 1;
    }
    out.into_iter().flatten().collect()
}

/// Whether a word or punctuation, not white space, stands directly before.
fn index_touches(word_before: bool, characters: &[char], index: usize) -> bool {
    let previous = index.checked_sub(1).and_then(|previous| characters.get(previous));
    word_before || previous.is_some_and(|c| !c.is_whitespace())
}

/// Takes an opening bracket out again, and the `!` of an image before it.
fn remove_bracket(out: &mut [Option<char>], open: usize) {
    if let Some(bracket) = out.get_mut(open) {
        *bracket = None;
    }
    let image = open.checked_sub(1).and_then(|before| out.get_mut(before));
    if let Some(mark) = image.filter(|mark| **mark == Some('!')) {
        *mark = None;
    }
}

/// Entities that occur in feeds.
const ENTITIES: [(&str, &str); 17] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("hellip", "…"),
    ("mdash", "—"),
    ("ndash", "–"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("bull", "•"),
    ("middot", "·"),
    ("copy", "©"),
    ("euro", "€"),
];

/// Longest entity, without `&` and `;`: a number of seven hex digits.
const LONGEST_ENTITY: usize = 9;

fn decode_entities(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let end = behind
            .bytes()
            .take(LONGEST_ENTITY + 1)
            .position(|byte| byte == b';');
        let entity = end.and_then(|end| Some((behind.get(..end)?, behind.get(end + 1..)?)));
        if let Some((text, after)) = entity.and_then(|(name, after)| Some((entity_text(name)?, after))) {
            out.push_str(&text);
            rest = after;
        } else {
            out.push('&');
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

fn entity_text(name: &str) -> Option<String> {
    if let Some((_, text)) = ENTITIES.iter().find(|(entity, _)| *entity == name) {
        return Some((*text).to_owned());
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
        .filter(|character| !character.is_control())
        .map(String::from)
}
