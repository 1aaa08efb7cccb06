//! Settings over REST.

use crate::sim::answer::{Answer, Refusal};
use crate::sim::call::Request;
use crate::sim::world::Act;

impl Act<'_> {
    pub(super) fn rest_get_user_settings(&self, key: &str) -> Result<Answer, Refusal> {
        Ok(Answer::json(200, &self.user_settings(key)?))
    }

    pub(super) fn rest_update_user_settings(&mut self, key: &str, request: &Request) -> Result<Answer, Refusal> {
        self.set_user_settings(key, &request.object()?)?;
        Ok(Answer::empty(204))
    }

    pub(super) fn rest_get_account_settings(&self) -> Answer {
        Answer::json(200, &self.account_settings())
    }
}
