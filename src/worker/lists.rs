//! What a sweep compares users with: what Zoom's lists say of them.
//!
//! A rule is judged as by a job, with a picture made of lists: the row of the user, who may schedule for whom, and who is in
//! the groups that rules name. Where a list does not say what a condition asks for, the rule is judged without it, and a
//! job finds out. Settings are in no list: they are looked at without, and have sweeps of their own.

use std::collections::HashSet;
use std::sync::Arc;

use super::sweeper::{Fault, Sweeper};
use super::walk::Pages;
use crate::account::{Account, UserKey};
use crate::audit::{Detail, Kind};
use crate::clock::Timestamp;
use crate::ids::{Email, GroupId, UserId};
use crate::job::{ParkCause, Subject};
use crate::rules::{self, Ensure, Grantee, Leaves, Rule, Step, SubjectKind};
use crate::store::{Note, SweepKind};
use crate::work::{Around, Need, Picture, Verdict, api_user_gone, judge};
use crate::zoom::{Assistant, User, Zoom, ZoomError};

/// Members in a page.
const PAGE_MEMBERS: u32 = 300;
/// What may be read around one user; each is read once, so that more would be a defect.
const READS_MAX: usize = 100;

/// A rule, as lists can answer it.
#[derive(Debug)]
pub(super) struct Listable<'r> {
    pub(super) rule: &'r Rule,
    /// Without what is in no list.
    of_lists: Rule,
    /// Also without its condition.
    blunt: Rule,
}

impl<'r> Listable<'r> {
    /// None where no list says anything of what the rule wants.
    pub(super) fn of(rule: &'r Rule) -> Option<Self> {
        if !is_listable(rule) {
            return None;
        }
        let ensure = Ensure { settings: Leaves::default(), feature: Leaves::default(), ..rule.ensure.clone() };
        let of_lists = Rule { ensure, ..rule.clone() };
        let blunt = Rule { when: None, ..of_lists.clone() };
        Some(Self { rule, of_lists, blunt })
    }
}

/// Whether a list says something of what the rule wants.
pub(super) fn is_listable(rule: &Rule) -> bool {
    let Ensure { assistants, groups, licence, .. } = &rule.ensure;
    let of_users = rule.subject == SubjectKind::User && rule.on.is_none();
    of_users && (!assistants.is_empty() || !groups.is_empty() || licence.is_some())
}

/// Users as a list names them.
#[derive(Debug, Default)]
struct People {
    ids: HashSet<UserId>,
    emails: HashSet<Email>,
}

impl People {
    fn add(&mut self, id: Option<UserId>, email: Option<Email>) {
        match (id, email) {
            (Some(id), _) => drop(self.ids.insert(id)),
            (None, Some(email)) => drop(self.emails.insert(email)),
            (None, None) => {}
        }
    }

    fn hold(&self, user: &User) -> bool {
        user.id.as_ref().is_some_and(|id| self.ids.contains(id))
            || user.email.as_ref().is_some_and(|email| self.emails.contains(email))
    }
}

/// The lists around an account's users, as far as they were read.
#[derive(Debug, Default, Clone)]
pub(super) struct Lists {
    /// Who granted whom.
    granted: Vec<(UserKey, Arc<People>)>,
    /// Who is in which of the groups that rules name.
    members: Vec<(GroupId, Arc<People>)>,
    are_whole: bool,
}

impl Lists {
    fn picture(&self, rule: &Rule, user: &User) -> Picture {
        let granted = self.granted.iter().filter(|(_, people)| people.hold(user));
        let assistant = |(key, _): &(UserKey, Arc<People>)| match key {
            UserKey::Id(id) => Assistant { id: Some(id.clone()), email: None },
            UserKey::Email(email) => Assistant { id: None, email: Some(email.clone()) },
        };
        // A row may leave the groups out. Whoever asks for all groups is not answered by those that rules name.
        let is_told = user.whole.contains_key("group_ids") || rule.asks_for("groups");
        let there = self.members.iter().filter(|(_, people)| people.hold(user)).map(|(group, _)| group.clone());
        Picture {
            user: Some(user.clone()),
            is_listed_row: true,
            assistants: Some(granted.map(assistant).collect()),
            groups: (!is_told && !rule.ensure.groups.is_empty()).then(|| there.collect()),
            ..Picture::default()
        }
    }
}

impl Sweeper {
    /// What the rule asks for, where the lists say that it is not true for this user.
    pub(super) async fn compare(
        &self,
        around: &mut Around<'_>,
        listable: &Listable<'_>,
        user: &User,
        lists: &Lists,
        zoom: &dyn Zoom,
    ) -> Result<Option<Step>, Fault> {
        let (facts, now, account) = (&self.parts.facts, self.parts.clock.now(), around.account);
        if let Some(key) = facts.is_api_user(account, user.id.as_ref(), user.email.as_ref()) {
            facts.saw_api_user(&account.id, &key, user.clone(), now);
            return Ok(None);
        }
        let subject = Subject::User { id: user.id.clone(), email: user.email.clone() };
        let picture = lists.picture(&listable.of_lists, user);
        if !self.differs(around, &listable.of_lists, picture, Some((&listable.blunt, lists)), zoom).await? {
            facts.not_answered(&account.id, listable.rule, &subject);
            return Ok(None);
        }
        if facts.is_answered(&account.id, listable.rule, (&subject, user), now) {
            return Ok(None);
        }
        let steps = rules::for_subject(SubjectKind::User, &subject, std::slice::from_ref(listable.rule));
        Ok(steps.into_iter().next())
    }

    /// Whether something differs, or more has to be read to know; `blunt` is the rule without its condition, to be judged
    /// by lists where the row does not answer that.
    pub(super) async fn differs(
        &self,
        around: &mut Around<'_>,
        mut rule: &Rule,
        mut picture: Picture,
        blunt: Option<(&Rule, &Lists)>,
        zoom: &dyn Zoom,
    ) -> Result<bool, Fault> {
        for _ in 0..READS_MAX {
            match judge(rule, around, &picture) {
                Verdict::Needs(Need::ApiUser(key)) => self.learn(around, &key, zoom).await?,
                Verdict::Needs(Need::Groups) => {
                    let (facts, now) = (&self.parts.facts, self.parts.clock.now());
                    let all = facts.groups(&around.account.id, zoom, now).await;
                    around.groups = Some(all.map_err(|error| Fault::of_list("groups", error))?);
                }
                Verdict::Unclear(_) if rule.when.is_none() => return Ok(false),
                // A job asks the condition, for whoever would differ.
                Verdict::Needs(_) | Verdict::Unanswered(_) | Verdict::Unclear(_) => match blunt {
                    Some((without, lists)) if rule.when.is_some() => {
                        let Some(user) = picture.user.take() else { return Ok(true) };
                        (rule, picture) = (without, lists.picture(without, &user));
                    }
                    _ => return Ok(true),
                },
                verdict => return Ok(matches!(verdict, Verdict::Differs(_))),
            }
        }
        Ok(false)
    }

    /// Whether somebody could be granted now; where not, somebody is told, once.
    async fn learn(&self, around: &mut Around<'_>, key: &UserKey, zoom: &dyn Zoom) -> Result<(), Fault> {
        let (facts, now, account) = (&self.parts.facts, self.parts.clock.now(), around.account);
        let found = facts.api_user(&account.id, key, zoom, now).await;
        let found = found.map_err(|error| Fault::of_list(format!("user {key}"), error))?;
        if let Some(why) = &found.unusable
            && !account.only_observes
            && facts.set_reported(&account.id, key)
        {
            self.parts.store.note(api_user_gone(account, key, found.id.as_ref(), why), now).await?;
        }
        around.learn(found);
        Ok(())
    }

    /// One call for each who may be granted, and one for each 300 members of each group that some rule names. Where Zoom
    /// cuts the list of schedulers short, the users that are not on it get jobs, which ask for each and find it right: see
    /// [`crate::work::Facts::answered`]. Where it refuses a list, the rules that need it are left out. What was read is kept
    /// until the sweep ends, so that an error costs one list.
    pub(super) async fn lists(
        &self,
        account: &Account,
        rules: &[Listable<'_>],
        zoom: &dyn Zoom,
        now: Timestamp,
    ) -> Result<Lists, Fault> {
        let mut lists = self.with(&account.id, |known| known.lists.clone());
        if lists.are_whole {
            return Ok(lists);
        }
        for key in grantees(account, rules) {
            if lists.granted.iter().any(|(done, _)| *done == key) {
                continue;
            }
            match schedulers(&key, zoom).await {
                Ok(people) => lists.granted.push((key, Arc::new(people))),
                Err(error) => {
                    let need = needing(rules, |one| grantees(account, std::slice::from_ref(one)).contains(&key));
                    let fault = Fault::of_list(format!("schedulers of {key}"), error);
                    self.leave_out(account, SweepKind::Users, &need, fault).await?;
                }
            }
            self.with(&account.id, |known| known.lists = lists.clone());
        }
        for (name, group) in self.named_groups(account, rules, zoom, now).await? {
            if lists.members.iter().any(|(done, _)| *done == group) {
                continue;
            }
            match members(&group, zoom).await {
                Ok(people) => lists.members.push((group, Arc::new(people))),
                Err(fault) => {
                    let need = needing(rules, |one| one.rule.ensure.groups.contains(&name));
                    let fault = Fault::of_list(format!("members of group {group}"), fault);
                    self.leave_out(account, SweepKind::Users, &need, fault).await?;
                }
            }
            self.with(&account.id, |known| known.lists = lists.clone());
        }
        lists.are_whole = true;
        self.with(&account.id, |known| known.lists = lists.clone());
        Ok(lists)
    }

    /// The groups that rules name; somebody is told of a name that does not tell one group.
    async fn named_groups(
        &self,
        account: &Account,
        rules: &[Listable<'_>],
        zoom: &dyn Zoom,
        now: Timestamp,
    ) -> Result<Vec<(String, GroupId)>, Fault> {
        let mut wanted: Vec<&String> = rules.iter().flat_map(|listable| &listable.rule.ensure.groups).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let all = match self.parts.facts.groups(&account.id, zoom, now).await {
            Ok(all) => all,
            Err(error) => {
                let need = needing(rules, |one| !one.rule.ensure.groups.is_empty());
                self.leave_out(account, SweepKind::Users, &need, Fault::of_list("groups", error)).await?;
                return Ok(Vec::new());
            }
        };
        let mut found = Vec::new();
        for name in wanted {
            let named: Vec<_> = all.iter().filter(|group| *name == group.name || *name == group.id.as_str()).collect();
            if named.len() != 1 {
                self.parts.store.note(group_unknown(account, name, named.len() > 1), now).await?;
            }
            found.extend(named.into_iter().map(|group| (name.clone(), group.id.clone())));
        }
        Ok(found)
    }
}

/// What the subject of that notice begins with.
pub(super) const GROUP: &str = "group:";

/// The attention entry about a group that rules name: a sweep makes no jobs that could say it.
fn group_unknown(account: &Account, name: &str, is_twice: bool) -> Note {
    let cause = ParkCause::GroupUnknown { name: name.to_owned(), is_twice };
    Note {
        kind: Kind::Attention,
        app: Some(account.app.clone()),
        account: Some(account.id.clone()),
        code: cause.code().to_owned(),
        detail: Detail {
            subject: Some(format!("{GROUP}{name}")),
            note: format!("{cause}; a sweep leaves its rules out"),
            ..Detail::default()
        },
    }
}

/// Rules that a list is read for.
fn needing<'r>(rules: &[Listable<'r>], needs: impl Fn(&Listable<'r>) -> bool) -> Vec<&'r Rule> {
    rules.iter().filter(|one| needs(one)).map(|one| one.rule).collect()
}

/// Everybody whom some rule wants to be granted.
fn grantees(account: &Account, rules: &[Listable<'_>]) -> Vec<UserKey> {
    let mut keys: Vec<UserKey> = Vec::new();
    for grantee in rules.iter().flat_map(|listable| &listable.rule.ensure.assistants) {
        match grantee {
            Grantee::ApiUser => keys.extend(account.api_users.iter().cloned()),
            Grantee::Named(email) => keys.push(UserKey::Email(email.clone())),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

async fn schedulers(key: &UserKey, zoom: &dyn Zoom) -> Result<People, ZoomError> {
    let mut people = People::default();
    let listed = match zoom.schedulers(key).await {
        Err(ZoomError::NotFound(_)) => Vec::new(),
        listed => listed?,
    };
    for one in listed {
        people.add(one.id, one.email);
    }
    Ok(people)
}

/// All of them or an error: whoever a cut list leaves out would pass for somebody who is no member.
async fn members(group: &GroupId, zoom: &dyn Zoom) -> Result<People, Fault> {
    let (mut people, mut pages) = (People::default(), Pages::of(PAGE_MEMBERS));
    while let Some(page) = pages.wanted() {
        let page = zoom.group_members(group, page).await?;
        pages.read(page.rows.len(), page.next, page.total).map_err(Fault::Endless)?;
        for one in page.rows {
            people.add(one.id, one.email);
        }
    }
    Ok(people)
}
