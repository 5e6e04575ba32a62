use super::*;
use crate::bot::expression::{Expression, Names, Type};
use crate::content::ContentTypeId;

/// Names of a test: `x` is a text, `message` what is answered.
fn scope(x: &str) -> Scope {
    let message = Value::record([
        ("id", Value::text("ab12")),
        ("conversation", Value::text("/xmtp/0/m-1/proto")),
    ]);
    [
        ("x", Value::text(x)),
        ("message", message),
        ("nothing", Value::None),
    ]
    .into_iter()
    .collect()
}

fn names() -> Names {
    let message = [("id", Type::Text), ("conversation", Type::Text)]
        .into_iter()
        .collect();
    [
        ("x", Type::Text),
        ("message", Type::Record(message)),
        ("nothing", Type::Hash.optional()),
    ]
    .into_iter()
    .collect()
}

fn template(source: &str) -> Template {
    Template::parse(source, &names()).unwrap()
}

fn content(part: &PartContent, x: &str) -> (Content, Option<String>) {
    match render(part, &scope(x), None).unwrap() {
        (Message::Content(content), conversation) => (content, conversation),
        (Message::File(file), _) => panic!("{file:?}"),
    }
}

#[test]
fn each_kind_of_part_becomes_its_content() {
    let there = Some("/xmtp/0/m-1/proto".to_owned());
    assert_eq!(
        content(&PartContent::Text(template("gm {{ x }}\n")), "a"),
        ("gm a".into(), None)
    );
    assert_eq!(
        content(&PartContent::Markdown(template("**{{ x }}**")), "a"),
        ("**a**".into(), None)
    );
    assert_eq!(
        content(&PartContent::Reply(template("{{ x }}")), "a"),
        (Reply::new("ab12", "a").into(), there.clone())
    );
    assert_eq!(
        content(&PartContent::React(template(" {{ x }} ")), "👍"),
        (Reaction::added("ab12", "👍").into(), there)
    );
    let custom = PartContent::Custom(Box::new(CustomPart {
        ty: ContentTypeId::new("example.org", "vote", 1, 0),
        parameters: vec![("n".to_owned(), template("{{ x }}"))],
        content: template("{ \"v\": {{ x | json }} }"),
        fallback: template("voted {{ x }}\n"),
    }));
    let (Content::Custom(custom), None) = content(&custom, "a") else {
        panic!("custom content is expected")
    };
    let encoded = custom.encoded();
    assert_eq!(encoded.content_type.to_string(), "example.org/vote:1.0");
    assert_eq!(encoded.parameter("n"), Some("a"));
    assert_eq!(encoded.content, b"{ \"v\": \"a\" }");
    assert_eq!(encoded.fallback.as_deref(), Some("voted a"));
}

#[test]
fn a_part_that_has_nothing_to_say_is_left_out() {
    let nothing = |part: &PartContent, scope: &Scope| match render(part, scope, None) {
        Err(Without::Nothing(_)) => {}
        other => panic!("{other:?}"),
    };
    nothing(&PartContent::Text(template("{{ x }}\n")), &scope(" "));
    nothing(&PartContent::React(template("{{ x }}")), &scope(""));
    let hash = Expression::parse("nothing", &names()).unwrap();
    nothing(&PartContent::Transaction { chain: 1, hash }, &scope(""));
    let mut without = scope("a");
    without.insert("message", Value::None);
    nothing(&PartContent::Reply(template("{{ x }}")), &without);
}

#[test]
fn a_transaction_is_named_by_a_hash_and_nothing_else() {
    let part = |x: &str| {
        let hash = Expression::parse("x", &names()).unwrap();
        render(&PartContent::Transaction { chain: 8453, hash }, &scope(x), None)
    };
    let digits = "Ab".repeat(32);
    let message = TransactionReference::eip155(8453, format!("0x{}", digits.to_lowercase()));
    assert_eq!(
        part(&format!("0x{digits}")),
        Ok((Message::Content(message.into()), None))
    );
    for wrong in [
        "",
        "0x",
        &digits,
        "0x12",
        &format!("0x{digits}0"),
        &format!("0x{}zz", "ab".repeat(31)),
    ] {
        assert!(matches!(part(wrong), Err(Without::Failed(_))), "{wrong}");
    }
}

#[test]
fn what_an_answer_says_comes_back_from_the_store() {
    let file = FileMessage {
        file: "a.png".to_owned(),
        name: None,
        mime: Some("image/png".to_owned()),
        upload: Some("media".to_owned()),
    };
    for message in [
        Message::Content("gm".into()),
        Message::Content(Reaction::added("ab", "👍").into()),
        Message::Content(Reply::new("ab", "yes").into()),
        Message::File(file),
    ] {
        let body = message.clone().into_body();
        assert_eq!(Message::of_body(&body), Ok(message));
    }
    assert!(Message::of_body(&Body::Content(vec![0xff])).is_err());
    assert!(Message::of_body(&Body::File("{".to_owned())).is_err());
}

#[test]
fn a_follow_up_answers_the_message_it_follows_in_its_thread() {
    let reply = PartContent::Reply(template("{{ x }}"));
    let message = Message::Content(Reply::new("07".repeat(32), "a").into());
    assert_eq!(render(&reply, &scope("a"), Some([7; 32])), Ok((message, None)));
}
