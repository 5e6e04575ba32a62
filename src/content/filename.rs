//! Names of files that strangers chose: data to show, never paths.

/// A name that is safe to create a file under in a folder of one's choice: one path component that is not hidden and not
/// reserved, of 1 to 255 bytes, without separators, control characters, and characters that change the direction of text. It is not
/// unique: whoever writes files decides what happens to one that is there.
pub fn safe_filename(name: &str) -> String {
    let safe: String = name.chars().map(|c| if is_unsafe(c) { '_' } else { c }).collect();
    let mut safe = bounded(safe.trim_start_matches(is_dot_or_space));
    let (device, _) = safe.split_once('.').unwrap_or((&safe, ""));
    if is_device(device.trim_end()) {
        safe = bounded(&format!("_{safe}"));
    }
    if safe.is_empty() {
        return "attachment".to_owned();
    }
    safe
}

/// Cuts what is too long, in front of the extension, and what Windows ignores at the end: `con. ` would be `con`.
fn bounded(name: &str) -> String {
    let name = name.trim_end_matches(is_dot_or_space);
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let cut = format!("{}{extension}", cut(stem, MAX_BYTES - extension.len()));
    cut.trim_end_matches(is_dot_or_space).to_owned()
}

fn is_dot_or_space(c: char) -> bool {
    c == '.' || c.is_whitespace()
}

fn is_unsafe(c: char) -> bool {
    // Separators and what Windows forbids; directions of text, which make `gpj.exe` of `exe.jpg`; characters without width.
    c.is_control()
        || "/\\:*?\"<>|".contains(c)
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The names that Windows gives to devices, in any folder and with any extension.
fn is_device(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let numbered = |prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']))
    };
    matches!(name.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// The extension with its dot, if it is short enough to be one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.').map(|at| name.split_at(at)) {
        Some((stem, extension)) if extension.len() <= 16 => (stem, extension),
        _ => (name, ""),
    }
}

/// The longest start that is no longer than `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    let (start, _) = text.split_at(text.floor_char_boundary(max));
    start
}

/// What file systems take.
const MAX_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_would_leave_the_folder_or_hide_do_not() {
        let table = [
            ("note.txt", "note.txt"),
            ("für Ana ☀.pdf", "für Ana ☀.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("C:\\Windows\\x.dll", "C__Windows_x.dll"),
            ("..\\..\\x", "_.._x"),
            (".bashrc", "bashrc"),
            ("..", "attachment"),
            (".", "attachment"),
            ("", "attachment"),
            (" . . ", "attachment"),
            ("a\0b", "a_b"),
            ("a\nb\x1b[2J", "a_b_[2J"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("con", "_con"),
            ("NUL.txt", "_NUL.txt"),
            ("com1 .log", "_com1 .log"),
            ("comma.txt", "comma.txt"),
            ("file.txt. ", "file.txt"),
            ("x:stream", "x_stream"),
        ];
        for (name, safe) in table {
            assert_eq!(safe_filename(name), safe, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_extension() {
        let safe = safe_filename(&format!("{}.jpeg", "ü".repeat(1000)));
        assert!(safe.len() <= 255 && safe.ends_with("ü.jpeg"), "{safe}");
        assert_eq!(safe_filename(&"a.".repeat(1000)).len(), 255);
        let dots = format!("{}.....{}", "a".repeat(252), "b".repeat(50));
        assert_eq!(
            safe_filename(&dots),
            "a".repeat(252),
            "a dot at the cut is cut, too"
        );
        let device = format!("con{}x", " ".repeat(300));
        assert_eq!(safe_filename(&device), "_con");
    }

    proptest! {
        #[test]
        fn every_name_becomes_one_component(name in "(\\PC|[./\\\\:\\x00-\\x20]){0,300}") {
            let safe = safe_filename(&name);
            let parts: Vec<_> = Path::new(&safe).components().collect();
            prop_assert!(matches!(parts[..], [Component::Normal(_)]), "{:?}", safe);
            prop_assert!(safe.len() <= 255 && !safe.starts_with('.') && !safe.chars().any(char::is_control));
            prop_assert_eq!(safe_filename(&safe), safe);
        }
    }
}
