//! `send`, `reply`, `welcome`, `goodbye`: the messages of a content; and `profile`.

use std::path::Path;

use url::Url;

use super::Context;
use super::report::Report;
use super::rule::condition;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{
    AttachFile, AttachedFile, ContentFile, CustomDetails, PartFile, ProfileFile, RemoteDetails, TxDetails,
};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::config::{CustomPart, FilePart, Part, PartContent, Profile};
use crate::bot::expression::{Names, Template, Type};
use crate::bot::folder;
use crate::content::ContentTypeId;

/// The names that a content may use.
#[derive(Clone, Copy)]
pub(super) struct InScope<'n> {
    pub(super) names: &'n Names,
    /// Those that are the same for all recipients of an occurrence.
    pub(super) of_all: &'n Names,
    /// Whether it follows a message of the bot, which it may answer.
    pub(super) follows: bool,
}

impl<'n> InScope<'n> {
    /// Of a content for one person alone.
    pub(super) fn of_one(names: &'n Names) -> Self {
        Self {
            names,
            of_all: names,
            follows: false,
        }
    }
}

/// The messages of a content.
pub(super) fn parts(
    report: &mut Report<'_>,
    context: &Context,
    file: &ContentFile,
    scope: InScope<'_>,
) -> Option<Vec<Part>> {
    let files = match file {
        ContentFile::Template(text) => {
            let template = report.template(text, scope.names)?;
            return Some(vec![Part {
                condition: None,
                content: PartContent::Text(template),
            }]);
        }
        ContentFile::Part(file) => std::slice::from_ref(file.as_ref()),
        ContentFile::Parts(files) => files.as_slice(),
    };
    let parts: Vec<Option<Part>> = files
        .iter()
        .map(|file| part(report, context, file, scope))
        .collect();
    parts.into_iter().collect()
}

fn part(report: &mut Report<'_>, context: &Context, file: &PartFile, scope: InScope<'_>) -> Option<Part> {
    let names = scope.names;
    if report.is_full() {
        return None;
    }
    let (message, condition_file) = match file {
        PartFile::Text(file) => {
            let text = report.template(&file.text, names).map(PartContent::Text);
            (text, &file.condition)
        }
        PartFile::Markdown(file) => {
            let text = report.template(&file.markdown, names).map(PartContent::Markdown);
            (text, &file.condition)
        }
        PartFile::Reply(file) => {
            let answers = answers(report, &file.reply, scope, "reply");
            let text = report.template(&file.reply, names).map(PartContent::Reply);
            (answers.and(text), &file.condition)
        }
        PartFile::React(file) => {
            let answers = answers(report, &file.react, scope, "react");
            let emoji = report.template(&file.react, names).map(PartContent::React);
            (answers.and(emoji), &file.condition)
        }
        PartFile::Attach(file) => (attached(report, context, file, names), &file.condition),
        PartFile::Remote(file) => (
            remote(report, context, &file.remote, scope.of_all),
            &file.condition,
        ),
        PartFile::Tx(file) => (transaction(report, context, &file.tx, names), &file.condition),
        PartFile::Custom(file) => (custom(report, &file.custom, names), &file.condition),
    };
    let condition = condition(report, condition_file.as_ref(), names);
    Some(Part {
        content: message?,
        condition: condition?,
    })
}

/// Whether there is a message to answer.
fn answers(report: &mut Report<'_>, text: &Text, scope: InScope<'_>, key: &str) -> Option<()> {
    if scope.follows || matches!(scope.names.get("message"), Some(Type::Record(_))) {
        return Some(());
    }
    let message = format!("`{key}` answers a message, and here is none");
    let hint = "it stands in commands, in follow-ups, and in rules that only messages fire";
    report.add(
        Place::Key(text.node),
        Code::Undefined,
        message,
        Some(hint.to_owned()),
    );
    None
}

fn attached(
    report: &mut Report<'_>,
    context: &Context,
    part: &AttachFile,
    names: &Names,
) -> Option<PartContent> {
    let (file, name, mime) = match &part.attach {
        AttachedFile::File(text) => (text, None, None),
        AttachedFile::Details(details) => (&details.file, details.name.as_ref(), details.mime.as_ref()),
    };
    let file = file_part(report, context, (file, name, mime), names);
    file.map(PartContent::Attach)
}

fn remote(
    report: &mut Report<'_>,
    context: &Context,
    details: &RemoteDetails,
    names: &Names,
) -> Option<PartContent> {
    let texts = (&details.file, details.name.as_ref(), details.mime.as_ref());
    let file = file_part(report, context, texts, names);
    let upload = &details.upload;
    let uploads = &context.project.uploads;
    if !uploads.contains_key(&upload.value) {
        let message = format!("the project has no upload target {}", quote(&upload.value));
        if uploads.is_empty() {
            let hint = "add it under `uploads` of herald.yaml; until then the message waits".to_owned();
            report.wrong(upload, Code::NoUpload, message, Some(hint));
        } else {
            let known = uploads.keys().map(String::as_str);
            let hint = Report::meant(&upload.value, known)
                .unwrap_or_else(|| "upload targets stand under `uploads` of herald.yaml".to_owned());
            report.wrong(upload, Code::Undefined, message, Some(hint));
            return None;
        }
    }
    Some(PartContent::Remote {
        file: file?,
        upload: upload.value.clone(),
    })
}

fn file_part(
    report: &mut Report<'_>,
    context: &Context,
    (file, name, mime): (&Text, Option<&Text>, Option<&Text>),
    names: &Names,
) -> Option<FilePart> {
    let template = report.template(file, names);
    let is_plain = !file.value.contains("{{") && !file.value.contains("{%") && !file.value.contains("{#");
    let is_there = !is_plain || is_in_folder(report, &context.folder, file);
    let name = match name {
        Some(text) => report.template(text, names).map(Some),
        None => Some(None),
    };
    let mime = match mime {
        Some(text) => media_type(report, text).map(Some),
        None => Some(None),
    };
    Some(FilePart {
        file: template.filter(|_| is_there)?,
        name: name?,
        mime: mime?,
    })
}

/// Whether a file can be sent. One that is missing may come before it is.
fn is_in_folder(report: &mut Report<'_>, folder: &Path, text: &Text) -> bool {
    match folder::locate(folder, None, Path::new(text.value.trim_end())) {
        Ok(_) => true,
        Err(error @ folder::Error::Absent(_)) => {
            let hint = "it must be there before the message is sent";
            report.wrong(text, Code::FileMissing, error.to_string(), Some(hint.to_owned()));
            true
        }
        Err(error) => {
            report.wrong(text, Code::File, error.to_string(), None);
            false
        }
    }
}

fn media_type(report: &mut Report<'_>, text: &Text) -> Option<String> {
    let is_token = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let fits = text.value.len() <= 127
        && text
            .value
            .split_once('/')
            .is_some_and(|(kind, name)| is_token(kind) && is_token(name));
    if !fits {
        let message = format!(
            "expected a media type like `image/png`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::ContentType, message, None);
    }
    fits.then(|| text.value.clone())
}

fn transaction(
    report: &mut Report<'_>,
    context: &Context,
    details: &TxDetails,
    names: &Names,
) -> Option<PartContent> {
    let name = &details.chain;
    let chain = context.project.chain(&name.value);
    if chain.is_none() {
        let message = format!("the project has no chain {}", quote(&name.value));
        let hint = Report::meant(&name.value, context.project.chain_names())
            .unwrap_or_else(|| "chains stand under `chains` of herald.yaml".to_owned());
        report.wrong(name, Code::Undefined, message, Some(hint));
    }
    let hash = report.expression(&details.hash, names)?;
    let ty = hash.ty();
    // A text is read as a hash when there is one.
    let wanted = [Type::Hash, Type::Text, Type::Word].map(Type::optional);
    if !wanted.iter().any(|wanted| wanted.accepts(ty)) {
        let message = format!("expected the hash of a transaction, found {ty}");
        report.wrong(&details.hash, Code::Expression, message, None);
        return None;
    }
    Some(PartContent::Transaction { chain: chain?, hash })
}

fn custom(report: &mut Report<'_>, details: &CustomDetails, names: &Names) -> Option<PartContent> {
    let ty = content_type(report, &details.ty);
    let mut parameters = Some(Vec::new());
    for (name, text) in &details.parameters.0 {
        let template: Option<Template> = report.template(&text.value, names);
        parameters = parameters.zip(template).map(|(mut parameters, template)| {
            parameters.push((name.clone(), template));
            parameters
        });
    }
    let content = report.template(&details.content, names);
    let fallback = report.template(&details.fallback, names);
    Some(PartContent::Custom(Box::new(CustomPart {
        ty: ty?,
        parameters: parameters?,
        content: content?,
        fallback: fallback?,
    })))
}

/// `authority/name:1.0`.
fn content_type(report: &mut Report<'_>, text: &Text) -> Option<ContentTypeId> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let is_word = |text: &str| {
        let mut bytes = text.bytes();
        let fits = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        !text.is_empty() && text.len() <= 100 && fits
    };
    let read = || {
        let (authority, rest) = text.value.split_once('/')?;
        let (name, version) = rest.split_once(':')?;
        let (major, minor) = version.split_once('.')?;
        let spelled = is_word(authority) && is_word(name);
        spelled.then_some((
            authority,
            ContentTypeId::new(authority, name, number(major)?, number(minor)?),
        ))
    };
    let Some((authority, ty)) = read() else {
        let message = format!(
            "expected a content type like `example.org/vote:1.0`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::ContentType, message, None);
        return None;
    };
    if authority == "xmtp.org" {
        let message = format!("{} belongs to the standard", quote(&text.value));
        let hint = "the standard's types have parts of their own, such as `text` and `react`";
        report.wrong(text, Code::ContentType, message, Some(hint.to_owned()));
        return None;
    }
    Some(ty)
}

/// `profile`.
pub(super) fn profile(report: &mut Report<'_>, file: &ProfileFile) -> Option<Profile> {
    let mut fits = true;
    if let Some(text) = &file.name
        && (text.value.trim().is_empty() || text.value.chars().count() > 100)
    {
        let message = format!(
            "expected a name of 1 to 100 characters, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Name, message, None);
        fits = false;
    }
    if let Some(text) = &file.image {
        let is_address =
            |url: Url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
        if text.value.len() > 2000 || !Url::parse(&text.value).is_ok_and(is_address) {
            let message = format!(
                "expected an address like `https://example.org/icon.png`, found {}",
                quote(&text.value)
            );
            report.wrong(text, Code::Url, message, None);
            fits = false;
        }
    }
    if let Some(text) = &file.color {
        let digits = text.value.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let message = format!(
                "expected a colour like `\"#6b5cff\"`, found {}",
                quote(&text.value)
            );
            let hint = "behind a space `#` begins a comment, so it needs quotes";
            report.wrong(text, Code::Word, message, Some(hint.to_owned()));
            fits = false;
        }
    }
    let value = |text: &Option<Text>| text.as_ref().map(|text| text.value.clone());
    fits.then(|| Profile {
        name: value(&file.name),
        image: value(&file.image),
        color: value(&file.color),
    })
}
