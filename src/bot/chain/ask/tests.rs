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
