//! Invites: links that let one account install an app, so that strangers do not.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::kept::Invite;
use super::{Accounts, note_of_service};
use crate::chance;
use crate::clock::Timestamp;
use crate::ids::AppName;
use crate::store::StoreError;

/// An invite that was just made: the link is shown once, and its secret is kept by nobody.
#[derive(Clone)]
pub struct Invited {
    pub invite: Invite,
    pub link: String,
}

impl fmt::Debug for Invited {
    /// Without the link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invited").field("invite", &self.invite).finish_non_exhaustive()
    }
}

/// What is kept of the secret in a link.
pub(super) fn hash_of(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

impl Accounts {
    /// Makes a link. `None` where no address of the public listener is configured, or no such app.
    pub async fn invite(&self, app: &AppName, label: Option<String>, by: &str) -> Result<Option<Invited>, StoreError> {
        let Some(base) = self.install_url(app) else { return Ok(None) };
        let turn = self.turn().await;
        let chance = &*self.parts.chance;
        let secret = URL_SAFE_NO_PAD.encode(chance::bytes::<32>(chance));
        let now = self.now();
        let invite = Invite {
            id: format!("inv_{}", hex::encode(chance::bytes::<6>(chance))),
            app: app.clone(),
            label,
            hash: hash_of(&secret),
            made_at: now,
            made_by: by.to_owned(),
            until: now.plus(self.parts.settings.invite_life),
            used: None,
            revoked: None,
        };
        let notes = vec![note_of_service(app, "invited", format!("invite {} by {by}", invite.id))];
        let made = invite.clone();
        self.write(turn, vec![invite.put()], notes, |kept| {
            kept.invites.insert(invite.id.clone(), invite);
        })
        .await?;
        Ok(Some(Invited { link: format!("{base}?invite={secret}"), invite: made }))
    }

    /// The newest first.
    pub fn invites(&self) -> Vec<Invite> {
        let mut all: Vec<Invite> = self.read(|kept| kept.invites.values().cloned().collect());
        all.sort_by_key(|invite| std::cmp::Reverse(invite.made_at));
        all
    }

    /// Ends an invite that was not used; whether there was one.
    pub async fn revoke_invite(&self, id: &str, by: &str) -> Result<bool, StoreError> {
        let turn = self.turn().await;
        let now = self.now();
        let found = self.read(|kept| kept.invites.get(id).filter(|invite| invite.is_open(now)).cloned());
        let Some(invite) = found else { return Ok(false) };
        let invite = Invite { revoked: Some(now), ..invite };
        let notes = vec![note_of_service(&invite.app, "invite-revoked", format!("invite {id} by {by}"))];
        self.write(turn, vec![invite.put()], notes, |kept| {
            kept.invites.insert(invite.id.clone(), invite);
        })
        .await?;
        Ok(true)
    }

    /// The invite of a link, while it is good for this app.
    pub(super) fn open_invite(&self, app: &AppName, secret: &str, now: Timestamp) -> Option<Invite> {
        let hash = hash_of(secret);
        self.read(|kept| {
            let fits = |invite: &&Invite| invite.hash == hash && invite.app == *app && invite.is_open(now);
            kept.invites.values().find(fits).cloned()
        })
    }

    /// Whether going to Zoom with the secret can come to anything. Who used an invite may come again by its link.
    pub(super) fn may_be_good(&self, app: &AppName, secret: &str) -> bool {
        let (hash, now) = (hash_of(secret), self.now());
        let is_it = |invite: &&Invite| invite.hash == hash && invite.app == *app;
        self.read(|kept| {
            kept.invites.values().find(is_it).is_some_and(|invite| invite.is_open(now) || invite.used.is_some())
        })
    }

    /// The path of that, as browsers see it.
    pub fn install_path(&self, app: &AppName) -> String {
        let host = self.parts.public_url.as_deref().and_then(|url| url.split_once("://")).map_or("", |(_, host)| host);
        let base = host.find('/').and_then(|at| host.get(at..)).unwrap_or_default();
        format!("{base}/install/{app}")
    }

    /// Where an admin begins.
    pub fn install_url(&self, app: &AppName) -> Option<String> {
        self.general_app(app)?;
        Some(format!("{}/install/{app}", self.parts.public_url.as_ref()?))
    }
}
