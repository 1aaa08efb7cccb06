//! The cases. Each takes the implementation as its type, and opens a store of its own.

pub(crate) mod claiming;
pub(crate) mod contests;
pub(crate) mod deliveries;
pub(crate) mod limits;
pub(crate) mod people;
pub(crate) mod planning;
pub(crate) mod records;
pub(crate) mod runs;
pub(crate) mod sweeping;
pub(crate) mod working;

/// One named test for each case.
macro_rules! every_case {
    ($harness:ty) => {
        $crate::contract::cases::every_case! { @for $harness;
            deliveries:
                a_delivery_reads_back_as_it_came
                deliveries_are_planned_oldest_first
                the_same_body_is_a_duplicate_of_the_first
                what_is_found_in_the_log_of_zoom_says_so_and_is_stored_once
                one_byte_makes_another_body
                the_same_body_for_another_app_is_no_duplicate
                a_body_is_forgotten_after_the_window_and_a_duplicate_does_not_lengthen_it
                a_duplicate_is_known_also_when_the_first_was_planned_long_ago
                a_request_id_with_another_body_is_no_duplicate_but_is_marked
                a_request_id_with_the_same_body_is_only_a_duplicate
                the_newest_delivery_with_a_request_id_is_the_one_that_counts
                deliveries_without_a_request_id_have_none_in_common
                a_full_backlog_refuses_deliveries_of_its_app_alone_and_leaves_no_trace
                what_is_planned_makes_room_in_the_backlog_of_the_app
                an_app_with_a_full_backlog_is_told_since_the_first_delivery_that_waits
                a_delivery_says_when_its_app_last_verified_one
                deliveries_are_listed_newest_first_in_pages
                what_was_never_stored_is_not_there
                a_stored_delivery_is_told_in_the_log
            ;
            planning:
                a_decision_takes_a_delivery_off_the_list_of_the_unplanned
                an_event_makes_a_job_that_is_due_now
                a_second_event_about_the_same_subject_merges
                other_rules_accounts_apps_and_subjects_have_jobs_of_their_own
                a_finished_job_is_not_taken_up_again
                a_user_known_by_email_and_one_known_by_id_merge_where_either_is_the_same
                where_two_jobs_fit_the_older_is_merged_into
                a_parked_job_is_merged_into_and_stays_parked
                a_waiting_job_goes_on_when_an_event_asks_for_it
                an_event_during_a_run_makes_the_job_run_once_more
                a_meaning_that_was_seen_makes_no_second_job
                a_meaning_that_was_seen_merges_into_unfinished_work
                meanings_count_per_account_and_within_a_batch
                events_without_a_meaning_are_never_repeated
                a_meaning_for_which_no_job_was_made_is_not_held_against_the_next
                a_meaning_is_remembered_over_a_restart
                a_wake_lets_what_waits_go_on_and_makes_nothing
                a_wake_during_a_run_makes_the_job_run_once_more
                a_cancellation_ends_all_unfinished_work_for_its_subject_and_nothing_else
                a_cancellation_reaches_waiting_and_parked_work_too
                an_older_cancellation_leaves_what_a_newer_event_asked_for
                a_cancellation_leaves_a_run_that_a_newer_event_asked_for
                where_an_event_does_not_say_when_it_happened_the_last_to_come_counts
                steps_are_taken_in_order
                a_cancellation_spares_what_its_own_event_is_to_begin
                a_batch_with_one_bad_decision_writes_nothing
                an_account_with_too_many_jobs_makes_no_more_and_others_go_on
                what_makes_no_job_is_never_held_back
                what_was_held_back_goes_on_oldest_first_as_jobs_finish
                what_cannot_be_understood_or_has_no_home_is_set_aside
                every_decision_is_told_once_with_its_code
                an_account_that_is_added_releases_what_waited_for_it
                what_waited_for_its_account_longer_than_seven_days_stays_set_aside
                a_replayed_delivery_is_planned_whatever_was_decided_before
                a_replay_of_an_unplanned_delivery_marks_it_and_of_an_unknown_one_is_refused
                a_duplicate_that_was_replayed_since_it_was_read_is_not_ended_as_one
                plans_of_the_past_outlive_a_restart
            ;
            claiming:
                a_claimed_job_runs_and_nobody_else_gets_it
                a_claim_is_no_attempt_and_no_entry
                a_job_that_is_put_off_is_claimed_at_its_time_and_not_before
                a_claim_brings_no_more_than_was_asked_for_oldest_first
                accounts_take_turns_whoever_came_first
                turns_go_on_from_claim_to_claim
                no_account_has_more_running_than_its_cap_those_that_already_run_included
                jobs_of_one_subject_run_one_at_a_time_in_order
                one_user_by_id_and_by_email_is_one_lane
                lanes_are_per_account_and_join_apps
                an_older_job_that_is_put_off_holds_nobody_up_before_its_time
                waiting_and_parked_jobs_hold_nobody_up
                a_job_that_comes_back_waits_for_a_younger_one_that_runs
                a_lease_that_is_over_lets_another_worker_in_and_keeps_the_attempt
                a_lease_that_ends_forgets_that_somebody_asked_again
                a_renewed_lease_lasts_and_is_never_shortened
                a_lease_that_is_over_can_be_renewed_until_somebody_claims
                a_job_given_back_is_as_it_was
                a_job_that_is_not_held_any_more_cannot_be_given_back
                a_restart_ends_all_leases_and_keeps_the_attempts
                two_handles_see_one_store
                concurrent_claims_never_overlap
                concurrent_deliveries_all_get_ids_of_their_own
                the_next_moment_is_that_of_the_first_job_put_off_or_lease_over
                whoever_waits_for_a_change_hears_of_all_that_can_make_work
            ;
            working:
                an_attempt_counts_before_its_first_call
                entries_about_a_job_name_it_and_its_subject
                an_outcome_tells_what_the_condition_saw_also_after_a_restart
                an_attempt_is_started_once_and_only_under_a_lease_that_lasts
                nothing_is_settled_that_was_not_started
                every_outcome_leads_to_its_state_and_is_told_by_its_code
                a_retry_backs_off_with_jitter_and_parks_when_the_attempts_are_used_up
                a_row_of_snoozes_goes_on_over_a_restart_and_ends_with_anything_else
                snoozing_and_waiting_give_the_attempt_back
                work_that_took_longer_than_its_lease_still_counts_where_nobody_else_took_it
                a_settle_under_a_lost_lease_writes_nothing
                what_a_cancelled_run_did_is_recorded_and_the_job_stays_cancelled
                calls_are_told_in_order_with_their_answers
                calls_count_by_account_category_and_utc_day
                only_the_newest_finished_jobs_are_kept_and_all_are_counted
            ;
            limits:
                a_change_is_on_record_before_it_is_made
                beyond_the_limit_of_the_hour_changes_wait_for_the_next_with_one_notice
                a_new_utc_hour_has_room_again_and_a_notice_of_its_own
                beyond_the_share_of_the_account_nothing_is_changed_or_told
                the_share_counts_the_last_24_utc_hours
                a_rule_that_came_to_its_share_is_stopped_until_a_person_resumes_it
                a_change_that_is_tried_again_counts_once_an_hour_and_once_a_day
                a_job_that_is_asked_again_makes_another_change
                limits_are_per_account_and_rule
                resuming_a_rule_that_is_over_its_share_counts_the_share_anew_but_not_the_hour
                resuming_a_rule_moves_all_that_it_holds_back_and_is_on_record
                what_would_take_something_away_is_let_through_rule_by_rule_and_changes_no_count
                retrying_a_job_that_is_parked_for_something_else_leaves_the_count
                no_change_is_granted_without_a_started_attempt_and_a_lease_that_lasts
                counts_and_the_notice_of_the_hour_outlive_a_restart
                what_waits_for_the_next_hour_is_told_and_can_be_hurried
                cancelling_what_a_stopped_rule_holds_back_leaves_it_stopped
            ;
            contests:
                a_change_that_was_made_three_times_within_a_day_is_contested_with_those_who_asked
                other_rules_subjects_and_accounts_contest_nothing
                what_was_intended_and_did_not_come_about_or_was_planned_does_not_count
                what_was_made_a_day_ago_is_forgotten
                a_person_who_retries_what_is_contested_begins_the_count_anew
                beyond_what_is_left_of_a_hosts_day_changes_wait_for_the_next_with_one_notice
                a_hosts_day_begins_anew_at_midnight_utc_with_a_notice_of_its_own
                a_hosts_day_that_zoom_calls_used_up_is_so_whatever_was_counted
                what_waits_for_a_hosts_day_counts_against_no_limit_of_its_rule
            ;
            people:
                a_person_retries_a_parked_job_with_all_its_attempts
                a_person_hurries_what_is_put_off_or_waits
                all_jobs_parked_for_one_cause_are_retried_together
                a_person_sets_jobs_aside
                a_person_ends_jobs_for_good_one_by_one_or_by_cause_and_rule
                a_move_that_the_state_does_not_allow_moves_none
                all_unfinished_work_of_an_account_or_rule_is_cancelled
                jobs_are_listed_newest_first_in_pages_and_by_every_filter
                parked_work_of_one_cause_is_one_item_with_a_count
                the_status_counts_what_is_there
                waiting_jobs_are_counted_by_what_they_wait_for
                of_too_many_jobs_the_oldest_are_moved_and_asking_again_moves_the_rest
                beyond_the_limit_the_oldest_delivery_that_is_set_aside_is_given_up
                deliveries_that_were_given_up_count_together_until_a_week_was_quiet
            ;
            sweeping:
                a_sweep_makes_jobs_that_say_so_and_every_step_is_told
                a_dry_sweep_counts_and_asks_for_nothing
                how_far_a_sweep_is_outlives_a_restart
                one_sweep_of_an_account_runs_at_a_time
                a_sweep_moves_what_waits_or_was_not_found_and_nothing_else
                what_events_ask_for_goes_before_what_a_sweep_asked_for
                a_sweep_leaves_half_of_the_backlog_to_events
                a_sweep_that_heals_counts_against_the_hour_and_not_against_the_share
                a_plan_that_is_applied_makes_jobs_or_moves_those_that_are_there
                what_is_planned_is_granted_beside_the_limits_and_counts_against_none
            ;
            runs:
                a_timer_is_due_after_its_event_once_for_each_rule_and_run_for_ever
                what_ends_a_timer_counts_whether_it_comes_before_or_after
                an_older_event_of_the_run_makes_a_timer_due_earlier
                a_record_takes_all_events_until_it_was_tried_and_those_after_amend_it
                a_record_without_an_end_is_made_all_the_same
                a_release_lets_one_rule_go_on
            ;
            records:
                entries_have_no_gaps_and_their_leaves_make_the_tree_head
                an_empty_log_has_the_root_of_the_empty_tree
                entries_are_read_in_pages
                an_entry_never_changes
                a_note_is_an_entry_as_it_was_given
                what_a_person_tells_to_change_is_on_record_before_it_can_be_changed
                what_a_person_should_know_stands_until_it_is_mended
                a_rule_is_known_as_planned_by_its_newest_hash
                a_change_of_the_webhook_secrets_is_remembered
                an_answered_validation_is_remembered
                a_restart_changes_nothing_that_can_be_seen
                ids_and_tokens_are_not_used_twice_over_a_restart
                a_closed_store_says_so_whatever_it_is_asked
            ;
        }
    };
    (@for $harness:ty; $($part:ident: $($case:ident)*;)*) => {
        $($(
            #[tokio::test]
            async fn $case() {
                $crate::contract::cases::$part::$case::<$harness>().await;
            }
        )*)*
    };
}

pub(crate) use every_case;
