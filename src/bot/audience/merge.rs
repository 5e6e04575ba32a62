//! The variables that several branches gave one wallet: the first branch that gives a name wins.

use serde_json::{Map, Value};

use super::{Audience, Branch};
use crate::bot::{config::List, store::Named};

/// What a recipient's row keeps of its audience.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// The first list that named the wallet.
    pub(crate) list: Option<String>,
    /// The variables, a JSON record.
    pub(crate) vars: Option<String>,
}

/// Merges what the branches gave. `list_of` knows the lists by the names that branches have for them.
pub(crate) fn given<'l>(
    branches: &[Branch<'_>],
    list_of: impl Fn(&str) -> Option<&'l List>,
    named: Named,
) -> Given {
    let mut naming = named.branches.into_iter().filter_map(|(number, vars)| {
        let branch = branches.get(usize::from(number)).filter(|branch| branch.gives)?;
        Some((branch.audience, vars))
    });
    let Some(first) = naming.next() else {
        return Given::default();
    };
    let Some(second) = naming.next() else {
        return match first {
            (Audience::List { list, .. }, _) => Given {
                list: Some(list.clone()),
                vars: None,
            },
            (_, vars) => Given { list: None, vars },
        };
    };
    let (mut list, mut vars) = (None, Map::new());
    let mut fields: Vec<&str> = Vec::new();
    for (audience, own) in [first, second].into_iter().chain(naming) {
        if let (Audience::List { list: name, .. }, None) = (audience, &list) {
            list = Some(name.clone());
            // The member's record has them, as they are when the message is sent.
            fields.extend(PERSON);
            let declared = list_of(name)
                .map(|list| list.fields.as_slice())
                .unwrap_or_default();
            fields.extend(declared.iter().map(|field| field.name.as_str()));
            continue;
        }
        let own = own.and_then(|own| serde_json::from_str::<Map<String, Value>>(&own).ok());
        for (name, value) in own.into_iter().flatten() {
            if !fields.contains(&name.as_str()) {
                vars.entry(name).or_insert(value);
            }
        }
    }
    Given {
        list,
        vars: (!vars.is_empty()).then(|| Value::Object(vars).to_string()),
    }
}

/// What is known of every member of a list beside the list's own fields.
const PERSON: [&str; 3] = ["name", "tz", "lang"];

#[cfg(test)]
mod tests;
