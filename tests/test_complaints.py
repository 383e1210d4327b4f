"""What people complain about in alerters of this and other kinds, and the tests that say that it does not happen here."""

from __future__ import annotations

from pathlib import Path

import pytest

TABLE = """
# Too many
an alert at every look once over the budget
    domain/test_review.py::test_each_threshold_is_told_once_however_often_it_is_looked_at
several messages for one jump
    domain/test_review.py::test_a_jump_over_all_thresholds_is_told_once_naming_the_highest
a monitor of levels, not of crossings
    domain/test_review.py::test_whatever_the_total_does_each_threshold_reached_is_told_and_only_once
the same notice in successive runs
    journeys/test_bill_to_mail.py::test_the_same_bill_under_another_name_and_an_overlapping_export_say_nothing_new
one mail for each of many scopes
    journeys/test_held_messages.py::test_forty_workspaces_in_one_bill_are_one_mail_and_each_alert_for_a_program
hundreds of mails after a day of standstill
    channels/test_chat.py::test_many_messages_in_one_round_come_as_one_unless_more_are_wanted
a flood at the first start
    domain/test_routing.py::test_a_first_import_is_told_once_at_its_end_and_after_ten_minutes_in_any_case
everything known is sent again after an outage
    jobs/test_balance_rounds.py::test_what_was_told_does_not_end_because_nothing_is_known_any_more
a dead channel that works again tells what is long over
    jobs/test_deliver.py::test_what_is_over_when_the_channel_works_again_is_told_once_as_over
a changed rule alerts again
    domain/test_review.py::test_a_threshold_lowered_below_the_highest_told_is_silent
two replicas tell the same
    journeys/test_daemon.py::test_a_second_daemon_on_the_same_state_is_refused_and_the_first_goes_on
repeated ends
    domain/test_review.py::test_a_balance_that_recovers_is_told_once_with_all_that_ended
a reminder though none is wanted
    domain/test_review.py::test_without_a_wish_there_is_no_reminder

# Too few
told once and never again in the next month
    jobs/test_changed_configuration.py::test_a_month_that_rolls_over_goes_on_until_it_is_final_and_its_late_lines_fire_for_it
over the limit, and the state is still fine
    jobs/test_overview.py::test_the_state_is_that_of_the_spend
fine, though no data came
    jobs/test_overview.py::test_an_account_without_any_bill_beside_one_that_has_some_is_no_verdict
absolute thresholds never fire
    domain/test_review.py::test_a_share_of_no_budget_is_never_reached_but_an_amount_is
only one of several channels gets it
    contracts/test_alert_book.py::test_each_target_of_each_channel_gets_one_delivery
a network down for seconds, and never retried
    journeys/test_troubles.py::test_a_failing_receiver_gets_the_same_notification_later_and_another_channel_is_not_held_up
pending and final messages lost by a restart
    sweep/test_kill_sweep.py::test_wherever_the_program_dies_nothing_is_lost_wrong_or_needlessly_repeated
what happened while it stood still is skipped
    jobs/test_days_and_weeks.py::test_a_round_that_breaks_down_before_its_alerts_are_recorded_is_made_up_for
quiet hours lose what happens in them
    journeys/test_held_messages.py::test_what_is_due_at_night_comes_in_the_morning_once_and_says_so
maintenance swallows what still holds at its end
    domain/test_routing.py::test_at_the_end_of_a_silence_what_still_fires_is_told_and_what_ended_is_recorded
stuck without data for ever
    sources/test_feeds_quarter.py::test_whenever_the_feed_stops_it_is_told_in_time_and_never_else
a muted branch falls through to others
    domain/test_routing.py::test_a_silence_is_about_what_all_its_matchers_fit

# Falsely sent
it looks as if somebody had been notified
    journeys/test_newcomer.py::test_a_relay_that_refuses_the_password_never_looks_like_somebody_was_notified
200 to a refused message counts as sent
    channels/test_chat.py::test_no_word_is_no_success_except_at_teams_which_says_none
a text that is too long is refused
    channels/test_chat.py::test_what_is_too_long_is_cut_to_the_byte_and_keeps_headline_and_where_more_is
the test message works, alerts do not
    journeys/test_command_line.py::test_a_test_message_reaches_every_channel_and_is_marked
a changed mail password goes unseen
    jobs/test_deliver.py::test_a_refused_password_is_tried_twice_in_half_an_hour_at_most_and_told_at_once

# Late, and when
late figures pass for those of now
    journeys/test_endpoints.py::test_bills_of_the_api_reach_people_who_are_told_how_late_they_are
the period ends by another zone
    domain/test_period.py::test_the_month_changes_in_the_billing_zone_and_not_in_utc
which day a week begins with
    jobs/test_days_and_weeks.py::test_a_week_begins_on_monday_and_sums_both_of_its_months
time windows cannot be tried beforehand
    journeys/test_cases.py::test_forecasts_silence_and_reminders_are_a_matter_of_time

# Money
sums of floats miss a limit
    domain/test_review.py::test_a_threshold_is_reached_exactly_at_it_to_the_tenth_decimal
the usual decimal context rounds
    domain/test_money.py::test_a_sum_that_the_usual_context_rounds_is_exact
a currency is only another sign
    journeys/test_bill_to_mail.py::test_lines_in_another_currency_are_never_added_and_told_as_such

# Forecasts
foretold from a few days, and wrong
    jobs/test_outlook_rounds.py::test_it_is_too_early_to_tell_until_five_complete_days_are_known
foretold by data that are old
    jobs/test_outlook_rounds.py::test_a_forecast_is_too_old_to_tell_and_is_not_reached_by_old_data

# Wishes
no acknowledgement
    domain/test_review.py::test_an_acknowledgement_holds_reminders_and_escalation_until_its_time_has_passed
remind until it is mended
    domain/test_review.py::test_a_reminder_comes_when_it_is_due_and_not_before
my boss only after two days
    domain/test_review.py::test_what_still_fires_after_a_time_is_escalated_once_and_its_end_is_heard_there_too
a word when the balance has recovered
    jobs/test_balance_rounds.py::test_floors_debt_reminders_and_what_brought_it_out
what to do when an alert arrives
    journeys/test_command_line.py::test_explain_shows_rule_figures_bills_and_deliveries

# Configuration
a key that nobody reads
    channels/test_webhook.py::test_settings_arrive_as_text_and_unknown_keys_are_refused
a shorter interval waits for the end of the old one
    domain/test_review.py::test_a_shorter_interval_counts_from_the_last_word_and_not_from_the_end_of_the_longer_one
a raised budget leaves its alerts
    domain/test_review.py::test_a_raised_budget_ends_what_is_no_longer_reached_and_says_from_what_to_what_it_was_raised
"""
LINES = [line for line in TABLE.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("complaint", "test"), list(zip(LINES[::2], LINES[1::2], strict=True)))
def test_each_complaint_has_its_test(complaint: str, test: str) -> None:
    place, _, name = test.strip().partition("::")
    assert f"def {name}(" in (Path(__file__).parent / place).read_text(encoding="utf-8"), complaint
