"""Events from what each date showed: seen, confirmed, resolved, unobserved, split, merged, grown."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.monitoring.events import Status
from support.watched import SIZE, Watched, day, ground

HOUSE, FLOOD = (2, 2, 3, 3), (9, 9, 4, 5)
ALL = np.ones((SIZE, SIZE), bool)
POLICIES = pytest.mark.parametrize("policy", ["previous", "fixed"])


def over(*patches):
    return ground(*patches).astype(bool)


def only(history):
    (event,) = history.events
    return event


def statuses(history, event=None):
    event = event or only(history).id
    return [str(each.status) for each in history.observations if each.event == event]


@POLICIES
def test_a_lasting_change_is_one_event_seen_on_every_date_and_confirmed_by_the_second(policy):
    history = Watched([ground()] * 2 + [ground(HOUSE)] * 4, policy=policy).play()
    event = only(history)
    assert (event.status, event.first_seen, event.confirmed_on) == (Status.CONFIRMED, day(2), day(3))
    assert (event.last_seen, event.observations, event.seen) == (day(5), 4, 4)
    assert statuses(history) == ["new", "confirmed", "confirmed", "confirmed"]
    assert event.geometry.area == 9
    assert event.area_m2 == 9
    assert re.fullmatch(r"20240121-[0-9a-f]{8}", event.id)


@POLICIES
def test_what_recedes_is_resolved_and_its_end_is_no_event(policy):
    history = Watched([ground()] + [ground(FLOOD)] * 3 + [ground()] * 3, policy=policy).play()
    event = only(history)
    assert (event.status, event.last_seen, event.resolved_on) == (Status.RESOLVED, day(3), day(5))
    assert statuses(history) == ["new", "confirmed", "confirmed", "confirmed", "resolved"]
    assert [each.seen for each in history.observations] == [True, True, True, False, False]


@POLICIES
def test_what_comes_back_after_it_was_resolved_is_a_new_event_that_follows_the_old(policy):
    grounds = [ground()] + [ground(FLOOD)] * 2 + [ground()] * 3 + [ground(FLOOD)] * 2
    first, second = Watched(grounds, policy=policy).play().events
    assert (first.status, second.status) == (Status.RESOLVED, Status.CONFIRMED)
    assert (first.follows, second.follows) == (None, first.id)


@POLICIES
def test_one_date_without_it_resolves_nothing(policy):
    history = Watched([ground(), *[ground(HOUSE)] * 2, ground(), *[ground(HOUSE)] * 2], policy=policy).play()
    event = only(history)
    assert (event.status, event.observations, event.seen) == (Status.CONFIRMED, 5, 4)


@POLICIES
def test_an_event_that_was_never_confirmed_is_resolved_too(policy):
    event = only(Watched([ground(), ground(HOUSE), *[ground()] * 2], policy=policy).play())
    assert (event.status, event.confirmed_on) == (Status.RESOLVED, None)


@POLICIES
def test_confirmed_is_k_of_the_last_n(policy):
    there, gone = ground(HOUSE), ground()
    history = Watched([gone, there, gone, there, gone, there, there], policy=policy).play(
        seen=3, of=4, resolve_after=9
    )
    assert only(history).confirmed_on == day(6)
    assert statuses(history) == ["new"] * 5 + ["confirmed"]


@POLICIES
@pytest.mark.parametrize("hidden", [ALL, over((0, 0, 6, 6))], ids=["all of it", "the event"])
def test_a_cloud_is_evidence_neither_against_nor_for(policy, hidden):
    clouds = [None, None, hidden, hidden, hidden, None]
    history = Watched([ground()] + [ground(HOUSE)] * 5, clouds, policy).play()
    event = only(history)
    assert (event.status, event.confirmed_on, event.observations) == (Status.CONFIRMED, day(5), 2)
    assert statuses(history) == ["new", *["unobserved"] * 3, "confirmed"]
    unseen = [each for each in history.observations if each.seen is None]
    assert [each.observed_share for each in unseen] == [0.0] * 3
    assert all(each.changed_share is None for each in unseen)


def test_half_of_its_ground_is_enough_to_judge_and_less_is_not():
    clouds = [None, None, over((2, 2, 3, 1)), over((2, 2, 3, 2))]
    history = Watched([ground()] + [ground(HOUSE)] * 3, clouds).play()
    assert [each.seen for each in history.observations] == [True, True, None]
    assert [each.observed_share for each in history.observations] == pytest.approx([1, 2 / 3, 1 / 3])
    assert only(history).status == Status.UNOBSERVED


@POLICIES
def test_what_grows_beside_it_belongs_to_it(policy):
    grown = [ground((2, 2, 3, width)) for width in (3, 5, 8, 8)]
    history = Watched([ground(), *grown], policy=policy).play()
    event = only(history)
    assert event.geometry.area == 24
    assert [each.area_m2 for each in history.observations] == [9, 15, 24, 24]


@POLICIES
def test_a_change_elsewhere_on_a_later_date_is_another_event(policy):
    both = ground(HOUSE, FLOOD)
    history = Watched([ground(), ground(HOUSE), both, both], policy=policy).play()
    assert [event.first_seen for event in history.events] == [day(1), day(2)]
    assert {event.status for event in history.events} == {Status.CONFIRMED}


@POLICIES
def test_two_that_grow_together_go_on_as_the_older_one(policy):
    left, right, bridge = (2, 2, 4, 4), (2, 9, 4, 4), (2, 6, 4, 3)
    apart, joined = ground(left, right), ground(left, right, bridge)
    history = Watched([ground(), ground(left), apart, joined, joined], policy=policy).play()
    old, new = history.events
    assert (old.status, new.status) == (Status.CONFIRMED, Status.MERGED)
    assert new.merged_into == old.id
    assert old.geometry.area == 44
    told = {each.event: each.relation for each in history.observations if each.taken == day(3)}
    assert told == {old.id: f"merged with {new.id}", new.id: f"merged into {old.id}"}
    assert [each.event for each in history.observations if each.taken == day(4)] == [old.id]


@POLICIES
def test_one_that_falls_apart_stays_one_event(policy):
    whole, parts = ground((2, 2, 4, 9)), ground((2, 2, 4, 3), (2, 8, 4, 3))
    history = Watched([ground(), whole, parts, parts], policy=policy).play()
    event = only(history)
    assert len(event.geometry.geoms) == 2
    assert [each.relation for each in history.observations] == ["", "split into 2 parts", ""]
    assert [each.parts for each in history.observations] == [1, 2, 2]


def test_a_district_that_turns_green_does_not_swallow_the_house_in_it():
    green = ground((0, 0, 14, 14))
    green[3:5, 3:5] = 2
    history = Watched([ground(), ground((3, 3, 2, 2)), green, green], policy="fixed").play()
    assert [event.geometry.area for event in sorted(history.events, key=lambda e: e.first_seen)] == [4, 196]


@POLICIES
def test_after_so_many_days_it_is_no_longer_followed_but_known(policy):
    history = Watched([ground()] + [ground(HOUSE)] * 6 + [ground()] * 3, policy=policy).play(follow_days=30)
    event = only(history)
    assert (event.status, event.last_seen) == (Status.CONFIRMED, day(4))
    assert len(history.observations) == 4


# --- whatever happens ------------------------------------------------------------------------------------

patches = st.tuples(*[st.integers(0, 10)] * 2, *[st.integers(1, 6)] * 2)
days = st.tuples(st.lists(patches, max_size=3), st.lists(patches, max_size=2), st.booleans())


@given(st.lists(days, min_size=2, max_size=9), st.sampled_from(["previous", "fixed"]))
def test_whatever_happens_the_counts_agree_with_the_dates(story, policy):
    grounds = [ground(), *(ground(*changes) for changes, _, _ in story)]
    clouds = [None, *(ALL if all_hidden else over(*hidden) for _, hidden, all_hidden in story)]
    history = Watched(grounds, clouds, policy).play()
    again = Watched(grounds, clouds, policy).play()
    assert again == history
    ids = [event.id for event in history.events]
    assert len(set(ids)) == len(ids)
    for event in history.events:
        mine = [each for each in history.observations if each.event == event.id]
        valid = [each.seen for each in mine if each.seen is not None]
        assert (event.observations, event.seen) == (len(valid), sum(valid))
        assert len({each.taken for each in mine}) == len(mine)
        assert mine[0].seen and mine[0].taken == event.first_seen
        assert event.last_seen == max(each.taken for each in mine if each.seen)
        assert (event.resolved_on is not None) == (valid[-2:] == [False, False])
        assert (event.status == Status.MERGED) == (event.merged_into is not None)
        confirmed = any(sum(valid[max(0, i - 2) : i + 1]) >= 2 for i in range(len(valid)))
        assert (event.confirmed_on is not None) == confirmed
        if event.status not in (Status.MERGED, Status.RESOLVED):
            assert (event.status == Status.UNOBSERVED) == (mine[-1].seen is None)
            assert mine[-1].taken == day(len(grounds) - 1)
