use herald_protocol::wallet::WalletKey;

use super::*;

const TEXT: &str = "XMTP : Enable Identity\nä\n";

fn wallet(byte: u8) -> WalletKey {
    WalletKey::from_bytes(&[byte; 32]).unwrap()
}

/// What a wallet would print.
fn answer(byte: u8) -> String {
    format!("0x{}", const_hex::encode(wallet(byte).sign_text(TEXT)))
}

/// A signer whose program is this script; `$1` is the argument.
fn script(script: &str, argument: &str) -> ExternalSigner {
    ExternalSigner::new(wallet(1).address(), "sh", ["-c", script, "sh", argument])
}

async fn error_of(signer: ExternalSigner) -> Error {
    let asked = Signer::sign_text(&signer, TEXT).await;
    asked.unwrap_err()
}

#[tokio::test]
async fn a_program_reads_the_text_as_it_is_and_its_answer_is_the_signature() {
    let folder = tempfile::tempdir().unwrap();
    let read = folder.path().join("read; touch no");
    let argument = read.to_str().unwrap();
    let signer = script(
        &format!("cat > \"$1\"; echo talk >&2; printf '\\n {} \\n' ", answer(1)),
        argument,
    );
    let signature = signer.sign_text(TEXT).await.unwrap();
    assert_eq!(*signature, wallet(1).sign_text(TEXT));
    assert_eq!(std::fs::read_to_string(&read).unwrap(), TEXT);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // One that does not read at all is as good.
    let deaf = script("echo $1", &answer(1));
    assert!(deaf.sign_text(TEXT).await.is_ok());
}

#[tokio::test]
async fn a_signature_of_another_wallet_or_text_is_not_used() {
    let other = error_of(script("echo $1", &answer(2))).await;
    let Error::OtherWallet { wanted, found } = &other else {
        panic!("{other:?}")
    };
    assert_eq!(
        (*wanted, *found),
        (wallet(1).address(), Some(wallet(2).address()))
    );
    let of_another_text = const_hex::encode(wallet(1).sign_text("another"));
    let other = error_of(script("echo $1", &format!("0x{of_another_text}"))).await;
    assert!(matches!(other, Error::OtherWallet { .. }), "{other:?}");
    let none = error_of(script("echo $1", &format!("0x{}", "00".repeat(65)))).await;
    assert!(matches!(none, Error::OtherWallet { found: None, .. }), "{none:?}");
    assert!(!none.is_transient());
}

#[tokio::test]
async fn what_is_no_signature_is_refused_without_repeating_it() {
    let short = answer(1).strip_suffix(|_: char| true).unwrap().to_owned();
    let bare = answer(1).trim_start_matches("0x").to_owned();
    let two = format!("{} {}", answer(1), answer(1));
    for wrong in ["", "0x", "sorry", &short, &bare, &two] {
        let error = error_of(script("printf %s \"$1\"", wrong)).await;
        assert!(matches!(error, Error::Shape { .. }), "{wrong}: {error:?}");
        let shown = format!("{error} {error:?}");
        let inner = bare.get(20..60).unwrap();
        assert!(!shown.contains(inner) && !shown.contains("sorry"), "{shown}");
    }
}

#[tokio::test]
async fn a_program_that_talks_without_end_is_cut_off() {
    let error = error_of(script("yes", "").time_limit(Duration::from_mins(1))).await;
    assert!(matches!(error, Error::Shape { .. }), "{error:?}");
    // 1 MiB of complaint would fill the pipe.
    let script = script("head -c 1000000 /dev/zero | tr '\\0' e >&2; exit 1", "");
    let error = error_of(script.time_limit(Duration::from_mins(1))).await;
    let Error::Refused { reason, .. } = error else {
        panic!("{error:?}")
    };
    assert!(reason.len() < 300, "{}", reason.len());
}

#[tokio::test]
async fn a_refusal_is_told_in_the_programs_words_on_one_line() {
    let error = error_of(script(
        "printf '\\n\\033[31mthe device\\tis locked\\nmore\\n' >&2; exit 3",
        "",
    ))
    .await;
    assert_eq!(
        error.to_string(),
        "the signer `sh` did not sign: [31mthe deviceis locked (exit status: 3)"
    );
    assert!(error.is_transient());
    let silent = error_of(script("echo $1; exit 1", &answer(1))).await;
    assert_eq!(silent.to_string(), "the signer `sh` did not sign: exit status: 1");
    let absent = ExternalSigner::new(wallet(1).address(), "/no/such/signer", [""; 0]);
    assert!(matches!(error_of(absent).await, Error::Start { .. }));
}

#[tokio::test]
async fn a_program_that_nobody_waits_for_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let signer = script(
        "echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; exec sleep 3600",
        pid.to_str().unwrap(),
    );
    let running = async {
        while !pid.exists() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        answered = signer.sign_text(TEXT) => panic!("{answered:?}"),
        ran = tokio::time::timeout(DEADLINE, running) => ran.expect("the program runs"),
    }
    // Nobody waits for the signature any more.
    let pid = std::fs::read_to_string(pid).unwrap();
    let process = std::path::Path::new("/proc").join(pid.trim());
    let gone = async {
        // A dead child stays in the table until the runtime has noticed.
        while process.exists() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone)
        .await
        .expect("the program is gone");
}

#[tokio::test]
async fn a_program_has_its_time_and_no_more() {
    let limit = Duration::from_millis(50);
    let error = error_of(script("exec sleep 3600", "").time_limit(limit)).await;
    assert_eq!(error.to_string(), "the signer `sh` did not answer within 50ms");
    assert!(error.is_transient());
}

/// Between two looks at a condition, and how long it may take.
const LOOK: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_mins(1);

#[test]
fn debug_output_has_no_argument() {
    let signer = ExternalSigner::new(wallet(1).address(), "hsm", ["--pin", "271828"]);
    assert!(!format!("{signer:?}").contains("271828"));
}
