//! What a rule needs of Zoom: the calls that it can lead to. Pure.

use crate::rules::{Report, Rule, SubjectKind};
use crate::zoom::Endpoint;

/// All calls that making the rule true can take, in the order of [`Endpoint::ALL`]; each knows its rate-limit category and
/// its scopes.
pub fn needs(rule: &Rule) -> Vec<Endpoint> {
    let (ensure, is_user) = (&rule.ensure, rule.subject == SubjectKind::User);
    let is_meeting = rule.subject == SubjectKind::Meeting;
    let (settings, groups) = (is_user && !ensure.user_settings().is_empty(), !ensure.groups.is_empty());
    let excepts = !(rule.except.is_empty() && rule.except_roles.is_empty());
    let looks_at = |facts: &[&str], field: &str| facts.iter().any(|fact| rule.looks_at(fact, field));
    let asks_who = looks_at(&["meeting", "event"], "by_api_user");
    let speaks_of_user = rule.speaks_of("user") || rule.speaks_of("host");
    let reports = rule.orphaned().is_some();
    let needed = Endpoint::ALL.into_iter().filter(|endpoint| match endpoint {
        // The user; the host, and whoever is granted or may have done it.
        Endpoint::GetUser => {
            let hosts = ensure.report == Some(Report::Movable) || !ensure.alternative_hosts.is_empty();
            is_user || excepts || hosts || asks_who || speaks_of_user || reports
        }
        // The size of the account, for max_changes_percent, and the sweep: for meetings, their hosts.
        Endpoint::ListUsers => is_user || (is_meeting && rule.on.is_none()),
        Endpoint::ListMeetings => (is_meeting && rule.on.is_none()) || reports,
        Endpoint::ListAssistants | Endpoint::ListSchedulers | Endpoint::AddAssistants => !ensure.assistants.is_empty(),
        Endpoint::UpdateUser => ensure.licence.is_some(),
        Endpoint::GetUserSettings => {
            settings || looks_at(&["user"], "settings") || looks_at(&["user"], "settings_unchecked")
        }
        Endpoint::UpdateUserSettings => settings,
        Endpoint::ListGroups => groups || looks_at(&["user", "host"], "groups"),
        Endpoint::ListGroupMembers | Endpoint::AddGroupMembers => groups,
        Endpoint::GetMeeting => is_meeting || reports || rule.speaks_of("meeting") || rule.speaks_of("host"),
        Endpoint::UpdateMeeting => is_meeting && ensure.report.is_none() && ensure.status.is_none(),
        Endpoint::UpdateMeetingStatus => ensure.status.is_some(),
        Endpoint::CreateUser
        | Endpoint::RemoveUser
        | Endpoint::UpdateUserStatus
        | Endpoint::RemoveAssistant
        | Endpoint::RemoveAssistants
        | Endpoint::RemoveScheduler
        | Endpoint::RemoveSchedulers
        | Endpoint::CreateMeeting
        | Endpoint::DeleteMeeting
        | Endpoint::GetAccountSettings
        | Endpoint::RemoveGroupMember
        | Endpoint::ListWebhookLogs => false,
    });
    needed.collect()
}
