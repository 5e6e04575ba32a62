use std::collections::BTreeMap;

use herald_protocol::address::Address;

use super::{Given, given};
use crate::bot::{
    audience::{Audience, Csv},
    config::{Field, List},
    expression::Type,
    store::Named,
};

fn list(name: &str) -> Audience {
    Audience::List {
        list: name.to_owned(),
        condition: None,
    }
}

fn csv() -> Audience {
    Audience::Csv(Csv {
        path: "x.csv".into(),
        column: "wallet".to_owned(),
        condition: None,
    })
}

fn lists() -> BTreeMap<String, List> {
    let list = List {
        name: "readers".to_owned(),
        join: Vec::new(),
        leave: Vec::new(),
        fields: vec![Field {
            name: "level".to_owned(),
            ty: Type::Int,
            default: None,
            min: None,
            max: None,
        }],
        confirms: false,
        welcome: None,
        goodbye: None,
    };
    BTreeMap::from([("readers".to_owned(), list)])
}

/// What the branches of an audience give one wallet.
fn merged(audience: &Audience, branches: &[(u8, Option<&str>)]) -> (Option<String>, Option<String>) {
    let named = Named {
        wallet: Address::from_bytes([1; 20]),
        branches: branches
            .iter()
            .map(|(branch, vars)| (*branch, vars.map(str::to_owned)))
            .collect(),
    };
    let lists = lists();
    let Given { list, vars } = given(&audience.branches(), |name| lists.get(name), named);
    (list, vars)
}

fn wanted(list: Option<&str>, vars: Option<&str>) -> (Option<String>, Option<String>) {
    (list.map(str::to_owned), vars.map(str::to_owned))
}

#[test]
fn the_first_branch_that_gives_a_name_wins_and_the_others_add_theirs() {
    let two = Audience::Any(vec![csv(), csv()]);
    let (first, second) = (Some(r#"{"a":"1","b":"2"}"#), Some(r#"{"b":"3","c":"4"}"#));
    assert_eq!(merged(&two, &[(0, first)]), wanted(None, first));
    assert_eq!(merged(&two, &[(1, second)]), wanted(None, second));
    assert_eq!(
        merged(&two, &[(0, first), (1, second)]),
        wanted(None, Some(r#"{"a":"1","b":"2","c":"4"}"#))
    );
    assert_eq!(merged(&two, &[(0, None), (1, None)]), wanted(None, None));
}

#[test]
fn a_member_keeps_what_the_list_says_unless_an_earlier_branch_says_otherwise() {
    let vars = Some(r#"{"level":"9","name":"x","seats":"2"}"#);
    let list_first = Audience::Any(vec![list("readers"), csv()]);
    assert_eq!(
        merged(&list_first, &[(0, None), (1, vars)]),
        wanted(Some("readers"), Some(r#"{"seats":"2"}"#))
    );
    assert_eq!(merged(&list_first, &[(0, None)]), wanted(Some("readers"), None));
    let list_last = Audience::All(vec![csv(), list("readers")]);
    assert_eq!(
        merged(&list_last, &[(0, vars), (1, None)]),
        wanted(Some("readers"), vars)
    );
    let lists = Audience::Any(vec![list("readers"), list("guests")]);
    let fields = Some(r#"{"level":3,"table":"a"}"#);
    assert_eq!(
        merged(&lists, &[(0, Some(r#"{"level":1}"#)), (1, fields)]),
        wanted(Some("readers"), Some(r#"{"table":"a"}"#))
    );
}

#[test]
fn a_branch_that_leaves_wallets_out_gives_nothing() {
    let audience = Audience::Except {
        of: Box::new(csv()),
        without: Box::new(Audience::Any(vec![list("readers"), csv()])),
    };
    let vars = Some(r#"{"a":"1"}"#);
    assert_eq!(
        merged(&audience, &[(0, None), (1, None), (2, vars)]),
        wanted(None, None)
    );
    assert_eq!(merged(&audience, &[(0, vars)]), wanted(None, vars));
}
