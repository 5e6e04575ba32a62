use super::super::{Failure, functions};
use super::{WALLET, failure, render, text, ty, value};

#[track_caller]
fn all(cases: &[(&str, &str)]) {
    for (source, wanted) in cases {
        assert_eq!(text(source), *wanted, "{source}");
    }
}

#[test]
fn numbers() {
    all(&[
        ("units(1050000000000000000, 18)", "1.05"),
        ("units(25000000000, 8)", "250"),
        ("5 | units(3)", "0.005"),
        ("units(any.size, 2)", "0.03"),
        ("1.05 | fixed(2)", "1.05"),
        ("1.5 | fixed(2)", "1.50"),
        ("1.045 | fixed(2)", "1.05"),
        ("-1.045 | fixed(2)", "-1.05"),
        ("7 | fixed(1)", "7.0"),
        ("1234.5 | usd", "$1,234.50"),
        ("42 | usd", "$42.00"),
        ("0.004 | usd", "$0.00"),
        ("(-1234567.891) | usd", "-$1,234,567.89"),
        ("999999.995 | usd", "$1,000,000.00"),
        ("any.price | usd", "$2,600.12"),
        ("0.1234 | percent(1)", "12.3%"),
        ("0.02 | percent", "2%"),
        ("2.5 | round", "3"),
        ("2.345 | round(2)", "2.35"),
        ("2.3 | round(2)", "2.3"),
        ("1234 | round", "1234"),
        ("(-3) | abs", "3"),
        ("(-3.50) | abs", "3.50"),
        ("min(2, 1.5)", "1.5"),
        ("2 | max(3)", "3"),
        ("numbers | max", "3"),
        ("numbers | min", "1"),
        ("[] | max", "none"),
        ("max(at, now)", "2026-11-20T11:00:00Z"),
        ("rows | map('price') | max", "1.5"),
    ]);
    assert_eq!(ty("2.5 | round"), "int");
    assert_eq!(ty("2.5 | round(1)"), "decimal");
    assert_eq!(ty("numbers | max"), "optional int");
    assert_eq!(
        failure("1 | fixed(81)").to_string(),
        "found 81, wanted an int from 0 to 80"
    );
    assert_eq!(
        failure("any.id | usd").to_string(),
        "found \"A-1\", wanted a number"
    );
    assert_eq!(
        failure("any.list | usd").to_string(),
        "found list, wanted a number"
    );
}

#[test]
fn texts() {
    all(&[
        ("text | upper", "HELLO WORLD"),
        ("text | lower", "hello world"),
        ("'  a ' | trim", "a"),
        ("text | truncate(7)", "Hello…"),
        ("text | truncate(11)", "Hello World"),
        ("text | truncate(0)", ""),
        ("'👩‍🚀👩‍🚀' | truncate(5)", "👩‍🚀…"),
        ("'e\u{301}e\u{301}e' | truncate(4)", "e\u{301}…"),
        ("'\\n\\n Title \\nmore' | first_line", "Title"),
        ("'a-b-c' | replace('-', '+')", "a+b+c"),
        ("'abc' | replace('', 'x')", "abc"),
        ("'a,b,,c' | split(',') | length", "4"),
        ("'abc' | split('') | length", "1"),
        ("text | starts_with('Hello')", "true"),
        ("text | ends_with('Hello')", "false"),
        ("text | contains('o W')", "true"),
        ("text | matches('^Hel+o \\\\w+$')", "true"),
        ("text | matches('(?i)WORLD')", "true"),
        ("text | matches('^World')", "false"),
        ("'a b/ü' | urlencode", "a%20b%2F%C3%BC"),
        ("int | urlencode", "7"),
        ("upper('a')", "A"),
        ("any.size | truncate(5)", "3"),
    ]);
    assert_eq!(
        text("rows[0] | json"),
        r#"{"name":"x","price":1.5,"size":2,"state":"open"}"#
    );
    assert_eq!(
        text("[1.10, 'a\"b', wallet, none, true] | json"),
        format!(r#"[1.10,"a\"b","{WALLET}",null,true]"#)
    );
    assert_eq!(
        failure("any.list | upper").to_string(),
        "found list, wanted a text"
    );
}

#[test]
fn plain_leaves_the_words_of_html_and_markdown() {
    let cases = [
        ("<p>One &amp; <b>two</b></p><p>three</p>", "One & two\n\nthree"),
        ("a<br/>b", "a\nb"),
        ("<ul><li>x</li><li>y</li></ul>", "• x\n\n• y"),
        ("x<script>alert('<b>')</script>y<!-- no -->z", "xyz"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a <unclosed", "a <unclosed"),
        (
            "&lt;b&gt; &#39;q&#x27; &hellip; &unknown; &#0; AT&T",
            "<b> 'q' … &unknown; &#0; AT&T",
        ),
        (
            "# Title\n\nSome **bold**, *slanted* and `code`.",
            "Title\n\nSome bold, slanted and code.",
        ),
        ("[text](https://x.example/a_b) and ![alt](y)", "text and alt"),
        ("- one\n* two\n> quote", "• one\n• two\nquote"),
        (
            "snake_case_name and 2 * 3 * 4 and 5*3",
            "snake_case_name and 2 * 3 * 4 and 5*3",
        ),
        ("a\n---\nb\n```\ncode\n```", "a\nb\ncode"),
        ("\\*kept\\* ~~gone~~", "*kept* gone"),
        ("[not a link] [x](", "[not a link] [x]("),
        ("<a href=\"x\">link</a>", "link"),
    ];
    for (source, wanted) in cases {
        assert_eq!(super::super::plain::plain(source), wanted, "{source}");
    }
}

#[test]
fn lists() {
    all(&[
        ("words | length", "3"),
        ("'häuser' | length", "6"),
        ("to | length", "4"),
        ("words | first", "b"),
        ("words | last", "b"),
        ("[] | first", "none"),
        ("words | join(' / ')", "b / a / b"),
        ("[1, none, 2] | join('-')", "1-2"),
        ("numbers | sort", "1, 2, 3, 3"),
        ("words | sort", "a, b, b"),
        ("rows | sort('size') | map('name')", "y, x"),
        ("rows | sort('price') | map('name')", "x, y"),
        ("rows | map('size')", "2, 1"),
        ("rows | where('state', 'open') | map('name')", "x"),
        ("rows | where('price', none) | map('name')", "y"),
        ("rows | sum('size')", "3"),
        ("rows | sum('price')", "1.5"),
        ("numbers | sum", "9"),
        ("[] | sum", "0"),
        ("numbers | unique", "3, 1, 2"),
        ("[1, 1.0, '1', 1.00] | unique", "1, 1"),
        ("any.rows | map('k') | sum", "3"),
        ("any.rows | where('k', 2) | length", "1"),
    ]);
    assert_eq!(ty("words | first"), "optional text");
    assert_eq!(ty("rows | map('price')"), "list of optional decimal");
    assert_eq!(ty("rows | sum('price')"), "decimal");
    assert_eq!(
        failure("[any.id, any.list] | sort").to_string(),
        "cannot compare text with list"
    );
    assert_eq!(failure("any.id | first").to_string(), "found text, wanted a list");
}

#[test]
fn times() {
    all(&[
        ("at | date('UTC')", "20 Nov 2026, 08:00"),
        ("at | date(to.tz)", "20 Nov 2026, 17:00"),
        ("at | date('asia/tokyo')", "20 Nov 2026, 17:00"),
        ("at | date(zone, '%Y/%m/%d %H:%M %Z')", "2026/11/20 08:00 WET"),
        ("any.when | date('UTC', '%H:%M')", "08:00"),
        ("0 | date('UTC')", "1 Jan 1970, 00:00"),
        ("'1700000000' | date('UTC', '%Y')", "2023"),
        ("at | ago", "3 hours ago"),
        ("now | ago", "just now"),
        ("(now - 59s) | ago", "just now"),
        ("(now - 60s) | ago", "1 minute ago"),
        ("(now + 2d) | ago", "in 2 days"),
        ("(now + 47h) | ago", "in 1 day"),
        ("(now - 8d) | ago", "1 week ago"),
        ("any.when | ago", "3 hours ago"),
    ]);
    assert_eq!(
        failure("any.id | ago").to_string(),
        "found \"A-1\", wanted a time, an RFC 3339 text or Unix seconds"
    );
    assert_eq!(
        failure("at | date(any.id)").to_string(),
        "found \"A-1\", wanted a time zone such as Europe/Lisbon"
    );
    assert_eq!(failure("100000000000000000 | ago"), Failure::Overflow("time"));
}

#[test]
fn wallets() {
    all(&[
        ("wallet | short", "0x5a…ed"),
        ("hash | short", "0x00…ff"),
        ("any.wallet | short", "0x5a…ed"),
        ("any.wallet | checksum", WALLET),
        ("wallet | checksum", WALLET),
    ]);
    assert_eq!(
        failure("any.id | short").to_string(),
        "found \"A-1\", wanted a wallet or a hash"
    );
    assert_eq!(
        failure("any.size | checksum").to_string(),
        "found int, wanted a wallet"
    );
}

#[test]
fn every_filter_given_none_gives_none() {
    for function in functions::names() {
        let arguments = match function {
            "units" | "fixed" | "truncate" => "(2)",
            "replace" => "('a', 'b')",
            "split" | "starts_with" | "ends_with" | "contains" | "join" | "map" => "('a')",
            "matches" => "('a+')",
            "where" => "('a', 1)",
            "date" => "('UTC')",
            "block_time" => "(1)",
            _ => "",
        };
        let source = format!("any.missing | {function}{arguments}");
        assert_eq!(text(&source), "none", "{source}");
        assert_eq!(render(&format!("[{{{{ {source} }}}}]")), "[]", "{source}");
    }
    assert_eq!(ty("nobody | upper"), "optional text");
    assert_eq!(ty("nobody | upper | length"), "optional int");
    assert_eq!(ty("any.x | upper"), "optional text");
}

#[test]
fn a_filter_is_the_function_with_the_value_first() {
    assert_eq!(value("text | truncate(3)"), value("truncate(text, 3)"));
    assert_eq!(
        value("rows | where('state', 'open')"),
        value("where(rows, 'state', 'open')")
    );
}
