//! Where the operator keeps files that messages name, and under which https address anybody can read them.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::{
    Attribute, ObjectStore, ObjectStoreExt as _, PutOptions, PutPayload, local::LocalFileSystem,
};
use url::Url;

use super::{Error, WITHIN};
use crate::fetch::Fetch;

/// Where uploads go. It is the operator's: its address is not guarded, and it may be private where its public address is not.
#[derive(Clone)]
pub struct UploadTarget {
    to: To,
    /// Under which files can be read; for [`To::Presigned`] the file itself.
    public: Url,
}

#[derive(Clone)]
enum To {
    Store(Arc<dyn ObjectStore>),
    /// Each file under a name of its own below this.
    Put(Url),
    /// One file, at this address, and whether it is there or on its way; clones of a target share that.
    Presigned(Url, Arc<AtomicBool>),
}

impl UploadTarget {
    /// A folder that some web server shows at `public`, an https address, or an http address of this machine for trying things out.
    /// It is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Store`]: the folder cannot be made or read. [`Error::Target`]: the public address is neither.
    pub fn folder(path: &Path, public: &str) -> Result<Self, Error> {
        let public = match own_base(public) {
            Some(own) => own,
            None => public_base(public)?,
        };
        let unfit = |source| {
            Error::Store(object_store::Error::Generic {
                store: "folder",
                source,
            })
        };
        std::fs::create_dir_all(path).map_err(|error| unfit(error.into()))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(Error::Store)?;
        Ok(Self {
            // The message that names the file goes to disk elsewhere: neither may be there without the other after a power cut.
            to: To::Store(Arc::new(store.with_fsync(true))),
            public,
        })
    }

    /// A store of the caller's, whose objects anybody can read below `public`, an https address.
    ///
    /// # Errors
    /// [`Error::Target`]: the public address is not https.
    pub fn store(store: Arc<dyn ObjectStore>, public: &str) -> Result<Self, Error> {
        Ok(Self {
            to: To::Store(store),
            public: public_base(public)?,
        })
    }

    /// A server that takes `PUT` of any name below `base`, and shows it below `public`, an https address.
    ///
    /// # Errors
    /// [`Error::Target`]: the base is not http or https; the public address is not https.
    pub fn put_below(base: &str, public: &str) -> Result<Self, Error> {
        Ok(Self {
            to: To::Put(parse(base, &["http", "https"])?),
            public: public_base(public)?,
        })
    }

    /// One address that takes one `PUT`, such as a presigned one. The file is read at the same address without its query, which
    /// must be https.
    ///
    /// It is for one file: an upload after one that succeeded, or beside one that goes on, is [`Error::Target`], since it would
    /// take the place of a file that a message names. An upload that failed can be tried again, one whose call was dropped cannot:
    /// its file may be on its way still.
    ///
    /// # Errors
    /// [`Error::Target`]: the address is not https.
    pub fn presigned(url: &str) -> Result<Self, Error> {
        let url = parse(url, &["https"])?;
        let mut public = url.clone();
        public.set_query(None);
        public.set_fragment(None);
        Ok(Self {
            to: To::Presigned(url, Arc::default()),
            public,
        })
    }

    /// Whether its store answers and takes the key, by looking for the first of its files; addresses that only take files are not
    /// asked. What a store says may hold the name of the key, so the error is in words of our own.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub async fn look(&self) -> Result<(), &'static str> {
        let To::Store(store) = &self.to else {
            return Ok(());
        };
        if matches!(store.list(None).next().await, None | Some(Ok(_))) {
            return Ok(());
        }
        // A list that is refused does not say why; a file that is not there does.
        let absent = object_store::path::Path::from("herald-looks-for-nothing");
        match store.head(&absent).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Err("there is no such bucket"),
            Err(
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. },
            ) => Err("the bucket refuses the key, or does not let it list"),
            Err(_) => Err("the bucket does not answer in a way that can be used"),
        }
    }

    /// The address that a file of this name is read at.
    pub(super) fn address(&self, name: &str) -> String {
        match &self.to {
            To::Presigned(..) => self.public.to_string(),
            To::Store(_) | To::Put(_) => below(&self.public, name).to_string(),
        }
    }

    /// Puts a file, and gives the address that it is read at.
    pub(super) async fn put(&self, fetch: &Fetch, name: &str, blob: Bytes) -> Result<String, Error> {
        match &self.to {
            To::Store(store) => {
                let put = tokio::time::timeout(WITHIN, store_as(store.as_ref(), name, blob)).await;
                put.map_err(|_| Error::StoreTimeout { within: WITHIN })?
                    .map_err(Error::Store)?;
            }
            To::Put(base) => fetch.put(below(base, name), CONTENT_TYPE, blob, WITHIN).await?,
            To::Presigned(url, is_taken) => {
                if is_taken.swap(true, Ordering::AcqRel) {
                    return Err(Error::Target {
                        found: "an address that another file was or is put at".to_owned(),
                        wanted: "an address for each file",
                    });
                }
                let put = fetch.put(url.clone(), CONTENT_TYPE, blob, WITHIN).await;
                if put.is_err() {
                    // No message names what may have been put.
                    is_taken.store(false, Ordering::Release);
                }
                put?;
            }
        }
        Ok(self.address(name))
    }
}

impl fmt::Debug for UploadTarget {
    /// Shows the public address only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadTarget")
            .field("public", &self.public.as_str())
            .finish_non_exhaustive()
    }
}

/// An S3-compatible bucket.
#[cfg(feature = "s3")]
#[derive(Clone)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What names of files begin with, such as `drops`; may be empty.
    pub prefix: String,
    /// Its region; `us-east-1` for most others than AWS.
    pub region: String,
    /// Where it is, for others than AWS: `https://host`, the bucket is put into the path.
    pub endpoint: Option<String>,
    /// The name of the access key.
    pub key: String,
    /// The secret of the access key.
    pub secret: secrecy::SecretString,
}

#[cfg(feature = "s3")]
impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "s3")]
impl UploadTarget {
    /// A bucket whose objects anybody can read below `public`, an https address: names there do not repeat the prefix.
    ///
    /// # Errors
    /// [`Error::Store`]: the bucket cannot be addressed. [`Error::Target`]: the public address is not https.
    pub fn s3(fetch: &Fetch, bucket: S3, public: &str) -> Result<Self, Error> {
        use object_store::{RetryConfig, aws::AmazonS3Builder, prefix::PrefixStore};
        use secrecy::ExposeSecret as _;

        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket.bucket)
            .with_region(bucket.region)
            .with_access_key_id(bucket.key)
            .with_secret_access_key(bucket.secret.expose_secret())
            .with_http_connector(Operators(fetch.operators()))
            .with_retry(RetryConfig {
                max_retries: 2,
                retry_timeout: WITHIN,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = bucket.endpoint {
            let endpoint = parse(&endpoint, &["http", "https"])?;
            builder = builder
                .with_allow_http(endpoint.scheme() == "http")
                .with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let store = builder.build().map_err(Error::Store)?;
        Self::store(Arc::new(PrefixStore::new(store, bucket.prefix)), public)
    }
}

/// Lends our client to a store, so that it needs no TLS and no settings of its own.
#[cfg(feature = "s3")]
#[derive(Debug)]
struct Operators(reqwest::Client);

#[cfg(feature = "s3")]
impl object_store::client::HttpConnector for Operators {
    fn connect(
        &self,
        _: &object_store::ClientOptions,
    ) -> object_store::Result<object_store::client::HttpClient> {
        Ok(object_store::client::HttpClient::new(self.0.clone()))
    }
}

/// Puts a file with its type, or without where the store keeps none, as folders do.
async fn store_as(store: &dyn ObjectStore, name: &str, blob: Bytes) -> object_store::Result<()> {
    let path = object_store::path::Path::from(name);
    let mut typed = PutOptions::default();
    typed
        .attributes
        .insert(Attribute::ContentType, CONTENT_TYPE.into());
    match store.put_opts(&path, PutPayload::from(blob.clone()), typed).await {
        Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
            let put = store.put_opts(&path, PutPayload::from(blob), PutOptions::default());
            put.await.map(drop)
        }
        put => put.map(drop),
    }
}

/// A name below a base, whether the base ends with `/` or not.
fn below(base: &Url, name: &str) -> Url {
    let mut url = base.clone();
    let path = format!("{}/{name}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// An http address of this machine.
fn own_base(text: &str) -> Option<Url> {
    let url = parse(text, &["http"]).ok()?;
    let is_own = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    (is_own && url.query().is_none() && url.fragment().is_none()).then_some(url)
}

fn public_base(text: &str) -> Result<Url, Error> {
    let url = parse(text, &["https"])?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Target {
            found: "a public address with a query or fragment".to_owned(),
            wanted: "`https://host/path`",
        });
    }
    Ok(url)
}

/// Reads an address of the operator's configuration. Its text is not repeated in errors: it may be a presigned one.
fn parse(text: &str, schemes: &[&str]) -> Result<Url, Error> {
    let wanted = if schemes.contains(&"http") {
        "an http or https address without user"
    } else {
        "an https address without user"
    };
    let wrong = |found| Error::Target { found, wanted };
    let url = Url::parse(text).map_err(|error| wrong(format!("no address ({error})")))?;
    if !schemes.contains(&url.scheme()) {
        let scheme: String = url.scheme().chars().take(20).collect();
        return Err(wrong(format!("scheme `{scheme}`")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a user or password".to_owned()));
    }
    Ok(url)
}

/// What a sealed file is to who keeps it.
const CONTENT_TYPE: &str = "application/octet-stream";
