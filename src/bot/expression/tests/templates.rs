use super::super::{Scope, Template, Value};
use super::{names, render, scope};

#[test]
fn values_print_as_people_write_them() {
    let cases = [
        (
            "{{ decimal }} {{ decimal * 2 }} {{ 1000000.0 * 1000 }}",
            "1.10 2.20 1000000000.0",
        ),
        ("{{ to.wallet }}", super::WALLET),
        (
            "{{ at }} {{ span }} {{ zone }} {{ yes }}",
            "2026-11-20T08:00:00Z 90s Europe/Lisbon true",
        ),
        ("[{{ nobody }}{{ none }}{{ any.x.y }}]", "[]"),
        ("{{ words }}", "b, a, b"),
        ("{{ any.rows[0] }}", r#"{"k":1}"#),
        ("{{ \"}}\" }} and }} and {", "}} and }} and {"),
        ("{{ '{{' }}", "{{"),
        ("a{# {{ wrod }} #}b", "ab"),
        ("{{text}}!", "Hello World!"),
        ("{{ units(1050000000000000000, 18) | fixed(2) }}", "1.05"),
    ];
    for (source, wanted) in cases {
        assert_eq!(render(source), wanted, "{source}");
    }
}

#[test]
fn conditions_and_loops_take_their_branches() {
    let cases = [
        ("{% if yes %}a{% else %}b{% endif %}", "a"),
        ("{% if nobody %}a{% elif somebody %}b{% else %}c{% endif %}", "b"),
        ("{% if nobody %}a{% elif empty %}b{% else %}c{% endif %}", "c"),
        ("{% if nobody %}a{% endif %}", ""),
        ("{% for w in words %}{{ w }};{% endfor %}", "b;a;b;"),
        ("{% for w in [] %}x{% else %}none{% endfor %}", "none"),
        ("{% for w in any.missing %}x{% else %}none{% endfor %}", "none"),
        (
            "{% for r in rows %}{% for n in numbers %}{{ r.size * n }} {% endfor %}{% endfor %}",
            "6 2 4 6 3 1 2 3 ",
        ),
        (
            "{% for text in words %}{{ text }}{% endfor %}{{ text }}",
            "babHello World",
        ),
        (
            "{% for x in rows %}{% if x.state == 'open' %}{{ x.name }}{% endif %}{% endfor %}",
            "x",
        ),
    ];
    for (source, wanted) in cases {
        assert_eq!(render(source), wanted, "{source}");
    }
}

#[test]
fn a_line_that_holds_only_tags_leaves_no_line() {
    let cases = [
        ("a\n{% if yes %}\nb\n{% endif %}\nc", "a\nb\nc"),
        ("a\n  {% if yes %}  \r\nb\n\t{% endif %}\nc", "a\nb\nc"),
        ("a\n{# note #}\nb", "a\nb"),
        (
            "{% for w in words %}\n- {{ w }}\n{% endfor %}\nend",
            "- b\n- a\n- b\nend",
        ),
        (
            "{% if yes %}{% for w in words %}\n{{ w }}\n{% endfor %}{% endif %}\nend",
            "b\na\nb\nend",
        ),
        ("{% if yes %}a\n{% endif %}", "a\n"),
        ("a {% if yes %}\nb{% endif %}", "a \nb"),
        ("{{ none }}\nb", "\nb"),
        ("{{ none }}{# c #}\nb", "\nb"),
        ("a\n\n{% if yes\n and yes %}\nb\n{% endif %}\n", "a\n\nb\n"),
    ];
    for (source, wanted) in cases {
        assert_eq!(render(source), wanted, "{source:?}");
    }
}

#[test]
fn text_in_data_is_never_read_as_a_template() {
    let hostile = "{{ to.wallet }}{% for x in words %}{# #}";
    let mut scope = scope();
    scope.insert("text", Value::from(hostile));
    let template = Template::parse("{{ text }}{{ text | upper | lower }}", &names()).unwrap();
    assert_eq!(
        template.render(&scope).unwrap(),
        format!("{hostile}{}", hostile.to_lowercase())
    );
}

#[test]
fn names_tell_what_a_source_uses() {
    let template = Template::parse(
        "{{ text | upper }}{% for to in rows %}{{ to.name }}{{ at | ago }}{% endfor %}",
        &names(),
    )
    .unwrap();
    assert_eq!(
        template.names().iter().collect::<Vec<_>>(),
        ["at", "now", "rows", "text"]
    );
    let expression = super::parse("not any.x and to.wallet in [wallet]");
    assert_eq!(
        expression.names().iter().collect::<Vec<_>>(),
        ["any", "to", "wallet"]
    );
}

#[test]
fn a_name_without_a_value_is_an_error_with_its_place() {
    let error = Template::parse("a {{ text }}", &names())
        .unwrap()
        .render(&Scope::new())
        .unwrap_err();
    assert_eq!(error.to_string(), "`text` has no value here");
    assert_eq!(error.span, 5..9);
}
