use super::{CommandDeclaration, Misuse};
use crate::bot::chain::WalletName;
use crate::bot::config::Field;
use crate::bot::expression::{Type, Value};

fn declared(text: &str) -> CommandDeclaration {
    CommandDeclaration::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Knows one name.
fn named(name: &WalletName) -> Result<Value, String> {
    match name.as_str() {
        "alice.eth" => Ok(Value::Wallet(herald_protocol::address::Address::from_bytes(
            [7; 20],
        ))),
        name => Err(format!("{name} has no address")),
    }
}

/// The arguments as JSON, or the answer.
fn read(declaration: &str, message: &str) -> String {
    match declared(declaration).read(message, &named) {
        None => "not this command".to_owned(),
        Some(Ok(arguments)) => arguments.to_json().to_string(),
        Some(Err(misuse)) => misuse.to_string(),
    }
}

#[test]
fn the_first_word_matches_in_any_case_with_or_without_the_slash() {
    for message in ["/subscribe", "subscribe", " /SUBSCRIBE ", "Subscribe\n"] {
        assert_eq!(read("/subscribe", message), "{}", "{message:?}");
    }
    for message in ["", "/", "//subscribe", "subscribes", "please subscribe", "sub"] {
        assert_eq!(read("/subscribe", message), "not this command", "{message:?}");
    }
}

#[test]
fn arguments_are_typed_by_their_declaration() {
    let alert = "/alert <symbol:word> <side:above|below> <usd:decimal>";
    assert_eq!(
        read(alert, "/alert ETH Below 2500.50"),
        r#"{"side":"below","symbol":"ETH","usd":"2500.50"}"#
    );
    let daily = "/daily <tz:tz=UTC> <hour:int=9>";
    assert_eq!(read(daily, "daily"), r#"{"hour":9,"tz":"UTC"}"#);
    assert_eq!(
        read(daily, "daily asia/tokyo 7"),
        r#"{"hour":7,"tz":"Asia/Tokyo"}"#
    );
    assert_eq!(
        read("/spaces <names...>", "/spaces a.eth b.eth"),
        r#"{"names":["a.eth","b.eth"]}"#
    );
    assert_eq!(read("/sum <n:int...>", "sum 1 2 3"), r#"{"n":[1,2,3]}"#);
    assert_eq!(
        read("/note <day:word> <what:text>", "note mon buy  milk"),
        r#"{"day":"mon","what":"buy  milk"}"#
    );
    assert_eq!(read("/find <hash:optional hash>", "/find"), r#"{"hash":null}"#);
}

#[test]
fn wrong_arguments_are_answered_with_the_usage_and_the_reason() {
    let alert = "/alert <symbol:word> <usd:decimal>";
    assert_eq!(
        read(alert, "/alert"),
        format!("Usage: {alert}\n`symbol` is missing")
    );
    assert_eq!(
        read(alert, "/alert ETH"),
        format!("Usage: {alert}\n`usd` is missing")
    );
    assert_eq!(
        read(alert, "/alert ETH 1 2"),
        format!("Usage: {alert}\nnothing is expected after the arguments, found `2`")
    );
    let misuse = declared(alert)
        .read("/alert ETH much", &named)
        .unwrap()
        .unwrap_err();
    assert_eq!(misuse.usage, alert);
    assert!(misuse.reason.starts_with("`usd`: "), "{}", misuse.reason);
    assert_eq!(
        read("/spaces <names...>", "spaces"),
        "Usage: /spaces <names...>\n`names` is missing"
    );
}

#[test]
fn a_list_bounds_the_arguments_that_fill_its_fields() {
    let decimal = |text| Some(Type::Decimal.read_text(text).unwrap());
    let field = Field {
        name: "warn_at".into(),
        ty: Type::Decimal,
        default: decimal("1.10"),
        min: decimal("1.01"),
        max: decimal("2"),
    };
    let guard = declared("/guard <warn_at:decimal>").bounded_by(&[field]);
    let read = |message| {
        guard
            .read(message, &named)
            .unwrap()
            .map(|arguments| arguments.to_json().to_string())
    };
    let misuse = |reason: &str| {
        Err(Misuse {
            usage: "/guard <warn_at:decimal>".into(),
            reason: format!("`warn_at`: {reason}"),
        })
    };
    assert_eq!(read("guard"), Ok(r#"{"warn_at":"1.10"}"#.into()));
    assert_eq!(read("guard 2"), Ok(r#"{"warn_at":"2"}"#.into()));
    assert_eq!(read("guard 1"), misuse("expected at least 1.01, found 1"));
    assert_eq!(read("guard 2.01"), misuse("expected at most 2, found 2.01"));
}

#[test]
fn a_declaration_that_does_not_read_is_refused_at_its_place() {
    let refused = |text: &str| {
        let finding = CommandDeclaration::parse(text).unwrap_err();
        (finding.span.start, finding.message)
    };
    assert_eq!(
        refused("subscribe"),
        (
            0,
            "expected a command like `/subscribe`, found `subscribe`".into()
        )
    );
    assert_eq!(
        refused("/a b"),
        (3, "expected an argument like `<name:type>`".into())
    );
    assert_eq!(
        refused("/a <b"),
        (3, "expected an argument like `<name:type>`".into())
    );
    assert_eq!(refused("/a <b:wrod>"), (6, "unknown type `wrod`".into()));
    assert_eq!(refused("/a <b c>").0, 4);
    assert_eq!(refused("/a <b> <b>"), (8, "argument `b` stands twice".into()));
    assert_eq!(
        refused("/a <b...> <c>"),
        (10, "an argument with `...` must be the last one".into())
    );
    assert_eq!(
        refused("/a <b=x> <c>"),
        (
            10,
            "argument `c` must have a default, since one before it has".into()
        )
    );
    assert_eq!(refused("/a <b:int=x>").0, 10);
    assert_eq!(refused("/a <b><c>"), (6, "expected a space after `>`".into()));
    assert_eq!(
        refused("/"),
        (0, "expected a command like `/subscribe`, found `/`".into())
    );
}

#[test]
fn the_type_of_the_arguments_is_that_of_their_values() {
    let declaration = declared("/a <x:int> <rest...>");
    let types = declaration.arguments_type();
    assert_eq!(types.get("x"), Some(&Type::Int));
    assert_eq!(types.get("rest"), Some(&Type::List(Box::new(Type::Word))));
    let Some(Ok(Value::Record(values))) = declaration.read("a 1 b c", &named) else {
        panic!("no record")
    };
    assert_eq!(values.names().collect::<Vec<_>>(), ["rest", "x"]);
}
