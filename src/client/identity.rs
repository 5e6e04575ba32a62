//! The wallet's keys: loaded from the network, where every client of the wallet finds them, or made and stored there.

use herald_protocol::{
    address::Address,
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    ciphertext::Entropy,
    key::PrivateKey,
    key_bundle::SealedKeyBundle,
    proto::api::Envelope,
    time::TimestampNs,
    token,
    topic::Topic,
    wallet::{self, WalletKey},
};
use zeroize::Zeroizing;

use super::{Api, Error, api::Range, random};

/// The wallet's keys, and whether they were made just now.
pub(super) async fn load_or_create(
    api: &Api,
    wallet: &WalletKey,
    clock: fn() -> TimestampNs,
) -> Result<(PrivateKeyBundle, bool), Error> {
    let address = wallet.address();
    if let Some(stored) = newest(api, address).await? {
        let unreadable = |source| Error::KeyBundle {
            wallet: address,
            source,
        };
        let sealed = SealedKeyBundle::decode(&stored.message).map_err(unreadable)?;
        let signature = Zeroizing::new(wallet.sign_text(&sealed.text()));
        let opened = sealed.open(&signature).map_err(unreadable)?;
        if opened.older_form {
            store(api, wallet, &opened.bundle, clock()).await?;
        }
        Ok((opened.bundle, false))
    } else {
        let keys = create(wallet, clock())?;
        store(api, wallet, &keys, clock()).await?;
        Ok((keys, true))
    }
}

async fn newest(api: &Api, wallet: Address) -> Result<Option<Envelope>, Error> {
    let topics = vec![Topic::private_store(wallet).to_string()];
    let range = Range {
        topics,
        descending: true,
        page: 1,
        ..Range::default()
    };
    Ok(api.query(&range, None).await?.envelopes.into_iter().next())
}

/// Makes keys that clients of both generations understand, signed by the wallet.
fn create(wallet: &WalletKey, now: TimestampNs) -> Result<PrivateKeyBundle, Error> {
    let unsigned = UnsignedIdentity::legacy(random_key()?, now);
    let signature = wallet.sign_text(&unsigned.text());
    Ok(unsigned.signed(wallet.address(), &signature, random_key()?, now)?)
}

fn random_key() -> Result<PrivateKey, Error> {
    // All but one in 2^128 of 32-byte strings are keys.
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(PrivateKey::from_bytes(bytes.as_slice())?)
}

/// Seals the keys to the wallet and publishes them.
async fn store(
    api: &Api,
    wallet: &WalletKey,
    keys: &PrivateKeyBundle,
    now: TimestampNs,
) -> Result<(), Error> {
    let wallet_pre_key = random::<32>()?;
    let signature = Zeroizing::new(wallet.sign_text(&wallet::enable_identity_text(&wallet_pre_key)));
    let sealed = SealedKeyBundle::seal(keys, wallet_pre_key, &signature, Entropy::from_bytes(random()?))?;
    let envelope = Envelope {
        content_topic: Topic::private_store(wallet.address()).to_string(),
        timestamp_ns: now.as_ns(),
        message: sealed.encode().into(),
    };
    Ok(api.publish(vec![envelope], &token::bearer(keys, now)?).await?)
}
