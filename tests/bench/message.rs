//! Sealing and opening one text message of 1 KiB in a known conversation.
//!
//! The floor is the least that any implementation has to compute with the same crates, on the same sizes: one signature
//! made or verified, one key derivation, one AES-GCM, and for sealing one HMAC. No hashing, no encoding, one copy to have something to work on.

use std::path::Path;

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};
use herald::{client::Client, content::Content};
use herald_protocol::{
    ciphertext::Entropy,
    invitation::Invitation,
    message_v2::{Conversation, Outgoing},
    proto::contents::{self, message::Version},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use k256::ecdsa::{
    Signature, SigningKey,
    signature::hazmat::{PrehashSigner as _, PrehashVerifier as _},
};
use prost::Message as _;
use sha2::Sha256;

use crate::{
    Error,
    figure::{self, Figure, Target},
    node::Node,
    people,
};

/// What bots do for each recipient: [`Client::seal`], from the content to the envelope.
pub(crate) fn seal(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    let (client, peer) = node.block_on(acquainted(&node))?;
    let content = text();
    let example = client.seal(&peer, &content)?;
    let message = example
        .envelopes()
        .last()
        .ok_or("a sealed message has an envelope")?;
    let mut floor = Floor::of(&message.message)?;
    let rounds = figure::time(BATCH, || Ok(client.seal(&peer, &content)?), || floor.seal())?;
    drop(client);
    node.stop()?;
    Ok(Figure::of_rounds("µs", &rounds, Target::AtMost(1.3)))
}

/// A client, and a wallet it has written to before.
async fn acquainted(node: &Node) -> Result<(Client, herald::client::Conversation), Error> {
    let client = people::connect(1, node.address()).await?;
    let reader = people::connect(2, node.address()).await?;
    client.send(reader.address(), text()).await?;
    let peer = client.reach(&[reader.address()]).await?.remove(0)?;
    if !peer.is_open() {
        return Err("a conversation with a sent message is known".into());
    }
    Ok((client, peer))
}

/// What readers do for each message: open, verify, decode the content.
pub(crate) fn open(_folder: &Path) -> Result<Figure, Error> {
    let (sender, reader) = (people::identity(1)?, people::identity(2)?);
    let members = [sender.address(), reader.address()];
    let invitation = Invitation::derive(&sender, reader.public(), None);
    let conversation = Conversation::new(invitation.topic.clone(), invitation.key_material, members);
    let known = [reader.public(), sender.public()];
    let now = herald::clock::now();
    let outgoing = Outgoing {
        created: now,
        now,
        should_push: true,
    };
    let sealed: Vec<_> = (0..MESSAGES)
        .map(|number| {
            conversation.seal(
                &sender,
                &text().encode(),
                &outgoing,
                Entropy::from_bytes([number; 44]),
            )
        })
        .collect();
    let example = sealed.first().ok_or("no message")?;
    let (mut floor, mut messages) = (Floor::of(&example.bytes)?, sealed.iter().cycle());
    let rounds = figure::time(
        BATCH,
        || {
            let message = messages.next().ok_or("no message")?;
            let opened = conversation.open(conversation.topic().as_str(), &message.bytes, &known)?;
            Ok((opened.sender(), Content::decode(opened.into_content())?))
        },
        || floor.open(),
    )?;
    Ok(Figure::of_rounds("µs", &rounds, Target::AtMost(1.3)))
}

fn text() -> Content {
    Content::Text("gm ".repeat(1024 / 3))
}

/// The cryptography of a message and nothing else.
struct Floor {
    key: SigningKey,
    signed: std::iter::Cycle<std::vec::IntoIter<([u8; 32], Signature)>>,
    secret: [u8; 32],
    header: Vec<u8>,
    plain: Vec<u8>,
    /// Sealed `plain`, and where it is opened again.
    cipher: Vec<u8>,
    opened: Vec<u8>,
}

impl Floor {
    /// Of the sizes of this message.
    fn of(message: &[u8]) -> Result<Self, Error> {
        let Some(Version::V2(v2)) = contents::Message::decode(message)?.version else {
            return Err("a message is V2".into());
        };
        let Some(contents::ciphertext::Union::Aes256GcmHkdfSha256(sealed)) =
            v2.ciphertext.and_then(|ciphertext| ciphertext.union)
        else {
            return Err("a message is sealed".into());
        };
        let key = SigningKey::from_slice(&[3; 32])?;
        let signed = (0..MESSAGES).map(|number| {
            let digest = [number; 32];
            Ok((digest, key.sign_prehash(&digest)?))
        });
        let signed = signed.collect::<Result<Vec<_>, Error>>()?.into_iter().cycle();
        let mut floor = Self {
            key,
            signed,
            secret: [4; 32],
            header: v2.header_bytes,
            plain: vec![5; sealed.payload.len() - TAG_BYTES],
            cipher: Vec::with_capacity(sealed.payload.len()),
            opened: Vec::with_capacity(sealed.payload.len()),
        };
        floor.seal()?;
        Ok(floor)
    }

    fn seal(&mut self) -> Result<impl Sized + use<>, Error> {
        let (digest, _) = self.signed.next().ok_or("no digest")?;
        let signature = self.key.sign_prehash_recoverable(&digest);
        self.cipher.clear();
        self.cipher.extend_from_slice(&self.plain);
        let aead = self.aead()?;
        aead.encrypt_in_place(&NONCE.into(), &self.header, &mut self.cipher)
            .map_err(|_| "sealing failed")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)?;
        mac.update(&self.header);
        Ok((signature, mac.finalize()))
    }

    fn open(&mut self) -> Result<(), Error> {
        self.opened.clear();
        self.opened.extend_from_slice(&self.cipher);
        let aead = self.aead()?;
        aead.decrypt_in_place(&NONCE.into(), &self.header, &mut self.opened)
            .map_err(|_| "opening failed")?;
        let (digest, signature) = self.signed.next().ok_or("no signature")?;
        Ok(self.key.verifying_key().verify_prehash(&digest, &signature)?)
    }

    fn aead(&self) -> Result<Aes256Gcm, Error> {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(&SALT), &self.secret)
            .expand(&[], &mut key)
            .map_err(|_| "32 bytes can be derived")?;
        Ok(Aes256Gcm::new(&key.into()))
    }
}

const BATCH: u32 = 25;
/// Different ones, so that no branch learns one message by heart.
const MESSAGES: u8 = 64;
const TAG_BYTES: usize = 16;
const SALT: [u8; 32] = [6; 32];
const NONCE: [u8; 12] = [7; 12];
