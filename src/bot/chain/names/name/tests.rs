use super::*;

fn read(text: &str) -> String {
    WalletName::read(text).map_or_else(|reason| format!("refused: {reason}"), |name| name.to_string())
}

#[test]
fn a_name_has_one_spelling() {
    for (text, wanted) in [
        ("alice.eth", "alice.eth"),
        ("Nick.ETH", "nick.eth"),
        (" alice.eth ", "alice.eth"),
        ("1inch.eth", "1inch.eth"),
        ("a-b.eth", "a-b.eth"),
        ("_dns.eth", "_dns.eth"),
        ("pay.shop.eth", "pay.shop.eth"),
        ("ＡＢＣ.eth", "abc.eth"),
        ("caf\u{e9}.eth", "caf\u{e9}.eth"),
        ("cafe\u{301}.eth", "caf\u{e9}.eth"),
        ("Bücher.eth", "bücher.eth"),
        ("🦄.eth", "🦄.eth"),
        ("👁️.eth", "👁.eth"),
        ("日本.eth", "日本.eth"),
        ("ΞΨ.eth", "ξψ.eth"),
        ("Ana.Lens", "ana.lens"),
    ] {
        assert_eq!(read(text), wanted, "{text}");
        assert_eq!(read(&read(text)), wanted, "it stays as it is: {text}");
    }
}

#[test]
fn what_is_no_name_is_told_with_the_reason() {
    let long = format!("{}.eth", "a".repeat(296));
    let wide = format!("{}.eth", "日".repeat(84));
    let deep = format!("{}eth", "a.".repeat(40));
    for (text, wanted) in [
        ("a_b.eth", "underscore allowed only at start"),
        ("ab--cd.eth", "invalid label extension: \"ab--\""),
        (".eth", "it has an empty part"),
        ("a..eth", "it has an empty part"),
        ("alice.eth.", "it has an empty part"),
        ("\u{ad}.eth", "empty label"),
        ("al ice.eth", "disallowed character: \" \" {20}"),
        ("pаypal.eth", "illegal mixture: Latin + Cyrillic \"а\" {430}"),
        ("раура.eth", "whole-script confusable: Cyrillic/Latin"),
        ("a\u{202e}b.eth", "disallowed character: {202E}"),
        ("'a.eth", "illegal placement: leading apostrophe"),
        (&long, "it is longer than 255 bytes"),
        (&wide, "it is longer than 255 bytes"),
        (&deep, "it has more than 32 parts"),
        ("alice.com", "it ends neither in `.eth` nor in `.lens`"),
        (
            "a.b.lens",
            "wanted a handle of letters, digits, `_` and `-` before `.lens`",
        ),
        (
            "ä.lens",
            "wanted a handle of letters, digits, `_` and `-` before `.lens`",
        ),
    ] {
        let refused = read(text);
        assert!(refused.starts_with("refused: `"), "{text}: {refused}");
        assert!(
            refused.ends_with(&format!(" is no name of a wallet: {wanted}")),
            "{text}: {refused}"
        );
    }
}

#[test]
fn nodes_are_those_of_the_standard() {
    let node = |name: &str| const_hex::encode(EnsName::read(name).unwrap().node());
    // EIP-137.
    assert_eq!(
        node("eth"),
        "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"
    );
    assert_eq!(
        node("foo.eth"),
        "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"
    );
    let parents: Vec<String> = EnsName::read("a.foo.eth")
        .unwrap()
        .parents()
        .map(const_hex::encode)
        .collect();
    assert_eq!(parents, [node("foo.eth"), node("eth")]);
    // ENSIP-3.
    let wallet = "0x314159265dD8dbb310642f98f50C066173C1259b".parse().unwrap();
    assert_eq!(
        EnsName::of_wallet(wallet).as_str(),
        "314159265dd8dbb310642f98f50c066173c1259b.addr.reverse"
    );
}

#[test]
fn dns_writes_each_part_behind_its_length() {
    let dns = |name: &str| EnsName::read(name).unwrap().to_dns();
    assert_eq!(dns("eth"), b"\x03eth\0");
    assert_eq!(dns("bob.shop.eth"), b"\x03bob\x04shop\x03eth\0");
    let label = "a".repeat(200);
    assert_eq!(dns(&label).len(), 202);
    assert_eq!(dns(&label).first(), Some(&200));
}
