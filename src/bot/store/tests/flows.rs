//! Flows: whose cases are found by the wallets that they are forwarded to.

use super::*;

fn case(number: u8) -> OpenFlow {
    OpenFlow {
        wallet: wallet(number),
        flow: "support".to_owned(),
        state: "human".to_owned(),
        number: Some(number.into()),
        due: None,
        stand: String::new(),
    }
}

#[tokio::test]
async fn a_case_is_found_by_each_of_its_people_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("herald.db")).unwrap();
    let found = store.write(|transaction| {
        for number in 1..=2 {
            keep_flow(transaction, "b", &case(number))?;
            add_to_case(transaction, ("b", number.into()), &[wallet(7), wallet(8)])?;
        }
        // Who is there already is there once.
        add_to_case(transaction, ("b", 2), &[wallet(8), wallet(9)])?;
        let of = |number| {
            let cases = cases_of(transaction, "b", wallet(number))?;
            Ok::<_, rusqlite::Error>(
                cases
                    .into_iter()
                    .filter_map(|open| open.number)
                    .collect::<Vec<_>>(),
            )
        };
        let before = (of(7)?, of(8)?, of(9)?, of(1)?);
        assert_eq!(
            case_people(transaction, "b", 2)?,
            [wallet(7), wallet(8), wallet(9)]
        );
        assert!(cases_of(transaction, "other", wallet(7))?.is_empty());
        end_flow(transaction, "b", wallet(2))?;
        assert!(case_people(transaction, "b", 2)?.is_empty());
        Ok((before, of(7)?, of(9)?))
    });
    let (before, of_seven, of_nine) = found.await.unwrap();
    assert_eq!(before, (vec![2, 1], vec![2, 1], vec![2], vec![]));
    assert_eq!((of_seven, of_nine), (vec![1], vec![]));
}
