//! The first message to a wallet: what a client computes from the moment it has the wallet's contact, no network.
//!
//! The floor is the curve operations that the protocol asks for, by k256 alone: the contact's pre-key is verified and its
//! wallet recovered, three shared points make the invitation's secrets, three seal it, and one signature is in the message.

use std::{hint::black_box, path::Path};

use herald::{client::Conversation, content::Content};
use herald_protocol::{bundle::PrivateKeyBundle, contact, contact::ContactBundle, invitation::Invitation};

use crate::{
    Error,
    curve::Curve,
    figure::{self, Figure, Target},
    load,
    node::Node,
    people,
};

/// Microseconds of verifying the contact, deriving the invitation, sealing it and the message.
///
/// A client that asks the node does the first two in between, so here they are done by the functions that it calls.
pub(crate) fn message(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    let contacts = people::each(STRANGERS, |number| {
        let keys = people::identity(1 + number)?;
        Ok((
            keys.address(),
            ContactBundle::V2(keys.public().bundle().clone()).encode(),
        ))
    })?;
    let (client, own) = node.block_on(async {
        for number in 0..STRANGERS {
            load::publish_contact(1 + number, &node.address()).await?;
        }
        let client = people::connect(0, node.address()).await?;
        let own = PrivateKeyBundle::decode(&client.export_keys()?)?;
        Ok::<_, Error>((client, own))
    })?;
    let wallets: Vec<_> = contacts.iter().map(|(wallet, _)| *wallet).collect();
    let reached = node.block_on(client.reach(&wallets))?;
    let reached: Vec<Conversation> = reached.into_iter().collect::<Result<_, _>>()?;
    let (curve, content) = (Curve::new()?, Content::Text("gm".to_owned()));
    let mut strangers = contacts.iter().zip(&reached).cycle();
    let mut numbers = 0..u32::MAX;
    let rounds = figure::time(
        BATCH,
        || {
            let ((wallet, contact), conversation) = strangers.next().ok_or("no stranger")?;
            let contact = contact::select(*wallet, [contact.as_slice()])
                .contact
                .ok_or("not the wallet's contact")?;
            let invitation = Invitation::derive(&own, &contact.verify()?, None);
            let sealed = client.seal(conversation, &content)?;
            if invitation.topic != *conversation.topic() || !sealed.is_new() {
                return Err("a first message opens its conversation".into());
            }
            Ok(sealed)
        },
        || {
            let number = numbers.next().ok_or("no number")?;
            curve.verify(number)?;
            black_box(curve.recover(number)?);
            for point in 0..2 * 3 {
                black_box(curve.diffie_hellman(number + point));
            }
            Ok(curve.sign(number))
        },
    )?;
    drop((client, reached));
    node.stop()?;
    Ok(Figure::of_rounds("µs", &rounds, Target::AtMost(1.4)))
}

const STRANGERS: u32 = 64;
const BATCH: u32 = 2;
