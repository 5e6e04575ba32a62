//! Where messages come from: the rule, and the key of `send` that their content does not tell.

use std::collections::BTreeMap;

use super::people::Received;
use crate::bot::{
    audience::list,
    chain::WalletName,
    config::{Bot, Part},
    expression::Value,
    store::Delivery,
};

/// What was written to the bot, and what it wrote.
#[derive(Default)]
pub(super) struct Origins {
    /// Texts by the ids of their messages, as answers are keyed by them.
    said: BTreeMap<String, String>,
    /// The bot's messages by their ids.
    sent: BTreeMap<[u8; 32], Origin>,
}

struct Origin {
    rule: String,
    /// It is the text of `markdown`.
    is_markdown: bool,
}

impl Origins {
    /// Notes what somebody wrote to the bot.
    pub(super) fn note_said(&mut self, message: [u8; 32], text: &str) {
        self.said.insert(const_hex::encode(message), text.to_owned());
    }

    /// Notes rows that are new and sealed.
    pub(super) fn note(&mut self, bot: &Bot, rows: Vec<Delivery>) {
        for row in rows {
            let Some(sealed) = &row.sealed else {
                continue;
            };
            if self.sent.contains_key(&sealed.message) {
                continue;
            }
            let origin = Origin {
                is_markdown: self
                    .part(bot, &row)
                    .is_some_and(|part| part.content.key() == "markdown"),
                rule: row.rule,
            };
            self.sent.insert(sealed.message, origin);
        }
    }

    /// Tells a message where it comes from.
    pub(super) fn tell(&self, message: &mut Received) {
        let Some(origin) = self.sent.get(&message.message) else {
            return;
        };
        message.rule = Some(origin.rule.clone());
        if origin.is_markdown && message.kind == "text" {
            message.kind = "markdown";
        }
    }

    /// The part of the file that a row is rendered from; none for what herald says of its own.
    fn part<'b>(&self, bot: &'b Bot, row: &Delivery) -> Option<&'b Part> {
        let said = self.said.get(&row.key).map_or("", String::as_str);
        let named = |name: &WalletName| Ok(Value::Wallet(super::wallet(name.as_str()).address()));
        let parts = if let Some(list) = row.rule.strip_prefix("list:") {
            let list = bot.lists.get(list)?;
            if list::leave(said, &bot.lists).is_some() {
                list.goodbye.as_deref()?
            } else {
                let read = list
                    .join
                    .iter()
                    .find_map(|declaration| declaration.read(said, &named));
                list.welcome
                    .as_deref()
                    .filter(|_| !matches!(read, Some(Err(_))))?
            }
        } else if let Some(name) = row.rule.strip_prefix("command:/") {
            let mut commands = bot.commands.iter();
            let command = commands.find(|command| command.declaration.name() == name)?;
            let is_misuse = matches!(command.declaration.read(said, &named), Some(Err(_)));
            Some(&command.reply).filter(|_| !is_misuse)?
        } else if row.rule == "bot:fallback" {
            bot.fallback.as_ref()?
        } else {
            let rule = bot.rules.get(&row.rule)?;
            match usize::try_from(row.part.step()).ok()?.checked_sub(1) {
                None => &rule.parts,
                Some(number) => &rule.policy.then.get(number)?.parts,
            }
        };
        parts.get(row.part.number())
    }
}
