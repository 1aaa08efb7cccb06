//! What these rules need of Zoom: scopes and events. For `setup`, which prints them, and `doctor`, which checks them.

use std::collections::BTreeSet;

use crate::rules::{Rule, SubjectKind};
use crate::work;
use crate::zoom::Endpoint;

/// The calls that these rules can lead to, each once.
pub(super) fn endpoints(rules: &[Rule]) -> Vec<Endpoint> {
    let needed: BTreeSet<Endpoint> = rules.iter().flat_map(work::needs).collect();
    needed.into_iter().collect()
}

/// What a general app makes beside: whoever installs it is looked up, and so are the users of the account.
pub(super) fn of_general(rules: &[Rule]) -> Vec<Endpoint> {
    let needed: BTreeSet<Endpoint> =
        endpoints(rules).into_iter().chain([Endpoint::GetUser, Endpoint::ListUsers]).collect();
    needed.into_iter().collect()
}

/// Commands that lead to calls whatever the rules are, and the calls.
pub(super) const ON_DEMAND: [(&str, &[Endpoint]); 4] = [
    (
        "users onboard",
        &[
            Endpoint::CreateUser,
            Endpoint::GetUser,
            Endpoint::ListUsers,
            Endpoint::UpdateUser,
            Endpoint::ListGroups,
            Endpoint::AddGroupMembers,
        ],
    ),
    ("users deactivate", &[Endpoint::GetUser, Endpoint::UpdateUserStatus]),
    ("users remove", &[Endpoint::GetUser, Endpoint::ListMeetings, Endpoint::RemoveUser]),
    ("assistants take-back", &[Endpoint::ListSchedulers, Endpoint::RemoveAssistant]),
];

/// The scopes of these calls that are not granted, each once, as people read them.
pub(super) fn lacking(needed: &[Endpoint], granted: &BTreeSet<String>) -> Vec<String> {
    let scopes = needed.iter().map(|endpoint| endpoint.scopes()).filter(|scopes| !scopes.is_granted_by(granted));
    let named: BTreeSet<String> =
        scopes.map(|scopes| format!("{} (classic: {})", scopes.granular, scopes.classic)).collect();
    named.into_iter().collect()
}

/// The events that ask for these rules.
pub(super) fn events(rules: &[Rule]) -> Vec<&str> {
    let of = |kind| rules.iter().any(|rule| rule.subject == kind && rule.on.is_none());
    let mut events = Vec::new();
    if of(SubjectKind::User) {
        events.extend([
            "user.created",
            "user.activated",
            "user.invitation_accepted",
            "user.updated",
            "user.deactivated",
            "user.deleted",
            "user.disassociated",
        ]);
    }
    if rules.iter().any(Rule::is_about_user_settings) {
        events.push("user.settings_updated");
    }
    if rules.iter().any(Rule::is_about_groups) {
        events.extend(["group.member_added", "group.member_deleted"]);
    }
    if of(SubjectKind::Meeting) {
        events.extend(["meeting.created", "meeting.updated", "meeting.ended", "meeting.deleted"]);
    }
    for event in rules.iter().filter_map(|rule| rule.on.as_ref()).flat_map(|on| &on.events) {
        if !events.contains(&event.as_str()) {
            events.push(event);
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{On, Orphaned};

    #[test]
    fn scopes_and_events_are_those_of_these_rules_and_of_no_others() {
        let rule = |subject: &str, ensure: &str| {
            let text = format!("name = \"r\"\nfor = \"{subject}\"\nensure = {{ {ensure} }}");
            toml::from_str::<Rule>(&text).unwrap()
        };
        let groups = rule("user", "groups = [\"Staff\"]");
        let settings = rule("user", "settings = { in_meeting = { chat = true } }");
        let meetings = rule("meeting", "settings = { waiting_room = true }");
        let told = |rules: &[Rule]| events(rules).into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert!(told(std::slice::from_ref(&groups)).ends_with("group.member_added group.member_deleted"));
        assert!(!told(std::slice::from_ref(&groups)).contains("settings"));
        assert!(told(std::slice::from_ref(&settings)).ends_with("user.disassociated user.settings_updated"));
        assert_eq!(
            told(std::slice::from_ref(&meetings)),
            "meeting.created meeting.updated meeting.ended meeting.deleted"
        );
        let of_meetings = endpoints(std::slice::from_ref(&meetings));
        assert_eq!(
            of_meetings.iter().collect::<BTreeSet<_>>(),
            BTreeSet::from([
                &Endpoint::ListUsers,
                &Endpoint::ListMeetings,
                &Endpoint::GetMeeting,
                &Endpoint::UpdateMeeting
            ])
        );
        let all = endpoints(&[groups.clone(), settings, meetings, groups]);
        assert_eq!(all.len(), 10, "each once: {all:?}");
        assert!(all.is_sorted(), "{all:?}");
    }

    #[test]
    fn what_ends_meetings_needs_their_status_and_what_sends_needs_nothing() {
        let ends = "name = \"r\"\nfor = \"meeting\"\nallow_end = true\nensure = { status = \"ended\" }";
        let on = On { events: vec!["meeting.started".to_owned()], ..On::default() };
        let ends = Rule { on: Some(on), ..toml::from_str(ends).unwrap() };
        assert_eq!(endpoints(std::slice::from_ref(&ends)), [Endpoint::GetMeeting, Endpoint::UpdateMeetingStatus]);
        let mut sends: Rule = toml::from_str("name = \"r\"\nfor = \"event\"").unwrap();
        assert_eq!(endpoints(std::slice::from_ref(&sends)), []);
        let successor = "deputy@example.com".parse().unwrap();
        sends.on = Some(On { orphaned: Some(Orphaned { successor }), ..On::default() });
        let reads = [Endpoint::GetUser, Endpoint::ListMeetings, Endpoint::GetMeeting];
        assert_eq!(endpoints(std::slice::from_ref(&sends)), reads);
    }
}
