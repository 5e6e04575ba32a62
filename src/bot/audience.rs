//! Whom a rule writes to.
//!
//! ```text
//! to ── branches, each read as a stream of rows ──> runs (memory, then the store) ── merged by wallet ──> set ──> recipients
//! ```
//!
//! What enters is what a bot's file says and an occurrence; what leaves is every wallet of the audience once, in the order
//! of its bytes, with the variables that the branches gave it. Memory does not grow with the audience. A branch that cannot
//! be read fails the whole of it; a row that cannot be read is reported by its number.

use crate::bot::{
    chain::WalletName,
    expression::{Expression, Type},
};

/// Comma separated files.
pub mod csv;
/// Reads the branches of an audience.
pub(crate) mod gather;
/// Holders of tokens.
pub mod holders;
/// Lists of members: how one leaves them.
pub mod list;
/// The members of a list.
mod members;
/// The variables that several branches gave one wallet.
pub(crate) mod merge;
/// Rows whose wallets have names.
mod named;
/// Rows, and how readers hand them on.
mod row;
/// Which wallets a set of branches holds.
pub(crate) mod set;
/// Sources.
pub mod source;
/// Queries.
pub mod sql;
/// Rows on their way into the store.
mod stage;
/// Wallets that expressions name.
mod wallets;

pub use self::{
    csv::Csv,
    holders::{Holders, Ledgers},
    source::Source,
    sql::{Database, Sql},
};

/// The `to` of a rule.
#[derive(Debug, Clone)]
pub enum Audience {
    /// The members of a list.
    List {
        /// The list's name; `BOT/LIST` is one of another bot.
        list: String,
        /// `where`: who of them, by `sub`.
        condition: Option<Expression>,
    },
    /// One wallet. The expression is typed `wallet`, or `any`, whose text is read as an address when the rule fires.
    Wallet(Expression),
    /// Several wallets: each expression is a wallet, or a list of wallets.
    Wallets(Vec<Expression>),
    /// The rows of a file.
    Csv(Csv),
    /// The items of a source.
    Source(Box<Source>),
    /// The rows of a query.
    Sql(Sql),
    /// Who holds a token.
    Holders(Box<Holders>),
    /// Who is in one of them.
    Any(Vec<Audience>),
    /// Who is in each of them.
    All(Vec<Audience>),
    /// Who is in one and not in the other.
    Except {
        /// The audience.
        of: Box<Audience>,
        /// Who is left out of it.
        without: Box<Audience>,
    },
    /// So many of an audience, the same ones whenever the same occurrence is planned.
    Sample {
        /// The audience.
        of: Box<Audience>,
        /// How many, at the most.
        count: u32,
    },
}

/// A part of an audience that is read from one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch<'a> {
    /// A list, wallets or a file; no set.
    pub(crate) audience: &'a Audience,
    /// Whether it gives its wallets variables: one that only leaves wallets out does not.
    pub(crate) gives: bool,
}

impl Audience {
    /// The most branches of one audience.
    pub const MAX_BRANCHES: usize = 64;

    /// The list whose members it is, or some of them.
    pub(crate) fn only_list(&self) -> Option<&str> {
        match self {
            Self::List { list, .. } => Some(list),
            Self::Except { of, .. } | Self::Sample { of, .. } => of.only_list(),
            _ => None,
        }
    }

    /// The type of a variable that it gives, as far as it is known beside what is known of people.
    pub(crate) fn variable(&self, name: &str) -> Type {
        let gives_balance = || {
            let mut branches = self.branches().into_iter();
            branches.any(|branch| branch.gives && matches!(branch.audience, Self::Holders(_)))
        };
        if name == holders::BALANCE && gives_balance() {
            return Type::Int;
        }
        Type::Any
    }

    /// The names of wallets that are written out in expressions which are computed while it is read, but for those that are a
    /// recipient themselves.
    pub(crate) fn wallet_names(&self) -> Vec<&WalletName> {
        let mut names = Vec::new();
        for branch in self.branches() {
            let expressions: Vec<&Expression> = match branch.audience {
                Self::Wallet(wallet) => vec![wallet],
                Self::Wallets(wallets) => wallets.iter().collect(),
                Self::List { condition, .. } => condition.iter().collect(),
                Self::Csv(csv) => csv.condition.iter().collect(),
                Self::Source(source) => source.condition.iter().collect(),
                Self::Sql(sql) => sql.condition.iter().collect(),
                Self::Holders(holders) => {
                    let Holders { token, condition, .. } = holders.as_ref();
                    names.extend(token.wallet_names());
                    condition.iter().collect()
                }
                Self::Any(_) | Self::All(_) | Self::Except { .. } | Self::Sample { .. } => Vec::new(),
            };
            let asked = expressions
                .into_iter()
                .filter(|one| one.as_wallet_name().is_none());
            names.extend(asked.flat_map(Expression::wallet_names));
        }
        names
    }

    /// Its branches in the order of the file.
    pub(crate) fn branches(&self) -> Vec<Branch<'_>> {
        let mut branches = Vec::new();
        self.collect(true, &mut branches);
        branches
    }

    fn collect<'a>(&'a self, gives: bool, branches: &mut Vec<Branch<'a>>) {
        match self {
            Self::List { .. }
            | Self::Wallet(_)
            | Self::Wallets(_)
            | Self::Csv(_)
            | Self::Source(_)
            | Self::Sql(_)
            | Self::Holders(_) => {
                branches.push(Branch {
                    audience: self,
                    gives,
                });
            }
            Self::Any(parts) | Self::All(parts) => {
                for part in parts {
                    part.collect(gives, branches);
                }
            }
            Self::Except { of, without } => {
                of.collect(gives, branches);
                without.collect(false, branches);
            }
            Self::Sample { of, .. } => of.collect(gives, branches),
        }
    }
}
