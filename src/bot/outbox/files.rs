//! Files of messages: read from the bot's folder, and uploaded once an occurrence where they do not travel inside.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::Read as _,
    path::Path,
    sync::Arc,
};

use super::{first_cause, render::FileMessage, with_causes};
use crate::{
    bot::{
        folder,
        running::Running,
        store::{self, Delivery, UploadKey},
    },
    client::{
        Disposition,
        attachments::{self, Prepared},
    },
    content::{Attachment, Content, ContentCodec as _, EncodedContent, RemoteAttachment, safe_filename},
};

/// The largest file inside of a message: 1 MB. With its seal it is what nodes take in one envelope.
pub(crate) const ATTACHED_BYTES: usize = 1_000_000;

/// Why a file is no content.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It may be later.
    Later(String),
    /// It never is.
    Never(String),
}

/// The contents of a round, each made once.
#[derive(Default)]
pub(super) struct Files {
    attached: HashMap<FileMessage, Result<Content, Failure>>,
    remote: HashMap<UploadKey, Result<Content, Failure>>,
}

impl Files {
    /// The content of a row's file.
    pub(super) async fn content(
        &mut self,
        running: &Arc<Running>,
        row: &Delivery,
        file: FileMessage,
    ) -> Result<Result<Content, Failure>, store::Error> {
        match &file.upload {
            None => {
                if let Some(known) = self.attached.get(&file) {
                    return Ok(known.clone());
                }
                let read = read(running, file.clone(), ATTACHED_BYTES).await;
                let content = read.map(Content::Attachment);
                self.attached.insert(file, content.clone());
                Ok(content)
            }
            Some(upload) => {
                let upload = upload.clone();
                match self.remote.entry(UploadKey::of(row)) {
                    Entry::Occupied(known) => Ok(known.get().clone()),
                    Entry::Vacant(unknown) => {
                        let content = remote(running, unknown.key(), file, upload).await?;
                        Ok(unknown.insert(content).clone())
                    }
                }
            }
        }
    }
}

/// The content that names a file outside of messages. It is stored before the file leaves, and again once it is there: whatever
/// dies in between, the file is put under the same name or was never named to anybody.
async fn remote(
    running: &Arc<Running>,
    key: &UploadKey,
    file: FileMessage,
    upload: String,
) -> Result<Result<Content, Failure>, store::Error> {
    let store = &running.store;
    let known = match store.upload(key.clone()).await? {
        Some(known) => {
            let remote = EncodedContent::decode(&known.content)
                .and_then(|content| RemoteAttachment::decode(&content))
                .ok();
            remote.map(|remote| (remote, known.is_there))
        }
        None => None,
    };
    if let Some((remote, true)) = known {
        return Ok(Ok(remote.into()));
    }
    let (uploads, name) = (running.uploads.clone(), upload.clone());
    let target = off_thread(move || {
        uploads
            .target(&name)
            .map_err(|error| Failure::Later(with_causes(&error)))
    });
    let target = match target.await {
        Ok(target) => target,
        Err(failure) => return Ok(Err(failure)),
    };
    let attachment = match read(running, file, attachments::MAX_BYTES).await {
        Ok(attachment) => attachment,
        Err(failure) => return Ok(Err(failure)),
    };
    let again = match known {
        Some((remote, _)) => Prepared::again(&attachment, &target, remote).await,
        None => Ok(None),
    };
    let prepared = match again {
        Ok(Some(prepared)) => Ok(prepared),
        Ok(None) => Prepared::new(&attachment, &target).await,
        Err(error) => Err(error),
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(failure(&upload, &error))),
    };
    let content = prepared.remote().encode().encode();
    store.begin_upload(key.clone(), content).await?;
    if let Err(error) = prepared.put(running.uploads.fetch(), &target).await {
        return Ok(Err(failure(&upload, &error)));
    }
    store.end_upload(key.clone(), running.now()).await?;
    Ok(Ok(prepared.remote().clone().into()))
}

/// Tells the first cause only: those between say how long the try took, so that each would look like another reason.
fn failure(upload: &str, error: &attachments::Error) -> Failure {
    let cause = first_cause(error)
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let reason = format!("upload target `{upload}`: {error}{cause}");
    match error.disposition() {
        Disposition::Reject => Failure::Never(reason),
        Disposition::Retry(_) => Failure::Later(reason),
    }
}

/// Reads a file in the bot's folder.
async fn read(running: &Arc<Running>, file: FileMessage, most: usize) -> Result<Attachment, Failure> {
    let running = Arc::clone(running);
    off_thread(move || {
        let data = Some(running.store.folder());
        let opened = folder::open(running.bot.folder(), data, Path::new(&file.file));
        let opened = opened.map_err(|error| Failure::Never(error.to_string()))?;
        let mut bytes = Vec::new();
        opened
            .take(most as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::Later(format!("cannot read `{}`: {error}", file.file)))?;
        if bytes.len() > most {
            let reason = format!("expected a file of at most {most} bytes at `{}`", file.file);
            return Err(Failure::Never(reason));
        }
        let own = Path::new(&file.file)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let name = safe_filename(file.name.as_deref().unwrap_or(&own));
        let mime = file.mime.unwrap_or_else(|| media_type(&name).to_owned());
        Ok(Attachment::new(name, mime, bytes))
    })
    .await
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Failure::Later("the program ends".to_owned())))
}

/// What a file is, by the end of its name.
fn media_type(name: &str) -> &'static str {
    let (_, ending) = name.rsplit_once('.').unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "heic" => "image/heic",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "zip" => "application/zip",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" => "text/html",
        "ics" => "text/calendar",
        _ => "application/octet-stream",
    }
}
