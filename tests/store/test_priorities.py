"""Which item comes next when reward models differ."""

from __future__ import annotations

import pytest

from heed.form_library import LIBRARY
from heed.records import Completion, Labeler, Prompt
from heed.store import Store
from heed.store.studio.asks import Ask
from heed.store.studio.campaigns import Campaigns
from heed.store.studio.priorities import Priorities, in_random_arm, pair_disagreement
from heed.store.studio.queue import Queue
from heed.store.studio.settings import CampaignSettings

PLAIN = CampaignSettings(overlap=0, gold_share=0, recheck_share=0, anchor_share=0)


@pytest.fixture
def campaigns(store: Store) -> Campaigns:
    found = Campaigns(store)
    found.create("c", LIBRARY["rank"], guideline=None, settings=PLAIN, state="active")
    asks = [
        Ask(prompt=Prompt.from_text(f"Say {n}."), candidates=(Completion(text=f"{n}a"), Completion(text=f"{n}b")))
        for n in range(40)
    ]
    found.add_items("c", asks)
    store.add_labelers([Labeler(id="ann")])
    return found


def test_disagreement_by_hand() -> None:
    """Two models at 0.2 and 0.6: mean 0.4, variance 0.04; the second pair has none; the item's mean is 0.02."""
    assert pair_disagreement([[[0.2, 0.6], [0.5, 0.5]]]) == pytest.approx([0.02])


def test_those_on_which_models_differ_come_first(store: Store, campaigns: Campaigns) -> None:
    priorities = Priorities(store)
    items = priorities.open_items("c")
    assert len(items) == 40
    differ = {item.id: float(item.prompt.text[4:-1]) for item in items}
    assert priorities.set_turns("c", differ, random_arm=0.0) == {"ensemble": 40, "random": 0}
    served = []
    queue = Queue(store)
    for number in range(5):
        lease = queue.claim("ann")
        assert lease is not None
        served.append(lease.prompt.text)
        payload = {"tiers": {"A": 0, "B": 1}}
        queue.submit("ann", lease.token, f"{number:032}", payload, active_ms=1, idle_ms=0)
    assert served == ["Say 39.", "Say 38.", "Say 37.", "Say 36.", "Say 35."]
    assert len(store.rankings(arm="ensemble")) == 5
    assert store.rankings(arm="random") == []
    assert len(priorities.open_items("c")) == 35


def test_an_arm_is_left_to_chance_and_never_changes(store: Store, campaigns: Campaigns) -> None:
    priorities = Priorities(store)
    differ = {item.id: 1.0 for item in priorities.open_items("c")}
    counts = priorities.set_turns("c", differ, random_arm=0.5)
    assert counts == priorities.set_turns("c", dict(reversed(differ.items())), random_arm=0.5)
    assert 5 < counts["random"] < 35
    assert counts["random"] == sum(in_random_arm("c", item, 0.5) for item in differ)


def test_the_share_left_to_chance_is_about_what_was_asked() -> None:
    drawn = sum(in_random_arm("campaign", item, 0.3) for item in range(10_000)) / 10_000
    assert abs(drawn - 0.3) < 0.02
    assert all(in_random_arm("c", item, 1.0) for item in range(100))
    assert not any(in_random_arm("c", item, 0.0) for item in range(100))


def test_scores_are_kept_and_replaced(store: Store, campaigns: Campaigns) -> None:
    priorities = Priorities(store)
    item = priorities.open_items("c")[0]
    priorities.put_scores("reward", dict.fromkeys(item.generation_ids, 0.5))
    priorities.put_scores("reward", dict.fromkeys(item.generation_ids, 0.7))
