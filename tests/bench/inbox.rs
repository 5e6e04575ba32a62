//! A wallet that 10,000 others have written to.

use std::sync::OnceLock;

use herald::client::{Api, NodeAddress};
use herald_protocol::{
    ciphertext::Entropy, invitation::Invitation, proto::api::Envelope, token, topic::Topic,
};

use crate::{Error, people};

/// The wallet's number; the peers' follow.
pub(crate) const OWNER: u32 = 0;
/// How many invitations it has.
pub(crate) const CONVERSATIONS: u32 = 10_000;

/// The invitations, one of each peer, evenly over the last 60 days: two hours, which clients read again at every start, hold
/// some fourteen. Made once a run.
pub(crate) fn invitations() -> Result<&'static [Envelope], Error> {
    static MADE: OnceLock<Vec<Envelope>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let (owner, now) = (people::identity(OWNER)?, herald::clock::now());
    let topic = Topic::invite(owner.address());
    let made = people::each(CONVERSATIONS, |number| {
        let peer = people::identity(OWNER + 1 + number)?;
        let age = (DAYS_60 / u64::from(CONVERSATIONS)) * u64::from(CONVERSATIONS - number);
        let created = now.saturating_sub(std::time::Duration::from_nanos(age));
        let mut entropy = [9; 44];
        entropy[..4].copy_from_slice(&number.to_be_bytes());
        let invitation = Invitation::derive(&peer, owner.public(), None);
        let sealed = invitation.seal(&peer, owner.public(), created, Entropy::from_bytes(entropy));
        Ok(Envelope {
            content_topic: topic.to_string(),
            timestamp_ns: created.as_ns(),
            message: sealed.into(),
        })
    })?;
    Ok(MADE.get_or_init(|| made))
}

/// Gives a node the wallet's keys and invitations.
pub(crate) async fn publish(node: NodeAddress) -> Result<(), Error> {
    let authorization = token::bearer(&people::identity(OWNER)?, herald::clock::now())?;
    let api = Api::new(node)?;
    api.publish(vec![people::stored_identity(OWNER)?], &authorization)
        .await?;
    for part in invitations()?.chunks(100) {
        api.publish(part.to_vec(), &authorization).await?;
    }
    Ok(())
}

const DAYS_60: u64 = 60 * 86_400 * 1_000_000_000;
