//! What the service says of itself, held against what a step is about to claim: the simulated Zoom shows that the right
//! thing was done, but not how many jobs and attempts it took, nor what was stored.

use crate::web::admin::view::JobView;

/// That the user has one job, and that it counts one attempt: none was used up on the way.
pub(super) fn one_job_and_attempt(jobs: &[JobView], user: &str) -> Result<(), String> {
    let subject = format!("user:{user}");
    let of_user: Vec<&JobView> = jobs.iter().filter(|job| job.subject == subject).collect();
    match of_user.as_slice() {
        [job] if job.attempts == 1 => Ok(()),
        [job] => Err(format!("{} counts {} attempts", job.id, job.attempts)),
        several => Err(format!("{} jobs were made, not one", several.len())),
    }
}

/// That no delivery was added to the store.
pub(super) fn nothing_stored(before: u64, after: u64) -> Result<(), String> {
    if before == after { Ok(()) } else { Err(format!("{before} deliveries were stored before, {after} after")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, subject: &str, attempts: u32) -> JobView {
        let text = String::new;
        JobView {
            id: id.to_owned(),
            app: text(),
            account: text(),
            rule: text(),
            subject: subject.to_owned(),
            state: "done".to_owned(),
            at: text(),
            snoozed_since: None,
            why: None,
            cause: None,
            advice: None,
            attempts,
            made_at: text(),
            made_by: text(),
            asked_by: text(),
        }
    }

    #[test]
    fn a_second_job_no_job_and_a_used_attempt_are_found() {
        let (first, other) = (job("job_1", "user:eve", 1), job("job_2", "user:ada", 3));
        assert_eq!(one_job_and_attempt(&[first.clone(), other.clone()], "eve"), Ok(()));
        let wrong = |jobs: &[JobView]| one_job_and_attempt(jobs, "eve").unwrap_err();
        assert_eq!(wrong(&[other]), "0 jobs were made, not one");
        assert_eq!(wrong(&[first.clone(), job("job_3", "user:eve", 1)]), "2 jobs were made, not one");
        assert_eq!(wrong(&[job("job_3", "user:eve", 2)]), "job_3 counts 2 attempts");
    }

    #[test]
    fn a_delivery_that_was_stored_all_the_same_is_found() {
        assert_eq!(nothing_stored(7, 7), Ok(()));
        assert_eq!(nothing_stored(7, 8).unwrap_err(), "7 deliveries were stored before, 8 after");
    }
}
