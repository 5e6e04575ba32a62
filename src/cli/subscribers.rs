//! `herald subscribers`: who is on a bot's lists, beside a running herald or without one.

mod table;

use std::{io::Write as _, path::PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value};

use super::{
    Failure, Options,
    desk::{Desk, Herald, NOTHING, escaped},
    print,
    wallet_argument::WalletArgument,
};
use crate::console::shapes::{
    BotShape, Import, Imported, ListShape, MemberShape, Members, Membership, NewMember, Outcome, Person,
};

/// Lists and the people on them.
#[derive(Debug, Subcommand)]
pub(super) enum Subscribers {
    /// List the members of a list
    List(List),
    /// Put a wallet on a list, with its welcome, as if it had joined
    Add(Add),
    /// Take a wallet off a list
    Remove(Remove),
    /// Put the wallets of a CSV file on a list, without a word to them
    Import(ImportFile),
    /// Write a list as CSV to stdout, as `import` reads it
    Export(List),
    /// Show what the bots know of a wallet: lists, fields, consent and proof, history
    Show(Who),
    /// Erase a wallet; the bots do not write to it again
    Forget(Who),
}

/// A list.
#[derive(Args, Debug)]
pub(super) struct List {
    #[command(flatten)]
    list: Place,
    #[command(flatten)]
    herald: Herald,
}

/// A list by its bot and its name.
#[derive(Args, Clone, Debug)]
struct Place {
    /// The list, as BOT/LIST
    #[arg(value_name = "BOT/LIST", value_parser = place)]
    place: (String, String),
}

/// A wallet and a list.
#[derive(Args, Debug)]
pub(super) struct Add {
    #[command(flatten)]
    list: Place,
    /// The wallet, or its name: `alice.eth`
    wallet: WalletArgument,
    /// A field, as NAME=VALUE; several times for several
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// The wallet's signature of the list's consent text
    #[arg(long, value_name = "0x…", requires = "proof_time")]
    proof: Option<String>,
    /// The time in that text, milliseconds since 1970
    #[arg(long, value_name = "MS", requires = "proof")]
    proof_time: Option<u64>,
    #[command(flatten)]
    herald: Herald,
}

/// A member of a list.
#[derive(Args, Debug)]
pub(super) struct Remove {
    #[command(flatten)]
    list: Place,
    /// The wallet, or its name
    wallet: WalletArgument,
    #[command(flatten)]
    herald: Herald,
}

/// A file for a list.
#[derive(Args, Debug)]
pub(super) struct ImportFile {
    #[command(flatten)]
    list: Place,
    /// CSV with a header: `wallet` (or its name), then fields, `proof`, `proof_time` in any order
    file: PathBuf,
    #[command(flatten)]
    herald: Herald,
}

/// A wallet.
#[derive(Args, Debug)]
pub(super) struct Who {
    /// The wallet, or its name
    wallet: WalletArgument,
    /// Only with this bot [default: every bot]
    #[arg(long)]
    bot: Option<String>,
    #[command(flatten)]
    herald: Herald,
}

fn place(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((bot, list)) if !bot.is_empty() && !list.is_empty() && !list.contains('/') => {
            Ok((bot.to_owned(), list.to_owned()))
        }
        _ => Err("expected BOT/LIST".to_owned()),
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Place {
    fn path(&self, rest: &str) -> String {
        let (bot, list) = &self.place;
        format!("bots/{}/lists/{}/{rest}", escaped(bot), escaped(list))
    }
}

impl Subscribers {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let herald = match &self {
            Self::List(list) | Self::Export(list) => &list.herald,
            Self::Add(add) => &add.herald,
            Self::Remove(remove) => &remove.herald,
            Self::Import(import) => &import.herald,
            Self::Show(who) | Self::Forget(who) => &who.herald,
        };
        let desk = herald.open(options).await?;
        let done = match self {
            Self::List(list) => list.list.show(&desk, options).await,
            Self::Export(list) => list.list.export(&desk).await,
            Self::Add(add) => add.execute(&desk, options).await,
            Self::Remove(remove) => remove.execute(&desk).await,
            Self::Import(import) => import.execute(&desk, options).await,
            Self::Show(who) => who.show(&desk, options).await,
            Self::Forget(who) => who.forget(&desk).await,
        };
        desk.close().await?;
        done
    }
}

impl Place {
    /// Calls `each` for every member, a page at a time.
    async fn each(&self, desk: &Desk, mut each: impl FnMut(MemberShape)) -> anyhow::Result<()> {
        let mut after = String::new();
        loop {
            let path = self.path(&format!("members?after={}", escaped(&after)));
            let page: Members = desk.ask(Method::GET, &path, NOTHING).await?;
            page.members.into_iter().for_each(&mut each);
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    async fn show(&self, desk: &Desk, options: &Options) -> anyhow::Result<()> {
        self.each(desk, |member| {
            if options.json {
                return print::json(&member);
            }
            let fields: Vec<String> = member
                .fields
                .iter()
                .map(|(name, value)| format!("{name}={}", print::inline(&table::text(value))))
                .collect();
            let proof = if member.proof.is_some() { "signed" } else { "" };
            let line = format!(
                "{}  {}  {proof:<6}  {}",
                member.wallet,
                member.joined_at,
                fields.join(" ")
            );
            print::line(line.trim_end());
        })
        .await
    }

    async fn export(&self, desk: &Desk) -> anyhow::Result<()> {
        let (bot, list) = &self.place;
        let lists: Vec<ListShape> = desk
            .ask(Method::GET, &format!("bots/{}/lists", escaped(bot)), NOTHING)
            .await?;
        let shape = lists.into_iter().find(|shape| shape.list == *list);
        let declared = shape.map(|shape| shape.fields).unwrap_or_default();
        let mut fields: Vec<String> = ["name", "tz", "lang"].map(ToOwned::to_owned).into();
        fields.extend(
            declared
                .into_iter()
                .map(|field| field.name)
                .filter(|name| !["name", "tz", "lang"].contains(&name.as_str())),
        );
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        let mut failed = writeln!(out, "{}", table::header(&fields)).err();
        self.each(desk, |member| {
            if failed.is_none() {
                failed = writeln!(out, "{}", table::row(&member, &fields)).err();
            }
        })
        .await?;
        if failed.or_else(|| out.flush().err()).is_some() {
            anyhow::bail!("the table could not be written");
        }
        Ok(())
    }
}

impl Add {
    async fn execute(self, desk: &Desk, options: &Options) -> anyhow::Result<()> {
        let fields = self.fields.into_iter().map(|(name, value)| (name, value.into()));
        let new = NewMember {
            wallet: self.wallet.to_string(),
            signature: self.proof,
            timestamp: self.proof_time,
            fields: fields.collect::<Map<String, Value>>(),
        };
        let done: Membership = desk
            .ask(Method::POST, &self.list.path("members"), Some(&new))
            .await?;
        if options.json {
            print::json(&done);
        } else if done.joined {
            print::line(&format!("{} joined {}", done.wallet, done.list));
        } else {
            print::line(&format!("{} is on {} and has new fields", done.wallet, done.list));
        }
        Ok(())
    }
}

impl Remove {
    async fn execute(self, desk: &Desk) -> anyhow::Result<()> {
        let path = self
            .list
            .path(&format!("members/{}", escaped(&self.wallet.to_string())));
        desk.ask::<Value>(Method::DELETE, &path, NOTHING).await?;
        print::talk(&format!("{} is off {}", self.wallet, self.list.place.1));
        Ok(())
    }
}

/// Members in one request.
const AT_ONCE: usize = 500;
/// Bytes after which a request is full; a row adds at most 128 KiB to them, and 256 KiB pass.
const BYTES_AT_ONCE: usize = 100 * 1024;

impl ImportFile {
    async fn execute(self, desk: &Desk, options: &Options) -> anyhow::Result<()> {
        let mut rows = table::Rows::open(&self.file).map_err(Failure::Usage)?;
        let (mut joined, mut updated, mut broken) = (0_u64, 0_u64, 0_u64);
        let tell = |line: u64, reason: &str| {
            if options.json {
                print::json(&serde_json::json!({ "row": line, "reason": reason }));
            } else {
                print::line(&format!("row {line}: {}", print::inline(reason)));
            }
        };
        loop {
            let (mut lines, mut members) = (Vec::new(), Vec::new());
            let (mut is_over, mut bytes) = (false, 0);
            while members.len() < AT_ONCE && bytes < BYTES_AT_ONCE && !is_over {
                match rows.next()? {
                    Some((line, Ok(member))) => {
                        bytes += serde_json::to_vec(&member)?.len();
                        lines.push(line);
                        members.push(member);
                    }
                    Some((line, Err(reason))) => {
                        broken += 1;
                        tell(line, &reason);
                    }
                    None => is_over = true,
                }
            }
            if !members.is_empty() {
                let import = Import { members };
                let done: Imported = desk
                    .ask(Method::POST, &self.list.path("import"), Some(&import))
                    .await?;
                for (line, outcome) in lines.into_iter().zip(done.outcomes) {
                    match outcome {
                        Outcome::Joined => joined += 1,
                        Outcome::Updated => updated += 1,
                        Outcome::Refused(reason) => {
                            broken += 1;
                            tell(line, &reason);
                        }
                    }
                }
            }
            if is_over {
                break;
            }
        }
        print::talk(&format!("{joined} joined, {updated} updated, {broken} refused"));
        if broken > 0 {
            return Err(Failure::Findings(1).into());
        }
        Ok(())
    }
}

impl Who {
    /// The bots it is about.
    async fn bots(&self, desk: &Desk) -> anyhow::Result<Vec<String>> {
        if let Some(bot) = &self.bot {
            return Ok(vec![bot.clone()]);
        }
        let bots: Vec<BotShape> = desk.ask(Method::GET, "bots", NOTHING).await?;
        Ok(bots.into_iter().map(|bot| bot.bot).collect())
    }

    fn path(&self, bot: &str) -> String {
        format!(
            "bots/{}/people/{}",
            escaped(bot),
            escaped(&self.wallet.to_string())
        )
    }

    async fn show(&self, desk: &Desk, options: &Options) -> anyhow::Result<()> {
        for bot in self.bots(desk).await? {
            let person: Person = desk.ask(Method::GET, &self.path(&bot), NOTHING).await?;
            if options.json {
                let mut json = serde_json::to_value(&person)?;
                if let Some(json) = json.as_object_mut() {
                    json.insert("bot".to_owned(), bot.into());
                }
                print::json(&json);
            } else {
                show(&bot, &person);
            }
        }
        Ok(())
    }

    async fn forget(&self, desk: &Desk) -> anyhow::Result<()> {
        for bot in self.bots(desk).await? {
            desk.ask::<Value>(Method::DELETE, &self.path(&bot), NOTHING)
                .await?;
            print::talk(&format!("{bot} has forgotten {}", self.wallet));
        }
        Ok(())
    }
}

fn show(bot: &str, person: &Person) {
    print::line(&format!("{bot}  {}", person.wallet));
    for list in &person.lists {
        let fields: Vec<String> = list
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={}", print::inline(&table::text(value))))
            .collect();
        let line = format!(
            "  list {} since {}  {}",
            list.list,
            list.joined_at,
            fields.join(" ")
        );
        print::line(line.trim_end());
    }
    let consent = match (&person.proof, person.left) {
        (_, true) => "left".to_owned(),
        (Some(proof), _) => format!("signed at {}: {}", proof.timestamp, proof.signature),
        (None, _) if person.lists.is_empty() => "none".to_owned(),
        (None, _) => "joined".to_owned(),
    };
    print::line(&format!("  consent: {consent}"));
    if let Some(quiet) = &person.quiet {
        print::line(&format!("  quiet: {quiet}"));
    }
    for row in &person.deliveries {
        let reason = row.reason.as_deref().map(print::inline).unwrap_or_default();
        let line = format!("  {}  {}  {:<9}  {reason}", row.created_at, row.rule, row.state);
        print::line(line.trim_end());
    }
}
