//! The rows of a comma separated file (RFC 4180): a header with a column of wallets; the other columns are variables.
//!
//! Enters: a file in the bot's folder. Leaves: rows with the number of the line they begin in. A cell is text and nothing else,
//! whatever a spreadsheet would make of it. A row holds bounded memory however long it is.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    gather::{Ask, Error},
    named::{Found, NamedRow},
    row::{Filter, MAX_VARS, Row, Who, pump, who},
    stage::Stage,
};
use crate::bot::{
    config::diagnostics::quote,
    expression::{Expression, Type, Value, nearest},
    folder,
};

use records::Record;
pub(crate) use records::Records;

/// Records, as bytes.
mod records;

/// A file of recipients.
#[derive(Debug, Clone)]
pub struct Csv {
    /// Its path, relative to the bot's folder.
    pub path: PathBuf,
    /// The column that holds the wallets.
    pub column: String,
    /// `where`: which rows count, by `row`.
    pub condition: Option<Expression>,
}

/// The columns of a file.
#[derive(Debug)]
pub(crate) struct Header {
    /// The place of the wallets.
    wallet: usize,
    /// The names of all columns, without spaces around them.
    names: Vec<String>,
}

impl Header {
    /// The columns that are variables: those with a name, but for the wallets'.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variable_columns().map(|(_, name)| name)
    }

    fn variable_columns(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.names.iter().map(String::as_str).enumerate();
        names.filter(|(column, name)| *column != self.wallet && !name.is_empty() && *name != "wallet")
    }

    fn read(records: &mut Records<impl Read>, wanted: &str) -> Result<Self, String> {
        let record = records.next().map_err(|error| error.to_string())?;
        let Some(Record { cells, .. }) = record else {
            return Err("expected a header with the names of the columns, found an empty file".to_owned());
        };
        let cells = cells.map_err(|reason| format!("the header {reason}"))?;
        let mut names: Vec<String> = Vec::with_capacity(cells.len());
        for cell in cells.iter() {
            let name = std::str::from_utf8(cell).map_err(|_| "the header is not UTF-8".to_owned())?;
            let name = name.trim();
            if !name.is_empty() && names.iter().any(|known| known == name) {
                return Err(format!("column {} stands twice in the header", quote(name)));
            }
            names.push(name.to_owned());
        }
        let wallet = names.iter().position(|name| name == wanted).ok_or_else(|| {
            // Other files may be named by mistake, so no more of them is told than a name that is meant.
            let known = names.iter().map(String::as_str);
            let near = nearest(wanted, known).map(|near| format!(", did you mean {}?", quote(near)));
            format!("the header has no column `{wanted}`{}", near.unwrap_or_default())
        })?;
        Ok(Self { wallet, names })
    }
}

impl Csv {
    /// The columns of the file, before the bot runs.
    pub(crate) fn header(&self, folder: &Path) -> Result<Header, HeaderError> {
        let file = folder::open(folder, None, &self.path).map_err(HeaderError::File)?;
        Header::read(&mut Records::new(file), &self.column).map_err(HeaderError::Header)
    }

    pub(super) async fn read(&self, ask: &Ask<'_>, stage: &mut Stage<'_>) -> Result<(), Error> {
        let (folder, data) = ask.folders();
        let filter = Filter {
            condition: self.condition.clone(),
            scope: ask.scope.clone(),
            name: "row",
        };
        let (path, column) = (self.path.clone(), self.column.clone());
        let of_rows = filter.clone();
        pump((ask, &filter), stage, move |rows| {
            let file = folder::open(&folder, Some(&data), &path);
            let file = file.map_err(|error| Error::Unresolved(error.to_string()))?;
            let shown = quote(&path.to_string_lossy());
            read(file, (&shown, &column), of_rows, |row| rows.push(row))
        })
        .await
    }
}

/// Gives the rows of a file that is shown as `shown` and has its wallets in `column`.
fn read(
    file: impl Read,
    (shown, column): (&str, &str),
    filter: Filter,
    mut take: impl FnMut(Found) -> Result<(), Error>,
) -> Result<(), Error> {
    let unresolved = |reason: String| Error::Unresolved(format!("{shown}: {reason}"));
    let mut records = Records::new(file);
    let header = Header::read(&mut records, column).map_err(unresolved)?;
    let reader = Reader::new(&header, filter);
    while let Some(record) = records.next().map_err(|error| unresolved(error.to_string()))? {
        let number = record.line;
        let found = match record.cells.and_then(|cells| reader.row(number, &cells)) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(reason) => Row {
                number,
                found: Err(reason),
            }
            .into(),
        };
        take(found)?;
    }
    Ok(())
}

/// Why a file has no columns.
#[derive(Debug)]
pub(crate) enum HeaderError {
    /// The file cannot be opened.
    File(folder::Error),
    /// Its header is not one.
    Header(String),
}

/// Makes recipients of records.
struct Reader<'h> {
    header: &'h Header,
    /// The names of the variables, as JSON, with their columns.
    names: Vec<(usize, String, bool)>,
    filter: Filter,
}

impl<'h> Reader<'h> {
    fn new(header: &'h Header, filter: Filter) -> Self {
        let json = |name: &str| serde_json::Value::from(name).to_string();
        let names = header.variable_columns();
        Self {
            header,
            names: names
                .map(|(column, name)| (column, json(name), name == "tz"))
                .collect(),
            filter,
        }
    }

    /// The recipient of a record; none when the condition leaves it out.
    fn row(&self, number: u64, cells: &records::Cells<'_>) -> Result<Option<Found>, String> {
        if cells.len() != self.header.names.len() {
            let (found, wanted) = (cells.len(), self.header.names.len());
            return Err(format!("has {found} cells, the header has {wanted}"));
        }
        let who = who(cells.text(self.header.wallet)?)?;
        let mut vars = String::new();
        for (column, name, is_zone) in &self.names {
            let cell = cells.text(*column)?;
            if cell.is_empty() {
                continue;
            }
            if *is_zone {
                Type::Tz
                    .read_text(cell)
                    .map_err(|reason| format!("`tz`: {reason}"))?;
            }
            vars.push(if vars.is_empty() { '{' } else { ',' });
            vars.push_str(name);
            vars.push(':');
            vars.push_str(&serde_json::Value::from(cell).to_string());
        }
        if vars.len() > MAX_VARS {
            return Err("has more than 16 KiB of variables".to_owned());
        }
        if !vars.is_empty() {
            vars.push('}');
        }
        let wallet = match who {
            Who::Wallet(wallet) => wallet,
            Who::Named(name) => {
                let vars = serde_json::from_str(&vars).unwrap_or_default();
                return Ok(Some(NamedRow { number, name, vars }.into()));
            }
        };
        let takes = self.filter.takes(|| {
            let cell = |column| cells.text(column).ok().filter(|cell| !cell.is_empty());
            let variables = self.header.variable_columns();
            let variables =
                variables.map(|(column, name)| (name, cell(column).map_or(Value::None, Value::text)));
            Value::record(variables.chain([("wallet", Value::Wallet(wallet))]))
        })?;
        let found = Ok((wallet, (!vars.is_empty()).then_some(vars)));
        Ok(takes.then(|| Row { number, found }.into()))
    }
}

#[cfg(test)]
mod tests;
