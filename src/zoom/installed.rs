//! What an admin's authorisation of a general app left, as the client asks for it.

use std::fmt;

use async_trait::async_trait;

use super::oauth::Granted;
use crate::ids::UserId;

/// The tokens of one installation.
#[derive(Debug, Clone)]
pub struct Held {
    /// Who authorised the app: Zoom has one authorisation for each user.
    pub user: UserId,
    pub granted: Granted,
}

/// What became of tokens that Zoom gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    Kept,
    /// The installation is gone, or its user has authorised the app again meanwhile.
    Unwanted,
}

/// The installations of an app in one account, as they are kept.
#[async_trait]
pub trait Installations: fmt::Debug + Send + Sync {
    /// Those that are good, the one to use first.
    fn good(&self) -> Vec<Held>;

    /// Zoom gave new tokens in the place of the old ones. They are on disk when this returns, or nobody's: then whoever has
    /// them must not use them.
    ///
    /// # Errors
    /// They are not, and whoever has them keeps them until they are.
    async fn renewed(&self, old: &Held, new: &Granted) -> Result<Renewed, String>;

    /// Zoom refuses these tokens for good, with why. Nothing happens where others were given meanwhile.
    async fn lost(&self, old: &Held, why: &str);
}
