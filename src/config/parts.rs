//! The sections that there is one of.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::form;
use super::problem::Place;
use super::section::Section;
use super::source::Found;
use crate::ids::AccountId;
use crate::store::local::MasterKey;
use crate::store::{Limits, journal, local};
use crate::web::accept::AcceptSettings;
use crate::web::peer::Network;
use crate::web::webhook::ReceiverSettings;
use crate::work::{ChangesCount, FactsSettings, HostWrites, Moves};
use crate::worker::{Schedule, Settings, SweepSettings};
use crate::zoom;

/// `[server]`: the public listener.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// Where Zoom reaches the public listener, without a slash at the end.
    pub public_url: Option<String>,
    /// Proxies that may say for whom they ask, for the log: no answer depends on where a request comes from.
    pub trusted_proxies: Vec<Network>,
    pub receiver: ReceiverSettings,
    pub accept: AcceptSettings,
    /// How long requests and attempts may take to end after SIGTERM.
    pub drain: Duration,
}

/// `[admin]`: the listener for operators.
#[derive(Debug, Clone)]
pub struct Admin {
    pub listen: SocketAddr,
    /// The token of the command line; created on the first start, mode 0600.
    pub token_file: PathBuf,
    /// Host names under which the listener is reached, beside loopback names and `listen`.
    pub hosts: Vec<String>,
}

/// `[store]`.
#[derive(Debug, Clone)]
pub struct StoreSection {
    /// The folder of journal and index.
    pub folder: PathBuf,
    /// The key that seals all others; its file is made on the first start, mode 0600.
    pub master_key: MasterKey,
    /// How long the bodies of deliveries are kept.
    pub body_days: u32,
    /// How long what entries of the audit log say is kept.
    pub entry_days: u32,
    pub settings: local::Settings,
}

/// `[log]`.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

pub(super) fn server(mut section: Section<'_, '_>) -> Server {
    let networks = "addresses or networks, as in [\"127.0.0.1\", \"10.0.0.0/8\"]";
    let server = Server {
        listen: section.address("listen", "127.0.0.1:8080"),
        public_url: section.explained("public_url", public_url),
        trusted_proxies: section.list("trusted_proxies", networks, Network::parse),
        receiver: receiver(&mut section),
        accept: accept(&mut section),
        drain: section.secs("drain_secs", Duration::from_secs(10), 0..=300),
    };
    section.finish();
    server
}

fn receiver(section: &mut Section<'_, '_>) -> ReceiverSettings {
    let default = ReceiverSettings::default();
    ReceiverSettings {
        body_bytes_max: section.number("body_bytes_max", default.body_bytes_max, 1_024..=16_777_216, "bytes"),
        bodies_bytes_max: section.number(
            "bodies_bytes_max",
            default.bodies_bytes_max,
            1_048_576..=4_294_967_296,
            "bytes",
        ),
        window_past_secs: section.number("window_past_secs", default.window_past_secs, 60..=86_400, "seconds"),
        window_future_secs: section.number("window_future_secs", default.window_future_secs, 1..=3_600, "seconds"),
        secret_grace_minutes: section.number(
            "secret_grace_minutes",
            default.secret_grace_minutes,
            0..=10_080,
            "minutes",
        ),
        retry_after_secs: section.number("retry_after_secs", default.retry_after_secs, 1..=3_600, "seconds"),
    }
}

fn accept(section: &mut Section<'_, '_>) -> AcceptSettings {
    let default = AcceptSettings::default();
    let requests = default.keep_alive_requests_max;
    AcceptSettings {
        connections_max: section.number("connections_max", default.connections_max, 16..=1_000_000, "connections"),
        header_secs: section.number("header_secs", default.header_secs, 1..=60, "seconds"),
        body_secs: section.number("body_secs", default.body_secs, 1..=60, "seconds"),
        answer_secs: section.number("answer_secs", default.answer_secs, 1..=3_600, "seconds"),
        idle_secs: section.number("idle_secs", default.idle_secs, 1..=3_600, "seconds"),
        keep_alive_requests_max: section.number("keep_alive_requests_max", requests, 1..=1_000_000, "requests"),
        keep_alive_secs: section.number("keep_alive_secs", default.keep_alive_secs, 1..=86_400, "seconds"),
        header_bytes_max: section.number("header_bytes_max", default.header_bytes_max, 8_192..=1_048_576, "bytes"),
    }
}

pub(super) fn admin(mut section: Section<'_, '_>, server: &Server) -> Admin {
    let file = "the path of a file, relative to this configuration";
    let default = "admin.token";
    let name = section.parsed_or("token_file", (default, default.to_owned()), file, |text| {
        (!text.trim().is_empty()).then(|| text.to_owned())
    });
    let hosts = "host names without a port, as in [\"adjutant.internal\"]";
    let admin = Admin {
        listen: section.address("listen", "127.0.0.1:8081"),
        token_file: section.reading.file(&name),
        hosts: section.list("hosts", hosts, host),
    };
    if overlap(admin.listen, server.listen) {
        let place = section.in_file("listen").map_or(section.place.clone(), |value| Place::File(value.span()));
        let what = format!("[admin] listen is {}, and [server] listen is {}", admin.listen, server.listen);
        section.reading.problem(place, what, "expected another port: operators must not be reached where Zoom is");
    }
    section.finish();
    admin
}

/// Whether both cannot be listened on. Port 0 is any free one.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same = one.ip() == other.ip() || (all && one.is_ipv4() == other.is_ipv4());
    same && one.port() == other.port() && one.port() != 0
}

fn host(text: &str) -> Option<String> {
    let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    valid.then(|| text.to_ascii_lowercase())
}

pub(super) fn store(mut section: Section<'_, '_>, server: &Server) -> StoreSection {
    let default = ("sled:data", "data".to_owned());
    let folder = section.parsed_or("url", default, "\"sled:FOLDER\", relative to this configuration", |text| {
        text.strip_prefix("sled:").filter(|folder| !folder.is_empty()).map(str::to_owned)
    });
    let hours = section.number("dedupe_hours", 72_u64, 1..=720, "hours");
    let dedupe = Duration::from_secs(hours.saturating_mul(3_600));
    let (past, future) = (u64::from(server.receiver.window_past_secs), u64::from(server.receiver.window_future_secs));
    let window = Duration::from_secs(past.saturating_add(future));
    if dedupe <= window {
        let place = section.in_file("dedupe_hours").map_or(section.place.clone(), |value| Place::File(value.span()));
        let what = format!(
            "[store] dedupe_hours is {hours}, which is {} s, and the window of accepted signatures is {} s (past {past} s + future {future} s)",
            dedupe.as_secs(),
            window.as_secs(),
        );
        let help = "expected dedupe_hours to be longer: else a delivery could be replayed after it was forgotten";
        section.reading.problem(place, what, help);
    }
    let master_key = master_key(&mut section);
    let body_days = section.number("body_days", 30_u32, 8..=3_650, "days");
    let entry_days = section.number("entry_days", 400_u32, 8..=36_500, "days");
    if entry_days < body_days {
        let place = section.in_file("entry_days").map_or(section.place.clone(), |value| Place::File(value.span()));
        let what = format!("[store] entry_days is {entry_days}, and body_days is {body_days}");
        let help = "expected entry_days to be no less: entries say whose a body is, so that it can be forgotten";
        section.reading.problem(place, what, help);
    }
    let checkpoint_file = section.optional("checkpoint_file", "a file, relative to this configuration", |path| {
        (!path.is_empty()).then(|| PathBuf::from(path))
    });
    let checkpoint_file = checkpoint_file.map(|path| section.reading.folder.join(path));
    let settings = local::Settings { checkpoint_file, ..store_settings(&mut section, dedupe) };
    let store =
        StoreSection { folder: section.reading.folder.join(folder), master_key, body_days, entry_days, settings };
    section.finish();
    store
}

/// As other secrets, `master_key` or `master_key_file`, but neither must be given.
fn master_key(section: &mut Section<'_, '_>) -> MasterKey {
    const FILE: &str = "master_key_file";
    let found = section.find("master_key", form::text);
    let is_variable = |section: &mut Section<'_, '_>| matches!(section.find(FILE, form::text), Some(Found::Env(..)));
    let found = match found {
        // The environment beats the file for the pair.
        Some(Found::File(_)) if is_variable(section) => None,
        Some(Found::Env(..)) if !is_variable(section) => found,
        Some(found) if section.is_set(FILE) => {
            let what = format!("{} has both master_key and {FILE}", section.title);
            section.reading.problem(found.place(), what, "expected exactly one of the two");
            Some(found)
        }
        found => found,
    };
    section.note("master_key", found.as_ref().map(|_| "\"***\"".to_owned()), found.as_ref());
    if let Some(found) = found {
        section.note(FILE, None, None);
        section.reading.secrets_inline.set(section.reading.secrets_inline.get() || matches!(found, Found::File(_)));
        if let Some(key) = found.text().and_then(MasterKey::parse) {
            return key;
        }
        // What it is instead may be a key with a slip.
        let help = "expected 64 hexadecimal digits, as `openssl rand -hex 32` prints them";
        section.reading.problem(found.place(), format!("{} master_key is no key", section.title), help);
    }
    let file = "the path of a file, relative to this configuration, or credential:NAME";
    let name = ("master.key", "master.key".to_owned());
    let name = section.parsed_or(FILE, name, file, |text| (!text.trim().is_empty()).then(|| text.to_owned()));
    MasterKey::File(section.reading.file(&name))
}

fn store_settings(section: &mut Section<'_, '_>, dedupe: Duration) -> local::Settings {
    let default = local::Settings::default();
    local::Settings {
        limits: Limits {
            dedupe_window: dedupe,
            backlog_max: section.number("backlog_max", default.limits.backlog_max, 1_000..=10_000_000, "items"),
            parked_deliveries_max: section.number(
                "parked_deliveries_max",
                default.limits.parked_deliveries_max,
                1_000..=10_000_000,
                "deliveries",
            ),
            ..default.limits
        },
        journal: journal::Settings {
            segment_bytes: section.number(
                "segment_bytes",
                default.journal.segment_bytes,
                4_194_304..=1_073_741_824,
                "bytes",
            ) & !7,
        },
        disk_reserve_bytes: section.number(
            "disk_reserve_bytes",
            default.disk_reserve_bytes,
            0..=1_099_511_627_776,
            "bytes",
        ),
        unplanned_max: section.number("unplanned_max", default.unplanned_max, 1_000..=10_000_000, "deliveries"),
        index_lag_max: section.number("index_lag_max", default.index_lag_max, 1_000..=100_000_000, "records"),
        dedupe_memory_max: section.number(
            "dedupe_memory_max",
            default.dedupe_memory_max,
            65_536..=100_000_000,
            "deliveries",
        ),
        snapshot_every_bytes: section.number(
            "snapshot_every_bytes",
            default.snapshot_every_bytes,
            1_048_576..=1_099_511_627_776,
            "bytes",
        ),
        index_cache_bytes: section.number(
            "index_cache_bytes",
            default.index_cache_bytes,
            1_048_576..=17_179_869_184,
            "bytes",
        ),
        checkpoint_file: None,
        accept_damage: section.flag_or("accept_damage", default.accept_damage),
    }
}

pub(super) fn zoom(mut section: Section<'_, '_>) -> (zoom::Settings, HostWrites) {
    let zoom::Settings {
        api_url: api,
        oauth_url: oauth,
        connect_timeout_secs: connect,
        call_timeout_secs: call,
        response_bytes_max: bytes,
        rate_share_percent: share,
        sweep_share_percent: sweep_share,
        limit_wait_max_ms: wait,
    } = zoom::Settings::default();
    let expected = |url: &str| format!("a URL, as in \"{url}\"; http:// only for this machine");
    let settings = zoom::Settings {
        api_url: section.parsed_or("api_url", (&api, api.clone()), &expected(&api), safe_url),
        oauth_url: section.parsed_or("oauth_url", (&oauth, oauth.clone()), &expected(&oauth), safe_url),
        connect_timeout_secs: section.number("connect_timeout_secs", connect, 1..=60, "seconds"),
        call_timeout_secs: section.number("call_timeout_secs", call, 1..=300, "seconds"),
        response_bytes_max: section.number("response_bytes_max", bytes, 65_536..=1_073_741_824, "bytes"),
        sweep_share_percent: sweep_share,
        rate_share_percent: section.number("rate_share_percent", share, 1..=100, "percent"),
        limit_wait_max_ms: section.number("limit_wait_max_ms", wait, 1_000..=60_000, "milliseconds"),
    };
    if let Err(error) = settings.check() {
        section.reading.problem(section.place.clone(), format!("[zoom] {error}"), "correct it");
    }
    let HostWrites { per_day, reserve, .. } = HostWrites::default();
    let host_writes = HostWrites {
        changes: section.one_of_or_default(
            "meeting_changes_count_for",
            &[("both", ChangesCount::Both), ("host", ChangesCount::Host), ("path", ChangesCount::Path)],
        ),
        per_day: section.number("host_writes_per_day", per_day, 1..=10_000, "creates and updates of meetings"),
        reserve: section.number("host_writes_reserve", reserve, 0..=9_999, "creates and updates of meetings"),
    };
    if host_writes.for_rules() == 0 {
        let HostWrites { per_day, reserve, .. } = host_writes;
        let what = format!("[zoom] host_writes_reserve is {reserve}, which leaves rules nothing of {per_day} a day");
        section.reading.problem(section.place.clone(), what, "keep less than host_writes_per_day");
    }
    section.finish();
    (settings, host_writes)
}

/// `[sweep]`. The share is kept by the client, which keeps all rates.
pub(super) fn sweep(mut section: Section<'_, '_>, zoom: &mut zoom::Settings) -> SweepSettings {
    let cron = section.parsed_or("cron", ("0 * * * *", "0 * * * *".to_owned()), CRON, is_cron);
    let zone = section.parsed_or("time_zone", ("UTC", "UTC".to_owned()), TIME_ZONE, is_time_zone);
    let mut nightly = |key, default: &'static str| {
        let cron = section.parsed_or(key, (default, default.to_owned()), CRON, is_cron);
        Schedule::new(&cron, &zone).unwrap_or_default()
    };
    let settings = nightly("settings_cron", SweepSettings::SETTINGS_CRON);
    let meetings = nightly("meetings_cron", SweepSettings::MEETINGS_CRON);
    let jitter = section.secs("jitter_secs", Duration::from_secs(600), 0..=86_400);
    zoom.sweep_share_percent = section.number("share_percent", zoom.sweep_share_percent, 1..=100, "percent");
    section.finish();
    // Those of accounts are read with their apps.
    let schedule = Schedule::new(&cron, &zone).unwrap_or_default();
    SweepSettings { schedule, settings, meetings, jitter, ..SweepSettings::default() }
}

/// `[accounts]`.
pub(super) fn accounts(mut section: Section<'_, '_>) -> crate::accounts::Settings {
    let default = crate::accounts::Settings::default();
    let mut days = |key, default: Duration, range| {
        let days = section.number(key, default.as_secs() / 86_400, range, "days");
        Duration::from_secs(days.saturating_mul(86_400))
    };
    let settings = crate::accounts::Settings {
        invite_life: days("invite_days", default.invite_life, 1..=365),
        refresh_idle: days("refresh_days", default.refresh_idle, 1..=80),
        forget_removed_after: days("forget_removed_days", default.forget_removed_after, 0..=3_650),
        forget_lost_after: days("forget_lost_days", default.forget_lost_after, 1..=3_650),
    };
    section.finish();
    settings
}

pub(super) const CRON: &str = "a cron expression of five fields whose moment comes, as in \"0 * * * *\"";
pub(super) const TIME_ZONE: &str = "the name of a time zone, as in \"Europe/Berlin\"";

pub(super) fn is_cron(text: &str) -> Option<String> {
    Schedule::new(text, "UTC").map(|_| text.to_owned())
}

pub(super) fn is_time_zone(text: &str) -> Option<String> {
    Schedule::new("0 * * * *", text).map(|_| text.to_owned())
}

/// A base URL: scheme, host and path, and nothing else.
/// An address of the web without query, fragment or user, and without a slash at its end.
pub fn base_url(text: &str) -> Option<String> {
    let uri: http::Uri = text.parse().ok()?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri.query().is_none() && !text.contains(['#', '@']) && uri.host().is_some_and(|host| !host.is_empty());
    (web && plain).then(|| text.trim_end_matches('/').to_owned())
}

/// Where Zoom and browsers reach the public listener: https, which Zoom wants \[D], and a name. An error says what of it is at
/// fault.
fn public_url(text: &str) -> Result<String, String> {
    const AS_IN: &str = "as in \"https://zoom-hooks.example.com\"";
    let expected = |what: &str| Err(format!("{what}, {AS_IN}"));
    if text.contains(['?', '#']) {
        return expected("it without what follows ? or #");
    }
    let Some(url) = base_url(text).filter(|url| !is_placeholder_url(url)) else {
        return expected("where Zoom reaches this service");
    };
    if !url.to_ascii_lowercase().starts_with("https:") && !is_loopback_url(&url) {
        return expected("https, since Zoom takes no other; http is for an address of this machine alone");
    }
    Ok(url)
}

fn is_placeholder_url(url: &str) -> bool {
    url.split_once("://").is_none_or(|(_, host)| super::secret::is_placeholder(host))
}

/// Tokens go there: in plain to this machine only.
fn safe_url(text: &str) -> Option<String> {
    base_url(text).filter(|url| url.to_ascii_lowercase().starts_with("https:") || is_loopback_url(url))
}

/// Whether an address is one of this machine, which nobody else can reach.
pub fn is_loopback_url(url: &str) -> bool {
    let uri = url.parse::<http::Uri>();
    uri.ok()
        .and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()))
        .is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

pub(super) fn worker(
    mut section: Section<'_, '_>,
    drain: Duration,
    call_longest: Duration,
    host_writes: HostWrites,
) -> Settings {
    let default = Settings::default();
    let cache = default.cache;
    let settings = Settings {
        workers: section.number("workers", default.workers, 1..=256, "jobs"),
        per_account_max: section.number("per_account_max", default.per_account_max, 1..=256, "jobs"),
        lease_secs: section.number("lease_secs", default.lease_secs, 2..=3_600, "seconds"),
        call_secs_max: section.number("call_secs_max", default.call_secs_max, 1..=1_800, "seconds"),
        // One number for both: what is left of the listeners' time would be of no use to jobs.
        drain_secs: u32::try_from(drain.as_secs()).unwrap_or(u32::MAX),
        snooze_max_hours: section.number("snooze_max_hours", default.snooze_max_hours, 1..=720, "hours"),
        plan_batch_max: section.number("plan_batch_max", default.plan_batch_max, 1..=4_096, "deliveries"),
        pace_ms: section.number("pace_ms", default.pace_ms, 0..=1_000, "milliseconds"),
        cache: FactsSettings {
            api_user_secs: section.number("api_user_cache_secs", cache.api_user_secs, 0..=86_400, "seconds"),
            account_size_secs: section.number(
                "account_size_cache_secs",
                cache.account_size_secs,
                0..=86_400,
                "seconds",
            ),
        },
        host_writes,
        moves: Moves::default(),
    };
    if let Err(error) = settings.check(call_longest) {
        section.reading.problem(section.place.clone(), format!("[worker] {error}"), "change it, or what it must fit");
    }
    section.finish();
    settings
}

/// `[moves]`.
pub(super) fn moves(mut section: Section<'_, '_>) -> (Moves, Vec<Vec<AccountId>>) {
    let Moves { lend, lend_max, watch_hosts } = Moves::default();
    let moves = Moves {
        lend: section.flag_or("lend", lend),
        lend_max: section.secs("lend_max_secs", lend_max, 10..=86_400),
        watch_hosts: section.flag_or("watch_hosts", watch_hosts),
    };
    let expected = "ids of accounts with a space between, as in \"abc123 def456\"";
    let organisations = section.list("organisations", expected, |text| {
        let all: Option<Vec<AccountId>> = text.split_whitespace().map(|id| AccountId::parse(id).ok()).collect();
        all.filter(|all| all.len() > 1)
    });
    section.finish();
    (moves, organisations)
}

pub(super) fn log(mut section: Section<'_, '_>) -> Log {
    let format = section.one_of_or_default("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let level = section.one_of_or_default("level", &levels);
    section.finish();
    Log { format, level }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_goes_in_plain_to_another_machine() {
        assert_eq!(safe_url("http://127.0.0.1:9/v2/"), Some("http://127.0.0.1:9/v2".to_owned()));
        assert_eq!(safe_url("http://[::1]:9"), Some("http://[::1]:9".to_owned()));
        assert_eq!(safe_url("http://api.zoom.us/v2"), None);
        assert_eq!(safe_url("https://user@api.zoom.us/v2"), None);
        assert_eq!(safe_url("api.zoom.us"), None);
    }
}
