//! `to`: whom a rule writes to, and what is known of each recipient.

use super::report::Report;
use super::{Context, ListReference, find_list, scope};
use crate::bot::audience::Audience;
use crate::bot::config::diagnostics::Code;
use crate::bot::config::file::AudienceFile;
use crate::bot::config::spanned::Text;
use crate::bot::expression::{Expression, Names, Record, Type};

/// The audience, and what is known of each recipient.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    file: &AudienceFile,
    names: &Names,
) -> Option<(Audience, Record)> {
    match file {
        AudienceFile::Name(text) => to_list(report, context, text),
        AudienceFile::List(file) => to_list(report, context, &file.list),
        AudienceFile::Wallet(file) => {
            let wallet = wallet(report, &file.wallet, names, false)?;
            Some((Audience::Wallet(wallet), scope::sender(context.known_lists())))
        }
        AudienceFile::Wallets(file) => {
            let wallets: Vec<Option<Expression>> = file
                .wallets
                .as_slice()
                .iter()
                .map(|text| wallet(report, text, names, true))
                .collect();
            let wallets: Option<Vec<Expression>> = wallets.into_iter().collect();
            Some((Audience::Wallets(wallets?), scope::sender(context.known_lists())))
        }
    }
}

fn to_list(report: &mut Report<'_>, context: &Context, text: &Text) -> Option<(Audience, Record)> {
    let ListReference::Valid(list) = find_list(report, context, text) else {
        return None;
    };
    Some((Audience::List(list.name.clone()), scope::member(list)))
}

/// An expression that gives a wallet, or where `several` are allowed a list of them.
fn wallet(report: &mut Report<'_>, text: &Text, names: &Names, several: bool) -> Option<Expression> {
    let expression = report.expression(text, names)?;
    let ty = expression.ty();
    let one = Type::Wallet.optional();
    let fits = one.accepts(ty) || (several && Type::List(Box::new(one)).accepts(ty));
    if !fits {
        let message = format!("expected a wallet, found {ty}");
        let hint = matches!(ty, Type::Text | Type::Word)
            .then(|| "declare it as `wallet` where it comes from".to_owned());
        report.wrong(text, Code::Expression, message, hint);
    }
    fits.then_some(expression)
}
