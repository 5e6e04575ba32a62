use num_bigint::BigInt;

use super::*;
use crate::bot::expression::Value;

const PROPOSAL: &str = "ProposalCreated(uint256 proposalId, address proposer, address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, uint256 voteStart, uint256 voteEnd, string description)";

fn word(last: u8) -> [u8; 32] {
    let mut word = [0; 32];
    word[31] = last;
    word
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    const_hex::encode_prefixed(bytes)
}

#[test]
fn lines_have_the_topics_and_selectors_that_everybody_knows() {
    for (line, topic) in [
        (
            "Transfer(address indexed from, address indexed to, uint256 value)",
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
        ),
        (
            "event Approval(address indexed owner, address indexed spender, uint value);",
            "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925",
        ),
        (
            PROPOSAL,
            "0x7d84a6263ae0d98d3329bd7b46bb4e8d6f98cd35a7adb45c274c8b7fd5ebd5e0",
        ),
    ] {
        assert_eq!(hex(Event::parse(line).unwrap().topic()), topic, "{line}");
    }
    for (line, selector) in [
        ("balanceOf(address) returns (uint256)", "0x70a08231"),
        (
            "function hasVoted(uint256 id, address who) external view returns (bool cast)",
            "0x43859632",
        ),
    ] {
        assert_eq!(hex(Function::parse(line).unwrap().selector()), selector, "{line}");
    }
}

#[test]
fn mistakes_are_told_with_their_places() {
    for (line, at, message) in [
        ("Transfer", 8, "expected `(`, found the end"),
        (
            "Transfer(address)",
            16,
            "expected the name of the parameter, found `)`",
        ),
        (
            "T(uint257 a)",
            2,
            "expected a type such as `uint256`, `address` or `string`, found `uint257 a)`",
        ),
        ("T(address a", 11, "expected `,` or `)`, found the end"),
        ("T(uint a, uint a)", 17, "two parameters are called `a`"),
        (
            "T(uint[0] a)",
            7,
            "expected a number from 1 to 4096, found `0] a)`",
        ),
        (
            "T(uint[4096][4096] a)",
            21,
            "found parameters of more than 4096 words",
        ),
        ("T(uint a) x", 10, "expected the end of the line, found `x`"),
    ] {
        let mistake = Event::parse(line).unwrap_err();
        assert_eq!((mistake.at, mistake.message.as_str()), (at, message), "{line}");
    }
    let deep = format!("T({}uint{} a)", "(".repeat(50_000), ")".repeat(50_000));
    assert!(Event::parse(&deep).is_err());
    assert!(Event::parse(&format!("T(uint{} a)", "[]".repeat(50_000))).is_err());
}

#[test]
fn what_is_encoded_is_decoded_again() {
    let line = "(uint8 a, int256 b, string c, (address who, bytes data)[] list, uint16[2] pair, bytes4 sign, bool yes, bytes32 h)";
    let function = Function::parse(&format!("f{line} returns {line}")).unwrap();
    let who = Value::Wallet(herald_protocol::address::Address::from_bytes([7; 20]));
    let part = |data: &str| Value::record([("who", who.clone()), ("data", Value::text(data))]);
    let values = [
        Value::from(255),
        Value::Int(-(BigInt::from(1) << 255_u32)),
        Value::text("héllo, a text that is longer than one word of thirty-two bytes"),
        Value::list([part("0x"), part("0x0102")]),
        Value::list([Value::from(1), Value::from(65_535)]),
        Value::text("0xdeadbeef"),
        Value::from(true),
        Value::Hash([9; 32]),
    ];
    let call = function.encode(&values).unwrap();
    let Value::Record(decoded) = function.decode(&call[4..]).unwrap() else {
        panic!()
    };
    for (output, value) in function.outputs.iter().zip(&values) {
        assert_eq!(decoded.get(&output.name).unwrap(), value, "{}", output.name);
    }
    for cut in 4..call.len() {
        // Whatever is missing, it is an answer.
        let _ = function.decode(&call[4..cut]);
    }
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let wrong = |line: &str, value: Value| {
        let function = Function::parse(&format!("f({line} a) returns (bool ok)")).unwrap();
        function.encode(&[value]).unwrap_err().to_string()
    };
    assert_eq!(wrong("uint8", Value::from(256)), "`a` is no uint8");
    assert_eq!(wrong("uint8", Value::from(-1)), "`a` is no uint8");
    assert_eq!(wrong("int8", Value::from(128)), "`a` is no int8");
    assert_eq!(wrong("int8", Value::from(-129)), "`a` is no int8");
    assert_eq!(wrong("bytes4", Value::text("0x00")), "`a` is no bytes4");
    assert_eq!(wrong("address", Value::from(1)), "`a` is no address");
}

#[test]
fn a_log_is_a_record_typed_by_its_line() {
    let event =
        Event::parse("Paid(address indexed who, string indexed memo, uint256 amount, bytes32 ref)").unwrap();
    let mut who = [0; 32];
    who[12..].copy_from_slice(&[0xab; 20]);
    let data = [word(5), [3; 32]].concat();
    let decoded = event.decode(&[event.topic(), who, [8; 32]], &data).unwrap();
    let expected = Value::record([
        (
            "who",
            Value::Wallet(herald_protocol::address::Address::from_bytes([0xab; 20])),
        ),
        ("memo", Value::Hash([8; 32])),
        ("amount", Value::from(5)),
        ("ref", Value::Hash([3; 32])),
    ]);
    assert_eq!(decoded, expected);
    let read = event.ty().read_json(&decoded.to_json()).unwrap();
    assert_eq!(read, expected);
    assert!(event.decode(&[event.topic(), who], &data).is_err());
    assert!(
        event.decode(&[event.topic(), [1; 32], [8; 32]], &data).is_err(),
        "no address"
    );
    assert!(event.decode(&[event.topic(), who, [8; 32]], &data[..63]).is_err());
    assert!(event.ty().accepts(&Type::Record(Record::new())) || event.ty() != Type::Any);
}

#[test]
fn bytes_that_refer_to_one_another_again_and_again_are_refused_in_no_time() {
    // Each list has the next one 500 times.
    let event = Event::parse("T(uint256[][][][][] a)").unwrap();
    let mut data = word(32).to_vec();
    for _ in 0..4 {
        let count = 500_u16;
        let mut list = [0; 32];
        list[30..].copy_from_slice(&count.to_be_bytes());
        data.extend(list);
        for _ in 0..count {
            let mut offset = [0; 32];
            offset[30..].copy_from_slice(&(count * 32).to_be_bytes());
            data.extend(offset);
        }
    }
    data.extend(word(0));
    let error = event.decode(&[event.topic()], &data).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the data refers to the same bytes again and again"
    );
    let huge = [word(32).to_vec(), vec![0xff; 32]].concat();
    assert!(event.decode(&[event.topic()], &huge).is_err());
}

#[test]
fn a_json_abi_gives_the_event_that_is_named() {
    let input = |name: &str, kind: &str| format!(r#"{{"name":"{name}","type":"{kind}","indexed":false}}"#);
    let abi = format!(
        r#"[{{"type":"function","name":"x","inputs":[]}},
            {{"type":"event","name":"Sold","inputs":[{},{{"name":"item","type":"tuple[]","components":[{}]}}]}},
            {{"type":"event","name":"Bid","inputs":[{}]}},{{"type":"event","name":"Bid","inputs":[{}]}}]"#,
        input("", "uint256"),
        input("id", "uint64"),
        input("a", "bool"),
        input("a", "address"),
    );
    let sold = Event::find(&abi, "Sold").unwrap();
    assert_eq!(sold.signature(), "Sold(uint256,(uint64)[])");
    assert_eq!(sold.parameters[0].name, "arg0");
    assert_eq!(
        Event::find(&abi, "Bid( address )").unwrap().signature(),
        "Bid(address)"
    );
    assert_eq!(
        Event::find(&abi, "Bid").unwrap_err(),
        "several events are called `Bid`: write `Bid(bool)` or `Bid(address)`"
    );
    assert_eq!(
        Event::find(&abi, "Gone").unwrap_err(),
        "the file has no event `Gone`"
    );
    assert!(Event::find(&format!(r#"{{"abi":{abi},"bytecode":"0x"}}"#), "Sold").is_ok());
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_too_strange(data: Vec<u8>, topics: Vec<[u8; 32]>) {
        let event = Event::parse(PROPOSAL).unwrap();
        let _ = event.decode(&topics, &data);
        let _ = event.decode(&[event.topic()], &data);
    }
}
