//! What people do with general apps: publish, install, forbid and remove them.

use crate::chance::Chance;
use crate::clock::Timestamp;

use super::account::Subscription;
use super::answer::Answer;
use super::app::{App, AppQuirks, Issued, NewApp};
use super::call::Request;
use super::event;
use super::oauth::OauthError;
use super::rest::authorize::{back_to, may_consent};
use super::world::{State, World, WorldError};

impl World {
    pub fn add_app(&self, new: NewApp) -> Result<(), WorldError> {
        self.state(|state| {
            let id = new.client_id.clone();
            if state.apps.contains_key(&id) || state.clients.contains_key(&id) {
                return Err(WorldError::AppTaken(id));
            }
            state.apps.insert(id, App::new(new));
            Ok(())
        })
    }

    fn edit_app<T>(&self, client_id: &str, edit: impl FnOnce(&mut App) -> T) -> Result<T, WorldError> {
        let no_app = || WorldError::NoApp(client_id.to_owned());
        self.state(|state| state.apps.get_mut(client_id).map(edit).ok_or_else(no_app))
    }

    pub fn set_app_quirks(&self, client_id: &str, change: impl FnOnce(&mut AppQuirks)) -> Result<(), WorldError> {
        self.edit_app(client_id, |app| change(&mut app.quirks))
    }

    /// Changes what the app was made with, its client id aside. Authorisations keep the scopes that they were given with.
    pub fn change_app(&self, client_id: &str, change: impl FnOnce(&mut NewApp)) -> Result<(), WorldError> {
        self.edit_app(client_id, |app| {
            let id = app.about.client_id.clone();
            change(&mut app.about);
            app.about.client_id = id;
        })
    }

    /// Events of all accounts that have installed the app go there, each with the id of its account.
    pub fn subscribe_app(&self, client_id: &str, subscription: Subscription) -> Result<(), WorldError> {
        self.edit_app(client_id, |app| app.subscriptions.push(subscription))
    }

    pub fn unsubscribe_app(&self, client_id: &str) -> Result<(), WorldError> {
        self.edit_app(client_id, |app| app.subscriptions.clear())
    }

    /// Zoom disables the app, or enables it again: 4717.
    pub fn enable_app(&self, client_id: &str, enabled: bool) -> Result<(), WorldError> {
        self.edit_app(client_id, |app| app.enabled = enabled)
    }

    /// The account's admin stops allowing the app, or allows it again: 4738.
    pub fn allow_app(&self, client_id: &str, account: &str, allowed: bool) -> Result<(), WorldError> {
        self.edit_app(client_id, |app| {
            if allowed {
                app.disallowed.remove(account);
            } else {
                app.disallowed.insert(account.to_owned());
            }
        })
    }

    /// A user reads the page at an authorisation URL and presses Allow. Gives where the browser goes then, with code and state.
    pub fn allow(&self, authorize_url: &str, email: &str) -> Result<String, WorldError> {
        self.decide(authorize_url, email, "allow")
    }

    /// The same with Decline: there is an error instead of a code.
    pub fn decline(&self, authorize_url: &str, email: &str) -> Result<String, WorldError> {
        self.decide(authorize_url, email, "decline")
    }

    fn decide(&self, url: &str, email: &str, decision: &str) -> Result<String, WorldError> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let email: String = percent_encoding::utf8_percent_encode(email, percent_encoding::NON_ALPHANUMERIC).collect();
        let answer = self.handle(&Request {
            method: "POST".to_owned(),
            path: "/oauth/authorize".to_owned(),
            query: query.to_owned(),
            body: format!("as={email}&decision={decision}").into(),
            ..Request::default()
        });
        located(&answer)
    }

    /// A user presses Add on the app's page in the Marketplace: the browser goes to the app's first redirect URI with a code,
    /// and with no state, since the app was not asked \[I].
    pub fn add_from_marketplace(&self, client_id: &str, email: &str) -> Result<String, WorldError> {
        let now = self.now();
        self.state(|state| {
            let (account, user) = state.who_may(client_id, email)?;
            let app = state.apps.get_mut(client_id).ok_or_else(|| WorldError::NoApp(client_id.to_owned()))?;
            let redirect = app.about.redirect_uris.first().cloned().unwrap_or_default();
            let code = app.give_code((&account, &user), &redirect, None, (self.chance(), now));
            located(&back_to(&redirect, &[("code", Some(code))]))
        })
    }

    /// The whole way of an installation at once, without browser and code: for worlds that begin with the app installed.
    pub fn install(&self, client_id: &str, email: &str) -> Result<Issued, WorldError> {
        let now = self.now();
        self.state(|state| {
            let (account, user) = state.who_may(client_id, email)?;
            let issued = state.issue_to(client_id, account, user, self.chance(), now);
            issued.map_err(|error| WorldError::State(error.message()))
        })
    }

    /// The admin who installed the app removes it: the tokens of that installation stop, and `app_deauthorized` goes out
    /// where the app is published. Installations of other admins of the account stay, but for
    /// [`AppQuirks::removal_ends_all`].
    pub fn remove_app(&self, client_id: &str, email: &str) -> Result<(), WorldError> {
        let now = self.now();
        let removed = self.state(|state| {
            let home = state.homes.get(&email.to_lowercase()).cloned().unwrap_or_default();
            let user = state.accounts.get(&home).and_then(|account| account.users.find(email));
            let user = user.map(|user| user.id.clone()).ok_or_else(|| WorldError::NoUser(email.to_owned()))?;
            let app = state.apps.get(client_id).ok_or_else(|| WorldError::NoApp(client_id.to_owned()))?;
            let says = app.quirks.removed_says;
            let removed = state.remove_install(client_id, &home, &user, says, (self.chance(), now));
            if removed { Ok(()) } else { Err(WorldError::State("that user has not installed the app")) }
        });
        self.woken().notify_one();
        removed
    }

    /// Removes it for every admin of the account who installed it, one event each.
    pub fn remove_app_from(&self, client_id: &str, account: &str) -> Result<(), WorldError> {
        let now = self.now();
        let removed = self.state(|state| {
            let app = state.apps.get(client_id).ok_or_else(|| WorldError::NoApp(client_id.to_owned()))?;
            let (says, users): (_, Vec<String>) =
                (app.quirks.removed_says, app.installers(account).map(str::to_owned).collect());
            for user in users {
                state.remove_install(client_id, account, &user, says, (self.chance(), now));
            }
            Ok(())
        });
        self.woken().notify_one();
        removed
    }

    /// Account and user id of every installation of the app, sorted.
    pub fn installs(&self, client_id: &str) -> Vec<(String, String)> {
        let all = |app: &App| app.installs().map(|(account, user)| (account.to_owned(), user.to_owned())).collect();
        self.state(|state| state.apps.get(client_id).map(all).unwrap_or_default())
    }
}

fn located(answer: &Answer) -> Result<String, WorldError> {
    let page = || WorldError::Page { status: answer.status, text: String::from_utf8_lossy(&answer.body).into_owned() };
    answer.header("location").map(str::to_owned).ok_or_else(page)
}

impl State {
    /// Account and id of a user who may install the app.
    fn who_may(&self, client_id: &str, email: &str) -> Result<(String, String), WorldError> {
        let app = self.apps.get(client_id).ok_or_else(|| WorldError::NoApp(client_id.to_owned()))?;
        let no_user = || WorldError::NoUser(email.to_owned());
        let home = self.homes.get(&email.to_lowercase()).ok_or_else(no_user)?;
        let user = self.accounts.get(home).and_then(|account| account.users.find(email)).ok_or_else(no_user)?;
        may_consent(app, home, user).map_err(WorldError::State)?;
        Ok((home.clone(), user.id.clone()))
    }

    /// Removes one installation, and tells of it; false where there is none.
    pub(crate) fn remove_install(
        &mut self,
        client_id: &str,
        account: &str,
        user: &str,
        why: OauthError,
        (chance, now): (&dyn Chance, Timestamp),
    ) -> bool {
        let Some(app) = self.apps.get_mut(client_id) else { return false };
        if !app.remove(account, user, why) {
            return false;
        }
        if app.quirks.removal_ends_all {
            app.end_all(account, why);
        }
        let last = app.installers(account).next().is_none();
        if let Some(account) = self.accounts.get_mut(account).filter(|_| last) {
            account.installed.remove(client_id);
        }
        if app.about.published {
            let (inside, id) = (app.quirks.event_ts_inside, &app.about.client_id);
            let body = event::app_deauthorized((account, id, user), inside, chance, now).into();
            let wants = app.subscriptions.iter().filter(|to| to.wants("app_deauthorized"));
            let to: Vec<&Subscription> =
                app.about.deauthorization.as_ref().map_or_else(|| wants.collect(), |to| vec![to]);
            for to in to {
                self.outbox.post((account, id), "app_deauthorized", &body, to, (chance, now));
            }
        }
        true
    }
}
