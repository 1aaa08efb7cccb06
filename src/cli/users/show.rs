//! Users as Zoom has them now, and who has what of the rules.

use clap::{Args, ValueEnum};

use super::Of;
use crate::cli::out::{Out, count};
use crate::cli::remote::{Remote, segment};
use crate::cli::{Exit, Failure};
use crate::web::admin::users::{CoverageView, GroupView, UserView, UsersView};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    of: Of,
    /// Zoom lists one at a time
    #[arg(long, default_value = "active")]
    status: Status,
    /// How many at most
    #[arg(long, default_value_t = 300)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Active,
    Inactive,
    Pending,
}

pub(super) async fn list(remote: &Remote, asked: List, out: &mut Out) -> Result<Exit, Failure> {
    let path = format!("/v1/accounts/{}/users", segment(&asked.of.account(remote).await?));
    let status = match asked.status {
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::Pending => "pending",
    };
    let (mut users, mut next): (Vec<UserView>, Option<String>) = (Vec::new(), None);
    let total = loop {
        let mut query = vec![("status", status.to_owned())];
        query.extend(next.map(|next| ("next", next)));
        query.push(("limit", asked.limit.saturating_sub(users.len()).clamp(1, 300).to_string()));
        let page: UsersView = remote.get(&path, &query).await?;
        users.extend(page.users);
        next = page.next.filter(|_| users.len() < asked.limit);
        if next.is_none() {
            break page.total;
        }
    };
    if asked.json {
        out.json(&users)?;
        return Ok(Exit::Good);
    }
    let row = |user: &UserView| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let role = if user.is_api_user { "api user".to_owned() } else { text(&user.role) };
        vec![text(&user.email), text(&user.id), text(&user.licence), role, text(&user.name)]
    };
    out.table(&["EMAIL", "ID", "LICENCE", "ROLE", "NAME"], &users.iter().map(row).collect::<Vec<_>>())?;
    let of = total.map_or_else(String::new, |total| format!(" of {total}"));
    out.line(format!("{}{of}, {status}", count(users.len(), "user", "users")))?;
    Ok(Exit::Good)
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// By email or id
    user: String,
    #[command(flatten)]
    of: Of,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn show(remote: &Remote, asked: Show, out: &mut Out) -> Result<Exit, Failure> {
    let account = asked.of.account(remote).await?;
    let path = format!("/v1/accounts/{}/users/{}", segment(&account), segment(&asked.user));
    let user: UserView = remote.get(&path, &[]).await?;
    if asked.json {
        out.json(&user)?;
    } else {
        out.fields(&fields(&user))?;
    }
    Ok(Exit::Good)
}

/// As one user is printed.
pub(super) fn fields(user: &UserView) -> [(&'static str, Option<String>); 8] {
    let groups = (!user.groups.is_empty()).then(|| user.groups.join(", "));
    [
        ("email", user.email.clone()),
        ("id", user.id.clone()),
        ("name", user.name.clone()),
        ("status", Some(user.status.clone())),
        ("licence", user.licence.clone()),
        ("role", user.role.clone()),
        ("groups", groups),
        ("api user", user.is_api_user.then(|| "yes".to_owned())),
    ]
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Coverage {
    #[command(flatten)]
    of: Of,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Of each group of users, name so many
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn coverage(remote: &Remote, asked: Coverage, out: &mut Out) -> Result<Exit, Failure> {
    let path = format!("/v1/accounts/{}/coverage", segment(&asked.of.account(remote).await?));
    let mut query = vec![("limit", asked.limit.clamp(1, 1_000).to_string())];
    query.extend(asked.rule.map(|rule| ("rule", rule)));
    let view: CoverageView = remote.get(&path, &query).await?;
    if asked.json {
        out.json(&view)?;
        return Ok(Exit::Good);
    }
    out.line(format!("account {}: {} were looked at", view.account, count(view.users, "user", "users")))?;
    for rule in &view.rules {
        let observes = if rule.is_enforced { "" } else { " (it only observes)" };
        out.line(format!("rule {}{observes}: {} have it", rule.rule, rule.have))?;
        group("lack it", &rule.lack, out)?;
        for other in &rule.others {
            group(&other.why, other, out)?;
        }
        for parked in &rule.parked {
            group(&format!("set aside: {}", parked.why), parked, out)?;
        }
    }
    Ok(Exit::Good)
}

fn group(why: &str, of: &GroupView, out: &mut Out) -> Result<(), Failure> {
    if of.count == 0 {
        return Ok(());
    }
    out.line(format!("  {}: {why}", of.count))?;
    for named in &of.named {
        out.line(format!("    {named}"))?;
    }
    let more = of.count.saturating_sub(u64::try_from(of.named.len()).unwrap_or(u64::MAX));
    if more > 0 && !of.named.is_empty() {
        out.line(format!("    and {more} more"))?;
    }
    Ok(())
}
