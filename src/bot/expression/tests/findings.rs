use super::super::{Expression, Names, Type};
use super::{finding, names, shown, template_findings};

#[track_caller]
fn all(cases: &[(&str, &str)]) {
    for (source, wanted) in cases {
        assert_eq!(finding(source), *wanted, "{source}");
    }
}

#[test]
fn unknown_names_come_with_the_nearest() {
    all(&[
        ("wrod", "wrod: unknown name `wrod` [did you mean `word`?]"),
        ("qqqqqq", "qqqqqq: unknown name `qqqqqq`"),
        (
            "to.walet",
            "walet: `to` has no field `walet` [did you mean `wallet`?]",
        ),
        (
            "rows[0].nam",
            "nam: this has no field `nam` [did you mean `name`?]",
        ),
        ("to['tzz']", "'tzz': `to` has no field `tzz` [did you mean `tz`?]"),
        (
            "rows | map('sise')",
            "'sise': the elements have no field `sise` [did you mean `size`?]",
        ),
        (
            "text | uper",
            "uper: unknown filter or function `uper` [did you mean `upper`?]",
        ),
        (
            "upper",
            "upper: unknown name `upper` [`upper` is a function: write `x | upper` or `upper(x)`]",
        ),
        ("text.size", "size: `text` is of type text, it has no fields"),
        (
            "rows.name",
            "name: `rows` is of type list, it has no fields [write `| map(\"name\")` or take one element]",
        ),
        (
            "state == 'opne'",
            "'opne': \"opne\" is none of open | closed [did you mean `open`?]",
        ),
        (
            "state in ['open', 'shut']",
            "'shut': \"shut\" is none of open | closed",
        ),
        (
            "rows | where('state', 'close')",
            "'close': \"close\" is none of open | closed [did you mean `closed`?]",
        ),
        (
            "at | date('Europe/Lisabon')",
            "'Europe/Lisabon': unknown time zone \"Europe/Lisabon\" [did you mean `Europe/Lisbon`?]",
        ),
    ]);
    let mut names = Names::new();
    names.insert(
        "event",
        Type::Record([("proposalId", Type::Int)].into_iter().collect()),
    );
    let found = Expression::parse("event.propsalId", &names).unwrap_err();
    assert_eq!(found[0].message, "`event` has no field `propsalId`");
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `proposalId`?"));
    assert_eq!(found[0].span, 6..15);
}

#[test]
fn types_that_do_not_go_together_are_named() {
    all(&[
        ("text == int", "text == int: cannot compare text with int"),
        ("text < wallet", "text < wallet: cannot compare text with wallet"),
        (
            "wallet < wallet",
            "wallet < wallet: cannot compare wallet with wallet",
        ),
        ("at > span", "at > span: cannot compare time with duration"),
        ("text + int", "text + int: cannot add text and int"),
        ("at + at", "at + at: cannot add time and time"),
        ("int - text", "int - text: cannot subtract text from int"),
        ("span - at", "span - at: cannot subtract time from duration"),
        ("text * 2", "text * 2: cannot multiply text by int"),
        ("yes / 2", "yes / 2: cannot divide bool by int"),
        ("1 in text", "1 in text: cannot look for int in text"),
        ("text in int", "text in int: cannot look for text in int"),
        (
            "wallet in words",
            "wallet in words: cannot look for wallet in list",
        ),
        ("-text", "text: cannot negate text"),
        ("words['a']", "'a': a list takes an int, not text"),
        (
            "to[text]",
            "text: the name of a field is written out here, in quotes",
        ),
        ("int[0]", "int: cannot index int"),
        (
            "wallet == '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed'",
            "wallet == '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed': cannot compare wallet with text [write 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed without quotes]",
        ),
        (
            "at < '2026-11-20T08:00:00Z'",
            "at < '2026-11-20T08:00:00Z': cannot compare time with text [write 2026-11-20T08:00:00Z without quotes]",
        ),
        (
            "words == numbers",
            "words == numbers: cannot compare list with list",
        ),
    ]);
}

#[test]
fn functions_say_what_they_take() {
    all(&[
        ("text | usd", "text: `usd` takes a number, not text"),
        ("int | upper", "int: `upper` takes a text, not int"),
        ("text | join(',')", "text: `join` takes a list, not text"),
        (
            "text | truncate",
            "truncate: `truncate` is written `x | truncate(characters)`",
        ),
        ("text | upper(1)", "upper: `upper` is written `x | upper`"),
        ("text | truncate('3')", "'3': `truncate` takes an int, not text"),
        (
            "text | matches(word)",
            "word: `matches` takes a pattern, written out in quotes",
        ),
        (
            "rows | map(word)",
            "word: `map` takes the name of a field, written out in quotes",
        ),
        (
            "text | replace('a', somebody)",
            "somebody: `replace` takes a text, found optional text (it may be `none`) [say what to take in its place: `x or ...`]",
        ),
        (
            "words | map('x')",
            "'x': the elements are of type text, they have no fields",
        ),
        ("rows | sort", "rows: cannot sort by record"),
        ("words | sum", "words: cannot add up text"),
        ("min(1, 'a')", "'a': cannot compare int with text"),
        (
            "rows | max",
            "rows: `max` takes values that have an order, not list",
        ),
        ("rows | where('size', 'a')", "'a': cannot compare int with text"),
        ("at | date(3)", "3: `date` takes a time zone, not int"),
        (
            "at | date('UTC', '%Q')",
            "'%Q': cannot read the format \"%Q\" [write it as strftime does: \"%d.%m.%Y %H:%M\"]",
        ),
        (
            "text | matches('(')",
            "'(': the pattern cannot be read: unclosed group",
        ),
        (
            "text | matches('\\\\w{1000}{1000}')",
            "'\\\\w{1000}{1000}': the pattern is too large [repeat less in it]",
        ),
        (
            "yes | ago",
            "yes: `ago` takes a time, an RFC 3339 text or Unix seconds, not bool",
        ),
        ("int | short", "int: `short` takes a wallet or a hash, not int"),
    ]);
    let without_now: Names = [("at", Type::Time)].into_iter().collect();
    let found = Expression::parse("at | ago", &without_now).unwrap_err();
    assert_eq!(shown("at | ago", &found[0]), "ago: unknown name `now`");
}

#[test]
fn chains_are_asked_by_the_names_that_the_project_has_and_where_somebody_can_be_asked() {
    all(&[
        (
            "hash | tx_status('bsae')",
            "'bsae': the project has no chain \"bsae\" [did you mean `base`?]",
        ),
        (
            "block_time(text, 'one')",
            "'one': `block_time` takes an int, not text",
        ),
        ("int | tx_status", "int: `tx_status` takes a hash, not int"),
    ]);
    assert!(Expression::parse("block_time(text, 1)", &names()).is_ok());
    let source = "hash | tx_status";
    let found = Expression::parse(source, &names().closed()).unwrap_err();
    assert_eq!(
        shown(source, &found[0]),
        "tx_status: `tx_status` asks others, and nobody can be asked here [it may stand in `let` (of a name without `to`), `if`, `send` and what is answered]"
    );
}

#[test]
fn names_of_wallets_have_a_spelling_and_are_asked_for_where_somebody_can_be_asked() {
    all(&[
        (
            "a_b.eth",
            "a_b.eth: `a_b.eth` is no name of a wallet: underscore allowed only at start",
        ),
        (
            "[ana.x.lens]",
            "ana.x.lens: `ana.x.lens` is no name of a wallet: wanted a handle of letters, digits, `_` and `-` before `.lens`",
        ),
        ("to.eth", "eth: `to` has no field `eth`"),
        ("ana.eth + 1", "ana.eth + 1: cannot add wallet and int"),
        (
            "ana.eth == 'x'",
            "ana.eth == 'x': cannot compare wallet with text",
        ),
    ]);
    let found = Expression::parse("my-ana.eth", &names().closed()).unwrap_err();
    assert_eq!(
        shown("my-ana.eth", &found[0]),
        "my-ana.eth: `my-ana.eth` asks others, and nobody can be asked here [it may stand in `let` (of a name without `to`), `if`, `send` and what is answered]"
    );
    assert!(Expression::parse("my-ana.eth", &names().closed().naming()).is_ok());
}

#[test]
fn grammar_mistakes_point_at_the_token() {
    all(&[
        ("", ": found the end, wanted a value"),
        ("1 +", ": found the end, wanted a value"),
        ("1 2", "2: found `2`, wanted an operator or the end"),
        ("(1", ": found the end, wanted `)`"),
        ("[1, 2", ": found the end, wanted `]`"),
        ("upper(text", ": found the end, wanted `)`"),
        ("to.", ": found the end, wanted the name of a field"),
        ("to.5", "5: found `5`, wanted the name of a field"),
        ("text |", ": found the end, wanted a name"),
        ("text | 5", "5: found `5`, wanted a name"),
        ("a = b", "=: unexpected `=` [compare with `==`]"),
        ("int & int", "&: unexpected `&` [write `and`]"),
        ("!yes", "!: unexpected `!` [write `not`]"),
        ("int ; int", ";: unexpected `;`"),
        (
            "“a”",
            "“: unexpected `“` [a text stands in straight quotes, `\"` or `'`]",
        ),
        ("'abc", "': this text never ends [close it with ']"),
        (
            "'a\\d'",
            "\\d: unknown escape `\\d` [a backslash itself is written `\\\\`]",
        ),
        (
            "12abc",
            "12abc: cannot read `12abc` as a number or a duration [a number is `42` or `1.10`, a duration `90s`, `24h` or `7d`, a name begins with a letter]",
        ),
        (
            "0x12",
            "0x12: found 0x and 2 digits [an address has 40 hex digits, a hash has 64]",
        ),
        (
            "2026-11-20T25:00:00Z",
            "2026-11-20T25:00:00Z: `2026-11-20T25:00:00Z` is not a time [write a date, a time and a zone: 2026-11-20T09:00:00Z]",
        ),
        (
            "1 < 2 < 3",
            "<: comparisons do not chain [write `a < b and b < c`]",
        ),
        (
            "'a' not in words",
            "not: found `not`, wanted an operator or the end [write `not (a in b)`]",
        ),
        (
            "1 if yes",
            "if: found `if`, wanted an operator or the end [`a if b` is not part of the language, use `{% if b %}` in a template]",
        ),
        (
            "text(1)(2)",
            "(: found `(`, wanted an operator or the end [only a function takes arguments]",
        ),
        ("and 1", "and: found `and`, wanted a value"),
    ]);
    let checksum = finding("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD");
    assert!(checksum.contains("wrong checksum"), "{checksum}");
    let large = "9".repeat(90);
    assert_eq!(
        finding(&large),
        format!("{large}: the number is too large [an int has at most 256 bits]")
    );
}

#[test]
fn braces_in_an_expression_are_an_error_with_the_fix() {
    all(&[
        (
            "{{ to.wallet }}",
            "{{: this field is an expression, it takes no braces [write `to.wallet`]",
        ),
        (
            "text == {{ text }}",
            "{{: this field is an expression, it takes no braces [write `text`]",
        ),
        (
            "{% if yes %}",
            "{%: this field is an expression, it takes no braces [write it without the braces]",
        ),
    ]);
}

#[test]
fn every_mistake_of_a_source_is_reported_at_once() {
    let found = Expression::parse("wrod + to.walet + (text | uper)", &names()).unwrap_err();
    assert_eq!(found.len(), 3, "{found:?}");
    let found = template_findings("{{ wrod }} {{ 1 + }}\n{% if to.nam %}{{ int | upper }}{% endif %}");
    assert_eq!(
        found,
        [
            "wrod: unknown name `wrod` [did you mean `word`?]",
            "}}: found the end, wanted a value",
            "nam: `to` has no field `nam` [did you mean `name`?]",
            "int: `upper` takes a text, not int",
        ]
    );
    // However many there are, the report stays readable.
    let many = "{{ wrod }}".repeat(5000);
    assert_eq!(template_findings(&many).len(), 100);
}

#[test]
fn mistakes_of_template_structure_are_reported_once() {
    let cases = [
        ("a {{ text", "{{: `{{` is never closed [close it with `}}`]"),
        ("a {% if yes", "{%: `{%` is never closed [close it with `%}`]"),
        ("a {# b", "{#: `{#` is never closed [close it with `#}`]"),
        (
            "{% if yes %}a",
            "{% if yes %}: `if` is never closed [close it with `{% endif %}`]",
        ),
        (
            "{% for x in words %}a",
            "{% for x in words %}: `for` is never closed [close it with `{% endfor %}`]",
        ),
        ("a{% endif %}", "{% endif %}: `endif` closes nothing here"),
        ("a{% else %}b", "{% else %}: `else` closes nothing here"),
        (
            "{% for x in words %}{% if yes %}{% endfor %}",
            "{% endfor %}: found `endfor`, wanted `endif`",
        ),
        (
            "{% for x in words %}{% endif %}",
            "{% endif %}: found `endif`, wanted `endfor`",
        ),
        (
            "{% if yes %}{% else %}{% else %}{% endif %}",
            "{% else %}: `else` stands after `else`",
        ),
        (
            "{% if yes %}{% else %}{% elif yes %}{% endif %}",
            "{% elif yes %}: `elif` stands after `else`",
        ),
        ("{% set a = 1 %}", "set: unknown tag `set`"),
        ("{% fi yes %}", "fi: unknown tag `fi` [did you mean `if`?]"),
        ("{% end %}", "end: unknown tag `end`"),
        ("{% if %}a{% endif %}", "%}: found the end, wanted a value"),
        (
            "{% if yes %}{% endif yes %}",
            "yes: found `yes`, wanted an operator or the end",
        ),
        (
            "{% for words %}{% endfor %}",
            "%}: found the end, wanted `in` [write `{% for x in list %}`]",
        ),
        (
            "{% for 1 in words %}{{ 2 }}{% endfor %}",
            "1: found `1`, wanted a name [write `{% for x in list %}`]",
        ),
        (
            "{% for x in text %}{{ x }}{% endfor %}",
            "text: `for` takes a list, not text",
        ),
        ("{{ }}", "}}: found the end, wanted a value"),
        (
            "{{ {{ text }} }}",
            "{{: a tag begins inside another one [end the first one with `}}` or `%}`]",
        ),
    ];
    for (source, wanted) in cases {
        let found = template_findings(source);
        assert_eq!(
            found.first().map(String::as_str),
            Some(wanted),
            "{source}: {found:?}"
        );
    }
}
