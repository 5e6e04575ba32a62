//! Hostile sources and hostile data: nothing panics, and time, memory and output stay within their bounds.

use std::process::Command;

use proptest::prelude::*;

use super::super::{
    Expression, Failure, MAX_DEPTH, MAX_OUTPUT, MAX_SOURCE, MAX_STEPS, MAX_TEXT, Names, Scope, Template,
    Type, Value,
};
use super::{names, scope};

/// The names of [`data`].
fn hostile_names() -> Names {
    let mut names = names();
    for name in ["many", "other", "deep", "bits"] {
        names.insert(name, Type::Any);
    }
    for name in ["long", "spaces", "brackets", "tags"] {
        names.insert(name, Type::Text);
    }
    names
}

/// Data as large as a bot takes it from outside: 256 KiB each.
fn data() -> Scope {
    const SIZE: usize = 256 * 1024;
    let mut scope = scope();
    let numbers = serde_json::Value::from(vec![0; SIZE / 2]);
    let nested: serde_json::Value =
        serde_json::from_str(&format!("{}{}", "[".repeat(120), "]".repeat(120))).unwrap();
    scope.insert("many", Type::Any.read_json(&numbers).unwrap());
    scope.insert("other", Type::Any.read_json(&vec![1; SIZE / 2].into()).unwrap());
    scope.insert("deep", Type::Any.read_json(&nested).unwrap());
    scope.insert("bits", Value::list(vec![Value::from("x"); 30_000]));
    scope.insert("long", Value::from("a".repeat(SIZE)));
    scope.insert("spaces", Value::from(" \n".repeat(SIZE / 2)));
    scope.insert("brackets", Value::from("[](*_<a&".repeat(SIZE / 8)));
    scope.insert("tags", Value::from("<script><a<!--".repeat(SIZE / 14)));
    scope
}

/// Templates that would run for ever or fill the memory, were there no bound.
fn attacks() -> Vec<String> {
    let loops = |depth: usize, list: &str, body: &str| {
        let open = (0..depth).map(|level| format!("{{% for v{level} in {list} %}}"));
        let open = open.collect::<Vec<_>>().concat();
        format!("{open}{body}{}", "{% endfor %}".repeat(depth))
    };
    // Each level names a list that holds the one before twice: 2^40 parts, 40 lists.
    let doubling = |body: &str| {
        let open = (0..40).map(|level| format!("{{% for x{} in [[x{level}, x{level}]] %}}", level + 1));
        let open = open.collect::<Vec<_>>().concat();
        format!(
            "{{% for x0 in [['aaaa']] %}}{open}{body}{}",
            "{% endfor %}".repeat(41)
        )
    };
    let grow = |function: &str| {
        let open: String = (0..30)
            .map(|level| {
                format!("{{% for t{} in [{function}] %}}", level + 1).replace('#', &format!("t{level}"))
            })
            .collect();
        format!(
            "{{% for t0 in ['aaaaaaaa'] %}}{open}{{{{ t30 }}}}{}",
            "{% endfor %}".repeat(31)
        )
    };
    vec![
        loops(10, "many", "x"),
        loops(2, "many", ""),
        loops(60, "numbers", ""),
        loops(3, "bits", "{{ v0 + v1 }}"),
        doubling("{{ x40 }}"),
        doubling("{{ x40 | json }}"),
        doubling("{{ x40 | join('') }}"),
        doubling("{{ x40 == [x39, x39] }}"),
        doubling("{{ x39 == x39 }}"),
        loops(2, "bits", "{% if many == other %}{% endif %}"),
        doubling("{{ [x40] | unique }}"),
        doubling("{{ x39 in [x39, x39] }}"),
        grow("# + #"),
        grow("# | replace('a', 'aaaaaaaa')"),
        grow("[#, #, #, #] | join(#)"),
        "{{ long | replace('a', 'aaaaaaaaaaaaaaaa') }}".to_owned(),
        "{{ long | replace('a', long) }}".to_owned(),
        "{{ long }}".to_owned(),
        "{{ long | upper }}{{ long | lower }}".to_owned(),
        "{{ long | split('a') | length }}".to_owned(),
        "{{ long | urlencode }}{{ long | json }}".to_owned(),
        "{{ many | json }}".to_owned(),
        "{{ many | sort | unique | length }}".to_owned(),
        "{{ bits | sort | join(long) }}".to_owned(),
        loops(
            1,
            "bits",
            "{{ brackets | plain | length }}{{ tags | plain | length }}",
        ),
        loops(1, "bits", "{% if long | matches('(a+)+$') %}x{% endif %}"),
        loops(
            1,
            "bits",
            "{% if long | matches('(?:a?){60}a{60}b') %}x{% endif %}",
        ),
        loops(
            1,
            "bits",
            "{% if (long | truncate(12000)) | matches('(?:a?){300}a{300}b') %}x{% endif %}",
        ),
        loops(
            1,
            "bits",
            "{% if (long | truncate(12000)) | matches('(a|aa)+$') %}x{% endif %}",
        ),
        loops(1, "bits", "{% if spaces | trim %}x{% endif %}"),
        loops(1, "bits", "{% if long in spaces %}x{% endif %}"),
        loops(1, "bits", "{% if 1.5 / 7 * 1.5 / 7 * 1.5 / 7 == 0 %}x{% endif %}"),
        loops(1, "bits", "{{ at | date('UTC', '%c%c%c%c%c%c%c%c%c%c') }}"),
        "{{ text }}".repeat(MAX_SOURCE / 10),
        "x\n".repeat(MAX_SOURCE / 2),
        "{{ deep | json }}{{ deep }}".to_owned(),
    ]
}

/// Renders every attack; prints the highest memory of this process for the test that runs it in one of its own.
#[test]
fn attacks_end_within_their_bounds() {
    let (names, scope) = (hostile_names(), data());
    for source in attacks() {
        let begin: String = source.chars().take(80).collect();
        let template =
            Template::parse(&source, &names).unwrap_or_else(|findings| panic!("{begin}: {:?}", findings[0]));
        match template.render(&scope) {
            Ok(text) => assert!(text.len() <= MAX_OUTPUT, "{begin}"),
            Err(error) => assert!(
                matches!(error.failure, Failure::TooManySteps | Failure::TooLong),
                "{begin}: {error}"
            ),
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("unknown");
    println!("peak memory {}", peak.trim());
}

#[test]
#[cfg(target_os = "linux")]
fn attacks_stay_within_64_mebibytes() {
    let module = module_path!().split_once("::").unwrap().1;
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{module}::attacks_end_within_their_bounds"),
            "--nocapture",
            "--test-threads=1",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let peak = printed
        .lines()
        .find_map(|line| line.split_once("peak memory "))
        .unwrap()
        .1;
    let kibibytes: usize = peak.strip_suffix(" kB").unwrap().trim().parse().unwrap();
    assert!(kibibytes <= 64 * 1024, "{kibibytes} KiB");
}

#[test]
fn bounds_are_reached_and_not_passed() {
    let names = hostile_names();
    let render = |source: &str| Template::parse(source, &names).unwrap().render(&data());
    let full = "x".repeat(MAX_SOURCE);
    assert_eq!(render(&full).unwrap().len(), MAX_OUTPUT);
    let findings = Template::parse(&format!("{full}x"), &names).unwrap_err();
    assert_eq!(findings[0].message, "found 65537 bytes, wanted at most 65536");
    assert_eq!(
        Expression::parse(&" ".repeat(MAX_SOURCE + 1), &names).unwrap_err()[0].message,
        findings[0].message
    );
    let double = format!("{}{{{{ 'y' }}}}", "x".repeat(MAX_SOURCE - 9));
    assert!(render(&double).is_ok());
    assert_eq!(
        render("{{ long | trim | length }}").unwrap(),
        MAX_TEXT.to_string()
    );
    assert_eq!(
        render("{{ long | replace('a', 'aa') | length }}")
            .unwrap_err()
            .failure,
        Failure::TooLong
    );
    assert_eq!(
        render("{{ (long + 'a') | length }}").unwrap_err().failure,
        Failure::TooLong
    );
    assert_eq!(render("{{ tags | plain | truncate(9) }}").unwrap(), "");
    assert_eq!(render("{{ bits }}").unwrap_err().failure, Failure::TooLong);
    assert_eq!(render("{% for b in bits %}{% endfor %}").unwrap(), "");
    assert_eq!(
        render("{% for b in many %}{% endfor %}").unwrap_err().failure,
        Failure::TooManySteps
    );
    assert_eq!(MAX_STEPS, 50_000);
}

#[test]
fn values_that_grow_from_let_to_let_are_stopped() {
    let mut names = Names::new();
    let mut scope = Scope::new();
    names.insert("x", Type::Any);
    scope.insert("x", Value::list([Value::from("a")]));
    let doubled = Expression::parse("[x, x]", &names).unwrap();
    let failure = (0..200).find_map(|_| match doubled.evaluate(&scope) {
        Ok(value) => {
            scope.insert("x", value);
            None
        }
        Err(error) => Some(error.failure),
    });
    assert_eq!(failure, Some(Failure::TooManySteps));
    let nested = Expression::parse("[x]", &names).unwrap();
    scope.insert("x", Value::None);
    let failure = (0..1000).find_map(|_| match nested.evaluate(&scope) {
        Ok(value) => {
            scope.insert("x", value);
            None
        }
        Err(error) => Some(error.failure),
    });
    assert_eq!(failure, Some(Failure::TooDeep));
}

#[test]
fn nesting_is_bounded_in_every_direction() {
    let names = names();
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("-", "1", ""),
        ("not ", "yes", ""),
        ("", "int", " + 1"),
        ("", "any", ".x"),
        ("", "any", "[0]"),
        ("", "text", " | trim"),
        ("", "yes", " or yes"),
        ("trim(", "text", ")"),
        ("1 + (", "1", ")"),
        ("", "yes", " and not yes"),
    ] {
        let nested = |levels: usize| format!("{}{inner}{}", open.repeat(levels), close.repeat(levels));
        Expression::parse(&nested(20), &names)
            .unwrap_or_else(|findings| panic!("{open}{close}: {findings:?}"));
        let findings = Expression::parse(&nested(5_000), &names).unwrap_err();
        assert_eq!(findings.len(), 1);
        let wanted = format!("more than {MAX_DEPTH} operations nest or follow each other here");
        assert_eq!(findings[0].message, wanted, "{open}{inner}{close}");
    }
    // Each loop nests its variable deeper than the one before, in a type that does not show it.
    let wrap = |inner: String| (0..40).fold(inner, |inner, _| format!("[{inner}, 1]"));
    let open = (1..60).map(|level| format!("{{% for x{level} in {} %}}", wrap(format!("x{}", level - 1))));
    let open = open.collect::<Vec<_>>().concat();
    let source = format!(
        "{{% for x0 in [1] %}}{open}{{{{ x59 }}}}{}",
        "{% endfor %}".repeat(60)
    );
    assert!(Template::parse(&source, &names).is_err());
    let blocks = |levels: usize| {
        format!(
            "{}x{}",
            "{% if yes %}".repeat(levels),
            "{% endif %}".repeat(levels)
        )
    };
    assert_eq!(
        Template::parse(&blocks(MAX_DEPTH), &names)
            .unwrap()
            .render(&scope())
            .unwrap(),
        "x"
    );
    assert_eq!(
        Template::parse(&blocks(MAX_DEPTH + 1), &names).unwrap_err().len(),
        1
    );
    assert_eq!(Template::parse(&blocks(2_800), &names).unwrap_err().len(), 1);
}

#[test]
fn patterns_are_bounded_in_number() {
    let names = names();
    let source = |count: usize| "{{ text | matches('a\\\\d') }}".repeat(count);
    assert!(Template::parse(&source(16), &names).is_ok());
    let findings = Template::parse(&source(17), &names).unwrap_err();
    assert_eq!(findings[0].message, "more than 16 patterns in one source");
}

/// Arbitrary text, and pieces of the language in arbitrary order, which get further.
fn sources() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "if ",
        "elif ",
        "else",
        "endif",
        "for ",
        "x",
        " in ",
        "endfor",
        "text",
        "int",
        "decimal",
        "yes",
        "wallet",
        "at",
        "span",
        "rows",
        "words",
        "any",
        "to",
        "to.name",
        ".",
        "|",
        "(",
        ")",
        "[",
        "]",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "<",
        ">=",
        " and ",
        " or ",
        "not ",
        "none",
        "1",
        "0",
        "1.10",
        "90s",
        "'a'",
        "\"",
        "'",
        "\n",
        " ",
        "usd",
        "upper",
        "sort",
        "map('size')",
        "length",
        "date('UTC')",
        "ago",
        "ü",
        "0x",
        "2026-11-20T",
        "9999999999999999999999999999999999999999",
        ".eth",
        "\\",
        "replace('a','bb')",
    ]);
    prop_oneof![
        ".{0,200}",
        prop::collection::vec(pieces.clone(), 0..40).prop_map(|pieces| pieces.concat()),
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| format!("{{{{ {} }}}}", pieces.join(" "))),
    ]
}

proptest! {
    #[test]
    fn no_source_panics_and_findings_lie_inside_it(source in sources()) {
        let (names, scope) = (names(), scope());
        let findings = match Template::parse(&source, &names) {
            Ok(template) => {
                let _ = template.render(&scope).map(|text| assert!(text.len() <= MAX_OUTPUT));
                Vec::new()
            }
            Err(findings) => findings,
        };
        let more = match Expression::parse(&source, &names) {
            Ok(expression) => {
                let _ = expression.evaluate(&scope);
                Vec::new()
            }
            Err(findings) => findings,
        };
        for finding in findings.into_iter().chain(more) {
            prop_assert!(source.get(finding.span.clone()).is_some(), "{:?}", finding);
        }
        let _ = Type::parse(&source);
    }

    #[test]
    fn values_are_of_the_type_that_was_checked(source in sources()) {
        if let Ok(expression) = Expression::parse(&source, &names())
            && let Ok(value) = expression.evaluate(&scope())
        {
            let read = expression.ty().read_json(&value.to_json());
            prop_assert!(read.is_ok(), "{}: {} is no {}: {:?}", source, value, expression.ty(), read);
        }
    }

    #[test]
    fn plain_text_never_panics(text in "[\\[\\]()<>!&;#*_~`a-c\\\\ \n-]{0,80}|.{0,80}") {
        let _ = super::super::plain::plain(&text);
    }
}
