use super::*;

fn refused(reason: &str, data: &[u8]) -> Answered {
    Err(Refusal {
        reason: reason.to_owned(),
        data: data.to_vec(),
    })
}

#[test]
fn nodes_say_the_same_in_their_own_words_but_send_nobody_to_different_places() {
    let lookup = [0x55, 0x6f, 0x18, 0x30];
    let here = refused("elsewhere", &[&lookup[..], &[1]].concat());
    let there = refused("elsewhere", &[&lookup[..], &[2]].concat());
    let same =
        |one: &Answered, other: &Answered| is_same(std::slice::from_ref(one), std::slice::from_ref(other));
    assert!(same(&Ok(vec![1].into()), &Ok(vec![1].into())));
    assert!(!same(&Ok(vec![1].into()), &Ok(vec![2].into())));
    assert!(!same(&Ok(Bytes::new()), &refused("", &[])));
    assert!(same(&refused("no", &[]), &refused("not at all", &[7])));
    assert!(same(&here, &here));
    assert!(!same(&here, &there));
    assert!(
        !same(&here, &refused("elsewhere", &[])),
        "one that does not tell where"
    );
    assert!(!is_same(&[Ok(vec![1].into())], &[]));
}

#[test]
fn answers_are_kept_for_one_block_within_a_number_and_within_bytes() {
    let call = |number: usize, size: usize| -> Call {
        let data = [&number.to_be_bytes()[..], &vec![0; size]].concat();
        (Address::from_bytes([1; 20]), data)
    };
    let mut answers = Answers::default();
    for number in 0..=KEPT {
        assert!(answers.known.len() <= KEPT);
        answers.keep([1; 32], call(number, 0), Ok(Bytes::from_static(&[7; 32])));
    }
    assert_eq!(answers.known.len(), 1, "too many");
    answers.keep([2; 32], call(0, 0), Err("no".to_owned()));
    assert_eq!(answers.known.len(), 1, "another block");
    let (third, large) = (MOST_KEPT / 3, Bytes::from(vec![0; MOST_KEPT / 3]));
    for number in 1..=30 {
        answers.keep([2; 32], call(number, 0), Ok(large.clone()));
        answers.keep([2; 32], call(number, third), Ok(Bytes::new()));
        let of_one = |(call, found): (&Call, &Called)| call.1.len() + found.as_ref().map_or(0, Bytes::len);
        let bytes: usize = answers.known.iter().map(of_one).sum();
        assert!(bytes <= MOST_KEPT, "{bytes}");
        assert!(answers.known.contains_key(&call(number, third)));
    }
}
