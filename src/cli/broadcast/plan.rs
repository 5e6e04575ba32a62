//! `herald broadcast plan`: who could be reached, and what it would take.

use clap::Args;

use super::{Line, Place};
use crate::{
    bot::rehearsal::Plan as Answer,
    cli::{Options, desk::escaped, preview::Event, print},
    console::shapes::PlanRequest,
};

/// Shows how a broadcast would go; nothing is sent
#[derive(Args, Debug)]
pub(in crate::cli) struct Plan {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    event: Event,
}

impl Plan {
    pub(in crate::cli) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let (bot, rule) = &self.place.place;
        let path = format!("broadcasts/{}/{}/plan", escaped(bot), escaped(rule));
        let asked = PlanRequest {
            event: self.event.read()?,
        };
        let desk = self.place.herald.running(options)?;
        let mut line = Line::default();
        let mut told: Option<Answer> = None;
        let mut lines = desk.lines(&path, &asked).await?;
        while let Some(plan) = lines.next::<Answer>().await? {
            if !options.json && !plan.complete {
                line.progress(&sentence(&plan), (looked_at(&plan), plan.wallets));
            }
            told = Some(plan);
        }
        line.end();
        let Some(plan) = told.filter(|plan| plan.complete) else {
            anyhow::bail!("the herald ended before every wallet was looked at; ask again");
        };
        if options.json {
            print::json(&plan);
            return Ok(());
        }
        print::line(&print::inline(&sentence(&plan)));
        for row in &plan.broken {
            print::line(&print::inline(&format!(
                "row {} of {}: {}",
                row.row, row.source, row.reason
            )));
        }
        let more = plan.broken_rows - u64::try_from(plan.broken.len()).unwrap_or_default();
        if more > 0 {
            print::line(&format!("and {} more rows that cannot be read", grouped(more)));
        }
        Ok(())
    }
}

fn looked_at(plan: &Answer) -> u64 {
    plan.reachable + plan.not_on_network + plan.denied + plan.skipped + plan.rejected
}

/// The plan in a sentence. Its counts add up to the wallets.
fn sentence(plan: &Answer) -> String {
    if plan.repeated {
        return "the rule has fired with this key before: it would be ignored".to_owned();
    }
    if let Some(reason) = &plan.reason {
        return format!("nobody would be written to: {reason}");
    }
    let counts = [
        (plan.reachable, "reachable"),
        (plan.not_on_network, "not on the network"),
        (plan.denied, "denied, left or not opted in"),
        (plan.skipped, "left out by a condition"),
        (plan.rejected, "whose message cannot be made"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, what)| format!("{} {what}", grouped(*count)))
        .collect();
    let mut parts = vec![format!(
        "{} wallets: {}",
        grouped(plan.wallets),
        counts.join(", ")
    )];
    if plan.reachable > 0 {
        parts.push(format!(
            "{} envelopes for {} new and {} known",
            grouped(plan.envelopes),
            grouped(plan.new),
            grouped(plan.known)
        ));
    }
    if plan.old_proofs > 0 {
        parts.push(format!(
            "{} proofs of consent are older than 30 days",
            grouped(plan.old_proofs)
        ));
    }
    if let Some(seconds) = plan.seconds {
        parts.push(format!("about {} at the usual limits of nodes", span(seconds)));
    }
    parts.join("; ")
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time in one unit, rounded up.
fn span(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("{seconds} s"),
        91..=5_400 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_sentence_whose_counts_add_up() {
        let plan = Answer {
            wallets: 12_431,
            reachable: 11_902,
            not_on_network: 402,
            denied: 127,
            new: 3_100,
            known: 8_802,
            envelopes: 21_202,
            seconds: Some(6_061),
            complete: true,
            ..Answer::default()
        };
        assert_eq!(looked_at(&plan), plan.wallets);
        assert_eq!(
            sentence(&plan),
            "12,431 wallets: 11,902 reachable, 402 not on the network, 127 denied, left or not opted in; 21,202 envelopes \
             for 3,100 new and 8,802 known; about 2 h at the usual limits of nodes"
        );
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([90, 91, 5_401].map(span), ["90 s", "2 min", "2 h"]);
    }
}
