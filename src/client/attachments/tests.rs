//! Files up to real folders and servers and down over real TLS, and files that are not what the message promised.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use object_store::{ObjectStoreExt as _, memory::InMemory};
use tempfile::TempDir;

use super::*;
use crate::{
    content::ContentCodec as _,
    fetch::tests::world::{Asked, Authority, Names, Reply, Server, fetch, moved, ok, reply},
};

/// What a server was given, by path.
type Files = Arc<Mutex<HashMap<String, Bytes>>>;

/// Keeps what is put and shows it again.
fn shelf(files: &Files) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let files = Arc::clone(files);
    move |asked| {
        let path = asked.path().split('?').next().unwrap().to_owned();
        if asked.head.starts_with("PUT ") {
            files.lock().unwrap().insert(path, asked.body.clone());
            return reply("201 Created", "", b"");
        }
        files
            .lock()
            .unwrap()
            .get(&path)
            .map_or_else(|| reply("404 Not Found", "", b""), |file| ok(file))
    }
}

/// A client that trusts `authority` and finds the servers of the test under `files.example`.
fn trusting(authority: &Authority) -> Fetch {
    let names = Names::default()
        .with("files.example", &[&["127.0.0.1"]])
        .with("inside.example", &[&["127.0.0.2"]]);
    fetch(&names)
        .root_certificate(authority.pem())
        .unwrap()
        .build()
        .unwrap()
}

async fn secure(authority: &Authority, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    Server::tls(authority, &["files.example", "127.0.0.1"], answer).await
}

fn cat() -> Attachment {
    Attachment::new("secret cat.png", "image/png", vec![7; 100_000])
}

fn sealed() -> SealedAttachment {
    RemoteAttachment::seal(&cat(), AttachmentKey::from_random([3; 76]))
}

#[tokio::test]
async fn a_file_put_into_a_folder_is_read_back_over_https() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let shown: PathBuf = folder.path().join("not/made/yet");
    let root = shown.clone();
    let server = secure(&authority, move |asked| {
        ok(&std::fs::read(root.join(asked.path().strip_prefix("/drops/").unwrap())).unwrap())
    })
    .await;
    let public = format!("https://files.example:{}/drops", server.port());
    let target = UploadTarget::folder(&shown, &public).unwrap();
    let fetch = trusting(&authority);

    let remote = upload(&fetch, &cat(), &target).await.unwrap();
    let again = upload(&fetch, &cat(), &target).await.unwrap();
    assert_ne!(remote.url(), again.url());
    assert!(
        remote.url().starts_with(&format!("{public}/")),
        "{}",
        remote.url()
    );
    assert!(!remote.url().contains("cat"), "{}", remote.url());
    let kept = std::fs::read_dir(&shown)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let kept: Vec<_> = kept.collect();
    assert_eq!(kept.len(), 2);
    assert!(
        kept.iter()
            .all(|file| !file.windows(8).any(|eight| eight == [7; 8])),
        "it is sealed"
    );

    // As it would come out of a message.
    let received = RemoteAttachment::decode(&remote.encode()).unwrap();
    let opened = download(&fetch, &received, DOWNLOAD_BYTES).await.unwrap();
    assert_eq!(opened, Content::Attachment(cat()));
}

#[tokio::test]
async fn a_server_that_takes_put_may_be_private_and_gets_the_sealed_bytes_under_a_random_name() {
    let (authority, files) = (Authority::new(), Files::default());
    let private = Server::plain("127.0.0.2:0", shelf(&files)).await;
    let server = secure(&authority, shelf(&files)).await;
    let base = format!("http://127.0.0.2:{}/up/", private.port());
    let public = format!("https://files.example:{}/up/", server.port());
    let target = UploadTarget::put_below(&base, &public).unwrap();
    let fetch = trusting(&authority);

    let text = Content::from("gm, in a file");
    let remote = upload_content(&fetch, &text, Some("gm.txt".to_owned()), &target)
        .await
        .unwrap();
    let [put] = &private.asked()[..] else { panic!() };
    assert!(
        put.head
            .to_lowercase()
            .contains("content-type: application/octet-stream"),
        "{put:?}"
    );
    assert_eq!(put.path().strip_prefix("/up/").unwrap().len(), 2 * NAME_BYTES);
    assert_eq!(remote.content_length(), Some(put.body.len() as u64));
    assert_eq!(download(&fetch, &remote, DOWNLOAD_BYTES).await.unwrap(), text);
}

#[tokio::test]
async fn a_presigned_address_is_used_whole_and_read_without_its_query() {
    let (authority, files) = (Authority::new(), Files::default());
    let server = secure(&authority, shelf(&files)).await;
    let fetch = trusting(&authority);
    let url = format!(
        "https://127.0.0.1:{}/drops/a?X-Amz-Signature=hunter2",
        server.port()
    );
    let target = UploadTarget::presigned(&url).unwrap();
    let remote = upload(&fetch, &cat(), &target).await.unwrap();
    assert!(server.asked()[0].path().ends_with("?X-Amz-Signature=hunter2"));
    assert_eq!(Some(remote.url()), url.split('?').next());
    assert!(!format!("{target:?}").contains("hunter2"));
    assert_eq!(
        download(&fetch, &remote, DOWNLOAD_BYTES).await.unwrap(),
        cat().into()
    );
}

#[tokio::test]
async fn a_presigned_address_takes_one_file_and_another_try_of_a_failed_one() {
    let (authority, files) = (Authority::new(), Files::default());
    let (busy, keep) = (AtomicBool::new(true), shelf(&files));
    let server = secure(&authority, move |request| {
        if busy.swap(false, Ordering::Relaxed) {
            return reply("503 Busy", "", b"");
        }
        keep(request)
    })
    .await;
    let fetch = trusting(&authority);
    let target = UploadTarget::presigned(&format!("https://127.0.0.1:{}/a?sig=1", server.port())).unwrap();
    let failed = upload(&fetch, &cat(), &target).await.unwrap_err();
    assert_eq!(failed.disposition(), Disposition::Retry(None));
    // Two at once: one is put, and the other is not asked for.
    let copy = target.clone();
    let (cat, second) = (cat(), cat());
    let (one, other) = tokio::join!(upload(&fetch, &cat, &target), upload(&fetch, &second, &copy));
    let (put, refused) = match (one, other) {
        (Ok(put), Err(refused)) | (Err(refused), Ok(put)) => (put, refused),
        both => panic!("{both:?}"),
    };
    let again = upload(&fetch, &cat, &target).await.unwrap_err();
    for error in [refused, again] {
        assert!(matches!(error, Error::Target { .. }), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Reject);
    }
    assert_eq!(server.asked().len(), 2);
    assert_eq!(download(&fetch, &put, DOWNLOAD_BYTES).await.unwrap(), cat.into());
}

#[tokio::test]
async fn a_target_that_refuses_gives_no_content_to_send() {
    let authority = Authority::new();
    let fetch = trusting(&authority);
    for (status, expected) in [
        ("403 Forbidden", Disposition::Reject),
        ("503 Busy", Disposition::Retry(None)),
    ] {
        let server = secure(&authority, move |_| reply(status, "", b"")).await;
        let url = format!("https://127.0.0.1:{}/a?sig=hunter2", server.port());
        let target = UploadTarget::presigned(&url).unwrap();
        let error = upload(&fetch, &cat(), &target).await.unwrap_err();
        assert_eq!(error.disposition(), expected, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    // A redirect would take the file elsewhere than the operator said.
    let server = secure(&authority, |_| moved("https://files.example/elsewhere")).await;
    let target = UploadTarget::presigned(&format!("https://127.0.0.1:{}/a", server.port())).unwrap();
    let error = upload(&fetch, &cat(), &target).await.unwrap_err();
    assert!(
        matches!(error, Error::Fetch(fetch::Error::Status { status: 302, .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_store_of_the_callers_keeps_the_type_where_it_can() {
    let store = Arc::new(InMemory::new());
    let target = UploadTarget::store(Arc::clone(&store) as _, "https://files.example/x/").unwrap();
    let fetch = Fetch::builder().build().unwrap();
    let remote = upload(&fetch, &cat(), &target).await.unwrap();
    let name = remote.url().strip_prefix("https://files.example/x/").unwrap();
    let kept = store.get(&name.into()).await.unwrap();
    let kind = kept.attributes.get(&object_store::Attribute::ContentType);
    assert_eq!(kind.map(AsRef::as_ref), Some("application/octet-stream"));
    assert_eq!(remote.open(&kept.bytes().await.unwrap()), Ok(cat().into()));
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn a_bucket_gets_the_file_below_its_prefix_with_a_signed_request() {
    let files = Files::default();
    let server = Server::plain("127.0.0.2:0", {
        let shelf = shelf(&files);
        move |asked| match shelf(asked) {
            Reply::Whole(_) => reply("200 OK", "etag: \"1\"\r\n", b""),
            other => other,
        }
    })
    .await;
    let bucket = S3 {
        bucket: "bucket".to_owned(),
        prefix: "drops".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://127.0.0.2:{}", server.port())),
        key: "AKID".to_owned(),
        secret: "hunter2".to_owned().into(),
    };
    assert!(!format!("{bucket:?}").contains("hunter2"));
    let fetch = Fetch::builder().build().unwrap();
    let target = UploadTarget::s3(&fetch, bucket, "https://media.example/drops").unwrap();
    let remote = upload(&fetch, &cat(), &target).await.unwrap();
    let name = remote.url().strip_prefix("https://media.example/drops/").unwrap();
    let [asked] = &server.asked()[..] else { panic!() };
    assert_eq!(asked.path(), format!("/bucket/drops/{name}"));
    let head = asked.head.to_lowercase();
    assert!(
        head.contains("authorization: aws4-hmac-sha256 credential=akid/"),
        "{head}"
    );
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    assert!(!head.contains("hunter2"), "{head}");
    assert_eq!(
        remote.open(&files.lock().unwrap()[asked.path()]),
        Ok(cat().into())
    );
}

#[test]
fn targets_that_nobody_could_read_from_are_told_without_their_secrets() {
    let folder = TempDir::new().unwrap();
    for public in [
        "http://files.example/",
        "ftp://files.example/",
        "files.example",
        "https://user:hunter2@files.example/",
        "https://files.example/?hunter2",
        "https://files.example/#hunter2",
        "",
    ] {
        for made in [
            UploadTarget::folder(folder.path(), public),
            UploadTarget::put_below("http://127.0.0.1/", public),
        ] {
            let error = made.unwrap_err();
            assert!(matches!(error, Error::Target { .. }), "{public}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
    for url in ["http://127.0.0.1/a?hunter2", "file:///a", "https://a:hunter2@b/"] {
        assert!(
            matches!(UploadTarget::presigned(url), Err(Error::Target { .. })),
            "{url}"
        );
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = UploadTarget::folder(&file, "https://files.example").unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
}

#[tokio::test]
async fn a_file_larger_than_readers_take_is_not_uploaded() {
    let store = Arc::new(InMemory::new());
    let target = UploadTarget::store(store, "https://files.example/").unwrap();
    let huge = Attachment::new("a", "b", vec![0; MAX_BYTES + 1]);
    let error = upload(&Fetch::builder().build().unwrap(), &huge, &target)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: MAX_BYTES, .. }),
        "{error}"
    );
}

/// Servers that keep something else than the message promises: the path, and the error of reading it.
const BAD: [(&str, &str); 11] = [
    ("/flipped", "digest"),
    ("/cut", "digest"),
    ("/longer", "digest"),
    ("/empty", "empty"),
    ("/oversize", "too_large"),
    ("/endless", "too_large"),
    ("/gone", "status"),
    ("/inward", "address"),
    ("/inward-by-name", "address"),
    ("/to-http", "redirect"),
    ("/broken-off", "unreachable"),
];

fn misbehave(asked: &Asked, inside: u16) -> Reply {
    let mut blob = sealed().blob().to_vec();
    match asked.path() {
        "/flipped" => blob[9] ^= 1,
        "/cut" => blob.truncate(50_000),
        "/longer" => blob.push(0),
        "/empty" => blob.clear(),
        "/oversize" => blob.resize(200_001, 0),
        "/endless" => {
            let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            return Reply::Endless { head, slow: false };
        }
        "/gone" => return reply("404 Not Found", "", b"gone"),
        "/inward" => return moved(&format!("https://127.0.0.2:{inside}/")),
        "/inward-by-name" => return moved(&format!("https://inside.example:{inside}/")),
        "/to-http" => return moved(&format!("http://127.0.0.2:{inside}/")),
        "/broken-off" => return Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec()),
        _ => {}
    }
    ok(&blob)
}

#[test]
fn what_is_not_as_promised_is_a_typed_error_and_counted_by_reason() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let authority = Authority::new();
            let canary = Server::plain("127.0.0.2:0", |_| ok(b"inside")).await;
            let inside = canary.port();
            let server = secure(&authority, move |asked| misbehave(asked, inside)).await;
            let fetch = trusting(&authority);
            for (path, label) in BAD {
                let remote = sealed()
                    .at(&format!("https://files.example:{}{path}", server.port()))
                    .unwrap();
                let error = download(&fetch, &remote, 200_000).await.unwrap_err();
                assert_eq!(error.label(), label, "{path}: {error}");
            }
            for url in [
                "https://127.0.0.2/",
                "https://10.0.0.1/",
                "https://169.254.169.254/latest/",
            ] {
                let error = download(&fetch, &sealed().at(url).unwrap(), 200_000)
                    .await
                    .unwrap_err();
                assert_eq!(error.label(), "address", "{url}: {error}");
            }
            let good = sealed()
                .at(&format!("https://files.example:{}/", server.port()))
                .unwrap();
            assert_eq!(download(&fetch, &good, 200_000).await.unwrap(), cat().into());
            assert_eq!(canary.connections(), 0);
        });
    });
    let page = page.render();
    for (line, count) in [
        ("herald_attachments_refused_total{reason=\"digest\"}", 3),
        ("herald_attachments_refused_total{reason=\"empty\"}", 1),
        ("herald_attachments_refused_total{reason=\"too_large\"}", 2),
        ("herald_attachments_refused_total{reason=\"status\"}", 1),
        ("herald_attachments_refused_total{reason=\"address\"}", 5),
        ("herald_attachments_refused_total{reason=\"redirect\"}", 1),
        ("herald_attachments_failed_total{reason=\"unreachable\"}", 1),
        ("herald_attachments_downloaded_total", 1),
    ] {
        assert!(
            page.contains(&format!("{line} {count}\n")),
            "{line} {count} in\n{page}"
        );
    }
}

#[tokio::test]
async fn the_length_in_the_message_is_not_believed() {
    let authority = Authority::new();
    let server = secure(&authority, |_| ok(sealed().blob())).await;
    let mut encoded = sealed()
        .at(&format!("https://files.example:{}/", server.port()))
        .unwrap()
        .encode();
    for lie in ["0", "9007199254740991"] {
        for (name, value) in &mut encoded.parameters {
            if name == "contentLength" {
                lie.clone_into(value);
            }
        }
        let remote = RemoteAttachment::decode(&encoded).unwrap();
        let opened = download(&trusting(&authority), &remote, DOWNLOAD_BYTES)
            .await
            .unwrap();
        assert_eq!(opened, cat().into());
    }
}
