//! A stateful Zoom on loopback: for `demo`, tests and benchmarks.
//!
//! [`World`] is the state: accounts, people, meetings, tokens, limits, faults, a log of calls, deliveries on their way. Its
//! methods are what admins and people do, and each emits the webhooks that Zoom would. [`World::handle`] is the REST API
//! without a network. [`Sim`] puts HTTP around it and sends the deliveries.
//!
//! [`World::add_app`] makes a general app, which [`World::allow`], [`World::add_from_marketplace`] or [`World::install`] install
//! in an account, as many as one likes, and [`World::remove_app`] takes out of it.
//!
//! [`World::schools`] makes thousands of accounts at once, and [`World::crossings`] are the calls that named what is not their
//! account's.
//!
//! [`World::arrive`] and its kin say who is at a meeting, and [`World::record`] who was; [`School`] plays a day of lessons with all
//! that goes wrong on one, and returns the truth of it, for comparing with what was made of its events.
//!
//! It guarantees that nothing in it waits for anything but the world's clock, that it never sends beyond loopback, and that
//! it refuses what Zoom is known to refuse, in Zoom's words. Each rule carries the mark of its source: **\[D]** and **\[DOC]**
//! Zoom's documents (`U` users, `MT` meetings), **\[E18]** and **\[E22]** its error tables of those years, **\[Z]** and
//! **\[REPO]** code that Zoom published, **\[F]** and **\[FORUM]** its forum, **\[C]** and **\[3P]** somebody else's code, **\[M]** memory,
//! **\[I]** and **\[DED]** inferred. What is unknown or contradictory is a switch in [`Quirks`].
//!
//! It deliberately knows nothing of the rest of this crate but clock and chance, so that a mistake of ours about Zoom is not
//! made twice in the same way. It does not have settings of groups, roles of an
//! account's own, webinars but for what they are not, or what a removed user leaves besides meetings.

mod account;
mod answer;
mod app;
mod body;
mod call;
mod crossing;
mod crowd;
mod event;
mod fault;
mod group;
mod later;
mod limit;
mod marketplace;
mod meeting;
mod movable;
mod oauth;
mod outbox;
mod people;
mod portal;
mod rest;
mod room;
mod school;
mod sender;
mod server;
mod settings;
mod sign;
#[cfg(test)]
mod tests;
mod user;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::account::{NewAccount, Offers, Organisation, Principal, Quirks, Subscription};
pub use self::answer::{Answer, Refusal};
pub use self::app::{AppKind, AppQuirks, Issued, NewApp};
pub use self::call::{Call, Request};
pub use self::crowd::Crowd;
pub use self::event::{Moment, Notice, Scene};
pub use self::fault::{Fault, FaultKind, Target};
pub use self::group::Group;
pub use self::limit::{Category, Plan, TooMany};
pub use self::meeting::{MEETING_WRITES_PER_DAY, Meeting};
pub use self::oauth::{ErrorForm, OauthError};
pub use self::outbox::{Attempt, Delivery, Mischief, RETRY_AFTER_MINS, Sent, Tally};
pub use self::room::{Instance, Person, Place, Record, Stay, Visit, Wait};
pub use self::school::{Day, Loss, Lost, Meddled, Meddling, Playing, School, Truth, Unattended};
pub use self::sender::ValidationError;
pub use self::sign::{encrypted_token, sign};
pub use self::user::{Assistant, CreationType, NewUser, User, UserStatus};
pub use self::world::{World, WorldError};

/// How the simulated Zoom is served.
#[derive(Debug, Clone, Copy)]
pub struct SimOptions {
    /// 0 for any free port of 127.0.0.1.
    pub port: u16,
    /// How many deliveries are on their way at once; 1 keeps their order.
    pub deliveries_at_once: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { port: 0, deliveries_at_once: 1 }
    }
}

/// A running simulated Zoom. Dropping it stops it at the next chance; [`Sim::stop`] waits for that.
#[derive(Debug)]
pub struct Sim {
    world: World,
    address: SocketAddr,
    client: reqwest::Client,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Sim {
    /// Serves the world on a free port of loopback.
    pub async fn start(world: World) -> io::Result<Self> {
        Self::start_with(world, SimOptions::default()).await
    }

    pub async fn start_with(world: World, options: SimOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let client = sender::client().map_err(io::Error::other)?;
        world.state(|state| state.api_url = format!("http://{address}"));
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(server::run(listener, world.clone(), stopped.clone()));
        let at_once = options.deliveries_at_once.max(1);
        let sending = tokio::spawn(sender::run(world.clone(), client.clone(), at_once, stopped));
        Ok(Self { world, address, client, stop, tasks: [serving, sending] })
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of the REST API: `http://127.0.0.1:PORT/v2`.
    pub fn api_url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// The base of OAuth: `http://127.0.0.1:PORT/oauth`; under it are `/authorize`, `/token` and `/revoke`.
    pub fn oauth_url(&self) -> String {
        format!("http://{}/oauth", self.address)
    }

    /// Waits until every delivery that is due has been sent and answered, retries that are not due yet aside.
    ///
    /// Settle before advancing a manual clock: the three seconds that an endpoint has are the world's, so that a jump
    /// fails what is on its way, and an endpoint that never answers holds this up until the clock has moved.
    pub async fn settle(&self) {
        loop {
            let mut settled = std::pin::pin!(self.world.settled().notified());
            settled.as_mut().enable();
            let now = self.world.now();
            if self.world.state(|state| state.outbox.is_idle(now)) {
                return;
            }
            settled.await;
        }
    }

    /// Sends a signed `endpoint.url_validation` to each endpoint of the account, and checks the answers.
    pub async fn validate(&self, account: &str) -> Result<(), ValidationError> {
        let to = self.world.state(|state| state.accounts.get(account).map(|account| account.subscriptions.clone()));
        sender::validate(&self.world, &self.client, account, to.unwrap_or_default()).await
    }

    /// The same for each endpoint of a general app.
    pub async fn validate_app(&self, client_id: &str) -> Result<(), ValidationError> {
        let to = self.world.state(|state| state.apps.get(client_id).map(|app| app.subscriptions.clone()));
        sender::validate(&self.world, &self.client, client_id, to.unwrap_or_default()).await
    }

    /// Closes the port, answers what runs, and gives the world back: it can be served again.
    pub async fn stop(self) -> World {
        self.stop.send_replace(true);
        for task in self.tasks {
            // An error is a panic in the task, which has been printed.
            let _ended = task.await;
        }
        self.world
    }
}
