//! `adjutant users onboard`: one person, or a file of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Of;
use crate::cli::file::{self, Shown};
use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, segment};
use crate::cli::rows::{Columns, Line, Row};
use crate::cli::{Exit, Failure};
use crate::clock::Stopwatch;
use crate::web::admin::onboarding::{OnboardingView, RowView, RowsView};

/// Rows in one request, so that the bar moves.
const ROWS_AT_ONCE: usize = 100;
/// What a row may say, beside its key; `groups` are parted by `;`.
pub(in crate::cli) const COLUMNS: Columns = Columns {
    all: &["email", "first_name", "last_name", "display_name", "licence", "groups", "action", "label", "notify"],
    needed: &["email"],
    known_by,
};

/// Whoever is named twice is asked for once, and so is a key.
fn known_by(row: &Row) -> Vec<(String, String)> {
    let cell = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_lowercase);
    let email = cell("email").map(|email| (format!("email {email}"), format!("asks for {email} as well")));
    let key = cell("key").map(|key| (format!("key {key}"), "has the same key".to_owned()));
    email.into_iter().chain(key).collect()
}

/// The service keeps nobody waiting longer.
const WAIT_AT_ONCE_SECS: u64 = 20;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("who").required(true).args(["email", "file"])))]
pub(in crate::cli) struct Onboard {
    /// The person's email
    email: Option<String>,
    /// A file of people, or - for standard input
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[command(flatten)]
    of: Of,
    /// First name
    #[arg(long, conflicts_with = "file")]
    first: Option<String>,
    /// Last name
    #[arg(long, conflicts_with = "file")]
    last: Option<String>,
    /// The name that others see
    #[arg(long, conflicts_with = "file")]
    display_name: Option<String>,
    /// The licence. Default: Basic for a new user, and none taken from one who is there
    #[arg(long, conflicts_with = "file")]
    licence: Option<Licence>,
    /// A group to be in, by name or id; may be given more than once
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "file")]
    groups: Vec<String>,
    /// How Zoom makes the user; create sends an invitation
    #[arg(long, conflicts_with = "file")]
    action: Option<Action>,
    /// Your own word for it, which comes back
    #[arg(long, conflicts_with = "file")]
    label: Option<String>,
    /// The consumer that is told when it has ended
    #[arg(long, value_name = "CONSUMER", conflicts_with = "file")]
    notify: Option<String>,
    /// What the rows belong to. Default: the name of the file
    #[arg(long)]
    batch: Option<String>,
    /// Say what would become of each, and ask for nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait so many seconds for what goes on by itself
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Licence {
    Licensed,
    Basic,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "camelCase")]
enum Action {
    Create,
    AutoCreate,
    CustCreate,
    SsoCreate,
}

/// What became of a row, as it is printed.
#[derive(Debug, Clone, Serialize)]
struct Came {
    /// In the file; none for one person.
    line: Option<u64>,
    email: Option<String>,
    /// As an onboarding's; `refused` where it was not taken, `would` of a dry run.
    state: String,
    id: Option<String>,
    why: Option<String>,
    advice: Option<String>,
    /// It was asked for by an earlier request.
    is_known: bool,
}

impl Came {
    fn refused(line: &Line, why: String) -> Self {
        Self {
            line: Some(line.number),
            email: email(line),
            state: "refused".to_owned(),
            id: None,
            why: Some(why),
            advice: None,
            is_known: false,
        }
    }

    fn of(line: Option<u64>, one: OnboardingView, is_known: bool) -> Self {
        let OnboardingView { id, email, state, why, advice, .. } = one;
        Self { line, email: Some(email), state, id: Some(id), why, advice, is_known }
    }

    fn is_failed(&self) -> bool {
        matches!(self.state.as_str(), "refused" | "parked" | "cancelled")
    }

    fn is_moving(&self) -> bool {
        matches!(self.state.as_str(), "asked" | "creating" | "working")
    }

    fn in_words(&self) -> String {
        let line = self.line.map_or_else(String::new, |line| format!("line {line}: "));
        let email = self.email.as_deref().unwrap_or("nobody");
        let why = self.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        let advice = self.advice.as_deref().map_or_else(String::new, |advice| format!(" ({advice})"));
        format!("{line}{email} {}{why}{advice}", self.state)
    }
}

fn email(line: &Line) -> Option<String> {
    line.row.as_ref().ok()?.get("email")?.as_str().map(str::to_owned)
}

pub(super) async fn run(remote: &Remote, asked: Onboard, out: &mut Out) -> Result<Exit, Failure> {
    let (account, is_file) = (asked.of.account(remote).await?, asked.file.is_some());
    let (mut lines, batch) = match &asked.file {
        Some(path) => (file::read(path, &COLUMNS)?, Some(batch_of(path, asked.batch.clone())?)),
        None => (vec![Line { number: 1, row: Ok(person(&asked)) }], asked.batch.clone()),
    };
    if let Some(batch) = &batch {
        for line in &mut lines {
            if let Ok(row) = &mut line.row {
                let key = key(&account, row, batch);
                row.entry("key").or_insert_with(|| key.into());
            }
        }
    }
    let mut came = Vec::new();
    let ended = tokio::select! {
        ended = ask_all(remote, (&account, batch.as_deref()), (&lines, &asked), &mut came, out) => ended,
        _stopped = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Failed, "stopped")),
    };
    tell(&came, is_file, asked.json, out)?;
    if let Err(failure) = ended {
        let (said, of) = (came.len(), count(lines.len(), "row", "rows"));
        let again = if is_file { ". give the same file again to go on: nothing is asked for twice" } else { "" };
        let text = format!("{failure}: {said} of {of} were answered{again}");
        return Err(Failure::new(failure.exit, text));
    }
    Ok(if came.iter().any(Came::is_failed) { Exit::Failed } else { Exit::Good })
}

/// Asks for all, some at a time, and waits for what goes on by itself. What was answered is in `came`, also where this is not
/// finished.
async fn ask_all(
    remote: &Remote,
    to: (&str, Option<&str>),
    (lines, asked): (&[Line], &Onboard),
    came: &mut Vec<Came>,
    out: &mut Out,
) -> Result<(), Failure> {
    let is_file = asked.file.is_some();
    let words = if asked.dry_run { ("looking", "looked at") } else { ("asking", "asked for") };
    let mut shown = Shown::new(words, !is_file || asked.json);
    for some in lines.chunks(ROWS_AT_ONCE) {
        came.extend(ask(remote, to, some, asked.dry_run).await?);
        shown.tell((came.len(), lines.len()), out)?;
    }
    drop(shown);
    if asked.dry_run { Ok(()) } else { follow(remote, came, Duration::from_secs(asked.wait)).await }
}

/// The one who is named.
fn person(asked: &Onboard) -> Map<String, Value> {
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let licence = asked.licence.map(|licence| match licence {
        Licence::Licensed => Value::from("licensed"),
        Licence::Basic => Value::from("basic"),
    });
    let action = asked.action.map(|action| match action {
        Action::Create => Value::from("create"),
        Action::AutoCreate => Value::from("autoCreate"),
        Action::CustCreate => Value::from("custCreate"),
        Action::SsoCreate => Value::from("ssoCreate"),
    });
    let groups = (!asked.groups.is_empty()).then(|| Value::from(asked.groups.clone()));
    let fields = [
        ("email", text(&asked.email)),
        ("first_name", text(&asked.first)),
        ("last_name", text(&asked.last)),
        ("display_name", text(&asked.display_name)),
        ("licence", licence),
        ("groups", groups),
        ("action", action),
        ("label", text(&asked.label)),
        ("notify", text(&asked.notify)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The key of a row: of the account, of what it says, and of the batch or file that it comes from. So the same file, given
/// again, asks for nothing twice, and a row that was corrected is another.
fn key(account: &str, row: &Row, batch: &str) -> String {
    let mut cells: Vec<String> = row.iter().map(|(name, value)| format!("{name}={value}")).collect();
    cells.sort_unstable();
    let mut hash = Sha256::new();
    for part in [account, batch].into_iter().chain(cells.iter().map(String::as_str)) {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    format!("row-{}", hex::encode(hash.finalize().get(..16).unwrap_or_default()))
}

fn batch_of(path: &Path, named: Option<String>) -> Result<String, Failure> {
    let of_file = || {
        let name = path.file_name().filter(|_| path != Path::new("-"))?;
        Some(name.to_string_lossy().into_owned())
    };
    named.or_else(of_file).ok_or_else(|| {
        Failure::new(Exit::Usage, "standard input has no name: add --batch, so that the rows can be given again")
    })
}

/// Asks for some rows; those that are wrong in form are not sent.
async fn ask(
    remote: &Remote,
    (account, batch): (&str, Option<&str>),
    lines: &[Line],
    is_dry: bool,
) -> Result<Vec<Came>, Failure> {
    let sent: Vec<&Map<String, Value>> = lines.iter().filter_map(|line| line.row.as_ref().ok()).collect();
    let mut query: Vec<(&str, String)> = batch.map(|batch| ("batch", batch.to_owned())).into_iter().collect();
    query.extend(is_dry.then(|| ("dry_run", "true".to_owned())));
    let path = format!("/v1/accounts/{}/users", segment(account));
    let mut answered =
        if sent.is_empty() { Vec::new() } else { remote.post_json::<RowsView>(&path, &query, &sent).await?.rows }
            .into_iter();
    let mut came = Vec::new();
    for line in lines {
        came.push(match &line.row {
            Err(why) => Came::refused(line, why.clone()),
            Ok(_) => match answered.next() {
                Some(RowView { error: Some(error), .. }) => Came::refused(line, error.detail),
                Some(RowView { onboarding: Some(one), is_new, .. }) => Came::of(Some(line.number), one, !is_new),
                Some(RowView { would, .. }) => {
                    let state = "would".to_owned();
                    let (line, email) = (Some(line.number), email(line));
                    Came { line, email, state, id: None, why: would, advice: None, is_known: false }
                }
                None => Came::refused(line, "the service did not answer for it".to_owned()),
            },
        });
    }
    Ok(came)
}

/// Waits for those that go on by themselves.
async fn follow(remote: &Remote, came: &mut [Came], wait: Duration) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    for one in came.iter_mut() {
        while one.is_moving()
            && let Some(id) = &one.id
            && watch.elapsed() < wait
        {
            let left = wait.saturating_sub(watch.elapsed()).as_secs().clamp(1, WAIT_AT_ONCE_SECS);
            let query = [("wait", format!("{left}s"))];
            let newer: OnboardingView = remote.get(&format!("/v1/onboardings/{}", segment(id)), &query).await?;
            *one = Came::of(one.line, newer, one.is_known);
        }
    }
    Ok(())
}

fn tell(came: &[Came], is_file: bool, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return out.json(&came);
    }
    for one in came {
        let one = if is_file { one.in_words() } else { Came { line: None, ..one.clone() }.in_words() };
        out.line(one)?;
    }
    if is_file {
        let known = came.iter().filter(|one| one.is_known).count();
        let known = if known > 0 { format!("; {known} asked for already") } else { String::new() };
        out.line(file::counts(came.iter().map(|one| one.state.as_str())) + &known)?;
    }
    let open = came.iter().filter(|one| one.is_moving()).count();
    if open > 0 {
        let again = if is_file { "give the same file again to see" } else { "see `adjutant users onboardings`" };
        out.line(format!("{} still at work: {again}", count(open, "is", "are")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_key_of_a_row_is_that_of_account_batch_and_all_that_it_says() {
        let row = |json: Value| json.as_object().unwrap().clone();
        let jill = || row(json!({ "email": "jill@x.example", "first_name": "Jill" }));
        let first = key("a", &jill(), "f.csv");
        assert_eq!(first, key("a", &jill(), "f.csv"));
        let corrected = row(json!({ "email": "jill@x.example", "first_name": "Gill" }));
        for other in [key("b", &jill(), "f.csv"), key("a", &corrected, "f.csv"), key("a", &jill(), "g")] {
            assert_ne!(first, other);
        }
    }
}
