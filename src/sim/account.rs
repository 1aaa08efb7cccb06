//! One Zoom account: its plan, its app, its people, its meetings, and what nobody knows about Zoom as switches.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::chance::{Chance, bytes};

use super::group::Groups;
use super::limit::{DayQuota, Limiter, Plan};
use super::meeting::Meetings;
use super::room::Rooms;
use super::user::Users;

/// How an account starts. The owner becomes its first user, licensed and active.
#[derive(Debug, Clone)]
pub struct NewAccount {
    pub id: String,
    pub plan: Plan,
    /// The server-to-server app's credentials.
    pub client_id: String,
    pub client_secret: String,
    /// Granted scopes: classic (`user:write:admin`) or granular (`user:write:assistant:admin`).
    pub scopes: Vec<String>,
    pub owner_email: String,
}

/// Classic scopes for everything here; the last two are \[M] and of webhooks.md.
pub(crate) const ALL_SCOPES: [&str; 8] = [
    "user:read:admin",
    "user:write:admin",
    "meeting:read:admin",
    "meeting:write:admin",
    "group:read:admin",
    "group:write:admin",
    "account:read:admin",
    "marketplace_app:read:admin",
];

impl NewAccount {
    /// A Business account with classic scopes for everything here, and credentials made from its id.
    pub fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            plan: Plan::Business,
            client_id: format!("client-{id}"),
            client_secret: format!("client-secret-{id}"),
            scopes: ALL_SCOPES.map(str::to_owned).to_vec(),
            owner_email: format!("owner@{}.example", id.to_lowercase()),
        }
    }
}

/// Where an account's events go. Overlapping subscriptions send an event once each \[DOC].
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Plain http on loopback; anything else is never sent to.
    pub url: String,
    /// The app's secret token.
    pub secret: String,
    /// Names of events; none means all.
    pub events: Option<Vec<String>>,
}

impl Subscription {
    pub fn to_all(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { url: url.into(), secret: secret.into(), events: None }
    }

    pub(crate) fn wants(&self, event: &str) -> bool {
        self.events.as_ref().is_none_or(|events| events.iter().any(|name| name == event))
    }
}

/// What an account has beside its plan, without which some ways to make a user are refused \[D U].
#[derive(Debug, Clone)]
pub struct Offers {
    /// For `autoCreate`: a managed domain, as only some plans have.
    pub managed_domain: bool,
    /// For `custCreate`: a contract as an integrator.
    pub custom_users: bool,
    /// For `ssoCreate`: single sign-on with pre-provisioned users.
    pub single_sign_on: bool,
}

impl Default for Offers {
    /// Everything.
    fn default() -> Self {
        Self { managed_domain: true, custom_users: true, single_sign_on: true }
    }
}

/// Which user counts where Zoom's documents do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The user in whose path the meeting was made.
    PathUser,
    /// The user who hosts it now.
    Host,
}

/// What the facts leave open, or say twice and differently: each a switch, so that a test can try both.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent open questions about Zoom")]
pub struct Quirks {
    /// Who must be an assistant of the new host for a move: the path user \[F 88501] or the current host \[C ithaca].
    pub move_needs: Principal,
    /// Whose 100 a day a PATCH is billed to: unknown after a move \[api.md §4].
    pub update_bills: Principal,
    /// A meeting that was moved names the path user as `assistant_id`, or nobody: unknown \[I].
    pub moved_names_path_user: bool,
    /// The answer of a create with `schedule_for` names the path user as `host_id` \[C moodle].
    pub create_answers_path_user: bool,
    /// A move that lacks the privilege or a licence is refused with 3003 \[KB], and not with 3000 \[F 88501].
    pub lost_privilege_is_3003: bool,
    /// Whoever is granted twice is told so in the words of 2018 \[E18], and not in those of 2022 \[E22].
    pub duplicates_in_old_words: bool,
    /// Nobody of this domain can be scheduled for; that there are such refusals is \[D MT].
    pub blocked_domain: Option<String>,
    /// Whether a move alone emits `meeting.updated`: unknown \[api.md §8.11].
    pub move_emits_update: bool,
    /// Creates and updates of meetings are Heavy \[Z], against the spec's Medium and Light \[D].
    pub meeting_writes_are_heavy: bool,
    /// HTTP status of 4711: 400 or 401 \[M].
    pub scopes_status: u16,
    /// 300 classically, 2000 in the spec of 2025 \[D U]. Beyond it the request is refused \[I].
    pub page_size_max: usize,
    /// GET of a pending user by email may answer, or not \[F 98314].
    pub pending_found_by_email: bool,
    /// Users made with `create` are pending \[DOC]; since May 2026 they were seen active at once \[F 143729].
    pub create_is_pending: bool,
    /// Whoever has a user in another account can be invited by `create`, and joins when they accept \[I: background
    /// add-users-on-behalf-of-another-account]; else, and by all other actions, they are refused with 1009 \[E22].
    pub invites_from_elsewhere: bool,
    /// What is read of somebody who was invited from another account names no account until they accept \[I].
    pub joining_hides_account: bool,
    /// How long an invitation is good \[M]. After that the user is refused with 1120 \[E22], until invited again \[I].
    pub invitation_lives: Duration,
    /// Every invitation over REST is accepted after so long.
    pub accepted_after: Option<Duration>,
    /// The code for having no licence left: 3412, or 2033, 2034, 2038 \[E18, E22].
    pub no_seats_code: u32,
    /// Whether losing the licence or being deactivated keeps the assistants: unknown \[api.md §8.10].
    pub unlicensed_keep_assistants: bool,
    /// How many rows GET schedulers gives at most: no paging is documented, and the spec says maxItems 30 \[D U].
    pub schedulers_max: Option<usize>,
    /// `me` under a server-to-server token is the owner \[D], or answers 404 (false) \[Z "MUST NOT use"].
    pub me_answers: bool,
    /// `meeting.started` stays away for instant meetings, as seen \[FORUM 7525].
    pub instant_starts_untold: bool,
    /// Whoever leaves a group is told of as `group.members_deleted`, as in Zoom's sample, and not as `group.member_deleted`.
    pub leavers_in_plural: bool,
    /// Rate limits count (off for load tests).
    pub limits: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            move_needs: Principal::PathUser,
            update_bills: Principal::PathUser,
            moved_names_path_user: true,
            create_answers_path_user: true,
            lost_privilege_is_3003: false,
            duplicates_in_old_words: false,
            blocked_domain: None,
            move_emits_update: true,
            meeting_writes_are_heavy: false,
            scopes_status: 400,
            page_size_max: 300,
            pending_found_by_email: true,
            create_is_pending: true,
            invites_from_elsewhere: true,
            joining_hides_account: true,
            invitation_lives: Duration::from_secs(30 * 86_400),
            accepted_after: None,
            no_seats_code: 3412,
            unlicensed_keep_assistants: true,
            schedulers_max: None,
            me_answers: true,
            instant_starts_untold: false,
            leavers_in_plural: false,
            limits: true,
        }
    }
}

/// What several accounts are together \[KB 201362803].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    pub name: String,
    /// Users may assign scheduling privilege to others of the organisation, and not of their account alone.
    pub shares_privilege: bool,
}

/// One account of the world.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) plan: Plan,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) scopes: Vec<String>,
    /// False after the app was deactivated or deauthorised: its tokens stop.
    pub(crate) app_active: bool,
    /// The admin who acts, in webhooks, and `me`.
    pub(crate) owner_id: String,
    pub(crate) owner_email: String,
    /// Those of its own app.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Client ids of the general apps that somebody has installed here.
    pub(crate) installed: BTreeSet<String>,
    pub(crate) users: Users,
    pub(crate) groups: Groups,
    pub(crate) meetings: Meetings,
    pub(crate) rooms: Rooms,
    /// Who acts, by id, where it is not the owner.
    pub(crate) acting: Option<String>,
    /// What is not as in every account.
    pub(crate) settings: Map<String, Value>,
    /// How many licences there are; none for as many as anybody wants.
    pub(crate) seats: Option<usize>,
    pub(crate) offers: Offers,
    /// Invitations of today.
    pub(crate) invites: DayQuota,
    pub(crate) limiter: Limiter,
    pub(crate) quirks: Quirks,
    pub(crate) organisation: Option<Organisation>,
}

impl Account {
    pub(crate) fn new(new: NewAccount, owner_id: String) -> Self {
        Self {
            id: new.id,
            plan: new.plan,
            client_id: new.client_id,
            client_secret: new.client_secret,
            scopes: new.scopes,
            app_active: true,
            owner_id,
            owner_email: new.owner_email,
            subscriptions: Vec::new(),
            installed: BTreeSet::new(),
            users: Users::default(),
            groups: Groups::default(),
            meetings: Meetings::default(),
            rooms: Rooms::default(),
            acting: None,
            settings: Map::new(),
            seats: None,
            offers: Offers::default(),
            invites: DayQuota::default(),
            limiter: Limiter::default(),
            quirks: Quirks::default(),
            organisation: None,
        }
    }
}

impl Account {
    /// Whether users of both may assign each other the privilege: the setting is on in both \[I].
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        self.organisation.as_ref().is_some_and(|own| own.shares_privilege) && self.organisation == other.organisation
    }

    /// Email and id of who acts.
    pub(crate) fn operator(&self) -> (&str, &str) {
        let acting = self.acting.as_deref().and_then(|id| self.users.find(id));
        acting.map_or((&self.owner_email, &self.owner_id), |user| (&user.email, &user.id))
    }
}

/// An id of the look that Zoom's have: 22 letters of URL-safe base64.
pub(crate) fn fresh_id(chance: &dyn Chance) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<16>(chance))
}

/// A meeting's UUID: 16 bytes of plain base64, which may hold `/` and `+` \[DOC].
pub(crate) fn fresh_uuid(chance: &dyn Chance) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes::<16>(chance))
}

/// A number of that many digits.
pub(crate) fn fresh_number(chance: &dyn Chance, from: u64, to: u64) -> u64 {
    from + chance.next_u64() % (to - from)
}
