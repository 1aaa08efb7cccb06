//! Assistants are added: to one user, or from a file of grants.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde::Serialize;
use serde_json::json;

use super::{Which, path};
use crate::cli::file::{self, Shown};
use crate::cli::out::{Out, count};
use crate::cli::remote::Remote;
use crate::cli::rows::{Columns, Line, Row};
use crate::cli::users::Of;
use crate::cli::{Exit, Failure};
use crate::web::admin::assistants::{AddedPersonView, AddedView};

/// Of a row that asks for nothing.
const BAD_ROW: &str = "bad-row";
/// Where the service has no word of its own for it.
const REFUSED: &str = "refused";

/// The service takes no more in one request.
const AT_ONCE: usize = 30;

const COLUMNS: Columns = Columns { all: &["user", "assistant"], needed: &["user", "assistant"], known_by };

fn known_by(row: &Row) -> Vec<(String, String)> {
    let cell = |name: &str| row.get(name).and_then(|cell| cell.as_str()).map(str::to_lowercase);
    let both = cell("user").zip(cell("assistant"));
    both.map(|(user, who)| (format!("{user} {who}"), format!("asks for {who} for {user} as well")))
        .into_iter()
        .collect()
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).args(["user", "file"])))]
pub(in crate::cli) struct Add {
    /// Whose assistants they become, by email or id
    #[arg(long, value_name = "USER", requires = "assistants")]
    user: Option<String>,
    /// Who becomes an assistant, by email or id: 30 at most
    #[arg(value_name = "ASSISTANT", conflicts_with = "file")]
    assistants: Vec<String>,
    /// A file of grants, or - for standard input
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[command(flatten)]
    of: Of,
    /// Say what would come of each, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of one, as it is printed.
#[derive(Debug, Clone, Serialize)]
struct Came {
    /// In the file; none where it was asked for by itself.
    line: Option<u64>,
    user: Option<String>,
    assistant: Option<String>,
    state: String,
    code: Option<String>,
    why: Option<String>,
}

impl Came {
    fn of(line: Option<u64>, user: &str, one: AddedPersonView) -> Self {
        let AddedPersonView { asked, state, code, why, .. } = one;
        Self { line, user: Some(user.to_owned()), assistant: Some(asked), state, code, why }
    }

    fn refused(line: &Line, code: &str, why: String) -> Self {
        let cell = |name: &str| Some(line.row.as_ref().ok()?.get(name)?.as_str()?.to_owned());
        let state = AddedPersonView::REFUSED.to_owned();
        Self {
            line: Some(line.number),
            user: cell("user"),
            assistant: cell("assistant"),
            state,
            code: Some(code.to_owned()),
            why: Some(why),
        }
    }

    fn is_refused(&self) -> bool {
        self.state == AddedPersonView::REFUSED
    }

    fn in_words(&self) -> String {
        let line = self.line.map_or_else(String::new, |line| format!("line {line}: "));
        let name = |text: &Option<String>| text.clone().unwrap_or_else(|| "nobody".to_owned());
        let why = self.why.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        format!("{line}{} for {}: {}{why}", name(&self.assistant), name(&self.user), self.state)
    }
}

pub(super) async fn add(remote: &Remote, asked: Add, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.of.account(remote).await?;
    if let Some(user) = &asked.user {
        let added = ask(remote, (&account, user), &asked.assistants, asked.dry_run).await?;
        let is_refused = added.assistants.iter().any(AddedPersonView::is_refused);
        if asked.json {
            out.json(&added)?;
        } else {
            let is_news = added.assistants.iter().any(|one| matches!(one.state.as_str(), "added" | "would"));
            for one in added.assistants {
                out.line(Came::of(None, user, one).in_words())?;
            }
            if is_news {
                out.line(added.may)?;
            }
        }
        return Ok(if is_refused { Exit::Failed } else { Exit::Good });
    }
    let Some(file) = &asked.file else { return Err(Failure::new(Exit::Usage, "say whose assistants they become")) };
    let lines = file::read(file, &COLUMNS)?;
    let mut came: Vec<Option<Came>> = vec![None; lines.len()];
    let ended = tokio::select! {
        ended = add_all(remote, &account, &lines, (&asked, &mut came), out) => ended,
        _stopped = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Failed, "stopped")),
    };
    let came: Vec<Came> = came.into_iter().flatten().collect();
    tell(&came, asked.json, out)?;
    if let Err(failure) = ended {
        let (said, of) = (came.len(), count(lines.len(), "row", "rows"));
        let again = "give the same file again to go on: who is an assistant already stays one";
        return Err(Failure::new(failure.exit, format!("{failure}: {said} of {of} were answered. {again}")));
    }
    Ok(if came.iter().any(Came::is_refused) { Exit::Failed } else { Exit::Good })
}

async fn ask(
    remote: &Remote,
    (account, user): (&str, &str),
    who: &[String],
    is_dry: bool,
) -> Result<AddedView, Failure> {
    let query: Vec<_> = is_dry.then(|| ("check", "true".to_owned())).into_iter().collect();
    remote.post_json(&path(account, user, Which::Assistants), &query, &json!({ "assistants": who })).await
}

/// The rows of one request, by their places in the file.
struct Together<'a> {
    user: &'a str,
    rows: Vec<(usize, String)>,
}

/// Rows of one user go together, in the order of the file.
fn by_user(lines: &[Line]) -> Vec<Together<'_>> {
    let (mut groups, mut open): (Vec<Together<'_>>, BTreeMap<String, usize>) = (Vec::new(), BTreeMap::new());
    for (place, line) in lines.iter().enumerate() {
        let cell = |name: &str| line.row.as_ref().ok().and_then(|row| row.get(name)?.as_str());
        let Some((user, who)) = cell("user").zip(cell("assistant")) else { continue };
        let row = (place, who.to_owned());
        let group = open.get(&user.to_lowercase()).and_then(|place| groups.get_mut(*place));
        if let Some(group) = group.filter(|group| group.rows.len() < AT_ONCE) {
            group.rows.push(row);
        } else {
            open.insert(user.to_lowercase(), groups.len());
            groups.push(Together { user, rows: vec![row] });
        }
    }
    groups
}

/// Why nothing can be asked for. An empty cell says nothing.
fn fault_of(line: &Line) -> Option<String> {
    let row = match &line.row {
        Ok(row) => row,
        Err(why) => return Some(why.clone()),
    };
    let missing = COLUMNS.needed.iter().find(|name| row.get(**name).and_then(serde_json::Value::as_str).is_none())?;
    Some(format!("it names no {missing}"))
}

/// Asks for all, one user at a time. What was answered is in `came`, also where this is not finished.
async fn add_all(
    remote: &Remote,
    account: &str,
    lines: &[Line],
    (asked, came): (&Add, &mut [Option<Came>]),
    out: &mut Out,
) -> Result<(), Failure> {
    let words = if asked.dry_run { ("looking", "looked at") } else { ("adding", "went through") };
    let mut shown = Shown::new(words, asked.json);
    for (line, came) in lines.iter().zip(came.iter_mut()) {
        *came = fault_of(line).map(|why| Came::refused(line, BAD_ROW, why));
    }
    for Together { user, rows } in by_user(lines) {
        let who: Vec<String> = rows.iter().map(|(_, who)| who.clone()).collect();
        let mut answered = match ask(remote, (account, user), &who, asked.dry_run).await {
            Ok(added) => Ok(added.assistants.into_iter()),
            // That is about this user alone.
            Err(failure) if matches!(failure.exit, Exit::Failed | Exit::Usage) => Err(failure),
            Err(failure) => return Err(failure),
        };
        for (place, _) in rows {
            let (Some(line), Some(slot)) = (lines.get(place), came.get_mut(place)) else { continue };
            let one = match &mut answered {
                Ok(each) => each.next().map(|one| Came::of(Some(line.number), user, one)),
                Err(why) => Some(Came::refused(line, why.code().unwrap_or(REFUSED), why.to_string())),
            };
            let unanswered = || Came::refused(line, "unanswered", "the service did not answer for it".to_owned());
            *slot = Some(one.unwrap_or_else(unanswered));
        }
        shown.tell((came.iter().flatten().count(), lines.len()), out)?;
    }
    Ok(())
}

fn tell(came: &[Came], is_json: bool, out: &mut Out) -> Result<(), Failure> {
    if is_json {
        return out.json(&came);
    }
    for one in came {
        out.line(one.in_words())?;
    }
    out.line(file::counts(came.iter().map(|one| one.state.as_str())))
}
