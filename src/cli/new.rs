//! `herald new`: a folder with a bot to begin with, which runs as it is.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use zeroize::Zeroizing;

use super::{Failure, Options, keys, print};
use crate::bot::config::{self, schema};

/// Makes a folder with a bot of one's own, its secrets and the schema for the editor
#[derive(Args, Debug)]
pub(super) struct New {
    /// The bot's name, and the folder's
    #[arg(value_name = "NAME")]
    name: String,
    /// What it begins with: hello, orders, letter, tickets, course, notes, support, drop, rss, health, price, digest, liquidation or dao
    #[arg(long, value_name = "TEMPLATE", default_value = "hello")]
    from: String,
}

/// A bot to begin with: one of the repository.
struct Template {
    name: &'static str,
    bot: &'static str,
    /// What it reads, by the paths it names.
    files: &'static [(&'static str, &'static [u8])],
    /// The project, where it names what only a project has.
    project: Option<&'static str>,
}

const TEMPLATES: &[Template] = &[
    template("hello", include_str!("../../bots/hello.yaml")),
    template("orders", include_str!("../../bots/orders.yaml")),
    template("letter", include_str!("../../bots/letter.yaml")),
    template("rss", include_str!("../../bots/rss.yaml")),
    template("health", include_str!("../../bots/health.yaml")),
    template("tickets", include_str!("../../bots/tickets.yaml")),
    template("course", include_str!("../../bots/course.yaml")),
    template("price", include_str!("../../bots/price.yaml")),
    template("digest", include_str!("../../bots/digest.yaml")),
    template("notes", include_str!("../../bots/notes.yaml")),
    Template {
        project: Some(PROJECT),
        ..template("liquidation", include_str!("../../bots/liquidation.yaml"))
    },
    Template {
        project: Some(PROJECT),
        ..template("dao", include_str!("../../bots/dao.yaml"))
    },
    Template {
        project: Some(PROJECT),
        ..template("support", include_str!("../../bots/support.yaml"))
    },
    Template {
        files: &[
            ("drop/team.csv", include_bytes!("../../bots/drop/team.csv")),
            ("drop/poster.png", include_bytes!("../../bots/drop/poster.png")),
        ],
        project: Some(PROJECT),
        ..template("drop", include_str!("../../bots/drop.yaml"))
    },
];

/// The project of the repository's bots.
const PROJECT: &str = include_str!("../../bots/herald.yaml");

/// One that reads no files.
const fn template(name: &'static str, bot: &'static str) -> Template {
    Template {
        name,
        bot,
        files: &[],
        project: None,
    }
}

/// The editor's schemas, beside the bot.
const SCHEMA: &str = "bot.schema.json";
const PROJECT_SCHEMA: &str = "project.schema.json";

impl New {
    pub(super) fn execute(self, options: &Options) -> anyhow::Result<()> {
        let template = find(&self.from)?;
        let folder = PathBuf::from(&self.name);
        if !config::is_bot_name(&self.name) {
            return Err(usage(format!(
                "expected a name of 2 to 63 of `a-z`, `0-9` and `-`, a letter first, found `{}`",
                print::inline(&self.name)
            )));
        }
        if folder.exists() {
            return Err(usage(format!(
                "there is a file or folder {} already",
                folder.display()
            )));
        }
        let bot = adapted(template.bot, &self.name);
        let project = template.project.map(|project| {
            let own = format!("project: {}\n", self.name);
            project.replace("project: examples\n", &own)
        });
        let secrets = secrets(&[bot.as_str(), project.as_deref().unwrap_or_default()].concat())?;
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        write(&folder.join("bot.yaml"), bot.as_bytes())?;
        write(&folder.join(SCHEMA), format!("{:#}\n", schema::bot()).as_bytes())?;
        write(&folder.join(".gitignore"), b".env\ndata/\n")?;
        if let Some(project) = project {
            write(&folder.join("herald.yaml"), project.as_bytes())?;
            let schema = format!("{:#}\n", schema::project());
            write(&folder.join(PROJECT_SCHEMA), schema.as_bytes())?;
        }
        for (path, text) in template.files {
            let path = folder.join(path);
            let own = path.parent().unwrap_or(&folder);
            std::fs::create_dir_all(own)
                .with_context(|| format!("cannot make the folder {}", own.display()))?;
            write(&path, text)?;
        }
        keys::write_private(&folder.join(".env"), secrets.trim_end())?;
        tell(&folder, &bot, options);
        Ok(())
    }
}

fn usage(reason: String) -> anyhow::Error {
    Failure::Usage(anyhow::anyhow!(reason)).into()
}

fn find(name: &str) -> anyhow::Result<&'static Template> {
    if let Some(template) = TEMPLATES.iter().find(|template| template.name == name) {
        return Ok(template);
    }
    let known: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
    let found = print::inline(name);
    Err(usage(format!(
        "there is no template `{found}`; there are {}",
        known.join(", ")
    )))
}

/// The template as the file of a bot of this name.
fn adapted(template: &str, name: &str) -> String {
    let key = format!("{}_KEY", name.to_uppercase().replace('-', "_"));
    let (mut text, mut own) = (String::new(), "");
    for line in template.lines() {
        if let Some(was) = line.strip_prefix("bot: ") {
            own = was.trim();
            text.extend(["bot: ", name, "\n"]);
        } else if let Some(rest) = line.strip_prefix("identity: env:") {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
            text.extend(["identity: env:", &key, rest, "\n"]);
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    for rule in rules(template) {
        text = text.replace(&format!(" {own}/{rule}`"), &format!(" {name}/{rule}`"));
    }
    text.replace(&format!("bots/{own}.yaml"), "bot.yaml")
        .replace(&format!("/hooks/{own}/"), &format!("/hooks/{name}/"))
}

/// The names of a template's rules.
fn rules(template: &str) -> impl Iterator<Item = &str> {
    template
        .lines()
        .skip_while(|line| *line != "rules:")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.strip_prefix("  ")?.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with(' '))
}

/// The lines of `.env`: a new key for the bot, a place to fill in for each node of a chain, and a new secret for each other reference.
fn secrets(bot: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut names = BTreeSet::new();
    for after in bot.split("env:").skip(1) {
        let name: String = after
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        names.insert(name);
    }
    let mut lines = Zeroizing::new(String::with_capacity(64 * 1024));
    lines.push_str("# Read when the environment does not have these. It is for this machine alone.\n");
    for name in names.iter().filter(|name| !name.is_empty()) {
        let secret = keys::random_secret()?;
        let value = if name.ends_with("_KEY") {
            Zeroizing::new(const_hex::encode(secret.as_slice()))
        } else if let Some(chain) = name.strip_suffix("_RPC") {
            Zeroizing::new(format!("https://{}.example", chain.to_lowercase()))
        } else {
            Zeroizing::new(format!("whsec_{}", STANDARD.encode(secret.as_slice())))
        };
        lines.push_str(name);
        lines.push('=');
        lines.push_str(&value);
        lines.push('\n');
    }
    Ok(lines)
}

fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn tell(folder: &Path, bot: &str, options: &Options) {
    let (path, lines) = (folder.join("bot.yaml"), bot.lines().count());
    let tests = bot
        .lines()
        .skip_while(|line| !line.starts_with("tests:"))
        .filter(|line| line.trim_start().starts_with("- name:"))
        .count();
    if options.json {
        return print::json(&serde_json::json!({
            "created": path.display().to_string(), "lines": lines, "tests": tests,
        }));
    }
    let noun = if tests == 1 { "test" } else { "tests" };
    print::line(&format!(
        "created {} ({lines} lines, {tests} {noun})",
        path.display()
    ));
    print::line(&format!("next: cd {} && herald dev", folder.display()));
}
