//! `[[notify]]`: whom to tell what needs a person.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lettre::message::Mailbox;
use secrecy::{ExposeSecret as _, SecretString};

use super::apps::{check_variables, named};
use super::form;
use super::problem::Place;
use super::secret::{is_placeholder, plain};
use super::section::{Section, tables_of};
use super::source::Reading;
use crate::alarm::CODES;
use crate::feed::notify::{Email, Format, Notify, Tls, To, Webhook, mailbox};
use crate::feed::post;

#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    Email,
}

/// What the configuration says of notifiers.
pub(super) struct Notifiers {
    pub(super) all: Vec<Notify>,
    /// Also of those with mistakes.
    pub(super) names: BTreeSet<String>,
}

/// `consumers` are the names of those: rules send to either kind by its name.
pub(super) fn notify(reading: &Reading<'_>, consumers: &BTreeSet<String>) -> Notifiers {
    let (mut all, mut names) = (Vec::new(), BTreeSet::new());
    let tables = reading.root.get("notify").map(|value| tables_of(reading, value, "notify")).unwrap_or_default();
    for table in tables {
        let place = table.0.get("name").map_or(table.1.clone(), |name| Place::File(name.span()));
        let Some(section) = named(reading, "notify", table, &mut names) else { continue };
        let taken = section.in_file("name").and_then(|name| name.get_ref().as_str());
        if let Some(name) = taken.filter(|name| consumers.contains(*name)) {
            let what = format!("a [[consumer]] and a [[notify]] are both named {name:?}");
            reading.problem(place, what, "expected another name for one of them: rules send to either by its name");
        }
        all.extend(one(section));
    }
    check_variables(reading, "notify", &names);
    Notifiers { all, names }
}

fn one(mut section: Section<'_, '_>) -> Option<Notify> {
    let name = section.in_file("name").and_then(|name| name.get_ref().as_str()).map(str::to_owned);
    let kind = section.required_of("kind", &[("webhook", Kind::Webhook), ("email", Kind::Email)]);
    let codes = CODES.map(|code| (code, code));
    let only = section.list_of("only", &codes);
    let minutes = section.number("every_minutes", 15_u32, 1..=1_440, "minutes");
    let per_hour = section.number("rule_messages_per_hour", 30_u32, 1..=10_000, "messages");
    let to = match kind {
        Some(Kind::Webhook) => webhook(&mut section).map(To::Webhook),
        Some(Kind::Email) => email(&mut section).map(To::Email),
        // Which keys there are is not known then, so that none is told to be unknown.
        None => {
            let _either = (webhook(&mut section), email(&mut section));
            None
        }
    };
    section.finish();
    let every = Duration::from_secs(u64::from(minutes) * 60);
    Some(Notify { name: name?, to: to?, only, every, rule_messages_per_hour: per_hour })
}

fn webhook(section: &mut Section<'_, '_>) -> Option<Webhook> {
    let formats = [("plain", Format::Plain), ("slack", Format::Slack), ("teams", Format::Teams)];
    let format = section.one_of_or_default("format", &formats);
    let allow_private = section.flag_or("allow_private", false);
    let (place, url) = plain(section, "url", "url_file")?;
    if section.reading.with_secrets
        && let Err(error) = post::address(url.expose_secret(), allow_private)
    {
        let what = format!("{} url cannot be posted to: {error}", section.title);
        section.reading.problem(place, what, "expected the URL as Slack, Teams or another service shows it");
        return None;
    }
    Some(Webhook { url, format, allow_private })
}

fn email(section: &mut Section<'_, '_>) -> Option<Email> {
    let smtp =
        section.required("smtp", "the host and port of a mail server, as in \"smtp.example.com:587\"", host_port);
    let modes = [("starttls", Tls::Starttls), ("implicit", Tls::Implicit), ("none", Tls::None)];
    let tls = section.one_of_or_default("tls", &modes);
    let login = login(section);
    let from = section.required("from", "an address, as in \"adjutant@example.com\"", mailbox);
    let to = recipients(section);
    let (host, port) = smtp?;
    if tls == Tls::None && !is_here(&host) {
        let place = section.in_file("tls").map_or(section.place.clone(), |value| Place::File(value.span()));
        let what = format!("{} tls is \"none\", and {host} is another machine", section.title);
        section.reading.problem(
            place,
            what,
            "expected \"starttls\" or \"implicit\": mail in plain goes to this machine only",
        );
        return None;
    }
    Some(Email { host, port, tls, login: login.ok()?, from: from?, to: to? })
}

/// An error where it is wrong, which was told.
fn login(section: &mut Section<'_, '_>) -> Result<Option<(String, SecretString)>, ()> {
    let user =
        section.optional("user", "the name to log in with", |text| (!is_placeholder(text)).then(|| text.to_owned()));
    let is_given = section.is_set("password") || section.is_set("password_file");
    if user.is_none() && !is_given {
        for key in ["password", "password_file"] {
            section.knows(key, form::text);
            section.note(key, None, None);
        }
        return Ok(None);
    }
    let password = plain(section, "password", "password_file");
    if user.is_none() {
        section.missing("user", "add user = \"…\", or take the password out");
    }
    Ok(Some((user.ok_or(())?, password.ok_or(())?.1)))
}

fn recipients(section: &mut Section<'_, '_>) -> Option<Vec<Mailbox>> {
    let is_empty = section.in_file("to").and_then(|to| to.get_ref().as_array()).is_some_and(|to| to.is_empty());
    if is_empty || !section.is_set("to") {
        section.knows("to", || form::list(&form::email()));
        section.missing("to", "add to = [\"…\"]: who gets the mail");
        return None;
    }
    let to = section.list_in("to", form::email, "addresses, as in [\"ops@example.com\"]", mailbox);
    (!to.is_empty()).then_some(to)
}

pub(super) fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.trim_matches(['[', ']']);
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let is_host = is_name(bare) || bare.parse::<IpAddr>().is_ok();
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_host.then(|| (bare.to_owned(), port))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
