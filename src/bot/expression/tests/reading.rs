use proptest::prelude::*;
use serde_json::json;

use super::super::{Type, Value};
use super::{HASH, WALLET, decimal};

fn declared(declaration: &str) -> Type {
    Type::parse(declaration).unwrap()
}

#[test]
fn declarations_read_back_as_they_print() {
    for declaration in [
        "text",
        "word",
        "int",
        "decimal",
        "bool",
        "wallet",
        "hash",
        "time",
        "duration",
        "tz",
        "any",
        "list",
        "list of text",
        "list of list of int",
        "optional hash",
        "optional list of text",
        "list of optional int",
        "paid | shipped | refunded",
        "optional above | below",
    ] {
        assert_eq!(declared(declaration).to_string(), declaration);
    }
    assert_eq!(declared("  list   of  text "), declared("list of text"));
    assert_eq!(declared("optional any"), Type::Any);
}

#[test]
fn a_wrong_declaration_says_what_is_wrong_and_where() {
    for (declaration, wanted) in [
        ("txt", "txt: unknown type `txt` [did you mean `text`?]"),
        (
            "optional wallt",
            "wallt: unknown type `wallt` [did you mean `wallet`?]",
        ),
        (
            "list text",
            "text: found `text` after `list` [write `list of text`]",
        ),
        ("paid | ", ": found ``, wanted one word between each `|`"),
        (
            "paid | on its way",
            "on its way: found `on its way`, wanted one word between each `|`",
        ),
        ("paid | paid", "paid: `paid` occurs twice"),
        (
            "text | int",
            "text | int: a value has one type, `|` separates the words of a closed set",
        ),
        (
            "record",
            "record: a record is declared by its fields [write a map from names to types in its place]",
        ),
        (
            "",
            ": found nothing, wanted a type [write a type such as `text`, `int`, `optional hash` or `paid | shipped`]",
        ),
    ] {
        let finding = Type::parse(declaration).expect_err(declaration);
        assert_eq!(super::shown(declaration, &finding), wanted);
    }
    assert!(Type::parse(&"list of ".repeat(10_000)).is_err());
}

#[test]
fn texts_are_read_by_their_type() {
    for (declaration, text, wanted) in [
        ("text", " a b ", Value::from(" a b ")),
        ("word", " eth ", Value::from("eth")),
        ("int", "-1_000", Value::from(-1000)),
        ("decimal", "2500", decimal("2500")),
        ("decimal", ".5", decimal("0.5")),
        ("bool", "TRUE", Value::Bool(true)),
        ("above | below", "Below", Value::from("below")),
        ("wallet", WALLET, Value::Wallet(WALLET.parse().unwrap())),
        ("optional int", "", Value::None),
        ("optional int", "4", Value::from(4)),
        ("list of int", "1, 2,3", Value::list([1, 2, 3].map(Value::from))),
        ("list", "", Value::list([])),
        ("any", "1.10", decimal("1.10")),
        ("any", "no", Value::from("no")),
        ("any", "true", Value::Bool(true)),
    ] {
        assert_eq!(
            declared(declaration).read_text(text),
            Ok(wanted),
            "{declaration}: {text}"
        );
    }
    assert_eq!(
        declared("tz").read_text("europe/lisbon").unwrap().to_text(),
        "Europe/Lisbon"
    );
    assert_eq!(
        declared("time")
            .read_text("2026-11-20T09:00:00+09:00")
            .unwrap()
            .to_text(),
        "2026-11-20T00:00:00Z"
    );
    assert_eq!(declared("duration").read_text("1h30m").unwrap().to_text(), "90m");
    assert_eq!(declared("hash").read_text(HASH).unwrap().to_text(), HASH);
    assert_eq!(declared("decimal").read_text("1.10").unwrap().to_text(), "1.10");
}

#[test]
fn a_text_of_another_type_is_named() {
    for (declaration, text, wanted) in [
        ("int", "abc", "found \"abc\", wanted an int of at most 256 bits"),
        ("int", "1.5", "found \"1.5\", wanted an int of at most 256 bits"),
        ("decimal", "1,5", "found \"1,5\", wanted a decimal"),
        ("decimal", "1e5", "found \"1e5\", wanted a decimal"),
        ("word", "a b", "found \"a b\", wanted one word"),
        (
            "above | below",
            "up",
            "found \"up\", wanted one of `above`, `below`",
        ),
        ("bool", "yes", "found \"yes\", wanted `true` or `false`"),
        (
            "hash",
            "0x12",
            "found \"0x12\", wanted a hash (0x and 64 hex digits)",
        ),
        (
            "time",
            "tomorrow",
            "found \"tomorrow\", wanted a time such as 2026-11-20T09:00:00Z",
        ),
        (
            "duration",
            "5 minutes",
            "found \"5 minutes\", wanted a duration such as 90s, 24h or 7d",
        ),
        (
            "tz",
            "Mars/Olympus",
            "found \"Mars/Olympus\", wanted a time zone such as Europe/Lisbon",
        ),
        (
            "wallet",
            "ana.eth",
            "found \"ana.eth\": the name of a wallet, wanted an address",
        ),
        (
            "list of int",
            "1, b",
            "found \"b\", wanted an int of at most 256 bits",
        ),
        (
            "optional int",
            "x",
            "found \"x\", wanted an int of at most 256 bits",
        ),
        (
            "int",
            "a\u{1b}[2J\n",
            "found \"a\\u{1b}[2J\\n\", wanted an int of at most 256 bits",
        ),
    ] {
        assert_eq!(declared(declaration).read_text(text).unwrap_err(), wanted);
    }
    let long = declared("int").read_text(&"z".repeat(100_000)).unwrap_err();
    assert!(long.len() < 200, "{long}");
    let checksum = declared("wallet")
        .read_text("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD")
        .unwrap_err();
    assert!(checksum.contains("wrong checksum"), "{checksum}");
}

fn order() -> Type {
    let item = Type::Record([("price", Type::Decimal)].into_iter().collect());
    Type::Record(
        [
            ("id", Type::Text),
            ("status", declared("paid | shipped")),
            ("total", Type::Decimal),
            ("tx", declared("optional hash")),
            ("items", Type::List(Box::new(item))),
            ("meta", Type::Any),
        ]
        .into_iter()
        .collect(),
    )
}

#[test]
fn a_body_is_read_by_its_fields() {
    let body = json!({"id": "A1", "status": "paid", "total": 42, "items": [{"price": "1.10"}], "more": [1]});
    let value = order().read_json(&body).unwrap();
    assert_eq!(
        value.to_text(),
        r#"{"id":"A1","items":[{"price":1.10}],"meta":null,"status":"paid","total":42,"tx":null}"#
    );
}

#[test]
fn a_wrong_body_names_the_field() {
    let good = json!({"id": "A1", "status": "paid", "total": 42, "items": []});
    for (field, json, wanted) in [
        ("id", json!(5), "`.id`: found the number 5, wanted a text"),
        ("id", json!(null), "`.id`: found null, wanted a text"),
        (
            "status",
            json!("Paid"),
            "`.status`: found \"Paid\", wanted one of `paid`, `shipped`",
        ),
        ("total", json!("abc"), "`.total`: found \"abc\", wanted a decimal"),
        ("total", json!([1]), "`.total`: found a list, wanted a decimal"),
        (
            "tx",
            json!("0x1"),
            "`.tx`: found \"0x1\", wanted a hash (0x and 64 hex digits)",
        ),
        (
            "items",
            json!([{"price": 1}, {}]),
            "`.items[1].price`: found nothing, wanted a decimal",
        ),
        (
            "items",
            json!({}),
            "`.items`: found a record, wanted a list of record",
        ),
        (
            "meta",
            json!({"a": 1e30}),
            "`.meta`: found a record, wanted any value",
        ),
        (
            "total",
            json!(1e300),
            "`.total`: found the number 1e+300, which JSON readers round (send it as a text), wanted a decimal",
        ),
    ] {
        let mut body = good.clone();
        body[field] = json;
        assert_eq!(order().read_json(&body).unwrap_err().to_string(), wanted);
    }
    let mut body = good;
    body.as_object_mut().unwrap().remove("id");
    assert_eq!(
        order().read_json(&body).unwrap_err().to_string(),
        "`.id`: found nothing, wanted a text"
    );
    assert_eq!(
        order().read_json(&json!(3)).unwrap_err().to_string(),
        "``: found the number 3, wanted a record"
    );
}

#[test]
fn decimals_are_stored_as_numbers_only_while_every_reader_keeps_them() {
    for (text, stored) in [
        ("1.5", json!(1.5)),
        ("1.0", json!(1.0)),
        ("1.10", json!("1.10")),
        ("7", json!("7")),
        ("2000000000000005.8", json!("2000000000000005.8")),
        ("0.12345678901234567", json!("0.12345678901234567")),
    ] {
        assert_eq!(decimal(text).to_json(), stored);
    }
}

#[test]
fn json_numbers_are_read_exactly_or_not_at_all() {
    assert_eq!(
        declared("decimal").read_json(&json!(0.1)).unwrap(),
        decimal("0.1")
    );
    // A float that a server computed arrives with the digits it was sent with.
    let sent: serde_json::Value = serde_json::from_str("[0.30000000000000004, 2000000000000005.8]").unwrap();
    assert_eq!(
        declared("list of decimal").read_json(&sent).unwrap().to_text(),
        "0.30000000000000004, 2000000000000005.8"
    );
    assert_eq!(declared("int").read_json(&json!(1e3)).unwrap(), Value::from(1000));
    assert_eq!(
        declared("int").read_json(&json!(u64::MAX)).unwrap().to_text(),
        u64::MAX.to_string()
    );
    let wei = "123456789012345678901234567890";
    assert_eq!(declared("int").read_json(&json!(wei)).unwrap().to_text(), wei);
    let rounded: serde_json::Value = serde_json::from_str(wei).unwrap();
    assert!(declared("int").read_json(&rounded).is_err());
    assert!(declared("int").read_json(&json!(1.5)).is_err());
    assert_eq!(
        declared("time").read_json(&json!(0)).unwrap().to_text(),
        "1970-01-01T00:00:00Z"
    );
}

#[test]
fn wider_types_accept_narrower_ones() {
    for (wanted, given) in [
        ("text", "word"),
        ("text", "paid | shipped"),
        ("decimal", "int"),
        ("optional text", "text"),
        ("optional decimal", "optional int"),
        ("list of text", "list of word"),
        ("any", "wallet"),
        ("wallet", "any"),
        ("a | b | c", "b | a"),
    ] {
        assert!(declared(wanted).accepts(&declared(given)), "{wanted} <- {given}");
    }
    for (wanted, given) in [
        ("word", "text"),
        ("text", "optional text"),
        ("int", "decimal"),
        ("a | b", "a | c"),
        ("wallet", "text"),
    ] {
        assert!(!declared(wanted).accepts(&declared(given)), "{wanted} <- {given}");
    }
}

fn scalar() -> impl Strategy<Value = (Type, Value)> {
    let parsed = |declaration: &'static str, strategy: BoxedStrategy<String>| {
        strategy.prop_map(move |text| {
            (
                declared(declaration),
                declared(declaration).read_text(&text).unwrap(),
            )
        })
    };
    prop_oneof![
        any::<bool>().prop_map(|bool| (Type::Bool, Value::Bool(bool))),
        ".*".prop_map(|text| (Type::Text, Value::from(text))),
        parsed("int", "-?[0-9]{1,76}".boxed()),
        parsed("decimal", "-?[0-9]{1,40}\\.[0-9]{1,40}".boxed()),
        parsed("wallet", "0x[0-9a-f]{40}".boxed()),
        parsed("hash", "0x[0-9a-f]{64}".boxed()),
        (-60_000_000_000_i64..200_000_000_000, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
            (
                Type::Time,
                Value::Time(chrono::DateTime::from_timestamp(seconds, nanos).unwrap()),
            )
        }),
        parsed("duration", "-?[0-9]{1,9}(ms|s|m|h|d|w)".boxed()),
        (0..chrono_tz::TZ_VARIANTS.len())
            .prop_map(|index| (Type::Tz, Value::Tz(chrono_tz::TZ_VARIANTS[index]))),
        any::<i64>().prop_map(|int| (Type::Any, Value::from(int))),
        (-1_000_000_i64..1_000_000).prop_map(|int| (Type::Any, decimal(&format!("{int}.5")))),
        Just((declared("optional int"), Value::None)),
    ]
}

proptest! {
    #[test]
    fn stored_values_read_back_the_same(values in prop::collection::vec(scalar(), 0..6)) {
        let named = || values.iter().enumerate().map(|(index, (ty, value))| (format!("f{index}"), ty, value));
        let record = Type::Record(named().map(|(name, ty, _)| (name, ty.clone())).collect());
        let value = Value::list([Value::record(named().map(|(name, _, value)| (name, value.clone())))]);
        let ty = Type::List(Box::new(record));
        let stored = serde_json::to_string(&value.to_json()).unwrap();
        let read = ty.read_json(&serde_json::from_str(&stored).unwrap()).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(read.to_text(), value.to_text());
    }
}
