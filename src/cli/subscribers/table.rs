//! Members as CSV: `wallet`, fields, `proof`, `proof_time`.

use std::{fs::File, path::Path};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    bot::audience::csv::Records,
    console::shapes::{MemberShape, NewMember},
};

/// The rows of a file, each with its line; the header is line 1.
pub(super) struct Rows {
    records: Records<File>,
    header: Vec<String>,
}

impl Rows {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        anyhow::ensure!(file.metadata()?.is_file(), "expected a file at {shown}");
        let mut records = Records::new(file);
        let first = records.next().with_context(|| format!("cannot read {shown}"))?;
        let cells = first
            .map(|record| record.cells)
            .transpose()
            .map_err(|reason| anyhow::anyhow!("the header {reason}"))?;
        let mut header = Vec::new();
        if let Some(cells) = cells {
            for column in 0..cells.len() {
                let name = cells
                    .text(column)
                    .map_err(|reason| anyhow::anyhow!("the header {reason}"))?;
                header.push(name.trim_start_matches('\u{feff}').trim().to_owned());
            }
        }
        anyhow::ensure!(
            header.iter().any(|name| name == "wallet"),
            "expected a header with `wallet` in the first line of {shown}"
        );
        for (index, name) in header.iter().enumerate() {
            let again = header.iter().skip(index + 1).any(|other| other == name);
            anyhow::ensure!(!again, "column `{name}` stands twice in {shown}");
        }
        Ok(Self { records, header })
    }

    /// The next row: a member, or why it is none.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(u64, Result<NewMember, String>)>> {
        let Some(record) = self.records.next()? else {
            return Ok(None);
        };
        let member = match &record.cells {
            Ok(cells) if cells.len() != self.header.len() => Err(format!(
                "expected {} cells, found {}",
                self.header.len(),
                cells.len()
            )),
            Ok(cells) => member(&self.header, |column| cells.text(column)),
            Err(reason) => Err(format!("the record {reason}")),
        };
        Ok(Some((record.line, member)))
    }
}

fn member<'c>(
    header: &[String],
    cell: impl Fn(usize) -> Result<&'c str, String>,
) -> Result<NewMember, String> {
    let mut member = NewMember::default();
    for (column, name) in header.iter().enumerate() {
        let text = cell(column).map_err(|reason| format!("`{name}` {reason}"))?;
        // An empty cell says nothing.
        if text.is_empty() {
            continue;
        }
        match name.as_str() {
            "wallet" => text.trim().clone_into(&mut member.wallet),
            "proof" => member.signature = Some(text.trim().to_owned()),
            "proof_time" => {
                let time = text.trim().parse();
                let time = time
                    .map_err(|_| format!("`proof_time`: expected milliseconds since 1970, found `{text}`"))?;
                member.timestamp = Some(time);
            }
            _ => {
                member.fields.insert(name.clone(), text.into());
            }
        }
    }
    Ok(member)
}

/// The first line.
pub(super) fn header(fields: &[String]) -> String {
    let names = fields.iter().map(String::as_str);
    let names = std::iter::once("wallet")
        .chain(names)
        .chain(["proof", "proof_time"]);
    names.map(quoted).collect::<Vec<_>>().join(",")
}

/// The line of a member.
pub(super) fn row(member: &MemberShape, fields: &[String]) -> String {
    let value = |name: &String| {
        let value = member.fields.get(name);
        quoted(&value.map(text).unwrap_or_default())
    };
    let proof = member.proof.as_ref();
    let mut cells = vec![member.wallet.clone()];
    cells.extend(fields.iter().map(value));
    cells.push(proof.map(|proof| proof.signature.clone()).unwrap_or_default());
    cells.push(proof.map(|proof| proof.timestamp.to_string()).unwrap_or_default());
    cells.join(",")
}

/// A value as a field's type reads it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// A cell, between quotes where it has to be.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) || cell.trim() != cell {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let fields = ["topic".to_owned(), "note".to_owned()];
        let member = MemberShape {
            wallet: "0x0000000000000000000000000000000000000001".to_owned(),
            fields: Map::from_iter([
                ("topic".to_owned(), Value::from(vec!["a", "b"])),
                ("note".to_owned(), " he said \"hi\",\nthen left".into()),
            ]),
            joined_at: String::new(),
            proof: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        let table = format!(
            "\u{feff}{}\r\n{}\r\n0x02,a\n",
            header(&fields),
            row(&member, &fields)
        );
        std::fs::write(&path, table).unwrap();
        let mut rows = Rows::open(&path).unwrap();
        let (line, read) = rows.next().unwrap().unwrap();
        let read = read.unwrap();
        assert_eq!((line, read.wallet), (2, member.wallet));
        assert_eq!(read.fields["topic"], "a,b");
        assert_eq!(read.fields["note"], member.fields["note"]);
        let (line, broken) = rows.next().unwrap().unwrap();
        assert_eq!(
            (line, broken.unwrap_err().as_str()),
            (4, "expected 5 cells, found 2")
        );
        assert!(rows.next().unwrap().is_none());
    }
}
