//! A client that gets to know its 10,000 conversations: from the network, and again from its cache.
//!
//! Node and client are processes of their own and share the machine's cores; what the node computes is part of the time. A
//! client's time starts before it opens its cache and ends when it lists every conversation: with its keys loaded from the
//! node and opened, its contact checked, and its (empty) consent log read.

use std::{
    fs,
    hint::black_box,
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use aes_gcm::{AeadInOut as _, Aes256Gcm, KeyInit as _};
use herald_protocol::proto::contents::{self, ciphertext::Union, sealed_invitation::Version};
use hkdf::Hkdf;
use prost::Message as _;
use sha2::Sha256;

use crate::{
    Error,
    curve::Curve,
    figure::{self, Figure, Round, Target},
    inbox::{self, CONVERSATIONS, OWNER},
    node::runtime,
    people,
    process::{self, NodeProcess},
};

/// Seconds from a new cache file; the floor is what two cores need for the cryptography of all invitations, half each: as
/// long as half of its CPU time on an idle machine, and as disturbed as the client on a busy one.
pub(crate) fn cold(folder: &Path) -> Result<Figure, Error> {
    let node = node_with_inbox(folder)?;
    let floor = Floor::of(inbox::invitations()?.first().ok_or("no invitation")?)?;
    let mut rounds = Vec::with_capacity(COLD_ROUNDS);
    for number in 0..COLD_ROUNDS {
        let cache = folder.join(format!("cold-{number}.db"));
        let (subject, floor) = if number % 2 == 0 {
            let subject = connect(&node, &cache)?;
            (subject, floor.open_all()?)
        } else {
            let floor = floor.open_all()?;
            (connect(&node, &cache)?, floor)
        };
        rounds.push(Round { subject, floor });
    }
    node.stop()?;
    Ok(Figure::of_rounds("s", &rounds, Target::AtMost(1.4)))
}

/// Milliseconds after a restart; in the floor's place the time without a cache.
pub(crate) fn warm(folder: &Path) -> Result<Figure, Error> {
    let node = node_with_inbox(folder)?;
    let kept = folder.join("warm.db");
    connect(&node, &kept)?;
    let mut rounds = Vec::with_capacity(WARM_ROUNDS);
    for number in 0..WARM_ROUNDS {
        let cold = connect(&node, &folder.join(format!("cold-{number}.db")))?;
        let warm = (0..RESTARTS).map(|_| connect(&node, &kept));
        let warm = warm.collect::<Result<Vec<_>, _>>()?;
        rounds.push(Round {
            subject: 1e3 * figure::median(warm.into_iter()),
            floor: 1e3 * cold,
        });
    }
    node.stop()?;
    Ok(Figure::of_rounds("ms", &rounds, Target::AtMost(0.02)))
}

/// MiB of a client's process above one of a wallet without conversations; in the floor's place the 32 MiB it may have. The
/// client that had to read the network counts; what one holds that read its cache is told beside it.
pub(crate) fn memory(folder: &Path) -> Result<Figure, Error> {
    let node = node_with_inbox(folder)?;
    let lonely = OWNER + CONVERSATIONS + 1;
    drop(runtime("client")?.block_on(people::connect(lonely, node.address()))?);
    let (mut rounds, mut cached) = (Vec::new(), Vec::new());
    for number in 0..MEMORY_ROUNDS {
        let file = |name: &str| -> PathBuf { folder.join(format!("{name}-{number}.db")) };
        let resident = |name: &str, wallet, conversations| {
            process::resident(&node.address(), &file(name), wallet, conversations)
        };
        let lonely = resident("lonely", lonely, 0)?;
        let mib = |kib: u32| f64::from(kib.saturating_sub(lonely)) / 1024.0;
        rounds.push(Round {
            subject: mib(resident("known", OWNER, CONVERSATIONS)?),
            floor: 32.0,
        });
        cached.push(mib(resident("known", OWNER, CONVERSATIONS)?));
    }
    node.stop()?;
    let cached = figure::median(cached.into_iter());
    writeln!(
        io::stderr(),
        "list-memory: {cached:.1} MiB when read from the cache"
    )?;
    Ok(Figure::of_rounds("MiB", &rounds, Target::AtMost(1.0)))
}

/// A node that has the wallet's keys, contact and invitations.
fn node_with_inbox(folder: &Path) -> Result<NodeProcess, Error> {
    let store = folder.join("node");
    fs::create_dir(&store)?;
    let node = NodeProcess::start(&store)?;
    runtime("load")?.block_on(async {
        inbox::publish(node.address()).await?;
        people::connect(OWNER, node.address()).await
    })?;
    Ok(node)
}

/// Seconds of a client's connecting.
fn connect(node: &NodeProcess, cache: &Path) -> Result<f64, Error> {
    Ok(process::connect(&node.address(), cache, OWNER, CONVERSATIONS)?.as_secs_f64())
}

/// The cryptography of opening invitations of one size.
struct Floor {
    curve: Curve,
    header: Vec<u8>,
    sealed: Vec<u8>,
}

impl Floor {
    fn of(envelope: &herald_protocol::proto::api::Envelope) -> Result<Self, Error> {
        let invitation = contents::SealedInvitation::decode(envelope.message.as_ref())?;
        let Some(Version::V1(v1)) = invitation.version else {
            return Err("an invitation is V1".into());
        };
        let Some(Union::Aes256GcmHkdfSha256(sealed)) = v1.ciphertext.and_then(|ciphertext| ciphertext.union)
        else {
            return Err("an invitation is sealed".into());
        };
        let mut plain = vec![5; sealed.payload.len() - TAG_BYTES];
        aead(&[4; 32])?
            .encrypt_in_place(&NONCE.into(), &v1.header_bytes, &mut plain)
            .map_err(|_| "sealing failed")?;
        Ok(Self {
            curve: Curve::new()?,
            header: v1.header_bytes,
            sealed: plain,
        })
    }

    /// Seconds of opening all on two cores.
    fn open_all(&self) -> Result<f64, Error> {
        let started = Instant::now();
        thread::scope(|scope| {
            let half = || (0..CONVERSATIONS / 2).try_for_each(|number| self.open(number));
            let other = scope.spawn(half);
            half()?;
            other.join().map_err(|_| "a thread panicked")?
        })?;
        Ok(started.elapsed().as_secs_f64())
    }

    fn open(&self, number: u32) -> Result<(), Error> {
        self.curve.verify(number)?;
        black_box(self.curve.recover(number)?);
        for point in 0..3 {
            black_box(self.curve.diffie_hellman(number + point));
        }
        let mut plain = self.sealed.clone();
        aead(&[4; 32])?
            .decrypt_in_place(&NONCE.into(), &self.header, &mut plain)
            .map_err(|_| "opening failed")?;
        black_box(plain);
        Ok(())
    }
}

fn aead(secret: &[u8]) -> Result<Aes256Gcm, Error> {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(&[6; 32]), secret)
        .expand(&[], &mut key)
        .map_err(|_| "32 bytes can be derived")?;
    Ok(Aes256Gcm::new(&key.into()))
}

const COLD_ROUNDS: usize = 7;
const WARM_ROUNDS: usize = 5;
const RESTARTS: usize = 11;
const MEMORY_ROUNDS: usize = 3;
const TAG_BYTES: usize = 16;
const NONCE: [u8; 12] = [7; 12];
