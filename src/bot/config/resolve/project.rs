//! `herald.yaml`: from its shape to a valid [`Project`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use url::Url;

use super::report::Report;
use super::{node, note_missing};
use crate::bot::config::SecretReference;
use crate::bot::config::diagnostics::{Code, Finding, quote};
use crate::bot::config::file::{ChainFile, FetchFile, FolderFile, ProjectFile, S3File, UploadFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{OneOrMany, Spanned, Text};
use crate::bot::config::tree::{NodeId, Tree};
use crate::bot::project::{self, Chain, Project, Rpc, Upload};

/// Resolves a project file. The project is `None` exactly when a finding is an error.
pub(crate) fn resolve(
    tree: &Tree,
    left_out: &BTreeSet<NodeId>,
    file: &ProjectFile,
    path: &Path,
) -> (Option<Project>, Vec<Finding>) {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut report = Report {
        tree,
        left_out,
        found: Vec::new(),
        used: BTreeSet::new(),
        asked: BTreeMap::new(),
    };
    let project = read(&mut report, file, path, &folder);
    (project, report.found)
}

fn read(report: &mut Report<'_>, file: &ProjectFile, path: &Path, folder: &Path) -> Option<Project> {
    let defaults = Project::default();
    if file.herald.value != "1" {
        report.word(&file.herald, &["1"]);
    }
    if let Some(name) = &file.project {
        report.bot_name(Place::Value(name.node), &name.value);
    }
    let node = match &file.node {
        Some(text) => node::resolve(report, text),
        None => Some(defaults.node),
    };
    let store = optional(file.store.as_ref(), |text| store(report, text, folder));
    let chains = entries(report, &file.chains.0, "chain name", |report, name, file| {
        chain(report, (name, file))
    });
    let uploads = entries(report, &file.uploads.0, "upload's name", |report, _, file| {
        upload(report, &file.value, folder)
    });
    let listen = match &file.api.listen {
        Some(text) => listen(report, text),
        None => Some(defaults.listen),
    };
    let tokens = optional(file.api.tokens.as_ref(), |text| secret(report, text, folder));
    let allowed = networks(report, &file.fetch);
    let recipient_limit = match &file.limits.recipient {
        Some(text) => report.limit(text),
        None => Some(defaults.recipient_limit),
    };
    Some(Project {
        file: Some(path.to_owned()),
        name: file.project.as_ref().map(|name| name.value.clone()),
        node: node?,
        store: store?,
        chains: chains?,
        uploads: uploads?,
        listen: listen?,
        tokens: tokens?,
        allowed: allowed?,
        recipient_limit: recipient_limit?,
    })
}

/// Reads what may be left out; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "an absent value and a wrong one are different things"
)]
fn optional<T>(text: Option<&Text>, read: impl FnOnce(&Text) -> Option<T>) -> Option<Option<T>> {
    match text {
        Some(text) => read(text).map(Some),
        None => Some(None),
    }
}

fn entries<F, T>(
    report: &mut Report<'_>,
    files: &[(String, Spanned<F>)],
    what: &str,
    mut read: impl FnMut(&mut Report<'_>, &str, &Spanned<F>) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let mut entries = Some(BTreeMap::new());
    for (name, file) in files {
        if report.is_full() {
            return None;
        }
        let is_named = report.name(Place::Key(file.node), name, what);
        match (&mut entries, read(report, name, file).filter(|_| is_named)) {
            (Some(entries), Some(value)) => {
                entries.insert(name.clone(), value);
            }
            _ => entries = None,
        }
    }
    entries
}

/// `sqlite:PATH`, relative to the file.
fn store(report: &mut Report<'_>, text: &Text, folder: &Path) -> Option<PathBuf> {
    if let Some(path) = text.value.strip_prefix("sqlite:")
        && !path.is_empty()
        && !path.contains('\0')
    {
        return Some(folder.join(path));
    }
    if text.value.starts_with("postgres://") || text.value.starts_with("postgresql://") {
        report.wrong(
            text,
            Code::NotYet,
            "`store: postgres://…` is not available yet",
            None,
        );
        return None;
    }
    // The text may hold a password.
    let message = "expected a store like `sqlite:data/herald.db`";
    report.wrong(text, Code::Store, message, None);
    None
}

fn chain(report: &mut Report<'_>, (name, file): (&str, &Spanned<ChainFile>)) -> Option<Chain> {
    let id = chain_id(report, (name, file));
    let texts = file.value.rpc.as_ref().map_or(&[][..], OneOrMany::as_slice);
    let rpc: Vec<Option<Rpc>> = texts.iter().map(|text| rpc(report, text)).collect();
    let confirmations = match &file.value.confirmations {
        Some(text) => confirmations(report, text),
        None => id.map(project::confirmations),
    };
    Some(Chain {
        id: id?,
        rpc: rpc.into_iter().collect::<Option<_>>()?,
        confirmations: confirmations?,
    })
}

fn chain_id(report: &mut Report<'_>, (name, file): (&str, &Spanned<ChainFile>)) -> Option<u64> {
    let Some(text) = &file.value.id else {
        let known = project::chain_id(name);
        if known.is_none() {
            let message = format!("`chains.{name}` has no `id`, and herald knows no chain of this name");
            report.add(
                Place::Key(file.node),
                Code::MissingKey,
                message,
                Some("add `id:`".to_owned()),
            );
        }
        return known;
    };
    let is_number = text.value.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.value.parse().ok().filter(|id| *id > 0 && is_number);
    if id.is_none() {
        let message = format!(
            "expected a chain's number like `8453`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Type, message, None);
    }
    id
}

/// A node of a chain: a URL, or a reference to one. Neither is repeated: a URL may hold a key.
fn rpc(report: &mut Report<'_>, text: &Text) -> Option<Rpc> {
    if text.value.parse::<SecretReference>().is_ok() {
        // One that is missing is told where a bot names the chain.
        return report.secret(text).map(Rpc::Reference);
    }
    let url = project::rpc_url(&text.value);
    if url.is_none() {
        let message = "expected a URL like `https://eth.example`, or a reference to one like `env:ETH_RPC`";
        report.wrong(text, Code::Url, message, None);
    }
    url.map(Rpc::Url)
}

/// Blocks that must stand on a block before its logs count.
pub(super) fn confirmations(report: &mut Report<'_>, text: &Text) -> Option<u64> {
    let is_number = text.value.bytes().all(|byte| byte.is_ascii_digit());
    let count = text
        .value
        .parse()
        .ok()
        .filter(|count| is_number && *count <= MOST_CONFIRMATIONS);
    if count.is_none() {
        let message = format!(
            "expected a number of blocks from 0 to {MOST_CONFIRMATIONS}, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Type, message, None);
    }
    count
}

/// Ours: a day of Ethereum's blocks and more.
const MOST_CONFIRMATIONS: u64 = 10_000;

fn upload(report: &mut Report<'_>, file: &UploadFile, folder: &Path) -> Option<Upload> {
    match file {
        UploadFile::S3(file) => bucket(report, file, folder),
        UploadFile::Folder(FolderFile { folder: path, public }) => {
            let public = public_address(report, public);
            if path.value.is_empty() || path.value.contains('\0') {
                report.wrong(path, Code::Url, "expected the path of a folder", None);
                return None;
            }
            Some(Upload::Folder {
                folder: folder.join(&path.value),
                public: public?,
            })
        }
    }
}

fn bucket(report: &mut Report<'_>, file: &S3File, folder: &Path) -> Option<Upload> {
    let public = public_address(report, &file.public);
    let key = secret(report, &file.key, folder);
    let password = secret(report, &file.secret, folder);
    let endpoint = optional(file.endpoint.as_ref(), |text| {
        address(report, text, "an address like `https://s3.example`", |url| {
            matches!(url.scheme(), "https" | "http")
        })
    });
    let (bucket, prefix) = file.s3.value.split_once('/').unwrap_or((&file.s3.value, ""));
    let is_word = |text: &str| {
        let mut bytes = text.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
    };
    let fits = !bucket.is_empty()
        && is_word(bucket)
        && is_word(prefix)
        && !prefix.split('/').any(|part| part == "." || part == "..");
    if !fits {
        let message = format!(
            "expected `BUCKET` or `BUCKET/PREFIX`, found {}",
            quote(&file.s3.value)
        );
        report.wrong(&file.s3, Code::Url, message, None);
        return None;
    }
    Some(Upload::S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        region: file
            .region
            .as_ref()
            .map_or_else(|| REGION.to_owned(), |region| region.value.clone()),
        endpoint: endpoint?,
        key: key?,
        secret: password?,
        public: public?,
    })
}

/// The region that S3-compatible stores take who have none.
const REGION: &str = "us-east-1";

fn secret(report: &mut Report<'_>, text: &Text, folder: &Path) -> Option<SecretReference> {
    let reference = report.secret(text)?;
    note_missing(report, text.node, &reference, folder);
    Some(reference)
}

/// The address of files for their readers: https, or http on this machine.
fn public_address(report: &mut Report<'_>, text: &Text) -> Option<String> {
    let wanted = "an address like `https://media.example/drops`";
    let fits = |url: &Url| {
        let safe = url.scheme() == "https" || (url.scheme() == "http" && project::is_loopback(url));
        safe && url.query().is_none() && url.fragment().is_none()
    };
    address(report, text, wanted, fits)
}

/// An address without a user, whose text is not repeated: it may hold a password.
fn address(
    report: &mut Report<'_>,
    text: &Text,
    wanted: &str,
    fits: impl Fn(&Url) -> bool,
) -> Option<String> {
    let url = Url::parse(&text.value)
        .ok()
        .filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
    if url.as_ref().is_some_and(fits) {
        return Some(text.value.clone());
    }
    let hint = text.value.starts_with("http://").then(|| {
        "without TLS only this machine itself can be named: `http://127.0.0.1:7411/uploads`".to_owned()
    });
    report.wrong(text, Code::Url, format!("expected {wanted}"), hint);
    None
}

/// `HOST:PORT`; port 0 takes any free one.
fn listen(report: &mut Report<'_>, text: &Text) -> Option<String> {
    let fits = text.value.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    if !fits {
        let message = format!(
            "expected an address like `127.0.0.1:7411`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Network, message, None);
    }
    fits.then(|| text.value.clone())
}

fn networks(report: &mut Report<'_>, file: &FetchFile) -> Option<Vec<IpNet>> {
    let texts = file.allow.as_ref().map_or(&[][..], OneOrMany::as_slice);
    let networks: Vec<Option<IpNet>> = texts.iter().map(|text| network(report, text)).collect();
    networks.into_iter().collect()
}

fn network(report: &mut Report<'_>, text: &Text) -> Option<IpNet> {
    let network = text.value.parse().ok();
    if network.is_none() {
        let example = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let hint = text.value.parse().ok().map(|address: IpAddr| {
            let length = if address.is_ipv4() { 32 } else { 128 };
            format!("write `{address}/{length}`")
        });
        let message = format!(
            "expected a network like `{example}/32`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Network, message, hint);
    }
    network
}
