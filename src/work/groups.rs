//! The groups of an account, page by page.

use std::collections::HashSet;

use crate::ids::GroupId;
use crate::zoom::{Group, Listed, Page, Zoom, ZoomError};

const PAGE_SIZE: u32 = 300;
/// An account has 5,000 groups at most \[D]. More pages than that can fill, also where Zoom gives few rows on each, are an
/// error.
const PAGES_MAX: usize = 200;

/// All of them or an error: who is in a group that a cut list leaves out would pass for somebody who is in none.
pub(super) async fn all(zoom: &dyn Zoom) -> Result<Vec<Group>, ZoomError> {
    let (mut pages, mut token) = (Pages::default(), None);
    loop {
        token = pages.take(zoom.groups(Page { size: PAGE_SIZE, token }).await?)?;
        if token.is_none() {
            return Ok(pages.groups);
        }
    }
}

#[derive(Debug, Default)]
struct Pages {
    groups: Vec<Group>,
    ids: HashSet<GroupId>,
    tokens: HashSet<String>,
}

impl Pages {
    /// The token of the next page; none where this was the last. A group that moved to the next page meanwhile is one.
    fn take(&mut self, page: Listed<Group>) -> Result<Option<String>, ZoomError> {
        self.groups.extend(page.rows.into_iter().filter(|group| self.ids.insert(group.id.clone())));
        let Some(token) = page.next else { return Ok(None) };
        if !self.tokens.insert(token.clone()) {
            return Err(ZoomError::Unreadable("the list of groups leads to the same page twice".to_owned()));
        }
        if self.tokens.len() >= PAGES_MAX {
            return Err(ZoomError::Unreadable(format!("the list of groups has more than {PAGES_MAX} pages")));
        }
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[&str], next: Option<String>) -> Listed<Group> {
        let group = |id: &&str| Group { id: GroupId::parse(id).unwrap(), name: "Staff".to_owned(), members: None };
        Listed { rows: ids.iter().map(group).collect(), next, total: None }
    }

    #[test]
    fn a_list_of_groups_is_whole_or_an_error_and_names_each_group_once() {
        let mut pages = Pages::default();
        assert_eq!(pages.take(page(&["a", "b"], Some("1".to_owned()))), Ok(Some("1".to_owned())));
        assert_eq!(pages.take(page(&["b", "c"], None)), Ok(None));
        assert_eq!(pages.groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(matches!(pages.take(page(&[], Some("1".to_owned()))), Err(ZoomError::Unreadable(_))));
        let mut endless = Pages::default();
        let read = (0..=PAGES_MAX).find(|n| endless.take(page(&[], Some(n.to_string()))).is_err());
        assert_eq!(read, Some(PAGES_MAX - 1));
    }
}
