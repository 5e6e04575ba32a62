//! What is posted to a source: JSON whose texts are templates.

use serde_json::{Map, Value as Json};

use crate::bot::expression::{EvaluationError, Scope, Template, Value};

/// A JSON value with templates in it.
#[derive(Debug, Clone)]
pub enum Post {
    /// As it is: a number, `true`, `false`, `null`.
    Constant(Json),
    /// A text.
    Text(Template),
    /// Values in order.
    List(Vec<Post>),
    /// Values by name.
    Map(Vec<(String, Post)>),
}

impl Post {
    /// The values that it prints.
    pub(super) fn outputs(&self, scope: &Scope, into: &mut Vec<Value>) -> Result<(), EvaluationError> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Text(template) => {
                into.extend(template.outputs(scope)?);
                Ok(())
            }
            Self::List(items) => items.iter().try_for_each(|item| item.outputs(scope, into)),
            Self::Map(entries) => entries
                .iter()
                .try_for_each(|(_, entry)| entry.outputs(scope, into)),
        }
    }

    pub(super) fn render(&self, scope: &Scope) -> Result<Json, EvaluationError> {
        Ok(match self {
            Self::Constant(json) => json.clone(),
            Self::Text(template) => Json::from(template.render(scope)?),
            Self::List(items) => {
                let items: Result<Vec<Json>, _> = items.iter().map(|item| item.render(scope)).collect();
                Json::from(items?)
            }
            Self::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(name, entry)| Ok((name.clone(), entry.render(scope)?)));
                Json::Object(entries.collect::<Result<Map<_, _>, EvaluationError>>()?)
            }
        })
    }
}
