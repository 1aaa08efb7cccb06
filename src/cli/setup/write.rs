//! The files that a setup leaves behind.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::super::private::{self, folder_of};
use super::super::{Exit, Failure};
use super::{Answers, RuleKind};
use crate::account::AppKind;

const CLIENT_SECRET: &str = "client-secret";
const WEBHOOK_SECRETS: &str = "webhook-secrets";

fn files(config: &Path) -> [PathBuf; 3] {
    [folder_of(config).join(CLIENT_SECRET), folder_of(config).join(WEBHOOK_SECRETS), config.to_owned()]
}

/// Asked before anything else, so that nobody answers ten questions in vain.
pub(super) fn refuse_to_overwrite(config: &Path, force: bool) -> Result<(), Failure> {
    match files(config).iter().find(|file| !force && file.symlink_metadata().is_ok()) {
        Some(file) => {
            let text = format!(
                "{} is there already; nothing was written. give --force, or a --config in another folder",
                file.display()
            );
            Err(Failure::new(Exit::Failed, text))
        }
        None => Ok(()),
    }
}

/// Writes all, the configuration last: it is not there before what it names is.
pub(super) fn all(config: &Path, text: &str, answers: &Answers, force: bool) -> Result<(), Failure> {
    let [client, webhooks, config_file] = files(config);
    let secret = |secret: &secrecy::SecretString| format!("{}\n", secret.expose_secret());
    for (file, text) in [
        (client, secret(&answers.client_secret)),
        (webhooks, secret(&answers.webhook_secret)),
        (config_file, text.to_owned()),
    ] {
        let written = if force { private::put(&file, &text) } else { private::put_new(&file, &text) };
        written.map_err(|error| {
            let exit = if error.kind() == std::io::ErrorKind::PermissionDenied { Exit::Denied } else { Exit::Io };
            Failure::new(exit, format!("cannot write {}: {error}", file.display()))
        })?;
    }
    Ok(())
}

/// The configuration, with what the answers say and nothing that is a default.
pub(super) fn config(answers: &Answers) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text =
        String::from("# Written by `adjutant setup`. Every key that could stand here: config.toml of the package.\n\n");
    let mut put = |line: String| {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "{line}");
    };
    put("[server]".to_owned());
    put(format!("public_url = {}", quoted(&answers.public_url)));
    put("\n[[app]]".to_owned());
    put(format!("name = {}", quoted(answers.app.as_str())));
    let is_general = answers.kind == AppKind::General;
    put(format!("kind = {}", quoted(if is_general { "general" } else { "server-to-server" })));
    put(format!("client_id = {}", quoted(&answers.client_id)));
    put(format!("client_secret_file = {}", quoted(CLIENT_SECRET)));
    put(format!("webhook_secrets_file = {}         # one a line", quoted(WEBHOOK_SECRETS)));
    if let Some(account) = &answers.account {
        put("\n[[app.account]]".to_owned());
        put(format!("id = {}", quoted(account)));
    }
    put(format!("plan = {}", quoted(&answers.plan)));
    if let Some(user) = &answers.api_user {
        put(if is_general {
            format!("api_user = {}", quoted(user))
        } else {
            format!("api_users = [{}]", quoted(user))
        });
    }
    for rule in &answers.rules {
        let (name, subject, ensure) = match rule {
            RuleKind::Assistants => ("api-user-assists-everyone", "user", "{ assistants = [\"api-user\"] }"),
            RuleKind::WaitingRoom => ("waiting-room", "meeting", "{ settings = { waiting_room = true } }"),
        };
        put(format!("\n[[rule]]\nname = {}\nfor = {}\nensure = {ensure}", quoted(name), quoted(subject)));
        put(format!("mode = {}   # observe: record what it would do; enforce: do it", quoted(&answers.mode)));
    }
    text
}
