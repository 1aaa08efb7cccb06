//! Deliveries as Zoom sends them: each is accepted, and the event in it is what the table says.

use std::path::{Path, PathBuf};

use adjutant::clock::Timestamp;
use adjutant::event::signature::Verified;
use adjutant::event::wire::parse;
use adjutant::event::{MeetingChange, MeetingRef, UserChange, UserRef, What};
use adjutant::ids::{AccountId, Email, MeetingId, MeetingUuid, UserId};

use crate::support::request::signed;
use crate::support::{Service, app};

const USER: &str = "uSeR1abcDEF-_ghiJKLmno";
const ADA: &str = "ada.example@example.com";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/deliveries")
}

fn user(change: UserChange, id: Option<&str>, email: Option<&str>) -> What {
    let user = UserRef { id: id.map(|id| UserId::parse(id).unwrap()), email: email.map(|e| Email::parse(e).unwrap()) };
    What::User { change, user }
}

fn meeting(change: MeetingChange, whole: bool) -> What {
    let uuid = whole.then(|| MeetingUuid::parse("/aB//cDeFgHiJkLmNoPq==").unwrap());
    let host = whole.then(|| UserId::parse(USER).unwrap());
    What::Meeting { change, meeting: MeetingRef { id: MeetingId::from_number(81_234_567_890), uuid, host } }
}

/// File, name of the event, whether it says when, what it says.
fn table() -> Vec<(&'static str, &'static str, bool, What)> {
    use {MeetingChange as M, UserChange as U};
    let ada = |change| user(change, Some(USER), Some(ADA));
    let token = What::UrlValidation { plain_token: "qgg8vlvZRS6UYooatFL8Aw".to_owned() };
    let zoe = user(U::Created, Some("zoe/1+x="), Some("zoe.oneill@example.com"));
    let members =
        What::GroupMembers { users: vec![UserRef { id: UserId::parse(USER).ok(), email: Email::parse(ADA).ok() }] };
    let removed = What::AppDeauthorized { user: UserId::parse("uSeR1abcDEF-_ghiJKLmno").ok() };
    vec![
        ("account.updated", "account.updated", true, What::Other),
        ("app_deauthorized", "app_deauthorized", false, removed.clone()),
        ("app_deauthorized.current", "app_deauthorized", true, removed),
        ("endpoint.url_validation", "endpoint.url_validation", true, token),
        ("group.member_added", "group.member_added", true, members),
        ("group.members_deleted", "group.members_deleted", true, What::Other),
        ("meeting.created", "meeting.created", true, meeting(M::Created, true)),
        ("meeting.deleted", "meeting.deleted", false, meeting(M::Deleted, true)),
        ("meeting.ended", "meeting.ended", true, meeting(M::Ended, true)),
        ("meeting.participant_joined", "meeting.participant_joined", true, What::Other),
        ("meeting.participant_left", "meeting.participant_left", true, What::Other),
        ("meeting.permanently_deleted", "meeting.permanently_deleted", true, meeting(M::Deleted, true)),
        ("meeting.started", "meeting.started", true, meeting(M::Started, true)),
        ("meeting.started.instant", "meeting.started", true, meeting(M::Started, true)),
        ("meeting.updated", "meeting.updated", true, meeting(M::Updated, false)),
        ("unknown.event", "meeting.something_new", true, What::Other),
        ("user.activated", "user.activated", true, ada(U::Activated)),
        ("user.created", "user.created", true, ada(U::Created)),
        ("user.created.escaped", "user.created", true, zoe),
        ("user.created.pending", "user.created", true, user(U::Created, None, Some("invited@example.com"))),
        ("user.deactivated", "user.deactivated", true, ada(U::Deactivated)),
        ("user.deleted", "user.deleted", true, ada(U::Deleted)),
        ("user.disassociated", "user.disassociated", true, ada(U::Disassociated)),
        ("user.invitation_accepted", "user.invitation_accepted", true, ada(U::InvitationAccepted)),
        ("user.settings_updated", "user.settings_updated", true, user(U::SettingsUpdated, Some(USER), None)),
        ("user.signed_in", "user.signed_in", true, What::Other),
        ("user.updated", "user.updated", true, user(U::Updated, Some(USER), None)),
    ]
}

#[test]
fn each_fixture_says_what_the_table_says() {
    let mut known = Vec::new();
    for (file, name, timed, what) in table() {
        let body = std::fs::read(fixtures().join(format!("{file}.json"))).unwrap();
        let event = parse(&Verified::reread(body.into(), 0, None)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let account = (file != "endpoint.url_validation").then(|| AccountId::parse("kX3vT9mQRbS_a1b2c3d4eQ").unwrap());
        let at = timed.then(|| Timestamp::from_millis(1_763_712_000_123));
        assert_eq!((event.name.as_str(), event.account, event.at), (name, account, at), "{file}");
        let acted_on = matches!(what, What::User { .. } | What::Meeting { .. } | What::GroupMembers { .. });
        assert_eq!(event.meaning.is_some(), timed && acted_on, "{file}");
        assert_eq!(event.what, what, "{file}");
        known.push(fixtures().join(format!("{file}.json")));
    }
    known.sort();
    assert_eq!(deliveries(&fixtures()), known, "a fixture is not in the table");
}

/// The deliveries of a folder, in order of name: not `_headers…` and not `….response.json`.
fn deliveries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        path.extension().is_some_and(|e| e == "json") && !name.ends_with(".response") && !name.starts_with('_')
    });
    found.sort();
    assert!(!found.is_empty(), "{} holds no delivery", folder.display());
    found
}

async fn all_are_accepted(folder: &Path) {
    let service = Service::start().await;
    for path in deliveries(folder) {
        let (name, body) = (path.display(), std::fs::read(&path).unwrap());
        let answer = service.send(&signed(&body).bytes()).await;
        assert_eq!(answer.status, 200, "{name}");
        let stored = service.store.take();
        let event = parse(&Verified::reread(body.clone().into(), 0, None)).unwrap_or_else(|e| panic!("{name}: {e}"));
        if let What::UrlValidation { .. } = event.what {
            assert!(stored.is_empty(), "{name} was stored");
            assert!(answer.body.contains("\"encryptedToken\":"), "{name}: {}", answer.body);
        } else {
            let [(to, verified)] = stored.as_slice() else { panic!("{name}: {} stored", stored.len()) };
            assert_eq!((to, &verified.body()[..]), (&app("main"), &body[..]), "{name}");
            assert_eq!(answer.body, "", "{name}");
        }
    }
}

#[tokio::test]
async fn every_fixture_is_accepted_and_stored_byte_for_byte() {
    all_are_accepted(&fixtures()).await;
}

/// `tests/run --samples DIR` names the folder of somebody else's deliveries.
#[tokio::test]
async fn every_delivery_in_the_samples_folder_is_accepted() {
    if let Some(folder) = std::env::var_os("ADJUTANT_SAMPLES_DIR") {
        all_are_accepted(Path::new(&folder)).await;
    }
}
