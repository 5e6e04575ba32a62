//! The API's description: one `OpenAPI` 3.1 document, its bodies from the same types that are served and asked with.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::bot::rehearsal::{Plan, Preview};

use super::shapes::{
    BotShape, Braked, BroadcastShape, ConsentText, Dead, Deliveries, Error, Import, Imported, ListShape,
    Members, Membership, NewMember, Person, PlanRequest, PreviewRequest, Recorded, Replay, Replayed,
    ReplayedDeliveries, Status,
};

/// How a body's schema is made.
type Body = fn(&mut SchemaGenerator) -> Schema;

/// One thing that can be asked.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Whether it wants the token.
    token: bool,
    /// Parameters of the query, each with what it says.
    query: &'static [(&'static str, &'static str)],
    request: Option<Body>,
    /// The status of an answer, and its body.
    answer: (u16, Option<Body>),
    /// Whether the body is told in lines, again and again until it is whole.
    lines: bool,
}

fn body<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const FILTERS: &[(&str, &str)] = &[
    ("bot", "Only of this bot"),
    ("rule", "Only of this rule"),
    ("wallet", "Only to this wallet"),
    (
        "state",
        "Only in this state: planned, held, sealed, delivered, rejected, expired or skipped",
    ),
    ("since", "Only those planned at this RFC 3339 time or later"),
    (
        "limit",
        "At most so many: 1,000 unless said otherwise, 10,000 at the most",
    ),
];

const OPERATIONS: &[Operation] = &[
    Operation {
        method: "get",
        path: "/v1/bots",
        summary: "The running bots, their rules and lists",
        token: true,
        query: &[],
        request: None,
        answer: (200, Some(body::<Vec<BotShape>>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/bots/{bot}/rules/{rule}",
        summary: "Fires a `manual` rule; the body is the rule's `body`, and an Idempotency-Key fires it once",
        token: true,
        query: &[],
        request: Some(body::<Value>),
        answer: (202, Some(body::<Recorded>)),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/bots/{bot}/lists",
        summary: "The lists of a bot, and how many members each has",
        token: true,
        query: &[],
        request: None,
        answer: (200, Some(body::<Vec<ListShape>>)),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/bots/{bot}/lists/{list}/consent-text",
        summary: "What a wallet signs to join",
        token: false,
        query: &[("wallet", "The wallet that is going to sign")],
        request: None,
        answer: (200, Some(body::<ConsentText>)),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/bots/{bot}/lists/{list}/members",
        summary: "The members of a list, a page at a time",
        token: true,
        query: &[
            ("after", "Behind this wallet: the `next` of the page before"),
            ("limit", "At most so many, 1,000 at the most"),
        ],
        request: None,
        answer: (200, Some(body::<Members>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/bots/{bot}/lists/{list}/members",
        summary: "Puts a wallet on a list by its signature, or by the token",
        token: false,
        query: &[],
        request: Some(body::<NewMember>),
        answer: (201, Some(body::<Membership>)),
        lines: false,
    },
    Operation {
        method: "delete",
        path: "/v1/bots/{bot}/lists/{list}/members/{wallet}",
        summary: "Takes a wallet off a list",
        token: true,
        query: &[],
        request: None,
        answer: (204, None),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/bots/{bot}/lists/{list}/import",
        summary: "Puts many wallets on a list without a word to them",
        token: true,
        query: &[],
        request: Some(body::<Import>),
        answer: (200, Some(body::<Imported>)),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/bots/{bot}/people/{wallet}",
        summary: "Everything that a bot knows of a wallet",
        token: true,
        query: &[],
        request: None,
        answer: (200, Some(body::<Person>)),
        lines: false,
    },
    Operation {
        method: "delete",
        path: "/v1/bots/{bot}/people/{wallet}",
        summary: "Erases a wallet; it is not written to again",
        token: true,
        query: &[],
        request: None,
        answer: (204, None),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/broadcasts/{bot}/{rule}",
        summary: "The newest broadcasts of a rule, and how far they are",
        token: true,
        query: &[],
        request: None,
        answer: (200, Some(body::<Vec<BroadcastShape>>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/broadcasts/{bot}/{rule}/{action}",
        summary: "Brakes the broadcasts of a rule: `approve`, `pause`, `resume` or `cancel`",
        token: true,
        query: &[],
        request: None,
        answer: (200, Some(body::<Braked>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/callbacks/replay",
        summary: "Lets callbacks go out again: the same id and body, so that a receiver that has one takes it once",
        token: true,
        query: &[],
        request: Some(body::<Replay>),
        answer: (200, Some(body::<Replayed>)),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/deliveries",
        summary: "What was sent to whom, the newest first",
        token: true,
        query: FILTERS,
        request: None,
        answer: (200, Some(body::<Deliveries>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/deliveries/replay",
        summary: "Tries rejected and expired deliveries again",
        token: true,
        query: &[],
        request: Some(body::<Dead>),
        answer: (200, Some(body::<ReplayedDeliveries>)),
        lines: false,
    },
    Operation {
        method: "get",
        path: "/v1/status",
        summary: "How each bot stands: what waits, and what fires next",
        token: true,
        query: &[],
        request: None,
        answer: (200, Some(body::<Status>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/bots/{bot}/rules/{rule}/preview",
        summary: "What a rule would write to whom if it fired now; nothing is sent",
        token: true,
        query: &[],
        request: Some(body::<PreviewRequest>),
        answer: (200, Some(body::<Preview>)),
        lines: false,
    },
    Operation {
        method: "post",
        path: "/v1/broadcasts/{bot}/{rule}/plan",
        summary: "How a broadcast would go: who can be reached, and what it takes; nothing is sent",
        token: true,
        query: &[],
        request: Some(body::<PlanRequest>),
        answer: (200, Some(body::<Plan>)),
        lines: true,
    },
];

/// The `OpenAPI` document of herald's API.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let refusal = generator.subschema_for::<Error>();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let described = describe(operation, &mut generator, &refusal);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "herald", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator, refusal: &Schema) -> Value {
    let content = |schema: Schema| json!({ "application/json": { "schema": schema } });
    let in_path = operation.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
    });
    let in_query = operation.query.iter().map(|(name, says)| {
        let required = *name == "wallet" && operation.query.len() == 1;
        json!({ "name": name, "in": "query", "required": required, "description": says, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let (status, answer) = operation.answer;
    let mut done = json!({ "description": "Done" });
    if let Some(answer) = answer {
        done["content"] = if operation.lines {
            json!({ "application/x-ndjson": { "schema": answer(generator) } })
        } else {
            content(answer(generator))
        };
    }
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            status.to_string(): done,
            "default": { "description": "Refused: nothing was changed", "content": content(refusal.clone()) },
        },
    });
    if let Some(request) = operation.request {
        described["requestBody"] = json!({ "content": content(request(generator)) });
    }
    if operation.token {
        described["security"] = json!([{ "token": [] }]);
    }
    described
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn every_address_of_the_api_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        let routed = include_str!("../console.rs")
            .split('"')
            .filter(|text| text.starts_with("/v1/"));
        let mut count = 0;
        for path in routed {
            assert!(document["paths"][path].is_object(), "{path}");
            count += 1;
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), count);
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"").skip(1) {
            let reference = reference.split('"').next().unwrap();
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        assert_eq!(
            document
                .pointer("/components/schemas/NewMember/properties/wallet/description")
                .unwrap(),
            "The wallet's address."
        );
    }
}
