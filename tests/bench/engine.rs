//! Which store the nodes of a figure have.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::OnceLock};

use herald_test_postgres::Cluster;

use crate::{
    Error,
    bare_database::{self, BareDatabase},
    bare_store::{Bare, BareStore},
};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// The store of a node that has `folder` to itself, as its configuration names it.
    pub(crate) fn store(self, folder: &Path) -> Result<String, Error> {
        match self {
            Self::Sqlite => Ok(folder.join("node.db").display().to_string()),
            Self::Postgres => Ok(cluster()?.database()),
        }
    }

    /// What a server does by itself within minutes of being filled.
    pub(crate) fn settle(self, store: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres => bare_database::vacuum(store),
        }
    }

    /// The least that store can do.
    pub(crate) fn bare(self, folder: &Path) -> Result<Box<dyn Bare>, Error> {
        Ok(match self {
            Self::Sqlite => Box::new(BareStore::create(folder)?),
            Self::Postgres => Box::new(BareDatabase::create(&cluster()?.database())?),
        })
    }
}

/// One server for all figures, on the disk of the build, with the settings it comes with but for its memory: that is meant
/// to be set, and made for the smallest machines.
fn cluster() -> Result<&'static Cluster, Error> {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    if let Some(cluster) = CLUSTER.get() {
        return Ok(cluster);
    }
    // The server runs as another user, who has to come in.
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let open = scratch.join("postgres");
    fs::create_dir_all(&open)?;
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777))?;
    Ok(CLUSTER.get_or_init(|| Cluster::start(&open, &["shared_buffers = 1GB"])))
}
