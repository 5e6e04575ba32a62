//! `x3dh.json`: the shared secret in both roles, from both sides.

use herald_protocol::{
    bundle::{SignedPublicKeyBundle, VerifiedBundle},
    key::PrivateKey,
    x3dh::{Role, shared_secret},
};

use crate::{
    case::{Case, Checked, told},
    people::People,
};

struct Side {
    identity: PrivateKey,
    pre_key: PrivateKey,
    public: VerifiedBundle,
}

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (sender, recipient) = (side(case, "sender")?, side(case, "recipient")?);
    for (name, from, to) in [
        ("secret_sender_to_recipient", &sender, &recipient),
        ("secret_recipient_to_sender", &recipient, &sender),
    ] {
        let sent = shared_secret(&from.identity, &from.pre_key, &to.public, Role::Sender);
        case.expected.is_bytes(name, sent.as_slice())?;
        let received = shared_secret(&to.identity, &to.pre_key, &from.public, Role::Recipient);
        case.expected.is_bytes(name, received.as_slice())?;
    }
    Ok(())
}

fn side(case: &Case<'_>, name: &str) -> Result<Side, String> {
    let key = |kind| {
        told(PrivateKey::from_bytes(
            &case.inputs.bytes(&format!("{name}_{kind}_private"))?,
        ))
    };
    let public = told(SignedPublicKeyBundle::decode(
        &case.inputs.bytes(&format!("{name}_bundle_v2"))?,
    ))?;
    Ok(Side {
        identity: key("identity")?,
        pre_key: key("pre")?,
        public: told(public.verify())?,
    })
}
