//! `GET /uploads/…`: files that messages name, from the folders that the project shows here. They are sealed: who finds one and has no
//! message that names it sees bytes.

use std::path::PathBuf;

use axum::{
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{Refusal, Shared};
use crate::bot::project::{Project, Upload};

/// The folders of the project whose public address is this API.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    /// What follows `/uploads/` in the public address, and the folder.
    shown: Vec<(String, PathBuf)>,
}

impl Folders {
    /// The folders that an API on this port of this machine shows: those whose public address is below `/uploads` of it.
    pub fn of(project: &Project, port: u16) -> Self {
        let mut shown = Vec::new();
        for upload in project.uploads.values() {
            let Upload::Folder { folder, public } = upload else {
                continue;
            };
            let Ok(public) = Url::parse(public) else {
                continue;
            };
            // Other addresses than those of this machine have TLS, which this API has not.
            if public.scheme() != "http" || public.port_or_known_default() != Some(port) {
                continue;
            }
            let below = format!("{}/", public.path().trim_end_matches('/'));
            if let Some(below) = below.strip_prefix("/uploads/") {
                shown.push((below.to_owned(), folder.clone()));
            }
        }
        Self { shown }
    }

    /// The file at a path below `/uploads/`. Names are those that uploads make, so that none leads anywhere else.
    fn file(&self, path: &str) -> Option<PathBuf> {
        let mut found = self.shown.iter().filter_map(|(below, folder)| {
            let name = path.strip_prefix(below)?;
            is_name(name).then(|| folder.join(name))
        });
        found.next()
    }
}

/// 24 random bytes in hex.
fn is_name(name: &str) -> bool {
    name.len() == 48
        && name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

pub(super) async fn read(
    State(shared): State<Shared>,
    Path(path): Path<String>,
) -> Result<Response, Refusal> {
    let nothing = || Refusal::new(StatusCode::NOT_FOUND, "there is no such file");
    let file = shared.folders.file(&path).ok_or_else(nothing)?;
    let bytes = tokio::fs::read(file).await.map_err(|_| nothing())?;
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A name is never used for another file.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        // Apps in browsers read it from their own pages.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn project() -> Project {
        let folder = |name: &str, public: &str| {
            let upload = Upload::Folder {
                folder: name.into(),
                public: public.to_owned(),
            };
            (name.to_owned(), upload)
        };
        Project {
            uploads: [
                folder("here", "http://127.0.0.1:7411/uploads"),
                folder("below", "http://localhost:7411/uploads/drops/"),
                folder("other-port", "http://127.0.0.1:7412/uploads/a"),
                folder("with-tls", "https://127.0.0.1:7411/uploads/b"),
                folder("elsewhere", "http://127.0.0.1:7411/v1"),
            ]
            .into(),
            ..Project::default()
        }
    }

    #[test]
    fn folders_are_shown_whose_address_is_this_api_and_files_by_the_names_of_uploads_alone() {
        let folders = Folders::of(&project(), 7411);
        let name = "0123456789abcdef".repeat(3);
        assert_eq!(folders.file(&name), Some(Path::new("here").join(&name)));
        let below = format!("drops/{name}");
        assert_eq!(folders.file(&below), Some(Path::new("below").join(&name)));
        for path in [
            String::new(),
            format!("a/{name}"),
            format!("b/{name}"),
            format!("../{name}"),
            format!("drops/../{name}"),
            format!("/{name}"),
            format!("{name}/"),
            format!("{name}.tmp"),
            format!("{name}\0"),
            name.to_uppercase(),
            "../../etc/passwd".to_owned(),
            "/etc/passwd".to_owned(),
            "%2e%2e%2fherald.db".to_owned(),
            format!("..%2f{name}"),
            name.replace('0', "."),
            name.replace('0', "/"),
            name.replace('0', "\\"),
        ] {
            assert_eq!(folders.file(&path), None, "{path:?}");
        }
        assert_eq!(Folders::of(&project(), 80).file(&name), None);
    }
}
