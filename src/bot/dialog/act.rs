//! What a command does for its sender: rows of its tables, fields of its memberships, a rule that fires.

use herald_protocol::address::Address;

use super::{
    answer::Answer,
    command::{Admin, Command, Doing, out_of_bounds},
};
use crate::bot::{
    config::{List, Table},
    expression::{Expression, Scope, Value},
    store,
};

/// What is answered to somebody who names a row that is not there, or not its own.
const NOT_FOUND: &str = "Not found.";

/// What became of what a command was to do.
enum Done {
    /// It is done; the reply follows.
    Well,
    /// It is not, and this is said instead.
    Not(String),
    /// The bot's author made a mistake that shows only now.
    Failed(String),
}

impl Answer<'_> {
    /// Does what a command says, and answers.
    pub(super) fn command(&mut self, command: &Command, arguments: Value) -> Result<(), rusqlite::Error> {
        let rule = format!("command:/{}", command.declaration.name());
        let mut scope = self.scope()?;
        scope.insert("args", arguments.clone());
        let holds = command
            .condition
            .as_ref()
            .is_none_or(|condition| condition.evaluate(&scope).is_ok_and(|value| value.is_truthy()));
        if !holds {
            return Ok(());
        }
        let mut row = None;
        let done = match &command.doing {
            None => Done::Well,
            Some(Doing::Add(table)) => self.add(table, &arguments, &mut row)?,
            Some(Doing::Remove { table, id }) => self.remove(table, (id, &scope), &mut row)?,
            Some(Doing::Set { lists, values }) => self.set(command, (lists, values), &scope)?,
            Some(Doing::Run(name)) => {
                let names = [("body", arguments.clone())].into_iter().collect();
                let running = self.running;
                if let Some(rule) = running.bot.rules.get(name) {
                    self.fire_rule(rule, &names)?;
                }
                Done::Well
            }
        };
        match done {
            Done::Not(said) => return self.say(&rule, 0, said),
            Done::Failed(reason) => {
                self.error(&rule, reason);
                return Ok(());
            }
            Done::Well => {}
        }
        if command.doing.is_some() {
            // What was done shows in the reply.
            scope = self.scope()?;
            scope.insert("args", arguments);
            scope.insert("row", row.unwrap_or(Value::None));
        }
        self.say_parts(&rule, &command.reply, &scope)
    }

    /// Whether the sender may use a command.
    pub(super) fn may_use(&self, command: &Command) -> Result<bool, rusqlite::Error> {
        let Some(admins) = &command.admins else {
            return Ok(true);
        };
        let from = self.incoming.from;
        let standing = store::standing(self.transaction, &self.running.bot.name, from)?;
        let scope = self.running.scope();
        Ok(admins.iter().any(|admin| match admin {
            Admin::List(list) => standing.lists.contains_key(list),
            Admin::Wallets(wallets) => wallets
                .evaluate(&scope)
                .is_ok_and(|wallets| is_among(&wallets, from)),
        }))
    }

    fn add(
        &mut self,
        table: &str,
        arguments: &Value,
        row: &mut Option<Value>,
    ) -> Result<Done, rusqlite::Error> {
        let (running, from) = (self.running, self.incoming.from);
        let Some(table) = running.bot.tables.get(table) else {
            return Ok(Done::Failed(format!("there is no table `{table}`")));
        };
        let name = (running.bot.name.as_str(), table.name.as_str());
        let has = store::own_rows(self.transaction, name, from)?.len();
        let most = table.per_owner;
        if has >= usize::try_from(most).unwrap_or(usize::MAX) {
            let said = format!("You have {has} of {most} {}; remove one first.", table.name);
            return Ok(Done::Not(said));
        }
        let columns = columns(table, arguments);
        let added = store::add_row(self.transaction, name, from, columns, running.now())?;
        *row = Some(table.record(&added));
        Ok(Done::Well)
    }

    fn remove(
        &mut self,
        table: &str,
        (id, scope): (&Expression, &Scope),
        row: &mut Option<Value>,
    ) -> Result<Done, rusqlite::Error> {
        let running = self.running;
        let Some(table) = running.bot.tables.get(table) else {
            return Ok(Done::Failed(format!("there is no table `{table}`")));
        };
        let id = match id.evaluate(scope) {
            Ok(id) => id.to_text().parse::<i64>(),
            Err(error) => return Ok(Done::Failed(format!("`remove.id`: {error}"))),
        };
        let name = (running.bot.name.as_str(), table.name.as_str());
        let removed = match id {
            Ok(id) => store::remove_row(self.transaction, name, self.incoming.from, id)?,
            // No id is that large.
            Err(_) => None,
        };
        let Some(removed) = removed else {
            return Ok(Done::Not(NOT_FOUND.to_owned()));
        };
        *row = Some(table.record(&removed));
        Ok(Done::Well)
    }

    fn set(
        &mut self,
        command: &Command,
        (lists, values): (&[String], &[(String, Expression)]),
        scope: &Scope,
    ) -> Result<Done, rusqlite::Error> {
        let (running, from) = (self.running, self.incoming.from);
        let bot = running.bot.name.as_str();
        let standing = store::standing(self.transaction, bot, from)?;
        let lists: Vec<&List> = lists
            .iter()
            .filter_map(|name| running.bot.lists.get(name))
            .collect();
        let own: Vec<&&List> = lists
            .iter()
            .filter(|list| standing.lists.contains_key(&list.name))
            .collect();
        if own.is_empty() {
            return Ok(Done::Not(stranger(&lists)));
        }
        let mut fields = serde_json::Map::new();
        for (name, value) in values {
            let value = match value.evaluate(scope) {
                Ok(value) => value,
                Err(error) => return Ok(Done::Failed(format!("`set.{name}`: {error}"))),
            };
            let declared = own.iter().flat_map(|list| &list.fields);
            for field in declared.filter(|field| field.name == *name) {
                if let Some(reason) = out_of_bounds(&value, field.min.as_ref(), field.max.as_ref()) {
                    let usage = command.declaration.text();
                    return Ok(Done::Not(format!("Usage: {usage}\n`{name}`: {reason}")));
                }
            }
            fields.insert(name.clone(), value.to_json());
        }
        for list in own {
            store::set_fields(self.transaction, (bot, &list.name), from, fields.clone())?;
        }
        // What is held by the old fields is judged by the new.
        store::recall(self.transaction, bot, from, running.now())?;
        Ok(Done::Well)
    }
}

/// The arguments of a command that are columns of a table.
fn columns(table: &Table, arguments: &Value) -> serde_json::Map<String, serde_json::Value> {
    let serde_json::Value::Object(arguments) = arguments.to_json() else {
        return serde_json::Map::new();
    };
    let arguments = arguments.into_iter();
    arguments
        .filter(|(name, _)| table.column(name).is_some())
        .collect()
}

/// What somebody is told who is on none of the lists whose fields are to be set.
fn stranger(lists: &[&List]) -> String {
    let names: Vec<&str> = lists.iter().map(|list| list.name.as_str()).collect();
    let joins = lists.iter().flat_map(|list| &list.join);
    let join = joins.map(|join| format!(" To join: {}", join.text())).next();
    format!(
        "You are not on {}.{}",
        names.join(" or "),
        join.unwrap_or_default()
    )
}

fn is_among(wallets: &Value, wallet: Address) -> bool {
    match wallets {
        Value::Wallet(own) => *own == wallet,
        Value::Text(text) => text.parse() == Ok(wallet),
        Value::List(items) => items.iter().any(|item| is_among(item, wallet)),
        _ => false,
    }
}
