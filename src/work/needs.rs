//! What a rule needs of Zoom: the calls that it can lead to. Pure.

use crate::rules::{Report, Rule, SubjectKind};
use crate::zoom::Endpoint;

/// All calls that making the rule true can take, in the order of [`Endpoint::ALL`]; each knows its rate-limit category and
/// its scopes.
pub fn needs(rule: &Rule) -> Vec<Endpoint> {
    if rule.subject == SubjectKind::Event {
        let reads = [Endpoint::GetUser, Endpoint::ListMeetings, Endpoint::GetMeeting];
        return if rule.orphaned().is_some() { reads.to_vec() } else { Vec::new() };
    }
    let (ensure, is_user) = (&rule.ensure, rule.subject == SubjectKind::User);
    let (settings, groups) = (is_user && !ensure.user_settings().is_empty(), !ensure.groups.is_empty());
    let excepts = !(rule.except.is_empty() && rule.except_roles.is_empty());
    let needed = Endpoint::ALL.into_iter().filter(|endpoint| match endpoint {
        // The user; the host, and whoever is granted.
        Endpoint::GetUser => {
            is_user || excepts || ensure.report == Some(Report::Movable) || !ensure.alternative_hosts.is_empty()
        }
        // The size of the account, for max_changes_percent, and the sweep: for meetings, their hosts.
        Endpoint::ListUsers => is_user || rule.on.is_none(),
        Endpoint::ListMeetings => !is_user && rule.on.is_none(),
        Endpoint::ListAssistants | Endpoint::ListSchedulers | Endpoint::AddAssistant => !ensure.assistants.is_empty(),
        Endpoint::UpdateUser => ensure.licence.is_some(),
        Endpoint::GetUserSettings => settings || (is_user && rule.asks_for_settings()),
        Endpoint::UpdateUserSettings => settings,
        Endpoint::ListGroups => groups || (is_user && rule.asks_for("groups")),
        Endpoint::ListGroupMembers | Endpoint::AddGroupMembers => groups,
        Endpoint::GetMeeting => !is_user,
        Endpoint::UpdateMeeting => !is_user && ensure.report.is_none() && ensure.status.is_none(),
        Endpoint::UpdateMeetingStatus => ensure.status.is_some(),
        Endpoint::RemoveAssistant
        | Endpoint::GetAccountSettings
        | Endpoint::RemoveGroupMember
        | Endpoint::ListWebhookLogs => false,
    });
    needed.collect()
}
