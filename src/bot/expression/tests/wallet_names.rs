//! Names of wallets among expressions.

use herald_protocol::address::Address;

use super::{Expression, Scope, Template, Type, Value, names, parse, scope, ty};
use crate::bot::expression::{ENS, Outside, Question};

/// The names that are asked for.
fn asked(source: &str) -> Vec<String> {
    parse(source)
        .wallet_names()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// A scope in which `1inch.eth` and its like are known by the length of their names, and every other wallet is called Ana.
fn knowing() -> Scope {
    let mut scope = scope();
    scope.set_outside(Outside::new(|question, _| match question {
        Question::WalletOf(name) => {
            let length = u8::try_from(name.as_str().len()).unwrap();
            Some(Ok(Value::Wallet(Address::from_bytes([length; 20]))))
        }
        Question::NameOf(wallet) if wallet.as_bytes() == &[9; 20] => Some(Ok(Value::None)),
        Question::NameOf(_) => Some(Ok(Value::text("ana.eth"))),
        _ => None,
    }));
    scope
}

#[test]
fn names_are_read_as_they_are_written() {
    for (source, wanted) in [
        ("ana.eth", "ana.eth"),
        ("Ana.ETH", "ana.eth"),
        ("ana.lens", "ana.lens"),
        ("pay.ana.eth", "pay.ana.eth"),
        ("my-ana.eth", "my-ana.eth"),
        ("my-own.ana-b.eth", "my-own.ana-b.eth"),
        ("1inch.eth", "1inch.eth"),
        ("pay.1inch.eth", "pay.1inch.eth"),
        ("my-1.eth", "my-1.eth"),
        ("日本.eth", "日本.eth"),
        ("caf\u{e9}.eth", "caf\u{e9}.eth"),
        ("(ana.eth)", "ana.eth"),
    ] {
        assert_eq!(ty(source), "wallet", "{source}");
        assert_eq!(asked(source), [wanted], "{source}");
        assert!(parse(source).asks(), "{source}");
    }
    assert_eq!(asked("[ana.eth, 1inch.eth, wallet]"), ["1inch.eth", "ana.eth"]);
    assert_eq!(
        asked("wallet in [bo.eth] or wallet == ana.lens"),
        ["ana.lens", "bo.eth"]
    );
}

#[test]
fn what_is_in_scope_is_no_name_of_a_wallet() {
    let mut names = names();
    let record = [("eth", Type::Int)].into_iter().collect();
    names.insert("stake", Type::Record(record));
    for source in ["stake.eth", "int - stake.eth", "int-stake.eth"] {
        let parsed = Expression::parse(source, &names).unwrap();
        assert!(parsed.wallet_names().is_empty(), "{source}");
        assert_eq!(parsed.ty(), &Type::Int, "{source}");
    }
    // A difference has spaces.
    assert!(Expression::parse("nobody_knows - stake.eth", &names).is_err());
}

#[test]
fn names_and_wallets_are_what_others_answer() {
    let wallet = parse("1inch.eth").evaluate(&knowing()).unwrap();
    assert_eq!(wallet, Value::Wallet(Address::from_bytes([9; 20])));
    let template = Template::parse("{{ wallet | ens }} {{ 1inch.eth | ens }}", &names()).unwrap();
    assert!(template.names().contains(ENS));
    assert_eq!(template.render(&knowing()).unwrap(), "ana.eth 0x09…09");
    assert!(parse("wallet | ens").evaluate(&scope()).is_err());
}
