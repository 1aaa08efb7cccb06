//! Questions on the terminal, or to whoever pipes the answers in.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

use secrecy::SecretString;

use super::super::out::Out;
use super::super::signals::Told;
use super::super::{Exit, Failure};
use super::RuleKind;
use crate::account::UserKey;
use crate::config::read_small;
use crate::ids::AccountId;

/// A good answer, or why it is none.
type Check = Result<(), String>;

const SECRET_BYTES_MIN: usize = 16;
const SECRET_FILE_BYTES_MAX: u64 = 65_536;

pub(super) struct Asker<'o> {
    out: &'o mut Out,
    told: Told,
}

impl<'o> Asker<'o> {
    pub(super) fn new(out: &'o mut Out) -> Result<Self, Failure> {
        Ok(Self { out, told: Told::listen()? })
    }

    /// An answer that `check` takes: what was given, or asked for until it is good.
    pub(super) async fn text(
        &mut self,
        flag: &str,
        question: &str,
        given: Option<String>,
        check: impl Fn(&str) -> Check,
    ) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        loop {
            let answer = self.line(flag, &format!("{question}: ")).await?;
            match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(why) => self.out.line(format!("  {why}"))?,
            }
        }
    }

    /// What was given, or one of the words, or the default for an empty answer.
    pub(super) async fn choice(
        &mut self,
        flag: &str,
        question: &str,
        given: Option<String>,
        default: &str,
        words: &[&str],
    ) -> Result<String, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        loop {
            let answer = self.line(flag, &format!("{question} [{default}]: ")).await?;
            if answer.is_empty() {
                return Ok(default.to_owned());
            }
            if words.contains(&answer.as_str()) {
                return Ok(answer);
            }
            self.out.line(format!("  expected one of {}", words.join(", ")))?;
        }
    }

    pub(super) async fn rules(&mut self) -> Result<BTreeSet<RuleKind>, Failure> {
        self.out.line("Rules: what should be true?")?;
        self.out.line("  1  the API user is everyone's assistant (scheduling privilege)")?;
        self.out.line("  2  meetings have a waiting room")?;
        loop {
            let answer = self.line("--rule", "rules, as in 1 or 1,2 [1]: ").await?;
            let answer = if answer.is_empty() { "1".to_owned() } else { answer };
            let rules = answer.split([',', ' ']).filter(|part| !part.is_empty()).map(|part| match part {
                "1" | "assistants" => Some(RuleKind::Assistants),
                "2" | "waiting-room" => Some(RuleKind::WaitingRoom),
                _ => None,
            });
            match rules.collect::<Option<BTreeSet<RuleKind>>>() {
                Some(rules) if !rules.is_empty() => return Ok(rules),
                _ => self.out.line("  expected 1, 2 or 1,2")?,
            }
        }
    }

    /// A secret: what was given, or typed without being shown.
    pub(super) async fn secret(
        &mut self,
        flag: &str,
        question: &str,
        given: Option<SecretString>,
    ) -> Result<SecretString, Failure> {
        if let Some(given) = given {
            return Ok(given);
        }
        loop {
            let hidden = Hidden::start();
            let answer = self.line(flag, &format!("{question}, not shown: ")).await;
            if hidden.ends() {
                self.out.line("")?;
            }
            let answer = answer?;
            match good_secret(&answer) {
                Ok(()) => return Ok(answer.into()),
                Err(why) => self.out.line(format!("  {why}"))?,
            }
        }
    }

    async fn line(&mut self, flag: &str, question: &str) -> Result<String, Failure> {
        self.out.ask(question)?;
        // Apart, so that a signal is heard while nobody types: it must find the terminal as it was.
        let typed = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|bytes| (bytes, line))
        });
        let typed = tokio::select! {
            typed = typed => typed.map_err(std::io::Error::from).flatten(),
            () = self.told.wait() => {
                self.out.line("")?;
                return Err(Failure::new(Exit::Failed, "stopped before the last answer; nothing was written"));
            }
        };
        match typed {
            Ok((0, _)) => {
                self.out.line("")?;
                let text = format!("no answer to {:?}. answer it, or give {flag}", question.trim_end_matches(": "));
                Err(Failure::new(Exit::Usage, text))
            }
            Ok((_, line)) => Ok(line.trim().to_owned()),
            Err(error) => Err(Failure::new(Exit::Io, format!("cannot read the answer: {error}"))),
        }
    }
}

/// While it lives, what is typed is not shown. Where there is no terminal, nothing would be.
struct Hidden(Option<rustix::termios::Termios>);

impl Hidden {
    fn start() -> Self {
        if !std::io::stdin().is_terminal() {
            return Self(None);
        }
        let Ok(before) = rustix::termios::tcgetattr(std::io::stdin()) else { return Self(None) };
        let mut hidden = before.clone();
        hidden.local_modes.remove(rustix::termios::LocalModes::ECHO);
        let set = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &hidden);
        Self(set.ok().map(|()| before))
    }

    /// Whether anything was hidden: then the end of the line was, too.
    fn ends(self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nobody is left to tell where the terminal is gone.
            let _gone = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, before);
        }
    }
}

/// What a flag gave, if it is good.
pub(super) fn given(
    flag: &str,
    text: Option<String>,
    check: impl Fn(&str) -> Check,
) -> Result<Option<String>, Failure> {
    match text.as_deref().map(check) {
        Some(Err(why)) => Err(Failure::new(Exit::Usage, format!("{flag}: {why}"))),
        _ => Ok(text),
    }
}

/// The first line of the file that a flag named.
pub(super) fn given_secret(flag: &str, file: Option<&Path>) -> Result<Option<SecretString>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = read_small(file, SECRET_FILE_BYTES_MAX)
        .map_err(|error| Failure::new(Exit::Io, format!("{flag}: cannot read {}: {error}", file.display())))?;
    let secret = text.lines().next().unwrap_or_default().trim();
    match good_secret(secret) {
        Ok(()) => Ok(Some(secret.into())),
        Err(why) => Err(Failure::new(Exit::Usage, format!("{flag}: {}: {why}", file.display()))),
    }
}

pub(super) fn account(text: &str) -> Check {
    AccountId::parse(text).map(|_| ()).map_err(|error| error.to_string())
}

pub(super) fn user(text: &str) -> Check {
    text.parse::<UserKey>().map(|_| ()).map_err(|error| error.to_string())
}

/// Whom a general app takes for the API user of an account; what it says is checked again with the configuration.
pub(super) fn api_user(text: &str) -> Check {
    let filled = text.replace("{domain}", "a.example");
    if matches!(text, "installer" | "ask") || (filled.contains('@') && !filled.contains('{') && user(&filled).is_ok()) {
        Ok(())
    } else {
        Err("expected installer, ask, or an email such as zoom-api@{domain}".to_owned())
    }
}

fn good_secret(text: &str) -> Check {
    if text.len() >= SECRET_BYTES_MIN && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(format!("expected the secret as Zoom shows it, {SECRET_BYTES_MIN} bytes or more, without spaces"))
    }
}

pub(super) fn plain(text: &str) -> Check {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if plain { Ok(()) } else { Err("expected letters, digits and signs, without spaces".to_owned()) }
}

pub(super) fn https(text: &str) -> Check {
    let host = text.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    if host.is_some_and(|host| host.contains('.')) {
        Ok(())
    } else {
        Err("expected https:// and a public host name: Zoom takes no other".to_owned())
    }
}

/// The same where admins' browsers are led to its root.
pub(super) fn https_root(text: &str) -> Check {
    https(text)?;
    if text.trim_end_matches('/').trim_start_matches("https://").contains('/') {
        return Err(
            "expected it without a path: install pages and /oauth/callback are at the root of the name".to_owned()
        );
    }
    Ok(())
}
