//! Many schools and one app: each has a Zoom account of its own, whose admin installs the app; the platform makes its
//! teachers users. What is told as right was looked at where it shows: at the simulated Zoom, on the pages that an admin sees,
//! in what commands print, and in the folder of the store.

mod browser;
mod left;
mod school;

use std::net::SocketAddr;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::out::{Out, count};
use super::service::{SECRET, Service};
use super::stage::{Stage, Told, failed, new_world, told};
use crate::sim::{NewAccount, NewApp, NewUser, Sim, Subscription, User};
use crate::web::admin::accounts::AccountView;
use browser::{Browser, Page};
use school::{LATE, SOON, School, TEACHERS};

const APP: &str = "platform";
/// As [`NewApp::named`] makes it.
const CLIENT: &str = "client-platform";
/// Another app, with which the API users schedule.
const TIMETABLE: &str = "timetable";

pub(super) async fn open(out: &mut Out, count: u32) -> Result<Stage<'_>, Failure> {
    let world = new_world();
    for school in (1..=count).map(School) {
        let id = school.id();
        world.add_account(NewAccount::named(&id)).map_err(|error| failed("make an account", &error))?;
        for name in ["api", TEACHERS[0].0] {
            let user = NewUser::licensed(&school.email(name));
            world.add_user(&id, user).map_err(|error| failed("make a user", &error))?;
        }
    }
    let prepare = |sim: &Sim| {
        let (api, oauth) = (sim.api_url(), sim.oauth_url());
        Service::prepare(|public, admin| configuration(public, admin, &api, &oauth))
    };
    let stage = Stage::open(out, world, prepare).await?;
    let (world, public) = (stage.world(), stage.service.public);
    let apps = [
        NewApp::named(APP, &format!("http://{public}/oauth/callback")),
        NewApp::named(TIMETABLE, "http://127.0.0.1/nowhere").user_managed(),
    ];
    for app in apps {
        world.add_app(app).map_err(|error| failed("make an app", &error))?;
    }
    let subscription = Subscription::to_all(format!("http://{public}/webhooks/{APP}"), SECRET);
    world.subscribe_app(CLIENT, subscription).map_err(|error| failed("subscribe", &error))?;
    Ok(stage)
}

fn configuration(public: SocketAddr, admin: SocketAddr, api_url: &str, oauth_url: &str) -> String {
    format!(
        r#"# Written by `adjutant demo --schools`. For your own account: `adjutant setup`.
[server]
listen = "{public}"
public_url = "http://{public}"

[admin]
listen = "{admin}"

[zoom]                      # the simulated one
api_url = "{api_url}"
oauth_url = "{oauth_url}"

[store]                     # small, so that the demo reads all of it fast
segment_bytes = 4194304
snapshot_every_bytes = 1048576

[accounts]
forget_removed_days = 0     # at once, to be seen in the demo

[sweep]
cron = "0 4 1 1 *"          # when it is asked for, to be seen in the demo

[[app]]
name = "{APP}"
kind = "general"
client_id = "{CLIENT}"
client_secret = "client-secret-{APP}"
webhook_secrets = ["{SECRET}"]
api_user = "api@{{domain}}"
install = "invited"
plan = "business"

[[rule]]
name = "api-user-assists-everyone"
for = "user"
ensure = {{ assistants = ["api-user"] }}
mode = "enforce"
max_changes_percent = 100   # of an account in which all are new
"#
    )
}

/// A line that `users onboard --json` prints for each row.
#[derive(Debug, Deserialize)]
struct Row {
    email: Option<String>,
    state: String,
    why: Option<String>,
}

/// Why a play is over before its end.
enum Ended {
    /// A step went wrong, on which the others build.
    Wrong,
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stage<'_> {
    /// The whole show. It is over with the first step that goes wrong.
    pub(super) async fn play_schools(&mut self, number: u32) -> Result<(), Failure> {
        match self.steps(number).await {
            Ok(()) | Err(Ended::Wrong) => Ok(()),
            Err(Ended::Failed(failure)) => Err(failure),
        }
    }

    async fn steps(&mut self, number: u32) -> Result<(), Ended> {
        let (public, api) = (self.service.public, self.sim.api_url());
        self.say("", &format!("a simulated Zoom at {api}, adjutant at http://{public}; nothing leaves this machine"))?;
        let what = "each with an account of its own, and one app; the rule: the school's API user assists everyone";
        self.say("", &format!("{number} schools, {what}"))?;
        if !self.begins(async |sim| sim.validate_app(CLIENT).await).await? {
            return Err(Ended::Wrong);
        }
        let schools: Vec<School> = (1..=number).map(School).collect();
        let ([first, ..], Some((last, rest))) = (schools.as_slice(), schools.split_last()) else { return Ok(()) };
        let told = self.stranger(*first).await;
        self.goes_on(told)?;
        for school in &schools {
            let told = self.installs(*school).await;
            self.goes_on(told)?;
        }
        for school in &schools {
            let told = self.onboards(*school).await;
            self.goes_on(told)?;
        }
        let told = self.onboards_again(*first).await;
        self.goes_on(told)?;
        let told = self.accept(&schools, SOON).await;
        self.goes_on(told)?;
        let told = self.schedules(&schools).await;
        self.goes_on(told)?;
        let told = self.removes(*last, rest).await;
        self.goes_on(told)?;
        let told = self.installs_again(*first).await;
        self.goes_on(told)?;
        let told = self.accept(rest, LATE).await;
        self.goes_on(told)?;
        let told = self.sweeps(rest).await;
        self.goes_on(told)?;
        let told = self.all_have_it(rest).await;
        self.goes_on(told)?;
        let told = self.apart();
        self.goes_on(told)?;
        let told = self.nothing_is_left(*last, rest).await;
        self.goes_on(told)?;
        self.close().await?;
        Ok(self.say("", "an app of your own for many accounts: `adjutant setup --kind general`, which also says what to click at Zoom")?)
    }

    fn goes_on(&mut self, told: Told) -> Result<(), Ended> {
        if self.tell(told)? { Ok(()) } else { Err(Ended::Wrong) }
    }

    // The steps.

    async fn stranger(&self, school: School) -> Told {
        let page = self.goes_through(&mut self.browser(), &self.start("")?, school).await?;
        page.says(&["An invite is needed"])?;
        let installs = self.world().installs(CLIENT);
        if page.status != 403 || !installs.is_empty() || !self.served().await?.is_empty() {
            return Err(format!("without an invite the answer was {}, and Zoom has {installs:?}", page.status));
        }
        Ok(format!("{} tried without an invite: refused, and Zoom got the access back", school.owner()))
    }

    async fn installs(&self, school: School) -> Told {
        let invited = self.run(&["accounts", "invite", "--label", &school.label(), "--json"]).await?;
        let link = invited.get("link").and_then(Value::as_str).ok_or("the invite has no link")?;
        let page = self.looks(school, &told(Url::parse(link))?).await?;
        page.says(&[
            &format!("<dd>{}</dd>", school.id()),
            &format!("<dd>{}</dd>", school.label()),
            &format!("<dd>{}</dd>", school.api_user()),
            "licensed: it uses one paid seat",
            // Owner, API user, and the teacher who is there.
            "<dt>Active users</dt><dd>3</dd>",
            "api-user-assists-everyone: 2 of them",
        ])?;
        Ok(format!(
            "{} installed the app with an invite: the page says who the API user is, and what rules would do",
            school.owner()
        ))
    }

    async fn onboards(&self, school: School) -> Told {
        let rows = self.onboard(school).await?;
        for (name, teacher) in TEACHERS {
            let email = school.email(name);
            let row = rows.iter().find(|row| row.email.as_ref() == Some(&email));
            match row.ok_or_else(|| format!("{email} is not in the answer"))? {
                Row { state, .. } if state == teacher.state() => {}
                Row { state, why, .. } => return Err(format!("{email} is {state}: {}", why.as_deref().unwrap_or("?"))),
            }
            let has_it = self.world().assistants(&school.id(), &email) == [school.api_user()];
            if has_it != (teacher.state() == "done") {
                return Err(format!("{email} is {}, and the API user is their assistant: {has_it}", teacher.state()));
            }
        }
        let of = |state: &str| rows.iter().filter(|row| row.state == state).count();
        Ok(format!(
            "{}: {} of a CSV: {} have users and the API user as assistant, {} are invited, {} waits for a licence",
            school.id(),
            count(u64::try_from(rows.len()).unwrap_or(0), "teacher", "teachers"),
            of("done"),
            of("invited"),
            of("waiting"),
        ))
    }

    async fn onboards_again(&self, school: School) -> Told {
        let (users, posts) = (self.users(school).len(), self.world().count_calls("POST", "/users"));
        let rows = self.onboard(school).await?;
        let made = self.world().count_calls("POST", "/users").saturating_sub(posts);
        if rows.len() != TEACHERS.len() || self.users(school).len() != users || made != 0 {
            return Err(format!("the same file asked Zoom for {made} users more"));
        }
        Ok(format!("{}: the same file, given again, asked for nothing twice", school.id()))
    }

    /// Teachers of that name accept their invitations.
    async fn accept(&self, schools: &[School], name: &str) -> Told {
        for school in schools {
            told(self.world().accept_invitation(&school.id(), &school.email(name)))?;
        }
        for school in schools {
            let email = school.email(name);
            let has_it = || async { self.world().assistants(&school.id(), &email) == [school.api_user()] };
            self.until(&format!("{email} has the assistant"), has_it).await?;
        }
        let whose = if schools.len() == 1 { "of one school" } else { "of each school" };
        Ok(format!("{name} {whose} accepted the invitation late: licence, and the API user as assistant"))
    }

    /// As the platform does it, by an app of users that each API user installed: the right is the API user's own.
    async fn schedules(&self, schools: &[School]) -> Told {
        self.idle().await?;
        let (mut allowed, mut refused) = (0_u64, 0_u64);
        for school in schools {
            let issued = told(self.world().install(&format!("client-{TIMETABLE}"), &school.api_user()))?;
            let api_user = self.user(*school, &school.api_user())?.id;
            for teacher in self.users(*school).into_iter().filter(|user| user.id != api_user) {
                let meeting = self.schedule(&issued.access_token, &teacher.email).await?;
                if meeting.is_some() != teacher.has_assistant(&api_user) {
                    return Err(format!("{}: granted, or allowed, but not both", teacher.email));
                }
                let Some(meeting) = meeting else {
                    refused = refused.saturating_add(1);
                    continue;
                };
                let hosted =
                    self.world().meeting(&school.id(), meeting).map(|meeting| (meeting.host_id, meeting.assistant_id));
                if hosted != Some((teacher.id, Some(api_user.clone()))) {
                    return Err(format!("meeting {meeting} for {} is {hosted:?}", teacher.email));
                }
                allowed = allowed.saturating_add(1);
            }
        }
        if allowed == 0 || refused == 0 {
            return Err(format!("{allowed} meetings were allowed and {refused} refused: that shows nothing"));
        }
        Ok(format!(
            "the API users scheduled through Zoom's API: {} for exactly those who were granted, refused for the {refused} others",
            count(allowed, "meeting", "meetings")
        ))
    }

    async fn removes(&self, school: School, others: &[School]) -> Told {
        self.sim.settle().await;
        self.idle().await?;
        told(self.world().remove_app(CLIENT, &school.owner()))?;
        let left: Vec<String> = others.iter().map(|school| school.id()).collect();
        self.until(&format!("{} is not served", school.id()), || async {
            self.served().await.is_ok_and(|served| served == left)
        })
        .await?;
        self.sim.settle().await;
        self.idle().await?;
        Ok(format!("{} removed the app: the account is let go and forgotten; the others are served", school.owner()))
    }

    async fn installs_again(&self, school: School) -> Told {
        let path = format!("/v1/accounts/{}", school.id());
        let installed = async || -> Result<Vec<(String, String)>, String> {
            let account: AccountView = self.ask(&path, &[]).await?;
            Ok(account.installations.into_iter().map(|one| (one.user, one.installed_at)).collect())
        };
        let before = installed().await?;
        // An account that is known needs no invite.
        let page = self.looks(school, &self.start("")?).await?;
        page.says(&[&format!("<dd>{}</dd>", school.label())])?;
        match (before.as_slice(), installed().await?.as_slice()) {
            ([(one, at)], [(again, later)]) if one == again && at != later => {}
            (before, after) => return Err(format!("installed were {before:?}, and then {after:?}")),
        }
        Ok(format!(
            "{} installed the app again, without an invite: new tokens in the place of the old ones",
            school.owner()
        ))
    }

    /// Who was there before the app came waits for the schedule, or for a person who looked at what was found.
    async fn sweeps(&self, schools: &[School]) -> Told {
        for school in schools {
            let lack = self.world().without_assistant(&school.id(), &school.api_user());
            if lack != [school.owner()] {
                return Err(format!("the first sweep only looks, but without the API user as assistant are {lack:?}"));
            }
            self.run(&["sweep", "--account", &school.id(), "--json"]).await?;
        }
        Ok("the first sweep of each school only looked; one that was asked for then did what the rule wants".to_owned())
    }

    async fn all_have_it(&self, schools: &[School]) -> Told {
        for school in schools {
            let none_lacks = || async { self.world().without_assistant(&school.id(), &school.api_user()).is_empty() };
            self.until(&format!("nobody of {} lacks the assistant", school.id()), none_lacks).await?;
        }
        self.idle().await?;
        let (mut have, mut others) = (0_u64, 0_u64);
        for school in schools {
            let api_user = self.user(*school, &school.api_user())?.id;
            for user in self.users(*school).into_iter().filter(|user| user.id != api_user) {
                let is_eligible = user.is_active() && user.is_licensed();
                let has_it = user.has_assistant(&api_user);
                if has_it != is_eligible || user.assistants.len() != usize::from(is_eligible) {
                    return Err(format!("{}: can have it {is_eligible}, has it {has_it}", user.email));
                }
                *(if has_it { &mut have } else { &mut others }) += 1;
            }
        }
        Ok(format!(
            "at Zoom all {have} who can have the API user of their school as assistant do, and none of the {others} others"
        ))
    }

    fn apart(&self) -> Told {
        let calls = self.world().calls_total();
        match self.world().crossings().first() {
            None if calls == 0 => Err("Zoom was not called at all".to_owned()),
            None => Ok(format!("of {calls} calls to Zoom none named anything of another account")),
            Some(call) => Err(format!(
                "a call of account {:?} went to {:?}: {} {}",
                call.account, call.owner, call.method, call.path
            )),
        }
    }

    async fn nothing_is_left(&mut self, school: School, others: &[School]) -> Told {
        let names = |school: School| -> Vec<String> {
            let ids = self.users(school).into_iter().map(|user| user.id);
            ids.chain([school.id(), school.domain()]).collect()
        };
        let (gone, kept) = (names(school), names(others.first().copied().ok_or("there is no other school")?));
        let count_of_names = gone.len();
        self.service.kill();
        let found = left::of(&self.service.config(), gone, kept).await;
        told(self.service.start().map_err(|failure| failure.to_string()))?;
        self.is_ready().await?;
        found?;
        let served = self.served().await?;
        if served.len() != others.len() {
            return Err(format!("after a restart {served:?} are served"));
        }
        Ok(format!(
            "of {} nothing is left in the store: {count_of_names} ids and names looked for in all files, and in all that a key opens",
            school.id()
        ))
    }

    // What steps are made of.

    fn browser(&self) -> Browser {
        Browser::new(self.client.clone())
    }

    /// Where an admin begins.
    fn start(&self, query: &str) -> Result<Url, String> {
        told(Url::parse(&format!("http://{}/install/{APP}{query}", self.service.public)))
    }

    /// From a link of ours over Zoom's page, where the school's admin presses Allow, to our page at the end.
    async fn goes_through(&self, browser: &mut Browser, link: &Url, school: School) -> Result<Page, String> {
        let mut consent = browser.get(link.clone()).await?.url;
        consent.query_pairs_mut().append_pair("as", &school.owner());
        let asked = browser.get(consent.clone()).await?;
        asked.says(&[&format!("<b>{APP}</b> wants to"), "Allow", &format!("the account <b>{}</b>", school.id())])?;
        browser.press(consent, ("decision", "allow")).await
    }

    /// The same, until the page at the end says what was found.
    async fn looks(&self, school: School, link: &Url) -> Result<Page, String> {
        let mut browser = self.browser();
        let mut page = self.goes_through(&mut browser, link, school).await?;
        page.says(&["The app is installed"])?;
        let what = format!("the page for {} says what was found", school.owner());
        let watch = crate::clock::Stopwatch::start();
        while page.text.contains("http-equiv=\"refresh\"") {
            if watch.elapsed() > super::stage::PATIENCE {
                return Err(format!("waited too long, but not: {what}"));
            }
            tokio::time::sleep(super::stage::GLANCE).await;
            page = browser.get(page.url).await?;
        }
        Ok(page)
    }

    /// What a command prints as JSON.
    async fn run(&self, words: &[&str]) -> Result<Value, String> {
        let output = self.service.command(words).await.map_err(|failure| failure.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            return Err(format!("`{}` failed: {}{}", words.join(" "), text(&output.stdout), text(&output.stderr)));
        }
        told(serde_json::from_slice(&output.stdout))
    }

    async fn onboard(&self, school: School) -> Result<Vec<Row>, String> {
        let file = self.service.folder().join(school.id()).with_extension("csv");
        told(std::fs::write(&file, school.csv()))?;
        let file = file.display().to_string();
        let rows = self.run(&["users", "onboard", "--account", &school.id(), "--file", &file, "--json"]).await?;
        told(serde_json::from_value(rows))
    }

    /// The accounts that are served, by id.
    async fn served(&self) -> Result<Vec<String>, String> {
        let served: Vec<AccountView> = self.ask("/v1/accounts", &[]).await?;
        let mut ids: Vec<String> = served.into_iter().map(|account| account.id).collect();
        // School 10 comes after school 9.
        ids.sort_by_key(|id| (id.len(), id.clone()));
        Ok(ids)
    }

    fn users(&self, school: School) -> Vec<User> {
        self.world().users(&school.id())
    }

    fn user(&self, school: School, email: &str) -> Result<User, String> {
        self.world().user(&school.id(), email).ok_or_else(|| format!("{email} is not at Zoom"))
    }

    /// Whoever has the token schedules for a host: the meeting, or none where Zoom refuses it.
    async fn schedule(&self, token: &str, host: &str) -> Result<Option<u64>, String> {
        let url = format!("{}/users/me/meetings", self.sim.api_url());
        let body = json!({"topic": "Mathematics", "type": 2, "duration": 45, "schedule_for": host});
        let answer = told(self.client.post(url).bearer_auth(token).json(&body).send().await)?;
        let (status, said) = (answer.status().as_u16(), told(answer.json::<Value>().await)?);
        match (status, said.get("id").and_then(Value::as_u64)) {
            (201, Some(id)) => Ok(Some(id)),
            (400, _) => Ok(None),
            _ => Err(format!("scheduling for {host} was answered {status}: {said}")),
        }
    }
}
