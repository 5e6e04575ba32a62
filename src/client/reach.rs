//! With whom and how: the conversation for a wallet, V1 or V2, known or new.

use std::{sync::Arc, time::Duration};

use herald_protocol::{
    address::Address,
    consent::ConsentProof,
    invitation::{Invitation, InvitationContext},
};

use super::{
    Client, Conversation, Error, compute_each,
    contacts::Contact,
    conversation::{Kind, Opening, State},
};

impl Conversation {
    /// Looks up what [`Client::seal`] needs: in V1 the peer's newest keys, in V2 nothing.
    pub async fn make_ready(&self) -> Result<(), Error> {
        let Kind::V1(v1) = &self.state.kind else {
            return Ok(());
        };
        let wallet = self.peer();
        let contact = self.client.contacts(&[wallet]).await?.into_iter().next();
        let contact = contact.unwrap_or(Err(Error::NotOnNetwork { wallet }))?;
        v1.keep_contact(contact.into_bundle());
        Ok(())
    }
}

impl Client {
    /// The conversation with a wallet: a known one, else a new one that the first message opens. V1 for wallets that read only
    /// that, or with whom there is a V1 conversation; V2 for all others. Nothing is published.
    pub async fn conversation_with(&self, wallet: Address) -> Result<Conversation, Error> {
        self.conversation_about(wallet, None).await
    }

    /// The conversation with a wallet and this context. One with another conversation id is another conversation; metadata is
    /// taken from the first invitation.
    pub async fn conversation_about(
        &self,
        wallet: Address,
        context: impl Into<Option<InvitationContext>>,
    ) -> Result<Conversation, Error> {
        let asked = Asked {
            wallet,
            context: context.into(),
            consent_proof: None,
        };
        self.conversation_as(asked).await
    }

    /// The conversation with a wallet that gave its consent elsewhere: a new invitation carries the proof, so that the
    /// wallet's clients show the conversation among the allowed ones. It is not verified here.
    pub async fn conversation_by_consent(
        &self,
        wallet: Address,
        context: impl Into<Option<InvitationContext>>,
        proof: ConsentProof,
    ) -> Result<Conversation, Error> {
        let asked = Asked {
            wallet,
            context: context.into(),
            consent_proof: Some(proof),
        };
        self.conversation_as(asked).await
    }

    async fn conversation_as(&self, asked: Asked) -> Result<Conversation, Error> {
        let wallet = asked.wallet;
        if self.known(&asked).is_none() {
            // The peer may have opened it a moment ago. Without an overlap, so that first messages to many do not read each other's
            // invitations again and again.
            self.read_lists(Duration::ZERO).await?;
        }
        let reached = self.reach_as(vec![asked]).await?.into_iter().next();
        reached.unwrap_or(Err(Error::NotOnNetwork { wallet }))
    }

    /// How each wallet can be written to, in their order: known conversations, else contacts, asked in batches.
    ///
    /// The outer error is the node's; an inner one concerns that wallet alone. Conversations are looked for among the known
    /// ones only: whoever writes to many has a stream open, or calls [`Client::sync_conversations`] first.
    pub async fn reach(&self, wallets: &[Address]) -> Result<Vec<Result<Conversation, Error>>, Error> {
        self.reach_as(wallets.iter().copied().map(Asked::from).collect())
            .await
    }

    fn known(&self, asked: &Asked) -> Option<Arc<State>> {
        self.inner.conversations.of_place(asked.wallet, asked.id())
    }

    /// How each wallet would be written to, in their order. Nothing is made, and nothing published.
    pub async fn reaches(&self, asked: &[Asked]) -> Result<Vec<Reach>, Error> {
        let known: Vec<bool> = asked.iter().map(|asked| self.known(asked).is_some()).collect();
        let strangers = asked.iter().zip(&known).filter(|(_, known)| !**known);
        let strangers: Vec<Address> = strangers.map(|(asked, _)| asked.wallet).collect();
        let mut answers = self.can_message(&strangers).await?.into_iter();
        let reach = known.into_iter().map(|known| match known {
            true => Reach::Known,
            false if answers.next() == Some(true) => Reach::New,
            false => Reach::Unreachable,
        });
        Ok(reach.collect())
    }

    /// The same, where new conversations may be about something or carry a proof.
    pub async fn reach_as(&self, asked: Vec<Asked>) -> Result<Vec<Result<Conversation, Error>>, Error> {
        let known: Vec<_> = asked.iter().map(|asked| self.known(asked)).collect();
        let strangers = asked.iter().zip(&known).filter(|(_, known)| known.is_none());
        let strangers: Vec<Address> = strangers.map(|(asked, _)| asked.wallet).collect();
        let mut contacts = self.contacts(&strangers).await?.into_iter();
        let questions: Vec<_> = asked
            .into_iter()
            .zip(known)
            .map(|(asked, known)| {
                let contact = if known.is_none() { contacts.next() } else { None };
                (asked, known, contact)
            })
            .collect();
        let client = self.clone();
        let choose =
            move |(asked, known, contact): (Asked, Option<Arc<State>>, Option<Result<Contact, Error>>)| {
                let state = match known {
                    Some(known) => known,
                    None => client.choose(asked, contact)?,
                };
                Ok(client.handle(state))
            };
        compute_each(questions, choose).await
    }

    /// The rule that picks V1 or V2 for a peer without a known V2 conversation.
    fn choose(&self, asked: Asked, contact: Option<Result<Contact, Error>>) -> Result<Arc<State>, Error> {
        let (own, wallet, now) = (self.inner.address, asked.wallet, self.inner.clock.now());
        if wallet == own {
            return Err(Error::OwnWallet { wallet });
        }
        let contact = contact.unwrap_or(Err(Error::NotOnNetwork { wallet }))?;
        let known = self.known_v1(wallet);
        if asked.id().is_none() && (contact.is_v1() || known.is_some()) {
            if !contact.bundle().bundle().is_from_legacy() || self.keys().public_v1().is_err() {
                return Err(Error::NotLegacy { wallet });
            }
            let new = || Arc::new(State::v1(own, wallet, now, Some(Opening::Intros)));
            let state = known.unwrap_or_else(new);
            if let Kind::V1(v1) = &state.kind {
                v1.keep_contact(contact.into_bundle());
            }
            return Ok(state);
        }
        let bundle = contact.into_bundle();
        let mut invitation = Invitation::derive(&self.keys(), &bundle, asked.context);
        invitation.consent_proof = asked.consent_proof;
        Ok(Arc::new(State::inviting(own, &bundle, invitation, now)))
    }
}

/// How a wallet would be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In a conversation that exists.
    Known,
    /// In one that the first message opens.
    New,
    /// Not at all: it has published no contact that can be used.
    Unreachable,
}

/// A wallet to write to, and what a new conversation with it would be about.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The wallet.
    pub wallet: Address,
    /// The conversation's id and metadata; one with another id is another conversation.
    pub context: Option<InvitationContext>,
    /// The wallet's signed wish to be written to, which a new invitation carries; it is not verified here.
    pub consent_proof: Option<ConsentProof>,
}

impl From<Address> for Asked {
    fn from(wallet: Address) -> Self {
        Self {
            wallet,
            context: None,
            consent_proof: None,
        }
    }
}

impl Asked {
    /// An empty id is none.
    fn id(&self) -> Option<&str> {
        let id = self.context.as_ref()?.conversation_id.as_str();
        (!id.is_empty()).then_some(id)
    }
}
