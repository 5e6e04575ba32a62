//! Files outside of messages, up and down (XIP-17): sealed here, put where the operator says, and read from where a stranger says.
//!
//! ```text
//! upload    attachment -> seal under a key of its own -> a random name at the target -> RemoteAttachment with its https address
//! download  RemoteAttachment -> fetch (https, guarded, counted) -> digest -> decrypt -> content
//! ```
//!
//! Who keeps the files sees sizes and times; names, types and bytes are sealed. Whoever reads the message can read the file.

mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use herald_protocol::limits;

use super::{Client, Disposition};
use crate::{
    content::{Attachment, AttachmentError, AttachmentKey, Content, RemoteAttachment, SealedAttachment},
    fetch::{self, Fetch, Request},
};

#[cfg(feature = "s3")]
pub use target::S3;
pub use target::UploadTarget;

/// Most bytes of a sealed file that [`download`] should take by default: what a content may have, [`limits::CONTENT_BYTES`].
pub const DOWNLOAD_BYTES: usize = limits::CONTENT_BYTES;

/// Most bytes of a sealed file, whatever the caller allows. Ours: it is held in memory, twice while an attachment is opened from it, and
/// three times besides the caller's own while one is sealed.
pub const MAX_BYTES: usize = 100 * 1024 * 1024;

/// Why a file was not uploaded or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server was not asked, or did not answer as wanted.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// What was found is not what the message promised, or the attachment cannot be sealed.
    #[error(transparent)]
    Attachment(#[from] AttachmentError),
    /// The file is larger than readers take.
    #[error("the sealed file has {found} bytes, wanted at most {limit}")]
    TooLarge {
        /// Its size.
        found: usize,
        /// [`MAX_BYTES`].
        limit: usize,
    },
    /// The operator's target cannot be used.
    #[error("upload target: found {found}, wanted {wanted}")]
    Target {
        /// What is configured, without what may be secret in it.
        found: String,
        /// What can be.
        wanted: &'static str,
    },
    /// The store did not take the file.
    #[error("the upload store did not take the file")]
    Store(#[source] object_store::Error),
    /// The store did not take the file in time.
    #[error("the upload store did not take the file within {within:?}")]
    StoreTimeout {
        /// The time it had.
        within: Duration,
    },
    /// The system gave no random bytes.
    #[error("no randomness from the system: {0}")]
    Randomness(getrandom::Error),
    /// Work was cut off because the program ends.
    #[error("the client was closed")]
    Closed,
}

impl Error {
    /// Whether another try of the same call can help.
    pub fn disposition(&self) -> Disposition {
        use object_store::Error as Store;
        match self {
            Self::Fetch(error) => error.disposition(),
            Self::Store(
                Store::PermissionDenied { .. }
                | Store::Unauthenticated { .. }
                | Store::NotFound { .. }
                | Store::NotSupported { .. }
                | Store::NotImplemented { .. }
                | Store::InvalidPath { .. }
                | Store::UnknownConfigurationKey { .. },
            )
            | Self::Attachment(_)
            | Self::TooLarge { .. }
            | Self::Target { .. } => Disposition::Reject,
            Self::Store(_) | Self::StoreTimeout { .. } | Self::Randomness(_) | Self::Closed => {
                Disposition::Retry(None)
            }
        }
    }

    /// A stable label for counters.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.label(),
            Self::Attachment(error) => error.label(),
            Self::TooLarge { .. } => "too_large",
            Self::Target { .. } => "target",
            Self::Store(_) => "store",
            Self::StoreTimeout { .. } => "timeout",
            Self::Randomness(_) => "randomness",
            Self::Closed => "closed",
        }
    }
}

impl Client {
    /// Seals an attachment, puts it where the target says, and gives the content that names it; see [`upload`].
    ///
    /// # Errors
    /// As [`upload`].
    pub async fn upload(
        &self,
        attachment: &Attachment,
        target: &UploadTarget,
    ) -> Result<RemoteAttachment, Error> {
        upload(self.fetch()?, attachment, target).await
    }

    /// Reads, checks and opens the file that a message names, up to [`DOWNLOAD_BYTES`]; see [`download`].
    ///
    /// # Errors
    /// As [`download`].
    pub async fn download(&self, remote: &RemoteAttachment) -> Result<Content, Error> {
        download(self.fetch()?, remote, DOWNLOAD_BYTES).await
    }

    /// The HTTP client of this client, made when first needed.
    fn fetch(&self) -> Result<&Fetch, Error> {
        if let Some(fetch) = self.inner.fetch.get() {
            return Ok(fetch);
        }
        let made = Fetch::builder().build()?;
        Ok(self.inner.fetch.get_or_init(|| made))
    }
}

/// Seals an attachment under a fresh key and puts it where the target says. The content to send comes back once the file can be
/// read: a message never names a file that is not there.
///
/// # Errors
/// The file is larger than [`MAX_BYTES`]; the target did not take it.
pub async fn upload(
    fetch: &Fetch,
    attachment: &Attachment,
    target: &UploadTarget,
) -> Result<RemoteAttachment, Error> {
    // Before the work of sealing it; its name and type are counted after.
    bounded(attachment.data.len())?;
    let attachment = attachment.clone();
    put(fetch, target, move |key| {
        Ok(RemoteAttachment::seal(&attachment, key))
    })
    .await
}

/// Like [`upload`], for a content of any type but a remote attachment. Readers are told `filename`.
///
/// # Errors
/// As [`upload`]; the content is a remote attachment.
pub async fn upload_content(
    fetch: &Fetch,
    content: &Content,
    filename: Option<String>,
    target: &UploadTarget,
) -> Result<RemoteAttachment, Error> {
    let content = content.clone();
    put(fetch, target, move |key| {
        RemoteAttachment::seal_content(&content, filename, key)
    })
    .await
}

/// A sealed file and the content that will name it, before the file is anywhere. Whoever must not upload twice stores the content,
/// then calls [`Self::put`]; after a crash between the two, [`Self::again`] makes the same of it.
#[derive(Clone, Debug)]
pub struct Prepared {
    name: String,
    sealed: SealedAttachment,
    remote: RemoteAttachment,
}

impl Prepared {
    /// Seals an attachment under a fresh key and names its place at a target.
    ///
    /// # Errors
    /// The file is larger than [`MAX_BYTES`].
    pub async fn new(attachment: &Attachment, target: &UploadTarget) -> Result<Self, Error> {
        bounded(attachment.data.len())?;
        let attachment = attachment.clone();
        let key = AttachmentKey::from_random(random()?);
        let sealed = compute(move || RemoteAttachment::seal(&attachment, key)).await?;
        bounded(sealed.blob().len())?;
        let name = const_hex::encode(random::<NAME_BYTES>()?);
        let remote = sealed.at(&target.address(&name))?;
        Ok(Self { name, sealed, remote })
    }

    /// What [`Self::new`] made of the same attachment at the same target earlier; none when either is another now.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn again(
        attachment: &Attachment,
        target: &UploadTarget,
        remote: RemoteAttachment,
    ) -> Result<Option<Self>, Error> {
        let name = remote.url().rsplit('/').next().unwrap_or_default().to_owned();
        if name.is_empty() || target.address(&name) != remote.url() {
            return Ok(None);
        }
        let attachment = attachment.clone();
        compute(move || {
            let sealed = remote.seal_again(&attachment)?;
            Some(Self { name, sealed, remote })
        })
        .await
    }

    /// The content to send once the file is where it says.
    pub fn remote(&self) -> &RemoteAttachment {
        &self.remote
    }

    /// Puts the file where the content says. Putting it twice changes nothing.
    ///
    /// # Errors
    /// The target did not take it.
    pub async fn put(&self, fetch: &Fetch, target: &UploadTarget) -> Result<(), Error> {
        target.put(fetch, &self.name, self.sealed.shared_blob()).await?;
        metrics::counter!("herald_attachments_uploaded_total").increment(1);
        Ok(())
    }
}

async fn put(
    fetch: &Fetch,
    target: &UploadTarget,
    seal: impl FnOnce(AttachmentKey) -> Result<SealedAttachment, AttachmentError> + Send + 'static,
) -> Result<RemoteAttachment, Error> {
    let key = AttachmentKey::from_random(random()?);
    let sealed = compute(move || seal(key)).await??;
    bounded(sealed.blob().len())?;
    let name = const_hex::encode(random::<NAME_BYTES>()?);
    let blob: Bytes = sealed.shared_blob();
    let url = target.put(fetch, &name, blob).await?;
    let remote = sealed.at(&url)?;
    metrics::counter!("herald_attachments_uploaded_total").increment(1);
    Ok(remote)
}

/// Reads, checks and opens the file that a message names, at most `max_bytes` of it ([`DOWNLOAD_BYTES`] is a good bound;
/// [`MAX_BYTES`] is the highest) and within two minutes. In most cases it is an [`Attachment`].
///
/// The address is a stranger's: it is asked over https only, at public addresses or those that the operator allowed, and memory
/// follows the bytes that arrive, not the length that the message claims.
///
/// # Errors
/// The address is refused, not reachable, or answers with more, less or other than what was sealed. What another try cannot mend is
/// counted in `herald_attachments_refused_total`, the rest in `herald_attachments_failed_total`, by reason.
pub async fn download(fetch: &Fetch, remote: &RemoteAttachment, max_bytes: usize) -> Result<Content, Error> {
    let opened = read(fetch, remote, max_bytes.min(MAX_BYTES)).await;
    match &opened {
        Ok(_) => metrics::counter!("herald_attachments_downloaded_total").increment(1),
        Err(error) if error.disposition() == Disposition::Reject => {
            metrics::counter!("herald_attachments_refused_total", "reason" => error.label()).increment(1);
        }
        Err(error) => {
            metrics::counter!("herald_attachments_failed_total", "reason" => error.label()).increment(1);
        }
    }
    opened
}

async fn read(fetch: &Fetch, remote: &RemoteAttachment, max_bytes: usize) -> Result<Content, Error> {
    let mut request = Request::read(remote.url())?.max_bytes(max_bytes).within(WITHIN);
    // Without TLS it is of this machine, which the guard refuses unless the operator allowed it.
    if !remote.url().starts_with("http://") {
        request = request.https_only();
    }
    let answer = fetch.send(request).await?.success()?;
    let remote = remote.clone();
    Ok(compute(move || remote.open_in_place(answer.body.into())).await??)
}

fn bounded(found: usize) -> Result<(), Error> {
    if found > MAX_BYTES {
        return Err(Error::TooLarge {
            found,
            limit: MAX_BYTES,
        });
    }
    Ok(())
}

/// Runs ciphers off the async threads.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(bytes)
}

/// Random bytes in the name of a file: who is not told the address does not find it.
const NAME_BYTES: usize = 24;

/// Time for one file, up or down. Ours: 16 MiB at 1 Mbit/s.
const WITHIN: Duration = Duration::from_mins(2);
