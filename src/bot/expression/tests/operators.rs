use super::super::Failure;
use super::{Value, WALLET, failure, text, ty, value};

#[test]
fn literals_keep_what_is_written() {
    let cases = [
        ("42", "42"),
        ("1.10", "1.10"),
        ("1_000", "1000"),
        ("\"a\\n\\t\\\\\\\"b\"", "a\n\t\\\"b"),
        ("'it\\'s'", "it's"),
        ("true", "true"),
        ("none", "none"),
        ("90s", "90s"),
        ("24h", "1d"),
        ("7d", "7d"),
        ("1h30m", "90m"),
        ("500ms", "500ms"),
        ("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", WALLET),
        ("2026-11-20T09:00:00+01:00", "2026-11-20T08:00:00Z"),
        ("2026-11-20T09:00:00.250Z", "2026-11-20T09:00:00.250Z"),
        ("[1, 2.5, 3]", "1, 2.5, 3"),
        ("[]", ""),
    ];
    for (source, wanted) in cases {
        assert_eq!(text(source), wanted, "{source}");
    }
    assert_eq!(text(super::HASH), super::HASH);
}

#[test]
fn arithmetic_is_exact() {
    let cases = [
        ("0.1 + 0.2", "0.3"),
        ("1.10 * 2", "2.20"),
        ("int + decimal", "8.10"),
        ("7 - 10", "-3"),
        ("7 / 2", "3.5"),
        ("6 / 2", "3"),
        ("1 / 3", "0.3333333333333333333333333333333333333333"),
        ("-7 % 3", "-1"),
        ("7.5 % 2", "1.5"),
        ("- int", "-7"),
        ("--int", "7"),
        (
            "100000000000000000000000000000000000000 * 10",
            "1000000000000000000000000000000000000000",
        ),
        ("\"a\" + 'b'", "ab"),
        ("at + 1d", "2026-11-21T08:00:00Z"),
        ("1d + at", "2026-11-21T08:00:00Z"),
        ("at - 24h", "2026-11-19T08:00:00Z"),
        ("now - at", "3h"),
        ("1h + 30m", "90m"),
        ("1h - 2h", "-1h"),
        ("-span", "-90s"),
        ("2026-11-20T00:00:00Z-24h", "2026-11-19T00:00:00Z"),
    ];
    for (source, wanted) in cases {
        assert_eq!(text(source), wanted, "{source}");
    }
}

#[test]
fn numbers_that_leave_their_range_are_errors() {
    let most = "57896044618658097711785492504343953926634992332820282019728792003956564819967";
    assert_eq!(text(most), most);
    assert_eq!(
        text(&format!("-{most} - 1")),
        "-57896044618658097711785492504343953926634992332820282019728792003956564819968"
    );
    let unsigned = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    assert_eq!(text(&format!("{most} * 2 + 1")), unsigned);
    assert_eq!(failure(&format!("{unsigned} + 1")), Failure::Overflow("int"));
    assert_eq!(failure(&format!("-{most} - 2")), Failure::Overflow("int"));
    assert_eq!(failure(&format!("{most} * {most}")), Failure::Overflow("int"));
    assert_eq!(
        failure(&format!("{most}.0 * {most}.0")),
        Failure::Overflow("decimal")
    );
    assert_eq!(failure("1 / 0"), Failure::DivisionByZero);
    assert_eq!(failure("1 % 0"), Failure::DivisionByZero);
    assert_eq!(failure("1.5 % 0.0"), Failure::DivisionByZero);
    assert_eq!(failure("at + 100000000d"), Failure::Overflow("time"));
    assert_eq!(failure("at + 2915000d"), Failure::Overflow("time"));
    assert_eq!(failure("at - 740000d"), Failure::Overflow("time"));
}

#[test]
fn long_fractions_are_rounded_instead_of_growing() {
    let tiny = format!("0.{}1", "0".repeat(60));
    assert_eq!(value(&format!("{tiny} * {tiny}")), super::decimal("0"));
    let third = value("1 / 3 / 3 * 1.000000000000000000000000000000000000000000000000001").to_text();
    assert!(third.len() <= 82, "{third}");
}

#[test]
fn operators_bind_as_documented() {
    let cases = [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 3 - 2", "5"),
        ("-2 | abs", "-2"),
        ("(-2) | abs", "2"),
        ("1 + 2 | usd | length", "6"),
        ("1 + 2 == 3 and not false", "true"),
        ("not 1 == 2", "true"),
        ("not 3 in numbers", "false"),
        ("false and false or true", "true"),
        ("true or false and false", "true"),
        ("1 < 2 and 2 < 3", "true"),
        ("(1 < 2) == true", "true"),
    ];
    for (source, wanted) in cases {
        assert_eq!(text(source), wanted, "{source}");
    }
    assert_eq!(
        super::finding("1 + 2 | usd"),
        "1 + 2 | usd: cannot add int and text"
    );
}

#[test]
fn or_gives_the_first_operand_that_says_something() {
    let cases = [
        ("nobody or \"collector\"", "collector"),
        ("somebody or \"collector\"", "Ana"),
        ("empty or 'x'", "x"),
        ("false or none or [] or 0", "0"),
        ("0 or 5", "0"),
        ("fee or 0", "0"),
        ("nobody or none", "none"),
    ];
    for (source, wanted) in cases {
        assert_eq!(text(source), wanted, "{source}");
    }
    assert_eq!(ty("nobody or \"x\""), "text");
    assert_eq!(ty("nobody or somebody"), "optional text");
    assert_eq!(ty("fee or 0"), "decimal");
    assert_eq!(ty("yes or text"), "any");
    // The right side is not evaluated when it is not needed.
    assert_eq!(text("yes or 1 / 0 == 1"), "true");
    assert_eq!(text("false and 1 / 0 == 1"), "false");
}

#[test]
fn conditions_take_every_type() {
    for (source, wanted) in [
        ("not nobody", true),
        ("not empty", true),
        ("not []", true),
        ("not 0", false),
        ("not wallet", false),
        ("text and words", true),
        ("text and nobody", false),
    ] {
        assert_eq!(value(source), Value::Bool(wanted), "{source}");
    }
}

#[test]
fn comparisons_see_values_not_spelling() {
    for (source, wanted) in [
        ("1.10 == 1.1", true),
        ("1 == 1.0", true),
        ("int != 8", true),
        ("int >= 7.0", true),
        ("decimal < int", true),
        ("\"a\" < \"b\"", true),
        ("at < now", true),
        ("now - at > 2h", true),
        ("90s == span", true),
        ("wallet == 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", true),
        ("zone == 'Europe/Lisbon'", true),
        ("nobody == none", true),
        ("somebody != none", true),
        ("[1, 2.0] == [1.0, 2]", true),
        ("[1] == [1, 2]", false),
        ("rows[0] == rows[0]", true),
        ("rows[0] == rows[1]", false),
        ("state == 'open'", true),
    ] {
        assert_eq!(value(source), Value::Bool(wanted), "{source}");
    }
}

#[test]
fn membership_looks_into_lists_texts_and_records() {
    for (source, wanted) in [
        ("'a' in words", true),
        ("2.0 in numbers", true),
        ("'z' in words", false),
        ("'World' in text", true),
        ("state in ['open', 'closed']", true),
        ("'name' in to", true),
        ("nobody in words", false),
        ("'a' in nobody", false),
    ] {
        assert_eq!(value(source), Value::Bool(wanted), "{source}");
    }
}

#[test]
fn none_spreads_through_arithmetic_and_makes_orders_false() {
    assert_eq!(text("fee + 1"), "none");
    assert_eq!(ty("fee + 1"), "optional decimal");
    assert_eq!(text("-fee"), "none");
    assert_eq!(text("fee < 1"), "false");
    assert_eq!(text("fee >= 1"), "false");
    assert_eq!(text("any.missing.deep * 2"), "none");
    assert_eq!(text("any.missing == none"), "true");
}

#[test]
fn members_and_indices_give_none_where_nothing_is() {
    assert_eq!(text("rows[1].name"), "y");
    assert_eq!(text("rows[9].name"), "none");
    assert_eq!(text("words[-1]"), "none");
    assert_eq!(ty("rows[0].size"), "optional int");
    assert_eq!(text("to['wallet']"), WALLET);
    assert_eq!(text("any.list[1]"), "2");
    assert_eq!(text("any['id']"), "A-1");
    assert_eq!(text("any.id.deeper"), "none");
    assert_eq!(text("any.null"), "none");
}

#[test]
fn text_out_of_any_is_read_as_what_it_meets() {
    for (source, wanted) in [
        ("any.wallet == to.wallet", "true"),
        ("any.price > 2600", "true"),
        ("any.price * 2", "5200.24"),
        ("any.price + 1", "2601.12"),
        ("any.when < now", "true"),
        ("any.when == at", "true"),
        ("now - any.when", "3h"),
        ("any.id == 5", "false"),
        ("-any.price", "-2600.12"),
        ("any.size in numbers", "true"),
    ] {
        assert_eq!(text(source), wanted, "{source}");
    }
    assert_eq!(failure("any.id > 5").to_string(), "cannot compare text with int");
    assert_eq!(failure("any.id * 5").to_string(), "cannot multiply text by int");
    assert_eq!(failure("any.list + 5").to_string(), "cannot add list and int");
    assert_eq!(failure("5 in any.ok").to_string(), "cannot look for int in bool");
    assert_eq!(
        failure("-any.list").to_string(),
        "found list, wanted a number or a duration"
    );
}
