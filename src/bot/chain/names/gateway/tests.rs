use super::*;

/// What a contract refuses with, by the URL of its gateway.
fn refused(url: &str) -> Vec<u8> {
    let values = [
        Value::Wallet(Address::from_bytes([0x11; 20])),
        Value::list([Value::text(url)]),
        bytes(&[1, 2, 3]),
        bytes(&[0xaa, 0xbb, 0xcc, 0xdd]),
        bytes(&[9; 40]),
    ];
    super::super::call(LOOKUP, &values)
}

#[test]
fn a_lookup_is_told_by_its_number() {
    let refused = refused("https://gateway.example/{sender}/{data}.json");
    // EIP-3668.
    assert_eq!(refused.get(..4), Some(&[0x55, 0x6f, 0x18, 0x30][..]));
    assert!(is_lookup(&refused));
    assert!(!is_lookup(&refused[1..]));
    assert!(!is_lookup(&[]));
    let lookup = Lookup::read(&refused).unwrap();
    assert_eq!(lookup.sender, Address::from_bytes([0x11; 20]));
    assert_eq!(lookup.urls, ["https://gateway.example/{sender}/{data}.json"]);
    assert_eq!(lookup.data, [1, 2, 3]);
    assert_eq!(lookup.extra, [9; 40]);
    for cut in 4..refused.len() - 32 {
        assert_eq!(Lookup::read(&refused[..cut]), None, "{cut}");
    }
}

#[test]
fn a_contract_is_given_the_answer_by_the_function_it_named() {
    let lookup = Lookup::read(&refused("https://gateway.example")).unwrap();
    let call = lookup.callback(&[5; 33]);
    assert_eq!(call.get(..4), Some(&[0xaa, 0xbb, 0xcc, 0xdd][..]));
    // Two offsets, then each with its length.
    assert_eq!(call.len(), 4 + 2 * 32 + 32 + 64 + 32 + 64);
}
