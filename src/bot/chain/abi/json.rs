//! JSON ABIs, as compilers write them.

use serde::Deserialize;

use super::{Event, Parameter, read};

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    anonymous: bool,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    kind: String,
    components: Option<Vec<Input>>,
    #[serde(default)]
    indexed: bool,
}

/// A compiler's artefact: the ABI among other things.
#[derive(Deserialize)]
struct Artefact {
    abi: Vec<Entry>,
}

pub(super) fn event(abi: &str, wanted: &str) -> Result<Event, String> {
    let entries: Vec<Entry> = serde_json::from_str(abi)
        .or_else(|_| serde_json::from_str(abi).map(|Artefact { abi }| abi))
        .map_err(|_| "expected a JSON ABI: a list of events and functions".to_owned())?;
    let wanted: String = wanted.chars().filter(|c| !c.is_whitespace()).collect();
    let name = wanted.split('(').next().unwrap_or_default();
    let mut found = Vec::new();
    for entry in entries {
        if entry.kind != "event" || entry.name != name {
            continue;
        }
        let event = Event::new(entry.name, parameters(entry.inputs)?, entry.anonymous);
        if wanted == name || event.signature() == wanted {
            found.push(event);
        }
    }
    match (found.pop(), found.first()) {
        (Some(event), None) => Ok(event),
        (Some(event), Some(other)) => Err(format!(
            "several events are called `{name}`: write `{}` or `{}`",
            other.signature(),
            event.signature()
        )),
        (None, _) => Err(format!("the file has no event `{wanted}`")),
    }
}

fn parameters(inputs: Vec<Input>) -> Result<Vec<Parameter>, String> {
    let mut parameters = Vec::new();
    for (place, input) in inputs.into_iter().enumerate() {
        let parts = input.components.map(parameters_of).transpose()?;
        let kind = read::kind(&input.kind, parts).map_err(|mistake| mistake.message)?;
        let name = if input.name.is_empty() {
            format!("arg{place}")
        } else {
            input.name
        };
        parameters.push(Parameter {
            name,
            kind,
            indexed: input.indexed,
        });
    }
    read::checked(parameters)
}

/// As deep as JSON is read, which is bounded.
fn parameters_of(components: Vec<Input>) -> Result<Vec<Parameter>, String> {
    parameters(components)
}
