//! A wallet at a node is one process's: two would answer everything twice. At the built-in node the data folder is that already.

use std::{
    env,
    fs::{DirBuilder, File},
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
};

use anyhow::Context as _;
use herald_protocol::address::Address;

use super::Failure;
use crate::{
    bot::store::lock::{self, Refused},
    client::NodeAddress,
};

/// Takes a wallet at a node for this process, as long as the file is held. None where this user has no place for such files.
pub(super) fn claim(wallet: Address, node: &NodeAddress) -> anyhow::Result<Option<File>> {
    let Some(folder) = folder() else {
        tracing::warn!(
            "neither XDG_RUNTIME_DIR nor HOME is set: another process with the same identity is not noticed"
        );
        return Ok(None);
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let node: String = node.to_string();
    let place: String = url::form_urlencoded::byte_serialize(node.as_bytes()).collect();
    let file = folder.join(format!("{wallet}-{place}.lock"));
    match lock::take(&file) {
        Ok(file) => Ok(Some(file)),
        Err(Refused::Taken { pid }) => {
            let reason = format!(
                "the wallet {wallet} is used at {node} by a running herald (pid {pid}); stop it, or give the bot another identity"
            );
            Err(Failure::Usage(anyhow::anyhow!(reason)).into())
        }
        Err(Refused::Io(error)) => Err(error).with_context(|| format!("cannot use {}", file.display())),
    }
}

/// Where this user's processes find each other.
fn folder() -> Option<PathBuf> {
    let set = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let runtime = set("XDG_RUNTIME_DIR");
    let home = || Some(set("HOME")?.join(".local").join("state"));
    Some(runtime.or_else(home)?.join("herald"))
}
