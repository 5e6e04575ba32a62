//! The project's upload targets, each made when first needed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::ExposeSecret as _;

use super::{
    config::secret,
    project::{Project, Upload},
    source::Given,
};
use crate::{
    client::attachments::{self, S3, UploadTarget},
    fetch::Fetch,
};

/// Why a target cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The project has none of this name any more.
    #[error("the project has no upload target `{0}`")]
    Unknown(String),
    /// It takes no file.
    #[error("upload target `{name}` answered with status {status}, wanted 200 to 299")]
    Status {
        /// Its name.
        name: String,
        /// The HTTP status.
        status: u16,
    },
    /// Its key or secret cannot be read.
    #[error("upload target `{name}`")]
    Secret {
        /// Its name.
        name: String,
        /// What is wrong with the reference.
        #[source]
        source: secret::Error,
    },
    /// It cannot be set up.
    #[error("upload target `{name}`")]
    Target {
        /// Its name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: attachments::Error,
    },
}

/// Where files go that messages name; clones share the targets.
#[derive(Clone, Debug)]
pub struct Uploads {
    project: Arc<Project>,
    fetch: Fetch,
    made: Arc<Mutex<BTreeMap<String, UploadTarget>>>,
    /// How targets answer, where that is given.
    given: Arc<Given>,
}

impl Uploads {
    /// The targets of a project.
    pub fn of(project: Arc<Project>, fetch: Fetch) -> Self {
        Self {
            project,
            fetch,
            made: Arc::default(),
            given: Arc::default(),
        }
    }

    /// Lets those targets take no file whose answers are given as other than 200 to 299.
    #[must_use]
    pub(crate) fn answering(self, given: Arc<Given>) -> Self {
        Self { given, ..self }
    }

    /// Puts a target in the place of the project's of this name.
    pub fn put(&self, name: &str, target: UploadTarget) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(name.to_owned(), target);
    }

    /// The client that uploads.
    pub fn fetch(&self) -> &Fetch {
        &self.fetch
    }

    /// The target of this name. It may read files and run commands for its secrets, and make its folder: call it off the async threads.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn target(&self, name: &str) -> Result<UploadTarget, Error> {
        if let Some(status) = self.given.status(name)
            && !(200..=299).contains(&status)
        {
            return Err(Error::Status {
                name: name.to_owned(),
                status,
            });
        }
        let known = self
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned();
        if let Some(target) = known {
            return Ok(target);
        }
        let target = self.make(name)?;
        self.put(name, target.clone());
        Ok(target)
    }

    fn make(&self, name: &str) -> Result<UploadTarget, Error> {
        let upload = self.project.uploads.get(name);
        let upload = upload.ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let made = match upload {
            Upload::Folder { folder, public } => UploadTarget::folder(folder, public),
            Upload::S3 {
                bucket,
                prefix,
                region,
                endpoint,
                key,
                secret,
                public,
            } => {
                let read = |reference: &super::config::SecretReference| {
                    reference
                        .resolve(self.project.folder())
                        .map_err(|source| Error::Secret {
                            name: name.to_owned(),
                            source,
                        })
                };
                let bucket = S3 {
                    bucket: bucket.clone(),
                    prefix: prefix.clone(),
                    region: region.clone(),
                    endpoint: endpoint.clone(),
                    key: read(key)?.expose_secret().to_owned(),
                    secret: read(secret)?,
                };
                UploadTarget::s3(&self.fetch, bucket, public)
            }
        };
        made.map_err(|source| Error::Target {
            name: name.to_owned(),
            source,
        })
    }
}
