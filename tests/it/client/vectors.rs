//! The recorded reactions of the JavaScript client, for their numbers: `api_http.json` of the folder in `HERALD_VECTORS`, else
//! of `herald-protocol`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A case of the file.
pub(super) struct Case {
    value: Value,
}

/// The case of this name.
pub(super) fn case(name: &str) -> Case {
    let value = cases().into_iter().find(|case| case["name"] == name);
    Case {
        value: value.unwrap_or_else(|| panic!("no case `{name}`")),
    }
}

pub(super) fn cases() -> Vec<Value> {
    #[expect(clippy::disallowed_methods, reason = "the folder is the caller's choice")]
    let given = std::env::var("HERALD_VECTORS").map(|folder| PathBuf::from(folder).join("api_http.json"));
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/testdata/vectors/api_http.json");
    // A folder from elsewhere may have no such file.
    let path = given.ok().filter(|path| path.exists()).unwrap_or_else(own);
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["cases"].as_array().unwrap().clone()
}

impl Case {
    /// What stands at a path such as `/expected/attempts`.
    pub(super) fn value(&self, path: &str) -> &Value {
        let value = self.value.pointer(path);
        value.unwrap_or_else(|| panic!("{} has no {path}", self.value["name"]))
    }

    pub(super) fn number(&self, path: &str) -> u64 {
        self.value(path).as_u64().unwrap()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        usize::try_from(self.number(path)).unwrap()
    }

    pub(super) fn text(&self, path: &str) -> &str {
        self.value(path).as_str().unwrap()
    }

    /// The JSON that was the body of a request.
    pub(super) fn body(&self, path: &str) -> Value {
        serde_json::from_str(self.text(path)).unwrap()
    }
}
