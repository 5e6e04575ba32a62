//! Outcomes as `JUnit` XML, which build servers show.

use std::fmt::Write as _;

use super::{Ran, report};

/// One suite a bot, in the order they ran.
pub(super) fn xml(ran: &[Ran]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in ran.chunk_by(|one, next| one.file == next.file) {
        let failures = suite.iter().filter(|ran| !ran.outcome.ok).count();
        let seconds: f64 = suite.iter().map(|ran| ran.took.as_secs_f64()).sum();
        let (bot, file) = suite
            .first()
            .map(|ran| (escaped(&ran.bot), escaped(&ran.file.to_string_lossy())))
            .unwrap_or_default();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{bot}\" file=\"{file}\" tests=\"{}\" failures=\"{failures}\" time=\"{seconds:.3}\">",
            suite.len()
        );
        for ran in suite {
            xml.push_str(&case(ran));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn case(ran: &Ran) -> String {
    let begin = format!(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.3}\"",
        escaped(&ran.bot),
        escaped(&ran.test),
        escaped(&ran.file.to_string_lossy()),
        ran.line,
        ran.took.as_secs_f64()
    );
    if ran.outcome.ok {
        return format!("{begin}/>\n");
    }
    let differ = ran.outcome.lines.iter().filter(|line| !line.ok()).count();
    let message = match ran.outcome.problems.first() {
        Some(problem) => problem.clone(),
        None => format!(
            "{differ} of {} messages are not as expected",
            ran.outcome.lines.len()
        ),
    };
    format!(
        "{begin}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
        escaped(&message),
        escaped(&report::details(ran))
    )
}

/// Text as XML takes it, also inside quotes; characters that XML has no place for are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_cannot_leave_its_place_in_the_xml() {
        assert_eq!(escaped("a<b>&\"\u{1}\n"), "a&lt;b&gt;&amp;&quot;&#10;");
    }
}
