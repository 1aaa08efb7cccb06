use super::out::Out;
use super::{Context, Exit, Failure};
pub(super) async fn run(_context: &Context, _json: bool, _out: &mut Out) -> Result<Exit, Failure> {
    Ok(Exit::Good)
}
