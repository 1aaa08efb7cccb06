//! Where values come from: one file, one environment, one folder of credentials.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::form::Form;
use super::problem::{Place, Problem};

/// The environment that a configuration looks at, as a value, so that tests bring their own.
#[derive(Clone, Default)]
pub struct Env {
    /// The variables that begin with `ADJUTANT__`.
    vars: BTreeMap<String, String>,
    /// Those among them that are no text.
    no_text: Vec<String>,
    /// `$CREDENTIALS_DIRECTORY`, where systemd puts what `LoadCredential=` names.
    credentials: Option<PathBuf>,
}

impl std::fmt::Debug for Env {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.vars.keys()).finish()
    }
}

pub(super) const PREFIX: &str = "ADJUTANT__";

impl Env {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::from_os_vars(std::env::vars_os())
    }

    /// As the system has them. One of ours that is no text is a mistake, not one less.
    pub fn from_os_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut no_text = Vec::new();
        let vars = vars.into_iter().filter_map(|(name, value)| {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
                return Some((name.to_owned(), value.to_owned()));
            }
            no_text.push(name.to_string_lossy().into_owned());
            None
        });
        let mut env = Self::from_vars(vars);
        no_text.retain(|name| name.starts_with(PREFIX));
        env.no_text = no_text;
        env
    }

    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut env = Self::default();
        for (name, value) in vars {
            if name == "CREDENTIALS_DIRECTORY" {
                env.credentials = Some(value.into());
            } else if name.starts_with(PREFIX) {
                env.vars.insert(name, value);
            }
        }
        env
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a file that is small, whatever its path turns out to be: a device never ends, and says that it is empty; a pipe
/// that nobody writes to never begins, and cannot be read again at the next start. The byte order mark that some editors
/// put first is left out.
pub(crate) fn read_small(path: &Path, bytes_max: u64) -> std::io::Result<String> {
    use std::io::Read as _;
    use std::os::unix::fs::FileTypeExt as _;
    if std::fs::metadata(path)?.file_type().is_fifo() {
        return Err(std::io::Error::other("it is a pipe, and a file is needed"));
    }
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > bytes_max {
        return Err(std::io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    if text.starts_with(BYTE_ORDER_MARK) {
        text.remove(0);
    }
    Ok(text)
}

/// A value with its origin.
pub(super) enum Found<'t> {
    File(&'t Spanned<DeValue<'t>>),
    Env(String, String),
}

impl Found<'_> {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::File(value) => Place::File(value.span()),
            Self::Env(name, _) => Place::Env(name.clone()),
        }
    }

    /// Where it is a text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::File(value) => value.get_ref().as_str(),
            Self::Env(_, text) => Some(text),
        }
    }
}

/// One key as it is in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// The section as it is written in the file: `[server]`, `[[app]]`.
    pub section: String,
    pub key: String,
    /// As TOML; a secret is masked. None where it is not set and has no default.
    pub value: Option<String>,
    /// `default`, `file` or the name of an environment variable.
    pub from: String,
}

/// A file that was read: two readings agree where these do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    /// SHA-256 of its text, which may hold secrets.
    digest: [u8; 32],
}

/// One reading of a configuration: the sources, and what is found on the way.
pub(super) struct Reading<'t> {
    /// The text of the file.
    pub(super) text: &'t str,
    pub(super) root: &'t DeTable<'t>,
    pub(super) env: &'t Env,
    /// The folder of the file: relative paths start here.
    pub(super) folder: &'t Path,
    /// Whether files of secrets are read, too. Whoever only talks to the running service may not be allowed to.
    pub(super) with_secrets: bool,
    /// The files of secrets that were named, and whether any secret stands in the configuration itself.
    pub(super) secret_files: RefCell<Vec<PathBuf>>,
    pub(super) secrets_inline: std::cell::Cell<bool>,
    pub(super) sources: RefCell<Vec<Source>>,
    problems: RefCell<Vec<Problem>>,
    effective: RefCell<Vec<Effective>>,
    /// The variables that some key asked for.
    asked: RefCell<BTreeSet<String>>,
    /// Every key that was asked for, whether it is set or not, where somebody wants to know.
    keys: RefCell<Option<Vec<Key>>>,
}

/// A key that means something.
#[derive(Debug, Default)]
pub(super) struct Key {
    /// The section: `app.account`, and nothing for sections themselves.
    pub(super) section: String,
    pub(super) name: String,
    /// What may be written for it; one that differs with the rule has several.
    pub(super) forms: Vec<Form>,
    /// As TOML.
    pub(super) default: Option<String>,
}

impl<'t> Reading<'t> {
    pub(super) const fn new(
        text: &'t str,
        root: &'t DeTable<'t>,
        env: &'t Env,
        folder: &'t Path,
        with_secrets: bool,
    ) -> Self {
        Self {
            text,
            root,
            env,
            folder,
            with_secrets,
            secret_files: RefCell::new(Vec::new()),
            secrets_inline: std::cell::Cell::new(false),
            sources: RefCell::new(Vec::new()),
            problems: RefCell::new(Vec::new()),
            effective: RefCell::new(Vec::new()),
            asked: RefCell::new(BTreeSet::new()),
            keys: RefCell::new(None),
        }
    }

    pub(super) fn took(&self, path: &Path, text: &str) {
        let source = Source { path: path.to_owned(), digest: Sha256::digest(text).into() };
        self.sources.borrow_mut().push(source);
    }

    pub(super) fn problem(&self, place: Place, what: impl Into<String>, help: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { place, what: what.into(), help: help.into() });
    }

    /// How many problems were told so far.
    pub(super) fn told(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(super) fn record(&self, section: &str, key: &str, value: Option<String>, from: &str) {
        let (section, key, from) = (section.to_owned(), key.to_owned(), from.to_owned());
        self.effective.borrow_mut().push(Effective { section, key, value, from });
    }

    pub(super) fn knows(&self, section: &str, name: &'static str, form: impl FnOnce() -> Form) {
        self.about_key(section, name, |key| {
            let form = form();
            if !key.forms.contains(&form) {
                key.forms.push(form);
            }
        });
    }

    pub(super) fn defaults_to(&self, section: &str, name: &str, default: &str) {
        self.about_key(section, name, |key| key.default = Some(default.to_owned()));
    }

    fn about_key(&self, section: &str, name: &str, tell: impl FnOnce(&mut Key)) {
        let mut keys = self.keys.borrow_mut();
        let Some(keys) = keys.as_mut() else { return };
        if let Some(key) = keys.iter_mut().find(|key| key.section == section && key.name == name) {
            return tell(key);
        }
        let mut key = Key { section: section.to_owned(), name: name.to_owned(), ..Key::default() };
        tell(&mut key);
        keys.push(key);
    }

    /// The same reading, keeping every key that is asked for.
    pub(super) fn with_keys(self) -> Self {
        Self { keys: RefCell::new(Some(Vec::new())), ..self }
    }

    /// Every key that was asked for, where they were kept.
    pub(super) fn keys(self) -> Vec<Key> {
        self.keys.take().unwrap_or_default()
    }

    /// The variable, and remembers that it is one that means something.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.env.vars.get(name).cloned()
    }

    /// Whether any variable begins so.
    pub(super) fn has_vars(&self, prefix: &str) -> bool {
        self.env.vars.keys().any(|name| name.starts_with(prefix))
    }

    /// The variables that begin so, each with the rest of its name.
    pub(super) fn vars_after(&self, prefix: &str) -> Vec<(String, String)> {
        let after = |name: &String| Some((name.clone(), name.strip_prefix(prefix)?.to_owned()));
        self.env.vars.keys().filter_map(after).collect()
    }

    /// Where a `…_file` is: relative to the configuration's folder; `credential:NAME`, or a relative path that is not
    /// there, in systemd's folder of credentials.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let credentials = self.env.credentials.as_deref();
        if let Some(credential) = name.strip_prefix("credential:") {
            return credentials.unwrap_or(Path::new("$CREDENTIALS_DIRECTORY")).join(credential);
        }
        let beside = self.folder.join(name);
        let loaded = credentials.map(|folder| folder.join(name));
        loaded.filter(|loaded| !beside.exists() && loaded.exists()).unwrap_or(beside)
    }

    /// Takes in what another file of the same configuration asked for and set, and gives what is wrong with it.
    pub(super) fn absorb(&self, other: &Reading<'_>) -> Vec<Problem> {
        self.asked.borrow_mut().extend(other.asked.take());
        self.effective.borrow_mut().extend(other.effective.take());
        other.problems.take()
    }

    /// Ends the reading: variables that no key asked for are mistakes.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Effective>) {
        for name in &self.env.no_text {
            self.problem(Place::Env(name.clone()), "its name or its value is not UTF-8", "expected a text");
        }
        self.check_variables("");
        (self.problems.take(), self.effective.take())
    }

    /// Ends the reading of one section: what is wrong with it, told after so many problems, and with its variables.
    pub(super) fn finish_about(self, section: &str, told: usize) -> Vec<Problem> {
        self.check_variables(section);
        self.problems.take().split_off(told)
    }

    /// Variables of the section, whose name is what follows the prefix, must be known to some key.
    fn check_variables(&self, section: &str) {
        let asked = self.asked.borrow();
        let of_section = |name: &&String| name.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with(section));
        for name in self.env.vars.keys().filter(of_section).filter(|name| !asked.contains(*name)) {
            let help = crate::rules::nearest(name, asked.iter().map(String::as_str)).map_or_else(
                || {
                    format!(
                        "expected {PREFIX}SECTION__KEY, as in {PREFIX}SERVER__LISTEN or {PREFIX}APP__MAIN__CLIENT_ID"
                    )
                },
                |near| format!("did you mean {near}?"),
            );
            self.problem(Place::Env(name.clone()), "no key of the configuration has this name", help);
        }
    }
}
