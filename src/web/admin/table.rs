//! Every route of the listener that wants a token: the one list from which the router, who may ask, the document of the API and
//! the tests are made. A route that is not here does not exist.
//!
//! To add one: a handler whose query, body and answer derive `JsonSchema`, and a line in [`routes`].

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::caller::Role;
use super::described::{Described, Operation};
use super::{
    AdminState, PLAN_BYTES_MAX, accounts, assistants, completeness, consumers, errands, explain, forgetting, guard,
    jobs, log, meetings, metrics, movable, onboarding, openapi, plans, routes as other, rows, stream, sweeps,
    take_back, tokens, trace, users,
};

/// What of accounts a route tells or moves, and so what becomes of whoever is bound to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// No account at all.
    Nothing,
    /// The whole service: refused.
    Service,
    /// The account in the path, `{account}`: another one is not there. The guard looks.
    InPath,
    /// All accounts, or the one of `account` in the query: theirs alone. The handler asks [`super::Caller::scope`].
    Chosen,
    /// The account of what the path names, known when that is read: another's is not there. The handler asks
    /// [`super::Caller::sees`].
    Read,
}

/// Who may ask.
pub type Who = &'static [Role];

const ALL: Who = &Role::ALL;
const OPERATORS: Who = &[Role::Operator];
const READERS: Who = &[Role::Operator, Role::Auditor];
const ONBOARDERS: Who = &[Role::Operator, Role::Onboarder];
/// Whoever makes meetings and moves them: their links are not for all who read.
const SCHEDULERS: Who = &[Role::Operator, Role::Scheduler];
const SCHEDULE_READERS: Who = &[Role::Operator, Role::Auditor, Role::Scheduler];
const USER_READERS: Who = &Role::ALL;
/// Whoever follows the work that onboarding leads to.
const FOLLOWERS: Who = &[Role::Operator, Role::Auditor, Role::Onboarder];

/// One method of one path.
#[derive(Clone)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub who: Who,
    pub about: About,
    /// For people: a sentence.
    pub summary: &'static str,
    handler: MethodRouter<Arc<AdminState>>,
    pub(super) described: fn(&mut Operation),
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

type Rights = (Who, About);

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

fn route<H, A, D>(method: Method, path: &'static str, (who, about): Rights, summary: &'static str, handler: H) -> Route
where
    H: Handler<A, Arc<AdminState>> + Described<D>,
    A: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
    Route { method, path, who, about, summary, handler: on(filter, handler), described: H::describe }
}

impl Route {
    fn of_bytes_max(self, bytes: usize) -> Self {
        Self { handler: self.handler.layer(DefaultBodyLimit::max(bytes)), ..self }
    }
}

/// All of them: method, path, who may ask, what it tells or moves, what it is, and who answers.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    use About::{Chosen, InPath, Nothing, Read, Service};
    let all = vec![
        route(GET, "/openapi.json", (ALL, Nothing), "This document", openapi::show),
        route(GET, "/metrics", (READERS, Service), "Figures, in the text format of OpenMetrics", metrics::metrics),
        route(GET, "/v1/status", (READERS, Service), "How the service and its store are", other::status),
        route(GET, "/v1/jobs", (FOLLOWERS, Chosen), "Jobs, the newest first", jobs::jobs),
        route(POST, "/v1/jobs/retry", (OPERATORS, Chosen), "Try again all that is parked for a cause", jobs::retry_cause),
        route(POST, "/v1/jobs/cancel", (OPERATORS, Chosen), "End for good all that is parked for a cause", jobs::cancel_cause),
        route(GET, "/v1/jobs/{id}", (FOLLOWERS, Read), "One job", jobs::job),
        route(POST, "/v1/jobs/{id}/retry", (OPERATORS, Read), "Try a job again now", jobs::retry),
        route(POST, "/v1/jobs/{id}/park", (OPERATORS, Read), "Set a job aside", jobs::park),
        route(POST, "/v1/jobs/{id}/cancel", (OPERATORS, Read), "End a job for good", jobs::cancel),
        route(GET, "/v1/deliveries", (READERS, Chosen), "Webhook requests that were stored, the newest first", other::deliveries),
        route(GET, "/v1/deliveries/{id}", (READERS, Read), "One delivery, with its body but for secrets", other::delivery),
        route(GET, "/v1/deliveries/{id}/decide", (READERS, Read), "What the rules of now would do about a delivery", plans::decide),
        route(POST, "/v1/deliveries/{id}/replay", (OPERATORS, Read), "Plan a delivery again", other::replay),
        route(GET, "/v1/sweeps", (READERS, Chosen), "Where the sweeps of each account stand", sweeps::list),
        route(POST, "/v1/sweeps", (OPERATORS, Chosen), "Ask for sweeps", sweeps::ask),
        route(GET, "/v1/plan", (READERS, Chosen), "What the rules would change", plans::plan),
        route(POST, "/v1/plan/apply", (OPERATORS, Read), "Ask for what a plan would change", plans::apply).of_bytes_max(PLAN_BYTES_MAX),
        route(GET, "/v1/take-back", (READERS, Chosen), "Who granted an API user", take_back::look),
        route(POST, "/v1/take-back", (OPERATORS, Chosen), "Take back all grants of an API user", take_back::begin),
        route(GET, "/v1/explain", (READERS, Read), "Why somebody did, or did not, get what the rules want", explain::explain),
        route(GET, "/v1/attention", (READERS, Chosen), "What is stuck, and what to do", other::attention),
        route(GET, "/v1/accounts", (FOLLOWERS, Chosen), "Accounts that are served, and by which app", accounts::list),
        route(POST, "/v1/accounts", (OPERATORS, Service), "Serve an account by a server-to-server app of its own", accounts::add),
        route(GET, "/v1/accounts/{account}", (FOLLOWERS, InPath), "One account", accounts::show),
        route(PATCH, "/v1/accounts/{account}", (OPERATORS, InPath), "Change what of an account is not Zoom's", accounts::change),
        route(DELETE, "/v1/accounts/{account}", (OPERATORS, InPath), "Let an account go, and forget it", accounts::remove),
        route(POST, "/v1/accounts/{account}/pause", (OPERATORS, InPath), "Stop an account's jobs and sweeps for a while", accounts::pause),
        route(POST, "/v1/accounts/{account}/resume", (OPERATORS, InPath), "Let an account's jobs and sweeps go on", accounts::resume),
        route(GET, "/v1/accounts/{account}/users", (USER_READERS, InPath), "Users, as Zoom has them now, a page at a time", users::list),
        route(POST, "/v1/accounts/{account}/users", (ONBOARDERS, InPath), "Onboard one person (202), or many", onboarding::onboard).of_bytes_max(rows::BODY_BYTES_MAX),
        route(GET, "/v1/accounts/{account}/users/{user}", (USER_READERS, InPath), "One user, as Zoom has them now", users::show),
        route(DELETE, "/v1/accounts/{account}/users/{user}", (ONBOARDERS, InPath), "Take a user out of the account", users::remove),
        route(POST, "/v1/accounts/{account}/users/{user}/deactivate", (ONBOARDERS, InPath), "Deactivate a user", users::deactivate),
        route(POST, "/v1/accounts/{account}/users/{user}/forget", (OPERATORS, InPath), "Forget what is kept of a person", forgetting::forget),
        route(GET, "/v1/accounts/{account}/users/{user}/assistants", (USER_READERS, InPath), "Who may schedule for a user", assistants::list),
        route(POST, "/v1/accounts/{account}/users/{user}/assistants", (ONBOARDERS, InPath), "Make others assistants of a user, or say what would come of it", assistants::add),
        route(DELETE, "/v1/accounts/{account}/users/{user}/assistants", (ONBOARDERS, InPath), "Take all assistants from a user, or say who would lose what", assistants::remove_all),
        route(DELETE, "/v1/accounts/{account}/users/{user}/assistants/{assistant}", (ONBOARDERS, InPath), "Take one assistant from a user", assistants::remove_one),
        route(GET, "/v1/accounts/{account}/users/{user}/assistants/verify", (USER_READERS, InPath), "Whether the API users, or somebody, can schedule for a user, and what is missing", assistants::verify),
        route(GET, "/v1/accounts/{account}/users/{user}/schedulers", (USER_READERS, InPath), "For whom a user may schedule: Zoom's word for them is schedulers, and none can be added from this side", assistants::schedulers),
        route(DELETE, "/v1/accounts/{account}/users/{user}/schedulers", (ONBOARDERS, InPath), "Take the right to schedule for anybody from a user; of an API user, operators alone", assistants::remove_schedulers),
        route(DELETE, "/v1/accounts/{account}/users/{user}/schedulers/{scheduler}", (ONBOARDERS, InPath), "Take the right to schedule for one other from a user", assistants::remove_scheduler),
        route(GET, "/v1/accounts/{account}/completeness", (READERS, InPath), "What came of an account's events, day by day, and what is not known", completeness::show),
        route(GET, "/v1/accounts/{account}/coverage", (FOLLOWERS, InPath), "Who has what of the rules, and who waits for what", users::coverage),
        route(GET, "/v1/onboardings", (FOLLOWERS, Chosen), "Onboardings, the oldest first", onboarding::list),
        route(GET, "/v1/onboardings/{id}", (FOLLOWERS, Read), "One onboarding, which can be waited for", onboarding::one),
        route(GET, "/v1/invites", (READERS, Service), "Invites to install a general app, the newest first", accounts::invites),
        route(POST, "/v1/invites", (OPERATORS, Service), "Make an invite; its link is told once", accounts::invite),
        route(DELETE, "/v1/invites/{id}", (OPERATORS, Service), "End an invite that was not used", accounts::revoke_invite),
        route(GET, "/v1/apps", (READERS, Chosen), "The apps of the configuration, with their accounts", other::apps),
        route(GET, "/v1/notify", (READERS, Service), "Who is told what is stuck", other::notify),
        route(POST, "/v1/rules/{rule}/resume", (OPERATORS, Chosen), "Let a rule go on that is stopped", jobs::resume),
        route(GET, "/v1/reload", (READERS, Service), "What a reload would take in", other::difference),
        route(POST, "/v1/reload", (OPERATORS, Service), "Read the configuration again", other::reload),
        route(GET, "/v1/tokens", (READERS, Service), "Access tokens: whose they are, and never the tokens", tokens::list),
        route(POST, "/v1/tokens", (OPERATORS, Service), "Make an access token, which is shown once", tokens::create),
        route(DELETE, "/v1/tokens/{id}", (OPERATORS, Service), "Revoke an access token", tokens::revoke),
        route(POST, "/v1/store/backup", (OPERATORS, Service), "Copy the store into a folder of the service's machine", other::backup),
    ];
    all.into_iter().chain(of_the_log()).chain(of_meetings()).chain(of_consumers()).collect()
}

#[rustfmt::skip]
fn of_consumers() -> Vec<Route> {
    use About::Service;
    vec![
        route(GET, "/v1/consumers", (READERS, Service), "Consumers that take the audit log, and how far each has it", consumers::list),
        route(GET, "/v1/consumers/{consumer}", (READERS, Service), "One consumer that takes the audit log", consumers::one),
        route(POST, "/v1/consumers/{consumer}/pause", (OPERATORS, Service), "Give a consumer nothing more until it is resumed", consumers::pause),
        route(POST, "/v1/consumers/{consumer}/resume", (OPERATORS, Service), "Let a consumer go on where it was", consumers::resume),
        route(POST, "/v1/consumers/{consumer}/replay", (OPERATORS, Service), "Give a consumer the audit log again from an entry on", consumers::replay),
        route(POST, "/v1/consumers/{consumer}/forget", (OPERATORS, Service), "Forget how far one was that is not configured any more", consumers::forget),
    ]
}

#[rustfmt::skip]
fn of_the_log() -> Vec<Route> {
    use About::{Chosen, Service};
    vec![
        route(GET, "/v1/audit", (READERS, Chosen), "The audit log, a page at a time", log::entries),
        route(GET, "/v1/audit/stream", (READERS, Chosen), "The audit log as server-sent events, as it grows", stream::stream),
        route(GET, "/v1/audit/trace", (READERS, Chosen), "One thing through the audit log: what led to it, and what it led to", trace::trace),
        route(GET, "/v1/audit/head", (READERS, Service), "How long the audit log is, and the root of its tree", log::head),
        route(GET, "/v1/audit/checkpoint", (READERS, Service), "The newest signed head of the audit log, and the keys of the log", log::checkpoint),
        route(GET, "/v1/audit/proofs/{entry}", (READERS, Service), "What proves one entry to anybody who has the key", log::proof),
        route(POST, "/v1/audit/key", (OPERATORS, Service), "Sign the audit log with another key from now on", log::turn_key),
        route(GET, "/v1/audit/verify", (READERS, Service), "A page of the audit log, read from disk and hashed anew", log::verify),
    ]
}

#[rustfmt::skip]
fn of_meetings() -> Vec<Route> {
    use About::{Chosen, InPath, Read};
    vec![
        route(POST, "/v1/accounts/{account}/meetings", (SCHEDULERS, InPath), "Ask for a meeting for anybody whom the account can schedule for (202)", errands::schedule),
        route(GET, "/v1/accounts/{account}/users/{user}/meetings", (SCHEDULERS, InPath), "A host's meetings, as Zoom has them now, a page at a time", meetings::list),
        route(GET, "/v1/accounts/{account}/meetings/movable", (SCHEDULERS, InPath), "Upcoming meetings that cannot be given to another host through the API users, and why, a page at a time", movable::list),
        route(GET, "/v1/accounts/{account}/meetings/{meeting}", (SCHEDULERS, InPath), "One meeting, as Zoom has it now, with its links", meetings::show),
        route(PATCH, "/v1/accounts/{account}/meetings/{meeting}", (SCHEDULERS, InPath), "Change Zoom's fields of a meeting", meetings::update),
        route(DELETE, "/v1/accounts/{account}/meetings/{meeting}", (SCHEDULERS, InPath), "Delete a meeting", meetings::delete),
        route(POST, "/v1/accounts/{account}/meetings/{meeting}/end", (SCHEDULERS, InPath), "End the meeting that is running, for everybody in it", meetings::end),
        route(GET, "/v1/accounts/{account}/budgets", (USER_READERS, InPath), "What of Zoom's daily limit of creates and changes is used", meetings::budgets),
        route(POST, "/v1/accounts/{account}/meetings/{meeting}/move", (SCHEDULERS, InPath), "Ask for another host of a meeting (202), or whether that can be", errands::give),
        route(GET, "/v1/errands", (SCHEDULE_READERS, Chosen), "Meetings that were asked for, or to be moved, the oldest first", errands::list),
        route(GET, "/v1/errands/{id}", (SCHEDULE_READERS, Read), "One of them, which can be waited for", errands::one),
    ]
}

/// What a path takes.
pub(super) fn methods(path: &str) -> Vec<String> {
    routes().into_iter().filter(|route| route.path == path).map(|route| route.method.to_string()).collect()
}

/// The routes, each behind who may ask it. Who asks has to be known by then.
pub(super) fn router(state: Arc<AdminState>) -> Router {
    let mut router = Router::new();
    for Route { path, who, about, handler, .. } in routes() {
        let permit = guard::Permit { who, about };
        router = router.route(path, handler.route_layer(from_fn_with_state(permit, guard::permit)));
    }
    router.fallback(other::nowhere).method_not_allowed_fallback(other::wrong_method).with_state(state)
}
