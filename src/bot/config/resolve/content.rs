//! `send`, `reply`, `welcome`, `goodbye`: the messages of a content.

use super::report::Report;
use super::rule::condition;
use crate::bot::config::Part;
use crate::bot::config::file::{ContentFile, PartFile, TextFile};
use crate::bot::expression::Names;

/// The messages of a content.
pub(super) fn parts(report: &mut Report<'_>, content: &ContentFile, names: &Names) -> Option<Vec<Part>> {
    let part = |report: &mut Report<'_>, file: &TextFile| {
        if report.is_full() {
            return None;
        }
        let condition = condition(report, file.condition.as_ref(), names);
        let template = report.template(&file.text, names);
        Some(Part {
            condition: condition?,
            template: template?,
        })
    };
    match content {
        ContentFile::Template(text) => report.template(text, names).map(|template| {
            vec![Part {
                condition: None,
                template,
            }]
        }),
        ContentFile::Text(file) => part(report, file).map(|part| vec![part]),
        ContentFile::Parts(files) => {
            let parts: Vec<Option<Part>> = files
                .iter()
                .map(|PartFile::Text(file)| part(report, file))
                .collect();
            parts.into_iter().collect()
        }
    }
}
