use super::*;

const ALICE: [u8; 20] = [0xa1; 20];
const BOB: [u8; 20] = [0xb0; 20];
const NOBODY: [u8; 20] = [0; 20];

fn topic(address: [u8; 20]) -> [u8; 32] {
    let mut topic = [0; 32];
    topic[12..].copy_from_slice(&address);
    topic
}

fn uint(number: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

fn log(topics: &[[u8; 32]], data: &[[u8; 32]]) -> Log {
    Log {
        contract: Address::from_bytes([9; 20]),
        topics: topics.to_vec(),
        data: data.concat(),
        block: 1,
        block_hash: [1; 32],
        tx: [2; 32],
        index: 3,
    }
}

fn fungible(from: [u8; 20], to: [u8; 20], amount: u64) -> Log {
    let [transfer, ..] = Topics::default().0;
    log(&[transfer, topic(from), topic(to)], &[uint(amount)])
}

fn collectible(from: [u8; 20], to: [u8; 20], id: u64) -> Log {
    let [transfer, ..] = Topics::default().0;
    log(&[transfer, topic(from), topic(to), uint(id)], &[])
}

fn batch(from: [u8; 20], to: [u8; 20], data: &[[u8; 32]]) -> Log {
    let [.., batch] = Topics::default().0;
    log(&[batch, topic(BOB), topic(from), topic(to)], data)
}

fn changes(sum: &Sum) -> Vec<([u8; 20], i64)> {
    let changes = sum.changes.iter();
    changes
        .map(|(wallet, change)| (*wallet.as_bytes(), i64::try_from(change).unwrap()))
        .collect()
}

fn sum(logs: &[Log], item: Option<u64>) -> Result<Sum, String> {
    Topics::default().sum(logs, item.map(uint), None)
}

#[test]
fn the_topics_are_those_of_the_standards() {
    let topics = Topics::default().0.map(const_hex::encode);
    assert_eq!(
        topics,
        [
            "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
            "c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62",
            "4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb",
        ]
    );
}

#[test]
fn three_topics_are_an_amount_and_four_are_one_item() {
    let logs = [
        fungible(NOBODY, ALICE, 10),
        fungible(ALICE, BOB, 4),
        fungible(BOB, NOBODY, 1),
        fungible(ALICE, ALICE, 6),
    ];
    let found = sum(&logs, None).unwrap();
    assert_eq!(
        (found.standard, changes(&found)),
        (Some(20), vec![(ALICE, 6), (BOB, 3)])
    );
    let logs = [
        collectible(NOBODY, ALICE, 7),
        collectible(NOBODY, ALICE, 8),
        collectible(ALICE, BOB, 8),
    ];
    let found = sum(&logs, None).unwrap();
    assert_eq!(
        (found.standard, changes(&found)),
        (Some(721), vec![(ALICE, 1), (BOB, 1)])
    );
    assert_eq!(changes(&sum(&logs, Some(8)).unwrap()), [(BOB, 1)]);
    assert_eq!(sum(&logs, Some(9)).unwrap().standard, Some(721));
}

#[test]
fn a_batch_counts_the_items_that_are_wanted() {
    let data = [64, 160, 2, 5, 6, 2, 10, 20].map(uint);
    let logs = [batch(NOBODY, ALICE, &data)];
    assert_eq!(changes(&sum(&logs, None).unwrap()), [(ALICE, 30)]);
    assert_eq!(changes(&sum(&logs, Some(6)).unwrap()), [(ALICE, 20)]);
    assert_eq!(sum(&logs, Some(6)).unwrap().standard, Some(1155));
}

#[test]
fn what_is_no_transfer_is_refused_with_its_place() {
    let huge = [0xff; 32];
    let two_of_one = [64, 160, 2, 5, 6, 1, 10].map(uint);
    let far = [uint(64), huge, uint(0)];
    let long = [uint(64), uint(64), huge];
    let mut no_address = fungible(NOBODY, ALICE, 1);
    no_address.topics[1] = huge;
    let mut short = fungible(NOBODY, ALICE, 1);
    short.data.pop();
    let [transfer, ..] = Topics::default().0;
    for log in [
        batch(NOBODY, ALICE, &two_of_one),
        batch(NOBODY, ALICE, &far),
        batch(NOBODY, ALICE, &long),
        batch(NOBODY, ALICE, &[]),
        no_address,
        short,
    ] {
        let reason = sum(&[log], None).unwrap_err();
        assert!(reason.ends_with(" is no whole transfer") && reason.starts_with("log 3 of transaction 0x02"));
    }
    let reason = sum(&[log(&[transfer], &[topic(NOBODY), topic(ALICE), uint(1)])], None).unwrap_err();
    assert!(reason.contains("has 1 topics"), "{reason}");
    let reason = sum(&[fungible(NOBODY, ALICE, 1)], Some(1)).unwrap_err();
    assert!(reason.contains("no ids; leave `id` out"), "{reason}");
    let mixed = [fungible(NOBODY, ALICE, 1), collectible(NOBODY, ALICE, 1)];
    let reason = sum(&mixed, None).unwrap_err();
    assert!(
        reason.contains("of ERC-721, those before were of ERC-20"),
        "{reason}"
    );
}
