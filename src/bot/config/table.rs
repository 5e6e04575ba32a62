//! Tables: rows that people own.

use crate::bot::{
    expression::{Record, Type, Value},
    store::TableRow,
};

/// Rows of one shape; each belongs to the wallet that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The table's name, unique in its bot.
    pub name: String,
    /// What a row holds, in the order of the file.
    pub columns: Vec<(String, Type)>,
    /// How many rows a wallet may have.
    pub per_owner: u32,
}

impl Table {
    /// What is known of every row beside its columns.
    pub(crate) const OWN: [&str; 3] = ["id", "owner", "created_at"];

    /// The type of a column.
    pub fn column(&self, name: &str) -> Option<&Type> {
        let mut columns = self.columns.iter();
        columns.find(|(column, _)| column == name).map(|(_, ty)| ty)
    }

    /// The type of a row as expressions see it.
    pub(crate) fn row_type(&self) -> Type {
        let own = [
            ("id", Type::Int),
            ("owner", Type::Wallet),
            ("created_at", Type::Time),
        ];
        let mut record: Record = own.into_iter().collect();
        for (name, ty) in &self.columns {
            record.insert(name.as_str(), ty.clone());
        }
        Type::Record(record)
    }

    /// The record of a row: `row`, and an item of `mine.TABLE`.
    pub(crate) fn record(&self, row: &TableRow) -> Value {
        let mut fields = vec![
            ("id", Value::from(row.id)),
            ("owner", Value::Wallet(row.owner)),
            ("created_at", Value::Time(row.created)),
        ];
        for (name, ty) in &self.columns {
            let stored = row.columns.get(name).and_then(|json| ty.read_json(json).ok());
            fields.push((name.as_str(), stored.unwrap_or(Value::None)));
        }
        Value::record(fields)
    }
}
